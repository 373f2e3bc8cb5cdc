package journalstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// small makes everything happen often: segments roll, are listed and cleaned.
var small = Options{SegmentBytes: 8 << 10, DeadBytes: 8 << 10, still: true}

func mustOpenDisk(t *testing.T, d disk, o Options) *Store {
	t.Helper()
	s, err := openDisk(d, "memory", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// state is what a store holds, by key: version and value.
type state map[string]string

func entryOf(r *store.Record) string { return fmt.Sprintf("%d %s %x", r.Version, r.State, r.Value) }

// stateOf reads all records, and checks the index against them.
func stateOf(t *testing.T, s *Store) state {
	t.Helper()
	out := state{}
	q := store.Query{Partition: "p", Class: "c"}
	for {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Records {
			r := &page.Records[i]
			out[r.Key] = entryOf(r)
			if got, _, err := s.Get(t.Context(), "p", "c", r.Key); err != nil || entryOf(&got) != entryOf(r) {
				t.Errorf("get %q: %s, %v; the list has %s", r.Key, entryOf(&got), err, entryOf(r))
			}
		}
		if q.Cursor = page.Cursor; q.Cursor == "" {
			return out
		}
	}
}

// worker does the same work for the same seed, one step after the other, and
// keeps what the store must hold after each.
type worker struct {
	t      *testing.T
	rng    *rand.Rand
	name   string  // the beginning of its keys
	states []state // after each acknowledged step; the first is empty

	doubtful map[string]bool // keys of steps that failed since: they may have happened
}

func newWorker(t *testing.T, seed uint64) *worker {
	return &worker{t: t, rng: rand.New(rand.NewPCG(seed, 1)), states: []state{{}}, doubtful: map[string]bool{}}
}

func (w *worker) last() state { return w.states[len(w.states)-1] }

// step does one Apply of one or two operations, and returns its error.
func (w *worker) step(s *Store) error {
	now := w.last()
	ops := []store.Op{w.op(now, w.rng.IntN(8))}
	if w.rng.IntN(3) == 0 {
		ops = append(ops, w.op(now, 8+w.rng.IntN(4)))
	}
	reply, err := s.Apply(context.Background(), "p", ops...)
	for i := range ops {
		w.doubtful[ops[i].Key] = err != nil
	}
	if err != nil {
		return err
	}
	next := maps.Clone(now)
	for i := range reply.Records {
		r := &reply.Records[i]
		if ops[i].Kind == store.OpDeleteIfVersion {
			delete(next, r.Key)
		} else {
			next[r.Key] = entryOf(r)
		}
	}
	w.states = append(w.states, next)
	return nil
}

func (w *worker) op(now state, n int) store.Op {
	key := w.name + "key-" + strconv.Itoa(n)
	value := make([]byte, w.rng.IntN(1500))
	for i := range value {
		value[i] = byte(w.rng.Uint32())
	}
	p := store.Put{State: []string{"started", "completed"}[w.rng.IntN(2)], Group: "g", Value: value, DueIn: time.Hour}
	before, ok := now[key]
	if !ok {
		return store.PutIfAbsent("c", key, p)
	}
	version, err := strconv.ParseUint(strings.Fields(before)[0], 10, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.rng.IntN(8) == 0 {
		return store.DeleteIfVersion("c", key, version)
	}
	return store.PutIfVersion("c", key, version, p)
}

// care does what tend does, now and then.
func (w *worker) care(s *Store) {
	if w.rng.IntN(6) == 0 {
		s.listSealed()
		for s.clean() {
		}
	}
}

func same(a, b state) bool { return maps.Equal(a, b) }

func TestAStoreIsAsItWasAfterEachOpen(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		d := newMemDisk()
		w := newWorker(t, seed)
		for range 5 {
			s := mustOpenDisk(t, d, small)
			if got := stateOf(t, s); !same(got, w.last()) {
				t.Fatalf("seed %d: %d records, want %d", seed, len(got), len(w.last()))
			}
			for range 60 {
				if err := w.step(s); err != nil {
					t.Fatal(err)
				}
				w.care(s)
			}
			if got := stateOf(t, s); !same(got, w.last()) {
				t.Fatalf("seed %d: %v, want %v", seed, got, w.last())
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		names, _ := d.names()
		if len(names) == 0 || names[0] == segmentName(1) {
			t.Errorf("seed %d: %q: nothing was cleaned", seed, names)
		}
	}
}

func TestASegmentWithoutItsSidecarIsRead(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	w := newWorker(t, 1)
	s := mustOpenDisk(t, d, Options{SegmentBytes: 8 << 10, still: true})
	for range 200 {
		if err := w.step(s); err != nil {
			t.Fatal(err)
		}
	}
	s.listSealed()
	_ = s.Close()
	names, _ := d.names()
	sidecars := 0
	for _, name := range names {
		if !strings.HasSuffix(name, sidecarSuffix) {
			continue
		}
		sidecars++
		for _, spoil := range []func(*memDisk, *memFile){
			func(d *memDisk, _ *memFile) { delete(d.dir, name) },
			func(_ *memDisk, f *memFile) { f.data[len(f.data)/2] ^= 1 },
			func(_ *memDisk, f *memFile) { f.data = f.data[:len(f.data)/2] },
			func(_ *memDisk, f *memFile) { f.data = nil },
		} {
			c := d.copyOf()
			spoil(c, c.files[c.dir[name]])
			s := mustOpenDisk(t, c, small)
			if got := stateOf(t, s); !same(got, w.last()) {
				t.Errorf("%s: %d records, want %d", name, len(got), len(w.last()))
			}
			_ = s.Close()
		}
	}
	if sidecars < 5 {
		t.Errorf("%d sidecars", sidecars)
	}
}

func TestDamageIsNamedAndNothingIsLostSilently(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	w := newWorker(t, 2)
	s := mustOpenDisk(t, d, Options{SegmentBytes: 8 << 10, still: true})
	for range 100 {
		if err := w.step(s); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Close()
	names, _ := d.names()
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, segSuffix) })
	last := len(names) - 1
	for name, spoil := range map[string]func(*memDisk, *memFile){
		"a header of zeros":          func(_ *memDisk, f *memFile) { clear(f.data[:headerSize]) },
		"a last segment cut short":   func(d *memDisk, _ *memFile) { f := d.files[d.dir[names[last]]]; f.data = f.data[:len(f.data)-align] },
		"a last header of zeros":     func(d *memDisk, _ *memFile) { clear(d.files[d.dir[names[last]]].data[:headerSize]) },
		"a missing segment":          func(d *memDisk, _ *memFile) { delete(d.dir, names[2]) },
		"a flipped bit":              func(_ *memDisk, f *memFile) { f.data[2000] ^= 4 },
		"a flipped bit in a header":  func(_ *memDisk, f *memFile) { f.data[20] ^= 4 },
		"a segment of another place": func(d *memDisk, _ *memFile) { d.dir[names[2]] = d.dir[names[1]] },
		"a truncated segment":        func(_ *memDisk, f *memFile) { f.data = f.data[:3000] },
		"an empty segment":           func(_ *memDisk, f *memFile) { f.data = nil },
		"a segment of zeros":         func(_ *memDisk, f *memFile) { f.data = make([]byte, len(f.data)) },
	} {
		c := d.copyOf()
		spoil(c, c.files[c.dir[names[2]]])
		s, err := openDisk(c, "memory", small)
		if err == nil {
			_ = s.Close()
		}
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), segSuffix) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%s: %v, want ErrDamaged, the file, and what to do", name, err)
		}
	}
	c := d.copyOf()
	f := c.files[c.dir[names[0]]]
	h, _ := decodeHeader(f.data)
	b := h.encode()
	b[8] = format + 1
	copy(f.data, resum(b))
	if _, err := openDisk(c, "memory", small); !errors.Is(err, ErrNewer) {
		t.Errorf("a folder of a later version: %v, want ErrNewer", err)
	}
}

// TestABitThatFlipsLaterIsFoundByWhoReadsIt spoils a segment that has a sidecar,
// so that opening does not read it.
func TestABitThatFlipsLaterIsFoundByWhoReadsIt(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, Options{SegmentBytes: 8 << 10, still: true})
	for i := range 30 {
		if _, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", fmt.Sprint(i), store.Put{Value: make([]byte, 1000)})); err != nil {
			t.Fatal(err)
		}
	}
	s.listSealed()
	_ = s.Close()
	d.files[d.dir[segmentName(1)]].data[600] ^= 1
	s = mustOpenDisk(t, d, small)
	defer s.Close()
	bad := 0
	for i := range 30 {
		if _, _, err := s.Get(t.Context(), "p", "c", fmt.Sprint(i)); errors.Is(err, ErrDamaged) {
			bad++
		} else if err != nil {
			t.Error(err)
		}
	}
	if bad != 1 {
		t.Errorf("%d records are damaged, want 1", bad)
	}
}
