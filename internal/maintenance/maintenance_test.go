package maintenance

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was logged since the last time, without times.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// open follows st, and is closed with the test.
func open(t *testing.T, st store.Store) (*Maintenance, *lines) {
	t.Helper()
	log := &lines{}
	m, err := New(t.Context(), st, "default", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, log
}

func newStore(t *testing.T) store.Store {
	st := memstore.New()
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func on(t *testing.T, m *Maintenance, o Order) string {
	t.Helper()
	_, token, err := m.On(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func plan(t *testing.T, m *Maintenance, o Order) {
	t.Helper()
	if _, _, err := m.Schedule(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func wantActive(t *testing.T, when string, m *Maintenance, want bool) View {
	t.Helper()
	v, _ := m.View()
	if v.Active != want || m.Active() != want {
		t.Errorf("%s: active is %v, want %v", when, v.Active, want)
	}
	return v
}

func TestOnHoldsUntilOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := open(t, newStore(t))
		if _, ok := m.View(); ok {
			t.Error("a view before there is anything")
		}
		began := time.Now()
		on(t, m, Order{Reason: "new disks", RetryAfter: time.Minute, Allow: []string{"203.0.113.7", "10.0.0.0/8"}})
		v := wantActive(t, "on", m, true)
		if v.Reason != "new disks" || v.RetryAfter != time.Minute || !v.Until.IsZero() || v.Left != 0 || !v.Since.Equal(began) {
			t.Errorf("view %+v", v)
		}
		for addr, want := range map[string]bool{"203.0.113.7": true, "203.0.113.8": false, "10.9.8.7": true} {
			if got := v.Allow.Contains(netip.MustParseAddr(addr)); got != want {
				t.Errorf("%s passes: %v, want %v", addr, got, want)
			}
		}
		time.Sleep(2 * time.Hour)
		wantActive(t, "two hours later", m, true)
		if _, err := m.Off(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantActive(t, "off", m, false)
		text := log.take()
		if strings.Count(text, "maintenance is on") != 1 || strings.Count(text, "maintenance is over") != 1 {
			t.Errorf("log:\n%s", text)
		}
		if !strings.Contains(text, `until="somebody ends it" reason="new disks"`) {
			t.Errorf("log lacks the end and the reason:\n%s", text)
		}
	})
}

func TestOnWithAnEndEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := open(t, newStore(t))
		on(t, m, Order{For: 10 * time.Minute})
		time.Sleep(4 * time.Minute)
		if v := wantActive(t, "in the middle", m, true); v.Left != 6*time.Minute {
			t.Errorf("left %s, want 6m", v.Left)
		}
		time.Sleep(6*time.Minute - time.Nanosecond)
		wantActive(t, "just before the end", m, true)
		time.Sleep(time.Nanosecond)
		wantActive(t, "at the end", m, false)
		time.Sleep(time.Millisecond)
		if text := log.take(); !strings.Contains(text, "maintenance is over") {
			t.Errorf("log:\n%s", text)
		}
		if s, err := m.Status(t.Context()); err != nil || s.Active || s.On != nil {
			t.Errorf("status %+v, %v", s, err)
		}
	})
}

// Two gateways with a store; the clocks of their machines do not count.
func TestPlannedOneBeginsAndEndsByTheStoresClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ahead = 3 * time.Hour // the store's clock is so far from this machine's
		st := memstore.NewWith(memstore.Options{Now: func() time.Time { return time.Now().Add(ahead) }})
		defer st.Close()
		first, log := open(t, st)
		second, _ := open(t, st)
		from := time.Now().Add(ahead + time.Hour)
		plan(t, first, Order{From: from, Until: from.Add(30 * time.Minute), Reason: "move"})
		wantActive(t, "planned", first, false)
		time.Sleep(time.Hour - time.Nanosecond)
		wantActive(t, "just before", first, false)
		wantActive(t, "just before, second", second, false)
		time.Sleep(time.Nanosecond)
		wantActive(t, "at its time", first, true)
		v := wantActive(t, "at its time, second", second, true)
		if v.Left != 30*time.Minute || !v.Since.Equal(time.Now()) || !v.Until.Equal(from.Add(30*time.Minute)) {
			t.Errorf("view %+v", v)
		}
		time.Sleep(time.Millisecond)
		if text := log.take(); !strings.Contains(text, "maintenance is on") {
			t.Errorf("log:\n%s", text)
		}
		time.Sleep(30*time.Minute - time.Millisecond)
		wantActive(t, "at its end", first, false)
		wantActive(t, "at its end, second", second, false)
	})
}

// noWait is a store whose Wait only ends with its context.
type noWait struct{ store.Store }

func (noWait) Wait(ctx context.Context, _, _, _ string, _ uint64) (store.Record, time.Time, error) {
	<-ctx.Done()
	return store.Record{}, time.Time{}, ctx.Err()
}

func TestAnotherGatewaySeesAChange(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hide   func(store.Store) store.Store
		within time.Duration
	}{
		{"at once where Wait wakes it", func(s store.Store) store.Store { return s }, 0},
		{"within a second where Wait does not", func(s store.Store) store.Store { return noWait{s} }, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStore(t)
				first, _ := open(t, st)
				second, log := open(t, tt.hide(st))
				time.Sleep(2500 * time.Millisecond)
				on(t, first, Order{})
				time.Sleep(tt.within)
				synctest.Wait()
				wantActive(t, "on", second, true)
				if _, err := first.Off(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.within)
				synctest.Wait()
				wantActive(t, "off", second, false)
				if text := log.take(); strings.Count(text, "maintenance is") != 2 {
					t.Errorf("log:\n%s", text)
				}
			})
		})
	}
}

func TestItOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t)
		m, _ := open(t, st)
		on(t, m, Order{Reason: "new disks"})
		m.Close()
		again, log := open(t, st)
		if v := wantActive(t, "after a restart", again, true); v.Reason != "new disks" {
			t.Errorf("view %+v", v)
		}
		if text := log.take(); !strings.Contains(text, "maintenance is on") {
			t.Errorf("log:\n%s", text)
		}
	})
}

func TestOffEndsWhatHoldsAndLeavesWhatIsPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := open(t, newStore(t))
		plan(t, m, Order{From: time.Now().Add(time.Hour), For: time.Hour})
		on(t, m, Order{})
		if s, err := m.Off(t.Context()); err != nil || s.Active || s.On != nil || s.Planned == nil {
			t.Fatalf("status %+v, %v", s, err)
		}
		time.Sleep(90 * time.Minute)
		wantActive(t, "the planned one", m, true)
		if s, err := m.Off(t.Context()); err != nil || s.Active || s.Planned != nil {
			t.Fatalf("status %+v, %v", s, err)
		}
		wantActive(t, "off", m, false)
		if _, err := m.Off(t.Context()); err != nil {
			t.Errorf("off where nothing is on: %v", err)
		}
	})
}

func TestCancelDropsWhatIsPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := open(t, newStore(t))
		plan(t, m, Order{From: time.Now().Add(time.Hour), For: time.Hour})
		if s, err := m.Cancel(t.Context()); err != nil || s.Planned != nil {
			t.Fatalf("status %+v, %v", s, err)
		}
		time.Sleep(90 * time.Minute)
		wantActive(t, "canceled", m, false)
	})
}

// One that was switched on and a planned one that begins meanwhile: clients are
// told the end of both, and both lists of clients count.
func TestTwoAtOneTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := open(t, newStore(t))
		began := time.Now()
		plan(t, m, Order{From: began.Add(time.Hour), For: 2 * time.Hour, Reason: "planned", Allow: []string{"10.0.0.1"}})
		on(t, m, Order{For: 90 * time.Minute, Reason: "now", Allow: []string{"10.0.0.2"}})
		if v := wantActive(t, "the first alone", m, true); v.Left != 90*time.Minute || v.Allow.Contains(netip.MustParseAddr("10.0.0.1")) {
			t.Errorf("view %+v", v)
		}
		time.Sleep(80 * time.Minute)
		v := wantActive(t, "both", m, true)
		if v.Left != 100*time.Minute || v.Reason != "now" || !v.Since.Equal(began) ||
			!v.Allow.Contains(netip.MustParseAddr("10.0.0.1")) || !v.Allow.Contains(netip.MustParseAddr("10.0.0.2")) {
			t.Errorf("view %+v", v)
		}
		time.Sleep(20 * time.Minute)
		if v := wantActive(t, "the second alone", m, true); v.Reason != "planned" || v.Allow.Contains(netip.MustParseAddr("10.0.0.2")) {
			t.Errorf("view %+v", v)
		}
		if text := log.take(); strings.Count(text, "maintenance is on") != 1 || strings.Contains(text, "over") {
			t.Errorf("log:\n%s", text)
		}
	})
}

// Only the hash of a secret is kept. It counts before its window begins, so that
// a link can be opened early.
func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t)
		m, _ := open(t, st)
		_, token, err := m.Schedule(t.Context(), Order{From: time.Now().Add(time.Hour), For: time.Hour, Token: true})
		if err != nil || len(token) < 20 {
			t.Fatalf("token %q, %v", token, err)
		}
		v, ok := m.View()
		if !ok || v.Active || len(v.Tokens) != 1 || v.Tokens[0] != sha256.Sum256([]byte(token)) {
			t.Errorf("view %+v, %v", v, ok)
		}
		rec, _, err := st.Get(t.Context(), "default", Class, Key)
		if err != nil || strings.Contains(string(rec.Value), token) {
			t.Errorf("the record is %s, %v", rec.Value, err)
		}
		if s, err := m.Status(t.Context()); err != nil || !s.Planned.Token {
			t.Errorf("status %+v, %v", s, err)
		}
		time.Sleep(2 * time.Hour)
		if _, ok := m.View(); ok {
			t.Error("the secret counts after the end")
		}
	})
}

func TestOrdersThatMakeNoSense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := open(t, newStore(t))
		now := time.Now()
		for _, tt := range []struct {
			name    string
			planned bool
			order   Order
			want    string
		}{
			{"the end is over", false, Order{Until: now.Add(-time.Minute)}, "until 1999-12-31T23:59:00Z: want it after"},
			{"the end is now", false, Order{Until: now}, "want it after"},
			{"two ends", false, Order{Until: now.Add(time.Hour), For: time.Hour}, "give one of them"},
			{"a negative length", false, Order{For: -time.Hour}, "want a time above zero"},
			{"too long", false, Order{For: 2 * MaxAhead}, "at most a year"},
			{"on with a beginning", false, Order{From: now.Add(time.Hour)}, "it begins now"},
			{"a plan without a beginning", true, Order{For: time.Hour}, "from: missing"},
			{"a plan without an end", true, Order{From: now.Add(time.Hour)}, "until: missing"},
			{"a plan in the past", true, Order{From: now.Add(-time.Second), For: time.Hour}, "that is over"},
			{"a plan too far ahead", true, Order{From: now.Add(2 * MaxAhead), For: time.Hour}, "within a year"},
			{"a plan that ends before it begins", true, Order{From: now.Add(time.Hour), Until: now.Add(time.Minute)}, "want it after"},
			{"a negative Retry-After", false, Order{RetryAfter: -1}, "at most a year"},
			{"a reason with a line break", false, Order{Reason: "a\nb"}, "one line"},
			{"a reason that is too long", false, Order{Reason: strings.Repeat("a", MaxReason+1)}, "at most 500 bytes"},
			{"a reason that is not UTF-8", false, Order{Reason: "\xff"}, "one line"},
			{"an address that is none", false, Order{Allow: []string{"localhost"}}, "want an address"},
			{"too many addresses", false, Order{Allow: make([]string, MaxAllow+1)}, "at most 100"},
			{"all at once", true, Order{Reason: "\n", RetryAfter: -1}, "from: missing; until: missing; a planned one has an end; retry after"},
		} {
			act := m.On
			if tt.planned {
				act = m.Schedule
			}
			_, token, err := act(t.Context(), tt.order)
			if !errors.Is(err, ErrOrder) || !strings.Contains(err.Error(), tt.want) || token != "" {
				t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
			}
		}
		if _, ok := m.View(); ok {
			t.Error("an order that was refused holds")
		}
		plan(t, m, Order{From: now.Add(time.Hour), For: time.Hour})
		time.Sleep(90 * time.Minute)
		if _, _, err := m.Schedule(t.Context(), Order{From: time.Now().Add(5 * time.Hour), For: time.Hour}); !errors.Is(err, ErrOrder) {
			t.Errorf("a plan in place of one that runs: %v", err)
		}
	})
}

// flaky is a store that can be down, and that others write to just before.
type flaky struct {
	store.Store
	down     atomic.Bool
	meddle   atomic.Int64 // writes that others make first
	meddling func()
}

var errDown = errors.New("store down")

func (f *flaky) Get(ctx context.Context, p, c, k string) (store.Record, time.Time, error) {
	if f.down.Load() {
		return store.Record{}, time.Time{}, errDown
	}
	return f.Store.Get(ctx, p, c, k)
}

func (f *flaky) Wait(ctx context.Context, p, c, k string, v uint64) (store.Record, time.Time, error) {
	if f.down.Load() {
		return store.Record{}, time.Time{}, errDown
	}
	return f.Store.Wait(ctx, p, c, k, v)
}

func (f *flaky) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	if f.meddle.Add(-1) >= 0 {
		f.meddling()
	}
	return f.Store.Apply(ctx, p, ops...)
}

func TestStoreThatIsDownKeepsWhatWasKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &flaky{Store: newStore(t)}
		m, log := open(t, st)
		on(t, m, Order{For: time.Hour})
		st.down.Store(true)
		time.Sleep(10 * time.Minute)
		wantActive(t, "down", m, true)
		time.Sleep(50 * time.Minute)
		wantActive(t, "down, after the end", m, false)
		if _, err := m.Status(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("status: %v", err)
		}
		if _, _, err := m.On(t.Context(), Order{}); !errors.Is(err, errDown) {
			t.Errorf("on: %v", err)
		}
		st.down.Store(false)
		time.Sleep(2 * time.Second)
		text := log.take()
		if strings.Count(text, "cannot be read") != 1 || strings.Count(text, "can be read") != 1 {
			t.Errorf("log:\n%s", text)
		}
		st.down.Store(true)
		if _, err := New(t.Context(), st, "default", slog.New(slog.DiscardHandler)); !errors.Is(err, errDown) {
			t.Errorf("New: %v", err)
		}
	})
}

func TestChangesOfTwoOperatorsAreBothKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newStore(t)
		other, _ := open(t, inner)
		st := &flaky{Store: inner}
		m, _ := open(t, st)
		st.meddling = func() { plan(t, other, Order{From: time.Now().Add(time.Hour), For: time.Hour}) }
		st.meddle.Store(3)
		on(t, m, Order{})
		if s, err := m.Status(t.Context()); err != nil || s.On == nil || s.Planned == nil {
			t.Errorf("status %+v, %v", s, err)
		}
		st.meddle.Store(tries)
		if _, err := m.Off(t.Context()); !errors.Is(err, store.ErrConflict) {
			t.Errorf("off while somebody else writes without end: %v", err)
		}
	})
}

// FuzzDecode: whatever stands in the record, it is refused or can be used.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"on":{"from":"2026-11-26T01:00:00Z"},"planned":{"from":"2026-11-27T01:00:00Z","until":"2026-11-27T02:00:00Z","allow":["10.0.0.0/8"],"token":"AAAA"}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"on":{"allow":["10.0.0.1/8"],"retryAfter":-1}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := decode(value)
		if err != nil {
			return
		}
		now := time.Date(2026, 11, 26, 1, 30, 0, 0, time.UTC)
		snap := newSnapshot(s, 1, now, now)
		v, ok := snap.view(now)
		if v.Active && (!ok || v.Left < 0) {
			t.Errorf("view %+v, %v", v, ok)
		}
		v.Allow.Contains(netip.MustParseAddr("10.0.0.1"))
		if d := snap.next(now, poll); d <= 0 || d > poll {
			t.Errorf("next look in %s", d)
		}
		snap.status(now)
	})
}
