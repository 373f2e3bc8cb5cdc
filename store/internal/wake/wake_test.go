package wake

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/store"
)

var key = Key{"p", "c", "k"}

// sleepers is what the hub remembers.
func (h *Hub) sleepers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.bells)
}

func TestARingWakesAllOfItsKeyAndNobodyElse(t *testing.T) {
	t.Parallel()
	var h Hub
	first, leaveFirst := h.Listen(key)
	second, leaveSecond := h.Listen(key)
	other, leaveOther := h.Listen(Key{"p", "c", "other"})
	h.Ring(key)
	<-first
	<-second
	select {
	case <-other:
		t.Error("another key was rung")
	default:
	}
	again, leaveAgain := h.Listen(key)
	leaveFirst()
	leaveSecond()
	if h.sleepers() != 2 {
		t.Errorf("%d keys, want 2: who left a bell that rang took away the next", h.sleepers())
	}
	h.Ring(key)
	<-again
	leaveAgain()
	leaveOther()
	h.Ring(key)
	if h.sleepers() != 0 {
		t.Errorf("%d keys are remembered after all left", h.sleepers())
	}
}

// until runs Until over a record that the test changes.
type record struct {
	r   store.Record
	err error
}

func (r *record) get(ctx context.Context) (store.Record, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, time.Now(), err
	}
	now := time.Now()
	if r.err == nil && !r.r.Expires.IsZero() && !now.Before(r.r.Expires) {
		return store.Record{}, now, store.ErrNotFound
	}
	return r.r, now, r.err
}

func TestUntil(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, c := range []struct {
		name    string
		start   record
		version uint64
		change  func(h *Hub, r *record, closed chan struct{}, cancel func())
		want    error
		wantVer uint64
	}{
		{"another version is there", record{r: store.Record{Version: 2}}, 1, nil, nil, 2},
		{"the record is missing", record{err: store.ErrNotFound}, 1, nil, store.ErrNotFound, 0},
		{"reading fails", record{err: broken}, 0, nil, broken, 0},
		{"it changes", record{r: store.Record{Version: 1}}, 1, func(h *Hub, r *record, _ chan struct{}, _ func()) {
			r.r.Version = 2
			h.Ring(key)
		}, nil, 2},
		{"it comes to exist", record{err: store.ErrNotFound}, 0, func(h *Hub, r *record, _ chan struct{}, _ func()) {
			r.r.Version, r.err = 5, nil
			h.Ring(key)
		}, nil, 5},
		{
			"it expires",
			record{r: store.Record{Version: 1, Expires: time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)}},
			1,
			func(*Hub, *record, chan struct{}, func()) {}, store.ErrNotFound, 0,
		},
		{"the store closes", record{r: store.Record{Version: 1}}, 1, func(_ *Hub, _ *record, closed chan struct{}, _ func()) { close(closed) }, store.ErrClosed, 0},
		{"the caller leaves", record{r: store.Record{Version: 1}}, 1, func(_ *Hub, _ *record, _ chan struct{}, cancel func()) { cancel() }, context.Canceled, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // begins at midnight of 2000-01-01
				var h Hub
				r, closed := c.start, make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				type result struct {
					r   store.Record
					err error
				}
				done := make(chan result, 1)
				go func() {
					got, _, err := h.Until(ctx, closed, key, c.version, r.get)
					done <- result{got, err}
				}()
				synctest.Wait()
				if waits := len(done) == 0; waits != (c.change != nil) {
					t.Fatalf("waits: %v", waits)
				}
				if c.change != nil {
					c.change(&h, &r, closed, cancel)
				}
				got := <-done
				if !errors.Is(got.err, c.want) || got.r.Version != c.wantVer {
					t.Errorf("version %d, %v; want %d, %v", got.r.Version, got.err, c.wantVer, c.want)
				}
				if h.sleepers() != 0 {
					t.Errorf("%d sleepers are remembered", h.sleepers())
				}
			})
		})
	}
}

func TestAFalseAlarmWakesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		r := record{r: store.Record{Version: 1}}
		done := make(chan uint64, 1)
		go func() {
			got, _, _ := h.Until(t.Context(), nil, key, 1, r.get)
			done <- got.Version
		}()
		for range 3 {
			synctest.Wait()
			h.Ring(key)
		}
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("woke without a change")
		}
		r.r.Version = 2
		h.Ring(key)
		if got := <-done; got != 2 {
			t.Errorf("version %d, want 2", got)
		}
	})
}
