package once

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// blocked is an app that waits for release, and the guard that has one start.
func blocked(t *testing.T, st store.Store, e *events) (*Guard, *app, func(status int) int) {
	t.Helper()
	release, answered := make(chan int), make(chan int)
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(<-release) }}
	cfg := Config{}
	if e != nil {
		cfg.Observe = e.observe
	}
	g := newGuard(t, st, cfg)
	go func() { answered <- post(g.Handler(Policy{}, a), "k", "body").Code }()
	synctest.Wait()
	return g, a, func(status int) int { release <- status; return <-answered }
}

func TestALeaseIsExtendedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, finish := blocked(t, newFaulty(), nil)
		time.Sleep(10 * time.Minute)
		mustBeState(t, g, StateStarted)
		if got := finish(200); got != 200 {
			t.Errorf("got %d", got)
		}
		mustBeState(t, g, StateCompleted)
		a.mustHaveRun(t, 1)
		_ = g.Close(t.Context())
	})
}

func TestALeaseThatCannotBeExtendedEndsInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaulty()
		e := &events{}
		g, a, finish := blocked(t, st, e)
		st.failWrites(StateStarted)
		time.Sleep(2 * time.Minute)
		if s := mustBeState(t, g, StateUncertain); g.Stats().Uncertain != 1 || !strings.Contains(s.Reason, "lease") {
			t.Errorf("%+v, %d uncertain", s, g.Stats().Uncertain)
		}
		st.heal()
		if got := finish(200); got != 200 { // its own late answer ends the doubt
			t.Errorf("got %d", got)
		}
		mustBeState(t, g, StateCompleted)
		if g.Stats().Uncertain != 0 || e.count("fenced") != 0 {
			t.Errorf("%d uncertain, %d fenced", g.Stats().Uncertain, e.count("fenced"))
		}
		mustBe(t, post(g.Handler(Policy{}, a), "k", "body"), 200, "")
		a.mustHaveRun(t, 1)
		_ = g.Close(t.Context())
	})
}

func TestFencing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaulty()
		e := &events{}
		g, a, finish := blocked(t, st, e)
		st.failWrites(StateStarted)
		time.Sleep(2 * time.Minute)
		st.heal()
		id := mustBeState(t, g, StateUncertain).ID
		if _, err := g.Resolve(t.Context(), id, Resolution{As: StateReleased, Note: "ann looked"}); err != nil {
			t.Fatal(err)
		}
		second := &app{}
		mustBe(t, post(g.Handler(Policy{}, second), "k", "body"), 201, "run 1")
		time.Sleep(time.Minute) // extensions of the old start must not disturb, nor count again and again
		if got := finish(200); got != 503 {
			t.Errorf("the old start got %d, want 503", got)
		}
		if n := e.count("fenced"); n < 1 || n > 2 {
			t.Errorf("%d fenced, want its one extension and its outcome at most", n)
		}
		mustBe(t, post(g.Handler(Policy{}, a), "k", "body"), 201, "run 1")
		if s := mustBeState(t, g, StateCompleted); s.Generation != 2 {
			t.Errorf("generation %d, want 2", s.Generation)
		}
		a.mustHaveRun(t, 1)
		_ = g.Close(t.Context())
	})
}

func TestACrashEndsInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaulty()
		g, a, finish := blocked(t, st, nil)
		next := newGuard(t, st, Config{}) // the process before is taken for dead: the store is exclusive
		mustBeState(t, next, StateUncertain)
		if n := next.Stats().Uncertain; n != 1 {
			t.Errorf("%d uncertain, want 1", n)
		}
		mustBe(t, post(next.Handler(Policy{}, a), "k", "body"), 409, "outcome-uncertain")
		finish(200)
		a.mustHaveRun(t, 1)
		_ = g.Close(t.Context())
		_ = next.Close(t.Context())
	})
}

func TestASharedStoreIsNotTakenOverBeforeTheLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaulty()
		st.shared = true
		g := newGuard(t, st, Config{Sweep: time.Hour})
		plant(t, g, "k", "body")
		next := newGuard(t, st, Config{})
		mustBeState(t, next, StateStarted)
		a := &app{}
		mustBe(t, do(next.Handler(Policy{}, a), request("k", "body", header("Prefer", "wait=1"))), 409, "in-flight")
		time.Sleep(30 * time.Second)
		w := post(next.Handler(Policy{}, a), "k", "body")
		mustBe(t, w, 409, "outcome-uncertain")
		if w.Header().Get("Retry-After") != "" {
			t.Error("an uncertain one says Retry-After")
		}
		a.mustHaveRun(t, 0)
		_ = g.Close(t.Context())
		_ = next.Close(t.Context())
	})
}

func TestCloseGivesUpWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, a, finish := blocked(t, newFaulty(), nil)
		if err := g.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustBeState(t, g, StateUncertain)
		if got := finish(200); got != 503 {
			t.Errorf("got %d, want 503", got)
		}
		mustBeState(t, g, StateUncertain)
		a.mustHaveRun(t, 1)
		if err := g.Close(t.Context()); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

func TestResolve(t *testing.T) {
	ctx := context.Background()
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }}
	e := &events{}
	st := newFaulty()
	g := newGuard(t, st, Config{Observe: e.observe})
	h := g.Handler(Policy{}, a)
	post(h, "k", "body")
	id := only(t, g).ID

	if _, err := g.Resolve(ctx, id, Resolution{As: "done"}); !errors.Is(err, ErrResolution) {
		t.Errorf("an unknown resolution: %v", err)
	}
	if _, err := g.Resolve(ctx, "nothing", Resolution{As: StateCompleted}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown record: %v", err)
	}
	st.failWrites()
	if _, err := g.Resolve(ctx, id, Resolution{As: StateReleased}); !errors.Is(err, errDisk) {
		t.Errorf("a store that fails: %v", err)
	}
	st.heal()
	s, err := g.Resolve(ctx, id, Resolution{As: StateReleased, Note: strings.Repeat("é", 600)})
	if err != nil || s.State != StateReleased || len(s.ResolvedBy) != 1000 || g.Stats().Uncertain != 0 || e.count("resolved") != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := g.Resolve(ctx, id, Resolution{As: StateReleased}); !errors.Is(err, ErrNotUncertain) {
		t.Errorf("a resolved record: %v", err)
	}
	post(h, "k", "body")
	a.mustHaveRun(t, 2)
	if s := mustBeState(t, g, StateUncertain); s.Generation != 2 || s.ResolvedBy != "" {
		t.Errorf("the second start is %+v", s)
	}
	if s, err = g.Resolve(ctx, id, Resolution{As: StateCompleted}); err != nil || s.State != StateCompleted || s.ResolvedBy != "an operator" {
		t.Errorf("got %+v, %v", s, err)
	}
	mustBe(t, post(h, "k", "body"), 409, "an operator or a probe found out that it happened")
	a.mustHaveRun(t, 2)
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{}
		g := newGuard(t, newFaulty(), Config{Lease: time.Hour, Sweep: 10 * time.Minute})
		h := g.Handler(Policy{}, a)
		mustBe(t, post(h, "k", "body"), 201, "run 1")
		time.Sleep(24*time.Hour - time.Second)
		mustBe(t, post(h, "k", "body"), 201, "run 1")
		time.Sleep(time.Second)
		w := post(h, "k", "body") // before a sweep
		mustBe(t, w, 409, "key-expired")
		time.Sleep(11 * time.Minute)
		if s := mustBeState(t, g, StateExpired); s.Status != 0 {
			t.Errorf("the tombstone still holds an answer: %+v", s)
		}
		mustBe(t, post(h, "k", "body"), 409, "2000-01-01T00:00:00Z")
		mustBe(t, post(h, "k", "bodY"), 422, "key-reused")
		a.mustHaveRun(t, 1)
		time.Sleep(29*24*time.Hour - 12*time.Minute)
		mustBeState(t, g, StateExpired)
		time.Sleep(2 * time.Minute)
		mustBe(t, post(h, "k", "body"), 201, "run 2")
		_ = g.Close(t.Context())
	})
}

func TestDoubtNeverExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) }}
		g := newGuard(t, newFaulty(), Config{Lease: 24 * time.Hour, Sweep: 24 * time.Hour})
		post(g.Handler(Policy{}, a), "k", "body")
		time.Sleep(400 * 24 * time.Hour)
		mustBe(t, post(g.Handler(Policy{}, a), "k", "body"), 409, "outcome-uncertain")
		_ = g.Close(t.Context())
	})
}

func TestTheStoresClockDecidesHowOldAnAnswerIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		behind := func() time.Time { return time.Now().Add(-time.Hour) } // or: this gateway's clock is ahead
		st := memstore.NewWith(memstore.Options{Now: behind})
		a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "secret=1")
			_, _ = io.WriteString(w, "x")
		}}
		g := newGuard(t, st, Config{Lease: time.Hour, Sweep: 48 * time.Hour})
		h := g.Handler(Policy{}, a)
		alice := header("Authorization", "alice")
		do(h, request("k", "body", alice))
		time.Sleep(31 * time.Second)
		w := do(h, request("k", "body", alice))
		mustBe(t, w, 200, "x")
		if w.Header().Get("Set-Cookie") != "" {
			t.Error("the cookie is shown after 31 s")
		}
		time.Sleep(24*time.Hour - 30*time.Second)
		mustBe(t, do(h, request("k", "body", alice)), 409, "key-expired")
		_ = g.Close(t.Context())
	})
}

func TestListAndShow(t *testing.T) {
	ctx := context.Background()
	g := newGuard(t, newFaulty(), Config{})
	h := g.Handler(Policy{Route: "orders"}, &app{})
	for _, key := range []string{"a", "b", "c"} {
		post(h, key, "body")
	}
	page, err := g.List(ctx, Query{Limit: 2, State: StateCompleted})
	if err != nil || len(page.Records) != 2 || page.Cursor == "" {
		t.Fatalf("got %+v, %v", page, err)
	}
	rest, err := g.List(ctx, Query{Limit: 2, State: StateCompleted, Cursor: page.Cursor})
	if err != nil || len(rest.Records) != 1 || rest.Cursor != "" {
		t.Fatalf("got %+v, %v", rest, err)
	}
	if page, err = g.List(ctx, Query{Key: "b"}); err != nil || len(page.Records) != 1 {
		t.Fatalf("by key: %+v, %v", page, err)
	}
	s, err := g.Show(ctx, page.Records[0].ID)
	if err != nil || s.KeyHash != HashKey("b") || s.Route != "orders" || s.Status != 201 || !s.BodyKept || s.Path != "/orders" || s.Principal != "none" {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := g.Show(ctx, "nothing"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
