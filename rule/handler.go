package rule

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
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
	// Hit is told of every rule that acted. Nil: nobody is.
	Hit func(t *Table, index int)
	// Fail answers 400 (a target is refused) and 410. Nil: plain text.
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
	buf []byte
}

// Handler answers by the table's rules, and sends the rest to next.
func (mw Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := mw.Table()
		if t == nil || t.entries.n == 0 {
			next.ServeHTTP(w, r)
			return
		}
		m := matches.Get().(*asked) //nolint:forcetypeassert,revive // the pool holds nothing else
		mw.ask(m, r)
		answer := mw.decide(t, m, r)
		m.req, m.t = Request{}, nil
		matches.Put(m)
		answer.serve(mw, w, r, next)
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
	location     string
	cacheControl string
	vary         []string
	announce     *Rule // has Deprecation or Sunset
	missing      bool
	refused      bool
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
	found := t.Match(&m.req, &m.Match)
	if n, ok := m.Reported(); ok {
		mw.report(t, n, r)
	}
	if !found {
		return answer{}
	}
	if !stage.Acts(m.req.Client) {
		mw.observe(t, m, r, stage, m.Status(seeother.Enforce), false)
		return answer{}
	}
	if mw.Hit != nil {
		mw.Hit(t, m.Index())
	}
	out = m.answer(stage)
	if !out.missing { // else it is known later whether it acts
		mw.observe(t, m, r, stage, out.status, true)
	}
	return out
}

// answer is the answer of the rule that won.
func (m *asked) answer(stage seeother.Stage) (out answer) {
	a := m.attrs()
	out.status, out.missing, out.vary = m.Status(stage), m.Missing(), m.Headers()
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
	case stage.IsCanary() || r.Stage.IsCanary():
		return "private, no-store"
	case status == http.StatusSeeOther:
		return "no-store"
	case status != http.StatusMovedPermanently && status != http.StatusPermanentRedirect && status != http.StatusGone:
		return "no-cache"
	}
	age := time.Duration(r.MaxAge)
	if age == 0 {
		age = DefaultMaxAge
	}
	if !r.Until.IsZero() {
		now := m.req.Now
		if now.IsZero() {
			now = time.Now()
		}
		age = min(age, max(r.Until.Sub(now), 0))
	}
	return "max-age=" + strconv.FormatInt(int64(age/time.Second), 10)
}

func (a *answer) serve(mw Middleware, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if a.announce != nil {
		a.announce.announceIn(w.Header())
	}
	switch {
	case a.status == 0:
		next.ServeHTTP(w, r)
	case a.missing:
		serveMissing(w, r, next, func() { a.write(mw, w, r) })
	default:
		a.write(mw, w, r)
	}
}

// write sends the redirect, or the page that says why there is none.
func (a *answer) write(mw Middleware, w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if a.cacheControl != "" {
		h["Cache-Control"] = []string{a.cacheControl}
	}
	for _, name := range a.vary {
		h.Add("Vary", name)
	}
	if a.location == "" || a.refused {
		mw.fail(w, r, a.status)
		return
	}
	h["Location"] = []string{a.location}
	h["Content-Length"] = zero
	w.WriteHeader(a.status)
}

var zero = []string{"0"}

func (mw Middleware) fail(w http.ResponseWriter, r *http.Request, status int) {
	switch {
	case mw.Fail != nil:
		mw.Fail(w, r, status)
	case status == http.StatusGone:
		http.Error(w, "gone", status)
	default:
		http.Error(w, "the redirect target is not allowed", status)
	}
}

// announceIn says that what was asked for is deprecated, or will go away (RFC
// 9745, RFC 8594).
func (r *Rule) announceIn(h http.Header) {
	if !r.Deprecation.IsZero() {
		h["Deprecation"] = []string{"@" + strconv.FormatInt(r.Deprecation.Unix(), 10)}
	}
	if !r.Sunset.IsZero() {
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

// report tells of a rule that would have acted but for its own stage.
func (mw Middleware) report(t *Table, index int, r *http.Request) {
	if mw.Observe == nil {
		return
	}
	rule := t.Rule(index)
	mw.tell(r.Context(), seeother.Decision{
		Route: rule.Label(), Stage: rule.Stage, Method: r.Method, Path: r.URL.EscapedPath(), After: rule.StatusFor(r.Method),
	})
}

func (mw Middleware) observe(t *Table, m *asked, r *http.Request, stage seeother.Stage, status int, acts bool) {
	if mw.Observe == nil || status == 0 {
		return
	}
	rule := t.Rule(m.Index())
	if rule.Stage.Level() < stage.Level() {
		stage = rule.Stage
	}
	mw.tell(r.Context(), seeother.Decision{
		Route: rule.Label(), Stage: stage, Applied: acts, Method: r.Method, Path: r.URL.EscapedPath(), After: status,
	})
}

func (mw Middleware) tell(ctx context.Context, d seeother.Decision) {
	d.Time, d.Policy, d.Action = time.Now(), "rules", strconv.Itoa(d.After)
	d.Reason = "rule " + d.Route
	mw.Observe(ctx, d)
}

// Label names a rule for people: its name, or where it was written.
func (r *Rule) Label() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Pos.String()
}

// errReplaced ends the copying of a 404 that nobody gets.
var errReplaced = errors.New("the answer was replaced by a redirect")

// serveMissing lets next answer, and replaces a 404.
func serveMissing(w http.ResponseWriter, r *http.Request, next http.Handler, redirect func()) {
	mw := &missingWriter{ResponseWriter: w}
	next.ServeHTTP(mw, r)
	if mw.replaced {
		clear(w.Header())
		redirect()
	}
}

// missingWriter holds a 404 back. All else streams through.
type missingWriter struct {
	http.ResponseWriter

	wrote, replaced bool
}

func (w *missingWriter) WriteHeader(status int) {
	if !w.wrote && status == http.StatusNotFound {
		w.replaced = true
	}
	w.wrote = w.wrote || status >= 200 || status == http.StatusSwitchingProtocols
	if !w.replaced {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write drops the body of a 404, and says so: a proxy need not copy the rest.
func (w *missingWriter) Write(b []byte) (int, error) {
	if w.replaced {
		return 0, errReplaced
	}
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Flush sends what is buffered, but for a 404.
func (w *missingWriter) Flush() {
	if !w.replaced {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // as http.Flusher: no error to give
	}
}

// Unwrap is for http.ResponseController.
func (w *missingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
