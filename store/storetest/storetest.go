// Package storetest is the conformance suite of the store contract. Every store
// runs it in its own tests: Run for what any store must do, RunDurable for what
// must outlive a Close and an Open. Each check has a sentence of the contract as
// its name, works on a fresh store, and depends on the store's clock alone: it
// compares with the Now of the replies, so that a slow machine cannot fail it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// patience is how long a check waits for what must happen.
const patience = 20 * time.Second

// check is one sentence of the contract.
type check struct {
	name string
	run  func(*checker)
}

// Run checks everything that the contract says of any store. open returns a
// fresh, empty store; Run closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			if err := runCheck(t.Context(), c, s, patience); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func checks() []check {
	var all []check
	for _, some := range [][]check{writeChecks, limitChecks, counterChecks, timeChecks, listChecks, waitChecks, crowdChecks, endChecks} {
		all = append(all, some...)
	}
	return all
}

// runCheck returns what the check found, joined.
func runCheck(ctx context.Context, c check, s store.Store, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 6*patience)
	defer cancel()
	k := &checker{ctx: ctx, s: s, patience: patience}
	func() {
		defer func() {
			if p := recover(); p != nil && p != (stop{}) {
				panic(p)
			}
		}()
		c.run(k)
	}()
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Join(k.errs...)
}

// checker carries one check's store and collects what is wrong. Only errorf
// may be called from goroutines of a check.
type checker struct {
	ctx      context.Context
	s        store.Store
	patience time.Duration
	open     func() (store.Store, error) // only in RunDurable

	mu   sync.Mutex
	errs []error // guarded by mu
}

// stop is what fatalf panics with.
type stop struct{}

func (k *checker) errorf(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.errs) < 10 {
		k.errs = append(k.errs, fmt.Errorf(format, args...))
	}
}

func (k *checker) fatalf(format string, args ...any) {
	k.errorf(format, args...)
	panic(stop{})
}

// The partition and class of the checks that do not care.
const (
	part  = "tenant"
	class = "thing"
)

func put(state, value string) store.Put { return store.Put{State: state, Value: []byte(value)} }

func (k *checker) apply(ops ...store.Op) store.Reply {
	reply, err := k.s.Apply(k.ctx, part, ops...)
	if err != nil {
		k.fatalf("apply: %v", err)
	}
	if reply.Now.IsZero() || len(reply.Records) != len(ops) {
		k.fatalf("apply: %d records and Now %v for %d operations", len(reply.Records), reply.Now, len(ops))
	}
	return reply
}

// one applies a single operation and returns its record.
func (k *checker) one(op store.Op) store.Record { return k.apply(op).Records[0] }

// conflict expects that operation number at conflicts.
func (k *checker) conflict(at int, ops ...store.Op) *store.ConflictError {
	_, err := k.s.Apply(k.ctx, part, ops...)
	var conflict *store.ConflictError
	if !errors.Is(err, store.ErrConflict) || !errors.As(err, &conflict) {
		k.fatalf("apply: error %v, want a *ConflictError", err)
	}
	if conflict.Op != at {
		k.errorf("conflict: operation %d, want %d", conflict.Op, at)
	}
	if conflict.Now.IsZero() {
		k.errorf("conflict: Now is not set")
	}
	return conflict
}

// conflicts is conflict where what is there instead does not matter.
func (k *checker) conflicts(at int, ops ...store.Op) { _ = k.conflict(at, ops...) }

func (k *checker) get(key string) store.Record {
	r, now, err := k.s.Get(k.ctx, part, class, key)
	if err != nil {
		k.fatalf("get %q: %v", key, err)
	}
	if now.IsZero() {
		k.errorf("get %q: Now is not set", key)
	}
	return r
}

// absent expects that there is no record.
func (k *checker) absent(key string) {
	_, now, err := k.s.Get(k.ctx, part, class, key)
	if !errors.Is(err, store.ErrNotFound) {
		k.errorf("get %q: error %v, want ErrNotFound", key, err)
	}
	if now.IsZero() {
		k.errorf("get %q: Now is not set beside ErrNotFound", key)
	}
}

// same expects two records to be equal in everything.
func (k *checker) same(what string, got, want store.Record) {
	if diff := difference(got, want); diff != "" {
		k.errorf("%s: %s", what, diff)
	}
}

func difference(got, want store.Record) string {
	switch {
	case got.Partition != want.Partition || got.Class != want.Class || got.Key != want.Key:
		return fmt.Sprintf("record of %q %q %q, want %q %q %q", got.Partition, got.Class, got.Key, want.Partition, want.Class, want.Key)
	case got.State != want.State || got.Group != want.Group:
		return fmt.Sprintf("state %q group %q, want %q %q", got.State, got.Group, want.State, want.Group)
	case string(got.Value) != string(want.Value):
		return fmt.Sprintf("value %.40q of %d bytes, want %.40q of %d", got.Value, len(got.Value), want.Value, len(want.Value))
	case got.Version != want.Version:
		return fmt.Sprintf("version %d, want %d", got.Version, want.Version)
	case !got.Created.Equal(want.Created) || !got.Updated.Equal(want.Updated):
		return fmt.Sprintf("created %v updated %v, want %v %v", got.Created, got.Updated, want.Created, want.Updated)
	case !got.Due.Equal(want.Due) || !got.Expires.Equal(want.Expires):
		return fmt.Sprintf("due %v expires %v, want %v %v", got.Due, got.Expires, want.Due, want.Expires)
	}
	return ""
}

// eventually calls try until it returns true.
func (k *checker) eventually(what string, try func() bool) {
	for end := time.Now().Add(k.patience); !try(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			k.fatalf("not in %v: %s", k.patience, what)
		}
	}
}
