package rule

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// Bounds of the examples that are made from one regular expression.
const (
	maxExamples   = 8
	maxMembers    = 6       // of a character class, where more is tried
	maxExampleLen = 1 << 10 // bytes
)

// exampler makes examples for expressions.
type exampler struct {
	most    int // texts
	members int // of a character class
}

var (
	fewExamples  = exampler{maxExamples, 1}
	manyExamples = exampler{3 * maxExamples, maxMembers} // two segments where a slash may stand, too
)

// of gives texts that a regular expression probably matches: one for each
// alternative, as far as the bounds go. Whoever uses one tries it first.
func (x exampler) of(expr string, fold bool) []string {
	flags := syntax.Perl
	if fold {
		flags |= syntax.FoldCase
	}
	re, err := syntax.Parse(expr, flags)
	if err != nil {
		return nil
	}
	texts := x.texts(re)
	slices.SortStableFunc(texts, func(a, b string) int { return cmpEmpty(a, b) })
	return texts
}

// cmpEmpty puts what is empty last.
func cmpEmpty(a, b string) int {
	switch {
	case a == "" && b != "":
		return 1
	case a != "" && b == "":
		return -1
	}
	return 0
}

func (x exampler) texts(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpNoMatch:
		return nil
	case syntax.OpLiteral:
		return []string{literalExample(re)}
	case syntax.OpCharClass:
		return x.class(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return []string{"x"}
	case syntax.OpCapture:
		return x.texts(re.Sub[0])
	case syntax.OpPlus:
		return x.bounded(x.several(re.Sub[0]))
	case syntax.OpStar:
		return x.bounded(append(x.several(re.Sub[0]), ""))
	case syntax.OpQuest:
		return x.bounded(append(x.texts(re.Sub[0]), ""))
	case syntax.OpRepeat:
		return x.repeat(re)
	case syntax.OpConcat:
		return x.concat(re.Sub)
	case syntax.OpAlternate:
		var out []string
		for _, sub := range re.Sub {
			out = append(out, x.texts(sub)...)
		}
		return x.bounded(out)
	default: // anchors and word boundaries take no text
		return []string{""}
	}
}

func (x exampler) bounded(texts []string) []string {
	var out []string
	for _, t := range texts {
		if len(t) <= maxExampleLen && !slices.Contains(out, t) && len(out) < x.most {
			out = append(out, t)
		}
	}
	return out
}

// several are texts for what may stand there more than once.
func (x exampler) several(sub *syntax.Regexp) []string {
	texts := x.texts(sub)
	isAny := sub.Op == syntax.OpAnyChar || sub.Op == syntax.OpAnyCharNotNL
	if x.members > 1 && len(texts) > 0 && (isAny || sub.Op == syntax.OpCharClass && isIn(sub.Rune, '/')) {
		texts = slices.Insert(texts, 1, texts[0]+"/"+texts[0])
	}
	return texts
}

func literalExample(re *syntax.Regexp) string {
	text := string(re.Rune)
	if re.Flags&syntax.FoldCase != 0 {
		text = strings.ToLower(text)
	}
	return text
}

// isIn reports whether a character is in one of the ranges of a class.
func isIn(ranges []rune, want rune) bool {
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] <= want && want <= ranges[i+1] {
			return true
		}
	}
	return false
}

// class prefers what looks ordinary in a path.
func (x exampler) class(ranges []rune) (out []string) {
	add := func(r rune) {
		if text := string(r); len(out) < x.members && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	for _, want := range "xa1A-_./" {
		if isIn(ranges, want) {
			add(want)
		}
	}
	for i := 0; i+1 < len(ranges) && len(out) < x.members; i += 2 {
		for r := ranges[i]; r <= ranges[i+1] && r < ranges[i]+maxExamples; r++ {
			if unicode.IsPrint(r) {
				add(r)
			}
		}
	}
	return out
}

func (x exampler) repeat(re *syntax.Regexp) []string {
	n := re.Min
	if n == 0 {
		n = 1
	}
	var out []string
	for _, text := range x.texts(re.Sub[0]) {
		if len(text)*n <= maxExampleLen {
			out = append(out, strings.Repeat(text, n))
		}
	}
	if re.Min == 0 {
		out = append(out, "")
	}
	return x.bounded(out)
}

// concat changes one part at a time, so that each alternative comes at
// least once.
func (x exampler) concat(subs []*syntax.Regexp) []string {
	parts := make([][]string, len(subs))
	most := 1
	for i, sub := range subs {
		if parts[i] = x.texts(sub); len(parts[i]) == 0 {
			return nil
		}
		most = max(most, len(parts[i]))
	}
	var out []string
	for n := range most {
		var b strings.Builder
		for _, texts := range parts {
			b.WriteString(texts[min(n, len(texts)-1)])
		}
		out = append(out, b.String())
	}
	for i, texts := range parts {
		if len(out) > 2*x.most {
			break
		}
		for n := range texts {
			var b strings.Builder
			for j, others := range parts {
				if j == i {
					b.WriteString(texts[n])
				} else {
					b.WriteString(others[0])
				}
			}
			out = append(out, b.String())
		}
	}
	return x.bounded(out)
}
