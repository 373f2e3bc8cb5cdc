package rule

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother"
)

// Middleware answers requests by a table, and sends the others on. Its fields
// must not be changed once Handler was called.
type Middleware struct {
	// Table gives the rules in force; it is called for each request.
	Table func() *Table
	// Stage is how far all rules together are rolled out, beside each rule's
	// own stage. Nil: Enforce.
	Stage func() seeother.Stage
	// Site is scheme and host as the client sees them. Nil: from TLS and Host;
	// behind a proxy that ends TLS it must be set.
	Site func(*http.Request) (scheme, host string)
	// Client identifies the client for a canary. Nil: the host of RemoteAddr.
	Client func(*http.Request) string
	// Observe is told of every rule that acted or would have. Nil: nobody is.
	Observe seeother.Observer
	// Hit is told of every rule that was the one for a request, also where it
	// let the request pass or only reports. Nil: nobody is. It must not block.
	Hit func(t *Table, index int)
	// Keep reports that a 404 to a request stays what it is, whatever rules say
	// that are for what is missing. It is asked when there is one. Nil: none does.
	Keep func(*http.Request) bool
	// Fail answers 400 (a target is refused), 410, and 414 or 431 (see
	// Match.Exhausted). Nil: plain text.
	Fail func(w http.ResponseWriter, r *http.Request, status int)
}

// Handler answers by the table's rules, and sends the rest to next; see Middleware.
func (t *Table) Handler(next http.Handler) http.Handler {
	return Middleware{Table: func() *Table { return t }}.Handler(next)
}

// matches are used again, with what they hold.
var matches = sync.Pool{New: func() any { return &asked{} }}

// asked is a Match and the request that it is about.
type asked struct {
	Match

	req Request
	buf []byte // of the Location, and of what is told of the rule
}

// put gives m back, without what it knows of the request.
func (m *asked) put() {
	m.req, m.t, m.last = Request{}, nil, nil
	matches.Put(m)
}

// Handler answers by the table's rules, and sends the rest to next.
func (mw Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := mw.Table()
		if t == nil || t.entries.n == 0 {
			next.ServeHTTP(w, r)
			return
		}
		m := matches.Get().(*asked) //nolint:forcetypeassert // the pool holds nothing else
		mw.ask(m, r)
		a := mw.decide(t, m, r)
		if a.status != 0 && !a.missing {
			a.write(mw, w, r)
			m.put()
			return
		}
		m.put()
		if a.missing || len(a.later) > 0 || len(a.vary) > 0 || a.announce != nil {
			kept := a // so that the others stay off the heap
			kept.watch(mw, w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (mw Middleware) ask(m *asked, r *http.Request) {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if mw.Site != nil {
		scheme, host = mw.Site(r)
	}
	m.req = RequestOf(r, scheme, host)
}

// answer is what a table says to a request; the zero value is nothing.
type answer struct {
	status       int
	now          time.Time
	location     string
	cacheControl string
	vary         []string
	announce     *Rule // has Deprecation or Sunset
	missing      bool  // the app is asked first
	refused      bool
	later        []event // to be told when the app answers 404
}

// event is a rule that was the one for a request, and what to tell of it.
type event struct {
	table    *Table
	rule     int
	decision seeother.Decision // of a rule that passes, After is 0
}

func (mw Middleware) decide(t *Table, m *asked, r *http.Request) (out answer) {
	stage := seeother.Enforce
	if mw.Stage != nil {
		stage = mw.Stage()
	}
	if stage == seeother.Off {
		return answer{}
	}
	if t.staged || stage.IsCanary() {
		m.req.Client = mw.client(r)
	}
	m.req.Now = time.Now()
	found := t.Match(&m.req, &m.Match)
	if m.exhausted && stage.Acts(m.req.Client) {
		return answer{status: m.tooLong(), refused: true, now: m.req.Now}
	}
	acts := found && stage.Acts(m.req.Client)
	if acts {
		out = m.answer(stage)
	}
	out.now, out.vary = m.req.Now, m.vary
	if m.reported != 0 {
		mw.note(&out, m, r, t.entries.at(m.reported-1), stage, false)
	}
	if found {
		mw.note(&out, m, r, m.won(), stage, acts)
	}
	return out
}

// tooLong is the status for a request that the expressions cannot look at.
func (m *asked) tooLong() int {
	if len(m.req.Path)+len(m.req.Query) > seeother.MaxTarget {
		return http.StatusRequestURITooLong
	}
	return http.StatusRequestHeaderFieldsTooLarge // RFC 6585 section 5
}

// answer is the answer of the rule that won.
func (m *asked) answer(stage seeother.Stage) (out answer) {
	a := m.attrs()
	out.status, out.missing = m.Status(stage), m.Missing()
	if r := &a.proto; !r.Deprecation.IsZero() || !r.Sunset.IsZero() {
		out.announce = r
	}
	if out.status == 0 {
		return out
	}
	location, err := m.AppendLocation(m.buf[:0])
	if err != nil {
		out.status, out.refused = http.StatusBadRequest, true
		return out
	}
	m.buf = location
	out.location = string(location)
	out.cacheControl = m.CacheControl(stage)
	return out
}

// CacheControl is the Cache-Control of the answer: a permanent redirect may be
// kept for MaxAge, a temporary one must be asked for again, and what is not for
// everybody is for nobody else.
func (m *Match) CacheControl(stage seeother.Stage) string {
	r := &m.attrs().proto
	switch status := m.Status(stage); {
	case stage.IsCanary() || r.Stage.IsCanary() || m.canary:
		return "private, no-store"
	case status == http.StatusSeeOther:
		return "no-store"
	case status != http.StatusMovedPermanently && status != http.StatusPermanentRedirect && status != http.StatusGone:
		return "no-cache"
	}
	if r.Until.IsZero() && m.nextFrom == 0 {
		return m.attrs().cacheControl
	}
	now := m.req.Now
	if now.IsZero() {
		now = time.Now()
	}
	age := r.maxAge()
	if !r.Until.IsZero() {
		age = min(age, r.Until.Sub(now))
	}
	if m.nextFrom != 0 { // a planned rule must find nothing in a cache
		age = min(age, time.Unix(m.nextFrom, 0).Sub(now))
	}
	return maxAge(max(age, 0))
}

func (r *Rule) maxAge() time.Duration { return cmp.Or(time.Duration(r.MaxAge), DefaultMaxAge) }

func maxAge(age time.Duration) string {
	return "max-age=" + strconv.FormatInt(int64(age/time.Second), 10)
}

// write sends the redirect, or the page that says why there is none.
func (a *answer) write(mw Middleware, w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	a.mark(h)
	values := []string{a.location, a.cacheControl} // one piece of memory for both
	if a.cacheControl != "" {
		h["Cache-Control"] = values[1:]
	}
	if a.location == "" || a.refused {
		mw.fail(w, r, a.status)
		return
	}
	h["Location"] = values[:1:1]
	h["Date"] = dateOf(a.now)
	h["Content-Length"] = noBytes
	w.WriteHeader(a.status)
}

// noBytes is the length of a redirect: clients follow it, and nobody reads it.
var noBytes = []string{"0"}

// dated is a Date header, and the second that it is for.
type dated struct {
	second int64
	header []string
}

var lastDate atomic.Pointer[dated]

// dateOf is the Date header of now (RFC 9110 section 6.6.1), written anew once
// in a second. Nobody may write to it.
func dateOf(now time.Time) []string {
	d := lastDate.Load()
	if second := now.Unix(); d == nil || d.second != second {
		d = &dated{second, []string{now.UTC().Format(http.TimeFormat)}}
		lastDate.Store(d)
	}
	return d.header
}

// mark adds what is said of an answer, whoever gives it.
func (a *answer) mark(h http.Header) {
	for i, name := range a.vary {
		if !slices.Contains(a.vary[:i], name) {
			h["Vary"] = append(h["Vary"], name)
		}
	}
	if a.announce != nil {
		a.announce.announceIn(h)
	}
}

func (mw Middleware) fail(w http.ResponseWriter, r *http.Request, status int) {
	switch {
	case mw.Fail != nil:
		mw.Fail(w, r, status)
	case status == http.StatusGone:
		http.Error(w, "gone", status)
	case status != http.StatusBadRequest:
		http.Error(w, "the request is too long", status)
	default:
		http.Error(w, "the redirect target is not allowed", status)
	}
}

// announceIn says that what was asked for is deprecated, or will go away (RFC
// 9745, RFC 8594), where the answer does not say so by itself.
func (r *Rule) announceIn(h http.Header) {
	if !r.Deprecation.IsZero() && len(h["Deprecation"]) == 0 {
		h["Deprecation"] = []string{"@" + strconv.FormatInt(r.Deprecation.Unix(), 10)}
	}
	if !r.Sunset.IsZero() && len(h["Sunset"]) == 0 {
		h["Sunset"] = []string{r.Sunset.UTC().Format(http.TimeFormat)}
	}
}

func (mw Middleware) client(r *http.Request) string {
	if mw.Client != nil {
		return mw.Client(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// note tells of the rule of an entry, or puts it down for when the app has
// nothing.
func (mw Middleware) note(out *answer, m *asked, r *http.Request, e *entry, stage seeother.Stage, acts bool) {
	if mw.Observe == nil && mw.Hit == nil {
		return
	}
	a := m.t.attrs[e.attr]
	if a.proto.Stage.Level() < stage.Level() {
		stage = a.proto.Stage
	}
	status := a.proto.StatusFor(r.Method)
	if acts {
		status = out.status
	}
	ev := event{table: m.t, rule: int(e.rule)}
	if mw.Observe != nil && status != 0 {
		m.buf = m.t.appendLabel(append(m.buf[:0], ruleWord...), e)
		reason := string(m.buf)
		ev.decision = seeother.Decision{
			Policy: policy, Action: actionOf(status), Route: reason[len(ruleWord):], Stage: stage, Applied: acts, Time: m.req.Now,
			Method: r.Method, Path: r.URL.EscapedPath(), After: status, Reason: reason,
		}
	}
	if a.proto.Missing {
		out.later = append(out.later, ev)
		return
	}
	mw.tell(r, &ev)
}

const (
	policy   = "rules"
	ruleWord = "rule "
)

// actionOf is the status as text.
func actionOf(status int) string {
	switch status {
	case http.StatusMovedPermanently:
		return "301"
	case http.StatusPermanentRedirect:
		return "308"
	}
	return strconv.Itoa(status)
}

func (mw Middleware) tell(r *http.Request, e *event) {
	if mw.Hit != nil {
		mw.Hit(e.table, e.rule)
	}
	d := &e.decision
	if mw.Observe == nil || d.After == 0 {
		return
	}
	if d.After == http.StatusBadRequest {
		d.Reason += ": the request would lead to where the rule must not"
	}
	mw.Observe(r.Context(), *d)
}

// Label names a rule for people: its name, or where it was written.
func (r *Rule) Label() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Pos.String()
}

// Label is Rule.Label of rule i, and costs less.
func (t *Table) Label(i int) string {
	return string(t.appendLabel(nil, t.entryOf(uint32(i)))) //nolint:gosec // the caller's index is less than Len
}

func (t *Table) appendLabel(dst []byte, e *entry) []byte {
	a := t.attrs[e.attr]
	name := a.proto.Name
	if !a.own {
		name = t.names[e.rule]
	}
	if name != "" {
		return append(dst, name...)
	}
	dst = append(dst, t.files[a.file]...)
	if e.line > 0 {
		dst = strconv.AppendUint(append(dst, ':'), uint64(e.line), 10)
	}
	if a.own && a.proto.Pos.Column > 0 {
		dst = strconv.AppendInt(append(dst, ':'), int64(a.proto.Pos.Column), 10)
	}
	return dst
}
