package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/form"
	"github.com/seeother/seeother/internal/trust"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/operation"
)

// Config is what a Gateway needs to know. Only Upstream must be set; zero
// fields get the defaults that stand beside them.
type Config struct {
	// Upstream is the app: http or https, a host, and a path that is put
	// before every path.
	Upstream *url.URL
	Trust    trust.Proxies // whose X-Forwarded-* and Forwarded count; nobody's
	Timeouts Timeouts
	Limits   Limits

	Health   *HealthCheck // of the app; nil: none, unless Failover names a sister
	Failover Failover
	// Maintenance says whether the site is down on purpose now; false: it is
	// not. It is asked for every request, and must not block. Nil: never.
	Maintenance func() (Window, bool)

	Forms        *form.Forms           // of routes with a Form policy
	Flashes      *form.Flashes         // of those with Flash, too
	Operations   *operation.Operations // of those with Operation
	ServerTiming bool                  // every route shows in Server-Timing what was changed
	Observe      seeother.Observer     // told of every Decision of see-other; a guard has its own
	Metrics      Metrics               // may be nil
	Log          *slog.Logger          // slog.Default(); gets no query strings, headers or bodies
}

// Timeouts are how long the gateway waits for others. A zero field gets its
// default, a negative one waits without end.
type Timeouts struct {
	Dial           time.Duration // 5 s: to open a connection to the app
	TLSHandshake   time.Duration // 5 s: with the app
	ResponseHeader time.Duration // 2 min: from the end of a request to the header of the app's answer
	Send           time.Duration // 1 min: for the app to take a piece of a request
	Answer         time.Duration // 5 min: between two pieces of an answer to a guarded request, which nobody may wait for any more
	Idle           time.Duration // 90 s: an unused connection to the app is kept
	ReadHeader     time.Duration // 10 s: for a client to send a request's header
	ClientRead     time.Duration // 1 min: between two pieces of a request's body
	ClientWrite    time.Duration // 1 min: for a client to take a piece of a large answer
	ClientIdle     time.Duration // 2 min: an unused connection of a client is kept
}

// Limits bound what clients may send. A zero field gets its default.
type Limits struct {
	Header int   // 64 KiB: bytes of a request's header
	Body   int64 // none: bytes of a request's body, where the route does not say
	Idle   int   // 512: unused connections to the app
}

// Metrics counts what passes. Methods are called from many goroutines and
// must not block.
type Metrics interface {
	RequestStarted()
	// RequestDone follows each RequestStarted; code is 0 when no status was sent.
	RequestDone(method string, code int, took time.Duration)
	// UpstreamAnswered gets the time until the header of the app's answer.
	UpstreamAnswered(took time.Duration)
	// UpstreamFailed gets "connect", "timeout", "reset", "protocol" or "canceled".
	UpstreamFailed(kind string)
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	switch u := c.Upstream; {
	case u == nil:
		errs = append(errs, errors.New("upstream: missing"))
	case u.Scheme != "http" && u.Scheme != "https":
		errs = append(errs, fmt.Errorf("upstream %q: want http:// or https://", u.Redacted()))
	case u.Hostname() == "":
		errs = append(errs, fmt.Errorf("upstream %q: host is missing", u.Redacted()))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		errs = append(errs, fmt.Errorf("upstream %q: want no user, query or fragment", u.Redacted()))
	}
	if c.Health != nil {
		errs = append(errs, c.Health.validate())
	}
	if c.Failover.Sister.Origin != "" {
		if err := c.Failover.Sister.validate(); err != nil {
			errs = append(errs, fmt.Errorf("sister: %w", err))
		}
	}
	for _, l := range []struct {
		name  string
		value int64
	}{{"header", int64(c.Limits.Header)}, {"body", c.Limits.Body}, {"idle", int64(c.Limits.Idle)}} {
		if l.value < 0 {
			errs = append(errs, fmt.Errorf("limit %s %d: want 0 or more", l.name, l.value))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	t := &c.Timeouts
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Dial, 5 * time.Second},
		{&t.TLSHandshake, 5 * time.Second},
		{&t.ResponseHeader, 2 * time.Minute},
		{&t.Send, time.Minute},
		{&t.Answer, 5 * time.Minute},
		{&t.Idle, 90 * time.Second},
		{&t.ReadHeader, 10 * time.Second},
		{&t.ClientRead, time.Minute},
		{&t.ClientWrite, time.Minute},
		{&t.ClientIdle, 2 * time.Minute},
	} {
		switch {
		case *d.field == 0:
			*d.field = d.value
		case *d.field < 0:
			*d.field = 0 // net/http's word for without end
		}
	}
	if c.Limits.Header == 0 {
		c.Limits.Header = 64 << 10
	}
	if c.Limits.Idle == 0 {
		c.Limits.Idle = 512
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// NewServer is an http.Server with the gateway's limits. The caller sets Addr
// or brings a listener, and shuts it down.
func NewServer(cfg Config, handler http.Handler) *http.Server {
	cfg = cfg.withDefaults()
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: cfg.Timeouts.ReadHeader,
		IdleTimeout:       cfg.Timeouts.ClientIdle,
		MaxHeaderBytes:    cfg.Limits.Header,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
}

// seeOther is the route's policy, with what only the gateway knows.
func (g *Gateway) seeOther(route Route) seeother.Policy {
	p := route.SeeOther
	p.Route = route.Name
	p.ServerTiming = p.ServerTiming || g.cfg.ServerTiming
	if p.Client == nil {
		p.Client = g.client
	}
	if p.Origin == nil {
		p.Origin = func(r *http.Request) string { return g.cfg.Trust.Resolve(r).Origin() }
	}
	if p.Observe == nil {
		p.Observe = g.cfg.Observe
	}
	return p
}

func (g *Gateway) once(route Route) once.Policy {
	p := *route.Once
	p.Route, p.StatusPath = route.Name, statusPath
	p.ServerTiming = p.ServerTiming || g.cfg.ServerTiming
	if p.Client == nil {
		p.Client = g.client
	}
	return p
}

// form is the route's policy of forms, with what only the gateway knows.
func (g *Gateway) form(route Route) form.Policy {
	p := *route.Form
	p.Route = route.Name
	if p.Client == nil {
		p.Client = g.client
	}
	return p
}

// created is what sends browsers to what they have made.
func (g *Gateway) created(p form.Policy) form.Creation {
	return form.Creation{Stage: p.Stage, Route: p.Route, Client: p.Client, Origin: Origin(g.cfg.Trust), Observe: g.cfg.Observe}
}

func (g *Gateway) search(route Route) form.Search {
	s := *route.Search
	s.Route = route.Name
	if s.Client == nil {
		s.Client = g.client
	}
	if s.Observe == nil {
		s.Observe = g.cfg.Observe
	}
	return s
}

// Origin is the site's origin as the client of r knows it.
func Origin(proxies trust.Proxies) func(*http.Request) string {
	return func(r *http.Request) string { return proxies.Resolve(r).Origin() }
}

// client names a client by its address.
func (g *Gateway) client(r *http.Request) string {
	if ip := g.cfg.Trust.Resolve(r).IP; ip.IsValid() {
		return ip.String()
	}
	return r.RemoteAddr
}

// address is where to dial u.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
