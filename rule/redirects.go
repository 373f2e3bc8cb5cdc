package rule

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The format of Netlify's _redirects, as @netlify/redirect-parser reads it and
// Netlify's documents say it works:
//
//	from [k=v ...] to [status[!]] [Country=..|Language=..|Role=..|Cookie=..] [# comment]
//
// The first rule that matches wins. Without a status it is 301. Without "!" a
// page that is there goes before the rule. A slash at the end of the path does
// not matter. A rule that would lead to where the request already is does not
// match.

// redirectsParser reads _redirects.
type redirectsParser struct {
	*reader
	layout layout

	tokens   []token
	comment  string
	captures []capture // of the rule at hand
}

// token is a part of a line between white space.
type token struct {
	start, end int
	special    bool // has one of the bytes that mean something, or is not ASCII
}

// Classes of bytes in a line.
const (
	isBlank byte = 1 << iota
	isSpecial
	isWide
)

var redirectsClass = func() (class [256]byte) {
	for _, c := range " \t\v\f\r" {
		class[c] = isBlank
	}
	for _, c := range ":*?#{}" {
		class[c] = isSpecial
	}
	for c := 0x80; c < 0x100; c++ {
		class[c] = isSpecial | isWide
	}
	return class
}()

func (p *redirectsParser) line(text string) error {
	p.cut(text)
	if len(p.tokens) == 0 {
		return nil
	}
	p.records++
	return p.rule(text)
}

// cut splits a line into tokens, up to a comment.
func (p *redirectsParser) cut(text string) { p.tokens, p.comment = cutRedirects(p.tokens[:0], text) }

func cutRedirects(tokens []token, text string) (_ []token, comment string) {
	for i := 0; i < len(text); i++ {
		class := redirectsClass[text[i]]
		if class&isBlank != 0 {
			continue
		}
		if text[i] == '#' {
			return tokens, strings.TrimSpace(text[i+1:])
		}
		start := i
		for i++; i < len(text) && redirectsClass[text[i]]&isBlank == 0; i++ {
			class |= redirectsClass[text[i]]
		}
		if class&isWide == 0 {
			tokens = append(tokens, token{start, i, class&isSpecial != 0})
			continue
		}
		var rest string
		var found bool
		if tokens, rest, found = cutWide(tokens, text, start, i); found {
			return tokens, rest
		}
	}
	return tokens, ""
}

// cutWide splits at white space that is not ASCII, such as the no-break space.
func cutWide(tokens []token, text string, start, end int) (_ []token, comment string, found bool) {
	for start < end {
		if n := strings.IndexFunc(text[start:end], func(c rune) bool { return !isWhite(c) }); n >= 0 {
			start += n
		} else {
			break
		}
		if text[start] == '#' {
			return tokens, strings.TrimSpace(text[start+1:]), true
		}
		stop := end
		if n := strings.IndexFunc(text[start:end], isWhite); n >= 0 {
			stop = start + n
		}
		tokens = append(tokens, token{start, stop, true})
		start = stop
	}
	return tokens, "", false
}

// isWhite is what \s is in JavaScript.
func isWhite(c rune) bool { return unicode.IsSpace(c) && c != 0x85 || c == '\ufeff' }

// parts says which token is what.
type parts struct {
	query      []token
	to, status int // -1: there is none
	conditions []token
}

// split finds the target: the first token after from that begins with a slash,
// http:// or https://. "/x/* 200" has none.
func split(tokens []token, text string) (p parts, ok bool) {
	if _, _, isStatus := cutStatus(tokens[1].text(text)); isStatus {
		return parts{to: -1, status: 1, conditions: tokens[2:]}, true
	}
	for i := 1; i < len(tokens); i++ {
		if !isDestination(tokens[i].text(text)) {
			continue
		}
		p = parts{query: tokens[1:i], to: i, status: -1}
		if i+1 < len(tokens) {
			p.status, p.conditions = i+1, tokens[i+2:]
		}
		return p, true
	}
	return p, false
}

func (t token) text(line string) string { return line[t.start:t.end] }

func isDestination(s string) bool { return s[0] == '/' || isURL(s) }

func isURL(s string) bool { return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") }

// cutStatus reads "301" and "301!".
func cutStatus(s string) (status int, force, ok bool) {
	digits, force := strings.CutSuffix(s, "!")
	if len(digits) != 3 || digits[0] < '1' || digits[0] > '9' {
		return 0, false, false
	}
	status, err := strconv.Atoi(digits)
	return status, force, err == nil
}

func (p *redirectsParser) rule(text string) error {
	if len(p.tokens) < 2 {
		p.fail("bad-line", p.tokens[0].start+1, "there is no target: want a path and where it leads", "")
		return nil
	}
	parts, ok := split(p.tokens, text)
	if !ok {
		p.fail("bad-line", p.tokens[1].start+1, "there is no target: want one that begins with a slash, http:// or https://", "")
		return nil
	}
	status, force := 301, false
	if parts.status >= 0 {
		word := p.tokens[parts.status].text(text)
		if status, force, ok = cutStatus(word); !ok {
			p.fail("bad-status", p.tokens[parts.status].start+1, fmt.Sprintf("status %q: want three digits, and ! to go before a page that is there", word), "")
			return nil
		}
	}
	if parts.to < 0 && (status/100 != 2 || !strings.HasSuffix(p.tokens[0].text(text), "/*")) {
		p.fail("bad-line", p.tokens[parts.status].start+1, "there is no target: want one before the status", "")
		return nil
	}
	if p.tokens[0].special || len(p.tokens) > 3 {
		text = strings.Clone(text) // the table may keep parts of it, and not the whole block
	}
	s := p.slot(text, &p.layout)
	s.rule.Note = p.comment
	s.rule.Status, s.rule.Missing = status, !force
	p.captures = p.captures[:0]
	if !p.from(s, text) || !p.conditions(s, text, parts.conditions) {
		return nil
	}
	if len(parts.query) > 0 {
		p.query(s, text, parts.query)
	}
	return p.finish(s, text, parts)
}

// finish takes the target, and adds the rule.
func (p *redirectsParser) finish(s *slot, text string, parts parts) error {
	r := &s.rule
	switch {
	case r.Status == 410:
		p.find("page-not-sent", Info, p.at, p.tokens[parts.to].start+1, "410 is sent without the page that the line names", "")
		return p.add()
	case !slices.Contains(statuses, r.Status):
		p.rewrite(r, text, parts)
		r.Status, r.Intent, r.Missing = 0, Pass, false
		return p.add()
	}
	t := p.tokens[parts.to]
	r.Target = t.text(text)
	if t.special {
		var unknown string
		if r.Target, unknown = p.target(r.Target); unknown != "" {
			p.fail("unknown-placeholder", t.start+1, fmt.Sprintf("placeholder %s: neither the path nor a parameter has it", unknown),
				"a placeholder of the path is a whole segment; a colon that is meant as such is written %3A")
			return nil
		}
	}
	if returns(r) {
		p.warn("self-redirect", t.start+1, "the target is the path itself; as with Netlify, the line does nothing", "delete it")
		return nil
	}
	return p.add()
}

// rewrite warns of a line that answers without a redirect, unless it is one
// that serves the path itself.
func (p *redirectsParser) rewrite(r *Rule, text string, parts parts) {
	if parts.to < 0 || r.Status == 200 && servesItself(p.tokens[0].text(text), p.tokens[parts.to].text(text)) {
		return
	}
	what := "a rewrite, a proxy or an error page and not a redirect"
	if r.Status/100 == 3 {
		what = "no redirect that is sent here"
	}
	p.warn("not-a-redirect", p.tokens[parts.status].start+1,
		fmt.Sprintf("%d with a target is %s: these requests pass to the app", r.Status, what), "let the app do it")
}

// servesItself reports whether a rewrite goes from a path to the same.
func servesItself(from, to string) bool {
	if isURL(from) {
		_, rest, _ := strings.Cut(from, "://")
		from = rest[max(strings.IndexByte(rest, '/'), 0):]
	}
	from, below := strings.CutSuffix(from, "/*")
	to, splat := strings.CutSuffix(to, "/:splat")
	return below == splat && trimSlash(from) == trimSlash(to)
}

// from takes the path, or the URL, that a line is for.
func (p *redirectsParser) from(s *slot, text string) bool {
	t := p.tokens[0]
	from := t.text(text)
	r := &s.rule
	if isURL(from) {
		scheme, rest, _ := strings.Cut(from, "://")
		r.Scheme = scheme
		r.Hosts = []string{""}
		if r.Hosts[0], from = p.authority(rest, t.start+1); r.Hosts[0] == "" {
			return false
		}
	}
	if from[0] != '/' {
		p.warn("no-slash", t.start+1, fmt.Sprintf("path %q has no slash at its start: as with Netlify, it counts as /%s", from, from), "write the slash")
		from = "/" + from
	}
	r.Path, r.IgnoreSlash = from, true
	if t.special {
		return p.pattern(r, from, t.start+1)
	}
	return true
}

// authority splits "host:port/path?query" of a URL. The port and the query do
// not count.
func (p *redirectsParser) authority(rest string, column int) (host, path string) {
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, path = strings.ToLower(rest[:end]), rest[end:]
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		p.warn("port-ignored", column, fmt.Sprintf("the port of %q does not count: rules are for hosts", host), "leave it out")
		host = host[:i]
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		p.warn("query-ignored", column, "what follows the path of the URL does not count", "write parameters after it: /path key=:value")
		path = path[:i]
	}
	if path == "" {
		path = "/"
	}
	if strings.Contains(path, "/.") {
		path = string(appendNative(nil, path)) // as the URL standard does
	}
	if host == "" || strings.IndexByte(host, '*') >= 0 {
		p.fail("bad-line", column, "the URL has no host, or one with a star", "")
		return "", path
	}
	return host, path
}

// query takes the parameters: exactly these must be there.
func (p *redirectsParser) query(s *slot, text string, tokens []token) {
	r := &s.rule
	names := make(map[string]string)
	for _, t := range tokens {
		key, value, ok := strings.Cut(t.text(text), "=")
		if !ok || key == "" {
			p.warn("no-parameter", t.start+1, fmt.Sprintf("%q is no key=value: as with Netlify, it does not count", t.text(text)), "a space in a path is written %20")
			continue
		}
		value, _, _ = strings.Cut(value, "=") // the rest does not count either
		names[key] = value
	}
	if len(names) == 0 {
		return
	}
	r.Query, r.QueryExact = names, true
	for _, key := range slices.Sorted(maps.Keys(names)) {
		value := names[key]
		switch {
		case len(value) > 1 && value[0] == ':':
			names[key] = "{" + p.capture(value[1:]) + "}"
		case value == "*" || captureName(value) != "": // which mean something in Query
			names[key] = "*"
			r.When = append(r.When, Condition{On: "query:" + key, Equals: value})
		}
	}
}

// conditions takes what follows the status. What cannot be told from the
// request makes no rule: without its condition it would take too much.
func (p *redirectsParser) conditions(s *slot, text string, tokens []token) bool {
	for _, t := range tokens {
		key, value, _ := strings.Cut(t.text(text), "=")
		switch strings.ToLower(key) {
		case "cookie":
			s.rule.When = append(s.rule.When, cookieCondition(value))
		case "sign", "signed", "signing": // of a proxy, which is not a redirect
		case "country", "language", "role":
			p.warn("condition", t.start+1, fmt.Sprintf("%s cannot be told here: the line was left out, and later lines take its requests", key),
				"let the app do it, or write a rule with when: on a header")
			return false
		default:
			p.warn("condition", t.start+1, fmt.Sprintf("%q is no condition that is known: the line was left out", t.text(text)), "")
			return false
		}
	}
	return true
}

// cookieCondition holds where one of the cookies is there, and not empty.
func cookieCondition(names string) Condition {
	list := strings.Split(names, ",")
	for i, name := range list {
		list[i] = regexp.QuoteMeta(strings.TrimSpace(name))
	}
	return Condition{On: "header:Cookie", Regexp: `(?:^|;\s*)(?:` + strings.Join(list, "|") + `)=[^;]`}
}

// locateRedirects is where in a line the token of a field begins, or -1.
func locateRedirects(text, field string) int {
	tokens, _ := cutRedirects(nil, text)
	if len(tokens) < 2 {
		return -1
	}
	parts, _ := split(tokens, text)
	switch field {
	case "target", "target_query", "origins":
		if parts.to > 0 {
			return tokens[parts.to].start
		}
	case "status", "intent":
		if parts.status > 0 {
			return tokens[parts.status].start
		}
	case "query":
		if len(parts.query) > 0 {
			return parts.query[0].start
		}
	case "when":
		if len(parts.conditions) > 0 {
			return parts.conditions[0].start
		}
	case "path", "regexp", "scheme", "hosts":
		return tokens[0].start
	}
	return -1
}
