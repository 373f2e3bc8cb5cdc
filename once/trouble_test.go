package once

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/store"
)

func TestWithoutTheStoreNothingStarts(t *testing.T) {
	st := newFaulty()
	a := &app{}
	e := &events{}
	g := newGuard(t, st, Config{Observe: e.observe})
	h, open := g.Handler(Policy{}, a), g.Handler(Policy{FailOpen: true}, a)
	st.failWrites()
	w := post(h, "k", "body")
	mustBe(t, w, 503, "store-unavailable")
	if w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), errDisk.Error()) {
		t.Errorf("header %v, body %s", w.Header(), w.Body)
	}
	a.mustHaveRun(t, 0)

	var marked string
	a.answer = func(w http.ResponseWriter, r *http.Request) {
		marked = r.Header.Get(GuardHeader)
		_, _ = io.Copy(w, r.Body)
	}
	w = do(open, request("k", "body", header(OutcomeHeader, "spoofed")))
	mustBe(t, w, 200, "body")
	if w.Header().Get(GuardHeader) != "bypassed" || marked != "bypassed" || e.count("bypassed") != 1 {
		t.Errorf("client header %v, app got %q, %d events", w.Header(), marked, e.count("bypassed"))
	}
	a.mustHaveRun(t, 1)
	st.heal()
	mustBe(t, post(h, "k", "body"), 200, "body")
}

func TestFailOpenDoesNotRunWhatIsKnownToRun(t *testing.T) {
	t.Run("a duplicate that waited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := newFaulty()
			release := make(chan struct{})
			a := &app{answer: func(http.ResponseWriter, *http.Request) { <-release }}
			g := newGuard(t, st, Config{})
			h := g.Handler(Policy{FailOpen: true}, a)
			go post(h, "k", "body")
			synctest.Wait()
			answers := make(chan int)
			go func() { answers <- post(h, "k", "body").Code }()
			synctest.Wait()
			st.failWrites()
			st.set(func(f *faulty) { f.wait = errDisk })
			time.Sleep(11 * time.Second) // past an extension of the lease, which would have woken it
			close(release)
			if got := <-answers; got != 503 && got != 409 {
				t.Errorf("got %d", got)
			}
			synctest.Wait()
			a.mustHaveRun(t, 1)
			st.heal()
			_ = g.Close(t.Context())
		})
	})
	t.Run("one whose lease is over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := newFaulty()
			st.shared = true
			a := &app{}
			g := newGuard(t, st, Config{Sweep: time.Hour})
			plant(t, g, "k", "body")
			time.Sleep(31 * time.Second)
			st.failWrites(StateUncertain)
			mustBe(t, post(g.Handler(Policy{FailOpen: true}, a), "k", "body"), 503, "store-unavailable")
			a.mustHaveRun(t, 0)
			_ = g.Close(t.Context())
		})
	})
}

// plant puts the record of a start that another gateway made.
func plant(t *testing.T, g *Guard, key, body string) (id string) {
	t.Helper()
	r := request(key, body, nil)
	e := earlyOf(r)
	b, err := g.readBody(r, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close(g)
	id = recordKey(g.cfg.Tenant, nobody, r.Method, r.Host, "", key)
	_, err = g.put(context.Background(), g.store.Apply, id, 0, StateStarted, "elsewhere", entry{
		Generation: 1, Owner: "elsewhere", Early: e.sum, Length: e.length, Fingerprint: b.sum, Method: r.Method, Path: "/orders",
		Started: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAWriteThatHappenedInSpiteOfItsError(t *testing.T) {
	t.Run("at the start, the key is not lost", func(t *testing.T) {
		st := newFaulty()
		a := &app{}
		g := newGuard(t, st, Config{})
		h := g.Handler(Policy{}, a)
		st.loseReplies(StateStarted)
		mustBe(t, post(h, "k", "body"), 503, "store-unavailable")
		a.mustHaveRun(t, 0)
		mustBeState(t, g, StateStarted)
		st.heal()
		mustBe(t, post(h, "k", "body"), 201, "run 1")
		mustBe(t, post(h, "k", "body"), 201, "run 1")
		a.mustHaveRun(t, 1)
	})
	t.Run("at the start, the key is free for other gateways and after the lease", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := newFaulty()
			a := &app{}
			g := newGuard(t, st, Config{})
			st.loseReplies(StateStarted)
			mustBe(t, post(g.Handler(Policy{}, a), "k", "body"), 503, "")
			st.heal()
			time.Sleep(11 * time.Second)
			mustBeState(t, g, StateReleased)
			time.Sleep(5 * time.Minute)
			mustBeState(t, g, StateReleased)
			g.mu.Lock()
			if n := len(g.givenUp); n != 0 {
				t.Errorf("%d owners are still in mind", n)
			}
			g.mu.Unlock()
			mustBe(t, post(g.Handler(Policy{}, a), "k", "body"), 201, "run 1")
			_ = g.Close(t.Context())
		})
	})
	t.Run("at the start, the end of the lease is no doubt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := newFaulty()
			g := newGuard(t, st, Config{})
			st.loseReplies(StateStarted)
			mustBe(t, post(g.Handler(Policy{}, &app{}), "k", "body"), 503, "")
			st.heal()
			st.failWrites(StateReleased)
			time.Sleep(2 * time.Minute)
			mustBeState(t, g, StateStarted)
			st.heal()
			time.Sleep(11 * time.Second)
			mustBeState(t, g, StateReleased)
			_ = g.Close(t.Context())
		})
	})
	t.Run("at the start of one that then went on unguarded, it is not forgotten", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			st := newFaulty()
			a := &app{}
			g := newGuard(t, st, Config{})
			h := g.Handler(Policy{FailOpen: true}, a)
			st.loseReplies(StateStarted)
			mustBe(t, post(h, "k", "body"), 201, "run 1")
			st.heal()
			time.Sleep(time.Minute)
			mustBe(t, post(h, "k", "body"), 409, "outcome-uncertain")
			a.mustHaveRun(t, 1)
			_ = g.Close(t.Context())
		})
	})
	t.Run("at the end, duplicates get the answer", func(t *testing.T) {
		st := newFaulty()
		a := &app{}
		h := newGuard(t, st, Config{}).Handler(Policy{}, a)
		st.loseReplies(StateCompleted)
		w := post(h, "k", "body")
		mustBe(t, w, 503, "outcome-not-recorded")
		if w.Header().Get(OutcomeHeader) != "uncertain" || strings.Contains(w.Body.String(), "run 1") {
			t.Errorf("header %v, body %s", w.Header(), w.Body)
		}
		mustBe(t, post(h, "k", "body"), 201, "run 1")
		a.mustHaveRun(t, 1)
	})
}

func TestAnAnswerThatCannotBeRecordedIsNotShown(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"held", nil},
		{"too large", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 100)) }},
		{"an event stream", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: x\n\n")
		}},
		{"an event stream without an event", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
		}},
		{"too large, and the proxy gives up", func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.WriteString(w, strings.Repeat("x", 100)); err != nil {
				panic(http.ErrAbortHandler)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newFaulty()
				a := &app{answer: test.answer}
				g := newGuard(t, st, Config{ResultLimit: 10})
				h := g.Handler(Policy{}, a)
				st.failWrites(StateCompleted)
				w := post(h, "k", "body")
				mustBe(t, w, 503, "outcome-not-recorded")
				if strings.Contains(w.Body.String(), "xxx") || w.Header().Get("Retry-After") != "" {
					t.Errorf("header %v, body %s", w.Header(), w.Body)
				}
				st.heal()
				time.Sleep(2 * time.Minute)
				mustBeState(t, g, StateUncertain)
				mustBe(t, post(h, "k", "body"), 409, "outcome-uncertain")
				a.mustHaveRun(t, 1)
				_ = g.Close(t.Context())
			})
		})
	}
}

func TestReleaseThatCannotBeWrittenIsProvedAllTheSame(t *testing.T) {
	st := newFaulty()
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(421) }}
	g := newGuard(t, st, Config{})
	h := g.Handler(Policy{}, a)
	st.failWrites(StateReleased)
	mustBe(t, post(h, "k", "body"), 421, "")
	mustBeState(t, g, StateStarted)
	st.heal()
	a.answer = nil
	mustBe(t, post(h, "k", "body"), 201, "run 2")
}

func TestARecordThatCannotBeRead(t *testing.T) {
	st := newFaulty()
	a := &app{}
	g := newGuard(t, st, Config{})
	open := g.Handler(Policy{FailOpen: true}, a)
	mustBe(t, post(open, "k", "body"), 201, "")
	id := only(t, g).ID
	rec, _, err := st.Get(t.Context(), "default", Class, id)
	if err != nil {
		t.Fatal(err)
	}
	spoil := store.PutIfVersion(Class, id, rec.Version, store.Put{State: StateCompleted, Value: []byte("?")})
	if _, err := st.Apply(t.Context(), "default", spoil); err != nil {
		t.Fatal(err)
	}
	mustBe(t, post(open, "k", "body"), 503, "store-unavailable") // it may have run: no bypass
	a.mustHaveRun(t, 1)
	mustBe(t, post(open, "l", "body"), 201, "run 2")
	page, err := g.List(t.Context(), Query{})
	if err != nil || len(page.Records) != 2 {
		t.Errorf("%d records, %v", len(page.Records), err)
	}
	if _, err := g.Show(t.Context(), id); !errors.Is(err, errRecord) {
		t.Errorf("shown: %v", err)
	}
}

func TestARecordThatCannotBeReadDoesNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaulty()
		g := newGuard(t, st, Config{Lease: time.Hour, Sweep: time.Minute})
		put := func(key string, due time.Duration, value []byte) {
			op := store.PutIfAbsent(Class, key, store.Put{State: StateCompleted, Value: value, DueIn: due})
			if _, err := st.Apply(t.Context(), "default", op); err != nil {
				t.Fatal(err)
			}
		}
		value, err := entry{Generation: 1, Owner: "o"}.encode()
		if err != nil {
			t.Fatal(err)
		}
		put("spoiled", time.Second, []byte("?")) // the first of the first page
		for n := range store.MaxPage {
			put(fmt.Sprint(n), 2*time.Second, value)
		}
		time.Sleep(90 * time.Second)
		page, err := g.List(t.Context(), Query{State: StateCompleted, Limit: 10})
		if err != nil || len(page.Records) != 1 || page.Records[0].ID != "spoiled" {
			t.Errorf("still completed: %+v, %v", page.Records, err)
		}
		_ = g.Close(t.Context())
	})
}

func TestNewReportsAStoreThatFails(t *testing.T) {
	st := newFaulty()
	st.set(func(f *faulty) { f.list = errDisk })
	if _, err := New(context.Background(), st, Config{}); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	if _, err := New(context.Background(), st, Config{Lease: 1}); err == nil || errors.Is(err, errDisk) {
		t.Errorf("got %v, want a complaint about the configuration", err)
	}
}
