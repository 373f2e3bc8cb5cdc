package importer

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// apExpr is a PCRE expression as RE2, and what could be found out about it.
type apExpr struct {
	text   string // RE2, without the lookaheads that follow the first ^
	fold   bool
	groups int
	ahead  []apAhead
	tree   *syntax.Regexp
	re     *regexp.Regexp // once it was asked for

	anchored bool     // begins with ^ in every alternative that can be seen
	exact    bool     // matches exactly one text
	literal  string   // exact: that text; anchored: what it begins with
	optSlash bool     // exact: and one slash at the end may be there or not
	consts   []string // exact: the groups, with the whole as 0
	isAll    bool     // matches every text
	allGroup int      // isAll: the group that is the whole text, or -1; 0 where it is only $0
}

// apAhead is a lookahead right after the first ^.
type apAhead struct {
	text string // anchored
	not  bool
}

// newApExpr reads a PCRE expression as Apache compiles it: bytes, not UTF-8;
// $ only at the very end.
func newApExpr(pcre string, fold bool) (*apExpr, error) {
	if rest, ok := strings.CutPrefix(pcre, "(?i)"); ok {
		pcre, fold = rest, true
	}
	e := &apExpr{fold: fold, allGroup: -1}
	rest, err := e.takeAheads(pcre)
	if err != nil {
		return nil, err
	}
	p, err := translatePCRE(rest, fold)
	if err != nil {
		return nil, err
	}
	e.text, e.groups = p.text, p.groups()
	for i, a := range e.ahead {
		if p, err = translatePCRE(a.text, fold); err != nil {
			return nil, err
		}
		e.ahead[i].text = p.text
	}
	flags := syntax.Perl
	if fold {
		flags |= syntax.FoldCase
	}
	if e.tree, err = syntax.Parse(e.text, flags); err != nil {
		return nil, err
	}
	if e.fold { // translatePCRE has compiled it without
		if e.re, err = regexp.Compile(e.goText()); err != nil {
			return nil, err
		}
	}
	e.study()
	return e, nil
}

// goText is the expression with the case in it.
func (e *apExpr) goText() string { return foldText(e.text, e.fold) }

func foldText(text string, fold bool) string {
	if fold {
		return "(?i)" + text
	}
	return text
}

// find are the groups of the expression in text, nil where it does not match.
func (e *apExpr) find(text string) []string {
	if e.re == nil {
		e.re = regexp.MustCompile(e.goText()) // translatePCRE has compiled it
	}
	return e.re.FindStringSubmatch(text)
}

// takeAheads cuts lookaheads off that follow the first ^.
func (e *apExpr) takeAheads(pcre string) (string, error) {
	rest, ok := strings.CutPrefix(pcre, "^")
	if !ok {
		return pcre, nil
	}
	for strings.HasPrefix(rest, "(?!") || strings.HasPrefix(rest, "(?=") {
		end := closingParen(rest)
		if end < 0 {
			break
		}
		if hasTopBar(rest[end+1:]) {
			return "", errors.New("a lookahead in one of several alternatives")
		}
		e.ahead = append(e.ahead, apAhead{text: "^(?:" + rest[3:end] + ")", not: rest[2] == '!'})
		rest = rest[end+1:]
	}
	if len(e.ahead) > 0 && strings.Contains(rest, "(?=") || strings.Contains(rest, "(?!") {
		return "", fmt.Errorf("%w: lookahead", errPattern)
	}
	return "^" + rest, nil
}

// closingParen is where the group that text begins with ends, or -1.
func closingParen(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '[':
			i = classEnd(text, i)
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// classEnd is where the class that begins at i ends; the end of text where it
// is not closed.
func classEnd(text string, i int) int {
	j := i + 1
	if j < len(text) && text[j] == '^' {
		j++
	}
	if j < len(text) && text[j] == ']' {
		j++
	}
	for ; j < len(text); j++ {
		switch {
		case text[j] == '\\':
			j++
		case strings.HasPrefix(text[j:], "[:"):
			if end := strings.Index(text[j:], ":]"); end > 0 {
				j += end + 1
			}
		case text[j] == ']':
			return j
		}
	}
	return len(text)
}

// hasTopBar reports whether text has alternatives outside of groups.
func hasTopBar(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '[':
			i = classEnd(text, i)
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

// nameGroup gives group n of an expression in RE2's syntax a name, and says
// which one it has. Group 0 is the whole, put into a group of its own.
func nameGroup(text string, n int, name string) (named, has string) {
	const whole = "(?P<whole"
	if n == 0 {
		if strings.HasPrefix(text, whole) {
			return text, text[len("(?P<"):strings.IndexByte(text, '>')]
		}
		return whole + name + ">" + text + ")", "whole" + name
	}
	if strings.HasPrefix(text, whole) {
		n++
	}
	group := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '[':
			i = classEnd(text, i)
		case '(':
			if rest := text[i:]; strings.HasPrefix(rest, "(?") && !strings.HasPrefix(rest, "(?P<") {
				continue
			}
			if group++; group < n {
				continue
			}
			if rest, ok := strings.CutPrefix(text[i:], "(?P<"); ok {
				return text, rest[:strings.IndexByte(rest, '>')]
			}
			return text[:i] + "(?P<" + name + ">" + text[i+1:], name
		}
	}
	return text, ""
}

// apGroupAt is where the text in group n begins and ends; false where there is no
// such group, or it is repeated.
func apGroupAt(text string, n int) (from, to int, ok bool) {
	group := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '[':
			i = classEnd(text, i)
		case '(':
			if strings.HasPrefix(text[i:], "(?") {
				continue
			}
			if group++; group < n {
				continue
			}
			end := closingParen(text[i:])
			if end < 0 || i+end+1 < len(text) && strings.IndexByte("*+?{", text[i+end+1]) >= 0 {
				return 0, 0, false
			}
			return i + 1, i + end, true
		}
	}
	return 0, 0, false
}

// study finds out what is fixed about the expression.
func (e *apExpr) study() {
	nodes := flattenConcat(e.tree)
	e.anchored = len(nodes) > 0 && nodes[0].Op == syntax.OpBeginText || beginsAnchored(e.tree)
	if e.isAll = allText(nodes); e.isAll {
		e.allGroup = allGroup(e.tree)
	}
	if len(nodes) == 0 || nodes[0].Op != syntax.OpBeginText {
		return
	}
	e.literal = e.lower(literalHead(nodes[1:], e.fold))
	e.studyExact(nodes)
}

func (e *apExpr) studyExact(nodes []*syntax.Regexp) {
	last := nodes[len(nodes)-1]
	if last.Op != syntax.OpEndText || len(nodes) < 2 {
		return
	}
	body := nodes[1 : len(nodes)-1]
	if n := len(body); n > 0 && body[n-1].Op == syntax.OpQuest && isLiteral(body[n-1].Sub[0], "/") {
		e.optSlash = true
		body = body[:n-1]
	}
	var text strings.Builder
	for _, n := range body {
		if n.Op != syntax.OpLiteral || folds(n) && !e.fold {
			e.optSlash = false
			return
		}
		text.WriteString(string(n.Rune))
	}
	if e.optSlash && (e.groups > 0 || strings.HasSuffix(text.String(), "/") || text.Len() == 0) {
		e.optSlash = false
		return
	}
	e.exact = true
	e.literal = e.lower(text.String())
	switch {
	case e.groups == 0 && !e.fold:
		e.consts = []string{e.literal}
	case !e.fold:
		e.consts = e.find(e.literal)
	}
}

// lower is text in lower case where the expression ignores case: the parser
// keeps such text in upper case.
func (e *apExpr) lower(text string) string {
	if e.fold {
		return strings.ToLower(text)
	}
	return text
}

func folds(n *syntax.Regexp) bool { return n.Flags&syntax.FoldCase != 0 }

func isLiteral(n *syntax.Regexp, text string) bool {
	return n.Op == syntax.OpLiteral && string(n.Rune) == text
}

// flattenConcat is the sequence of an expression, groups that hold a sequence
// opened.
func flattenConcat(n *syntax.Regexp) (out []*syntax.Regexp) {
	switch n.Op { //nolint:exhaustive // every other one stands for itself
	case syntax.OpEmptyMatch:
		return nil
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range n.Sub {
			out = append(out, flattenConcat(sub)...)
		}
		return out
	}
	return []*syntax.Regexp{n}
}

// beginsAnchored reports whether every alternative begins with ^.
func beginsAnchored(n *syntax.Regexp) bool {
	switch n.Op { //nolint:exhaustive // every other one is not
	case syntax.OpBeginText:
		return true
	case syntax.OpConcat, syntax.OpCapture:
		return len(n.Sub) > 0 && beginsAnchored(n.Sub[0])
	case syntax.OpAlternate:
		return !slices.ContainsFunc(n.Sub, func(s *syntax.Regexp) bool { return !beginsAnchored(s) })
	}
	return false
}

// hasCaret reports whether ^ stands anywhere in n.
func hasCaret(n *syntax.Regexp) bool {
	return n.Op == syntax.OpBeginText || slices.ContainsFunc(n.Sub, hasCaret)
}

// literalHead is the text that a sequence begins with.
func literalHead(nodes []*syntax.Regexp, fold bool) string {
	var b strings.Builder
	for _, n := range nodes {
		if n.Op != syntax.OpLiteral || folds(n) && !fold {
			break
		}
		b.WriteString(string(n.Rune))
	}
	return b.String()
}

// allText reports whether a sequence matches every text: (.*), ^, .* and such.
func allText(nodes []*syntax.Regexp) bool {
	for _, n := range nodes {
		switch n.Op { //nolint:exhaustive // every other one may not match
		case syntax.OpBeginText:
		case syntax.OpStar:
			if sub := n.Sub[0].Op; sub != syntax.OpAnyCharNotNL && sub != syntax.OpAnyChar {
				return false
			}
		case syntax.OpEndText:
			return len(nodes) > 1 && slices.ContainsFunc(nodes, func(n *syntax.Regexp) bool { return n.Op == syntax.OpStar }) || len(nodes) == 1
		default:
			return false
		}
	}
	return true
}

// allGroup is the group of an expression that matches all that holds the whole
// text: 1 in ^(.*)$, 0 in .*, -1 where there is none.
func allGroup(n *syntax.Regexp) int {
	star, group := 0, -1
	var walk func(n *syntax.Regexp, in int)
	walk = func(n *syntax.Regexp, in int) {
		switch n.Op { //nolint:exhaustive // no other one is in it
		case syntax.OpStar:
			star++
			group = in
		case syntax.OpCapture:
			in = n.Cap
		}
		if n.Op == syntax.OpStar {
			return
		}
		for _, sub := range n.Sub {
			walk(sub, in)
		}
	}
	walk(n, 0)
	if star != 1 {
		return -1
	}
	return group
}

// texts are all texts that an expression matches whole, where they are few, in
// lower case where it ignores case.
func (e *apExpr) texts(limit int) ([]string, bool) {
	nodes := flattenTop(e.tree)
	if len(nodes) < 2 || nodes[0].Op != syntax.OpBeginText || nodes[len(nodes)-1].Op != syntax.OpEndText || len(e.ahead) > 0 {
		return nil, false
	}
	out := []string{""}
	for _, n := range nodes[1 : len(nodes)-1] {
		more, ok := nodeTexts(n, limit)
		if !ok || len(out)*len(more) > limit {
			return nil, false
		}
		var next []string
		for _, a := range out {
			for _, b := range more {
				next = append(next, a+b)
			}
		}
		out = next
	}
	for i := range out {
		out[i] = e.lower(out[i])
	}
	slices.Sort(out)
	return slices.Compact(out), true
}

// flattenTop is a sequence, its groups closed.
func flattenTop(n *syntax.Regexp) []*syntax.Regexp {
	if n.Op == syntax.OpConcat {
		return n.Sub
	}
	return []*syntax.Regexp{n}
}

func nodeTexts(n *syntax.Regexp, limit int) (out []string, ok bool) {
	switch n.Op { //nolint:exhaustive // every other one has too many, or is no text
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpLiteral:
		return []string{string(n.Rune)}, true
	case syntax.OpCharClass:
		for i := 0; i < len(n.Rune); i += 2 {
			for c := n.Rune[i]; c <= n.Rune[i+1]; c++ {
				if len(out) >= limit {
					return nil, false
				}
				out = append(out, string(c))
			}
		}
		return out, true
	case syntax.OpCapture:
		return nodeTexts(n.Sub[0], limit)
	case syntax.OpQuest:
		out, ok = nodeTexts(n.Sub[0], limit)
		return append(out, ""), ok
	case syntax.OpAlternate:
		for _, sub := range n.Sub {
			more, ok := nodeTexts(sub, limit)
			if !ok || len(out)+len(more) > limit {
				return nil, false
			}
			out = append(out, more...)
		}
		return out, true
	case syntax.OpConcat:
		out = []string{""}
		for _, sub := range n.Sub {
			more, ok := nodeTexts(sub, limit)
			if !ok || len(out)*len(more) > limit {
				return nil, false
			}
			var next []string
			for _, a := range out {
				for _, b := range more {
					next = append(next, a+b)
				}
			}
			out = next
		}
		return out, true
	}
	return nil, false
}
