package boltstore

import (
	"context"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"
)

// gate holds readers back from what is not on disk yet. bolt makes a
// transaction valid by writing a page, and syncs it after that; a reader that
// begins in between sees what a power cut may still take away.
type gate struct {
	mu      sync.Mutex
	synced  int           // the last transaction that is on disk; guarded by mu
	running chan struct{} // closed when the transaction under way is over; nil: none; guarded by mu
}

// begin says that a transaction is under way, end that it is over.
func (g *gate) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = make(chan struct{})
}

func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.running)
	g.running = nil
}

// durable says that the transaction id is on disk.
func (g *gate) durable(id int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.synced = id
}

// wait returns when the transaction id, which a reader saw, is on disk or has
// failed.
func (g *gate) wait(ctx context.Context, id int) error {
	g.mu.Lock()
	running := g.running
	wait := id > g.synced && running != nil
	g.mu.Unlock()
	if !wait {
		return nil
	}
	select {
	case <-running:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openGate syncs the file, whose last transaction may be of a process that was
// killed before its sync, and lets readers see that transaction.
func (s *Store) openGate() error {
	if err := s.db.Sync(); err != nil {
		return fmt.Errorf("file %q: %w", s.path, err)
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		s.gate.durable(tx.ID())
		return nil
	})
}
