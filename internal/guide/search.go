package guide

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

const (
	maxQuery     = 4 << 10 // bytes of a query that are looked at: an error message is shorter
	maxWords     = 64      // words of it
	minSignature = 6       // bytes of a signature, folded, below which it tells nothing by itself
	minScore     = 1.0     // below it a card has nothing to do with the query
	nearBest     = 0.6     // of the best score: what is below is left out
	exactTerm    = 1.0     // a word that is the card's
	prefixTerm   = 0.7     // a word that begins one of the card's
	typoTerm     = 0.6     // a word that is one of the card's but for a letter or two
)

// The weight of a word by where it stands in a card.
const (
	inID        = 3.0
	inTitle     = 3.0
	inSignature = 3.0
	inSymptom   = 1.5
	inRest      = 1.0
)

// Hit is a card that a search found.
type Hit struct {
	Card  Card
	Score float64
}

// Search finds cards by words of their ids, titles, signatures, symptoms and the
// rest, best first, at most so many. Words may have a letter wrong, or two in longer
// ones. A text that holds one of a card's signatures, such as an error message out of
// a log, puts that card in front. Nothing is asked of anybody.
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
	signatures []string // folded, those long enough to tell by themselves
}

// place is a card that has a word.
type place struct {
	entry  int
	weight float64 // where the word stands best
}

// newIndex reads all words of the cards.
func newIndex(cards []Card) *index {
	x := &index{places: make(map[string][]place)}
	for i, c := range cards {
		e := entry{card: c}
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
	scores := x.byWords(query)
	whole := fold(query)
	var hits []Hit
	for i, e := range x.entries {
		if score := scores[i] + e.named(whole); score >= minScore {
			hits = append(hits, Hit{e.card, score})
		}
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(b.Score, a.Score) })
	return near(hits[:min(len(hits), max(most, 0))])
}

// byWords adds up for each card what the words of the query find in it: rare words
// count more, and each word counts by what it finds best.
func (x *index) byWords(query string) []float64 {
	total := make([]float64, len(x.entries))
	asked := words(query)
	slices.Sort(asked)
	asked = slices.Compact(asked)
	for _, word := range asked[:min(len(asked), maxWords)] {
		best := make([]float64, len(x.entries))
		for own, places := range x.places {
			like := alike(word, own)
			if like == 0 {
				continue
			}
			rare := 0.2 + 1/float64(1+len(places))
			for _, p := range places {
				best[p.entry] = max(best[p.entry], like*p.weight*rare)
			}
		}
		for i, score := range best {
			total[i] += score
		}
	}
	return total
}

// named is what a query gets that holds the card's id, or one of its signatures, or
// a good part of one.
func (e *entry) named(whole string) float64 {
	best := 0.0
	switch id := fold(e.card.ID); {
	case whole == id:
		best = 100
	case len(whole) <= longest && len(id) <= longest && within(whole, id, 2):
		best = 50
	}
	for _, s := range e.signatures {
		if strings.Contains(whole, s) || len(whole) >= minSignature && strings.Contains(s, whole) {
			share := float64(min(len(s), len(whole))) / float64(max(len(s), len(whole)))
			best = max(best, 5+12*share)
		}
	}
	return best
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
	switch {
	case asked == own:
		return exactTerm
	case isNumber(asked), isNumber(own):
		return 0 // 301 is not nearly 302
	case len(asked) >= 4 && strings.HasPrefix(own, asked), len(own) >= 4 && strings.HasPrefix(asked, own):
		return prefixTerm
	case len(asked) < 4:
		return 0
	}
	allowed := 1
	if len(asked) >= 8 {
		allowed = 2
	}
	if within(asked, own, allowed) {
		return typoTerm
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
var empty = map[string]bool{
	"the": true, "and": true, "for": true, "with": true, "that": true, "this": true, "from": true, "not": true, "are": true, "was": true,
	"has": true, "its": true, "error": true, "you": true, "but": true, "when": true, "what": true, "why": true, "how": true, "does": true,
	"to": true, "is": true, "it": true, "of": true, "in": true, "on": true, "or": true, "an": true, "at": true, "as": true, "be": true, "my": true,
	"http": true, "https": true, "example": true, "code": true,
}

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
