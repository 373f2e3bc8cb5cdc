package boltstore

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/store"
)

// hold keeps the committer from its next transaction until the returned
// function is called.
func hold(s *Store) (release func()) {
	s.writing.Lock()
	return s.writing.Unlock
}

func TestCallsThatWaitShareOneTransaction(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	release := hold(s)
	before := s.gate.synced
	const n = 20
	calls := make([]*call, n)
	for i := range calls { // every other one conflicts with the one before it
		op := store.PutIfAbsent("c", fmt.Sprint(i/2), store.Put{})
		calls[i] = &call{ctx: t.Context(), partition: "p", ops: []store.Op{op}, done: make(chan struct{})}
		s.calls <- calls[i]
	}
	release()
	conflicts := 0
	for _, c := range calls {
		<-c.done
		if errors.Is(c.err, store.ErrConflict) {
			conflicts++
		} else if c.err != nil {
			t.Error(c.err)
		}
	}
	if conflicts != n/2 {
		t.Errorf("%d conflicts, want %d", conflicts, n/2)
	}
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if got := s.gate.synced - before; got > 2 { // the committer may have begun with the first few
		t.Errorf("%d transactions for %d calls", got, n)
	}
}

func TestACallerMayLeaveWhileTheDiskWorks(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	release := hold(s)
	ctx, cancel := context.WithCancel(t.Context())
	value := []byte("mine")
	done := make(chan error)
	go func() {
		_, err := s.Apply(ctx, "p", store.PutIfAbsent("c", "a", store.Put{Value: value}))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v, want context.Canceled", err)
	}
	value[0] = '!' // the race detector watches
	release()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAConflictWithWhatWasNotWrittenIsNoConflict(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	c := &call{ctx: t.Context(), done: make(chan struct{}), err: &store.ConflictError{}}
	s.answer(c, syscall.EIO)
	if !errors.Is(c.err, syscall.EIO) || errors.Is(c.err, store.ErrConflict) {
		t.Errorf("answer: %v, want the transaction's error", c.err)
	}
}

func TestAReaderWaitsForTheSyncOfWhatItSaw(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g gate
		g.durable(7)
		g.begin()
		if err := g.wait(t.Context(), 7); err != nil {
			t.Error(err)
		}
		seen := make(chan error, 1)
		go func() { seen <- g.wait(context.Background(), 8) }()
		synctest.Wait()
		select {
		case <-seen:
			t.Fatal("a reader did not wait")
		default:
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.wait(ctx, 8); !errors.Is(err, context.Canceled) {
			t.Errorf("wait: %v, want context.Canceled", err)
		}
		g.durable(8)
		g.end()
		if err := <-seen; err != nil {
			t.Error(err)
		}
	})
}

func TestReadersPassTheGate(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	apply(t, s, store.PutIfAbsent("c", "a", store.Put{}))
	// As between bolt's last write and its sync: seen, but not durable.
	s.gate.durable(s.gate.synced - 1)
	s.gate.begin()
	get := func(ctx context.Context) error {
		_, _, err := s.Get(ctx, "p", "c", "a")
		return err
	}
	list := func(ctx context.Context) error {
		_, err := s.List(ctx, store.Query{Partition: "p", Class: "c"})
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for name, read := range map[string]func(context.Context) error{"get": get, "list": list} {
		if err := read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want that it waits as long as it may", name, err)
		}
	}
	read := make(chan error, 2)
	go func() { read <- get(t.Context()) }()
	go func() { read <- list(t.Context()) }()
	lost := errors.New("the sync failed")
	s.lost.Store(&lost)
	s.gate.end()
	for range 2 {
		if err := <-read; !errors.Is(err, lost) {
			t.Errorf("read: %v, want %v", err, lost)
		}
	}
	if _, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", "b", store.Put{})); !errors.Is(err, lost) {
		t.Errorf("apply: %v, want %v", err, lost)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, lost) {
		t.Errorf("ready: %v, want %v", err, lost)
	}
}

func TestReadyWritesOnceInAWhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		id := func() (id int) {
			if err := s.db.View(func(tx *bbolt.Tx) error { id = tx.ID(); return nil }); err != nil {
				t.Error(err)
			}
			return id
		}
		begun := id()
		for range 5 {
			if err := s.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if got := id() - begun; got != 1 {
			t.Errorf("%d writes for 5 questions at once, want 1", got)
		}
		s.health.set(syscall.ENOSPC)
		if err := s.Ready(t.Context()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("ready after a write that failed: %v, want ENOSPC", err)
		}
		time.Sleep(freshness)
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("ready when writes work again: %v", err)
		}
	})
}

func TestTheReasonOfTheSystemIsFoundInText(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EFBIG, syscall.EIO} {
		if err := reason(fmt.Errorf("file sync error: %s", errno)); !errors.Is(err, errno) {
			t.Errorf("reason: %v, want %v", err, errno)
		}
	}
	other := errors.New("something else")
	if got := reason(other); got != other {
		t.Errorf("reason: %v, want it as it was", got)
	}
}

func TestAPanicWhileWritingLosesTheStoreAndBlocksNobody(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	apply(t, s, store.PutIfAbsent("c", "a", store.Put{}))
	err := s.transact(func(*bbolt.Tx) error { panic("assertion failed: a page") })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("transaction: %v, want ErrDamaged", err)
	}
	_, err = s.Apply(t.Context(), "p", store.PutIfAbsent("c", "b", store.Put{}))
	_, _, got := s.Get(t.Context(), "p", "c", "a")
	for name, err := range map[string]error{"apply": err, "get": got, "ready": s.Ready(t.Context()), "close": s.Close()} {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", name, err)
		}
	}
}
