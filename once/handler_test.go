package once

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

func TestTheSecondRequestGetsTheFirstAnswer(t *testing.T) {
	a := &app{}
	h := newGuard(t, newFaulty(), Config{}).Handler(Policy{}, a)
	first := post(h, "k", "body")
	mustBe(t, first, 201, "run 1")
	if first.Header().Get(ReplayedHeader) != "" {
		t.Error("the first answer says that it is a repetition")
	}
	for range 2 {
		again := post(h, `"k"`, "body")
		mustBe(t, again, 201, "run 1")
		if again.Header().Get(ReplayedHeader) != "true" || again.Header().Get("Location") != "/orders/1" {
			t.Errorf("header %v", again.Header())
		}
	}
	a.mustHaveRun(t, 1)
	mustBe(t, post(h, "l", "body"), 201, "run 2")
}

func TestManyAtOnceRunTheAppOnce(t *testing.T) {
	a := &app{}
	g := newGuard(t, newFaulty(), Config{})
	server := httptest.NewServer(g.Handler(Policy{}, a))
	defer server.Close()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			req, _ := http.NewRequest(http.MethodPost, server.URL+"/orders", strings.NewReader("body"))
			req.Header.Set(DefaultHeader, "k")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if res.StatusCode != 201 || string(body) != "run 1" || res.Header.Get("Location") != "/orders/1" || err != nil {
				t.Errorf("got %d %q, %v", res.StatusCode, body, err)
			}
		})
	}
	all.Wait()
	a.mustHaveRun(t, 1)
	if s := g.Stats(); s.Active != 0 || s.Running != 0 || s.Memory != 0 {
		t.Errorf("left over: %+v", s)
	}
}

func TestWhatPassesUntouched(t *testing.T) {
	tests := []struct {
		name   string
		policy Policy
		change func(*http.Request)
	}{
		{"no key", Policy{}, func(r *http.Request) { r.Header.Del(DefaultHeader) }},
		{"another method", Policy{}, func(r *http.Request) { r.Method = http.MethodPut }},
		{"the stage is off", Policy{Stage: seeother.Off, Required: true}, nil},
		{"the stage is report", Policy{Stage: seeother.Report, Required: true}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := &app{}
			h := newGuard(t, newFaulty(), Config{}).Handler(test.policy, a)
			for n := range 2 {
				mustBe(t, do(h, request("k", "body", test.change)), 201, fmt.Sprintf("run %d", n+1))
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name   string
		policy Policy
		change func(*http.Request)
		status int
		kind   string
	}{
		{"another body", Policy{}, func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("bodY")), 4 }, 422, "key-reused"},
		{"another length", Policy{}, func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("b")), 1 }, 422, "key-reused"},
		{"another path", Policy{}, func(r *http.Request) { r.URL.Path = "/refunds" }, 422, "key-reused"},
		{"another query", Policy{}, func(r *http.Request) { r.URL.RawQuery = "a=1" }, 422, "key-reused"},
		{"another type", Policy{}, header("Content-Type", "text/plain"), 422, "key-reused"},
		{"a malformed key", Policy{}, header(DefaultHeader, "a b"), 400, "key-malformed"},
		{"an empty key", Policy{}, header(DefaultHeader, ""), 400, "key-malformed"},
		{"a key of 256 bytes", Policy{}, header(DefaultHeader, strings.Repeat("k", 256)), 400, "key-malformed"},
		{"no key where one is required", Policy{Required: true}, func(r *http.Request) { r.Header.Del(DefaultHeader) }, 400, "key-missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := &app{}
			h := newGuard(t, newFaulty(), Config{}).Handler(test.policy, a)
			mustBe(t, post(h, "k", "body"), 201, "run 1")
			w := do(h, request("k", "body", test.change))
			mustBe(t, w, test.status, `"type":"https://seeother.dev/problems/`+test.kind+`"`)
			if w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Retry-After") != "" {
				t.Errorf("header %v", w.Header())
			}
			a.mustHaveRun(t, 1)
		})
	}
}

func TestANavigationIsRefusedWithAPage(t *testing.T) {
	h := newGuard(t, newFaulty(), Config{}).Handler(Policy{Required: true}, &app{})
	w := do(h, request("", "body", header("Sec-Fetch-Mode", "navigate")))
	mustBe(t, w, 400, "<h1>A key is required</h1>")
}

// TestEveryRefusalIsAPageForANavigation asks for each with a form that a browser
// sends, and whose text somebody else chose.
func TestEveryRefusalIsAPageForANavigation(t *testing.T) {
	t.Parallel()
	bad := "<script>alert(1)</script>"
	navigate := func(key, body string) *http.Request {
		return request(key, body, func(r *http.Request) {
			r.Host = "h"
			r.URL.RawQuery = "a=" + bad
			r.Header.Set("Accept", "text/html,application/xhtml+xml")
			r.Header.Set("Sec-Fetch-Mode", "navigate")
		})
	}
	for kind, provoke := range map[string]func(*Guard, *app, *faulty) *http.Request{
		"key-malformed":     func(*Guard, *app, *faulty) *http.Request { return navigate(bad+" x", "body") },
		"key-missing":       func(*Guard, *app, *faulty) *http.Request { return navigate("", "body") },
		"store-unavailable": func(_ *Guard, _ *app, st *faulty) *http.Request { st.failWrites(); return navigate("k", "body") },
		"overloaded": func(g *Guard, _ *app, _ *faulty) *http.Request {
			g.cfg.MaxActive = 0
			return navigate("k", "body")
		},
		"too-many-submissions": func(g *Guard, _ *app, _ *faulty) *http.Request {
			g.cfg.MaxActivePerPrincipal = 0
			return navigate("k", "body")
		},
		"too-many-uncertain": func(g *Guard, _ *app, _ *faulty) *http.Request {
			g.cfg.MaxUncertain = 0
			return navigate("k", "body")
		},
		"body-cut-short": func(*Guard, *app, *faulty) *http.Request {
			r := navigate("k", "body")
			r.Body = io.NopCloser(brokenReader{})
			return r
		},
		"key-reused": func(g *Guard, a *app, _ *faulty) *http.Request {
			do(g.Handler(Policy{}, a), navigate("k", "body"))
			return navigate("k", bad)
		},
		"answer-not-kept": func(g *Guard, a *app, _ *faulty) *http.Request {
			g.cfg.ResultLimit = 1
			do(g.Handler(Policy{}, a), navigate("k", "body"))
			return navigate("k", "body")
		},
		"in-flight": func(g *Guard, a *app, _ *faulty) *http.Request {
			g.cfg.Wait = 0
			r := navigate("k", "body")
			fresh := entry{Early: earlyOf(r).sum, Length: earlyOf(r).length, Owner: "o"}
			f, err := g.begin(t.Context(), start{id: recordKey("default", nobody, "POST", "h", "", "k"), fresh: fresh})
			if err != nil || f.run == nil {
				t.Error(err)
			}
			return r
		},
		"outcome-uncertain": func(g *Guard, a *app, _ *faulty) *http.Request {
			a.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }
			do(g.Handler(Policy{}, a), navigate("k", "body"))
			return navigate("k", "body")
		},
		"outcome-not-recorded": func(_ *Guard, _ *app, st *faulty) *http.Request {
			st.failWrites(StateCompleted)
			return navigate("k", "body")
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			st, a := newFaulty(), &app{}
			g := newGuard(t, st, Config{})
			w := do(g.Handler(Policy{Required: true}, a), provoke(g, a, st))
			body, h := w.Body.String(), w.Header()
			if w.Code < 400 || h.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(body, w.Result().Status[:3]+" "+kind) {
				t.Errorf("got %d %v %q", w.Code, h, body)
			}
			if strings.Contains(body, "<script") || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") ||
				h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v, page %q", h, body)
			}
			if said := regexp.MustCompile(`<p>([^<]{20,})</p>`).FindString(body); said == "" {
				t.Errorf("nothing says what to do: %q", body)
			}
		})
	}
}

func TestDuplicatesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(20 * time.Second)
			_, _ = io.WriteString(w, "slow")
		}}
		e := &events{}
		g := newGuard(t, newFaulty(), Config{Observe: e.observe})
		h := g.Handler(Policy{}, a)
		go post(h, "k", "body")
		synctest.Wait()
		start := time.Now()
		mustBe(t, post(h, "k", "body"), 200, "slow")
		if waited := time.Since(start); waited != 20*time.Second || e.count("waited") != 1 {
			t.Errorf("waited %s, %d events", waited, e.count("waited"))
		}
		a.mustHaveRun(t, 1)
		_ = g.Close(t.Context())
	})
}

func TestTheWaitIsOver(t *testing.T) {
	tests := []struct {
		prefer string
		want   time.Duration
	}{
		{"", 30 * time.Second},
		{"wait=5", 5 * time.Second},
		{"wait=0", 0},
		{"respond-async, wait=99999", 2 * time.Minute},
	}
	for _, test := range tests {
		t.Run("prefer "+test.prefer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				a := &app{answer: func(http.ResponseWriter, *http.Request) { <-release }}
				g := newGuard(t, newFaulty(), Config{})
				h := g.Handler(Policy{}, a)
				go post(h, "k", "body")
				synctest.Wait()
				start := time.Now()
				w := do(h, request("k", "body", header("Prefer", test.prefer)))
				mustBe(t, w, 409, "in-flight")
				if w.Header().Get("Retry-After") == "" || time.Since(start) != test.want {
					t.Errorf("after %s, header %v", time.Since(start), w.Header())
				}
				close(release)
				synctest.Wait()
				a.mustHaveRun(t, 1)
				_ = g.Close(t.Context())
			})
		})
	}
}

func TestAStoreThatCannotWaitIsNotAskedInATightLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaulty()
		var looks atomic.Int64
		st.set(func(f *faulty) { f.wait = errDisk })
		a := &app{answer: func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Second) }}
		g := newGuard(t, st, Config{})
		h := g.Handler(Policy{}, a)
		go post(h, "k", "body")
		synctest.Wait()
		st.set(func(f *faulty) { f.before = func([]store.Op) error { looks.Add(1); return nil } })
		mustBe(t, post(h, "k", "body"), 200, "")
		if n := looks.Load(); n < 2 || n > 1000 {
			t.Errorf("looked %d times in 10 s", n)
		}
		_ = g.Close(t.Context())
	})
}

func TestOutcomes(t *testing.T) {
	answer := func(status int, said string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if said != "" {
				w.Header().Set(OutcomeHeader, said)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "answer")
		}
	}
	attempt := func(status int, say func(*Attempt)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			say(AttemptFrom(r.Context()))
			w.WriteHeader(status)
		}
	}
	tests := []struct {
		name   string
		answer http.HandlerFunc
		state  string
		told   string // Once-Outcome to the client
		second int    // status of a second request
		runs   int64
	}{
		{"201", answer(201, ""), StateCompleted, "", 201, 1},
		{"402", answer(402, ""), StateCompleted, "", 402, 1},
		{"500", answer(500, ""), StateCompleted, "", 500, 1},
		{"an outcome that does not exist does not leak", answer(201, "uncertain"), StateCompleted, "", 201, 1},
		{"502", answer(502, ""), StateUncertain, "uncertain", 409, 1},
		{"503", answer(503, ""), StateUncertain, "uncertain", 409, 1},
		{"504", answer(504, ""), StateUncertain, "uncertain", 409, 1},
		{"421", answer(421, ""), StateReleased, "not-applied", 421, 2},
		{"425", answer(425, ""), StateReleased, "not-applied", 425, 2},
		{"422 by the configuration", answer(422, ""), StateReleased, "not-applied", 422, 2},
		{"the app did nothing", answer(503, "not-applied"), StateReleased, "not-applied", 503, 2},
		{"nothing was sent", attempt(502, func(a *Attempt) { a.NotApplied("r") }), StateReleased, "not-applied", 502, 2},
		{"something was sent", attempt(504, func(a *Attempt) { a.Doubt("r") }), StateUncertain, "uncertain", 409, 1},
		{"a whole answer that was cut on the way", attempt(200, func(a *Attempt) { a.Doubt("r") }), StateUncertain, "uncertain", 409, 1},
		{"a second try succeeded", attempt(200, func(a *Attempt) { a.NotApplied("r") }), StateCompleted, "", 200, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := &app{answer: test.answer}
			g := newGuard(t, newFaulty(), Config{})
			h := g.Handler(Policy{NotApplied: []int{422}}, a)
			if w := post(h, "k", "body"); w.Header().Get(OutcomeHeader) != test.told {
				t.Errorf("the client is told %q", w.Header().Get(OutcomeHeader))
			}
			mustBeState(t, g, test.state)
			w := post(h, "k", "body")
			if w.Code != test.second || w.Code == 409 && w.Header().Get("Retry-After") != "" {
				t.Errorf("second request: %d %v", w.Code, w.Header())
			}
			a.mustHaveRun(t, test.runs)
			if test.runs == 2 && only(t, g).Generation != 2 {
				t.Errorf("generation %d, want 2", only(t, g).Generation)
			}
		})
	}
}

func TestPanicsOfTheApp(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		status int // 0: the panic goes on
		state  string
	}{
		{"a panic", func(http.ResponseWriter, *http.Request) { panic("oops") }, 0, StateUncertain},
		{"a panic after a part of the answer", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a"); panic("oops") }, 0, StateUncertain},
		{"an aborted answer", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "part")
			panic(http.ErrAbortHandler)
		}, 502, StateUncertain},
		{"aborted, and nothing was sent to the app", func(_ http.ResponseWriter, r *http.Request) {
			AttemptFrom(r.Context()).NotApplied("r")
			panic(http.ErrAbortHandler)
		}, 0, StateReleased},
		{"a status that is none", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(7) }, 0, StateUncertain},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := &app{answer: test.answer}
			g := newGuard(t, newFaulty(), Config{})
			h := g.Handler(Policy{}, a)
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if failure := recover(); (failure != nil) != (test.status == 0) {
						t.Errorf("panic %v", failure)
					}
				}()
				h.ServeHTTP(w, request("k", "body", nil))
			}()
			if test.status != 0 {
				mustBe(t, w, test.status, "outcome-uncertain")
			}
			mustBeState(t, g, test.state)
			if n := g.Stats(); n.Active != 0 || n.Running != 0 || n.Memory != 0 {
				t.Errorf("left over: %+v", n)
			}
		})
	}
}

func TestAGoroutineThatEndsLeavesNoRun(t *testing.T) {
	a := &app{answer: func(http.ResponseWriter, *http.Request) { runtime.Goexit() }}
	g := newGuard(t, newFaulty(), Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		post(g.Handler(Policy{}, a), "k", "body")
	}()
	<-done
	mustBeState(t, g, StateUncertain)
	if n := g.Stats().Running; n != 0 {
		t.Errorf("%d still run", n)
	}
}

func TestNobodyElseGetsTheAnswer(t *testing.T) {
	cookie := func(v string) func(*http.Request) { return header("Cookie", v) }
	tests := []struct {
		name          string
		policy        Policy
		first, second func(*http.Request)
		status        int
		runs          int64
	}{
		{"another token is another submission", Policy{}, header("Authorization", "a"), header("Authorization", "b"), 201, 2},
		{"cookies without a principal are blocked", Policy{}, cookie("a=1"), cookie("a=1"), 409, 1},
		{"cookies after none are blocked", Policy{}, nil, cookie("a=1"), 409, 1},
		{"none after cookies are blocked", Policy{}, cookie("a=1"), nil, 409, 1},
		{"an empty cookie line is a cookie line", Policy{}, nil, cookie(""), 409, 1},
		{
			"an empty Authorization is nobody's",
			Policy{},
			func(r *http.Request) { r.Header["Authorization"] = []string{""}; r.Header.Set("Cookie", "a=1") },
			func(r *http.Request) { r.Header["Authorization"] = []string{""}; r.Header.Set("Cookie", "a=2") }, 409, 1,
		},
		{"a session cookie that comes twice is nobody's", Policy{Principal: PrincipalRule{Cookie: "sid"}.Of}, cookie("sid=a; sid=b"), cookie("sid=a; sid=b"), 409, 1},
		{
			"a principal of a function without a hash is nobody",
			Policy{Principal: func(*http.Request) Principal { return Principal{} }},
			cookie("a=1"), cookie("a=2"), 409, 1,
		},
		{"another session is another submission", Policy{Principal: PrincipalRule{Cookie: "sid"}.Of}, cookie("sid=a"), cookie("sid=b"), 201, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := &app{}
			h := newGuard(t, newFaulty(), Config{}).Handler(test.policy, a)
			mustBe(t, do(h, request("k", "body", test.first)), 201, "run 1")
			w := do(h, request("k", "body", test.second))
			if w.Code != test.status || strings.Contains(w.Body.String(), "run 1") {
				t.Errorf("got %d %q", w.Code, w.Body)
			}
			a.mustHaveRun(t, test.runs)
		})
	}
}

func TestAnAppThatDropsTheCookiesOfItsRequestShowsNothingToOthers(t *testing.T) {
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Cookie")
		_, _ = io.WriteString(w, "secret")
	}}
	h := newGuard(t, newFaulty(), Config{}).Handler(Policy{}, a)
	r := request("k", "body", header("Cookie", "session=victim"))
	mustBe(t, do(h, r), 200, "secret")
	if r.Header.Get("Cookie") == "" {
		t.Error("the app changed the request of the middleware above")
	}
	mustBe(t, post(h, "k", "body"), 409, "answer-not-kept")
}

func TestCookiesGoToTheSamePrincipalAndNotForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "secret=1")
			w.Header().Set("X-Internal", "1")
			w.Header().Set("X-Listed", "1")
		}}
		st := newFaulty()
		g := newGuard(t, st, Config{})
		h := g.Handler(Policy{Replay: []string{"x-listed", "Set-Cookie"}}, a)
		alice := header("Authorization", "alice")
		mustBe(t, do(h, request("k", "body", alice)), 200, "")
		mustBe(t, do(h, request("n", "body", nil)), 200, "")
		if c := do(h, request("n", "body", nil)).Header().Get("Set-Cookie"); c != "" {
			t.Errorf("somebody without a principal got the cookie %q", c)
		}
		time.Sleep(29 * time.Second)
		w := do(h, request("k", "body", alice))
		if w.Header().Get("Set-Cookie") != "secret=1" || w.Header().Get("X-Internal") != "" || w.Header().Get("X-Listed") != "1" {
			t.Errorf("after 29 s: header %v", w.Header())
		}
		time.Sleep(time.Second)
		w = do(h, request("k", "body", alice))
		if w.Code != 200 || w.Header().Get(ReplayedHeader) != "true" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("after 30 s: %d, header %v", w.Code, w.Header())
		}
		time.Sleep(time.Minute) // a sweep erases them
		page, err := st.List(t.Context(), store.Query{Partition: "default", Class: Class})
		if err != nil || len(page.Records) != 2 {
			t.Fatalf("%d records, %v", len(page.Records), err)
		}
		for _, rec := range page.Records {
			if strings.Contains(string(rec.Value), "secret=1") {
				t.Error("the cookie is still on record")
			}
		}
		_ = g.Close(t.Context())
	})
}

func TestHeadersThatAreOurs(t *testing.T) {
	var got http.Header
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set(GuardHeader, "bypassed")
		w.Header().Set("Trailer", OutcomeHeader)
		_, _ = io.WriteString(w, "x")
		w.Header().Set(OutcomeHeader, "not-applied")
	}}
	spoof := func(r *http.Request) {
		r.Header.Set(GuardHeader, "bypassed")
		r.Header.Set(OutcomeHeader, "not-applied")
		r.Header.Set("X-Other", "1")
	}
	g := newGuard(t, newFaulty(), Config{})
	for name, h := range map[string]http.Handler{
		"guarded":       g.Handler(Policy{}, a),
		"only reported": g.Handler(Policy{Stage: seeother.Report}, a),
	} {
		r := request("k", "body", spoof)
		w := do(h, r)
		if got.Get(GuardHeader) != "" || got.Get(OutcomeHeader) != "" || got.Get("X-Other") != "1" {
			t.Errorf("%s: the app got %v", name, got)
		}
		if r.Header.Get(GuardHeader) == "" {
			t.Errorf("%s: the caller's request was changed", name)
		}
		if name == "guarded" {
			if w.Header().Get(GuardHeader) != "" || w.Result().Trailer.Get(OutcomeHeader) != "" || w.Header().Get(http.TrailerPrefix+OutcomeHeader) != "" {
				t.Errorf("the client got %v, trailer %v", w.Header(), w.Result().Trailer)
			}
			mustBeState(t, g, StateCompleted)
		}
	}
}

func TestTheReportStageOnlyReports(t *testing.T) {
	e := &events{}
	a := &app{}
	g := newGuard(t, newFaulty(), Config{Observe: e.observe})
	h := g.Handler(Policy{Stage: seeother.Report, Required: true}, a)
	for range 2 {
		post(h, "k", "body")
	}
	mustBe(t, post(h, "", "body"), 201, "")
	mustBe(t, post(h, "a b", "body"), 201, "")
	a.mustHaveRun(t, 4)
	eventually(t, "the report of a repetition", func() bool { return e.count("repeated") == 1 })
	if e.count("missing") != 1 || e.count("malformed") != 1 {
		t.Errorf("events %+v", e.all)
	}
	for _, d := range e.all {
		if d.Applied {
			t.Errorf("%+v says that it was applied", d)
		}
	}
	if page, err := g.List(t.Context(), Query{}); err != nil || len(page.Records) != 0 {
		t.Errorf("records %+v, %v", page.Records, err)
	}
}

func TestACanaryGuardsSomeClients(t *testing.T) {
	a := &app{}
	g := newGuard(t, newFaulty(), Config{})
	stage := seeother.Canary(50)
	h := g.Handler(Policy{Stage: stage, Client: func(r *http.Request) string { return r.Header.Get("X-Client") }}, a)
	in, out := "", ""
	for n := 0; in == "" || out == ""; n++ {
		if name := fmt.Sprint(n); stage.Acts(name) {
			in = name
		} else {
			out = name
		}
	}
	for range 3 {
		do(h, request("in", "body", header("X-Client", in)))
	}
	a.mustHaveRun(t, 1)
	for range 3 {
		do(h, request("out", "body", header("X-Client", out)))
	}
	a.mustHaveRun(t, 4)
}

func TestRetryOfDoubtIsOfTheSameBody(t *testing.T) {
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(504)
	}}
	e := &events{}
	g := newGuard(t, newFaulty(), Config{Buffer: 8, Observe: e.observe})
	h := g.Handler(Policy{OnUncertain: Retry}, a)
	mustBe(t, post(h, "k", "12345678"), 504, "")
	mustBe(t, post(h, "k", "1234567X"), 422, "key-reused")
	a.mustHaveRun(t, 1)
	mustBe(t, post(h, "k", "12345678"), 504, "")
	if s := mustBeState(t, g, StateUncertain); s.Generation != 2 || e.count("retried") != 1 {
		t.Errorf("generation %d, %d retried", s.Generation, e.count("retried"))
	}
	t.Run("and of one that streams, which does not get to its end", func(t *testing.T) {
		var end error
		a.answer = func(w http.ResponseWriter, r *http.Request) {
			_, end = io.Copy(io.Discard, r.Body)
			w.WriteHeader(200)
		}
		long := header(DefaultHeader, "long")
		a2 := a.answer
		a.answer = func(w http.ResponseWriter, r *http.Request) { a2(w, r); panic(http.ErrAbortHandler) }
		mustBe(t, do(h, request("", "123456789", long)), 502, "")
		a.answer = a2
		mustBe(t, do(h, request("", "12345678X", long)), 200, "")
		if end == nil {
			t.Error("the app got another body to its end")
		}
		mustBe(t, do(h, request("", "123456789", long)), 200, "")
		if end != nil {
			t.Errorf("the same body did not get to its end: %v", end)
		}
	})
}

func TestServerTiming(t *testing.T) {
	h := newGuard(t, newFaulty(), Config{}).Handler(Policy{ServerTiming: true}, &app{})
	post(h, "k", "b")
	if got := post(h, "k", "b").Header().Get("Server-Timing"); got != `seeother;desc="once: replayed"` {
		t.Errorf("got %q", got)
	}
}

func TestAfterCloseNothingStarts(t *testing.T) {
	a := &app{}
	g := newGuard(t, newFaulty(), Config{})
	if err := g.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustBe(t, post(g.Handler(Policy{FailOpen: true}, a), "k", "b"), 503, "store-unavailable")
	a.mustHaveRun(t, 0)
	mustBe(t, post(g.Handler(Policy{Stage: seeother.Report}, a), "k", "b"), 201, "")
}
