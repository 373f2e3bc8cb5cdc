package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
)

// decisions remembers what an observer was told.
type decisions struct {
	mu   sync.Mutex
	list []seeother.Decision
}

func (d *decisions) observe(_ context.Context, one seeother.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, one)
}

func (d *decisions) take() (list []seeother.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list, d.list = d.list, nil
	return list
}

// found answers every request with 302.
func found(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "/users")
	w.Header().Set("Set-Cookie", "a=1")
	w.WriteHeader(http.StatusFound)
	io.WriteString(w, "over there")
}

func TestFirstRouteThatMatchesCounts(t *testing.T) {
	var seen decisions
	s := newSite(t, app(t, found), options{config: func(c *Config) { c.Observe = seen.observe; c.ServerTiming = true }, routes: []Route{
		{Name: "off", Path: "/off/*", SeeOther: seeother.Policy{Stage: seeother.Off}},
		{Name: "deletes", Path: "/api/*", Methods: []string{"delete"}},
		{Name: "report", Path: "/api/*", SeeOther: seeother.Policy{Stage: seeother.Report}},
		{Name: "never", Path: "/api/x", SeeOther: seeother.Policy{Stage: seeother.Off}},
		{Name: "rest"},
	}})
	for _, tt := range []struct {
		method, path string
		status       int
		route        string
	}{
		{"POST", "/x", 303, "rest"},
		{"PUT", "/x", 303, "rest"},
		{"GET", "/x", 302, ""},
		{"QUERY", "/x", 302, ""},
		{"POST", "/off/x", 302, ""},
		{"POST", "/offer", 303, "rest"},
		{"POST", "/x/../off", 302, ""},
		{"POST", "/x%2f..%2foff", 302, ""},
		{"DELETE", "/api/x", 303, "deletes"},
		{"POST", "/api/x", 302, "report"},
		{"POST", "//api/./x/", 302, "report"},
		{"POST", "/api/../x", 303, "rest"},
	} {
		got := s.do(tt.method, tt.path, "")
		name := tt.method + " " + tt.path
		equal(t, name, got.StatusCode, tt.status)
		equal(t, name+" body", got.body, "over there")
		equal(t, name+" Set-Cookie", got.Header.Get("Set-Cookie"), "a=1")
		list := seen.take()
		if tt.route == "" {
			equal(t, name+" decisions", len(list), 0)
			continue
		}
		if len(list) != 1 || list[0].Route != tt.route || list[0].Applied != (tt.status == 303) || list[0].Before != 302 || list[0].After != 303 {
			t.Errorf("%s: decisions %v, want one of route %s", name, list, tt.route)
		}
		timing := map[bool]string{true: `seeother;desc="302 to 303"`}[tt.status == 303]
		equal(t, name+" Server-Timing", got.Header.Get("Server-Timing"), timing)
	}
}

func TestWithoutRoutesNothingChanges(t *testing.T) {
	s := newSite(t, app(t, found), options{})
	equal(t, "status", s.do("POST", "/", "").StatusCode, 302)
}

// The client of a canary is known by the address that a trusted proxy names.
func TestCanaryIsStableByClient(t *testing.T) {
	s := newSite(t, app(t, found), options{
		config: func(c *Config) { c.Trust = loopback },
		routes: []Route{{SeeOther: seeother.Policy{Stage: seeother.Canary(50)}}},
	})
	counts := map[int]int{}
	for i := range 100 {
		address := fmt.Sprintf("10.0.0.%d", i)
		first := s.do("POST", "/", "", "X-Forwarded-For", address)
		again := s.do("DELETE", "/other", "", "X-Forwarded-For", "6.6.6.6, "+address)
		equal(t, address, again.StatusCode, first.StatusCode)
		if first.StatusCode == 303 {
			equal(t, "Cache-Control", first.Header.Get("Cache-Control"), "private, no-store")
		}
		counts[first.StatusCode]++
	}
	if counts[302] < 25 || counts[303] < 25 {
		t.Errorf("of 100 clients got %v", counts)
	}
}

// A 302 to another origin after PUT is a hand-over; which origin is this one,
// the proxy in front says.
func TestOriginIsTheOneThatTheClientSees(t *testing.T) {
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://shop.example/x")
		w.WriteHeader(302)
	}), options{config: func(c *Config) { c.Trust = loopback }, routes: []Route{{}}})
	header := []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example"}
	equal(t, "status", s.do("PUT", "/", "", header...).StatusCode, 303)
	equal(t, "status", s.do("PUT", "/", "").StatusCode, 302)
	s.gateway.cfg.Trust = nil
	equal(t, "status for a stranger", s.do("PUT", "/", "", header...).StatusCode, 302)
}

// Once stands outside see-other: what is stored is mended already.
func TestStoredAnswerIsMended(t *testing.T) {
	var applied atomic.Int64
	var seen decisions
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) { applied.Add(1); found(w, r) }), options{
		guarded: true, config: func(c *Config) { c.Observe = seen.observe }, routes: []Route{{Path: "/pay", Once: &once.Policy{ServerTiming: true}}},
	})
	equal(t, "first", s.pay("k", "a").StatusCode, 303)
	got := s.pay("k", "a")
	equal(t, "second", got.StatusCode, 303)
	equal(t, "Server-Timing", got.Header.Get("Server-Timing"), `seeother;desc="once: replayed"`)
	equal(t, "decisions of see-other", len(seen.take()), 1)
	check(t, s.pay("k", "b"), 422, "key-reused")
	equal(t, "runs of the app", applied.Load(), 1)
}

func TestRoutesChangeWhileRequestsRun(t *testing.T) {
	s := newSite(t, app(t, found), options{routes: []Route{{}}})
	report := []Route{{SeeOther: seeother.Policy{Stage: seeother.Report}}}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := s.do("POST", "/", "a=1"); got.StatusCode != 302 && got.StatusCode != 303 {
					t.Errorf("answered %d %s", got.StatusCode, got.body)
				}
			}
		})
	}
	for i := range 200 {
		if err := s.gateway.SetRoutes([][]Route{report, {{}}}[i%2], seeother.Enforce); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	all.Wait()
	if err := s.gateway.SetRoutes([]Route{{Path: "wrong"}}, seeother.Enforce); err == nil {
		t.Error("a wrong route is in force")
	}
	equal(t, "status after a mistake", s.do("POST", "/", "").StatusCode, 303)
	if err := s.gateway.SetRoutes(report, seeother.Enforce); err != nil {
		t.Error(err)
	}
	equal(t, "status", s.do("POST", "/", "").StatusCode, 302)
}

// A request ends with the routes that it began with.
func TestRequestKeepsItsRoutes(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-finish
		found(w, r)
	}), options{routes: []Route{{}}})
	status := make(chan int, 1)
	go func() { status <- s.do("POST", "/", "").StatusCode }()
	within(t, "the request", begun)
	if err := s.gateway.SetRoutes(nil, seeother.Enforce); err != nil {
		t.Error(err)
	}
	close(finish)
	equal(t, "status", within(t, "the answer", status), 303)
}

func TestCandidateDoesNotTouchTheLiveChain(t *testing.T) {
	s := newSite(t, app(t, found), options{})
	candidate, err := s.gateway.Candidate([]Route{{}}, seeother.Enforce)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(h http.Handler) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader("a=1")))
		return w.Code
	}
	equal(t, "candidate", ask(candidate), 303)
	equal(t, "live", s.do("POST", "/", "").StatusCode, 302)
	if _, err := s.gateway.Candidate([]Route{{Path: "wrong"}}, seeother.Enforce); err == nil {
		t.Error("a wrong route has a candidate")
	}
}

// A smoke request comes from no server, and an answer that is cut short does
// not panic then; it must be in doubt all the same.
func TestCandidateSeesAnAnswerCutShort(t *testing.T) {
	s := guarded(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		readRequest(in)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	}))
	candidate, err := s.gateway.Candidate(guardedRoute, seeother.Enforce)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/pay", strings.NewReader("a=1"))
	r.Header.Set("Idempotency-Key", "k")
	candidate.ServeHTTP(httptest.NewRecorder(), r)
	equal(t, "records", s.states(), "uncertain")
}

func TestReady(t *testing.T) {
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	s := newSite(t, upstream.URL, options{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.gateway.Ready(gone); err != nil {
		t.Errorf("one who went away spoils the answer: %v", err)
	}
	upstream.Close()
	if err := s.gateway.Ready(t.Context()); err != nil {
		t.Errorf("the answer does not hold for a second: %v", err)
	}
	s.gateway.readyAt = time.Now().Add(-2 * readyCache)
	if err := s.gateway.Ready(t.Context()); err == nil {
		t.Error("ready without an app")
	}
}

// Shutdown waits for what runs, a guarded request whose client went away
// included.
func TestShutdownFinishesWhatRuns(t *testing.T) {
	begun, finish := make(chan struct{}, 2), make(chan struct{})
	s := guarded(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-finish
		io.WriteString(w, "done")
	}))
	answers := make(chan string, 1)
	go func() { answers <- s.do("GET", "/", "").body }()
	within(t, "the request", begun)
	conn, _ := s.dial()
	io.WriteString(conn, "POST /pay HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n\r\n")
	within(t, "the guarded request", begun)
	conn.Close()
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Shutdown(t.Context()) }()
	eventually(t, "the listener is closed", func() bool {
		_, err := client.Do(s.request("GET", "/", ""))
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(finish)
	equal(t, "answer", within(t, "the answer", answers), "done")
	if err := within(t, "the end", stopped); err != nil {
		t.Error(err)
	}
	equal(t, "records", s.states(), "completed")
}

// Clients that leave at every stage of a request leave nothing behind.
func TestNothingLeaksWhenClientsGo(t *testing.T) {
	s := guarded(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for range 64 {
			if _, err := io.WriteString(w, strings.Repeat("x", 16<<10)); err != nil {
				return
			}
		}
	}))
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			conn, in := s.dial()
			defer conn.Close()
			for n, text := range []string{"POST " + []string{"/", "/pay"}[i%2] + " HTTP/1.1\r\nHost: a\r\n", fmt.Sprintf("Idempotency-Key: k%d\r\nContent-Length: 8\r\n\r\n", i), "half", "done"} {
				if n > i/2%5 {
					return
				}
				io.WriteString(conn, text)
			}
			in.ReadByte()
		})
	}
	all.Wait()
	eventually(t, fmt.Sprintf("only %d goroutines", before), func() bool {
		s.gateway.upstream.close()
		return runtime.NumGoroutine() <= before+5
	})
}
