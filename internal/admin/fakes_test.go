package admin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/openapitest"
	"github.com/seeother/seeother/once"
)

// *once.Guard is a source as it is.
var _ Once = (*once.Guard)(nil)

const token = "correct horse battery staple"

// records is an Once in memory.
type records struct {
	mu   sync.Mutex
	all  []once.Summary
	down error
	keys []string // of the queries
}

func newRecords() *records {
	at := time.Date(2026, 11, 24, 10, 42, 0, 0, time.UTC)
	return &records{all: []once.Summary{
		{ID: "first", State: once.StateUncertain, Generation: 1, Method: "POST", Host: "shop.example", Path: "/orders", Principal: "none", KeyHash: once.HashKey("k1"), Reason: "the gateway ended while this was running", Started: at, Ended: at.Add(time.Second)},
		{ID: "second", State: once.StateCompleted, Generation: 2, Method: "POST", Host: "shop.example", Path: "/orders", Route: "orders", Principal: "cookie", KeyHash: once.HashKey("k2"), Started: at, Ended: at.Add(time.Second), Expires: at.Add(time.Hour), Status: 201, BodyKept: true},
		{ID: "third", State: once.StateUncertain, Generation: 1, Method: "PATCH", Host: "<b>shop</b>", Path: "/a<script>alert(1)</script>", Principal: "none", KeyHash: once.HashKey("k3"), Reason: "<img src=x>", Started: at},
	}}
}

func (f *records) List(_ context.Context, q once.Query) (once.Page, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = append(f.keys, q.Key)
	if f.down != nil {
		return once.Page{}, f.down
	}
	if q.Cursor != "" && q.Cursor != "next" {
		return once.Page{}, fmt.Errorf("cursor %q: %w", q.Cursor, ErrInvalid)
	}
	var page once.Page
	for _, s := range f.all {
		if (q.State == "" || q.State == s.State) && (q.Key == "" || once.HashKey(q.Key) == s.KeyHash) {
			page.Records = append(page.Records, s)
		}
	}
	if q.Cursor == "next" {
		page.Records = nil
	} else if len(page.Records) > q.Limit {
		page.Records, page.Cursor = page.Records[:q.Limit], "next"
	}
	return page, nil
}

func (f *records) Show(_ context.Context, id string) (once.Summary, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return once.Summary{}, f.down
	}
	for _, s := range f.all {
		if s.ID == id {
			return s, nil
		}
	}
	return once.Summary{}, fmt.Errorf("record %q: %w", id, ErrNoRecord)
}

func (f *records) Resolve(ctx context.Context, id string, how once.Resolution) (once.Summary, error) {
	s, err := f.Show(ctx, id)
	switch {
	case err != nil:
		return s, err
	case s.State != once.StateUncertain:
		return s, fmt.Errorf("record %s is %s: %w", id, s.State, once.ErrNotUncertain)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.all {
		if f.all[i].ID == id {
			f.all[i].State, f.all[i].ResolvedBy = how.As, how.Note
			s = f.all[i]
		}
	}
	return s, nil
}

func (f *records) Stats() once.Stats {
	return once.Stats{Active: 3, Running: 2, Uncertain: 2, Memory: 4096, Outcomes: map[string]uint64{"completed": 7, "replayed": 4}}
}

// rollout is a Rollout in memory; smoke requests fail for "once" at enforce.
type rollout struct {
	mu     sync.Mutex
	stages map[string]seeother.Stage
}

func newRollout() *rollout {
	return &rollout{stages: map[string]seeother.Stage{
		"see-other": seeother.Enforce, "see-other uploads": seeother.Report, "once": seeother.Canary(10),
	}}
}

func (f *rollout) Stages() map[string]seeother.Stage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.stages)
}

func (f *rollout) Set(_ context.Context, name string, stage seeother.Stage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.stages[name]; !ok {
		return fmt.Errorf("policy %q: %w", name, ErrNoPolicy)
	}
	if name == "once" && stage == seeother.Enforce {
		return fmt.Errorf("set stages: %w", &SmokeError{Failed: []SmokeFailure{{Name: "health", Method: "GET", Path: "/health", Want: "status 200", Got: "status 503"}}})
	}
	f.stages[name] = stage
	return nil
}

// world is an admin server with everything behind it.
type world struct {
	handler *Handler
	server  *http.Server
	url     string
	once    *records
	rollout *rollout
	events  *Events
	metrics *Metrics

	maintenance maintenanceFake

	mu     sync.Mutex
	broken error // of the check "upstream"
}

func (w *world) breakUpstream(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
}

func (w *world) upstream(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

// start serves cfg with all sources on a port of its own.
func start(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{once: newRecords(), rollout: newRollout(), events: NewEvents(0), metrics: NewMetrics()}
	cfg.Version = "1.2.3"
	w.serve(t, cfg, Sources{
		Once: w.once, Rollout: w.rollout, Events: w.events, Metrics: w.metrics, Maintenance: &w.maintenance, Healthy: func() bool { return true },
		Ready: Checks(Probe{Name: "store", Run: func(context.Context) error { return nil }}, Probe{Name: "upstream", Run: w.upstream}),
	})
	return w
}

func (w *world) serve(t *testing.T, cfg Config, src Sources) {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	w.handler = New(cfg, src)
	w.server = NewServer(w.handler)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + listener.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.server.Serve(listener) // ends with ErrServerClosed
	}()
	t.Cleanup(func() {
		_ = w.server.Close()
		<-done
	})
}

// answer is a response that was read to its end.
type answered struct {
	status int
	header http.Header
	body   string
}

// do sends a request; header is a list of "Name: value". Whatever comes back
// must be as /openapi.json says.
func (w *world) do(t *testing.T, method, path, body string, header ...string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answered{res.StatusCode, res.Header, string(text)}
	openapitest.Read(t, w.handler.openapi).Check(t, method, path, openapitest.Answer{Status: got.status, Header: got.header, Body: got.body})
	return got
}

func (w *world) get(t *testing.T, path string, header ...string) answered {
	t.Helper()
	return w.do(t, http.MethodGet, path, "", header...)
}

const asJSON = "Content-Type: application/json"

func decision(path string) seeother.Decision {
	return seeother.Decision{
		Time: time.Date(2026, 11, 24, 10, 42, 0, 0, time.UTC), Policy: "see-other", Action: "303", Stage: seeother.Enforce, Applied: true,
		Method: "DELETE", Path: path, Before: 302, After: 303, Reason: "browsers would have sent DELETE /users",
	}
}
