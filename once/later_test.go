package once

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/store/memstore"
)

// laterPolicy tells everybody to come back after so long.
func laterPolicy(after time.Duration, change func(*Later)) Policy {
	l := &Later{After: func(*http.Request) (time.Duration, bool) { return after, true }}
	if change != nil {
		change(l)
	}
	return Policy{Route: "pay", StatusPath: statusPath, Later: l}
}

func newLaterSite(t *testing.T, cfg Config, p Policy, answer http.HandlerFunc) *statusSite {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	a := &app{answer: answer}
	g := newGuard(t, memstore.New(), cfg)
	policyOf := func(route string) (Policy, bool) { return p, route == p.Route }
	return &statusSite{Guard: g, app: a, guard: g.Handler(p, a), status: g.Status(statusPath, policyOf)}
}

// afterwards answers when so much time has gone by.
func afterwards(d time.Duration, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		answer(w, r)
	}
}

func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func withHeaders(who func(*http.Request), pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		who(r)
		for i := 0; i < len(pairs); i += 2 {
			r.Header.Set(pairs[i], pairs[i+1])
		}
	}
}

// TestWhoIsToldToComeBackAndWhen looks at the first request and at a duplicate of it
// that comes at once. The app takes ten seconds.
func TestWhoIsToldToComeBackAndWhen(t *testing.T) {
	for _, test := range []struct {
		name   string
		policy Policy
		who    func(*http.Request)
		first  time.Duration // that the first waits
		status int           // and gets
		other  time.Duration
		second int
		prefer string
	}{
		{"what takes longer than it may", laterPolicy(3*time.Second, nil), as("alice"), 3 * time.Second, 202, 3 * time.Second, 202, ""},
		{"what is done in time", laterPolicy(11*time.Second, nil), as("alice"), 10 * time.Second, 201, 10 * time.Second, 201, ""},
		{"nobody known", laterPolicy(3*time.Second, nil), as(""), 10 * time.Second, 201, 10 * time.Second, 201, ""},
		{"to the end", laterPolicy(0, func(l *Later) { l.After = nil }), as("alice"), 10 * time.Second, 201, 10 * time.Second, 201, ""},
		{
			"to the end, unless it says otherwise", laterPolicy(0, func(l *Later) { l.After = nil }),
			withHeaders(as("alice"), "Prefer", "respond-async"), 0, 202, 0, 202, "respond-async",
		},
		{"nobody known, and it says so", laterPolicy(time.Minute, nil), withHeaders(as(""), "Prefer", "respond-async, wait=4"), 4 * time.Second, 202, 4 * time.Second, 202, "respond-async"},
		{
			"the first cannot be shown to anybody later", laterPolicy(time.Minute, nil),
			withHeaders(as(""), "Prefer", "respond-async", "Cookie", "a=b"), 10 * time.Second, 201, 0, 202, "respond-async",
		},
		{"without Later the first waits", Policy{Route: "pay", StatusPath: statusPath}, withHeaders(as("alice"), "Prefer", "respond-async"), 10 * time.Second, 201, 0, 202, "respond-async"},
		{
			"the policy of a route, not of a request", laterPolicy(0, func(l *Later) {
				l.After = func(r *http.Request) (time.Duration, bool) { return time.Second, r.URL.Path == "/other" }
			}), as("alice"), 10 * time.Second, 201, 10 * time.Second, 201, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newLaterSite(t, Config{}, test.policy, afterwards(10*time.Second, says(201, "receipt")))
				send := func(status int, waits time.Duration) {
					begin := time.Now()
					w := do(s.guard, request("k", "body", test.who))
					mustBe(t, w, status, map[int]string{201: "receipt", 202: `"state":"started"`}[status])
					if d := time.Since(begin); d != waits {
						t.Errorf("it took %s, want %s", d, waits)
					}
					if h := w.Header(); status == 202 && (h.Get("Location") != statusPath+only(t, s.Guard).ID || h.Get("Preference-Applied") != test.prefer) {
						t.Errorf("header %v", h)
					}
				}
				var both sync.WaitGroup
				both.Go(func() { send(test.status, test.first) })
				synctest.Wait()
				both.Go(func() { send(test.second, test.other) })
				both.Wait()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				mustBeState(t, s.Guard, StateCompleted)
				s.app.mustHaveRun(t, 1)
				if st := s.Stats(); st.Active != 0 || st.Memory != 0 {
					t.Errorf("%+v", st)
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

// TestWhatBecomesOfAnAnswerThatNobodyWaitsFor answers in all ways, after the client
// was told to come back.
func TestWhatBecomesOfAnAnswerThatNobodyWaitsFor(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		state  string
		status int
		in     string
		events string // an action that must have been counted
	}{
		{"a page", says(200, "page"), StateCompleted, 303, "", "completed"},
		{"an error", says(500, "oops"), StateCompleted, 303, "", "completed"},
		{"it did nothing", says(421, "no"), StateReleased, 409, "not-applied", "released"},
		{"nobody knows", says(503, "busy"), StateUncertain, 409, "outcome-uncertain", "uncertain"},
		{"a large page", says(200, strings.Repeat("x", 2000)), StateCompleted, 409, "answer-not-kept", "completed"},
		{"a stream", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for range 3 {
				_, _ = io.WriteString(w, "data: x\n\n")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
			w.Header().Set(http.TrailerPrefix+"X-End", "1")
		}, StateCompleted, 409, "answer-not-kept", "completed"},
		{"another protocol", func(w http.ResponseWriter, _ *http.Request) {
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, errTold) {
				t.Errorf("Hijack: %v", err)
			}
		}, StateCompleted, 409, "answer-not-kept", "completed"},
		{"it broke off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, StateUncertain, 409, "outcome-uncertain", "cut-short"},
		{"it ended its goroutine", func(http.ResponseWriter, *http.Request) { runtime.Goexit() }, StateUncertain, 409, "outcome-uncertain", "uncertain"},
		{"it broke off a stream", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 2000))
			panic(http.ErrAbortHandler)
		}, StateCompleted, 409, "answer-not-kept", "completed"},
		{"nothing reached it", func(w http.ResponseWriter, r *http.Request) {
			AttemptFrom(r.Context()).NotApplied("no connection")
			w.WriteHeader(502)
		}, StateReleased, 409, "not-applied", "released"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := laterPolicy(time.Second, nil)
				p.ServerTiming = true
				s := newLaterSite(t, Config{ResultLimit: 1000}, p, afterwards(2*time.Second, test.answer))
				w := do(s.guard, request("k", "body", as("alice")))
				mustBe(t, w, 202, `"started"`)
				before := fmt.Sprint(w.Header(), w.Body)
				if n := s.Stats(); n.Active != 1 || n.Running != 1 || n.Memory == 0 {
					t.Errorf("while it runs: %+v", n)
				}
				if err := s.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Second) // of a stream
				id := mustBeState(t, s.Guard, test.state).ID
				mustBe(t, s.get(statusPath+id, as("alice")), test.status, test.in)
				if after := fmt.Sprint(w.Header(), w.Body); after != before {
					t.Errorf("the client got %s, and then %s", before, after)
				}
				if n := s.Stats(); n.Active != 0 || n.Memory != 0 || n.Outcomes["deferred"] != 1 || n.Outcomes[test.events] != 1 {
					t.Errorf("afterwards: %+v", n)
				}
				s.app.mustHaveRun(t, 1)
				_ = s.Close(t.Context())
			})
		})
	}
}

// TestAPanicGoesToTheServerWhetherItsClientWaitsOrNot looks at the server's log.
func TestAPanicGoesToTheServerWhetherItsClientWaitsOrNot(t *testing.T) {
	for _, test := range []struct {
		name  string
		after time.Duration
		log   string
	}{
		{"it waits", time.Minute, "http: panic serving"},
		{"it was told to come back", 0, "client was answered: a fault of the app's"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGuard(t, memstore.New(), Config{})
			told := make(chan struct{})
			h := g.Handler(laterPolicy(test.after, func(l *Later) {
				l.Answer = func(w http.ResponseWriter, _ *http.Request, _ Submission) {
					w.WriteHeader(202)
					close(told)
				}
			}), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if test.after == 0 {
					<-told
				}
				panic("a fault of the app's")
			}))
			var text lockedText
			server := httptest.NewUnstartedServer(h)
			server.Config.ErrorLog = log.New(&text, "", 0)
			server.Start()
			defer server.Close()
			r := request("k", "body", as("alice"))
			r.URL.Scheme, r.URL.Host, r.RequestURI = "http", server.Listener.Addr().String(), ""
			res, err := server.Client().Do(r)
			if (err == nil) != (test.after == 0) {
				t.Errorf("%v, %v", res, err)
			}
			if err == nil {
				res.Body.Close()
			}
			eventually(t, "the line in the log", func() bool { return strings.Contains(text.String(), test.log) })
			if !strings.Contains(text.String(), "goroutine") {
				t.Errorf("no stack in %q", text.String())
			}
			eventually(t, "the record", func() bool { return only(t, g).State == StateUncertain })
		})
	}
}

// TestAnAppThatEndsItsGoroutineEndsTheConnection has a client that waits.
func TestAnAppThatEndsItsGoroutineEndsTheConnection(t *testing.T) {
	p := laterPolicy(time.Minute, nil)
	p.Principal = func(*http.Request) Principal { return NewBrowser("b") }
	g, server := serve(t, Config{}, p, &app{answer: func(http.ResponseWriter, *http.Request) { runtime.Goexit() }})
	conn := dial(t, server, head("k", 4)+"body")
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if answer, err := io.ReadAll(conn); err != nil || len(answer) > 0 {
		t.Errorf("%q, %v", answer, err)
	}
	mustBeState(t, g, StateUncertain)
}

// TestWhatStoodInTheHeaderIsTheRunsToChange sets headers before the guard.
func TestWhatStoodInTheHeaderIsTheRunsToChange(t *testing.T) {
	t.Parallel()
	s := newLaterSite(t, Config{}, laterPolicy(time.Minute, nil), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	w := httptest.NewRecorder()
	w.Header().Set("Content-Length", "9999")
	w.Header().Set("X-Outer", "1")
	s.guard.ServeHTTP(w, request("k", "body", withHeaders(as("alice"), "Sec-Fetch-Mode", "navigate"))) // a page has no length
	mustBe(t, w, 502, "outcome-uncertain")
	if h := w.Header(); h.Get("X-Outer") != "1" || h.Get("Content-Length") != "" {
		t.Errorf("header %v", h)
	}
}

type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestEachClientIsSpokenToOnce lets the app answer at about the moment at which its
// client is told to come back.
func TestEachClientIsSpokenToOnce(t *testing.T) {
	const requests = 400
	var runs atomic.Int64
	g := newGuard(t, memstore.New(), Config{})
	h := g.Handler(laterPolicy(2*time.Millisecond, nil), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs.Add(1)
		time.Sleep(2*time.Millisecond + rand.N(200*time.Microsecond) - 100*time.Microsecond)
		w.Header().Set("X-Of", "app")
		w.WriteHeader(201)
		_, _ = io.WriteString(w, "receipt")
	}))
	server := httptest.NewServer(h)
	defer server.Close()
	var all sync.WaitGroup
	var told, answered atomic.Int64
	for i := range requests {
		all.Go(func() {
			r := request(fmt.Sprint(i), "body", as("alice"))
			r.URL.Scheme, r.URL.Host, r.RequestURI = "http", server.Listener.Addr().String(), ""
			res, err := server.Client().Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			switch of := res.Header.Get("X-Of"); {
			case err == nil && res.StatusCode == 201 && of == "app" && string(body) == "receipt" && res.Header.Get("Location") == "":
				answered.Add(1)
			case err == nil && res.StatusCode == 202 && of == "" && strings.Contains(string(body), `"started"`):
				told.Add(1)
			default:
				t.Errorf("%v: %d %v %q", err, res.StatusCode, res.Header, body)
			}
		})
		if i%8 == 7 {
			all.Wait()
		}
	}
	all.Wait()
	if err := g.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "the end", func() bool { return g.Stats().Active == 0 && g.Stats().Memory == 0 })
	if n := g.Stats().Outcomes["completed"]; n != requests || runs.Load() != requests {
		t.Errorf("%d completed, %d runs", n, runs.Load())
	}
	t.Logf("%d were told to come back, %d got the answer", told.Load(), answered.Load())
}

// TestABodyThatStreamsIsReadBeforeItsClientIsToldToComeBack sends a large body in two
// pieces, with a pause that is longer than a client waits.
func TestABodyThatStreamsIsReadBeforeItsClientIsToldToComeBack(t *testing.T) {
	got, release := make(chan int64, 1), make(chan struct{})
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got <- n
		<-release
		_, _ = io.WriteString(w, "done")
	}}
	p := laterPolicy(time.Millisecond, nil)
	p.Principal = func(*http.Request) Principal { return NewBrowser("b") }
	g := newGuard(t, memstore.New(), Config{Buffer: 10})
	guarded := g.Handler(p, a)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // as the gateway: else nothing is sent before the body ends
		guarded.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	conn := dial(t, server, head("k", 20)+"0123456789")
	eventually(t, "the start", func() bool { return g.Stats().Running == 1 })
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes were answered before the body was there", n)
	}
	_, _ = io.WriteString(conn, "0123456789")
	if n := <-got; n != 20 {
		t.Errorf("the app got %d bytes", n)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 500)
	n, err := conn.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 202") {
		t.Errorf("%q, %v", answer[:n], err)
	}
	close(release)
	eventually(t, "the end", func() bool { return g.Stats().Active == 0 })
	if s := mustBeState(t, g, StateCompleted); !s.BodyKept {
		t.Errorf("%+v", s)
	}
}

// TestDrainWaitsForAll has two runs of different length.
func TestDrainWaitsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLaterSite(t, Config{}, laterPolicy(0, nil), func(_ http.ResponseWriter, r *http.Request) {
			d, _ := time.ParseDuration(r.Header.Get(DefaultHeader))
			time.Sleep(d)
		})
		for _, key := range []string{"1m", "2m"} {
			mustBe(t, do(s.guard, request(key, "body", as("alice"))), 202, "")
		}
		begin := time.Now()
		if err := s.Drain(t.Context()); err != nil || time.Since(begin) != 2*time.Minute {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		_ = s.Close(t.Context())
	})
}

// TestCloseSettlesWhatRunsWithoutAClient ends the Guard before the app has.
func TestCloseSettlesWhatRunsWithoutAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLaterSite(t, Config{}, laterPolicy(time.Second, nil), afterwards(time.Hour, says(200, "late")))
		mustBe(t, do(s.guard, request("k", "body", as("alice"))), 202, "")
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := s.Drain(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("Drain: %v after %s", err, time.Since(begin))
		}
		begin = time.Now()
		if err := s.Close(t.Context()); err != nil || time.Since(begin) != 0 {
			t.Errorf("Close: %v after %s", err, time.Since(begin))
		}
		if got := mustBeState(t, s.Guard, StateUncertain); !strings.Contains(got.Reason, "stopped meanwhile") {
			t.Errorf("reason %q", got.Reason)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		mustBeState(t, s.Guard, StateUncertain)
		if n := s.Stats(); n.Active != 0 || n.Memory != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// TestAStreamThatNobodyWaitsForEnds answers without end.
func TestAStreamThatNobodyWaitsForEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLaterSite(t, Config{Linger: time.Minute}, laterPolicy(time.Second, nil), func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: x\n\n")
			<-r.Context().Done()
		})
		mustBe(t, do(s.guard, request("k", "body", as("alice"))), 202, "")
		time.Sleep(65 * time.Second)
		synctest.Wait()
		if n := s.Stats(); n.Active != 0 {
			t.Errorf("%+v", n)
		}
		_ = s.Close(t.Context())
	})
}

// TestRunsWithoutAClientCountInTheCaps fills the place of a principal.
func TestRunsWithoutAClientCountInTheCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLaterSite(t, Config{MaxActivePerPrincipal: 2}, laterPolicy(0, nil), afterwards(time.Minute, says(200, "")))
		mustBe(t, do(s.guard, request("1", "body", as("alice"))), 202, "")
		mustBe(t, do(s.guard, request("2", "body", as("alice"))), 202, "")
		mustBe(t, do(s.guard, request("3", "body", as("alice"))), 429, "too-many-submissions")
		mustBe(t, do(s.guard, request("3", "body", as("bob"))), 202, "")
		time.Sleep(2 * time.Minute)
		mustBe(t, do(s.guard, request("3", "body", as("alice"))), 202, "")
		_ = s.Drain(t.Context())
		_ = s.Close(t.Context())
	})
}

// TestWhatIsCancelled cuts the app's request off after five seconds, with and without
// a client that waits.
func TestWhatIsCancelled(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		state  string
		reason string
		status int // for a client that waits
		in     string
	}{
		{"an app that goes away without a word", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, StateUncertain, cancelledReason, 409, "its sender cancelled it"},
		{"an app that did nothing", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			w.Header().Set(OutcomeHeader, "not-applied")
			w.WriteHeader(499)
		}, StateReleased, "the app said that it did nothing", 499, ""},
		{"an app that was done all the same", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			w.WriteHeader(200)
		}, StateCompleted, "", 200, ""},
		{"a proxy whose app did not answer", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			AttemptFrom(r.Context()).Doubt("the app got the request and did not answer (canceled)")
			w.WriteHeader(499)
		}, StateUncertain, cancelledReason, 409, "outcome-uncertain"},
		{"a proxy that never came to the app", func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			AttemptFrom(r.Context()).NotApplied("no connection")
			w.WriteHeader(502)
		}, StateReleased, "no connection", 502, ""},
		{"an app that breaks off", func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}, StateUncertain, cancelledReason, 502, "outcome-uncertain"},
		{"an app that answers before", afterwards(4*time.Second, says(200, "")), StateCompleted, "", 200, ""},
	} {
		for waits, after := range map[string]time.Duration{"waiting": time.Hour, "told": 0} {
			t.Run(test.name+", "+waits, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var asked atomic.Int64
					p := laterPolicy(after, func(l *Later) {
						l.Cancelled = func(ctx context.Context, s Submission) bool {
							asked.Add(1)
							if s.Generation != 1 || !s.Known || s.URL != statusPath+s.Record {
								t.Errorf("%+v", s)
							}
							select {
							case <-time.After(4 * time.Second): // it is asked after one
								return true
							case <-ctx.Done():
								return false
							}
						}
					})
					s := newLaterSite(t, Config{}, p, test.answer)
					w := do(s.guard, request("k", "body", as("alice")))
					if after == 0 {
						mustBe(t, w, 202, "")
					} else {
						mustBe(t, w, test.status, test.in)
					}
					time.Sleep(10 * time.Second)
					synctest.Wait()
					if got := mustBeState(t, s.Guard, test.state); got.Reason != test.reason {
						t.Errorf("reason %q", got.Reason)
					}
					if n := asked.Load(); n != 1 {
						t.Errorf("asked %d times", n)
					}
					_ = s.Close(t.Context())
				})
			})
		}
	}
}

// TestWhatIsQuickAsksNobodyWhetherItWasCancelled counts the questions.
func TestWhatIsQuickAsksNobodyWhetherItWasCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := laterPolicy(time.Hour, func(l *Later) {
			l.Cancelled = func(context.Context, Submission) bool { t.Error("asked"); return false }
		})
		s := newLaterSite(t, Config{}, p, afterwards(999*time.Millisecond, says(200, "")))
		mustBe(t, do(s.guard, request("k", "body", as("alice"))), 200, "")
		time.Sleep(time.Minute)
		_ = s.Close(t.Context())
	})
}

// TestTheAppIsToldWhetherItsClientWaits asks before and after the client was answered.
func TestTheAppIsToldWhetherItsClientWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLaterSite(t, Config{}, laterPolicy(time.Second, nil), func(w http.ResponseWriter, r *http.Request) {
			a := AttemptFrom(r.Context())
			first := a.Told()
			time.Sleep(2 * time.Second)
			_, _ = fmt.Fprint(w, first, a.Told())
		})
		mustBe(t, do(s.guard, request("k", "body", as("alice"))), 202, "")
		mustBe(t, do(s.guard, request("k2", "body", as(""))), 200, "false false")
		time.Sleep(time.Minute)
		mustBe(t, do(s.guard, request("k", "body", as("alice"))), 200, "false true")
		_ = s.Close(t.Context())
	})
}

// TestTheAppSpeaksBeforeItAnswers hands headers to it, and interim answers back.
func TestTheAppSpeaksBeforeItAnswers(t *testing.T) {
	t.Parallel()
	var seen []string
	p := laterPolicy(time.Hour, func(l *Later) {
		l.Prepare = func(r *http.Request, s Submission) { r.Header.Set("X-Record", s.Record) }
		l.Interim = func(ctx context.Context, s Submission, h http.Header) {
			if AttemptFrom(ctx).Record() != s.Record {
				t.Error("another context")
			}
			seen = append(seen, h.Get("X-Far"))
		}
	})
	s := newLaterSite(t, Config{}, p, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Far", "1")
		w.WriteHeader(103)
		w.Header().Set("X-Far", "2")
		w.WriteHeader(102)
		w.WriteHeader(200)
		w.WriteHeader(103)
		_, _ = io.WriteString(w, r.Header.Get("X-Record"))
	})
	r := request("k", "body", as("alice"))
	w := do(s.guard, r)
	mustBe(t, w, 200, only(t, s.Guard).ID)
	if got := strings.Join(seen, " "); got != "1 2" {
		t.Errorf("interim answers %q", got)
	}
	if r.Header.Get("X-Record") != "" {
		t.Error("the client's own request was changed")
	}
}

// TestADuplicateOfAFormIsToldToComeBackWhateverIsInIt sends other fields while the
// first body is not known yet.
func TestADuplicateOfAFormIsToldToComeBackWhateverIsInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := formPolicy(nil)
		p.Route, p.StatusPath, p.Later, p.Replay = "pay", statusPath, laterPolicy(3*time.Second, nil).Later, []string{"X-Own"}
		s := newLaterSite(t, Config{}, p, afterwards(10*time.Second, func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "flash", Value: "sent"})
			w.Header().Set("Location", "done?x=1")
			w.Header().Set("X-Own", "message")
			w.Header().Set("X-Other", "message")
			w.Header().Set("Cache-Control", "public")
			w.WriteHeader(302)
		}))
		var both sync.WaitGroup
		for _, body := range []string{"a=1", "a=2"} {
			both.Go(func() { mustBe(t, sendForm(s.guard, submission("token", "b", "/shop/pay?q", body)), 202, "started") })
			synctest.Wait()
		}
		both.Wait()
		id := only(t, s.Guard).ID
		browser := func(name string) func(*http.Request) { return header("Test-Browser", name) }
		mustBe(t, s.get(statusPath+id, browser("other")), 404, "")
		mustBe(t, s.get(statusPath+id, as("alice")), 404, "")
		mustBe(t, s.get(statusPath+id, browser("b")), 200, `"started"`)
		time.Sleep(8 * time.Second)
		mustBe(t, s.get(statusPath+id, browser("other")), 404, "")
		w := s.get(statusPath+id, browser("b"))
		mustBe(t, w, 303, "")
		if h := w.Header(); h.Get("Location") != "/shop/done?x=1" || !strings.HasPrefix(h.Get("Set-Cookie"), "flash=sent") ||
			h.Get("X-Own") != "message" || h.Get("X-Other") != "" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("header %v", h)
		}
		time.Sleep(31 * time.Second)
		if h := s.get(statusPath+id, browser("b")).Header(); h.Get("Location") != "/shop/done?x=1" || h.Get("Set-Cookie") != "" {
			t.Errorf("later: header %v", h)
		}
		s.app.mustHaveRun(t, 1)
		_ = s.Close(t.Context())
	})
}

// TestWhereAStatusLeadsWhenItIsDone answers a request for /shop/pay in all ways.
func TestWhereAStatusLeadsWhenItIsDone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		target   string
		status   int
		location string
		want     string // "answer": to the answer itself
	}{
		{"a page", "/shop/pay", 200, "", "answer"},
		{"a page with a location", "/shop/pay", 201, "/orders/1", "answer"},
		{"an error", "/shop/pay", 422, "", "answer"},
		{"a path", "/shop/pay", 303, "/orders/1?a=b#c", "/orders/1?a=b#c"},
		{"by 302", "/shop/pay", 302, "/orders/1", "/orders/1"},
		{"by 301", "/shop/pay", 301, "/orders/1", "/orders/1"},
		{"a relative path", "/shop/pay", 303, "orders/1", "/shop/orders/1"},
		{"up", "/shop/pay", 303, "../orders/1", "/orders/1"},
		{"a query", "/shop/pay?old", 303, "?a=b", "/shop/pay?a=b"},
		{"a path that is encoded", "/a%2Fb/pay", 303, "done", "/a%2Fb/done"},
		{"elsewhere", "/shop/pay", 303, "https://pay.example:8443/x?y", "https://pay.example:8443/x?y"},
		{"elsewhere, as a relative one would read", "//pay.example/x", 303, "done", "answer"},
		{"without a scheme", "/shop/pay", 303, "//pay.example/x", "answer"},
		{"a way out", "/shop/pay", 303, "/..//pay.example/", "answer"},
		{"a backslash", "/shop/pay", 303, `/\pay.example`, "answer"},
		{"another scheme", "/shop/pay", 303, "javascript:alert(1)", "answer"},
		{"a user", "/shop/pay", 303, "https://a@pay.example/", "answer"},
		{"nowhere", "/shop/pay", 303, "", "answer"},
		{"a choice", "/shop/pay", 300, "/orders/1", "answer"},
		{"the request itself", "/shop/pay", 307, "/orders/1", ""},
		{"the request itself for good", "/shop/pay", 308, "/orders/1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newLaterSite(t, Config{}, laterPolicy(time.Hour, nil), func(w http.ResponseWriter, _ *http.Request) {
				if test.location != "" {
					w.Header().Set("Location", test.location)
				}
				w.WriteHeader(test.status)
			})
			r := request("k", "body", as("alice"))
			r.URL.Path, r.URL.RawPath, r.RequestURI = "", "", test.target
			if u, err := r.URL.Parse("http://example.com" + test.target); err == nil {
				u.Scheme, u.Host = "", ""
				r.URL = u
			}
			do(s.guard, r)
			id := only(t, s.Guard).ID
			w := s.get(statusPath+id, as("alice"))
			if test.want == "" {
				mustBe(t, w, 409, "answer-not-kept")
				return
			}
			mustBe(t, w, 303, "")
			want := test.want
			if want == "answer" {
				want = statusPath + id + "/answer"
				mustBe(t, s.get(want, as("alice")), test.status, "")
			}
			if got := w.Header().Get("Location"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			mustBe(t, s.get(want, as("mallory")), 404, "")
		})
	}
}

// TestWhoMayCancelWhat asks in all ways while it runs, and afterwards.
func TestWhoMayCancelWhat(t *testing.T) {
	for _, test := range []struct {
		name    string
		sender  string
		who     string
		method  string
		part    string
		none    bool // the route takes no such wish
		running int
		over    int
		in      string
	}{
		{"its sender", "alice", "alice", "DELETE", "", false, 299, 409, "not-cancellable"},
		{"its sender, by a page", "alice", "alice", "POST", "/cancel", false, 299, 303, ""},
		{"somebody else", "alice", "mallory", "DELETE", "", false, 404, 404, "record-not-found"},
		{"somebody else, by a page", "alice", "mallory", "POST", "/cancel", false, 404, 404, "record-not-found"},
		{"nobody known", "alice", "", "DELETE", "", false, 404, 404, "record-not-found"},
		{"what nobody known sent", "", "", "DELETE", "", false, 409, 409, "not-cancellable"},
		{"where nothing is cancelled", "alice", "alice", "DELETE", "", true, 405, 405, "method-not-allowed"},
		{"another method", "alice", "alice", "PUT", "", false, 405, 405, "method-not-allowed"},
		{"a post to the status", "alice", "alice", "POST", "", false, 405, 405, "method-not-allowed"},
		{"the answer", "alice", "alice", "DELETE", "/answer", false, 405, 405, "method-not-allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := laterPolicy(0, func(l *Later) {
					if !test.none {
						l.Cancel = func(w http.ResponseWriter, _ *http.Request, s Submission) {
							if s.Record == "" || s.Generation != 1 || !s.Known || s.Started.IsZero() {
								t.Errorf("%+v", s)
							}
							w.WriteHeader(299)
						}
					}
				})
				s := newLaterSite(t, Config{}, p, afterwards(time.Minute, says(200, "")))
				go do(s.guard, request("k", "body", as(test.sender)))
				synctest.Wait()
				id := only(t, s.Guard).ID
				ask := func() *httptest.ResponseRecorder {
					r := httptest.NewRequest(test.method, statusPath+id+test.part, nil)
					as(test.who)(r)
					return do(s.status, r)
				}
				if w := ask(); w.Code != test.running {
					t.Errorf("while it runs: %d %q", w.Code, w.Body)
				}
				time.Sleep(2 * time.Minute)
				mustBe(t, ask(), test.over, test.in)
				_ = s.Close(t.Context())
			})
		})
	}
}

func TestLaterWantsAStatusPath(t *testing.T) {
	t.Parallel()
	p := laterPolicy(0, nil)
	p.StatusPath = ""
	if err := p.Validate(); err == nil {
		t.Error("no error")
	}
}
