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
	maxExampleLen = 1 << 10 // bytes
)

// regexpExamples are texts that a regular expression probably matches: one for
// each alternative, as far as the bounds go. Whoever uses one tries it first.
func regexpExamples(expr string, fold bool) []string {
	flags := syntax.Perl
	if fold {
		flags |= syntax.FoldCase
	}
	re, err := syntax.Parse(expr, flags)
	if err != nil {
		return nil
	}
	texts := examplesOf(re)
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

func examplesOf(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpNoMatch:
		return nil
	case syntax.OpLiteral:
		return []string{literalExample(re)}
	case syntax.OpCharClass:
		return classExamples(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return []string{"x"}
	case syntax.OpCapture, syntax.OpPlus:
		return examplesOf(re.Sub[0])
	case syntax.OpStar, syntax.OpQuest:
		return bounded(append(examplesOf(re.Sub[0]), ""))
	case syntax.OpRepeat:
		return repeatExamples(re)
	case syntax.OpConcat:
		return concatExamples(re.Sub)
	case syntax.OpAlternate:
		var out []string
		for _, sub := range re.Sub {
			out = append(out, examplesOf(sub)...)
		}
		return bounded(out)
	default: // anchors and word boundaries take no text
		return []string{""}
	}
}

func bounded(texts []string) []string {
	var out []string
	for _, t := range texts {
		if len(t) <= maxExampleLen && !slices.Contains(out, t) && len(out) < maxExamples {
			out = append(out, t)
		}
	}
	return out
}

func literalExample(re *syntax.Regexp) string {
	text := string(re.Rune)
	if re.Flags&syntax.FoldCase != 0 {
		text = strings.ToLower(text)
	}
	return text
}

// classExamples prefers what looks ordinary in a path.
func classExamples(ranges []rune) []string {
	in := func(want rune) bool {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return true
			}
		}
		return false
	}
	for _, want := range "xa1A-_./" {
		if in(want) {
			return []string{string(want)}
		}
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1] && r < ranges[i]+maxExamples; r++ {
			if unicode.IsPrint(r) {
				return []string{string(r)}
			}
		}
	}
	return nil
}

func repeatExamples(re *syntax.Regexp) []string {
	n := re.Min
	if n == 0 {
		n = 1
	}
	var out []string
	for _, text := range examplesOf(re.Sub[0]) {
		if len(text)*n <= maxExampleLen {
			out = append(out, strings.Repeat(text, n))
		}
	}
	if re.Min == 0 {
		out = append(out, "")
	}
	return bounded(out)
}

// concatExamples changes one part at a time, so that each alternative comes at
// least once.
func concatExamples(subs []*syntax.Regexp) []string {
	parts := make([][]string, len(subs))
	most := 1
	for i, sub := range subs {
		if parts[i] = examplesOf(sub); len(parts[i]) == 0 {
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
		if len(out) > 2*maxExamples {
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
	return bounded(out)
}
