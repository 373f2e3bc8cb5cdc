// Package wake lets callers sleep until a record changes. A store inside this
// process rings the Hub after each change, and Until turns that, the record's
// expiry, the context and the store's end into the Wait of the store contract.
package wake

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/store"
)

// recheck bounds how long a sleeper trusts a timer: the wall clock, which
// decides about expiry, can jump.
const recheck = time.Second

// Key names the record that a caller sleeps on.
type Key struct{ Partition, Class, Key string }

// Hub knows who sleeps on which record. Its zero value is ready to use, and
// all methods are safe for concurrent use.
type Hub struct {
	// Poll is how often a sleeper looks without being rung; 0: never. It is for
	// stores that hear of changes from afar, and may miss one. Set it before use.
	Poll time.Duration

	keys  atomic.Int64 // how many are in bells: most changes wake nobody
	mu    sync.Mutex
	bells map[Key]*bell // guarded by mu; only keys that someone sleeps on
}

type bell struct {
	rung     chan struct{}
	sleepers int // guarded by Hub.mu
}

// Ring wakes everyone who sleeps on k.
func (h *Hub) Ring(k Key) {
	if h.keys.Load() == 0 { // who listens from now on looks at the record after that
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.bells[k]; b != nil {
		close(b.rung)
		h.forget(k)
	}
}

// RingAll wakes everyone: changes may have been missed.
func (h *Hub) RingAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, b := range h.bells {
		close(b.rung)
		h.forget(k)
	}
}

// forget takes a bell away. Hold mu.
func (h *Hub) forget(k Key) {
	delete(h.bells, k)
	h.keys.Add(-1)
}

// Listen returns a channel that is closed by the next Ring of k. Call leave
// when no longer interested.
func (h *Hub) Listen(k Key) (rung <-chan struct{}, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.bells[k]
	if b == nil {
		b = &bell{rung: make(chan struct{})}
		if h.bells == nil {
			h.bells = make(map[Key]*bell)
		}
		h.bells[k] = b
		h.keys.Add(1)
	}
	b.sleepers++
	return b.rung, func() { h.leave(k, b) }
}

func (h *Hub) leave(k Key, b *bell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b.sleepers--; b.sleepers == 0 && h.bells[k] == b {
		h.forget(k)
	}
}

// Get reads the record that is slept on, as store.Store's Get.
type Get func(context.Context) (store.Record, time.Time, error)

// Until is Store.Wait for the record k that get reads. closed ends it with
// ErrClosed.
func (h *Hub) Until(ctx context.Context, closed <-chan struct{}, k Key, version uint64, get Get) (store.Record, time.Time, error) {
	for {
		rung, leave := h.Listen(k) // before get, so that no change slips between
		r, now, err := get(ctx)
		if settled(r, err, version) {
			leave()
			return r, now, err
		}
		err = sleep(ctx, closed, rung, h.nap(r.Expires, now))
		leave()
		if err != nil {
			return store.Record{}, now, err
		}
	}
}

func settled(r store.Record, err error, version uint64) bool {
	if errors.Is(err, store.ErrNotFound) {
		return version != 0
	}
	return err != nil || r.Version != version
}

// nap is how long to sleep at most; 0: until woken.
func (h *Hub) nap(expires, now time.Time) time.Duration {
	if expires.IsZero() {
		return h.Poll
	}
	d := min(max(expires.Sub(now), 1), recheck)
	if h.Poll > 0 {
		d = min(d, h.Poll)
	}
	return d
}

func sleep(ctx context.Context, closed, rung <-chan struct{}, atMost time.Duration) error {
	var over <-chan time.Time
	if atMost > 0 {
		t := time.NewTimer(atMost)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-rung:
	case <-over:
	case <-closed:
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
