package journalstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

func mustPut(t *testing.T, s *Store, key string, p store.Put) store.Record {
	t.Helper()
	r, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, p))
	if err != nil {
		t.Fatal(err)
	}
	return r.Records[0]
}

// whilePending has op decided and not yet on disk, and calls do.
func whilePending(t *testing.T, d *memDisk, s *Store, op store.Op, do func()) {
	t.Helper()
	release := d.stall()
	done := make(chan error, 1)
	go func() {
		_, err := s.Apply(context.Background(), "p", op)
		done <- err
	}()
	for pending := 0; pending == 0; runtime.Gosched() {
		s.mu.Lock()
		pending = len(s.pending)
		s.mu.Unlock()
	}
	do()
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// settleNext waits until what is made ahead of time is there.
func settleNext(s *Store) {
	s.mu.Lock()
	done := s.next.done
	s.mu.Unlock()
	if done != nil {
		<-done
	}
}

// worst is the disk after a power cut that took all that was not synced.
func (d *memDisk) worst() *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newCrash()
	for _, e := range d.log {
		c.add(e)
	}
	return c.disk(func(int) bool { return false })
}

// TestTheOldFormStaysUntilTheNewOneIsOnDisk has the first segment hold nothing
// but a record that is being changed.
func TestTheOldFormStaysUntilTheNewOneIsOnDisk(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	defer s.Close()
	k := mustPut(t, s, "k", store.Put{State: "started"})
	var others []store.Record
	for i := range 12 {
		others = append(others, mustPut(t, s, fmt.Sprint(i), store.Put{Value: make([]byte, 3000)}))
	}
	for _, r := range others[:3] {
		if _, err := s.Apply(t.Context(), "p", store.DeleteIfVersion("c", r.Key, r.Version)); err != nil {
			t.Fatal(err)
		}
	}
	settleNext(s)
	cleaned := make(chan bool, 1)
	whilePending(t, d, s, store.PutIfVersion("c", "k", k.Version, store.Put{State: "completed"}), func() {
		go func() { cleaned <- s.clean() }()
		select {
		case ok := <-cleaned:
			t.Errorf("cleaned: %v, before the change is on disk", ok)
			cleaned <- ok
		case <-time.After(100 * time.Millisecond):
		}
		after := mustOpenDisk(t, d.worst(), small)
		defer after.Close()
		if _, _, err := after.Get(t.Context(), "p", "c", "k"); err != nil {
			t.Errorf("the record is neither old nor new after a power cut: %v", err)
		}
	})
	if !<-cleaned {
		t.Error("nothing was cleaned: nothing was tried")
	}
}

// afterKill works, is killed at a sync, works on in a second life, and then has the
// power cut at every moment of that one. change may spoil what the disk remembers.
func afterKill(t *testing.T, seed uint64, at string, samples int, change func([]event) []event) error {
	d := newMemDisk()
	w := newWorker(t, seed)
	s := mustOpenDisk(t, d, small)
	work := func(steps int) (err error) {
		for range steps {
			if err = w.step(s); err != nil {
				break
			}
			d.ack(len(w.states) - 1)
		}
		return err
	}
	if err := work(3 + int(seed)%20); err != nil {
		t.Fatal(err)
	}
	d.refuse(syscall.EIO, at) // as good as a kill just before it
	killed := work(40) != nil
	_ = s.Close()
	if !killed {
		return nil
	}
	d.refuse(nil)
	mark := len(d.log)
	s = mustOpenDisk(t, d, small)
	w.states = append(w.states, stateOf(t, s))
	d.ack(len(w.states) - 1) // somebody may have read it
	if err := work(6); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	log := d.log
	if change != nil {
		log = append(slices.Clone(log[:mark]), change(log[mark:])...)
	}
	c, acked, rng := newCrash(), 0, rand.New(rand.NewPCG(seed, 2))
	for i, e := range log {
		if e.what == "ack" {
			acked = e.ack
		}
		if c.add(e); i < mark {
			continue
		}
		if err := c.each(rng, samples, func(d *memDisk) error { return w.recovered(d, acked) }); err != nil {
			return err
		}
	}
	return nil
}

func TestWhatASecondLifeFoundAndAcknowledgedOutlivesAPowerCut(t *testing.T) {
	t.Parallel()
	seeds, _, samples := lossSize()
	for seed := range 2 * seeds {
		for _, at := range []string{"sync", "syncdir", "write"} {
			if err := afterKill(t, seed, at, samples, nil); err != nil {
				t.Errorf("seed %d, killed at a %s: %v", seed, at, err)
			}
		}
	}
}

// TestASecondLifeThatTrustsTheFirstIsFound has a decoy take what it finds for what
// is on disk.
func TestASecondLifeThatTrustsTheFirstIsFound(t *testing.T) {
	t.Parallel()
	for at, trust := range map[string]func([]event) []event{
		"sync": func(log []event) []event { // the first sync is that of recover
			i := slices.IndexFunc(log, func(e event) bool { return e.what == "sync" })
			return slices.Delete(slices.Clone(log), i, i+1)
		},
		"syncdir": func(log []event) []event {
			i := slices.IndexFunc(log, func(e event) bool { return e.what == "syncdir" })
			return slices.Delete(slices.Clone(log), i, i+1)
		},
	} {
		found := false
		for seed := uint64(0); seed < 40 && !found; seed++ {
			found = afterKill(t, seed, at, 12, trust) != nil
		}
		if !found {
			t.Errorf("no %s by the second life: nothing was found", at)
		}
	}
}

func TestAListingWaitsForWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	defer s.Close()
	k := mustPut(t, s, "k", store.Put{State: "started"})
	settleNext(s)
	whilePending(t, d, s, store.PutIfVersion("c", "k", k.Version, store.Put{State: "completed"}), func() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if page, err := s.List(ctx, store.Query{Partition: "p", Class: "c", State: "started"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d records, %v, while the change is not on disk", len(page.Records), err)
		}
	})
}

func TestAListingEndsWhenTheStoreIsLost(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, Options{still: true})
	defer s.Close()
	for i := range findAtOnce + 50 {
		mustPut(t, s, fmt.Sprintf("%03d", i), store.Put{})
	}
	w := walk{s: s, q: &store.Query{Partition: "p", Class: "c"}, page: &store.Page{}}
	if more, err := w.gather(); err != nil || !more {
		t.Fatalf("%v, %v", more, err)
	}
	if _, err := w.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.refuse(syscall.EIO, "sync")
	if _, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", "999", store.Put{})); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if _, err := w.gather(); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v, want EIO", err)
	}
}

func TestAFileThatIsNotOursStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine, other := filepath.Join(dir, segmentName(7)+tmpSuffix), filepath.Join(dir, "thesis.tmp")
	for _, path := range []string{mine, other} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(mine); err == nil {
		t.Error("half a segment is still there")
	}
}

// TestAListingReadsNoMoreThanItGives counts the records that are to be read.
func TestAListingReadsNoMoreThanItGives(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), Options{still: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const size = 256 << 10
	for i := range 64 {
		mustPut(t, s, fmt.Sprintf("%03d", i), store.Put{Value: make([]byte, size), DueIn: time.Duration(i) * time.Hour})
	}
	for _, q := range []store.Query{
		{Partition: "p", Class: "c", Limit: 1},
		{Partition: "p", Class: "c", Limit: 1, DueBefore: time.Now().Add(30 * time.Hour)},
	} {
		w := walk{s: s, q: &q, page: &store.Page{}}
		if _, err := w.gather(); err != nil || len(w.found) > 2 {
			t.Errorf("%d records are gathered for a page of one, %v", len(w.found), err)
		}
		for _, f := range w.found {
			s.unref(f.seg)
		}
		if page, err := s.List(t.Context(), q); err != nil || len(page.Records) != 1 || page.Cursor == "" {
			t.Errorf("%d records, cursor %q, %v", len(page.Records), page.Cursor, err)
		}
	}
}

func TestProbesAreCleanedAway(t *testing.T) {
	t.Parallel()
	s := mustOpenDisk(t, newMemDisk(), small)
	defer s.Close()
	mustPut(t, s, "k", store.Put{})
	for range 2000 {
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.listSealed()
	for s.clean() {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.segments); n > 4 {
		t.Errorf("%d segments for one record", n)
	}
}

// TestWhatWasDueIsForgottenBesideWhatStaysDue has some records overdue for ever,
// and many that are due only for a while.
func TestWhatWasDueIsForgottenBesideWhatStaysDue(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e6, 0)
	s := mustOpenDisk(t, newMemDisk(), Options{Now: func() time.Time { return now }, still: true})
	defer s.Close()
	for i := range tidyAtOnce {
		mustPut(t, s, fmt.Sprint("overdue", i), store.Put{DueIn: time.Duration(4*i+1) * time.Second})
	}
	now = now.Add(time.Hour)
	for i := range 500 {
		now = now.Add(10 * time.Second)
		r := mustPut(t, s, fmt.Sprint(i), store.Put{DueIn: 30 * time.Second})
		if _, err := s.Apply(t.Context(), "p", store.PutIfVersion("c", r.Key, r.Version, store.Put{})); err != nil {
			t.Fatal(err)
		}
		for s.sweep() {
		}
	}
	if n := len(s.index.due.buckets); n > 50 {
		t.Errorf("%d buckets for %d records that are due", n, tidyAtOnce)
	}
}

// TestASyncThatFailedIsNotTriedAgain has it fail where a refused write is cleared
// away.
func TestASyncThatFailedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	defer s.Close()
	mustPut(t, s, "a", store.Put{})
	settleNext(s)
	d.refuse(syscall.ENOSPC, "write")
	if _, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", "b", store.Put{})); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	s.mu.Lock()
	seg := s.current()
	s.mu.Unlock()
	d.mu.Lock()
	d.files[d.dir[segmentName(seg.number)]].data[seg.end-3] = 7 // some of it did reach the file
	d.mu.Unlock()
	syncs := 0
	d.mu.Lock()
	d.fault = func(what string) error {
		if what != "sync" {
			return nil
		}
		if syncs++; syncs == 1 {
			return nil // that of a file which only asks for room
		}
		return syscall.EIO
	}
	d.mu.Unlock()
	s.revive()
	d.refuse(nil)
	s.revive()
	if err := s.Ready(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v, want that the store stays lost", err)
	}
}

func TestAFolderThatLostAllItsSegmentsIsNotANewOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"+segSuffix))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, name := range found {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir, Options{})
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "all segments are missing") {
		t.Errorf("%v, want ErrDamaged", err)
	}
}

// TestASegmentMissingAtAnEndIsNoticed takes away the first and the last.
func TestASegmentMissingAtAnEndIsNoticed(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, Options{SegmentBytes: 8 << 10, still: true})
	for i := range 30 {
		mustPut(t, s, fmt.Sprint(i), store.Put{Value: make([]byte, 1000)})
	}
	s.listSealed()
	_ = s.Close()
	var segments []string
	names, _ := d.names()
	for _, name := range names {
		if strings.HasSuffix(name, segSuffix) {
			segments = append(segments, name)
		}
	}
	for _, name := range []string{segments[0], segments[len(segments)-1]} {
		c := d.copyOf()
		delete(c.dir, name)
		s, err := openDisk(c, "memory", small)
		if err == nil {
			_ = s.Close()
		}
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
