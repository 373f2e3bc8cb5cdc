package journalstore

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
)

// memDisk is a folder in memory that remembers everything that was done to it.
type memDisk struct {
	mu    sync.Mutex
	log   []event
	files map[int]*memFile
	dir   map[string]int // the file of each name
	born  int
	fault func(what string) error // asked before each step; nil: none fails
	gate  chan struct{}           // what the sync of a file waits for; nil: nothing
}

// refuse has all steps of these kinds fail; of none: the disk works again.
func (d *memDisk) refuse(err error, kinds ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = func(what string) error {
		if slices.Contains(kinds, what) {
			return err
		}
		return nil
	}
}

// stall has the syncs of files wait until release is called.
func (d *memDisk) stall() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gate := make(chan struct{})
	d.gate = gate
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.gate = nil
		close(gate)
	}
}

// event is one step. What is not synced by a later one may be lost, or not.
type event struct {
	what     string // write, sync, create, rename, remove, syncdir; and ack, of the test
	file     int
	name, to string
	at       int64
	data     []byte
	ack, who int
}

type memFile struct {
	d    *memDisk
	id   int
	data []byte
}

func newMemDisk() *memDisk { return &memDisk{files: map[int]*memFile{}, dir: map[string]int{}} }

// do does one step, unless it fails. Hold mu.
func (d *memDisk) do(e event) error {
	if d.fault != nil {
		if err := d.fault(e.what); err != nil {
			return err
		}
	}
	d.log = append(d.log, e)
	return nil
}

func (d *memDisk) names() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.dir)), nil
}

func (d *memDisk) create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.born++
	if err := d.do(event{what: "create", name: name, file: d.born}); err != nil {
		return nil, err
	}
	f := &memFile{d: d, id: d.born}
	d.files[f.id], d.dir[name] = f, f.id
	return f, nil
}

func (d *memDisk) open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, ok := d.dir[name]; ok {
		return d.files[id], nil
	}
	return nil, fs.ErrNotExist
}

func (d *memDisk) rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do(event{what: "rename", name: from, to: to}); err != nil {
		return err
	}
	d.dir[to] = d.dir[from]
	delete(d.dir, from)
	return nil
}

func (d *memDisk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.dir[name]; !ok {
		return nil
	}
	if err := d.do(event{what: "remove", name: name}); err != nil {
		return err
	}
	delete(d.dir, name)
	return nil
}

func (d *memDisk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.do(event{what: "syncdir"})
}

// ack notes that something was acknowledged.
func (d *memDisk) ack(n int) { d.ackOf(0, n) }

// ackOf is ack for one of many.
func (d *memDisk) ackOf(who, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, event{what: "ack", ack: n, who: who})
}

func (f *memFile) ReadAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.do(event{what: "write", file: f.id, at: at, data: bytes.Clone(p)}); err != nil {
		return 0, err
	}
	f.data = written(f.data, p, at)
	return len(p), nil
}

func written(data, p []byte, at int64) []byte {
	if end := int(at) + len(p); end > len(data) {
		data = append(data, make([]byte, end-len(data))...)
	}
	copy(data[at:], p)
	return data
}

func (f *memFile) sync() error {
	f.d.mu.Lock()
	gate := f.d.gate
	f.d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.do(event{what: "sync", file: f.id})
}

func (f *memFile) size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f *memFile) Close() error { return nil }

// copyOf is a disk with the same content, and no memory of how it came about.
func (d *memDisk) copyOf() *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newMemDisk()
	c.born, c.dir = d.born, maps.Clone(d.dir)
	for id, f := range d.files {
		c.files[id] = &memFile{d: c, id: id, data: bytes.Clone(f.data)}
	}
	return c
}
