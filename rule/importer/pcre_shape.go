package importer

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// compiled is the expression, ready.
func (p *pcre) compiled() *regexp.Regexp {
	if p.re == nil {
		p.re = regexp.MustCompile(p.withFold()) // translatePCRE has tried it
	}
	return p.re
}

// match is what the groups matched, as regexp.FindStringSubmatchIndex has it.
func (p *pcre) match(text string) []int {
	for _, g := range p.guards {
		if g.compiled().MatchString(text) {
			return nil
		}
	}
	return p.compiled().FindStringSubmatchIndex(text)
}

// head is the text that whatever matches begins with, or false where the
// expression is not anchored. Where case does not matter, the text may be in
// any case.
func (p *pcre) head() (string, bool) {
	if !p.headMade {
		p.headMade = true
		p.headText, p.anchored = headOf(p.text)
	}
	return p.headText, p.anchored
}

func headOf(text string) (string, bool) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return "", false
	}
	re = re.Simplify()
	if re.Op == syntax.OpBeginText {
		return "", true
	}
	if re.Op != syntax.OpConcat || re.Sub[0].Op != syntax.OpBeginText {
		return "", false
	}
	var b strings.Builder
	for _, sub := range re.Sub[1:] {
		if sub.Op != syntax.OpLiteral || sub.Flags&syntax.FoldCase != 0 {
			break
		}
		b.WriteString(string(sub.Rune))
	}
	return b.String(), true
}

// after is the expression behind "^" and n bytes of its head, as it is written.
func (p *pcre) after(n int) (string, bool) {
	rest, ok := strings.CutPrefix(p.text, "^")
	if hasAlternation(rest) {
		return "", false
	}
	for ok && n > 0 {
		if len(rest) > 1 && rest[0] == '\\' && !isWord(rest[1]) {
			rest = rest[1:]
		} else if rest == "" || strings.IndexByte(`\([.*+?{|^$)`, rest[0]) >= 0 {
			return "", false
		}
		_, size := utf8.DecodeRuneInString(rest)
		n -= size
		rest = rest[size:]
	}
	return rest, ok && n == 0
}

// hasAlternation reports whether there is a "|" outside of groups and classes.
func hasAlternation(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '[':
			i += classLength(text[i:]) - 1
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				return true
			}
		}
	}
	return false
}

// derived is an expression with another beginning, where case matters.
func (p *pcre) derived(before, rest string) *pcre {
	switch {
	case p.fold:
		rest = "(?i:" + rest + ")"
	case hasAlternation(rest):
		rest = "(?:" + rest + ")"
	}
	return &pcre{text: before + rest, names: p.names}
}

var (
	trivial   = regexp.MustCompile(`^\^?/?(?:\(?\.\*\)?)?\$?$`)
	restForm  = regexp.MustCompile(`^(\()?\.[*](\))?\$?$`)
	movedForm = regexp.MustCompile(`^\(\.[*+]\)\$?$`)
)

// isTrivial reports whether every path matches.
func (p *pcre) isTrivial() bool {
	return len(p.guards) == 0 && trivial.MatchString(p.text) && !strings.HasSuffix(p.text, "^/$") && p.text != "^$" && p.text != "$" && p.text != "/$" && p.text != "^/$"
}

// takesRest reports whether the expression is "^", a text, and then anything,
// maybe in a group.
func (p *pcre) takesRest() (head string, group int, ok bool) {
	head, anchored := p.head()
	if !anchored || p.fold {
		return "", 0, false
	}
	rest, ok := p.after(len(head))
	if !ok || rest != "" && !restForm.MatchString(rest) {
		return "", 0, false
	}
	return head, p.groups(), true
}

// moves is the text before a group that is the rest of the path, where the
// expression is nothing but these.
func (p *pcre) moves() (head string, ok bool) {
	head, anchored := p.head()
	rest, ok := p.after(len(head))
	return head, ok && anchored && !p.fold && movedForm.MatchString(rest)
}

// startsOutside reports whether no match begins inside of text: the first
// character is a fixed one that text does not have.
func (p *pcre) startsOutside(text string) bool {
	re, err := syntax.Parse(p.withFold(), syntax.Perl)
	if err != nil {
		return false
	}
	for re.Op == syntax.OpConcat || re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpLiteral || re.Rune[0] >= utf8.RuneSelf {
		return false
	}
	return !strings.Contains(strings.ToLower(text), strings.ToLower(string(re.Rune[0])))
}

// nameGroups gives every group a name that begins with prefix, so that a
// condition's captures can be told from the path's.
func (p *pcre) nameGroups(prefix string) (string, []string) {
	var b strings.Builder
	names := []string{""}
	in := p.text
	for i := 0; i < len(in); i++ {
		switch {
		case in[i] == '\\' && i+1 < len(in):
			b.WriteString(in[i : i+2])
			i++
		case in[i] == '[':
			n := classLength(in[i:])
			b.WriteString(in[i : i+n])
			i += n - 1
		case in[i] == '(' && (!strings.HasPrefix(in[i:], "(?") || strings.HasPrefix(in[i:], "(?P<")):
			name := prefix + strconv.Itoa(len(names))
			if p.names[len(names)] != "" {
				name = p.names[len(names)]
				i += strings.IndexByte(in[i:], '>')
			}
			names = append(names, name)
			b.WriteString("(?P<" + name + ">")
		default:
			b.WriteByte(in[i])
		}
	}
	if p.fold {
		return "(?i)" + b.String(), names
	}
	return b.String(), names
}

// classLength is how long the class is that in begins with, as translatePCRE
// writes classes.
func classLength(in string) int {
	for i := 1; i < len(in); i++ {
		switch {
		case in[i] == '\\':
			i++
		case strings.HasPrefix(in[i:], "[:"):
			i += max(strings.Index(in[i:], ":]"), 0) + 1
		case in[i] == ']':
			return i + 1
		}
	}
	return len(in)
}

// isWhole reports whether a group has all of the text.
func (p *pcre) isWhole(group int) bool {
	switch p.text {
	case "(.*)", "^(.*)", "(.+)", "^(.+)":
		return group == 1
	}
	start, end := p.groupAt(group)
	return start > 0 && strings.HasPrefix(p.text, "^(") && strings.LastIndexByte(p.text[:start], '(') == 1 && p.text[end:] == ")$"
}

// slashOut is the expression with the slash that a group begins with before
// the group.
func (p *pcre) slashOut(group int) (*pcre, bool) {
	start, end := p.groupAt(group)
	if start < 0 || start >= end || p.text[start] != '/' || startsQuantifier(p.text[start+1:]) || hasAlternation(p.text[start:end]) || startsQuantifier(p.text[end+1:]) {
		return nil, false
	}
	open := strings.LastIndexByte(p.text[:start], '(')
	text := p.text[:open] + "/" + p.text[open:start] + p.text[start+1:]
	return &pcre{text: text, fold: p.fold, names: p.names}, true
}

// groupAt is where the inside of a group begins and ends, -1 if there is none.
func (p *pcre) groupAt(group int) (start, end int) {
	type level struct{ number, start int }
	var open []level
	in, n := p.text, 0
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '\\':
			i++
		case '[':
			i += classLength(in[i:]) - 1
		case '(':
			l := level{0, i + 1}
			if !strings.HasPrefix(in[i:], "(?") || strings.HasPrefix(in[i:], "(?P<") {
				n++
				l.number = n
				if strings.HasPrefix(in[i:], "(?P<") {
					l.start = i + strings.IndexByte(in[i:], '>') + 1
				}
			}
			open = append(open, l)
		case ')':
			l := open[len(open)-1]
			open = open[:len(open)-1]
			if l.number == group {
				return l.start, i
			}
		}
	}
	return -1, -1
}

var wordsForm = regexp.MustCompile(`^[A-Za-z0-9-]+(?:\|[A-Za-z0-9-]+)*$`)

// alternatives are the texts that a group may have, where it is nothing but a
// choice of words; else nil.
func (p *pcre) alternatives(group int) []string {
	start, end := p.groupAt(group)
	if start < 0 || !wordsForm.MatchString(p.text[start:end]) {
		return nil
	}
	return strings.Split(strings.ToLower(p.text[start:end]), "|")
}
