package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/problem"
)

// Names of policies, as decisions carry them.
const (
	policyMaintenance = "maintenance"
	policyFailover    = "failover"
	policyEarlyData   = "early-data"
)

// Failover says what becomes of requests while the app is unhealthy. The zero
// value answers 502 at once.
type Failover struct {
	Sister      Site // where requests are sent meanwhile; the zero Site: nowhere
	SharedStore bool // the sister's gateway has the same run-once records: guarded requests may go there too
}

// Site is another site that requests can be sent to.
type Site struct {
	Origin string // "https://standby.example"
	Path   string // what is asked there before anybody is sent: 2xx is good, also after redirects within the site; "/"
}

func (s Site) validate() error {
	var errs []error
	if _, err := seeother.ParseOrigin(s.Origin); err != nil {
		errs = append(errs, err)
	}
	if s.Path != "" && !isTarget(s.Path) {
		errs = append(errs, fmt.Errorf("path %q: want a path as in a request", s.Path))
	}
	return errors.Join(errs...)
}

const (
	otherFresh   = 2 * time.Second // for so long it is known how another site is
	otherTimeout = 2 * time.Second
	otherHops    = 5 // redirects within the other site
)

// otherSite is a site that requests are sent to, for as long as it answers. It
// is looked at when somebody is to be sent there, and at no other time.
//
// That is also what keeps two sites that are both down from sending a client to
// and fro. A look is a request for the site's own page, and only 2xx is good:
// a gateway gives that when its app did. It lets no look pass in maintenance,
// and where it would send one on it answers 502 or 503 instead. Only a look counts that began after this site went down. So if this
// one sends clients to the other, the other went down later than this one; and
// the other can say the same only if this one went down later. Both cannot be.
type otherSite struct {
	origin, target string
	client         *http.Client
	log            *slog.Logger

	mu      sync.Mutex
	last    look  // that ended; guarded by mu
	running *look // nil: none; guarded by mu
	told    bool  // the log says that it fails; guarded by mu
}

// look is one request for another site's page.
type look struct {
	begun, ended time.Time
	err          error         // what it found
	done         chan struct{} // closed after ended and err were set
}

// newOtherSite returns nil for the zero Site.
func newOtherSite(cfg Config, s Site) *otherSite {
	if s.Origin == "" {
		return nil
	}
	origin, _ := seeother.ParseOrigin(s.Origin) // it was validated
	return &otherSite{origin: origin, target: origin + cmp.Or(s.Path, "/"), client: probeClient(cfg), log: cfg.Log}
}

// answers returns nil when the site can be used for requests that this one does
// not take since a time. Who comes while somebody else looks gets what was found
// before that, if it is not too old.
func (o *otherSite) answers(ctx context.Context, since time.Time) error {
	for wait := true; ; wait = false {
		l, err := o.ask(since)
		if l == nil {
			return err
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !l.begun.Before(since) || !wait { // one that began too early was under way: the next is not
			return l.err
		}
	}
}

// ask returns what is known, or the look that must be waited for.
func (o *otherSite) ask(since time.Time) (*look, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	counts, age := !o.last.begun.Before(since), time.Since(o.last.ended)
	switch {
	case counts && age <= otherFresh, counts && age <= otherFresh+otherTimeout && o.running != nil:
		return nil, o.last.err
	case o.running == nil:
		o.running = &look{begun: time.Now(), done: make(chan struct{})}
		go o.run(o.running)
	}
	return o.running, nil
}

// run looks, for at most otherTimeout. The answer is for others too: one who
// goes away must not spoil it.
func (o *otherSite) run(l *look) {
	ctx, cancel := context.WithTimeout(context.Background(), otherTimeout)
	defer cancel()
	l.err = o.look(ctx)
	l.ended = time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last, o.running = *l, nil
	o.tell(l.err)
	close(l.done)
}

// look follows redirects that stay at the site. One away from there may lead
// back here.
func (o *otherSite) look(ctx context.Context) error {
	target := o.target
	for range otherHops + 1 {
		seen, err := probe(ctx, o.client, target, "")
		switch {
		case err != nil:
			return err
		case seen.status < http.StatusMultipleChoices:
			return nil
		case seen.status >= http.StatusBadRequest || seen.location == "":
			return fmt.Errorf("status %d", seen.status)
		}
		base, err := url.Parse(target)
		if err != nil {
			return err
		}
		to, err := seeother.ParseTarget(seen.location, base, o.origin)
		if err != nil || to.Origin() != o.origin && to.Origin() != "" {
			return fmt.Errorf("status %d, which leads to another site", seen.status)
		}
		target = o.origin + strings.TrimPrefix(to.Location(), o.origin)
	}
	return fmt.Errorf("more than %d redirects", otherHops)
}

// tell logs a change. Hold mu.
func (o *otherSite) tell(err error) {
	switch {
	case err != nil && !o.told:
		o.log.Warn("the other site does not answer: no request is sent there", "site", o.origin, "error", reason(err))
	case err == nil && o.told:
		o.log.Info("the other site answers", "site", o.origin)
	}
	o.told = err != nil
}

// failOver answers a request while the app is unhealthy, and reports whether it
// did. A guarded one that may not go to the sister goes on: its answer may be
// on record, and the guard learns that the app got nothing of it.
func (g *Gateway) failOver(w http.ResponseWriter, r *http.Request, l *link) bool {
	since, down := g.health.down()
	if !down {
		return false
	}
	guarded, form := l.guards(r), l.guardsForm(r)
	location := ""
	if !form && (!guarded || g.cfg.Failover.SharedStore) {
		location = g.elsewhere(r, g.sister, since)
	}
	d := seeother.Decision{Policy: policyFailover, After: http.StatusBadGateway, Reason: "the app fails its health checks"}
	switch {
	case location != "":
		d.After, d.Reason = http.StatusTemporaryRedirect, "the app fails its health checks, and "+g.sister.origin+" answers"
	case guarded || form:
		return false
	}
	if !g.decide(r, d) {
		return false
	}
	if location != "" {
		sendTo(w, location)
		return true
	}
	problem.Write(w, r, g.downDetails())
	return true
}

// downDetails is appDown, with when to come back.
func (g *Gateway) downDetails() problem.Details {
	p := appDown.details()
	p.RetryAfter = g.health.cfg.Interval * time.Duration(g.health.cfg.HealthyAfter)
	return p
}

// guards reports whether r is a submission that runs once.
func (l *link) guards(r *http.Request) bool { return l.once != nil && l.once.Guards(r) }

// guardsForm reports whether r is a form that runs once. It goes to no other site,
// whose host gets no cookie of ours: there it would be one that nobody knows.
func (l *link) guardsForm(r *http.Request) bool { return l.form != nil && l.forms.Guards(*l.form, r) }

// elsewhere is where r is to be sent at another site; empty when it must not be.
func (g *Gateway) elsewhere(r *http.Request, to *otherSite, since time.Time) string {
	if to == nil || isProbe(r) || isPreflight(r) {
		return ""
	}
	location := locationAt(to.origin, r)
	if location == "" || to.answers(r.Context(), since) != nil {
		return ""
	}
	return location
}

// isPreflight: browsers follow no redirect in answer to one (Fetch standard,
// "CORS-preflight fetch").
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// locationAt is r's path and query at another origin, or empty where they are
// not safe to pass on.
func locationAt(origin string, r *http.Request) string {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") { // "*", or in absolute form
		target = r.URL.RequestURI()
	}
	if !strings.HasPrefix(target, "/") {
		return ""
	}
	to, err := seeother.ParseTarget(origin+target, nil, origin)
	if err != nil || to.Origin() != origin {
		return ""
	}
	return to.Location()
}

// sendTo answers 307: the same request, method and body included, somewhere
// else for now. There is no Retry-After: with a redirect it asks to wait before
// following (RFC 9110 section 10.2.3).
func sendTo(w http.ResponseWriter, location string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Location", location)
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusTemporaryRedirect)
	_, _ = io.WriteString(w, "<a href=\""+html.EscapeString(location)+"\">Temporary Redirect</a>\n")
}

// tooEarly refuses what came in TLS early data (0-RTT) and is not safe to come
// twice, since anybody on the way can send early data again. RFC 8470 section
// 5.1: a request with the field, whatever its value, that cannot be processed
// safely must get 425. Who sent the field does not matter: to believe it costs
// one repetition, and only a client that knows the status has a reason to send it.
func (g *Gateway) tooEarly(w http.ResponseWriter, r *http.Request) bool {
	if len(r.Header["Early-Data"]) == 0 || isSafe(r.Method) {
		return false
	}
	if !g.decide(r, seeother.Decision{Policy: policyEarlyData, After: http.StatusTooEarly, Reason: "early data can be sent again by others"}) {
		return false
	}
	problem.Write(w, r, problem.Details{
		Type: "too-early", Title: "Too early", Status: http.StatusTooEarly,
		Detail: "The request came in TLS early data, which somebody else could send again. Nothing was done. Send it again when the connection stands.",
	})
	return true
}

// isSafe reports whether a method only reads (RFC 9110 section 9.2.1, and the
// registry of methods).
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY", "PROPFIND", "REPORT", "SEARCH":
		return true
	}
	return false
}

// decide tells what is done with r, and reports whether it is: not where the
// gateway only reports.
func (g *Gateway) decide(r *http.Request, d seeother.Decision) bool {
	d.Time, d.Action = time.Now(), strconv.Itoa(d.After)
	d.Method, d.Path = r.Method, r.URL.EscapedPath()
	d.Applied = !g.reportOnly.Load()
	if !d.Applied {
		d.Stage = seeother.Report
	}
	if g.cfg.Observe != nil {
		g.cfg.Observe(r.Context(), d)
	}
	return d.Applied
}

// ReportOnly makes maintenance, failover and the refusal of early data report
// what they would have done, and do nothing.
func (g *Gateway) ReportOnly(only bool) { g.reportOnly.Store(only) }

// errUnhealthy is what a guarded request gets instead of a connection.
var errUnhealthy = errors.New("the app fails its health checks")

// isDown reports whether requests are kept from the app.
func (g *Gateway) isDown() bool {
	_, down := g.health.down()
	return down && !g.reportOnly.Load()
}
