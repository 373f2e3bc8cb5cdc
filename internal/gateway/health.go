package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxHealthBody bounds what is read of the answer to a check, in bytes.
const maxHealthBody = 64 << 10

// probeHeader is in every request that only asks how a site is. A gateway never
// sends one away: see failover.go.
const probeHeader = "Seeother-Probe"

// isProbe reports whether r only asks how the site is.
func isProbe(r *http.Request) bool { return len(r.Header[probeHeader]) > 0 }

// HealthCheck says how the app is looked at while nobody asks. Zero fields get
// the defaults that stand beside them.
type HealthCheck struct {
	Path           string        // to GET, with a query if need be; 2xx and 3xx are good. Empty: whether the app takes connections
	Host           string        // for the Host header; that of Upstream
	Interval       time.Duration // 2 s: between two looks, a tenth more or less
	Timeout        time.Duration // 2 s: of one look
	UnhealthyAfter int           // 3: looks in a row that fail
	HealthyAfter   int           // 2: looks in a row that pass
}

func (c HealthCheck) withDefaults() HealthCheck {
	for _, d := range []*time.Duration{&c.Interval, &c.Timeout} {
		if *d == 0 {
			*d = 2 * time.Second
		}
	}
	if c.UnhealthyAfter == 0 {
		c.UnhealthyAfter = 3
	}
	if c.HealthyAfter == 0 {
		c.HealthyAfter = 2
	}
	return c
}

func (c HealthCheck) validate() error {
	var errs []error
	if c.Path != "" && !isTarget(c.Path) {
		errs = append(errs, fmt.Errorf("health path %q: want a path as in a request", c.Path))
	}
	if c.Interval < 0 || c.Timeout < 0 || c.UnhealthyAfter < 0 || c.HealthyAfter < 0 {
		errs = append(errs, errors.New("health: want no negative number"))
	}
	return errors.Join(errs...)
}

// isTarget reports whether text can stand in a request line as path and query.
func isTarget(text string) bool {
	_, err := url.ParseRequestURI(text)
	return err == nil && strings.HasPrefix(text, "/") && !strings.Contains(text, "#")
}

// Health is what the checks say of the app.
type Health struct {
	Checked bool      // false: nobody checks
	Healthy bool      // also before the first check has ended
	Since   time.Time // of the last change; of the start before one
	Reason  string    // why the last look failed; empty when it passed
}

// tally counts looks in a row.
type tally struct {
	down           bool
	failed, passed int
}

// after is the tally after one more look, and whether the state changed.
func (t tally) after(passed bool, c HealthCheck) (tally, bool) {
	was := t.down
	if passed {
		t.failed = 0
		t.passed++
		t.down = t.down && t.passed < c.HealthyAfter
	} else {
		t.passed = 0
		t.failed++
		t.down = t.down || t.failed >= c.UnhealthyAfter
	}
	return t, t.down != was
}

// health looks at the app again and again.
type health struct {
	cfg  HealthCheck
	look func(context.Context) error
	log  *slog.Logger
	now  atomic.Pointer[Health]
	hint chan struct{} // a request met a failure: look soon

	tally tally // the goroutine's own
	stop  context.CancelFunc
	done  sync.WaitGroup
}

func newHealth(cfg HealthCheck, look func(context.Context) error, log *slog.Logger) *health {
	h := &health{cfg: cfg, look: look, log: log, hint: make(chan struct{}, 1), stop: func() {}}
	h.now.Store(&Health{Checked: true, Healthy: true, Since: time.Now()})
	return h
}

// start begins to look, until close.
func (h *health) start() {
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.done.Go(func() {
		for {
			h.check(ctx)
			if !h.pause(ctx) {
				return
			}
		}
	})
}

func (h *health) close() {
	if h != nil {
		h.stop()
		h.done.Wait()
	}
}

// down reports since when the app is unhealthy. A nil health never is.
func (h *health) down() (since time.Time, down bool) {
	if h == nil {
		return time.Time{}, false
	}
	now := h.now.Load()
	return now.Since, !now.Healthy
}

// suspect says that a request could not reach the app. That alone makes nothing
// unhealthy: it makes the next look come sooner. It never blocks.
func (h *health) suspect() {
	if h == nil {
		return
	}
	select {
	case h.hint <- struct{}{}:
	default:
	}
}

func (h *health) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	err := h.look(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the gateway closes
	}
	h.note(err)
}

// note counts a look, and tells when the state changes.
func (h *health) note(err error) {
	next, changed := h.tally.after(err == nil, h.cfg)
	h.tally = next
	was := h.now.Load()
	is := Health{Checked: true, Healthy: !next.down, Since: was.Since}
	if err != nil {
		is.Reason = reason(err)
	}
	if changed {
		is.Since = time.Now()
	}
	h.now.Store(&is)
	switch {
	case changed && next.down:
		h.log.Warn("the app fails its health checks: requests do not go there any more", "failed", next.failed, "error", is.Reason)
	case changed:
		h.log.Info("the app passes its health checks again", "down_for", is.Since.Sub(was.Since).Round(time.Millisecond).String())
	}
}

// pause waits until the next look is due, and returns false when there is none.
// After a hint that is soon, though not at once.
func (h *health) pause(ctx context.Context) bool {
	begin := time.Now()
	timer := time.NewTimer(jittered(h.cfg.Interval))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-h.hint:
	}
	timer.Reset(max(h.cfg.Interval/8-time.Since(begin), 0))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// jittered is d, a tenth more or less, so that many gateways do not look at the
// same moment.
func jittered(d time.Duration) time.Duration {
	return d*9/10 + rand.N(d/5+1) //nolint:gosec // no secret
}

// lookAt returns the check of the app.
func lookAt(cfg Config, check HealthCheck) func(context.Context) error {
	if check.Path == "" {
		return func(ctx context.Context) error { return connects(ctx, address(cfg.Upstream)) }
	}
	client := probeClient(cfg)
	target := strings.TrimSuffix(cfg.Upstream.String(), "/") + check.Path
	return func(ctx context.Context) error {
		seen, err := probe(ctx, client, target, check.Host)
		if err == nil && seen.status >= http.StatusBadRequest {
			err = fmt.Errorf("GET %s: status %d", check.Path, seen.status)
		}
		return err
	}
}

// connects opens a connection and closes it.
func connects(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// probeClient opens a connection for each look: one that is kept says nothing
// about new ones.
func probeClient(cfg Config) *http.Client {
	transport := newTransport(cfg)
	transport.DisableKeepAlives = true
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// probed is what counts of the answer to a look.
type probed struct {
	status   int
	location string
}

// probe sends one look.
func probe(ctx context.Context, client *http.Client, target, host string) (probed, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return probed{}, err
	}
	req.Host = host
	req.Header.Set("User-Agent", "seeother")
	req.Header.Set(probeHeader, "1")
	req.Header.Set("Cache-Control", "no-cache") // RFC 9111 section 5.2.1.4: what a cache remembers says nothing of now
	res, err := client.Do(req)
	if err != nil {
		if fault, ok := errors.AsType[*url.Error](err); ok {
			err = fault.Err // without the URL
		}
		return probed{}, err
	}
	_, _ = io.CopyN(io.Discard, res.Body, maxHealthBody) // only the header counts
	return probed{res.StatusCode, res.Header.Get("Location")}, res.Body.Close()
}
