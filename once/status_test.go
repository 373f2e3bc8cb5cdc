package once

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
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

// ask follows the status to the answer, where it leads there.
func (s *statusSite) ask(t testing.TB, who, id string) (*httptest.ResponseRecorder, said) {
	t.Helper()
	w := s.get(statusPath+id, as(who))
	if w.Code == http.StatusSeeOther && w.Header().Get("Location") == statusPath+id+answerPart {
		w = s.get(statusPath+id+answerPart, as(who))
	}
	var said said
	if kind := w.Header().Get("Content-Type"); strings.HasPrefix(kind, "application/") {
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
			t.Fatalf("%v in %q", err, w.Body)
		}
	}
	return w, said
}

func (s *statusSite) get(path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	change(r)
	return do(s.status, r)
}

// said is what both kinds of JSON say: how far it is, and that it is over without
// an answer to show.
type said struct {
	Type, Record, State, Detail, URL string
	Started, Ended                   time.Time
}

// TestADuplicateMayComeBackLater goes the whole way: 202, a status that runs, 303,
// and the answer, for the one who may see it.
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
				if w.Code != 200 || w.Header().Get("Retry-After") != "2" || said.State != StateStarted || said.Started.IsZero() || !said.Ended.IsZero() {
					t.Errorf("while it runs: %d %v %+v", w.Code, w.Header(), said)
				}
				close(release)
				synctest.Wait()

				w = s.get(statusPath+id, as("alice"))
				mustBe(t, w, 303, "")
				if h := w.Header(); h.Get("Location") != statusPath+id+"/answer" || h.Get("Cache-Control") != "private, no-store" || h.Get("Set-Cookie") != "" {
					t.Errorf("the end comes with %v", h)
				}
				w, _ = s.ask(t, "alice", id)
				mustBe(t, w, 201, "the answer")
				h := w.Header()
				if h.Get("Location") != "/orders/1" || h.Get(ReplayedHeader) != "true" || h.Get("Cache-Control") != "no-store" ||
					h.Get("Set-Cookie") != "" || h.Get("Expires") != "" || h.Get("Retry-After") != "" {
					t.Errorf("the answer comes with %v", h)
				}
				for _, who := range []string{"mallory", ""} {
					w, _ := s.ask(t, who, id)
					mustBe(t, w, 404, "record-not-found")
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

// TestAStatusIsASuccessOnlyWithTheAnswer puts one record in each state. Who polls
// until it is no more 200 must not read success where there was none.
func TestAStatusIsASuccessOnlyWithTheAnswer(t *testing.T) {
	hour := Config{Retention: time.Hour, Tombstone: 2 * time.Hour}
	answers := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for _, test := range []struct {
		name    string
		cfg     Config
		answer  http.HandlerFunc
		who     string
		later   time.Duration
		status  int
		problem string
		state   string
	}{
		{"completed, by nobody known", hour, nil, "", 0, 409, "answer-not-kept", StateCompleted},
		{"completed, the answer is too old", hour, nil, "alice", time.Hour, 409, "key-expired", StateExpired},
		{"too old, by nobody known", hour, nil, "", time.Hour, 409, "key-expired", StateExpired},
		{"too large to keep", Config{ResultLimit: 1}, nil, "alice", 0, 409, "answer-not-kept", StateCompleted},
		{"released", hour, answers(421), "alice", 0, 409, "not-applied", StateReleased},
		{"released, by nobody known", hour, answers(421), "", 0, 409, "not-applied", StateReleased},
		{"uncertain", hour, answers(503), "alice", 0, 409, "outcome-uncertain", StateUncertain},
		{"uncertain, by nobody known", hour, answers(503), "", 0, 409, "outcome-uncertain", StateUncertain},
		{"forgotten", hour, nil, "alice", 3 * time.Hour, 404, "record-not-found", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStatusSite(t, memstore.New(), test.cfg, &app{answer: test.answer})
				do(s.guard, request("k", "body", as(test.who)))
				id := only(t, s.Guard).ID
				time.Sleep(test.later)
				w, said := s.ask(t, test.who, id)
				mustBe(t, w, test.status, "/"+test.problem+`"`)
				if said.State != test.state || said.Detail == "" || w.Header().Get("Retry-After") != "" || w.Header().Get(ReplayedHeader) != "" {
					t.Errorf("got %v %q", w.Header(), w.Body)
				}
				if test.status == 409 && (said.Record != id || said.Started.IsZero() || said.Ended.IsZero()) {
					t.Errorf("got %+v", said)
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

func TestWhatAnOperatorSettledHasNoAnswerToShow(t *testing.T) {
	t.Parallel()
	s := newStatusSite(t, memstore.New(), Config{}, &app{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }})
	do(s.guard, request("k", "body", as("alice")))
	id := only(t, s.Guard).ID
	if _, err := s.Resolve(t.Context(), id, Resolution{As: StateCompleted}); err != nil {
		t.Fatal(err)
	}
	w, said := s.ask(t, "alice", id)
	mustBe(t, w, 409, "answer-not-kept")
	if said.State != StateCompleted || !strings.Contains(said.Detail, "operator") {
		t.Errorf("got %+v", said)
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
		if w, said := s.ask(t, "alice", id); w.Code != 409 || said.State != StateUncertain {
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
	for _, bad := range []string{"", "x", "..", id + "x", id[1:], strings.ToUpper(id), id + "/", other, strings.Repeat("a", 1<<16), l.ID, id[:50] + "\r\n", "\n" + id} {
		r := httptest.NewRequest(http.MethodGet, statusPath, nil)
		r.URL.Path += bad
		as("alice")(r)
		mustBe(t, do(s.status, r), 404, "record-not-found")
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodOptions} {
		r := httptest.NewRequest(method, statusPath+id, nil)
		as("alice")(r)
		r.Header.Set("Origin", "https://other.example")
		r.Header.Set("Access-Control-Request-Method", http.MethodGet)
		w := do(s.status, r)
		mustBe(t, w, 405, "method-not-allowed")
		if h := w.Header(); h.Get("Allow") != "GET, HEAD" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("header %v", h)
		}
	}
	st.set(func(f *faulty) { f.get = errDisk })
	w, _ := s.ask(t, "alice", id)
	mustBe(t, w, 503, "store-unavailable")
	st.heal()
	s.hold(s.cfg.Memory)
	w, _ = s.ask(t, "alice", id)
	mustBe(t, w, 503, "overloaded")
	w, _ = s.ask(t, "mallory", id) // who is not to know of it, however busy it is
	mustBe(t, w, 404, "record-not-found")
	s.letGo(s.cfg.Memory)
	w, _ = s.ask(t, "alice", id)
	mustBe(t, w, 201, "run 1")
}

// TestWhoIsNotThePrincipalIsToldThatThereIsNoRecord asks for what runs, what is
// uncertain and what has an answer: an id is made of what others may guess.
func TestWhoIsNotThePrincipalIsToldThatThereIsNoRecord(t *testing.T) {
	for _, test := range []struct {
		name   string
		sender string
		who    string
		host   string
		known  bool
	}{
		{"the principal", "alice", "alice", "example.com", true},
		{"the principal, with the host in another spelling", "alice", "alice", "EXAMPLE.com:443", true},
		{"the principal, at another host", "alice", "alice", "example.org", false},
		{"another principal", "alice", "mallory", "example.com", false},
		{"nobody known", "alice", "", "example.com", false},
		{"nobody known, of what nobody sent", "", "", "example.com", true},
		{"somebody, of what nobody sent", "", "alice", "example.com", true},
		{"nobody known, at another host", "", "", "example.org", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				statuses := make(chan int)
				s := newStatusSite(t, memstore.New(), Config{}, &app{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(<-statuses) }})
				ask := func(id string) *httptest.ResponseRecorder {
					r := httptest.NewRequest(http.MethodGet, statusPath+id, nil)
					r.Host = test.host
					as(test.who)(r)
					return do(s.status, r)
				}
				unknown := ask(strings.Repeat("a", 52))
				mustBe(t, unknown, 404, "record-not-found")
				look := func(id string) {
					t.Helper()
					w := ask(id)
					if test.known {
						if w.Code == 404 {
							t.Errorf("got %d %q", w.Code, w.Body)
						}
						return
					}
					if w.Code != unknown.Code || w.Body.String() != unknown.Body.String() || !maps.EqualFunc(w.Header(), unknown.Header(), slices.Equal) {
						t.Errorf("got %d %v %q, want the answer of an id that is not there", w.Code, w.Header(), w.Body)
					}
				}
				for _, status := range []int{200, 503, 421} {
					key := strconv.Itoa(status)
					go do(s.guard, request(key, "body", as(test.sender)))
					synctest.Wait()
					page, err := s.List(t.Context(), Query{Key: key})
					if err != nil || len(page.Records) != 1 {
						t.Fatalf("%+v, %v", page, err)
					}
					look(page.Records[0].ID)
					statuses <- status
					synctest.Wait()
					look(page.Records[0].ID)
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

// stuck is a store whose reads take until their context ends.
type stuck struct {
	store.Store
	reading, most atomic.Int64
}

func (s *stuck) Get(ctx context.Context, _, _, _ string) (store.Record, time.Time, error) {
	n := s.reading.Add(1)
	defer s.reading.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	<-ctx.Done()
	return store.Record{}, time.Time{}, ctx.Err()
}

// TestStatusesAreReadAFewAtATime asks a store that hangs: those who left hold
// nothing, those who stay are told so in time, and submissions go on.
func TestStatusesAreReadAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &stuck{Store: memstore.New()}
		s := newStatusSite(t, st, Config{MaxActive: 1, MaxActivePerPrincipal: 1}, &app{})
		mustBe(t, do(s.guard, request("k", "body", as("alice"))), 201, "")
		id := only(t, s.Guard).ID
		gone, leave := context.WithCancel(t.Context())
		ask := func(ctx context.Context) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, statusPath+id, nil)
			as("alice")(r)
			return do(s.status, r)
		}
		for range 500 {
			go ask(gone)
		}
		synctest.Wait()
		if n := st.reading.Load(); n != 32 {
			t.Errorf("%d read at one time, want 32", n)
		}
		leave()
		synctest.Wait()
		if n := st.reading.Load(); n != 0 {
			t.Errorf("%d read for clients that left", n)
		}
		for range cap(s.statuses) {
			go ask(t.Context())
		}
		synctest.Wait()
		mustBe(t, do(s.guard, request("k2", "body", as("alice"))), 201, "run 2")
		time.Sleep(s.cfg.StoreTime)
		synctest.Wait()
		if n := st.reading.Load(); n != 0 {
			t.Errorf("%d read for longer than the store may take", n)
		}
		mustBe(t, ask(t.Context()), 503, "store-unavailable")
		for range cap(s.statuses) { // all places are taken
			s.statuses <- struct{}{}
		}
		begin := time.Now()
		w := ask(t.Context())
		mustBe(t, w, 503, "overloaded")
		if d := time.Since(begin); d != s.cfg.StoreTime || w.Header().Get("Retry-After") != "2" {
			t.Errorf("after %s: %v", d, w.Header())
		}
		if n := st.most.Load(); n != 32 {
			t.Errorf("%d read at one time, want at most 32", n)
		}
		_ = s.Close(t.Context())
	})
}

// TestNoCacheKeepsAnAnswerThatIsShownToAGet repeats every header that tells a
// cache something.
func TestNoCacheKeepsAnAnswerThatIsShownToAGet(t *testing.T) {
	t.Parallel()
	forCaches := []string{
		"Cache-Control", "CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control",
		"Edge-Control", "X-Accel-Expires", "Expires", "Pragma",
	}
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range append(forCaches, "X-Own") {
			w.Header().Set(name, "max-age=600")
		}
		_, _ = io.WriteString(w, "<script>")
	}}
	p := Policy{Route: "pay", Replay: append(forCaches, "X-Own")}
	g := newGuard(t, memstore.New(), Config{})
	do(g.Handler(p, a), request("k", "body", as("alice")))
	s := statusSite{Guard: g, status: g.Status(statusPath, func(string) (Policy, bool) { return p, true })}
	w, _ := s.ask(t, "alice", only(t, g).ID)
	mustBe(t, w, 200, "<script>")
	for _, name := range forCaches[1:] {
		if got := w.Header().Get(name); got != "" {
			t.Errorf("%s is %q", name, got)
		}
	}
	h := w.Header()
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Own") != "max-age=600" {
		t.Errorf("header %v", h)
	}
}

// TestAStatusIsShownByTheRuleOfItsRoute asks for a record whose route is gone.
func TestAStatusIsShownByTheRuleOfItsRoute(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	cookie := Policy{Route: "shop", Principal: PrincipalRule{Cookie: "sid"}.Of}
	do(g.Handler(cookie, &app{}), request("k", "body", header("Cookie", "sid=1")))
	id := only(t, g).ID
	ask := func(p Policy, known bool, cookies string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, statusPath+id+answerPart, nil)
		r.Header.Set("Cookie", cookies)
		return do(g.Status(statusPath, func(string) (Policy, bool) { return p, known }), r)
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
		w := ask(test.p, test.known, test.cookies)
		if shown := w.Code == 201 && strings.Contains(w.Body.String(), "run 1"); shown != test.shown || !shown && w.Code != 404 {
			t.Errorf("%s: got %d %q", test.name, w.Code, w.Body)
		}
	}
	r := httptest.NewRequest(http.MethodGet, statusPath+id, nil)
	r.Header.Set("X-Api-Key", "1")
	mustBe(t, do(g.Status(statusPath, func(string) (Policy, bool) { return cookie, true }), r), 404, "record-not-found")
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
