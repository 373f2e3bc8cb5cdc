package importer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

const (
	maxApacheCases = 64 // alternatives of one rule's conditions
	maxApacheHosts = 32 // names that a condition on the host is written out to
)

// apCond is a RewriteCond.
type apCond struct {
	at      *apDirective
	test    string
	pattern string
	not     bool
	nocase  bool
	or      bool

	read    *apExpr // the pattern as an expression, once it was asked for
	readErr error
}

// expr is the pattern, or text that stands for it, as an expression.
func (c *apCond) expr(text string, nocase bool) (*apExpr, error) {
	if c.read == nil && c.readErr == nil {
		c.read, c.readErr = newApExpr(text, nocase)
	}
	return c.read, c.readErr
}

// apVars is what is known of the request where conditions are read. The zero
// value knows nothing.
type apVars struct {
	restarted bool    // after an internal redirect
	rewritten bool    // the path is no more that of the request
	uri       *string // REQUEST_URI, where it is known
	file      *string // the URL-path that REQUEST_FILENAME stands for, likewise
	query     *string // QUERY_STRING, likewise
	changed   bool    // the path or the query is no more that of the request, and not known
	dir       string  // the URL of the folder; "" in server context
	matcher   *apMatcher
	groups    []string // what $0 to $9 stand for, where it is known
	back      bool     // %1 to %9 are used
	maps      map[string]*apMap
}

// cases are the ways in which conds hold. Conditions that are joined by OR
// belong together.
func (v *apVars) cases(conds []apCond) ([]apCase, error) {
	out := []apCase{{}}
	for i := 0; i < len(conds); {
		var group []apCase
		for more := true; more && i < len(conds); i++ {
			more = conds[i].or
			ways, err := v.cond(&conds[i])
			if err != nil {
				return nil, &apCondError{&conds[i], err}
			}
			group = append(group, ways...)
		}
		var err error
		if out, err = joinAll(out, mergeOr(group, v.back)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// apCondError says which condition it was.
type apCondError struct {
	cond *apCond
	err  error
}

func (e *apCondError) Error() string { return e.err.Error() }
func (e *apCondError) Unwrap() error { return e.err }

var errFile = errors.New("whether that file is there is not known here")

// cond are the ways in which one condition holds; none where it never does.
func (v *apVars) cond(c *apCond) ([]apCase, error) {
	switch {
	case strings.EqualFold(c.test, "expr"):
		return nil, errors.New("an expression (expr) is not taken over")
	case len(c.pattern) == 2 && c.pattern[0] == '-' && strings.IndexByte("fdslLhxFU", c.pattern[1]) >= 0:
		return v.fileCond(c)
	case c.test == "%{THE_REQUEST}":
		return theRequest(c)
	}
	parts := apSplit(c.test)
	if ways, known, err := v.constant(c, parts); known || err != nil {
		return ways, err
	}
	if len(parts) != 1 {
		return nil, fmt.Errorf("%s compares several things as one text", cut(c.test))
	}
	return v.subject(c, parts[0])
}

// fileCond is a test for a file or folder.
func (v *apVars) fileCond(c *apCond) ([]apCase, error) {
	if strings.IndexByte("FU", c.pattern[1]) >= 0 {
		return nil, errors.New("a lookup of another URL is not known here")
	}
	whole := false
	switch c.test {
	case "%{REQUEST_FILENAME}", "%{SCRIPT_FILENAME}":
		whole = true
		if v.dir == "" {
			if !c.not {
				return nil, nil
			}
			return []apCase{{inexact: "in server context %{REQUEST_FILENAME} is the URL-path, so there is hardly ever such a file: taken as true"}}, nil
		}
	case "%{DOCUMENT_ROOT}%{REQUEST_URI}", "%{DOCUMENT_ROOT}/%{REQUEST_URI}", "%{LA-U:REQUEST_FILENAME}", "%{CONTEXT_DOCUMENT_ROOT}%{REQUEST_URI}":
		whole = true
	case "%{DOCUMENT_ROOT}$1", "%{DOCUMENT_ROOT}/$1":
		whole = v.matcher != nil && v.matcher.expr.allGroup == 1
	}
	switch {
	case whole && v.rewritten && c.not: // what a rewrite leads to is there
		return nil, nil
	case whole && v.rewritten:
		return []apCase{{}}, nil
	case !whole:
		return nil, errFile
	}
	return []apCase{{missing: c.not, exists: !c.not}}, nil
}

// apPart is a piece of a test string or a substitution: text, or a reference.
type apPart struct {
	text string
	kind byte // 0 text, 'v' a variable, '$' and '%' back-references, 'm' a map
	n    int
}

// apSplit takes a text with references apart, as mod_rewrite's do_expand does.
func apSplit(text string) (parts []apPart) {
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			parts = append(parts, apPart{text: b.String()})
			b.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case (c == '$' || c == '%') && i+1 < len(text) && text[i+1] == '{':
			end := closingCurly(text[i+2:])
			if end < 0 {
				b.WriteString(text[i : i+2])
				i++
				continue
			}
			flush()
			kind := byte('v')
			if c == '$' {
				kind = 'm'
			}
			parts = append(parts, apPart{text: text[i+2 : i+2+end], kind: kind})
			i += 2 + end
		case (c == '$' || c == '%') && i+1 < len(text) && '0' <= text[i+1] && text[i+1] <= '9':
			flush()
			parts = append(parts, apPart{kind: c, n: int(text[i+1] - '0')})
			i++
		default:
			b.WriteByte(c)
		}
	}
	flush()
	return parts
}

func closingCurly(text string) int {
	depth := 1
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// value is what a part stands for where only the scheme need be known.
func (v *apVars) value(p apPart, scheme string) (string, bool) {
	switch p.kind {
	case 0:
		return p.text, true
	case '$':
		if v.groups != nil {
			if p.n < len(v.groups) {
				return v.groups[p.n], true
			}
			return "", true
		}
	case 'v':
		switch strings.ToUpper(p.text) {
		case "HTTPS":
			if scheme == "https" {
				return "on", true
			}
			return "off", true
		case "REQUEST_SCHEME":
			return scheme, true
		case "SERVER_PORT":
			if scheme == "https" {
				return "443", true
			}
			return "80", true
		case "ENV:REDIRECT_STATUS":
			if v.restarted {
				return "200", true
			}
			return "", true
		case "IS_SUBREQ":
			return "false", true
		case "REQUEST_URI":
			return deref(v.uri)
		case "REQUEST_FILENAME", "SCRIPT_FILENAME":
			if v.dir == "" {
				return deref(v.file)
			}
		case "QUERY_STRING":
			return deref(v.query)
		}
	}
	return "", false
}

func deref(text *string) (string, bool) {
	if text == nil {
		return "", false
	}
	return *text, true
}

// constant are the ways in which a condition holds that depends on nothing but
// the scheme; false where it depends on more.
func (v *apVars) constant(c *apCond, parts []apPart) (ways []apCase, known bool, err error) {
	var held [2]apCase
	var holds [2]bool
	var values [2]string
	for i, scheme := range [2]string{"http", "https"} {
		for _, p := range parts {
			text, ok := v.value(p, scheme)
			if !ok {
				return nil, false, nil
			}
			values[i] += text
		}
		var groups []string
		if holds[i], groups, err = c.evaluate(values[i]); err != nil {
			return nil, true, err
		}
		held[i] = apCase{scheme: scheme}
		if groups != nil {
			held[i].back = apBack{set: true, consts: groups}
		}
	}
	if holds[0] && holds[1] && (values[0] == values[1] || !v.back) {
		held[0].scheme = ""
		return held[:1], true, nil
	}
	for i := range held {
		if holds[i] {
			ways = append(ways, held[i])
		}
	}
	return ways, true, nil
}

// subjects are the variables that a condition of a rule can look at.
var subjects = map[string]string{
	"HTTP_HOST": "host", "SERVER_NAME": "host", "REQUEST_METHOD": "method", "QUERY_STRING": "query",
	"REQUEST_URI": "path", "HTTP_USER_AGENT": "header:User-Agent", "HTTP_REFERER": "header:Referer",
	"HTTP_COOKIE": "header:Cookie", "HTTP_ACCEPT": "header:Accept", "HTTP_FORWARDED": "header:Forwarded",
	"HTTP_PROXY_CONNECTION": "header:Proxy-Connection",
}

// subject are the ways in which a condition on one reference holds.
func (v *apVars) subject(c *apCond, p apPart) ([]apCase, error) {
	on, known := "", true
	name := strings.ToUpper(p.text)
	switch {
	case p.kind == '$':
		return v.groupCond(c, p.n)
	case p.kind == '%':
		return nil, errors.New("a condition on what an earlier condition matched")
	case p.kind == 'm':
		return nil, errors.New("a condition on a map")
	case strings.HasPrefix(name, "HTTP:") && len(name) > 5:
		on = "header:" + p.text[5:]
		if strings.EqualFold(on, "header:host") {
			on = "host"
		}
	case name == "REQUEST_FILENAME" || name == "SCRIPT_FILENAME":
		return v.filenameCond(c)
	default:
		on, known = subjects[name]
	}
	if !known {
		return nil, fmt.Errorf("%%{%s} is not known here", p.text)
	}
	if v.changed && (on == "query" || on == "path" && v.restarted) {
		return nil, fmt.Errorf("%%{%s} is no more that of the request", p.text)
	}
	return v.on(c, on)
}

// filenameCond compares a file name by an expression.
func (v *apVars) filenameCond(c *apCond) ([]apCase, error) {
	if v.changed || v.file != nil {
		return nil, errFile
	}
	ways, err := v.on(c, "path")
	if err != nil || v.dir == "" {
		return ways, err
	}
	if strings.HasPrefix(c.pattern, "^") {
		return nil, errors.New("the file's name is not known here")
	}
	for i := range ways {
		ways[i].inexact = "%{REQUEST_FILENAME} is the file's name: taken as the URL-path"
	}
	return ways, nil
}

// groupCond is a condition on $1 where that is the path, or its end.
func (v *apVars) groupCond(c *apCond, n int) ([]apCase, error) {
	if v.matcher == nil || v.changed {
		return nil, fmt.Errorf("$%d is not known here", n)
	}
	prefix, ok := v.matcher.tail(n)
	op, operand := c.operator()
	if !ok || op != "" && op != "=" {
		return nil, fmt.Errorf("a condition on $%d, which is a part of the path", n)
	}
	if op == "=" {
		operand = "^" + regexp.QuoteMeta(operand) + "$"
	}
	e, err := newApExpr(operand, c.nocase)
	if err != nil {
		return nil, err
	}
	m, err := e.under(prefix)
	if err != nil {
		return nil, err
	}
	if m.never {
		if c.not {
			return []apCase{{}}, nil
		}
		return nil, nil
	}
	out := apCase{when: m.conditions(false)}
	if c.not {
		return out.negate()
	}
	if e.groups > 0 && !m.isExact {
		out.back = apBack{set: true, when: len(out.when) - 1, groups: e.groups}
	} else {
		out.back = apBack{set: true, consts: e.consts}
	}
	return []apCase{out}, nil
}

// on are the ways in which a condition on a part of the request holds.
func (v *apVars) on(c *apCond, on string) ([]apCase, error) {
	op, operand := c.operator()
	var e *apExpr
	var err error
	switch op {
	case "":
		e, err = c.expr(operand, c.nocase)
	case "=":
		e, err = c.expr("^"+quotePCRE(operand)+"$", c.nocase)
	case "<", "<=", ">", ">=":
		var text string
		if text, err = orderExpr(op, operand, c.nocase); err == nil {
			e, err = c.expr(text, false)
		}
	default:
		return nil, errors.New("a number is compared that is not known here")
	}
	if err != nil {
		return nil, err
	}
	out := apCase{when: e.conditions(on)}
	switch {
	case e.isAll && !v.back:
		out.when = nil
	case on == "host" && (!v.back || e.groups == 0) && len(e.ahead) == 0:
		if hosts, ok := e.texts(maxApacheHosts); ok && validHosts(hosts) {
			out = apCase{hosts: lowerAll(hosts)}
		}
	case on == "host" && e.exact && !e.optSlash && len(e.ahead) == 0 && !c.not && validHosts([]string{e.literal}):
		groups := e.find(strings.ToLower(e.literal))
		return []apCase{{hosts: lowerAll([]string{e.literal}), back: apBack{set: true, consts: groups}}}, nil
	}
	if c.not {
		if out.isTrue() {
			return nil, nil
		}
		return out.negate()
	}
	if op == "" && v.back {
		out.back = e.back(&out)
	}
	return []apCase{out}, nil
}

// back is what %1 refers to after the expression matched.
func (e *apExpr) back(c *apCase) apBack {
	if e.exact && e.consts != nil && !e.optSlash {
		return apBack{set: true, consts: e.consts}
	}
	if len(c.when) == 0 {
		return apBack{set: true, consts: []string{}}
	}
	return apBack{set: true, when: len(c.when) - 1, groups: e.groups}
}

func validHosts(hosts []string) bool {
	for _, h := range hosts {
		if h == "" || strings.Trim(strings.ToLower(h), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" || h[0] == '.' || h[len(h)-1] == '.' || strings.Contains(h, "..") {
			return false
		}
	}
	return len(hosts) > 0
}

func lowerAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = strings.ToLower(t)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// quotePCRE is text as an expression.
func quotePCRE(text string) string { return regexp.QuoteMeta(text) }

// conditions are the expression as conditions on one thing, the one with its
// groups last.
func (e *apExpr) conditions(on string) (out []rule.Condition) {
	for _, a := range e.ahead {
		out = append(out, rule.Condition{On: on, Regexp: foldText(a.text, e.fold), Not: a.not})
	}
	last := rule.Condition{On: on, Regexp: e.goText()}
	switch {
	case e.exact && !e.optSlash && e.literal == "":
		last = rule.Condition{On: on, Empty: true}
	case e.exact && !e.optSlash && on == "host":
		last = rule.Condition{On: on, Equals: strings.ToLower(e.literal)}
	case e.exact && !e.optSlash && !e.fold:
		last = rule.Condition{On: on, Equals: e.literal}
	case e.isSet():
		last = rule.Condition{On: on}
	}
	return append(out, last)
}

// isSet reports whether the expression matches every text but the empty one.
func (e *apExpr) isSet() bool {
	return e.text == "." || e.text == ".+" || e.text == "^.+$" || e.text == "^.+" || e.text == "^."
}

// matches reports whether the expression matches text, lookaheads included.
func (e *apExpr) matches(text string) bool {
	for _, a := range e.ahead {
		if ok, _ := regexp.MatchString(foldText(a.text, e.fold), text); ok == a.not { // compiled before
			return false
		}
	}
	return e.find(text) != nil
}
