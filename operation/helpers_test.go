package operation

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// patience bounds what tests wait for.
const patience = 30 * time.Second

// site is an app behind a gateway, as the library makes it: a proxy that is guarded,
// and the status URLs. A form's token is in its query, and its browser in a cookie.
type site struct {
	*httptest.Server
	guard *once.Guard
	ops   *Operations
	runs  *atomic.Int64
}

// shared is a store that other processes use, too, and that can be cut off.
type shared struct {
	store.Store
	cut    atomic.Bool
	writes atomic.Int64 // of notes
	reads  atomic.Int64
	waits  atomic.Int64
}

func newShared() *shared { return &shared{Store: memstore.New()} }

var errCut = errors.New("the network is cut")

func (s *shared) Exclusive() bool { return false }

func (s *shared) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if s.cut.Load() {
		return store.Reply{}, errCut
	}
	if ops[0].Class == Class {
		s.writes.Add(1)
	}
	return s.Store.Apply(ctx, partition, ops...)
}

func (s *shared) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	s.reads.Add(1)
	if s.cut.Load() {
		return store.Record{}, time.Time{}, errCut
	}
	return s.Store.Get(ctx, partition, class, key)
}

func (s *shared) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	s.waits.Add(1)
	if s.cut.Load() {
		return store.Record{}, time.Time{}, errCut
	}
	return s.Store.Wait(ctx, partition, class, key, version)
}

// plain is a policy without operations.
func plain() once.Policy {
	return once.Policy{Route: "pay", Forms: &once.Forms{
		Of: func(r *http.Request) string { return r.URL.Query().Get("token") },
		Browser: func(r *http.Request) once.Principal {
			c, err := r.Cookie("browser")
			if err != nil {
				return once.Principal{}
			}
			return once.NewBrowser(c.Value)
		},
	}}
}

// newSite serves app, which is another server, at /pay. With callback, the app is
// told where to report.
func newSite(t testing.TB, st store.Store, cfg Config, guarded once.Config, callback bool, app http.HandlerFunc) *site {
	t.Helper()
	s := &site{runs: new(atomic.Int64)}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s.runs.Add(1)
			_, _ = io.Copy(io.Discard, r.Body) // or net/http does not see the connection end
		}
		app(w, r)
	}))
	t.Cleanup(upstream.Close)
	to, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
			if a := once.AttemptFrom(r.Context()); a != nil {
				a.Doubt("the app got the request and did not answer")
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	if s.guard, err = once.New(t.Context(), st, guarded); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.guard.Close(context.Background()) })
	mux := http.NewServeMux()
	s.Server = httptest.NewServer(Clean(mux))
	t.Cleanup(s.Close)
	t.Cleanup(upstream.CloseClientConnections) // an app that waits for something goes on
	if callback {
		cfg.Base = s.URL
	}
	if s.ops, err = New(s.guard, st, cfg); err != nil {
		t.Fatal(err)
	}
	p := s.ops.Policy(plain())
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	mux.Handle("/", s.guard.Handler(p, proxy))
	mux.Handle(DefaultStatusPath, s.ops.Handler(func(route string) (once.Policy, bool) { return p, route == "pay" }))
	return s
}

// answer is one that was read to its end.
type answer struct {
	*http.Response
	body string
}

// ask sends a request and follows nothing. Pairs are headers.
func (s *site) ask(t testing.TB, method, path, body string, pairs ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example"
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	res, err := s.Client().Transport.RoundTrip(r) // not the one that all share: other servers close its connections
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(text)}
}

var (
	alice   = []string{"Authorization", "Bearer alice"}
	mallory = []string{"Authorization", "Bearer mallory"}
	person  = []string{"Cookie", "browser=a", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin", "Accept", "text/html"}
	another = []string{"Cookie", "browser=b", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin", "Accept", "text/html"}
)

func with(base []string, more ...string) []string {
	return append(append([]string{}, base...), more...)
}

// begin sends alice's submission and returns its status URL.
func (s *site) begin(t testing.TB, key string) string {
	t.Helper()
	a := s.ask(t, "POST", "/pay", "amount=1", with(alice, "Idempotency-Key", key, "Prefer", "respond-async")...)
	check(t, a, http.StatusAccepted, `"started"`)
	return a.Header.Get("Location")
}

// submit sends a form and returns the address of its waiting page.
func (s *site) submit(t testing.TB, token string) string {
	t.Helper()
	a := s.ask(t, "POST", "/pay?token="+token, "amount=1", person...)
	check(t, a, http.StatusSeeOther, "")
	if h := a.Header; h.Get("Cache-Control") != "private, no-store" || !strings.HasPrefix(h.Get("Location"), DefaultStatusPath) {
		t.Fatalf("header %v", h)
	}
	return a.Header.Get("Location")
}

func check(t testing.TB, a answer, status int, in string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body, in) {
		t.Fatalf("got %d %v %q, want %d with %q", a.StatusCode, a.Header, a.body, status, in)
	}
}

// status is what the JSON of a status says.
type status struct {
	State    string
	Progress *struct {
		Percent *float64
		Text    string
		At      time.Time
	}
	Cancelled time.Time
	Detail    string
	Type      string
}

func (s *site) status(t testing.TB, at string, who ...string) (answer, status) {
	t.Helper()
	a := s.ask(t, "GET", at, "", who...)
	var said status
	if strings.HasSuffix(a.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal([]byte(a.body), &said); err != nil {
			t.Fatalf("%v in %q", err, a.body)
		}
	}
	return a, said
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
	}
}

// gate lets through those who come when it is open, and those who wait.
type gate struct {
	once sync.Once
	open chan struct{}
}

func newGate(t testing.TB) *gate {
	g := &gate{open: make(chan struct{})}
	t.Cleanup(g.let)
	return g
}

func (g *gate) let() { g.once.Do(func() { close(g.open) }) }

// pass waits until the gate is open; false: the request was cut off before.
func (g *gate) pass(r *http.Request) bool {
	select {
	case <-g.open:
		return true
	case <-r.Context().Done():
		return false
	}
}

// received gets a value in time.
func received[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("not reached")
	}
}
