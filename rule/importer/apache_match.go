package importer

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/seeother/seeother/rule"
)

// apMatcher is a pattern as it looks at the whole decoded path.
type apMatcher struct {
	expr   *apExpr
	prefix string // what was taken off the path before; "" in server context
	text   string // RE2, for the whole path
	shift  int    // groups that text has before the pattern's own
	whole  bool   // group 1 of text is $0
	exact  string // isExact: the path
	never  bool
	always bool // matches every path that has the prefix
	not    bool

	isExact bool
}

// pathMatcher is a pattern in server context.
func (e *apExpr) pathMatcher() *apMatcher {
	m := &apMatcher{expr: e, text: e.text, always: e.isAll && len(e.ahead) == 0}
	switch {
	case e.anchored && e.literal != "" && e.literal[0] != '/':
		m.never = true
	case e.exact && len(e.ahead) == 0 && (!e.fold || e.groups == 0):
		m.isExact, m.exact = true, e.literal
		m.never = e.literal == ""
	}
	return m
}

var errCaret = errors.New("^ within the expression")

// under is a pattern for what follows prefix, which ends in a slash.
func (e *apExpr) under(prefix string) (*apMatcher, error) {
	m := &apMatcher{expr: e, prefix: prefix, always: e.isAll && len(e.ahead) == 0}
	if e.exact && len(e.ahead) == 0 && (!e.fold || e.groups == 0) {
		m.isExact, m.exact = true, prefix+e.literal
		m.never = strings.HasPrefix(e.literal, "/")
		return m, nil
	}
	quoted := regexp.QuoteMeta(prefix)
	var err error
	switch {
	case strings.HasPrefix(e.text, "^") && !hasTopBar(e.text):
		m.text, err = anchoredUnder(e.text[1:], quoted)
	case !hasCaret(e.tree):
		m.text = unanchoredUnder(e.text, quoted)
	case e.anchored && hasTopBar(e.text):
		m.text, err = barsUnder(e.text, quoted)
	case prefix == "/" && strings.HasPrefix(e.text, "(^|/)") && !hasTopBar(e.text):
		m.text = "(/)" + e.text[len("(^|/)"):]
	case prefix == "/" && strings.HasPrefix(e.text, "(?:^|/)") && !hasTopBar(e.text):
		m.text = "/" + e.text[len("(?:^|/)"):]
	default:
		err = errCaret
	}
	if errors.Is(err, errNever) {
		m.never, err = true, nil
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

var errNever = errors.New("it never matches")

// anchoredUnder is what follows ^ of a pattern, after the prefix. The path has
// no two slashes in a row, so that one that may be there is not.
func anchoredUnder(rest, quoted string) (string, error) {
	if rest, ok := strings.CutPrefix(rest, "/"); ok {
		if rest == "" || strings.IndexByte("?*", rest[0]) < 0 {
			return "", errNever
		}
		return anchoredUnder(rest[1:], quoted)
	}
	if strings.Contains(strings.ReplaceAll(rest, `\^`, ""), "^") && hasInnerCaret("^"+rest) {
		return "", errCaret
	}
	return "^" + quoted + rest, nil
}

// hasInnerCaret reports whether ^ stands anywhere but at the start.
func hasInnerCaret(text string) bool {
	tree, err := syntax.Parse(text[1:], syntax.Perl)
	return err != nil || hasCaret(tree)
}

func unanchoredUnder(text, quoted string) string {
	switch {
	case text == "":
		return "^" + quoted
	case !hasTopBar(text) && (strings.HasPrefix(text, ".") || strings.HasPrefix(text, "(.*") || strings.HasPrefix(text, "(.+")):
		return "^" + quoted + text // the first match begins at the start
	case hasTopBar(text):
		text = "(?:" + text + ")"
	}
	return "^" + quoted + ".*?" + text
}

// barsUnder is an expression whose every alternative begins with ^.
func barsUnder(text, quoted string) (string, error) {
	var ways []string
	for _, way := range splitBars(text) {
		if !strings.HasPrefix(way, "^") {
			return "", errCaret
		}
		out, err := anchoredUnder(way[1:], quoted)
		if err != nil {
			return "", err
		}
		ways = append(ways, out)
	}
	return strings.Join(ways, "|"), nil
}

// splitBars are the alternatives outside of groups.
func splitBars(text string) (ways []string) {
	for {
		depth, cut := 0, -1
		for i := 0; i < len(text) && cut < 0; i++ {
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
					cut = i
				}
			}
		}
		if cut < 0 {
			return append(ways, text)
		}
		ways, text = append(ways, text[:cut]), text[cut+1:]
	}
}

// conditions are the matcher as conditions on the path, the one with the groups
// last.
func (m *apMatcher) conditions(not bool) (out []rule.Condition) {
	out = m.aheads()
	switch {
	case m.isExact && !m.expr.fold && !m.expr.optSlash:
		return append(out, rule.Condition{On: "path", Equals: m.exact, Not: not})
	case m.isExact:
		text := "^" + regexp.QuoteMeta(m.exact)
		if m.expr.optSlash {
			text += "/?"
		}
		return append(out, rule.Condition{On: "path", Regexp: foldText(text+"$", m.expr.fold), Not: not})
	case m.always && m.prefix == "" && !not:
		return out
	case m.always:
		return append(out, rule.Condition{On: "path", Regexp: "^" + regexp.QuoteMeta(m.prefix), Not: not})
	}
	return append(out, rule.Condition{On: "path", Regexp: foldText(m.text, m.expr.fold), Not: not})
}

// aheads are the lookaheads.
func (m *apMatcher) aheads() (out []rule.Condition) {
	for _, a := range m.expr.ahead {
		text := a.text
		if m.prefix != "" {
			text = "^" + regexp.QuoteMeta(m.prefix) + strings.TrimPrefix(text, "^")
		}
		out = append(out, rule.Condition{On: "path", Regexp: foldText(text, m.expr.fold), Not: a.not})
	}
	return out
}

// asCases is the matcher as ways in which conditions hold.
func (m *apMatcher) asCases() ([]apCase, error) {
	if m.never {
		if m.not {
			return []apCase{{}}, nil
		}
		return nil, nil
	}
	c := apCase{when: m.conditions(false)}
	if !m.not {
		return []apCase{c}, nil
	}
	if c.isTrue() {
		return nil, nil
	}
	return c.negate()
}

// tail reports whether $n is the path, or all that follows some text in it, and
// which text.
func (m *apMatcher) tail(n int) (prefix string, ok bool) {
	if m.not || len(m.expr.ahead) > 0 {
		return "", false
	}
	if m.always && m.expr.allGroup == n {
		return m.prefix, true
	}
	nodes := flattenTop(m.expr.tree)
	if len(nodes) < 2 || nodes[0].Op != syntax.OpBeginText {
		return "", false
	}
	nodes = nodes[1:]
	text := ""
	if nodes[0].Op == syntax.OpLiteral && !folds(nodes[0]) {
		text, nodes = string(nodes[0].Rune), nodes[1:]
	} else if nodes[0].Op == syntax.OpQuest && isLiteral(nodes[0].Sub[0], "/") && m.prefix == "" {
		text, nodes = "/", nodes[1:] // a path has its slash
	}
	if len(nodes) == 2 && nodes[1].Op == syntax.OpEndText {
		nodes = nodes[:1]
	}
	if len(nodes) != 1 || nodes[0].Op != syntax.OpCapture || nodes[0].Cap != n || !allText(flattenConcat(nodes[0])) {
		return "", false
	}
	prefix = m.prefix + text
	return prefix, prefix == "" || strings.HasSuffix(prefix, "/")
}

// mayMatch reports whether the pattern could match a text that begins with head
// and of which no more is known.
func (m *apMatcher) mayMatch(head string) bool { return m.not || m.expr.mayMatch(head) }

func (e *apExpr) mayMatch(head string) bool {
	literal := e.literal
	if !e.anchored || literal == "" {
		return true
	}
	if e.fold {
		head = strings.ToLower(head)
	}
	if e.exact && !e.optSlash && len(literal) < len(head) {
		return false
	}
	n := min(len(head), len(literal))
	return head[:n] == literal[:n]
}

// theRequest takes a condition on the request line apart: method, path and
// query. The line holds the path as it came.
func theRequest(c *apCond) ([]apCase, error) {
	if op, _ := c.operator(); op != "" {
		return nil, errors.New("a comparison with the whole request line")
	}
	method, rest, ok := cutMethod(c.pattern)
	if !ok {
		return nil, errRequestLine
	}
	path, query, ok := cutRequestPath(rest)
	if !ok {
		return nil, errRequestLine
	}
	out := apCase{inexact: "%{THE_REQUEST} holds the path as it came: compared with the decoded one"}
	for _, part := range [...]struct{ on, pattern string }{{"method", method}, {"path", path}} {
		if part.pattern == "" {
			continue
		}
		e, err := newApExpr(part.pattern, c.nocase)
		if err != nil {
			return nil, err
		}
		if e.groups > 0 {
			out.back = apBack{set: true, when: len(out.when) + len(e.ahead), groups: e.groups}
		}
		out.when = append(out.when, e.conditions(part.on)...)
		if e.exact && e.consts != nil {
			out.back.consts = e.consts
		}
	}
	switch query {
	case "none":
		out.when = append(out.when, rule.Condition{On: "query", Empty: true})
	case "some":
		out.when = append(out.when, rule.Condition{On: "query"})
	}
	if c.not {
		return out.negate()
	}
	return []apCase{out}, nil
}

var errRequestLine = errors.New("an expression for the whole request line that cannot be split into method, path and query")

var (
	anyMethod  = regexp.MustCompile(`^\^?(?:\[A-Z\](?:\{[0-9,]+\}|[+*])|\\[wS][+*]|\.[*+]|\[\^ \]\+|\(\.\*\))?(?:\\s\+?|\\ | |\[ \]\+?|\[\\s\]\+?)`)
	someMethod = regexp.MustCompile(`^\^(\(?(?:\?:)?[A-Z|]+\)?)(?:\\s\+?|\\ | )`)
	pathEnd    = regexp.MustCompile(`(?:\\s|\\ | |\[\\s\?\]|\[\?\\s\]|\[ \?\]|\[\? \]|\\\?|\(\?:\\s\|\\\?\)|\(\?:\\\?\|\\s\)|\(\\\?\|\\s\)|\(\\s\|\\\?\)|\[\\ \?\]|\[\?\\ \])`)
)

// cutMethod takes the method and the space after it off. What follows must
// begin with a slash.
func cutMethod(pattern string) (method, rest string, ok bool) {
	if m := someMethod.FindStringSubmatch(pattern); m != nil {
		method, rest = "^"+m[1]+"$", pattern[len(m[0]):]
	} else if m := anyMethod.FindString(pattern); m != "" {
		rest = pattern[len(m):]
	} else {
		return "", "", false
	}
	for {
		switch {
		case strings.HasPrefix(rest, "/+"):
			rest = "/" + rest[2:]
		case strings.HasPrefix(rest, "/*"):
			return "", "", false
		default:
			return method, rest, strings.HasPrefix(rest, "/")
		}
	}
}

// cutRequestPath splits what follows the method into the path's expression and
// whether there is a query.
func cutRequestPath(rest string) (path, query string, ok bool) {
	at := pathEnd.FindStringIndex(rest)
	if at == nil {
		if strings.Contains(rest, "$") {
			return "", "", false
		}
		return "^" + rest, "", apBalanced(rest)
	}
	end, tail := rest[at[0]:at[1]], rest[at[1]:]
	path = "^" + rest[:at[0]] + "$"
	if !apBalanced(rest[:at[0]]) {
		return "", "", false
	}
	switch end {
	case `\s`, `\ `, " ":
		query = "none"
		tail = strings.TrimPrefix(strings.TrimPrefix(tail, "+"), `HTTP`)
		ok = tail == "" || strings.Trim(tail, `/1.0\[]+dH$`) == ""
	case `\?`:
		query, ok = "some", tail == ""
	default:
		ok = tail == "" || tail == `.*` || tail == `.*$`
	}
	return path, query, ok
}

// apBalanced reports whether every group that text opens is closed in it.
func apBalanced(text string) bool {
	_, err := syntax.Parse(text, syntax.Perl)
	return err == nil && !hasTopBar(text)
}
