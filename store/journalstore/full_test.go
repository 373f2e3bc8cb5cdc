package journalstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// TestTheLastSegmentIsTheEnd gives the first segment the last number that there is.
func TestTheLastSegmentIsTheEnd(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	mustPut(t, s, "first", store.Put{})
	_ = s.Close()
	f := d.files[d.dir[segmentName(1)]]
	h, _ := decodeHeader(f.data)
	h.number = maxSegment
	copy(f.data, h.encode())
	d.dir[segmentName(maxSegment)] = d.dir[segmentName(1)]
	delete(d.dir, segmentName(1))
	s = mustOpenDisk(t, d, small)
	acked, err := 0, error(nil)
	for err == nil && acked < 100 {
		if err = tryPut(t, s, fmt.Sprint("k", acked), 1000); err == nil {
			acked++
		}
	}
	if !errors.Is(err, ErrFull) || acked == 0 {
		t.Errorf("after %d: %v, want ErrFull", acked, err)
	}
	_ = s.Close()
	s = mustOpenDisk(t, d, small)
	defer s.Close()
	if got := stateOf(t, s); len(got) != acked+1 {
		t.Errorf("%d records, want %d", len(got), acked+1)
	}
}

// TestAClassOfWhichOnlyDeletesAreLeftIsNotKept has the put be cleaned away before
// the delete.
func TestAClassOfWhichOnlyDeletesAreLeftIsNotKept(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	put := func(class string) store.Op {
		return store.PutIfAbsent(class, "k", store.Put{Value: make([]byte, 3000)})
	}
	for _, class := range []string{"gone", "gone too", "kept", "gone", "gone too", "last", "the very last"} {
		op := put(class)
		if r, _, err := s.Get(t.Context(), "p", class, "k"); err == nil {
			op = store.DeleteIfVersion(class, "k", r.Version)
		}
		if _, err := s.Apply(t.Context(), "p", op); err != nil {
			t.Fatal(err)
		}
	}
	s.listSealed()
	if !s.clean() || s.clean() {
		t.Fatal("more or less than the first segment is cleaned away")
	}
	_ = s.Close()
	s = mustOpenDisk(t, d, small)
	defer s.Close()
	for a, c := range s.index.classes {
		if len(c.sets) == 0 {
			t.Errorf("%v is kept, and has no record", a)
		}
	}
}

// TestAFolderWithMoreThanTheIndexHolds lowers what the index can hold.
func TestAFolderWithMoreThanTheIndexHolds(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e6, 0)
	o := small
	o.Now = func() time.Time { return now }
	d := newMemDisk()
	s := mustOpenDisk(t, d, o)
	for i := range 20 {
		mustPut(t, s, fmt.Sprint("short", i), store.Put{Value: make([]byte, 1000), TTL: time.Minute})
	}
	for i := range 20 {
		mustPut(t, s, fmt.Sprint("long", i), store.Put{Value: make([]byte, 1000)})
	}
	for _, listed := range []bool{false, true} {
		if listed {
			s.listSealed()
		}
		for _, test := range []struct {
			after time.Duration
			most  int
			full  bool
		}{
			{0, 40, false},
			{0, 39, true},
			{time.Hour, 20, false}, // what has expired does not count
			{time.Hour, 19, true},
		} {
			o.Now = func() time.Time { return now.Add(test.after) }
			again := &Store{disk: d.copyOf(), opts: o, index: newIndex()}
			again.index.most = test.most
			if err := again.recover(); errors.Is(err, ErrFull) != test.full || err != nil && !test.full {
				t.Errorf("listed %v, room for %d: %v", listed, test.most, err)
			}
			_ = again.closeFiles()
		}
	}
	_ = s.Close()
}
