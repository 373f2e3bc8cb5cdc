package journalstore

import (
	"bytes"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

var sample = store.Record{
	Partition: "p", Class: "c", Key: "k", State: "s", Group: "g", Value: []byte("value"), Version: 7,
	Created: time.UnixMicro(1), Updated: time.UnixMicro(-2), Due: time.UnixMicro(3), Expires: time.UnixMicro(1 << 50),
}

// FuzzOp reads operations of any bytes: what is read is written as it was.
func FuzzOp(f *testing.F) {
	f.Add(appendOp(nil, opPut, &sample))
	f.Add(appendOp(nil, opPut, &store.Record{Partition: "p", Class: "c", Key: "k"}))
	f.Add(appendOp(nil, opDelete, &sample))
	f.Add(appendOp(nil, opProbe, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, n, err := nextOp(b)
		if err != nil {
			return
		}
		again, m, err := nextOp(appendOp(nil, o.kind, &o.record))
		if err != nil || m > n || again.record.Key != o.record.Key || !bytes.Equal(again.record.Value, o.record.Value) || again.record.Version != o.record.Version {
			t.Errorf("%x reads as %+v, and then as %+v, %v", b[:n], o, again, err)
		}
		if head, size, err := withoutValue(b); err != nil || size != n || head > n {
			t.Errorf("%x: %d of %d bytes without the value, %v", b[:n], head, size, err)
		}
	})
}

// FuzzSegment opens a segment of any bytes: it is refused, or what is read from
// it can be read again.
func FuzzSegment(f *testing.F) {
	d := newMemDisk()
	s, err := openDisk(d, "memory", small)
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		if _, err := s.Apply(f.Context(), "p", store.PutIfAbsent("c", key, store.Put{State: "s", Value: []byte("value"), DueIn: time.Hour})); err != nil {
			f.Fatal(err)
		}
	}
	_ = s.Close()
	whole := d.files[d.dir[segmentName(1)]].data[:600]
	f.Add(whole)
	f.Add(whole[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newMemDisk()
		d.born, d.dir = 1, map[string]int{segmentName(1): 1}
		d.files[1] = &memFile{d: d, id: 1, data: bytes.Clone(b)}
		s, err := openDisk(d, "memory", small)
		if err != nil {
			return
		}
		defer s.Close()
		stateOf(t, s)
	})
}

// FuzzSidecar reads sidecars of any bytes.
func FuzzSidecar(f *testing.F) {
	d := newMemDisk()
	s, err := openDisk(d, "memory", small)
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		if _, err := s.Apply(f.Context(), "p", store.PutIfAbsent("c", key, store.Put{Value: make([]byte, 5000)})); err != nil {
			f.Fatal(err)
		}
	}
	s.listSealed()
	_ = s.Close()
	b, err := readAll(d, sidecarName(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:60])
	f.Fuzz(func(_ *testing.T, b []byte) {
		h, entries, err := parseSidecar(b)
		if err == nil {
			for range eachListed(entries, h.end) {
			}
		}
		for range eachListed(b, 1<<30) {
		}
	})
}
