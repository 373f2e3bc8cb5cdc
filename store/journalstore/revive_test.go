package journalstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// watched is a disk that counts the files that are opened, and has the next to be
// opened wait for gate.
type watched struct {
	*memDisk

	opened atomic.Int64
	gate   chan struct{} // nil: nothing waits
}

func (d *watched) open(name string) (file, error) {
	d.opened.Add(1)
	if d.gate != nil {
		<-d.gate
	}
	return d.memDisk.open(name)
}

func tryPut(t *testing.T, s *Store, key string, size int) error {
	t.Helper()
	_, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, store.Put{Value: make([]byte, size)}))
	return err
}

// loseForRoom has a write refused for want of room.
func loseForRoom(t *testing.T, d *memDisk, s *Store) {
	t.Helper()
	settleNext(s)
	d.refuse(syscall.ENOSPC, "write")
	if err := tryPut(t, s, "refused", 1); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, want ENOSPC", err)
	}
}

// segmentsOf writes until there are so many segments.
func segmentsOf(t *testing.T, s *Store, n int, p store.Put) {
	t.Helper()
	for {
		s.mu.Lock()
		have, key := len(s.segments), fmt.Sprint("k", s.version)
		s.mu.Unlock()
		if have >= n {
			return
		}
		mustPut(t, s, key, p)
	}
}

// TestASegmentThatIsReadAgainIsNotRemovedBehindTheStore has the file of a segment
// that was dropped stay for a while, in which the folder is read again.
func TestASegmentThatIsReadAgainIsNotRemovedBehindTheStore(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e6, 0)
	d := newMemDisk()
	o := small
	o.Now = func() time.Time { return now }
	s := mustOpenDisk(t, d, o)
	defer s.Close()
	segmentsOf(t, s, 4, store.Put{Value: make([]byte, 700), TTL: time.Second})
	now = now.Add(time.Hour)
	for s.sweep() {
	}
	d.refuse(syscall.EIO, "remove")
	if s.clean() || len(s.dropped) == 0 {
		t.Fatalf("%d segments are dropped and not removed, want some", len(s.dropped))
	}
	loseForRoom(t, d, s)
	d.refuse(nil)
	if s.revive(); s.lost != nil {
		t.Fatal(s.lost)
	}
	s.removeDropped()
	names, _ := d.names()
	for _, seg := range s.segments {
		if !slices.Contains(names, segmentName(seg.number)) {
			t.Errorf("%s is removed, and the store has it open", segmentName(seg.number))
		}
	}
	for s.clean() {
	}
	if n := len(s.segments); n > 1 {
		t.Errorf("%d segments are left of what has expired", n)
	}
}

func TestNoSidecarIsWrittenWhileTheStoreIsLost(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	defer s.Close()
	segmentsOf(t, s, 3, store.Put{Value: make([]byte, 700)})
	loseForRoom(t, d, s)
	d.refuse(nil)
	s.listSealed()
	names, _ := d.names()
	for _, name := range names {
		if strings.HasSuffix(name, sidecarSuffix) {
			t.Errorf("%s was written", name)
		}
	}
}

func TestAFullDiskIsAskedBeforeAllIsReadAgain(t *testing.T) {
	t.Parallel()
	d := &watched{memDisk: newMemDisk()}
	s := mustOpenDisk(t, d, small)
	defer s.Close()
	segmentsOf(t, s, 3, store.Put{Value: make([]byte, 700)})
	loseForRoom(t, d.memDisk, s)
	before := d.opened.Load()
	s.revive()
	if n := d.opened.Load() - before; n > 0 {
		t.Errorf("%d files are opened while the disk is full", n)
	}
	d.refuse(nil)
	s.revive()
	if err := tryPut(t, s, "after", 1); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	names, _ := d.names()
	for _, name := range names {
		if name == preparedName(probeNumber) {
			t.Errorf("%s is left behind", name)
		}
	}
}

// TestCallsAreAnsweredWhileTheFolderIsReadAgain holds up the reading.
func TestCallsAreAnsweredWhileTheFolderIsReadAgain(t *testing.T) {
	t.Parallel()
	d := &watched{memDisk: newMemDisk()}
	s := mustOpenDisk(t, d, small)
	mustPut(t, s, "k", store.Put{})
	loseForRoom(t, d.memDisk, s)
	d.refuse(nil)
	before := d.opened.Load()
	d.gate = make(chan struct{})
	revived, got := make(chan struct{}), make(chan error, 1)
	go func() { defer close(revived); s.revive() }()
	for d.opened.Load() == before {
		time.Sleep(time.Millisecond)
	}
	go func() {
		_, _, err := s.Get(context.Background(), "p", "c", "k")
		got <- err
	}()
	select {
	case err := <-got:
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v, want ENOSPC", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a call waits until the folder is read")
	}
	close(d.gate)
	<-revived
	if _, _, err := s.Get(t.Context(), "p", "c", "k"); err != nil {
		t.Error(err)
	}
	_ = s.Close()
}

func TestReadingAgainIsTriedLessAndLessOften(t *testing.T) {
	t.Parallel()
	var p patience
	begin := time.Unix(1e6, 0)
	var tries []int
	for second := range 300 {
		if p.due(begin.Add(time.Duration(second) * time.Second)) {
			tries = append(tries, second)
		}
	}
	if got, want := fmt.Sprint(tries), "[0 1 3 7 15 31 63 123 183 243]"; got != want {
		t.Errorf("tried at %s, want %s", got, want)
	}
	later := begin.Add(time.Hour) // all was well in between
	if !p.due(later) || !p.due(later.Add(time.Second)) {
		t.Error("after an hour it is not tried as if for the first time")
	}
}

// TestANewSegmentThatFindsNoRoomIsNoEnd refuses its header, or its name.
func TestANewSegmentThatFindsNoRoomIsNoEnd(t *testing.T) {
	t.Parallel()
	const size = 1000
	for _, what := range []string{"write", "rename"} {
		d := newMemDisk()
		s := mustOpenDisk(t, d, small)
		acked := map[string]bool{}
		var err error
		for i := 0; err == nil && i < 100; i++ {
			settleNext(s)
			s.mu.Lock()
			rolls := s.next.file != nil && s.current().size-s.tail() < room(size+maxOpBytes+8)
			s.mu.Unlock()
			if rolls { // the next write is that of the header
				d.refuse(syscall.ENOSPC, what)
			}
			key := fmt.Sprint("k", i)
			if err = tryPut(t, s, key, size); err == nil {
				acked[key] = true
			}
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "until there is room") {
			t.Fatalf("%s: %v, want ENOSPC, and what is waited for", what, err)
		}
		if s.current().active {
			t.Fatalf("%s: no new segment was begun", what)
		}
		d.refuse(nil)
		s.revive()
		if err := tryPut(t, s, "after", size); err != nil {
			t.Fatalf("%s: there is room again: %v", what, err)
		}
		acked["after"] = true
		_ = s.Close()
		s = mustOpenDisk(t, d.worst(), small)
		got := stateOf(t, s)
		for key := range acked {
			if _, ok := got[key]; !ok {
				t.Errorf("%s: %q was acknowledged and is gone", what, key)
			}
		}
		_ = s.Close()
	}
}
