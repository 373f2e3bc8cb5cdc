package once

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

const statusPath = "/.well-known/seeother/once/"

// statusSite is a guarded app and its status URLs.
type statusSite struct {
	*Guard
	app    *app
	guard  http.Handler
	status http.Handler
}

func newStatusSite(t *testing.T, st store.Store, cfg Config, a *app) *statusSite {
	t.Helper()
	p := Policy{Route: "pay", StatusPath: statusPath}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, st, cfg)
	policyOf := func(route string) (Policy, bool) { return p, route == "pay" }
	return &statusSite{Guard: g, app: a, guard: g.Handler(p, a), status: g.Status(statusPath, policyOf)}
}

func as(who string) func(*http.Request) {
	return func(r *http.Request) {
		if who != "" {
			r.Header.Set("Authorization", "Bearer "+who)
		}
	}
}

func (s *statusSite) ask(t testing.TB, who, id string) (*httptest.ResponseRecorder, status) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, statusPath+id, nil)
	as(who)(r)
	w := do(s.status, r)
	var said status
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
			t.Fatalf("%v in %q", err, w.Body)
		}
	}
	return w, said
}

// TestADuplicateMayComeBackLater goes the whole way: 202, a status that runs, and
// the answer, for the one who may see it.
func TestADuplicateMayComeBackLater(t *testing.T) {
	for _, test := range []struct {
		prefer string
		waits  time.Duration
	}{
		{"respond-async", 0},
		{"RESPOND-ASYNC; foo=bar", 0},
		{"return=minimal, respond-async", 0},
		{"respond-async, wait=5", 5 * time.Second},
	} {
		t.Run(test.prefer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				s := newStatusSite(t, memstore.New(), Config{}, &app{answer: func(w http.ResponseWriter, _ *http.Request) {
					<-release
					w.Header().Set("Set-Cookie", "session=new")
					w.Header().Set("Cache-Control", "public, max-age=600")
					w.Header().Set("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
					w.Header().Set("Location", "/orders/1")
					w.WriteHeader(201)
					_, _ = w.Write([]byte("the answer"))
				}})
				go do(s.guard, request("k", "body", as("alice")))
				synctest.Wait()
				begin := time.Now()
				w := do(s.guard, request("k", "body", func(r *http.Request) { as("alice")(r); r.Header.Set("Prefer", test.prefer) }))
				mustBe(t, w, 202, `"state":"started"`)
				id := only(t, s.Guard).ID
				for name, want := range map[string]string{
					"Location": statusPath + id, "Preference-Applied": "respond-async", "Retry-After": "2",
					"Content-Type": "application/json", "Cache-Control": "no-store",
				} {
					if got := w.Header().Get(name); got != want {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
				if d := time.Since(begin); d != test.waits {
					t.Errorf("it took %s", d)
				}
				w, said := s.ask(t, "alice", id)
				if w.Code != 202 || w.Header().Get("Retry-After") != "2" || said.State != StateStarted || said.Started.IsZero() || !said.Ended.IsZero() {
					t.Errorf("while it runs: %d %v %+v", w.Code, w.Header(), said)
				}
				close(release)
				synctest.Wait()

				w, _ = s.ask(t, "alice", id)
				mustBe(t, w, 201, "the answer")
				h := w.Header()
				if h.Get("Location") != "/orders/1" || h.Get(ReplayedHeader) != "true" || h.Get("Cache-Control") != "no-store" ||
					h.Get("Set-Cookie") != "" || h.Get("Expires") != "" || h.Get("Retry-After") != "" {
					t.Errorf("the answer comes with %v", h)
				}
				for _, who := range []string{"mallory", ""} {
					w, said := s.ask(t, who, id)
					if w.Code != 200 || said.State != StateCompleted || said.Ended.IsZero() || w.Header().Get(ReplayedHeader) != "" ||
						strings.Contains(w.Body.String(), "the answer") || w.Header().Get("Location") != "" {
						t.Errorf("%q gets %d %v %q", who, w.Code, w.Header(), w.Body)
					}
				}
				s.app.mustHaveRun(t, 1)
				if n := s.Stats().Memory; n != 0 {
					t.Errorf("%d bytes are held", n)
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

func TestWhoIsAskedForAnAddressAndHasNoneToGive(t *testing.T) {
	for _, test := range []struct {
		name   string
		prefer string
		path   string
		body   string
		status int
		in     string
	}{
		{"no status URL is served", "respond-async", "", "body", 409, "in-flight"},
		{"another preference", "respond-async=no", statusPath, "body", 409, "in-flight"},
		{"a longer name", "respond-asynchronously", statusPath, "body", 409, "in-flight"},
		{"another body", "respond-async", statusPath, "bodY", 422, "key-reused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				a := &app{answer: func(http.ResponseWriter, *http.Request) { <-release }}
				g := newGuard(t, memstore.New(), Config{})
				h := g.Handler(Policy{StatusPath: test.path}, a)
				go post(h, "k", "body")
				synctest.Wait()
				w := do(h, request("k", test.body, header("Prefer", test.prefer)))
				mustBe(t, w, test.status, test.in)
				if w.Header().Get("Preference-Applied") != "" || w.Header().Get("Location") != "" {
					t.Errorf("header %v", w.Header())
				}
				close(release)
				synctest.Wait()
				a.mustHaveRun(t, 1)
				_ = g.Close(t.Context())
			})
		})
	}
}

// TestAStatusTellsHowFarItIs puts one record in each state.
func TestAStatusTellsHowFarItIs(t *testing.T) {
	hour := Config{Retention: time.Hour, Tombstone: 2 * time.Hour}
	for _, test := range []struct {
		name   string
		cfg    Config
		answer http.HandlerFunc
		who    string
		later  time.Duration
		status int
		state  string
	}{
		{"completed, by nobody known", hour, nil, "", 0, 200, StateCompleted},
		{"completed, the answer is too old", hour, nil, "alice", time.Hour, 200, StateExpired},
		{"too large to keep", Config{ResultLimit: 1}, nil, "alice", 0, 200, StateCompleted},
		{"released", hour, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(421) }, "alice", 0, 200, StateReleased},
		{"uncertain", hour, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "alice", 0, 200, StateUncertain},
		{"forgotten", hour, nil, "alice", 3 * time.Hour, 404, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStatusSite(t, memstore.New(), test.cfg, &app{answer: test.answer})
				do(s.guard, request("k", "body", as(test.who)))
				id := only(t, s.Guard).ID
				time.Sleep(test.later)
				w, said := s.ask(t, test.who, id)
				if w.Code != test.status || said.State != test.state || w.Header().Get("Retry-After") != "" || w.Header().Get(ReplayedHeader) != "" {
					t.Errorf("got %d %v %q", w.Code, w.Header(), w.Body)
				}
				if test.status == 200 && (said.Record != id || said.URL != statusPath+id || said.Detail == "") {
					t.Errorf("got %+v", said)
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

func TestAStatusWhoseLeaseIsOverIsUncertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaulty()
		st.shared = true // so that closing one guard says nothing
		release := make(chan struct{})
		s := newStatusSite(t, st, Config{}, &app{answer: func(http.ResponseWriter, *http.Request) { <-release }})
		go do(s.guard, request("k", "body", as("alice")))
		synctest.Wait()
		id := only(t, s.Guard).ID
		st.failWrites() // no lease is extended, and none is ended
		time.Sleep(time.Minute)
		if w, said := s.ask(t, "alice", id); w.Code != 200 || said.State != StateUncertain {
			t.Errorf("got %d %+v", w.Code, said)
		}
		st.heal()
		close(release)
		synctest.Wait()
		_ = s.Close(t.Context())
	})
}

func TestWhatIsNoStatus(t *testing.T) {
	t.Parallel()
	st := newFaulty()
	s := newStatusSite(t, st, Config{}, &app{})
	do(s.guard, request("k", "body", as("alice")))
	id := only(t, s.Guard).ID
	l := mustBegin(t, s.Guard, Task{Key: "t", Principal: "pay"}, Execute).Lease
	other := string(id[0]^1) + id[1:]
	for _, bad := range []string{"", "x", "..", id + "x", id[1:], strings.ToUpper(id), id + "/", other, strings.Repeat("a", 1<<16), l.ID} {
		w, _ := s.ask(t, "alice", bad)
		mustBe(t, w, 404, "record-not-found")
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodOptions} {
		w := do(s.status, httptest.NewRequest(method, statusPath+id, nil))
		mustBe(t, w, 405, "method-not-allowed")
		if w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("Allow is %q", w.Header().Get("Allow"))
		}
	}
	st.set(func(f *faulty) { f.get = errDisk })
	w, _ := s.ask(t, "alice", id)
	mustBe(t, w, 503, "store-unavailable")
	st.heal()
	s.hold(s.cfg.Memory)
	w, _ = s.ask(t, "alice", id)
	mustBe(t, w, 503, "overloaded")
	s.letGo(s.cfg.Memory)
	w, _ = s.ask(t, "alice", id)
	mustBe(t, w, 201, "run 1")
}

// TestAStatusIsShownByTheRuleOfItsRoute asks for a record whose route is gone.
func TestAStatusIsShownByTheRuleOfItsRoute(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	cookie := Policy{Route: "shop", Principal: PrincipalRule{Cookie: "sid"}.Of}
	do(g.Handler(cookie, &app{}), request("k", "body", header("Cookie", "sid=1")))
	id := only(t, g).ID
	ask := func(p Policy, known bool, cookies string) string {
		r := httptest.NewRequest(http.MethodGet, statusPath+id, nil)
		r.Header.Set("Cookie", cookies)
		return do(g.Status(statusPath, func(string) (Policy, bool) { return p, known }), r).Body.String()
	}
	for _, test := range []struct {
		name    string
		p       Policy
		known   bool
		cookies string
		shown   bool
	}{
		{"the same person", cookie, true, "sid=1", true},
		{"another one", cookie, true, "sid=2", false},
		{"a cookie that comes twice", cookie, true, "sid=1; sid=1", false},
		{"the route is gone", Policy{}, false, "sid=1", false},
		{"the rule is another one", Policy{}, true, "sid=1", false},
	} {
		if shown := strings.Contains(ask(test.p, test.known, test.cookies), "run 1"); shown != test.shown {
			t.Errorf("%s: shown is %v", test.name, shown)
		}
	}
}

// TestABodyThatIsNotComparedYetIsNotDeferred asks while the first body is on its
// way: the two may be different submissions.
func TestABodyThatIsNotComparedYetIsNotDeferred(t *testing.T) {
	a := &app{answer: func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }}
	g, server := serve(t, Config{Buffer: 10}, Policy{StatusPath: statusPath}, a)
	first := dial(t, server, head("k", 20)+"0123456789")
	eventually(t, "the start", func() bool { return g.Stats().Running == 1 })
	r, err := http.NewRequest(http.MethodPost, server.URL+"/orders", strings.NewReader("0123456789012345678X"))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "h"
	r.Header = http.Header{DefaultHeader: {"k"}, "Prefer": {"respond-async"}, "Content-Type": {"text/plain"}}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusConflict || res.Header.Get("Location") != "" {
		t.Errorf("got %s %v", res.Status, res.Header)
	}
	_, _ = io.WriteString(first, "0123456789")
	eventually(t, "the end of it", func() bool { return g.Stats().Active == 0 })
	a.mustHaveRun(t, 1)
}

func TestAStatusPathHasSlashesAtBothEnds(t *testing.T) {
	t.Parallel()
	for path, good := range map[string]bool{"": true, "/": true, "/a/": true, "/a": false, "a/": false} {
		if err := (Policy{StatusPath: path}).Validate(); (err == nil) != good {
			t.Errorf("%q: %v", path, err)
		}
	}
}
