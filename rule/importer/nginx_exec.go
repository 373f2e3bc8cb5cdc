package importer

import (
	"fmt"
	"strings"
)

// Bounds of what is followed.
const (
	maxNginxCycles = 10 // rewrites that find another location, as nginx has it
	maxNginxCases  = 30_000
)

var errCases = fmt.Errorf("more than %d cases that have to be told apart: %w", maxNginxCases, ErrTooLarge)

// nginxExec follows requests through a configuration, all at a time: where a
// condition tells them apart, first those for which it holds, and then the
// others. Each way ends in a rule, so that of a rule's conditions none has to
// be negated: whoever meets the conditions of an earlier way is gone.
type nginxExec struct {
	o     *Options
	res   *Result
	out   *nginxOutput
	maps  map[string]*nginxMap
	set   map[string]bool // variables that some set directive sets
	plain bool            // no server has TLS
	name  string          // of the file
	lines int             // of all maps

	at    nginxPlace
	noted map[nginxNoted]bool
	// visited are the locations whose directives were followed.
	visited map[*nginxLocation]bool
	cases   int
	depth   int
	err     error
}

// nginxPlace is where in the file the followed directive stands.
type nginxPlace struct {
	file         *nginxFile
	line, column int
}

type nginxNoted struct {
	nginxPlace
	reason string
}

func (x *nginxExec) stopped() bool { return x.err != nil }

func (x *nginxExec) stop(err error) {
	if x.err == nil {
		x.err = err
	}
}

// note says something of the directive that is followed, once.
func (x *nginxExec) note(kind NoteKind, reason string) {
	x.noteAt(x.at, kind, reason)
}

func (x *nginxExec) noteAt(at nginxPlace, kind NoteKind, reason string) {
	key := nginxNoted{at, reason}
	if x.noted[key] || at.file == nil {
		return
	}
	x.noted[key] = true
	x.res.note(Note{
		File: at.file.name, Line: at.line, Column: at.column, Text: at.file.lineText(at.line),
		Kind: kind, Reason: reason, Nearest: x.res.Count,
	})
}

func (d *nginxDirective) place() nginxPlace { return nginxPlace{d.file, d.line, d.column} }

// run follows the directives of the rewrite module. next gets who comes
// through, and end whom "last" or "break" takes out.
func (x *nginxExec) run(list []*nginxDirective, s *nginxState, next, end then) {
	if x.stopped() {
		return
	}
	if len(list) == 0 {
		next(s)
		return
	}
	d, rest := list[0], list[1:]
	x.at = d.place()
	onward := func(s *nginxState) { x.run(rest, s, next, end) }
	switch d.name {
	case "return":
		x.doReturn(d, s)
	case "break":
		c := s.clone()
		c.changed = false
		end(c)
	case "set":
		x.doSet(d, s, onward)
	case "if":
		x.doIf(d, s, func(s *nginxState) { x.run(d.block, s, onward, end) }, onward)
	case "rewrite":
		x.doRewrite(d, s, onward, end)
	default:
		x.doOther(d)
		onward(s)
	}
}

// doOther is for directives of other modules that stand between.
func (x *nginxExec) doOther(d *nginxDirective) {
	if reason := beyondRewrite(d); reason != "" {
		x.noteAt(d.place(), Dropped, reason)
	}
}

func (x *nginxExec) doSet(d *nginxDirective, s *nginxState, onward then) {
	x.expand(s, d.arg(1), func(s *nginxState, v nginxPieces) {
		onward(s.set(strings.ToLower(strings.TrimPrefix(d.arg(0), "$")), v.quoted(s.quote)))
	})
}

// quoted marks captures that nginx escapes when a variable is set with them.
func (v nginxPieces) quoted(quote bool) nginxPieces {
	if !quote {
		return v
	}
	out := make(nginxPieces, len(v))
	for i, p := range v {
		p.escaped = p.escaped || p.source == nginxCapture
		out[i] = p
	}
	return out
}

func (x *nginxExec) doReturn(d *nginxDirective, s *nginxState) {
	status, text, hasText, ok := parseReturn(d)
	switch {
	case !ok:
		x.note(Dropped, "a return without a status that counts")
		x.pass(s)
	case status == 410:
		x.leaf(s, 410, nil, queryOfReturn)
	case !isRedirect(status):
		if status >= 400 && status != 404 && status != 444 || status < 300 {
			x.note(Changed, fmt.Sprintf("the answer %d stays with the app: the rule lets the request pass", status))
		}
		x.pass(s)
	case !hasText:
		x.note(Dropped, fmt.Sprintf("a %d without a target", status))
		x.pass(s)
	default:
		x.expand(s, text, func(s *nginxState, v nginxPieces) {
			x.at = d.place()
			x.leaf(s, status, v, queryOfReturn)
		})
	}
}

func parseReturn(d *nginxDirective) (status int, text string, hasText, ok bool) {
	first := d.arg(0)
	if isURL(first) {
		return 302, first, true, len(d.args) == 1
	}
	_, err := fmt.Sscanf(first, "%d", &status)
	return status, d.arg(1), len(d.args) > 1, err == nil
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "$scheme")
}

func isRedirect(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// doRewrite follows a rewrite: who matches is redirected, or goes on with
// another URI.
func (x *nginxExec) doRewrite(d *nginxDirective, s *nginxState, onward, end then) {
	re, err := translateGuarded(d.arg(0), false)
	if err != nil {
		x.note(Dropped, err.Error())
		onward(s.uncaptured())
		return
	}
	v, c := s.matches(re)
	switch v {
	case always, maybe:
		x.rewritten(d, c, re, onward, end)
	case unsure:
		x.note(Dropped, "it cannot be said which requests match after a rewrite before: they pass")
		x.pass(s)
		return
	case never:
	}
	if v != always {
		x.at = d.place()
		onward(s.uncaptured())
	}
}

func (x *nginxExec) rewritten(d *nginxDirective, s *nginxState, re *pcre, onward, end then) {
	replacement, flag := d.arg(1), d.arg(2)
	replacement, drop := strings.CutSuffix(replacement, "?")
	status := 0
	switch {
	case flag == "permanent":
		status = 301
	case flag == "redirect", isURL(replacement):
		status = 302
	}
	if status > 0 {
		x.expand(s, replacement, func(s *nginxState, v nginxPieces) {
			x.at = d.place()
			v, query := s.redirectArgs(v.unescaped(), drop)
			x.leaf(s, status, v, query)
		})
		return
	}
	path, args, hasArgs := strings.Cut(replacement, "?")
	x.expand(s, path, func(s *nginxState, uri nginxPieces) {
		x.expand(s, args, func(s *nginxState, more nginxPieces) {
			c := s.rewriteTo(uri, re)
			c.args = s.newArgs(more, hasArgs, drop)
			c.internal, c.changed, c.quote = true, flag != "break", false
			if flag == "last" || flag == "break" {
				end(c)
			} else {
				onward(c)
			}
		})
	})
}

// redirectArgs adds $args to the target of a rewrite, or says that the rule does.
func (s *nginxState) redirectArgs(v nginxPieces, drop bool) (nginxPieces, nginxQueryMode) {
	if drop || len(s.args) == 0 {
		return v, queryOfReturn
	}
	if len(s.args) == 1 && s.args[0].source == nginxQuery {
		return v, queryOfRewrite
	}
	mark := "?"
	for _, p := range v {
		if p.source == nginxText && strings.Contains(p.text, "?") {
			mark = "&"
		}
	}
	return v.join(nginxPiece{text: mark}).join(s.args...), queryOfReturn
}

// newArgs is $args after a rewrite.
func (s *nginxState) newArgs(more nginxPieces, hasArgs, drop bool) nginxPieces {
	switch {
	case drop:
		return more
	case !hasArgs:
		return s.args
	case len(s.args) == 0:
		return more
	}
	if text, ok := s.args.literal(); ok {
		return more.join(nginxLiteral("&" + text)...)
	}
	if len(s.args) == 1 && s.args[0].source == nginxQuery {
		return more.join(nginxPiece{source: nginxAndQuery})
	}
	if s.args.head() != "" {
		return more.join(nginxLiteral("&").join(s.args...)...)
	}
	return nginxPieces{{source: nginxUnknown, text: "$args after a rewrite that adds to it"}}
}

// rewriteTo sets the current URI.
func (s *nginxState) rewriteTo(uri nginxPieces, re *pcre) *nginxState {
	c := s.clone()
	if text, ok := uri.literal(); ok {
		c.uri = nginxURI{kind: uriConstant, text: text}
		return c
	}
	c.uri = nginxURI{kind: uriTemplate, pieces: uri}
	last := uri[len(uri)-1]
	switch {
	case len(uri) > 2 || len(uri) == 2 && uri[0].source != nginxText:
	case last.source == nginxDecodedPath:
		c.uri.kind, c.uri.text = uriMoved, uri.head()
	case last.source == nginxCapture && last.of.on == onPath && last.of.op == opRegexp && last.group == last.of.re.groups():
		if cut, ok := last.of.re.moves(); ok {
			c.uri.kind, c.uri.text, c.uri.cut = uriMoved, uri.head(), cut
		}
	}
	return c
}

// doIf tells requests apart.
func (x *nginxExec) doIf(d *nginxDirective, s *nginxState, yes, no then) {
	cond, ok := parseNginxIf(d.args)
	if !ok {
		x.note(Dropped, "a condition that nginx does not take either")
		no(s)
		return
	}
	inside := func(s *nginxState) {
		c := s.clone()
		c.inIf = true
		yes(c)
	}
	if cond.file != "" {
		x.askFile(d, s, cond, inside, no)
		return
	}
	x.expand(s, "$"+cond.variable, func(s *nginxState, v nginxPieces) {
		if reason := v.unknown(); reason != "" {
			x.at = d.place()
			x.noteBranch(d, reason)
			no(s)
			return
		}
		x.compare(d, s, v, cond, inside, no)
	})
}

func (x *nginxExec) compare(d *nginxDirective, s *nginxState, v nginxPieces, cond *nginxCondition, yes, no then) {
	x.at = d.place()
	q := nginxQuestion{op: opIsTrue}
	afterwards := s
	switch cond.operator {
	case "=", "!=":
		x.expand(s, cond.operand, func(s *nginxState, text nginxPieces) {
			operand, ok := text.literal()
			if !ok {
				x.note(Dropped, "a comparison of two things that the request says")
				no(s)
				return
			}
			x.decide(d, s, s, v, nginxQuestion{op: opEquals, text: operand}, cond.operator == "!=", yes, no)
		})
		return
	case "~", "~*", "!~", "!~*":
		re, err := translateGuarded(cond.operand, strings.HasSuffix(cond.operator, "*"))
		if err != nil {
			x.note(Dropped, err.Error())
			no(s.uncaptured())
			return
		}
		q = nginxQuestion{op: opRegexp, re: re}
		afterwards = s.uncaptured()
	}
	x.decide(d, s, afterwards, v, q, strings.HasPrefix(cond.operator, "!"), yes, no)
}

// decide follows both ways. other is the state of requests for which the
// question is not true.
func (x *nginxExec) decide(d *nginxDirective, s, other *nginxState, v nginxPieces, q nginxQuestion, not bool, yes, no then) {
	if not {
		yes, no = no, yes
	}
	var got []*nginxState
	all := x.ask(s, v, q, func(s *nginxState) { got = append(got, s) })
	if not && !all && len(got) == 1 {
		if body, rest := opposite(s, got[0]); body != nil {
			body.captures = other.captures
			no(body)
			yes(rest)
			return
		}
	}
	for _, s := range got {
		yes(s)
	}
	if !all {
		x.at = d.place()
		no(other)
	}
}

// opposite gives a state for the requests that are not in t but in s, where a
// rule can say that, and one that may have any of s, for the requests of t when
// the others are gone.
func opposite(s, t *nginxState) (body, rest *nginxState) {
	if len(t.tests) == len(s.tests) && t.scheme != s.scheme && len(t.hosts) == len(s.hosts) {
		body, rest = s.clone(), t.clone()
		body.scheme = map[string]string{"http": "https", "https": "http"}[t.scheme]
		return body, rest
	}
	if len(t.tests) == len(s.tests) && t.scheme == s.scheme && len(t.hosts) == 1 && s.onlyWildcards() {
		body = s.with(&nginxTest{on: onHost, op: opEquals, text: t.hosts[0], not: true})
		body.reasons = t.reasons
		return body, t
	}
	if len(t.tests) != len(s.tests)+1 || t.scheme != s.scheme || len(t.hosts) != len(s.hosts) {
		return nil, nil
	}
	added := *t.tests[len(t.tests)-1]
	switch added.on {
	case onHost, onMethod, onQuery, onArg, onHeader, onCookie:
	default:
		return nil, nil
	}
	added.not = !added.not
	body, rest = s.with(&added), t.clone()
	body.reasons = t.reasons
	if added.re == nil || added.re.groups() == 0 {
		rest.tests = s.tests
	}
	return body, rest
}

func (s *nginxState) onlyWildcards() bool {
	for _, h := range s.hosts {
		if !strings.HasPrefix(h, "*") {
			return false
		}
	}
	return true
}

// nginxCondition is what stands in the parentheses of an if.
type nginxCondition struct {
	variable, operator, operand string
	file                        string // "-f", "!-e", and the like
}

func parseNginxIf(args []nginxWord) (*nginxCondition, bool) {
	var words []string
	for i, a := range args {
		text := a.text
		if i == 0 {
			text = strings.TrimPrefix(text, "(")
		}
		if i == len(args)-1 {
			text = strings.TrimSuffix(text, ")")
		}
		if text != "" || a.quoted {
			words = append(words, text)
		}
	}
	if len(words) == 0 {
		return nil, false
	}
	if name, ok := strings.CutPrefix(words[0], "$"); ok && len(words) == 1 {
		return &nginxCondition{variable: name}, true
	} else if ok && len(words) == 3 {
		return &nginxCondition{variable: name, operator: words[1], operand: words[2]}, isOperator(words[1])
	}
	if first := strings.TrimPrefix(words[0], "!"); len(words) == 2 && len(first) == 2 && first[0] == '-' {
		return &nginxCondition{file: words[0], operand: words[1]}, true
	}
	return nil, false
}

func isOperator(text string) bool {
	switch text {
	case "=", "!=", "~", "~*", "!~", "!~*":
		return true
	}
	return false
}

// askFile is for conditions on files, which the app has and a gateway has not:
// none is there, unless the app says so.
func (x *nginxExec) askFile(d *nginxDirective, s *nginxState, cond *nginxCondition, yes, no then) {
	if !strings.HasPrefix(cond.file, "!") {
		x.noteBranch(d, "a file of that name counts as not there")
		no(s)
		return
	}
	if bearsOnRedirects(d.block) {
		s = s.because("the app is asked whether it has something there, not the disk")
	}
	c := s.clone()
	c.missing = true
	yes(c)
}

// noteBranch notes an if whose block is left out, where that matters.
func (x *nginxExec) noteBranch(d *nginxDirective, reason string) {
	if bearsOnRedirects(d.block) {
		x.noteAt(d.place(), Dropped, reason)
	}
}

// bearsOnRedirects reports whether what is in a block decides about redirects.
func bearsOnRedirects(block []*nginxDirective) bool {
	for _, d := range block {
		switch d.name {
		case "return", "rewrite", "set", "break":
			return true
		case "if":
			if bearsOnRedirects(d.block) {
				return true
			}
		}
	}
	return false
}

// beyondRewrite is why a directive may redirect in a way that is not taken
// over, or "".
func beyondRewrite(d *nginxDirective) string {
	switch {
	case strings.Contains(d.name, "_by_lua"), d.name == "js_content", d.name == "perl":
		return "code that may redirect"
	case d.name == "server_name_in_redirect" && d.arg(0) == "on":
		return "a target without a host stays on the host of the request"
	case d.name == "merge_slashes" && d.arg(0) == "off":
		return "slashes are merged when paths are compared"
	case d.name == "error_page" && redirectsErrors(d):
		return "a redirect in place of an error"
	}
	return ""
}

func redirectsErrors(d *nginxDirective) bool {
	for _, a := range d.args {
		if code, ok := strings.CutPrefix(a.text, "="); ok && len(code) == 3 && code[0] == '3' || isURL(a.text) {
			return true
		}
	}
	return false
}
