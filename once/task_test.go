package once

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

func mustBegin(t *testing.T, g *Guard, task Task, want Status) Found {
	t.Helper()
	found, err := g.Begin(t.Context(), task)
	if err != nil || found.Status != want {
		t.Fatalf("begin %q: %v %+v, %v; want %v", task.Key, found.Status, found, err, want)
	}
	return found
}

func TestATaskIsDoneOnceAndItsResultIsForAll(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	first := mustBegin(t, g, Task{Key: "k"}, Execute)
	if again := mustBegin(t, g, Task{Key: "k"}, InFlight); again.ID != first.ID || !again.Ends.Equal(first.Lease.Ends) {
		t.Errorf("in flight: %+v, want the record and lease of %+v", again, first)
	}
	for range 2 { // a caller that did not hear that it was recorded says so again
		if err := g.Complete(t.Context(), first.Lease, Done{Result: []byte("r")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Complete(t.Context(), first.Lease, Done{Result: []byte("other")}); !errors.Is(err, ErrFenced) {
		t.Errorf("another result: %v, want ErrFenced", err)
	}
	if d := mustBegin(t, g, Task{Key: "k"}, Duplicate); string(d.Result) != "r" || !d.Kept || d.First.IsZero() || d.Err() != nil {
		t.Errorf("duplicate: %+v", d)
	}
	for _, other := range []Task{{Key: "l"}, {Key: "k", Scope: "s"}, {Key: "k", Principal: "p"}} {
		mustBegin(t, g, other, Execute)
	}
}

func TestAReleasedTaskMayStartAgainUnderALaterGeneration(t *testing.T) {
	t.Parallel()
	e := &events{}
	g := newGuard(t, memstore.New(), Config{Observe: e.observe})
	old := mustBegin(t, g, Task{Key: "k"}, Execute).Lease
	if err := g.Release(t.Context(), old, "nothing to do", nil); err != nil {
		t.Fatal(err)
	}
	if f, err := g.Look(t.Context(), Task{Key: "k"}); err != nil || f.Status != 0 {
		t.Errorf("look: %+v, %v; want that it may start", f, err)
	}
	now := mustBegin(t, g, Task{Key: "k"}, Execute).Lease
	if now.Generation != old.Generation+1 || now.Token == old.Token {
		t.Errorf("lease %+v after %+v", now, old)
	}
	stolen := now
	stolen.Token = old.Token
	for _, l := range []Lease{old, stolen, {ID: "none"}} {
		_, extend := g.Extend(t.Context(), l, 0)
		for _, err := range []error{
			extend, g.Complete(t.Context(), l, Done{}), g.Release(t.Context(), l, "", nil), g.Doubt(t.Context(), l, "", nil),
		} {
			if !errors.Is(err, ErrFenced) {
				t.Errorf("lease %+v: %v, want ErrFenced", l, err)
			}
		}
	}
	if n := g.Stats().Outcomes["fenced"]; n != 8 {
		t.Errorf("%d refusals are counted, want 8", n)
	}
	if err := g.Complete(t.Context(), now, Done{}); err != nil {
		t.Error(err)
	}
}

func TestALostReplyOfBeginIsAskedForAgainByItsToken(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	task := Task{Key: "k", Token: "0123456789abcdef"}
	first := mustBegin(t, g, task, Execute)
	if again := mustBegin(t, g, task, Execute); again.Lease != first.Lease || !again.Repeated || first.Repeated || first.ID != g.ID(task) {
		t.Errorf("%+v, want the lease of %+v", again, first)
	}
	task.Token = "fedcba9876543210"
	mustBegin(t, g, task, InFlight)
}

func TestAStartThatIsAskedForAgainIsNotGivenToSomebodyElse(t *testing.T) {
	t.Parallel()
	for name, breakStore := range map[string]func(*faulty){
		"the write was lost": func(f *faulty) { f.failWrites(StateStarted) },
		"the reply was lost": func(f *faulty) { f.loseReplies(StateStarted) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newFaulty()
			g := newGuard(t, st, Config{})
			task := Task{Key: "k", Token: "0123456789abcdef"}
			breakStore(st)
			if _, err := g.Begin(t.Context(), task); err == nil {
				t.Fatal("the store is broken, and Begin says nothing")
			}
			st.heal()
			first := mustBegin(t, g, task, Execute)
			mustBegin(t, g, Task{Key: "k"}, InFlight)
			if err := g.Complete(t.Context(), first.Lease, Done{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestATaskWithAnotherInputIsRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	l := mustBegin(t, g, Task{Key: "k", Input: []byte("a")}, Execute).Lease
	for range 2 {
		if _, err := g.Begin(t.Context(), Task{Key: "k", Input: []byte("b")}); !errors.Is(err, ErrMismatch) {
			t.Errorf("%v, want ErrMismatch", err)
		}
		if err := g.Complete(t.Context(), l, Done{}); err != nil {
			t.Fatal(err)
		}
	}
	mustBegin(t, g, Task{Key: "k", Input: []byte("a")}, Duplicate)
}

func TestALeaseThatRunsOutIsUncertainUntilItCompletesLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, memstore.New(), Config{Sweep: time.Hour})
		l := mustBegin(t, g, Task{Key: "k", Lease: 10 * time.Second}, Execute).Lease
		time.Sleep(8 * time.Second)
		l, err := g.Extend(t.Context(), l, 0)
		if err != nil || time.Until(l.Ends) != 10*time.Second {
			t.Fatalf("lease until %v, %v", l.Ends, err)
		}
		time.Sleep(9 * time.Second)
		mustBegin(t, g, Task{Key: "k"}, InFlight)
		time.Sleep(2 * time.Second)
		if f := mustBegin(t, g, Task{Key: "k"}, Uncertain); !strings.Contains(f.Reason, "lease") || !errors.Is(f.Err(), ErrUncertain) {
			t.Errorf("%+v", f)
		}
		if _, err := g.Extend(t.Context(), l, 0); !errors.Is(err, ErrFenced) {
			t.Errorf("extend: %v, want ErrFenced", err)
		}
		if err := g.Complete(t.Context(), l, Done{Result: []byte("late")}); err != nil || g.Stats().Uncertain != 0 {
			t.Errorf("complete: %v, %d uncertain", err, g.Stats().Uncertain)
		}
		mustBegin(t, g, Task{Key: "k"}, Duplicate)
		_ = g.Close(t.Context())
	})
}

func TestWhoWaitsForATaskGetsItsResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, memstore.New(), Config{})
		l := mustBegin(t, g, Task{Key: "k"}, Execute).Lease
		go func() {
			time.Sleep(3 * time.Second)
			_ = g.Complete(t.Context(), l, Done{Result: []byte("r")})
		}()
		begun := time.Now()
		if f := mustBegin(t, g, Task{Key: "k", Wait: time.Minute}, Duplicate); string(f.Result) != "r" || time.Since(begun) != 3*time.Second {
			t.Errorf("%+v after %v", f, time.Since(begun))
		}
		_ = g.Close(t.Context())
	})
}

func TestARemoteLeaseOutlivesTheProcessThatGaveIt(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	g, err := New(t.Context(), st, Config{})
	if err != nil {
		t.Fatal(err)
	}
	l := mustBegin(t, g, Task{Key: "k"}, Execute).Lease
	if err := g.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	g = newGuard(t, st, Config{})
	mustBegin(t, g, Task{Key: "k"}, InFlight)
	if err := g.Complete(t.Context(), l, Done{Result: []byte("r")}); err != nil {
		t.Error(err)
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	st := newFaulty()
	g := newGuard(t, st, Config{ResultLimit: 10})
	ran := 0
	do := func(key string, value []byte, fail error) (Result, error) {
		return g.Do(t.Context(), Task{Key: key}, func(context.Context) ([]byte, error) { ran++; return value, fail })
	}
	broken := errors.New("broken")
	for _, c := range []struct {
		name, key string
		value     string
		fail      error
		first     error
		then      error
		runs      int // of two
	}{
		{"a result is given to all", "a", "v", nil, nil, nil, 1},
		{"an error leaves doubt", "b", "", broken, ErrUncertain, ErrUncertain, 1},
		{"what was not applied may run again", "c", "", NotApplied(broken), broken, broken, 2},
		{"a result over the limit is not kept", "d", "12345678901", nil, nil, ErrNotKept, 1},
	} {
		ran = 0
		r, err := do(c.key, []byte(c.value), c.fail)
		if !errors.Is(err, c.first) || r.Replayed || string(r.Value) != c.value {
			t.Errorf("%s: %q %v, %v", c.name, r.Value, r.Replayed, err)
		}
		r, err = do(c.key, []byte(c.value), c.fail)
		if !errors.Is(err, c.then) || err == nil && (!r.Replayed || string(r.Value) != c.value) {
			t.Errorf("%s, again: %q %v, %v", c.name, r.Value, r.Replayed, err)
		}
		if ran != c.runs {
			t.Errorf("%s: ran %d times, want %d", c.name, ran, c.runs)
		}
	}
	st.failWrites(StateCompleted)
	if r, err := do("e", []byte("v"), nil); !errors.Is(err, errDisk) || string(r.Value) != "v" {
		t.Errorf("a result that cannot be recorded: %q, %v", r.Value, err)
	}
	st.failWrites(StateStarted)
	ran = 0
	if _, err := do("f", nil, nil); !errors.Is(err, errDisk) || ran != 0 {
		t.Errorf("a start that cannot be recorded: ran %d times, %v", ran, err)
	}
}

func TestAPanicOfTheWorkLeavesDoubt(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	func() {
		defer func() { _ = recover() }()
		_, _ = g.Do(t.Context(), Task{Key: "k"}, func(context.Context) ([]byte, error) { panic("ouch") })
	}()
	mustBegin(t, g, Task{Key: "k"}, Uncertain)
}

func TestOfACrowdThatDoesOneTaskOneRuns(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	var ran atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			r, err := g.Do(t.Context(), Task{Key: "k"}, func(context.Context) ([]byte, error) {
				ran.Add(1)
				return []byte("v"), nil
			})
			if err != nil || string(r.Value) != "v" {
				t.Errorf("%q, %v", r.Value, err)
			}
		})
	}
	all.Wait()
	if ran.Load() != 1 {
		t.Errorf("ran %d times", ran.Load())
	}
}

func TestALongRunKeepsItsLeaseAndALostOneEndsItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newFaulty()
		g := newGuard(t, st, Config{Sweep: time.Hour})
		_, err := g.Do(t.Context(), Task{Key: "k", Lease: 30 * time.Second}, func(ctx context.Context) ([]byte, error) {
			time.Sleep(10 * time.Minute)
			if f, err := g.Look(ctx, Task{Key: "k"}); err != nil || f.Status != InFlight {
				t.Errorf("look: %+v, %v", f, err)
			}
			f, err := g.Look(ctx, Task{Key: "k"})
			if err != nil {
				t.Error(err)
			}
			if _, err := g.Show(ctx, f.ID); err != nil {
				t.Error(err)
			}
			st.failWrites(StateStarted)
			time.Sleep(time.Minute)
			if f, err := g.Look(ctx, Task{Key: "k"}); err != nil || f.Status != Uncertain {
				t.Errorf("look: %+v, %v", f, err)
			}
			st.heal()
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		if !errors.Is(err, ErrUncertain) || !errors.Is(err, ErrFenced) {
			t.Errorf("%v, want that it is uncertain, since the lease was lost", err)
		}
		_ = g.Close(t.Context())
	})
}

func TestSpendIsReservedSettledAndGivenBack(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	limit := Spend{Account: "agent EUR", Amount: 40, Limit: 100, Window: time.Hour * 24 * 365 * 5}
	spent := func(want int64) {
		t.Helper()
		if got, err := g.Spent(t.Context(), limit); err != nil || got != want {
			t.Errorf("spent %d, %v; want %d", got, err, want)
		}
	}
	begin := func(key string) Lease {
		t.Helper()
		l := mustBegin(t, g, Task{Key: key, Spend: []Spend{limit}}, Execute).Lease
		return l
	}
	a, b := begin("a"), begin("b")
	spent(80)
	_, err := g.Begin(t.Context(), Task{Key: "c", Spend: []Spend{limit}})
	var denied *DeniedError
	if !errors.As(err, &denied) || denied.Spent != 80 || denied.Limit != 100 || denied.Account != limit.Account {
		t.Fatalf("%v, want that the cap leaves no room", err)
	}
	if f, err := g.Look(t.Context(), Task{Key: "c"}); err != nil || f.Status != 0 {
		t.Errorf("what was denied is on record: %+v, %v", f, err)
	}
	mustBegin(t, g, Task{Key: "a", Spend: []Spend{limit}}, InFlight) // a duplicate costs nothing
	for range 2 {
		if err := g.Complete(t.Context(), a, Done{Spent: map[string]int64{limit.Account: 15}}); err != nil {
			t.Fatal(err)
		}
		spent(55)
	}
	if err := g.Doubt(t.Context(), b, "who knows", nil); err != nil {
		t.Fatal(err)
	}
	spent(55)
	if _, err := g.Resolve(t.Context(), b.ID, Resolution{As: StateReleased}); err != nil {
		t.Fatal(err)
	}
	spent(15)
	d := begin("d")
	if err := g.Release(t.Context(), d, "not done", nil); err != nil {
		t.Fatal(err)
	}
	spent(15)
	over := begin("e")
	if err := g.Complete(t.Context(), over, Done{Spent: map[string]int64{limit.Account: 500}}); err != nil {
		t.Fatal(err)
	}
	spent(515) // it is spent, whatever the cap says
}

func TestWhatIsGivenBackLateGoesWhereItCameFrom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, memstore.New(), Config{Sweep: time.Hour})
		hour := Spend{Account: "a", Amount: 10, Limit: 10, Window: time.Hour}
		l := mustBegin(t, g, Task{Key: "k", Spend: []Spend{hour}, Lease: 24 * time.Hour}, Execute).Lease
		time.Sleep(61 * time.Minute)
		mustBegin(t, g, Task{Key: "l", Spend: []Spend{hour}, Lease: 24 * time.Hour}, Execute)
		if err := g.Release(t.Context(), l, "", nil); err != nil {
			t.Fatal(err)
		}
		if n, err := g.Spent(t.Context(), hour); err != nil || n != 10 {
			t.Errorf("spent %d in this window, %v", n, err)
		}
		// Long after, the counters of windows that are over are gone, and what
		// comes back to them does no harm.
		l = mustBegin(t, g, Task{Key: "m", Spend: []Spend{{Account: "b", Amount: 1, Limit: 1, Window: time.Hour}}, Lease: 24 * time.Hour}, Execute).Lease
		time.Sleep(5 * time.Hour)
		if page, err := g.store.List(t.Context(), store.Query{Partition: g.cfg.Tenant, Class: ClassSpend}); err != nil || len(page.Records) != 0 {
			t.Errorf("%d counters, %v", len(page.Records), err)
		}
		if err := g.Release(t.Context(), l, "", nil); err != nil {
			t.Error(err)
		}
		_ = g.Close(t.Context())
	})
}

func TestAnAuditLineIsWrittenWithTheStepItTellsOf(t *testing.T) {
	t.Parallel()
	st := newFaulty()
	g := newGuard(t, st, Config{})
	lines := func() (out []string) {
		page, err := st.List(t.Context(), store.Query{Partition: g.cfg.Tenant, Class: ClassAudit, Key: AuditLog + "/"})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			out = append(out, string(r.Value))
		}
		return out
	}
	l := mustBegin(t, g, Task{Key: "k", Audit: []byte("begun")}, Execute).Lease
	mustBegin(t, g, Task{Key: "k", Audit: []byte("begun twice")}, InFlight)
	st.failWrites()
	if err := g.Complete(t.Context(), l, Done{Audit: []byte("lost")}); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	st.heal()
	if err := g.Complete(t.Context(), l, Done{Audit: []byte("done")}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(lines(), ", "); got != "begun, done" {
		t.Errorf("audit: %s", got)
	}
	l = mustBegin(t, g, Task{Key: "l"}, Execute).Lease
	if err := g.Doubt(t.Context(), l, "", []byte("doubted")); err != nil {
		t.Fatal(err)
	}
	st.failWrites()
	how := Resolution{As: StateReleased, Audit: []byte("resolved")}
	if _, err := g.Resolve(t.Context(), l.ID, how); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	st.heal()
	for range 2 { // the second is refused, and leaves no line
		_, _ = g.Resolve(t.Context(), l.ID, how)
	}
	if got := strings.Join(lines(), ", "); got != "begun, done, doubted, resolved" {
		t.Errorf("audit: %s", got)
	}
}

func TestBadTasksAreRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	long := strings.Repeat("x", MaxKey+1)
	for name, task := range map[string]Task{
		"no key":            {},
		"a long key":        {Key: long},
		"a huge key":        {Key: strings.Repeat("x", 1_000_000)},
		"a long scope":      {Key: "k", Scope: long},
		"a long name":       {Key: "k", Name: long},
		"a long input":      {Key: "k", Input: bytes.Repeat([]byte("x"), MaxInput+1)},
		"a short token":     {Key: "k", Token: "short"},
		"a negative lease":  {Key: "k", Lease: -1},
		"a tiny lease":      {Key: "k", Lease: 1},
		"an endless lease":  {Key: "k", Lease: math.MaxInt64},
		"negative keeping":  {Key: "k", Retention: -time.Second},
		"endless keeping":   {Key: "k", Tombstone: math.MaxInt64},
		"a negative wait":   {Key: "k", Wait: -1},
		"no account":        {Key: "k", Spend: []Spend{{}}},
		"a negative amount": {Key: "k", Spend: []Spend{{Account: "a", Amount: -1, Limit: 1}}},
		"a negative limit":  {Key: "k", Spend: []Spend{{Account: "a", Limit: -1}}},
		"a split second":    {Key: "k", Spend: []Spend{{Account: "a", Window: time.Millisecond}}},
		"an account twice":  {Key: "k", Spend: []Spend{{Account: "a"}, {Account: "a"}}},
		"many accounts":     {Key: "k", Spend: make([]Spend, MaxSpends+1)},
	} {
		if _, err := g.Begin(t.Context(), task); !errors.Is(err, ErrTask) || len(err.Error()) > 2000 {
			t.Errorf("%s: %.200v, want ErrTask", name, err)
		}
	}
	huge := Spend{Account: "a", Amount: math.MaxInt64, Limit: math.MaxInt64}
	mustBegin(t, g, Task{Key: "k", Spend: []Spend{huge}}, Execute)
	if _, err := g.Begin(t.Context(), Task{Key: "l", Spend: []Spend{huge}}); !errors.Is(err, ErrDenied) {
		t.Errorf("a sum that overflows: %v, want ErrDenied", err)
	}
}

func TestWhereTooMuchIsUncertainNoTaskStarts(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{MaxUncertainPerPrincipal: 1})
	l := mustBegin(t, g, Task{Key: "a", Principal: "p"}, Execute).Lease
	if err := g.Doubt(t.Context(), l, "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Begin(t.Context(), Task{Key: "b", Principal: "p"}); !errors.Is(err, ErrDoubtful) {
		t.Errorf("%v, want ErrDoubtful", err)
	}
	mustBegin(t, g, Task{Key: "a", Principal: "p"}, Uncertain)
	mustBegin(t, g, Task{Key: "b", Principal: "q"}, Execute)
}

func TestAMarkIsTakenOnce(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	var all sync.WaitGroup
	var first atomic.Int32
	for range 20 {
		all.Go(func() {
			f, err := g.Mark(t.Context(), Task{Key: "k", Retention: time.Hour, Tombstone: time.Hour})
			if err != nil {
				t.Error(err)
			}
			if f.Status == Execute {
				first.Add(1)
			}
		})
	}
	all.Wait()
	if first.Load() != 1 {
		t.Errorf("%d took it", first.Load())
	}
	l := mustBegin(t, g, Task{Key: "l"}, Execute).Lease
	if f, err := g.Mark(t.Context(), Task{Key: "l"}); err != nil || f.Status != Duplicate {
		t.Errorf("of what somebody is doing: %+v, %v", f, err)
	}
	if err := g.Release(t.Context(), l, "", nil); err != nil {
		t.Fatal(err)
	}
	if f, err := g.Mark(t.Context(), Task{Key: "l"}); err != nil || f.Status != Execute {
		t.Errorf("of what was released: %+v, %v", f, err)
	}
}

// TestWhoWaitsIsToldWhenTheLeaseIsOver has nobody extend the lease, and nothing
// change in the store.
func TestWhoWaitsIsToldWhenTheLeaseIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, memstore.New(), Config{})
		task := Task{Key: "k", Lease: 5 * time.Second, Wait: time.Hour}
		if found, err := g.Begin(t.Context(), task); err != nil || found.Status != Execute {
			t.Fatalf("%+v, %v", found, err)
		}
		begun := time.Now()
		found, err := g.Begin(t.Context(), task)
		if took := time.Since(begun); err != nil || found.Status != Uncertain || took < 5*time.Second || took > 6*time.Second {
			t.Errorf("%+v, %v after %v, want uncertain when the lease is over", found, err, took)
		}
	})
}

func TestToReleaseAgainIsNoError(t *testing.T) {
	t.Parallel()
	g := newGuard(t, memstore.New(), Config{})
	found, err := g.Begin(t.Context(), Task{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.Release(t.Context(), found.Lease, "nothing was done", nil); err != nil {
			t.Error(err)
		}
	}
	if next, err := g.Begin(t.Context(), Task{Key: "k"}); err != nil || next.Status != Execute {
		t.Errorf("%+v, %v", next, err)
	}
	if err := g.Release(t.Context(), found.Lease, "too late", nil); !errors.Is(err, ErrFenced) {
		t.Errorf("the lease before: %v, want ErrFenced", err)
	}
}
