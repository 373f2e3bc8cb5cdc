package rule

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// Index is the number of the rule that won, for Table.Rule.
func (m *Match) Index() int { return int(m.won().rule) }

// Rule is the rule that won; see Table.Rule.
func (m *Match) Rule() Rule { return m.t.Rule(m.Index()) }

// Passes reports whether the rule sends the request on to the app.
func (m *Match) Passes() bool { return m.attrs().proto.Passes() }

// Missing reports whether the rule counts only where the app answers 404.
func (m *Match) Missing() bool { return m.attrs().proto.Missing }

// Reported is the number of a better rule whose stage only reports, if there is one.
func (m *Match) Reported() (int, bool) {
	if m.reported == 0 {
		return 0, false
	}
	return int(m.t.entries.at(m.reported - 1).rule), true
}

// Headers are the request headers that the rule looks at, for Vary.
func (m *Match) Headers() []string { return m.attrs().headers }

// won is the entry that won; most often no table needs to be asked.
func (m *Match) won() *entry {
	if m.last != nil && m.last.n == m.entry-1 {
		return m.last
	}
	return m.t.entries.at(m.entry - 1)
}

func (m *Match) attrs() *attrs { return m.t.attrs[m.won().attr] }

// Status is what to answer, 0 where the rule passes. A permanent redirect is a
// temporary one as long as the rule, or stage, does not act for everybody: a
// cached 308 cannot be called back.
func (m *Match) Status(stage seeother.Stage) int {
	r := &m.attrs().proto
	status := r.StatusFor(m.req.Method)
	if r.Stage == seeother.Enforce && stage == seeother.Enforce {
		return status
	}
	switch status {
	case http.StatusMovedPermanently:
		return http.StatusFound
	case http.StatusPermanentRedirect:
		return http.StatusTemporaryRedirect
	}
	return status
}

// AppendLocation appends the value of the Location header, printable ASCII. The
// error wraps seeother.ErrTarget: what the request holds must not go there, and
// the answer is 400. It is nothing for a rule that passes or answers 410.
func (m *Match) AppendLocation(dst []byte) ([]byte, error) {
	e, a := m.won(), m.attrs()
	if a.c.target == nil && (a.own || e.target == 0) {
		return dst, nil
	}
	start := len(dst)
	if !a.own {
		return m.finish(m.appendFixed(dst, a, m.t.targetOf(e)), start)
	}
	t := a.c.target
	if t.isFixed {
		return m.finish(m.appendFixed(dst, a, t.literal+t.fragment), start)
	}
	body := len(t.pieces) - t.tail
	dst = m.appendQuery(m.appendPieces(dst, a, t.pieces[:body]), a, t.hasQuery)
	dst = append(m.appendPieces(dst, a, t.pieces[body:]), t.fragment...)
	if t.onSite && m.t.canonical.origin == "" && isPlainLocation(dst[start:]) {
		return dst, nil
	}
	target, err := seeother.ParseTarget(string(dst[start:]), m.base(t), t.origins...)
	if err != nil {
		return dst[:start], err
	}
	dst = m.appendSite(dst[:start], target.Location())
	return append(dst, target.Location()...), nil
}

// base is what a relative target is resolved against.
func (m *Match) base(t *template) *url.URL {
	if !t.relative {
		return nil
	}
	return &url.URL{RawPath: m.req.Path, Path: string(appendUnescaped(nil, m.req.Path))}
}

// appendFixed appends a target that was checked when the rule was added, and
// the request's query where it goes along.
func (m *Match) appendFixed(dst []byte, a *attrs, target string) []byte {
	dst = m.appendSite(dst, target)
	if m.req.Query == "" || a.proto.TargetQuery == QueryDrop {
		return append(dst, target...)
	}
	head, fragment := target, ""
	if i := strings.IndexByte(target, '#'); i >= 0 {
		head, fragment = target[:i], target[i:]
	}
	dst = m.appendQuery(append(dst, head...), a, strings.IndexByte(head, '?') >= 0)
	return append(dst, fragment...)
}

// finish looks at a Location whose query came from the request.
func (m *Match) finish(dst []byte, start int) ([]byte, error) {
	if m.req.Query == "" || isPrintable(dst[start:]) && len(dst)-start <= seeother.MaxTarget {
		return dst, nil
	}
	location := string(dst[start:])
	var cache originCache
	origin, err := cache.of(location)
	if err != nil {
		return dst[:start], err
	}
	target, err := seeother.ParseTarget(location, nil, origin)
	if err != nil {
		return dst[:start], err
	}
	return append(dst[:start], target.Location()...), nil
}

// isPlainLocation reports whether seeother.ParseTarget would leave a target on
// this site as it is: nearly all are so.
func isPlainLocation(b []byte) bool {
	path := b
	if i := bytes.IndexAny(b, "?#"); i >= 0 {
		path = b[:i]
	}
	rest := b[len(path):]
	return len(b) <= seeother.MaxTarget && isPlain(text(path)) && isPrintable(rest) && bytes.Count(rest, []byte("#")) <= 1
}

var printableSet = printable("\"<>\\^`{|}%")

// isPrintable reports whether there is nothing to encode.
func isPrintable(b []byte) bool {
	for i, c := range b {
		if !printableSet[c] && (c != '%' || i+2 >= len(b) || !isHex(b[i+1]) || !isHex(b[i+2])) {
			return false
		}
	}
	return true
}

// appendSite appends the canonical origin where the client is not at it and
// would need one more redirect.
func (m *Match) appendSite(dst []byte, target string) []byte {
	c := &m.t.canonical
	if c.origin == "" || target == "" || target[0] != '/' {
		return dst
	}
	alias := slices.Contains(c.aliases, m.hostName())
	switch http := c.https && m.req.Scheme == "http"; {
	case alias && http && c.sameHostFirst:
		return append(append(dst, "https://"...), m.hostName()...)
	case alias || http:
		return append(dst, c.origin...)
	}
	return dst
}

// appendQuery appends what goes along of the request's query.
func (m *Match) appendQuery(dst []byte, a *attrs, has bool) []byte {
	r := &a.proto
	query := m.req.Query
	mode := r.TargetQuery
	if len(r.Only) > 0 {
		mode = QueryMerge
	}
	if query == "" || mode == QueryDrop || has && (mode == "" || mode == QueryKeep) {
		return dst
	}
	separator := byte('?')
	if has {
		separator = '&'
		if dst[len(dst)-1] == '?' {
			dst = dst[:len(dst)-1]
			separator = '?'
		}
	}
	if mode != QueryMerge {
		return append(append(dst, separator), query...)
	}
	return m.appendMerged(dst, r, query, separator)
}

// appendMerged appends the request's parameters that the target does not have,
// and that Only lists where it does.
func (m *Match) appendMerged(dst []byte, r *Rule, query string, separator byte) []byte {
	own := map[string]bool{}
	if separator == '&' {
		_, text, _ := strings.Cut(string(dst), "?")
		for pair := range strings.SplitSeq(text, "&") {
			name, _, _ := strings.Cut(pair, "=")
			own[string(appendParameter(nil, name))] = true
		}
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		m.scratch = appendParameter(m.scratch[:0], name)
		if pair == "" || own[string(m.scratch)] || len(r.Only) > 0 && !slices.Contains(r.Only, string(m.scratch)) {
			continue
		}
		dst = append(append(dst, separator), pair...)
		separator = '&'
	}
	return dst
}

func (m *Match) appendPieces(dst []byte, a *attrs, pieces []piece) []byte {
	for i := range pieces {
		p := &pieces[i]
		if p.source == fromText {
			dst = append(dst, p.text...)
			continue
		}
		value := m.pieceValue(a, p)
		if p.source == fromQueryMark {
			if value == "" {
				continue
			}
			dst = append(dst, '?')
		}
		if i := strings.IndexByte(value, '/'); p.enc == encHost && i >= 0 {
			dst = appendEncoded(dst, value[:i], encHost, false)
			dst = appendEncoded(dst, value[i:], p.beyond, false)
			continue
		}
		dst = appendEncoded(dst, value, p.enc, p.inQuery || p.source == fromQueryMark)
	}
	return dst
}

// pieceValue is what a piece stands for.
func (m *Match) pieceValue(a *attrs, p *piece) string {
	switch p.source {
	case fromPath:
		return m.capture(a, p.index)
	case fromParameter:
		value := m.parameter(p.text).raw
		if p.spaces {
			value = strings.ReplaceAll(value, "+", "%20")
		}
		return value
	case fromCondition:
		w := &a.c.when[p.index]
		if groups := w.re.FindStringSubmatch(m.valueOf(w)); groups != nil {
			return groups[p.group]
		}
	case fromRequestPath:
		return m.req.Path
	case fromDecodedPath:
		path, _ := m.path(spaceDecoded)
		return path
	case fromQuery, fromQueryMark:
		return m.req.Query
	case fromHost:
		return m.hostName()
	case fromScheme:
		return m.req.Scheme
	case fromSubdomain:
		domain := strings.TrimPrefix(m.t.hosts.name(a.host), "*")
		if domain != "" {
			return strings.TrimSuffix(m.hostName(), domain)
		}
	case fromText:
	}
	return ""
}

// capture is what a placeholder or group of the path matched.
func (m *Match) capture(a *attrs, number int) string {
	if a.c.re == nil {
		return m.captureSegments(a.c, number)
	}
	path, _ := m.path(a.c.space)
	if m.locOf != m.entry {
		m.loc, m.locOf = a.c.re.FindStringSubmatchIndex(path), m.entry
	}
	if len(m.loc) <= 2*number+1 || m.loc[2*number] < 0 {
		return ""
	}
	return path[m.loc[2*number]:m.loc[2*number+1]]
}
