package importer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
)

// apPiece is a part of what a substitution comes to: text, or what comes from
// the request.
type apPiece struct {
	text string
	hole string   // the name of a placeholder, or ""
	from apOrigin // of what the placeholder stands for
	ref  bool     // it is a back-reference
}

type apOrigin uint8

const (
	fromDecodedPath apOrigin = iota
	fromRawQuery
	fromHostName
	fromSchemeName
	fromHeader
)

// apFill is what a substitution is filled with.
type apFill struct {
	vars   *apVars
	scheme string // where it is known
	match  func(n int) ([]apPiece, error)
	back   func(n int) ([]apPiece, error)
}

// expand fills a substitution.
func (f *apFill) expand(subst string) (out []apPiece, err error) {
	for _, p := range apSplit(subst) {
		var more []apPiece
		switch p.kind {
		case 0:
			more = []apPiece{{text: p.text}}
		case '$':
			more, err = f.match(p.n)
		case '%':
			more, err = f.back(p.n)
		case 'm':
			err = errMap
		default:
			more, err = f.variable(p)
		}
		if err != nil {
			return nil, err
		}
		for i := range more {
			more[i].ref = p.kind == '$' || p.kind == '%'
		}
		out = append(out, more...)
	}
	return mergeText(out), nil
}

var errMap = errors.New("a RewriteMap is not taken over here")

// errScheme asks for the scheme to be known.
var errScheme = errors.New("the scheme must be known")

func (f *apFill) variable(p apPart) ([]apPiece, error) {
	name := strings.ToUpper(p.text)
	switch name {
	case "HTTP_HOST", "SERVER_NAME", "HTTP:HOST":
		return []apPiece{{hole: "host", from: fromHostName}}, nil
	case "REQUEST_SCHEME":
		return []apPiece{{hole: "scheme", from: fromSchemeName}}, nil
	case "HTTPS", "SERVER_PORT":
		if f.scheme == "" {
			return nil, errScheme
		}
	case "REQUEST_URI":
		if f.vars.uri == nil && (!f.vars.changed || !f.vars.restarted) {
			return []apPiece{{hole: "decoded_path"}}, nil
		}
	case "QUERY_STRING":
		if f.vars.query == nil && !f.vars.changed {
			return []apPiece{{hole: "query", from: fromRawQuery}}, nil
		}
	}
	if text, ok := f.vars.value(p, f.scheme); ok {
		return []apPiece{{text: text}}, nil
	}
	return nil, fmt.Errorf("%%{%s} is not known here", p.text)
}

func mergeText(pieces []apPiece) (out []apPiece) {
	for _, p := range pieces {
		if n := len(out); p.hole == "" && n > 0 && out[n-1].hole == "" && out[n-1].ref == p.ref {
			out[n-1].text += p.text
		} else if p.hole != "" || p.text != "" {
			out = append(out, p)
		}
	}
	return out
}

// literal is the text of pieces where nothing comes from the request.
func literal(pieces []apPiece) (string, bool) {
	var text strings.Builder
	for _, p := range pieces {
		if p.hole != "" {
			return "", false
		}
		text.WriteString(p.text)
	}
	return text.String(), true
}

// apTarget is a redirect's target.
type apTarget struct {
	text      string
	query     string // rule.QueryKeep and so on; "" keep
	authority []apPiece
	scheme    string // "http", "https", "" as the request
}

// apTargetOptions say how a target is written.
type apTargetOptions struct {
	noescape bool
	back     bool // captures are encoded as B has it
	qsa      bool
	qsd      bool
	qsl      bool
	base     string // what a relative target is put behind
}

// target writes out what the pieces come to as a redirect.
func target(pieces []apPiece, o apTargetOptions) (t apTarget, err error) {
	if !o.back {
		pieces = slices.Clone(pieces)
		for i := range pieces {
			pieces[i].ref = false
		}
		pieces = mergeText(pieces)
	}
	w := &targetWriter{o: o}
	if pieces, err = w.start(pieces, &t); err != nil {
		return t, err
	}
	query, err := w.path(pieces, &t)
	if err != nil {
		return t, err
	}
	w.query(query, &t)
	t.text = w.b.String()
	return t, nil
}

type targetWriter struct {
	o        apTargetOptions
	b        strings.Builder
	hasQuery bool
}

// start writes scheme and authority.
func (w *targetWriter) start(pieces []apPiece, t *apTarget) ([]apPiece, error) {
	if len(pieces) == 0 {
		w.b.WriteString(w.o.base)
		return nil, nil
	}
	first := pieces[0]
	rest := slices.Clone(pieces)
	if first.hole == "" {
		scheme, after, absolute := strings.Cut(first.text, "://")
		switch lower := strings.ToLower(scheme); {
		case absolute && (lower == "http" || lower == "https"):
			t.scheme = lower
			w.b.WriteString(lower + "://")
			rest[0].text = after
			return w.writeAuthority(rest, t)
		case absolute && !strings.ContainsAny(scheme, "/?#") || strings.HasPrefix(lower, "mailto:"):
			return nil, fmt.Errorf("scheme %q: a target is http or https", scheme)
		case !strings.HasPrefix(first.text, "/"):
			w.b.WriteString(w.o.base)
		}
		return rest, nil
	}
	if first.hole == "scheme" && len(rest) > 1 && strings.HasPrefix(rest[1].text, "://") {
		w.b.WriteString("{scheme}://")
		rest[1].text = rest[1].text[3:]
		return w.writeAuthority(rest[1:], t)
	}
	switch {
	case first.hole == "decoded_path":
	case first.from == fromDecodedPath && first.hole == "*":
		w.b.WriteString(w.o.base)
	case first.from == fromDecodedPath && strings.HasPrefix(first.text, "/"): // known to begin so
	case first.from == fromDecodedPath && first.text == "-": // known not to
		w.b.WriteString(w.o.base)
	default:
		return nil, errors.New("it is not known whether the target begins with a slash")
	}
	return rest, nil
}

// writeAuthority writes what stands before the path.
func (w *targetWriter) writeAuthority(pieces []apPiece, t *apTarget) ([]apPiece, error) {
	for i, p := range pieces {
		if p.hole == "" {
			end := strings.IndexAny(p.text, "/?#")
			if end < 0 {
				w.b.WriteString(braces(p.text))
				t.authority = append(t.authority, p)
				continue
			}
			w.b.WriteString(braces(p.text[:end]))
			t.authority = append(t.authority, apPiece{text: p.text[:end]})
			rest := slices.Clone(pieces[i:])
			rest[0].text = p.text[end:]
			return rest, nil
		}
		if p.hole == "decoded_path" || strings.HasPrefix(p.text, "/") {
			return pieces[i:], nil
		}
		if p.from == fromDecodedPath || p.from == fromRawQuery {
			return nil, errors.New("a part of the path or query stands in the target's host")
		}
		w.b.WriteString("{" + p.hole + "}")
		t.authority = append(t.authority, p)
	}
	return nil, nil
}

// path writes the path, and gives back what the query is.
func (w *targetWriter) path(pieces []apPiece, t *apTarget) (query []apPiece, err error) {
	for i, p := range pieces {
		if p.hole != "" {
			w.hole(p)
			continue
		}
		at := strings.IndexByte(p.text, '?')
		if w.o.qsl {
			at = lastMark(pieces, i)
		}
		if at < 0 {
			w.text(p)
			continue
		}
		w.hasQuery = true
		w.text(apPiece{text: p.text[:at], ref: p.ref})
		rest := slices.Clone(pieces[i:])
		rest[0].text = p.text[at+1:]
		return mergeText(rest), nil
	}
	return nil, nil
}

// lastMark is the place of the last question mark in pieces[i], if no later
// piece has one.
func lastMark(pieces []apPiece, i int) int {
	for _, p := range pieces[i+1:] {
		if p.hole == "" && strings.IndexByte(p.text, '?') >= 0 {
			return -1
		}
	}
	return strings.LastIndexByte(pieces[i].text, '?')
}

func (w *targetWriter) text(p apPiece) {
	switch {
	case w.o.back && p.ref:
		w.b.WriteString(escapeApache(p.text, escapedBack))
	case w.o.noescape:
		w.b.WriteString(braces(p.text))
	default:
		w.b.WriteString(escapeApache(p.text, escapedPath))
	}
}

func (w *targetWriter) hole(p apPiece) {
	enc := "apache"
	switch {
	case w.o.back && p.ref:
		enc = "component"
	case w.o.noescape, p.from == fromRawQuery:
		enc = "keep"
	case p.from == fromHostName, p.from == fromSchemeName:
		w.b.WriteString("{" + p.hole + "}")
		return
	}
	w.b.WriteString("{" + p.hole + "|" + enc + "}")
}

// query writes the query and says what becomes of the request's.
func (w *targetWriter) query(pieces []apPiece, t *apTarget) {
	if !w.hasQuery {
		if w.o.qsd {
			t.query = rule.QueryDrop
		}
		return
	}
	appends := w.o.qsa && !w.o.qsd
	if n := len(pieces); n > 0 && pieces[n-1].hole == "" {
		pieces[n-1].text = strings.TrimSuffix(pieces[n-1].text, "&")
		pieces = mergeText(pieces)
	}
	if n := len(pieces); n > 0 && pieces[n-1].hole == "query" && !w.o.qsd {
		if n == 1 {
			return
		}
		if before := &pieces[n-2]; before.hole == "" && strings.HasSuffix(before.text, "&") {
			before.text = strings.TrimSuffix(before.text, "&")
			pieces, appends = mergeText(pieces[:n-1]), true
		}
	}
	switch {
	case len(pieces) == 0 && appends:
		return
	case len(pieces) == 0:
		t.query = rule.QueryDrop
		return
	case appends:
		t.query = rule.QueryAppend
	}
	w.b.WriteByte('?')
	for _, p := range pieces {
		if p.hole != "" {
			w.hole(p)
		} else {
			w.text(p)
		}
	}
}

const apacheKept = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$-_.+!*'(),:;@&=/~"

func escapedPath(c byte) bool { return strings.IndexByte(apacheKept, c) < 0 }

func escapedBack(c byte) bool {
	return strings.IndexByte("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", c) < 0
}

// escapeApache is text as Apache writes it in a redirect.
func escapeApache(text string, escaped func(byte) bool) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if escaped(c) {
			b.Write([]byte{'%', lowerHex[c>>4], lowerHex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

const lowerHex = "0123456789abcdef"

var braceEscaper = strings.NewReplacer("{", "%7B", "}", "%7D")

// braces is text that stands for itself in a target.
func braces(text string) string { return braceEscaper.Replace(text) }

// apPath is a decoded path as the path of a rule.
func apPath(decoded string) string {
	var b strings.Builder
	for i := range len(decoded) {
		c := decoded[i]
		if !plainByte(c) || c == '*' {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// origins are where an authority may lead: what it comes to for each of the
// hosts that fulfil the conditions, and those that were given.
func origins(t *apTarget, hosts []string, c *apCase, given []string) ([]string, error) {
	var out []string
	for _, host := range hosts {
		name, ok := fillAuthority(t.authority, host, c)
		if !ok {
			continue
		}
		for _, scheme := range [...]string{"http", "https"} {
			if t.scheme != "" && t.scheme != scheme {
				continue
			}
			if origin, err := seeother.ParseOrigin(scheme + "://" + name); err == nil {
				out = append(out, origin)
			}
		}
	}
	out = append(out, given...)
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) == 0 {
		return nil, errNoOrigin
	}
	return out[:min(len(out), rule.MaxList)], nil
}

// fillAuthority is the authority for a request to host; false where it does not
// come from the host alone, or where host does not fulfil the conditions.
func fillAuthority(pieces []apPiece, host string, c *apCase) (string, bool) {
	groups, ok := hostGroups(host, c)
	if !ok {
		return "", false
	}
	groups["host"] = host
	var text strings.Builder
	for _, p := range pieces {
		value, known := groups[p.hole]
		if !known && p.hole != "" {
			return "", false
		}
		text.WriteString(p.text)
		text.WriteString(value)
	}
	return text.String(), true
}

// hostGroups are the named groups of the conditions on the host.
func hostGroups(host string, c *apCase) (map[string]string, bool) {
	if c.hosts != nil && !slices.Contains(c.hosts, host) {
		return nil, false
	}
	groups := map[string]string{}
	for _, w := range c.when {
		if w.On != "host" {
			continue
		}
		held := w.Equals == host
		if w.Regexp != "" {
			re, err := regexp.Compile(w.Regexp)
			if err != nil {
				return nil, false
			}
			m := re.FindStringSubmatch(host)
			held = m != nil
			for i, name := range re.SubexpNames() {
				if held && name != "" {
					groups[name] = m[i]
				}
			}
		}
		if held == w.Not {
			return nil, false
		}
	}
	return groups, true
}
