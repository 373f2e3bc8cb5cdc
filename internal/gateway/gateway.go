// Package gateway puts seeother in front of an app. It is the library, wired:
// a listener's settings, a reverse proxy, and the chain that a request goes
// through:
//
//	trust -> maintenance -> rules -> route -> failover -> form (tokens) -> once -> form (pages) -> see-other -> proxy -> app
//
// Trust says who the client is and under which scheme and host it knows the
// site; rules redirect; the route says which policies count. Once stands outside
// see-other, so that a stored answer is already mended, and inside the part that
// puts tokens into forms, so that a stored page gets new ones when it is shown.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/form"
	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/operation"
)

// How long Ready may look for the app, and how long its answer holds.
const (
	readyTimeout = 2 * time.Second
	readyCache   = time.Second
)

// Gateway is the whole chain as one http.Handler. It is safe for concurrent
// use.
type Gateway struct {
	cfg      Config
	guard    *once.Guard
	upstream *upstream
	all      http.Handler // everything, for scripts too
	chain    atomic.Pointer[chain]
	rules    atomic.Pointer[Rules]

	maintenance atomic.Pointer[maintenance]
	reportOnly  atomic.Bool
	look        func(context.Context) error // at the app
	health      *health                     // nil: nobody looks while nobody asks
	sister      *otherSite                  // nil: there is none

	readyMu sync.Mutex // held while looking, so that one look serves all who ask
	readyAt time.Time
	readyIs error
}

// New makes a gateway. guard may be nil when no route has a Once policy.
func New(cfg Config, guard *once.Guard, routes []Route) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	cfg = cfg.withDefaults()
	g := &Gateway{cfg: cfg, guard: guard, upstream: newUpstream(cfg)}
	g.all = operation.Clean(seeother.Scripts(http.HandlerFunc(g.answer)))
	g.SetRules(Rules{})
	if err := errors.Join(g.SetRoutes(routes, seeother.Enforce), g.SetMaintenance(Maintenance{})); err != nil {
		return nil, err
	}
	g.watch()
	return g, nil
}

// SetRoutes puts other routes in force, and the stage of all rules together, all
// at once. Requests that are under way end with the ones that they began with.
// On an error nothing changes.
func (g *Gateway) SetRoutes(routes []Route, rules seeother.Stage) error {
	c, err := g.compile(routes, rules)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	g.chain.Store(c)
	return nil
}

// Candidate is the gateway as it would be with other routes and another stage of
// the rules, to be tried out before SetRoutes. Its requests do reach the app and
// the guard.
func (g *Gateway) Candidate(routes []Route, rules seeother.Stage) (http.Handler, error) {
	c, err := g.compile(routes, rules)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.serve(c, g.record(w, r), r)
	}), nil
}

// ServeHTTP answers a client's request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.all.ServeHTTP(w, r) }

func (g *Gateway) answer(w http.ResponseWriter, r *http.Request) {
	rec := g.record(w, r)
	if m := g.cfg.Metrics; m != nil {
		begin := time.Now()
		m.RequestStarted()
		defer func() { m.RequestDone(r.Method, rec.status, time.Since(begin)) }()
	}
	rec.unread = r.ContentLength != 0
	c := g.chain.Load()
	if on := g.maintain(c, rec, r); on != nil {
		g.serve(c, rec, on)
	}
}

func (g *Gateway) record(w http.ResponseWriter, r *http.Request) *recorder {
	rec := &recorder{ResponseWriter: w, patience: g.cfg.Timeouts.ClientWrite}
	if hsts := g.rules.Load().HSTS; hsts != "" && g.cfg.Trust.Resolve(r).Scheme == "https" {
		rec.hsts = hsts
	}
	return rec
}

func (g *Gateway) serve(c *chain, w *recorder, r *http.Request) {
	if r.Method == http.MethodConnect {
		problem.Write(w, r, problem.Details{
			Type: "method-not-supported", Title: "Method not supported", Status: http.StatusNotImplemented,
			Detail: "This is a gateway to one site, not a proxy to others.",
		})
		return
	}
	if g.tooEarly(w, r) {
		return
	}
	w.unread = r.ContentLength != 0
	c.handler.ServeHTTP(w, r)
}

// route sends a request on that no rule has answered.
func (g *Gateway) route(c *chain, w http.ResponseWriter, r *http.Request) {
	if c.status != nil && strings.HasPrefix(r.URL.Path, statusPath) {
		c.status.ServeHTTP(w, r)
		return
	}
	link := c.match(r)
	if g.failOver(w, r, link) {
		return
	}
	rec := recorderOf(w)
	rec.unread = false
	if r.ContentLength != 0 {
		body, ok := g.takeBody(w, r, link.maxBody)
		if !ok {
			return
		}
		rec.body = body
		defer body.end()
	}
	link.handler.ServeHTTP(w, r)
}

// Ready returns nil when the app takes connections (or passes its health check,
// where one names a path), as of the last second.
func (g *Gateway) Ready(ctx context.Context) error {
	g.readyMu.Lock()
	defer g.readyMu.Unlock()
	if !g.readyAt.IsZero() && time.Since(g.readyAt) < readyCache {
		return g.readyIs
	}
	// The answer is for others too: one who goes away must not spoil it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	err := g.look(ctx)
	g.readyAt, g.readyIs = time.Now(), err
	return err
}

// Health is what the health checks say.
func (g *Gateway) Health() Health {
	if g.health == nil {
		return Health{Healthy: true}
	}
	return *g.health.now.Load()
}

// Sister is the origin that requests are sent to while the app is unhealthy;
// empty: none.
func (g *Gateway) Sister() string {
	if g.sister == nil {
		return ""
	}
	return g.sister.origin
}

// SisterAnswers returns nil while requests are sent to the sister site, or would
// be: why not, where it does not answer. It asks the sister, no more often than
// requests do. Without a sister or with an app that is healthy it asks nobody.
func (g *Gateway) SisterAnswers(ctx context.Context) error {
	since, down := g.health.down()
	if g.sister == nil || !down {
		return nil
	}
	return g.sister.answers(ctx, since)
}

// watch begins the health checks, where they are asked for.
func (g *Gateway) watch() {
	check := g.cfg.Health
	if check == nil && g.cfg.Failover.Sister.Origin != "" {
		check = &HealthCheck{}
	}
	if check == nil {
		g.look = lookAt(g.cfg, HealthCheck{})
		return
	}
	g.look = lookAt(g.cfg, *check)
	g.sister = newOtherSite(g.cfg, g.cfg.Failover.Sister)
	g.health = newHealth(check.withDefaults(), g.look, g.cfg.Log)
	g.health.start()
}

// Close ends the health checks and closes the connections to the app that
// nobody uses. Shut the http.Server down first: it waits for what is under way.
func (g *Gateway) Close() {
	g.health.close()
	g.upstream.close()
}

// chain is a set of routes, ready for requests. It does not change.
type chain struct {
	handler http.Handler // the rules, and behind them the links
	links   []link
	others  link         // what no route matches
	status  http.Handler // of submissions; nil where none is guarded
}

// statusPath is where submissions tell how far they are. Nothing below it reaches
// the app. A path that only some would take for one of these is the app's.
const statusPath = operation.DefaultStatusPath

type link struct {
	pattern pattern
	methods []string
	maxBody int64
	once    *once.Policy // nil: not guarded
	form    *form.Policy // nil: no forms are
	forms   *form.Forms  // of form
	handler http.Handler
}

// match is the first link that takes r. Where the app may take its path for
// another one, a guarded link of either counts: nothing passes a guard by the
// way in which its path is written.
func (c *chain) match(r *http.Request) *link {
	if len(c.links) == 0 {
		return &c.others
	}
	cleaned := cleanPath(r.URL.Path)
	l := c.find(r.Method, cleaned)
	if l.once != nil {
		return l
	}
	for _, path := range readings(r.URL, cleaned) {
		if other := c.find(r.Method, path); other.once != nil {
			return other
		}
	}
	return l
}

func (c *chain) find(method, path string) *link {
	for i := range c.links {
		if l := &c.links[i]; l.takes(method) && l.pattern.match(path) {
			return l
		}
	}
	return &c.others
}

// policy is that of the guarded route of this name.
func (c *chain) policy(route string) (once.Policy, bool) {
	for i := range c.links {
		if p := c.links[i].once; p != nil && p.Route == route {
			return *p, true
		}
	}
	return once.Policy{}, false
}

func (l *link) takes(method string) bool {
	return len(l.methods) == 0 || slices.Contains(l.methods, method)
}

func (g *Gateway) compile(routes []Route, rules seeother.Stage) (*chain, error) {
	var errs []error
	c := &chain{links: make([]link, 0, len(routes))}
	for i, route := range routes {
		l, err := g.link(route)
		if err != nil {
			errs = append(errs, fmt.Errorf("route %s: %w", route.label(i), err))
			continue
		}
		c.links = append(c.links, l)
	}
	if slices.ContainsFunc(c.links, func(l link) bool { return l.once != nil }) {
		c.status = g.status(c)
	}
	c.others = link{handler: g.proxy(false, false), maxBody: g.cfg.Limits.Body}
	c.cleanForms(g.cfg.Forms)
	c.handler = g.redirects(c, rules, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.route(c, w, r) }))
	return c, errors.Join(errs...)
}

func (g *Gateway) link(route Route) (link, error) {
	pat, err := parsePattern(route.Path)
	errs := []error{err}
	l := link{pattern: pat, maxBody: route.MaxBody}
	if l.maxBody == 0 {
		l.maxBody = g.cfg.Limits.Body
	}
	if l.methods, err = methods(route.Methods); err != nil {
		errs = append(errs, err)
	}
	l.handler = g.seeOther(route).Handler(g.proxy(route.Once != nil, route.Reuse))
	if err := g.checkGuard(route); err != nil {
		errs = append(errs, err)
	}
	if errors.Join(errs...) == nil && route.Once != nil {
		l.guard(g, route)
	}
	if route.Search != nil {
		if err := route.Search.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("search: %w", err))
		}
		l.handler = g.search(route).Handler(l.handler)
	}
	return l, errors.Join(errs...)
}

// cleanForms takes off, on routes without forms, what those of the others bring along.
// Where no route has any, it may be the app's own: a program with package form, or
// another gateway.
func (c *chain) cleanForms(forms *form.Forms) {
	if !slices.ContainsFunc(c.links, func(l link) bool { return l.form != nil }) {
		return
	}
	c.others.handler = forms.Clean(c.others.handler)
	for i := range c.links {
		if l := &c.links[i]; l.form == nil && l.handler != nil {
			l.handler = forms.Clean(l.handler)
		}
	}
}

// status tells how far submissions are. Those of browsers are told apart by what
// forms know them by.
func (g *Gateway) status(c *chain) http.Handler {
	status := g.guard.Status(statusPath, c.policy)
	if g.cfg.Operations != nil {
		status = g.cfg.Operations.Handler(c.policy)
	}
	if g.cfg.Forms != nil {
		status = g.cfg.Forms.Recognise(status)
	}
	if g.cfg.Flashes != nil { // the answer that is shown may bring messages
		status = g.cfg.Flashes.Handler(status)
	}
	return status
}

// checkGuard says what is wrong with what a route asks of the guard.
func (g *Gateway) checkGuard(route Route) error {
	switch {
	case route.Once == nil && route.Form != nil:
		return errors.New("form: there is no once policy")
	case route.Once == nil:
		return nil
	case g.guard == nil:
		return errors.New("once: there is no guard")
	case route.Form != nil && (g.cfg.Forms == nil || route.Flash && g.cfg.Flashes == nil):
		return errors.New("form: there are no forms")
	case route.Operation && g.cfg.Operations == nil:
		return errors.New("operation: there are no operations")
	}
	if err := route.Once.Validate(); err != nil {
		return fmt.Errorf("once: %w", err)
	}
	return nil
}

// guard puts the guard around the app, and what is for forms around both.
func (l *link) guard(g *Gateway, route Route) {
	policy := g.once(route)
	if route.Operation {
		policy = g.cfg.Operations.Policy(policy)
	}
	if route.Form == nil {
		l.once, l.handler = &policy, g.guard.Handler(policy, l.handler)
		return
	}
	forms := g.form(route)
	policy = g.cfg.Forms.Once(forms, policy)
	if route.Created {
		l.handler = g.created(forms).Handler(l.handler)
	}
	if route.Flash {
		policy.Replay = append(slices.Clone(policy.Replay), form.FlashHeader)
	}
	l.once, l.form, l.forms = &policy, &forms, g.cfg.Forms
	l.handler = g.cfg.Forms.Outer(forms, g.guard.Handler(policy, g.cfg.Forms.Inner(forms, l.handler)))
	if route.Flash { // outside of all: it needs the nonce that the browser has next
		l.handler = g.cfg.Flashes.Handler(l.handler)
	}
}

// proxy is the last link. Only guarded routes pay for watching the connection.
func (g *Gateway) proxy(guarded, reuse bool) http.Handler {
	var transport http.RoundTripper = g.upstream
	if guarded {
		transport = &guardedUpstream{upstream: g.upstream, reuse: reuse, patience: g.cfg.Timeouts.Answer, down: g.isDown}
	}
	return &httputil.ReverseProxy{
		Rewrite:      g.rewrite,
		Transport:    transport,
		BufferPool:   buffers,
		ErrorLog:     slog.NewLogLogger(g.cfg.Log.Handler(), slog.LevelWarn),
		ErrorHandler: g.fail,
	}
}
