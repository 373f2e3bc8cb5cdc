package boltstore

import (
	"context"
	"sync"
	"time"
)

// freshness is how long the outcome of the last write is believed.
const freshness = time.Second

// health remembers how the last write went.
type health struct {
	mu  sync.Mutex
	at  time.Time // of the last write; guarded by mu
	err error     // guarded by mu
}

func (h *health) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.err = time.Now(), err
}

func (h *health) get() (err error, fresh bool) { //nolint:revive // the error is the content here
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err, time.Since(h.at) < freshness
}

// Ready implements store.Store. How the last write went is the answer when
// that was less than a second ago, so that a busy store is not asked to do
// more. Otherwise only a real write can tell: it goes the way of an Apply,
// through the committer to the disk, and however many ask at once, they share
// one.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.under.Done()
	if err, fresh := s.health.get(); fresh {
		return err
	}
	_, err := s.submit(&call{ctx: ctx})
	return err
}
