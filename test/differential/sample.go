package differential

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
)

const maxSample = 200 // bytes of what one expression gives

// sample is a text that the expression may match; not for sure, where it has
// anchors inside. It is false for one that is not RE2.
func sample(r *rand.Rand, expression string) (string, bool) {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	writeSample(&b, r, re)
	return b.String(), true
}

// words are what stars and dots stand for.
var words = []string{"a", "x1", "shoes", "2024", "index.html", "about-us", "Foo", "b/c", "1", "help", "q2", "team"}

func writeSample(b *strings.Builder, r *rand.Rand, re *syntax.Regexp) {
	if b.Len() > maxSample {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 && r.IntN(4) == 0 {
				b.WriteString(strings.ToUpper(string(c)))
			} else {
				b.WriteRune(c)
			}
		}
	case syntax.OpCharClass:
		b.WriteRune(anyOf(r, re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte("abcxyz019-_."[r.IntN(12)])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			writeSample(b, r, sub)
		}
	case syntax.OpAlternate:
		writeSample(b, r, re.Sub[r.IntN(len(re.Sub))])
	case syntax.OpCapture:
		writeSample(b, r, re.Sub[0])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		writeRepeat(b, r, re)
	}
}

func writeRepeat(b *strings.Builder, r *rand.Rand, re *syntax.Regexp) {
	lo, hi := re.Min, re.Max
	switch re.Op {
	case syntax.OpStar:
		lo, hi = 0, 6
	case syntax.OpPlus:
		lo, hi = 1, 6
	case syntax.OpQuest:
		lo, hi = 0, 1
	}
	if hi < 0 {
		hi = lo + 4
	}
	sub := re.Sub[0]
	if hi > 1 && (sub.Op == syntax.OpAnyCharNotNL || sub.Op == syntax.OpAnyChar) && r.IntN(4) > 0 {
		b.WriteString(words[r.IntN(len(words))])
		return
	}
	for range lo + r.IntN(hi-lo+1) {
		writeSample(b, r, sub)
	}
}

// anyOf is a character of the class, a printable one of ASCII if there is one.
func anyOf(r *rand.Rand, ranges []rune) rune {
	if text := alnumOf(ranges); text != "" && r.IntN(32) > 0 {
		return rune(text[r.IntN(len(text))])
	}
	for range 8 {
		i := r.IntN(len(ranges)/2) * 2
		lo, hi := ranges[i], ranges[i+1]
		c := lo + r.Int32N(hi-lo+1)
		if lo <= '~' && hi >= '!' {
			lo, hi = max(lo, '!'), min(hi, '~')
			c = lo + r.Int32N(hi-lo+1)
		}
		if c > ' ' && c < 0x7f && !strings.ContainsRune("?#%", c) {
			return c
		}
	}
	if len(ranges) > 0 {
		return ranges[0]
	}
	return 'x'
}

// alnumOf are the letters and digits of the class.
func alnumOf(ranges []rune) string {
	var b strings.Builder
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" {
		for i := 0; i < len(ranges); i += 2 {
			if ranges[i] <= c && c <= ranges[i+1] {
				b.WriteRune(c)
				break
			}
		}
	}
	return b.String()
}
