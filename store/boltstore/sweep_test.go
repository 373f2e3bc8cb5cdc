package boltstore

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/store"
)

// at is a clock that a test moves.
type at struct{ micro atomic.Int64 }

func (a *at) now() time.Time      { return time.UnixMicro(1_000_000_000_000_000 + a.micro.Load()) }
func (a *at) add(d time.Duration) { a.micro.Add(d.Microseconds()) }
func openAt(t *testing.T, a *at) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), Options{Now: a.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func apply(t testing.TB, s *Store, ops ...store.Op) store.Reply {
	t.Helper()
	reply, err := s.Apply(t.Context(), "p", ops...)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// fill puts n records, sixteen in each Apply.
func fill(t testing.TB, s *Store, n int, p store.Put) {
	t.Helper()
	var ops []store.Op
	for i := range n {
		ops = append(ops, store.PutIfAbsent("c", fmt.Sprintf("%06d", i), p))
		if len(ops) == store.MaxOps || i == n-1 {
			apply(t, s, ops...)
			ops = nil
		}
	}
}

func TestExpiredRecordsAreRemovedInChunks(t *testing.T) {
	t.Parallel()
	var clock at
	s := openAt(t, &clock)
	const n = 2*sweepChunk + 88
	fill(t, s, n, store.Put{State: "s", Group: "g", DueIn: time.Second, TTL: time.Minute})
	again := apply(t, s, store.PutIfVersion("c", "000000", 1, store.Put{State: "t", TTL: time.Hour})).Records[0]
	never := apply(t, s, store.PutIfAbsent("c", "never", store.Put{State: "t"})).Records[0]
	clock.add(time.Minute - time.Microsecond)
	if removed, err := s.sweep(); removed != 0 || err != nil {
		t.Fatalf("before the expiry: %d removed, %v", removed, err)
	}
	clock.add(time.Microsecond)
	for _, want := range []int{sweepChunk, sweepChunk, 87, 0} {
		if removed, err := s.sweep(); removed != want || err != nil {
			t.Fatalf("removed %d, %v; want %d", removed, err, want)
		}
		consistent(t, s)
	}
	for bucket, want := range map[string]int{"records": 2, "state": 2, "group": 0, "due": 0, "expires": 1} {
		if got := count(t, s, []byte(bucket)); got != want {
			t.Errorf("bucket %q has %d keys, want %d", bucket, got, want)
		}
	}
	for _, r := range []store.Record{again, never} {
		if got, _, err := s.Get(t.Context(), "p", "c", r.Key); err != nil || got.Version != r.Version {
			t.Errorf("get %q: version %d, %v; want %d", r.Key, got.Version, err, r.Version)
		}
	}
	if r := apply(t, s, store.PutIfAbsent("c", "000001", store.Put{})).Records[0]; r.Version <= never.Version {
		t.Errorf("version %d in a new life after %d", r.Version, never.Version)
	}
}

func TestARecordThatLivesAgainIsNotSwept(t *testing.T) {
	t.Parallel()
	var clock at
	s := openAt(t, &clock)
	fill(t, s, 2, store.Put{State: "s", TTL: time.Minute})
	clock.add(time.Hour)
	due, err := s.expired()
	if err != nil || len(due) != 2 {
		t.Fatalf("%d expired, %v; want 2", len(due), err)
	}
	again := apply(t, s, store.PutIfAbsent("c", "000000", store.Put{State: "t", TTL: time.Minute})).Records[0]
	if err := s.remove(due); err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.Get(t.Context(), "p", "c", "000000"); err != nil || got.Version != again.Version {
		t.Errorf("get: version %d, %v; want %d", got.Version, err, again.Version)
	}
	if n := count(t, s, bucketRecords); n != 1 {
		t.Errorf("%d records, want the one that lives", n)
	}
	consistent(t, s)
}

func TestTheSweeperRunsByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		fill(t, s, 3*sweepChunk, store.Put{State: "s", TTL: time.Hour})
		time.Sleep(time.Hour + 10*sweepEvery)
		synctest.Wait()
		if n := count(t, s, bucketRecords); n != 0 {
			t.Errorf("%d records are left", n)
		}
	})
}

func TestADamagedRecordDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	var clock at
	s := openAt(t, &clock)
	fill(t, s, 3, store.Put{State: "s", TTL: time.Minute})
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketRecords).Put(recordKey("p", "c", "000001"), []byte("no record at all"))
	})
	if err != nil {
		t.Fatal(err)
	}
	clock.add(time.Hour)
	if n, err := s.sweep(); n != 3 || err != nil {
		t.Errorf("%d swept, %v; want 3", n, err)
	}
	if n := count(t, s, bucketRecords); n != 1 {
		t.Errorf("%d records left, want the damaged one", n)
	}
	if _, _, err := s.Get(t.Context(), "p", "c", "000001"); !errors.Is(err, ErrDamaged) {
		t.Errorf("get: %v, want ErrDamaged", err)
	}
}

func TestTheClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	var clock at
	s := openAt(t, &clock)
	first := apply(t, s, store.PutIfAbsent("c", "a", store.Put{})).Now
	clock.add(-time.Hour)
	reply := apply(t, s, store.PutIfAbsent("c", "b", store.Put{}))
	if reply.Now.Before(first) || reply.Records[0].Created.Before(first) {
		t.Errorf("now %v after %v", reply.Now, first)
	}
	if _, now, _ := s.Get(t.Context(), "p", "c", "a"); now.Before(first) {
		t.Errorf("get: now %v after %v", now, first)
	}
	clock.add(2 * time.Hour)
	if now := apply(t, s, store.PutIfAbsent("c", "d", store.Put{})).Now; !now.Equal(first.Add(time.Hour)) {
		t.Errorf("now %v, want the clock's %v", now, first.Add(time.Hour))
	}
}
