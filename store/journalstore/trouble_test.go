package journalstore

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother/store"
)

// reads is a disk that counts what is read of files of more than one page.
type reads struct {
	*memDisk

	n atomic.Int64
}

type readFile struct {
	file

	d *reads
}

func (d *reads) create(name string) (file, error) { return d.of(d.memDisk.create(name)) }
func (d *reads) open(name string) (file, error)   { return d.of(d.memDisk.open(name)) }

func (d *reads) of(f file, err error) (file, error) { return readFile{f, d}, err }

func (f readFile) ReadAt(p []byte, at int64) (int, error) {
	f.d.n.Add(1)
	return f.file.ReadAt(p, at)
}

// told is the options small that keep what is told.
func told(out *[]error) Options {
	o := small
	o.OnTrouble = func(err error) { *out = append(*out, err) }
	return o
}

// spoilFirst spoils the value of what was written first.
func spoilFirst(d *memDisk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[d.dir[segmentName(1)]].data[600] ^= 1
}

func TestADamagedSegmentWithoutSidecarIsReadOnceAndTold(t *testing.T) {
	t.Parallel()
	var troubles []error
	d := &reads{memDisk: newMemDisk()}
	s := mustOpenDisk(t, d, told(&troubles))
	defer s.Close()
	segmentsOf(t, s, 3, store.Put{Value: make([]byte, 1000)})
	spoilFirst(d.memDisk)
	s.listSealed()
	before := d.n.Load()
	s.listSealed()
	if n := d.n.Load() - before; n > 0 {
		t.Errorf("it is read again, %d times", n)
	}
	if len(troubles) != 1 || !errors.Is(troubles[0], ErrDamaged) || !strings.Contains(troubles[0].Error(), segmentName(1)) {
		t.Errorf("told %v, want once, with the file", troubles)
	}
}

// TestASegmentThatCannotBeCleanedIsToldOnce has one record be unreadable, which is
// deleted by another way later: by its end.
func TestASegmentThatCannotBeCleanedIsToldOnce(t *testing.T) {
	t.Parallel()
	var troubles []error
	d := &reads{memDisk: newMemDisk()}
	s := mustOpenDisk(t, d, told(&troubles))
	defer s.Close()
	mustPut(t, s, "k", store.Put{Value: make([]byte, 1000)})
	for i := range 20 {
		r := mustPut(t, s, string(rune('a'+i))+"-", store.Put{Value: make([]byte, 3000)})
		if _, err := s.Apply(t.Context(), "p", store.DeleteIfVersion("c", r.Key, r.Version)); err != nil {
			t.Fatal(err)
		}
	}
	spoilFirst(d.memDisk)
	for range 3 {
		if s.clean() {
			t.Fatal("a segment is dropped in which something is alive")
		}
	}
	before := d.n.Load()
	s.clean()
	if n := d.n.Load() - before; n > 0 {
		t.Errorf("it is read again, %d times", n)
	}
	if len(troubles) != 1 || !errors.Is(troubles[0], ErrDamaged) || !strings.Contains(troubles[0].Error(), "cleaned") {
		t.Errorf("told %v, want once", troubles)
	}
	s.mu.Lock()
	id, ok := s.index.find("p", "c", "k")
	if ok {
		s.forget(id) // as if it had expired
	}
	s.mu.Unlock()
	if !ok || !s.clean() {
		t.Error("nothing is alive in the segment any more, and it stays")
	}
}

// TestASegmentThatTheDiskDoesNotGiveIsToldOnce has a bad sector.
func TestASegmentThatTheDiskDoesNotGiveIsToldOnce(t *testing.T) {
	t.Parallel()
	var troubles []error
	d := newMemDisk()
	s := mustOpenDisk(t, d, told(&troubles))
	defer s.Close()
	segmentsOf(t, s, 3, store.Put{Value: make([]byte, 1000)})
	seg := s.sealed()[0]
	s.mu.Lock()
	seg.file = badSector{seg.file}
	s.mu.Unlock()
	for range 3 {
		if s.copied(seg) {
			t.Fatal("copied without being read")
		}
	}
	if len(troubles) != 1 || !errors.Is(troubles[0], io.ErrNoProgress) {
		t.Errorf("told %v, want once", troubles)
	}
}

type badSector struct{ file }

func (badSector) ReadAt([]byte, int64) (int, error) { return 0, io.ErrNoProgress }
