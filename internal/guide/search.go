package guide

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"
)

const (
	maxQuery     = 4 << 10 // bytes of a query that are looked at: an error message is shorter
	maxWords     = 64      // words of it
	minSignature = 6       // bytes of a signature, folded, below which it tells nothing by itself
	minRun       = 3       // words in a row of a signature, below which they tell nothing by themselves
	minShare     = 0.5     // of what a query says; a card that has less of it has nothing to do with it
	nearBest     = 0.6     // of the best score: what is below is left out
)

// How far a word is one of a card's.
const (
	exactTerm  = 1.0
	pluralTerm = 0.95 // but for a letter or two at its end
	prefixTerm = 0.6  // it begins with the other one
	typoTerm   = 0.8  // but for a letter
	typosTerm  = 0.6  // but for two
)

// The weight of a word by where it stands in a card.
const (
	inID        = 1.0
	inTitle     = 1.0
	inSignature = 1.0
	inSymptom   = 0.8
	inRest      = 0.4
)

// Hit is a card that a search found.
type Hit struct {
	Card  Card
	Score float64
}

// Search finds cards by words of their ids, titles, signatures, symptoms and the
// rest, best first, at most so many. Words may have a letter wrong, or two in longer
// ones. A card that has little of what the query says is not found. A text that holds
// one of a card's signatures, such as an error message out of a log, or is the id of
// a finding, puts that card in front. Nothing is asked of anybody.
func Search(query string, most int) []Hit {
	return allCards().search(query, most)
}

var allCards = sync.OnceValue(func() *index { return newIndex(All()) })

// index is the cards with their words.
type index struct {
	entries []entry
	places  map[string][]place // where each word is
}

type entry struct {
	card       Card
	names      []string // folded: the id, and those of the findings that this card explains before others
	signatures []string // folded, those long enough to tell by themselves
}

// place is a card that has a word.
type place struct {
	entry  int
	weight float64 // where the word stands best
}

// newIndex reads all words of the cards.
func newIndex(cards []Card) *index {
	x, explained := &index{places: make(map[string][]place)}, make(map[string]bool)
	for i, c := range cards {
		e := entry{card: c, names: []string{fold(c.ID)}}
		for _, id := range c.Findings {
			if !explained[id] {
				explained[id] = true
				e.names = append(e.names, fold(id))
			}
		}
		for _, s := range c.Signature {
			if folded := fold(s); len(folded) >= minSignature {
				e.signatures = append(e.signatures, folded)
			}
		}
		x.entries = append(x.entries, e)
		for word, weight := range weights(c) {
			x.places[word] = append(x.places[word], place{i, weight})
		}
	}
	return x
}

// weights are the words of a card, with the weight of where each stands best.
func weights(c Card) map[string]float64 {
	out := make(map[string]float64)
	add := func(weight float64, texts ...string) {
		for _, text := range texts {
			for _, word := range words(text) {
				out[word] = max(out[word], weight)
			}
		}
	}
	add(inID, c.ID)
	add(inTitle, c.Title)
	add(inSignature, c.Signature...)
	add(inSymptom, c.Symptom, c.Affected)
	add(inSymptom, c.Findings...)
	add(inRest, c.Mechanism, c.Setting, c.Prevent)
	add(inRest, c.Issues...)
	for _, f := range c.Fixes {
		add(inRest, f.Text)
	}
	return out
}

func (x *index) search(query string, most int) []Hit {
	query = query[:min(len(query), maxQuery)]
	scores, whole := x.byWords(query)
	text := fold(query)
	var hits []Hit
	for i, e := range x.entries {
		named := e.named(text)
		if named > 0 || scores[i] > 0 && scores[i] >= minShare*whole {
			hits = append(hits, Hit{e.card, scores[i] + named})
		}
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(b.Score, a.Score) })
	return near(hits[:min(len(hits), max(most, 0))])
}

// byWords adds up for each card what the words of the query find in it, and what a
// card would get that has them all in its title: each word counts by what it finds
// best, and rare words count more.
func (x *index) byWords(query string) (found []float64, whole float64) {
	found = make([]float64, len(x.entries))
	asked := words(query)
	slices.Sort(asked)
	asked = slices.Compact(asked)
	for _, word := range asked[:min(len(asked), maxWords)] {
		best, known := make([]float64, len(x.entries)), x.rare(0)
		for own, places := range x.places {
			like := alike(word, own)
			if like == 0 {
				continue
			}
			rare := x.rare(len(places))
			if like >= pluralTerm {
				known = min(known, rare)
			}
			for _, p := range places {
				best[p.entry] = max(best[p.entry], like*p.weight*rare)
			}
		}
		for i, score := range best {
			found[i] += min(score, known)
		}
		whole += known
	}
	return found, whole
}

// rare is how much a word tells that so many cards have (inverse document frequency).
func (x *index) rare(cards int) float64 {
	return math.Log(1 + float64(len(x.entries))/float64(1+cards))
}

// named is what a query gets that is the card's name, or holds one of its signatures,
// or a good part of one.
func (e *entry) named(text string) float64 {
	best := 0.0
	for _, name := range e.names {
		switch {
		case text == name:
			return 100
		case len(text) <= longest && len(name) <= longest && within(text, name, 2):
			best = 50
		}
	}
	if len(text) < minSignature {
		return best
	}
	for _, s := range e.signatures {
		if part := shared(s, text); part > 0 {
			best = max(best, 5+15*part)
		}
	}
	return best
}

// shared is how much of a signature a text has: the longest run of its words that is
// in the text, if that tells anything by itself.
func shared(signature, text string) float64 {
	own := strings.Fields(signature)
	padded := " " + text + " "
	for size := len(own); size > 0; size-- {
		if size < len(own) && (size < minRun || 2*size < len(own)) {
			return 0
		}
		for at := range len(own) - size + 1 {
			if strings.Contains(padded, " "+strings.Join(own[at:at+size], " ")+" ") {
				return float64(size) / float64(len(own))
			}
		}
	}
	return 0
}

// near leaves out what is far behind the best.
func near(hits []Hit) []Hit {
	for i, h := range hits {
		if h.Score < hits[0].Score*nearBest {
			return hits[:i]
		}
	}
	return hits
}

// alike is how far the word of a query is one of a card's: 0 is not at all.
func alike(asked, own string) float64 {
	if asked == own {
		return exactTerm
	}
	short, long := asked, own
	if len(short) > len(long) {
		short, long = long, short
	}
	switch {
	case isNumber(asked), isNumber(own), len(short) < 3:
		return 0 // 301 is not nearly 302
	case strings.HasPrefix(long, short):
		return begins(short, long)
	case len(short) >= 4 && within(asked, own, 1):
		return typoTerm
	case len(short) >= 6 && within(asked, own, 2):
		return typosTerm
	}
	return 0
}

// begins is how far one word is another that it begins.
func begins(short, long string) float64 {
	switch rest := long[len(short):]; {
	case rest == "s" || rest == "es" || rest == "ed" || rest == "d" || rest == "ing":
		return pluralTerm
	case len(short) >= 4 && 3*len(short) >= 2*len(long):
		return prefixTerm
	}
	return 0
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// within is whether b can be made of a by at most so many letters that are left out,
// put in, changed, or swapped with their neighbour (optimal string alignment
// distance). Words are bounded by longest.
func within(a, b string, most int) bool {
	if d := len(a) - len(b); d > most || -d > most || max(len(a), len(b)) > longest {
		return false
	}
	var before, row, next [longest + 1]int
	for j := range len(b) + 1 {
		row[j] = j //nolint:gosec // b is no longer than longest
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i >= 2 && j >= 2 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1) //nolint:gosec // as above, and j is at least 2
			}
			least = min(least, next[j])
		}
		if least > most {
			return false
		}
		before, row = row, next
	}
	return row[len(b)] <= most
}

// longest bounds a word, in bytes.
const longest = 40

// empty are words that say nothing.
var empty = func() map[string]bool {
	out := make(map[string]bool)
	for word := range strings.FieldsSeq(`
		the and for with that this from not are was has its error errors you but when what why how does do did to is it of in on or an at as
		be my me we our your he she they them there their then than so if by no yes can cannot could would should will get gets got have had
		been being am any all some while where which who after before about into out up over just only please help http https example code
		while trying try happens happen want need use using used wrong problem issue fails failed failure`) {
		out[word] = true
	}
	return out
}()

// words are the words of a text in small letters, without those that say nothing.
func words(text string) []string {
	parts := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	out := parts[:0]
	for _, p := range parts {
		if len(p) > 1 && len(p) <= longest && !empty[p] {
			out = append(out, p)
		}
	}
	return out
}

// fold is a text in small letters, with one blank for all that is no letter or digit.
func fold(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}
