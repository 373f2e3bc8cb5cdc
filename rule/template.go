package rule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seeother/seeother"
)

// source is where a piece of a target comes from.
type source uint8

const (
	fromText      source = iota
	fromPath             // a placeholder or group of the path
	fromParameter        // a parameter of the query, as it came
	fromCondition        // a named group of a condition
	fromRequestPath
	fromDecodedPath
	fromQuery
	fromQueryMark
	fromHost
	fromScheme
	fromSubdomain
)

var requestSources = map[string]source{
	"path": fromRequestPath, "decoded_path": fromDecodedPath, "query": fromQuery, "?query": fromQueryMark,
	"host": fromHost, "scheme": fromScheme, "subdomain": fromSubdomain,
}

// piece is text, or a value and how it is encoded.
type piece struct {
	text     string // fromText; the parameter's name
	source   source
	index    int // of the path's capture, or of the condition
	group    int // of the condition's expression
	enc      encoder
	beyond   encoder // encHost: of what follows a slash, which is the path
	inQuery  bool
	captured bool // by the rule's Query, and not {arg.NAME}
	spaces   bool // a plus sign is a space: a parameter that was captured, and stands in a path
}

// template is a target, parsed once.
type template struct {
	literal  string // the whole Location where nothing comes from the request
	pieces   []piece
	fragment string   // with its "#"
	tail     int      // of the pieces, the last ones that are a fragment
	hasQuery bool     // the target has a query of its own
	relative bool     // resolved against the request's path
	onSite   bool     // a path on this site
	origins  []string // where it may lead
	isFixed  bool     // literal is valid
}

// originCache remembers the origin that was checked last: targets of a table
// seldom have many.
type originCache struct{ text, origin string }

const wantTarget = "want a path that begins with a slash, or http:// or https:// and a host"

var errUnclosed = errors.New("a brace is not closed: write one that is meant as such %7B")

// parseTemplate reads a target. names finds what captures there are.
func parseTemplate(target string, r *Rule, names func(string) (piece, bool), cache *originCache) (*template, error) {
	t := &template{}
	if strings.IndexByte(target, '{') < 0 && strings.IndexByte(target, '}') < 0 {
		return t, t.fix(target, cache)
	}
	if err := t.parse(target, r, names); err != nil {
		return nil, err
	}
	return t, t.check(target, r)
}

// fix checks a target without braces and keeps its Location.
func (t *template) fix(target string, cache *originCache) error {
	t.isFixed = true
	head, fragment, found := strings.Cut(target, "#")
	if found {
		t.fragment = "#" + fragment
	}
	t.hasQuery = strings.IndexByte(head, '?') >= 0
	if isPlain(head) { // nearly all targets: nothing to encode, resolve or refuse
		t.literal, t.onSite = head, true
		if t.fragment == "" || isPlain("/"+fragment) {
			return nil
		}
	}
	origin, err := cache.of(target)
	if err != nil {
		return err
	}
	t.onSite = origin == ""
	t.relative = origin == "" && !strings.HasPrefix(target, "/")
	parsed, err := seeother.ParseTarget(target, nil, origin)
	if err != nil {
		return err
	}
	if t.relative && !strings.HasPrefix(target, "?") && !strings.HasPrefix(target, "#") {
		// "www.example.com/x" and "x" are slips far more often than they are meant.
		return fmt.Errorf("target %q: %s", target, wantTarget)
	}
	if t.relative { // resolved at each request
		t.isFixed = false
		t.pieces = []piece{{text: head}}
		return nil
	}
	location := parsed.Location()
	if i := strings.IndexByte(location, '#'); i >= 0 {
		location, t.fragment = location[:i], location[i:]
	}
	t.literal = location
	return nil
}

// cut is target without the origin that was checked last, where that stands in
// its one spelling.
func (c *originCache) cut(target string) string {
	if c.text == "" || c.text != c.origin {
		return target
	}
	return strings.TrimPrefix(target, c.text)
}

// of is the origin that target leads to, "" for this site.
func (c *originCache) of(target string) (string, error) {
	if c.text != "" && strings.HasPrefix(target, c.text) && len(target) > len(c.text) && target[len(c.text)] == '/' {
		return c.origin, nil
	}
	i := strings.Index(target, "://")
	if i < 0 || strings.ContainsAny(target[:i], "/?#") {
		return "", nil
	}
	end := len(target)
	if n := strings.IndexAny(target[i+3:], `/?#\`); n >= 0 {
		end = i + 3 + n
	}
	origin, err := seeother.ParseOrigin(target[:end])
	if err != nil {
		return "", err
	}
	c.text, c.origin = target[:end], origin
	return origin, nil
}

func (t *template) parse(target string, r *Rule, names func(string) (piece, bool)) error {
	where := partScheme
	for target != "" {
		i := strings.IndexByte(target, '{')
		if i < 0 {
			i = len(target)
		}
		if text := target[:i]; text != "" {
			if strings.IndexByte(text, '}') >= 0 {
				return errors.New("a brace is not opened: write one that is meant as such %7D")
			}
			where = where.after(text)
			t.pieces = append(t.pieces, piece{text: text})
		}
		if target = target[i:]; target == "" {
			break
		}
		end := strings.IndexByte(target, '}')
		if end < 0 {
			return errUnclosed
		}
		p, err := placeholder(target[1:end], r, names, where)
		if err != nil {
			return err
		}
		switch {
		case p.source == fromQueryMark:
			where = partQuery
		case p.source.isPath() && where < partPath, where == partScheme && p.source != fromScheme:
			where = partPath
		}
		t.pieces = append(t.pieces, p)
		target = target[end+1:]
		t.hasQuery = t.hasQuery || p.source == fromQueryMark || p.source == fromQuery
	}
	t.cutFragment()
	return nil
}

// part is where in a URL a piece stands.
type part uint8

const (
	partScheme part = iota
	partAuthority
	partPath
	partQuery
	partFragment
)

// after is the part in which the text ends when it began in p.
func (p part) after(text string) part {
	if p == partScheme {
		if i := strings.Index(text, "://"); i >= 0 && !strings.ContainsAny(text[:i], "/?#") {
			text, p = text[i+3:], partAuthority
		} else if text != "" {
			p = partPath
		}
	}
	if p == partAuthority && strings.IndexByte(text, '/') >= 0 {
		p = partPath
	}
	if p <= partPath && strings.IndexByte(text, '?') >= 0 {
		p = partQuery
	}
	if strings.IndexByte(text, '#') >= 0 {
		p = partFragment
	}
	return p
}

func placeholder(text string, r *Rule, names func(string) (piece, bool), where part) (piece, error) {
	name, mode, hasMode := strings.Cut(text, "|")
	p, ok := names(name)
	if !ok && requestSources[name].isPath() && where < partPath {
		where = partPath
	}
	if !ok {
		if p.source, ok = requestSources[name]; !ok {
			if parameter, isArg := strings.CutPrefix(name, "arg."); isArg && parameter != "" {
				p, ok = piece{source: fromParameter, text: parameter}, true
			}
		}
	}
	if !ok {
		return p, fmt.Errorf("placeholder {%s} is unknown: the rule has no such placeholder, group or parameter", name)
	}
	if hasMode {
		if p.enc, ok = encoders[mode]; !ok {
			return p, fmt.Errorf("placeholder {%s}: encoder %q: want keep, query, path, segment, component, nginx or apache", name, mode)
		}
	} else {
		p.enc = p.encoder(r, where)
	}
	if where == partAuthority {
		p.enc, p.beyond = encHost, p.enc
	}
	p.inQuery = where >= partQuery
	p.spaces = p.source == fromParameter && p.captured && !hasMode && !p.inQuery
	return p, nil
}

// isPath reports whether the value always begins with a slash.
func (s source) isPath() bool { return s == fromRequestPath || s == fromDecodedPath }

// encoder is how a value is encoded where the target does not say: what came
// encoded stays as it is, and nothing adds a parameter to a query.
func (p *piece) encoder(r *Rule, where part) encoder {
	inQuery, raw := where >= partQuery, false
	switch p.source {
	case fromQuery, fromQueryMark, fromHost, fromScheme, fromSubdomain, fromParameter:
		return encKeep
	case fromRequestPath:
		raw = true
	case fromPath:
		raw = !r.Decoded
	case fromCondition:
		raw = r.When[p.index].On == "query"
	case fromText, fromDecodedPath:
	}
	switch {
	case raw && inQuery:
		return encQuery
	case raw:
		return encKeep
	case inQuery:
		return encComponent
	}
	return encPath
}

// cutFragment sets the fragment apart, so that a query can be put before it: as
// text where no placeholder stands in it, else as the last pieces.
func (t *template) cutFragment() {
	for i, p := range t.pieces {
		if p.source != fromText {
			continue
		}
		head, fragment, found := strings.Cut(p.text, "#")
		t.hasQuery = t.hasQuery || strings.IndexByte(head, '?') >= 0
		switch {
		case !found:
			continue
		case i == len(t.pieces)-1:
			t.pieces[i].text, t.fragment = head, "#"+fragment
		default:
			t.pieces[i].text = "#" + fragment
			t.tail = len(t.pieces) - i
			t.pieces = slices.Insert(t.pieces, i, piece{text: head})
		}
		return
	}
}

// check looks where the target may lead, with samples for what comes from requests.
func (t *template) check(target string, r *Rule) error {
	authority, fixed := t.authority()
	switch {
	case authority == "" && !t.startsOnSite():
		return fmt.Errorf("target %q: %s", target, wantTarget)
	case authority == "":
		t.onSite = true
	case fixed:
		origin, err := seeother.ParseOrigin(authority)
		if err != nil {
			return err
		}
		t.origins = []string{origin}
	case len(r.Origins) == 0:
		return errors.New("a placeholder stands in the host: list in origins where it may lead")
	default:
		t.origins = r.Origins
	}
	return nil
}

// authority is the scheme and host as far as they are text, and whether they
// are all text; "" for a target on this site.
func (t *template) authority() (string, bool) {
	var b strings.Builder
	fixed := true
	for _, p := range t.pieces {
		if p.source == fromText {
			b.WriteString(p.text)
		} else {
			sample := "x"
			if p.source.isPath() {
				sample = "/"
			}
			fixed = fixed && (authorityEnd(b.String()) >= 0 || p.source.isPath())
			b.WriteString(sample)
		}
	}
	text := b.String()
	if i := strings.Index(text, "://"); i < 0 || strings.ContainsAny(text[:i], "/?#") {
		return "", true
	}
	if end := authorityEnd(text); end >= 0 {
		text = text[:end]
	}
	return text, fixed
}

// authorityEnd is where scheme and authority of a text are over, or -1.
func authorityEnd(text string) int {
	i := strings.Index(text, "://")
	if i < 0 {
		return -1
	}
	if n := strings.IndexAny(text[i+3:], "/?#"); n >= 0 {
		return i + 3 + n
	}
	return -1
}

func (t *template) startsOnSite() bool {
	first := t.pieces[0]
	switch first.source {
	case fromText:
		return strings.HasPrefix(first.text, "/")
	case fromRequestPath, fromDecodedPath:
		return true
	case fromPath: // "{1}" where the group begins with a slash; ParseTarget looks at each
		return true
	default:
		return false
	}
}

// captureIndex reads the number of a group.
func captureIndex(name string, groups int) (int, bool) {
	n, err := strconv.Atoi(name)
	return n, err == nil && n >= 0 && n <= groups
}
