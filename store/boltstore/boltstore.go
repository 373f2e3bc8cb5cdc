// Package boltstore is the embedded store: one file, one process, nothing else
// to run. It stands on bbolt, whose transactions are on disk before they are
// seen. One goroutine writes: it takes every Apply that waits, decides them one
// after the other inside one transaction, syncs once, and answers all. So a
// lone caller pays one sync, and a crowd shares it.
//
// The file does not become smaller: what expired makes room for what comes.
package boltstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/internal/durable"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// FileName is the store's file in its folder.
const FileName = "seeother.db"

var (
	// ErrLocked means that another process has the folder open.
	ErrLocked = errors.New("store in use")
	// ErrDamaged means that the file, or a part of it, is not what was written.
	ErrDamaged = errors.New("store damaged")
	// ErrNewer means that the file has a format that a newer seeother wrote.
	ErrNewer = errors.New("store format too new")
)

// Options of a Store. The zero value is ready to use.
type Options struct {
	Now func() time.Time // the store's clock; nil: time.Now
}

// Store is a store.Store in one file. Make it with Open.
type Store struct {
	db    *bbolt.DB
	path  string
	clock func() time.Time
	last  atomic.Int64 // the latest Now that was given, in microseconds
	hub   wake.Hub

	calls   chan *call    // to the committer
	closing chan struct{} // closed when Close begins
	done    sync.WaitGroup
	health  health
	gate    gate
	writing sync.Mutex            // held by the one transaction that writes
	version uint64                // the last one given, or drawn in vain; guarded by writing
	stuck   bool                  // bolt panicked in a transaction that writes; guarded by writing
	lost    atomic.Pointer[error] // set once: see transact

	mu    sync.RWMutex // guards over, and that under is not added to after it
	over  bool
	under sync.WaitGroup // calls under way
}

// Open opens the store in the folder dir, and makes both when they are missing.
// Another process that has it open is ErrLocked, after a second.
func Open(dir string, o Options) (*Store, error) {
	if err := durable.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	path := filepath.Join(dir, FileName)
	db, err := openFile(path)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{db: db, path: path, clock: o.Now, calls: make(chan *call, maxBatch), closing: make(chan struct{})}
	if err := s.openGate(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.done.Go(s.commitAll)
	s.done.Go(s.sweepAll)
	return s, nil
}

// now is the store's clock, which never goes back.
func (s *Store) now() time.Time {
	at := contract.Instant(s.clock()).UnixMicro()
	for {
		last := s.last.Load()
		if at <= last {
			return instant(last)
		}
		if s.last.CompareAndSwap(last, at) {
			return instant(at)
		}
	}
}

// begin says whether a call may go on; when it may, call s.under.Done.
func (s *Store) begin(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.over {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if lost := s.lost.Load(); lost != nil {
		return *lost
	}
	s.under.Add(1)
	return nil
}

// Exclusive is true: the file is locked.
func (s *Store) Exclusive() bool { return true }

// Close waits for what is under way, and lets go of the file.
func (s *Store) Close() error {
	s.mu.Lock()
	over := s.over
	s.over = true
	s.mu.Unlock()
	if over {
		return nil
	}
	close(s.closing)
	s.under.Wait()
	close(s.calls)
	s.done.Wait()
	if s.stuck { // then bolt's Close may wait for ever: the end of the process closes the file
		return *s.lost.Load()
	}
	return s.db.Close()
}

var _ store.Store = (*Store)(nil)
