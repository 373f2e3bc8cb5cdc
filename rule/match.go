package rule

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/seeother/seeother"
)

// Match is what a table says of one request. The zero value is ready; it holds
// memory that the next Table.Match uses again, and must not be copied. What its
// methods return is good until then.
type Match struct {
	t   *Table
	req *Request

	entry    uint32   // 1 + the one that won
	last     *entry   // that became it in this search; see won
	vary     []string // request headers that were looked at; of the table, never written to
	rank     uint64
	reported uint32 // 1 + the best that only reports
	repRank  uint64

	plain   bool      // the path means the same in all views but the folded ones; see isPlain
	looked  bool      // plain is known
	paths   [4]string // by space: native, decoded, and both folded; made when asked for
	made    [4]bool
	refused [4]bool
	bufs    [4][]byte
	host    string
	hostBuf []byte
	hosts   []uint32
	values  values
	scratch []byte

	work      int   // bytes that expressions may still look at
	exhausted bool  // there were more
	canary    bool  // a rule that holds acts for other clients only
	nextFrom  int64 // a rule that would hold begins then, in seconds; 0: none

	tried   []uint64 // a bit for each regular expression that was looked at
	touched []uint32

	all    []uint32 // for Explain, every candidate
	asks   bool
	notes  bool // for Table.Check: failed gets the entries whose conditions did not hold
	failed []uint32
	loc    []int // of the regular expression that won
	locOf  uint32
}

// Match finds the rule that answers req and is false when none does. A CORS
// preflight has none: no browser follows a redirect of one. It allocates
// nothing for rules without regular expressions once m was used before.
func (t *Table) Match(req *Request, m *Match) bool {
	m.begin(t, req)
	if req.Path == "" || req.Path[0] != '/' || isPreflight(req) {
		return false
	}
	m.search()
	if m.exhausted {
		m.entry, m.reported = 0, 0
	}
	return m.entry != 0
}

// Exhausted reports whether the request was too long for the expressions of the
// table, and so has no answer: 414, or 431 where its header is. A request of
// the usual size never is.
func (m *Match) Exhausted() bool { return m.exhausted }

// spend takes n bytes for an expression to look at. It is false when too much
// was looked at.
func (m *Match) spend(n int) bool {
	if m.asks || m.notes {
		return true
	}
	if m.work -= n; m.work < 0 {
		m.exhausted = true
	}
	return !m.exhausted
}

func (m *Match) begin(t *Table, req *Request) {
	m.t, m.req, m.entry, m.reported, m.locOf, m.vary, m.last = t, req, 0, 0, 0, nil, nil
	m.made, m.refused = [4]bool{}, [4]bool{}
	m.looked = false
	m.host, m.hosts = "", m.hosts[:0]
	m.values.reset()
	m.work, m.exhausted, m.canary, m.nextFrom = t.work, false, false, 0
}

func (m *Match) search() {
	t := m.t
	if len(t.hosts.names) == 0 {
		m.hosts = append(m.hosts, 0)
	} else {
		m.hosts = t.hosts.appendTo(m.hosts, m.hostName())
	}
	for _, s := range t.spaces {
		for _, host := range m.hosts {
			if s == 0 && m.exact(s, host, m.req.Path) {
				continue // a path that a rule has is in normal form
			}
			if s == 0 && m.isPlain() {
				continue
			}
			if path, ok := m.path(s); ok {
				m.exact(s, host, path)
			}
		}
	}
	t.prefixes.search(m)
	t.tree.search(m)
	t.regexps.search(m)
}

func isPreflight(req *Request) bool {
	return req.Method == http.MethodOptions && len(req.Header["Origin"]) > 0 && len(req.Header["Access-Control-Request-Method"]) > 0
}

// hostName is the host in lower case, without port and final dot.
func (m *Match) hostName() string {
	if m.host == "" {
		host := m.req.Host
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
			host = host[:i]
		}
		host = plainHost(host)
		if hasUpper(host) {
			m.hostBuf = appendFolded(m.hostBuf[:0], host)
			host = text(m.hostBuf)
		}
		m.host = host
	}
	return m.host
}

// plainHost is the host in the one spelling that it has beside the case of
// letters: without a final dot, an IPv6 address in its shortest form (RFC 5952).
func plainHost(host string) string {
	if strings.HasPrefix(host, "[") {
		if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && addr.Is6() && addr.Zone() == "" {
			return "[" + addr.String() + "]"
		}
	}
	return strings.TrimSuffix(host, ".")
}

// text is b as a string, good until b is written again.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } //nolint:gosec // a Match's own buffer, see Match

// isPlain reports whether the path means the same in all views but the folded ones.
func (m *Match) isPlain() bool {
	if !m.looked {
		m.plain, m.looked = isPlain(m.req.Path), true
	}
	return m.plain
}

// path is the request's path in a space, and false where that view refuses it.
func (m *Match) path(s space) (string, bool) {
	i := s & (spaceDecoded | spaceFold)
	if !m.made[i] {
		m.makePath(i)
	}
	if s&spaceSlash != 0 {
		return trimSlash(m.paths[i]), !m.refused[i]
	}
	return m.paths[i], !m.refused[i]
}

func (m *Match) makePath(i space) {
	m.made[i] = true
	switch {
	case i&spaceFold != 0:
		under, ok := m.path(i &^ spaceFold)
		m.refused[i] = !ok
		m.paths[i] = under
		if ok && hasUpper(under) {
			m.bufs[i] = appendFolded(m.bufs[i][:0], under)
			m.paths[i] = text(m.bufs[i])
		}
	case m.isPlain():
		m.paths[i] = m.req.Path
	case i&spaceDecoded != 0:
		buf, ok := appendDecoded(m.bufs[i][:0], m.req.Path)
		m.bufs[i], m.paths[i], m.refused[i] = buf, text(buf), !ok
	default:
		m.bufs[i] = appendNative(m.bufs[i][:0], m.req.Path)
		m.paths[i] = text(m.bufs[i])
	}
}

// exact looks up rules for exactly this path, and reports whether there is one,
// whatever else it wants.
func (m *Match) exact(s space, host uint32, path string) bool {
	x := &m.t.exact
	hash := x.hashOf(s, host, path)
	found := m.chain(x, hash, s, host, path)
	if m.req.Query == "" {
		return found
	}
	if m.t.byRaw && m.chain(x, x.withQuery(hash, m.req.Query), s, host, path) {
		found = true
	}
	if m.t.byQuery && m.exactQuery(hash, s, host, path) {
		found = true
	}
	return found
}

// exactQuery looks up rules that want one of the request's parameters.
func (m *Match) exactQuery(hash uint64, s space, host uint32, path string) (found bool) {
	x := &m.t.exact
	for _, v := range m.parameters() {
		if m.chain(x, x.withParameter(hash, parameter{name: v.name, value: v.value}), s, host, path) {
			found = true
		}
		if m.chain(x, x.withParameter(hash, parameter{name: v.name, any: true}), s, host, path) {
			found = true
		}
	}
	return found
}

// chain considers the entries of one key, and reports whether there are any.
func (m *Match) chain(x *index, hash uint64, s space, host uint32, path string) bool {
	t := m.t
	for i := x.start(hash); x.slots[i] != 0; i = x.after(i) {
		slot := x.slots[i]
		if slot&^0xffffffff != hash<<32 {
			continue
		}
		e := t.entries.in(spot(slot) - 1) //nolint:gosec // the lower half is meant
		if h := &t.heads[e.attr]; h.host == host && h.space == s && t.pathOf(e) == path {
			m.considerChain(e)
			return true
		}
	}
	return false
}

// considerChain looks at the entries of one key in the order of their ranks,
// until one wins.
func (m *Match) considerChain(first *entry) {
	if first.more {
		m.considerList(m.t.chains[first.n])
	} else {
		m.considerEntry(first)
	}
}

// consider makes an entry the winner if it is better than the one before and
// everything holds. It is false where a worse one may still hold.
func (m *Match) consider(n uint32) bool { return m.considerEntry(m.t.entries.at(n)) }

func (m *Match) considerEntry(e *entry) bool {
	t := m.t
	h := &t.heads[e.attr]
	if m.asks {
		m.all = append(m.all, e.n)
		return false
	}
	if m.entry != 0 && !better(h.rank, e.rule, m.rank, t.entries.at(m.entry-1).rule) {
		return true // and what follows is no better
	}
	if !h.plain && !m.acts(e) {
		return false
	}
	m.entry, m.rank, m.last = e.n+1, h.rank, e
	return true
}

// acts reports whether an entry that is for this path and host does what it
// says. One that only reports is put down.
func (m *Match) acts(e *entry) bool {
	t := m.t
	a := t.attrs[e.attr]
	m.vary = addNames(m.vary, a.headers)
	if why := m.failing(e, a); why != nothing {
		if why == tooEarly && (m.nextFrom == 0 || a.c.from < m.nextFrom) {
			m.nextFrom = a.c.from
		}
		if m.notes {
			m.failed = append(m.failed, e.n)
		}
		return false
	}
	stage := a.proto.Stage
	if stage == seeother.Enforce || stage.Acts(m.req.Client) {
		return true
	}
	m.canary = m.canary || stage.IsCanary()
	if stage != seeother.Off && (m.reported == 0 || better(a.rank, e.rule, m.repRank, t.entries.at(m.reported-1).rule)) {
		m.reported, m.repRank = e.n+1, a.rank
	}
	return false
}

// addNames adds the names that are not there yet. It never writes to what list
// shares with a table.
func addNames(list, names []string) []string {
	for _, name := range names {
		if !slices.Contains(list, name) {
			list = append(slices.Clip(list), name)
		}
	}
	return list
}

func (m *Match) failing(e *entry, a *attrs) reason {
	if !a.conditional {
		return nothing
	}
	return m.fails(e, a)
}

// reason is why a rule that has the right path and host is not the one.
type reason uint8

const (
	nothing reason = iota
	wrongScheme
	wrongMethod
	wrongQuery
	extraQuery
	wrongCondition
	tooEarly
	tooLate
	noMatch // the expression
)

// fails is the first condition that does not hold.
func (m *Match) fails(e *entry, a *attrs) reason {
	c := a.c
	switch {
	case c.scheme != "" && c.scheme != m.req.Scheme:
		return wrongScheme
	case len(c.methods) > 0 && !slices.Contains(c.methods, m.req.Method):
		return wrongMethod
	case e.query > 0 && !m.hasAll(m.t.queryOf(e)):
		return wrongQuery
	case c.only && !m.hasOnly(e, a):
		return extraQuery
	}
	for _, p := range c.query {
		if !m.has(p) {
			return wrongQuery
		}
	}
	for i := range c.when {
		if !m.holds(&c.when[i]) {
			return wrongCondition
		}
	}
	return m.when(c)
}

func (m *Match) when(c *compiled) reason {
	if c.from == 0 && c.until == 0 {
		return nothing
	}
	now := m.req.Now
	if now.IsZero() {
		now = time.Now()
	}
	switch s := now.Unix(); {
	case c.from != 0 && s < c.from:
		return tooEarly
	case c.until != 0 && s >= c.until:
		return tooLate
	}
	return nothing
}
