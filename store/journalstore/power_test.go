package journalstore

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
)

// lossSize is how thorough TestPowerLoss is: the steps of work, and how many
// subsets of what was not on disk are tried for each moment, where all of them
// would be more.
func lossSize() (seeds uint64, steps, samples int) {
	if os.Getenv("SEEOTHER_TORTURE") != "" {
		return 10, 150, 1000
	}
	return 2, 60, 12
}

const pageSize = 4096 // what a disk writes whole

// crash is a disk at one moment: what is on it for sure, and what may be.
type crash struct {
	files   map[int][]byte
	dir     map[string]int
	pending []event
}

func newCrash() *crash { return &crash{files: map[int][]byte{}, dir: map[string]int{}} }

// add takes the next step. A write is as many as it has pages.
func (c *crash) add(e event) {
	switch e.what {
	case "write":
		for len(e.data) > 0 {
			n := min(len(e.data), pageSize-int(e.at%pageSize))
			c.pending = append(c.pending, event{what: "write", file: e.file, at: e.at, data: e.data[:n]})
			e.at, e.data = e.at+int64(n), e.data[n:]
		}
	case "create", "rename", "remove":
		c.pending = append(c.pending, e)
	case "sync":
		c.settle(func(p *event) bool { return p.what == "write" && p.file == e.file })
	case "syncdir":
		c.settle(func(p *event) bool { return p.what != "write" })
	}
}

func (c *crash) settle(which func(*event) bool) {
	rest := c.pending[:0]
	for _, p := range c.pending {
		if which(&p) {
			apply(c.files, c.dir, &p)
		} else {
			rest = append(rest, p)
		}
	}
	c.pending = rest
}

func apply(files map[int][]byte, dir map[string]int, e *event) {
	switch e.what {
	case "write":
		files[e.file] = written(files[e.file], e.data, e.at)
	case "create":
		dir[e.name] = e.file
	case "rename":
		if id, ok := dir[e.name]; ok {
			dir[e.to] = id
			delete(dir, e.name)
		}
	case "remove":
		delete(dir, e.name)
	}
}

// disk is what is there after the power came back, with those of the pending
// steps done that keep says.
func (c *crash) disk(keep func(i int) bool) *memDisk {
	files, dir := map[int][]byte{}, maps.Clone(c.dir)
	for id, data := range c.files {
		files[id] = bytes.Clone(data)
	}
	for i := range c.pending {
		if keep(i) {
			apply(files, dir, &c.pending[i])
		}
	}
	d := newMemDisk()
	d.dir = dir
	for _, id := range dir {
		d.born = max(d.born, id)
		d.files[id] = &memFile{d: d, id: id, data: files[id]}
	}
	return d
}

// each calls try for all subsets of the pending steps, or for some.
func (c *crash) each(rng *rand.Rand, samples int, try func(*memDisk) error) error {
	n := len(c.pending)
	if n <= 10 && 1<<n <= max(samples, 16) {
		for set := range 1 << n {
			if err := try(c.disk(func(i int) bool { return set>>i&1 == 1 })); err != nil {
				return err
			}
		}
		return nil
	}
	for k := range samples {
		share := []float64{0, 1, 0.5, 0.9, 0.1}[k%5]
		if err := try(c.disk(func(int) bool { return rng.Float64() < share })); err != nil {
			return err
		}
	}
	return nil
}

// lose cuts the power at every moment of some work, and says what was lost.
// change may spoil what the disk remembers.
func lose(t *testing.T, seed uint64, steps, samples int, change func([]event) []event) (tried int, err error) {
	d := newMemDisk()
	w := newWorker(t, seed)
	s := mustOpenDisk(t, d, small)
	for range steps {
		if err := w.step(s); err != nil {
			t.Fatal(err)
		}
		d.ack(len(w.states) - 1)
		w.care(s)
	}
	_ = s.Close()
	c, acked, rng := newCrash(), 0, rand.New(rand.NewPCG(seed, 2))
	log := d.log
	if change != nil {
		log = change(log)
	}
	for _, e := range log {
		if e.what == "ack" {
			acked = e.ack
		}
		c.add(e)
		err := c.each(rng, samples, func(d *memDisk) error {
			tried++
			return w.recovered(d, acked)
		})
		if err != nil {
			return tried, err
		}
	}
	return tried, nil
}

// recovered opens what the power cut left. It must hold all that was
// acknowledged, and of the one step under way all or nothing.
func (w *worker) recovered(d *memDisk, acked int) error {
	s, err := openDisk(d, "memory", small)
	if err != nil {
		return fmt.Errorf("after step %d: open: %w", acked, err)
	}
	defer s.Close()
	got := stateOf(w.t, s)
	if same(got, w.states[acked]) || acked+1 < len(w.states) && same(got, w.states[acked+1]) {
		return nil
	}
	return fmt.Errorf("after step %d: %d records that are neither of before nor of after the next step (%d, %d)",
		acked, len(got), len(w.states[acked]), len(w.states[min(acked+1, len(w.states)-1)]))
}

func TestPowerLossLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	seeds, steps, samples := lossSize()
	all := 0
	for seed := range seeds {
		tried, err := lose(t, seed, steps, samples, nil)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		all += tried
	}
	t.Logf("%d power cuts", all)
}

// loseOfMany is lose for writers that work at one time, so that commits hold what
// several of them wrote.
func loseOfMany(t *testing.T, seed uint64, steps, samples int, change func([]event) []event) (tried int, err error) {
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	workers := make([]*worker, 5)
	var all sync.WaitGroup
	for i := range workers {
		w := newWorker(t, seed*100+uint64(i))
		w.name = fmt.Sprintf("w%d-", i)
		workers[i] = w
		all.Go(func() {
			for range steps {
				if err := w.step(s); err != nil {
					t.Error(err)
					return
				}
				d.ackOf(i, len(w.states)-1)
				if i == 0 {
					w.care(s)
				}
			}
		})
	}
	all.Wait()
	_ = s.Close()
	c, acked, rng := newCrash(), make([]int, len(workers)), rand.New(rand.NewPCG(seed, 2))
	log := d.log
	if change != nil {
		log = change(log)
	}
	for _, e := range log {
		if e.what == "ack" {
			acked[e.who] = e.ack
		}
		c.add(e)
		err := c.each(rng, samples, func(d *memDisk) error {
			tried++
			return recoveredAll(workers, d, acked)
		})
		if err != nil {
			return tried, err
		}
	}
	return tried, nil
}

// recoveredAll is recovered for each of many.
func recoveredAll(workers []*worker, d *memDisk, acked []int) error {
	s, err := openDisk(d, "memory", small)
	if err != nil {
		return fmt.Errorf("after steps %d: open: %w", acked, err)
	}
	defer s.Close()
	all := stateOf(workers[0].t, s)
	for i, w := range workers {
		got := state{}
		for key, entry := range all {
			if strings.HasPrefix(key, w.name) {
				got[key] = entry
			}
		}
		if n := acked[i]; !same(got, w.states[n]) && (n+1 == len(w.states) || !same(got, w.states[n+1])) {
			return fmt.Errorf("writer %d, after step %d: %d records that are neither of before nor of after the next step", i, n, len(got))
		}
	}
	return nil
}

func TestPowerLossUnderManyWritersLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	seeds, steps, samples := lossSize()
	all := 0
	for seed := range seeds {
		tried, err := loseOfMany(t, seed, steps/4, samples, nil)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		all += tried
	}
	t.Logf("%d power cuts", all)
	for name, what := range map[string]string{"no sync of files": "sync", "no sync of names": "syncdir"} {
		if _, err := loseOfMany(t, 1, 30, 12, func(log []event) []event { return without(log, what) }); err == nil {
			t.Errorf("%s: nothing was found", name)
		}
	}
}

// TestPowerLossFindsDecoys spoils the discipline of the store in one way each.
func TestPowerLossFindsDecoys(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func([]event) []event{
		"no sync of files": func(log []event) []event { return without(log, "sync") },
		"no sync of names": func(log []event) []event { return without(log, "syncdir") },
		"acknowledged before the sync": func(log []event) []event {
			for i := len(log) - 1; i > 0; i-- {
				if log[i].what == "ack" && log[i-1].what == "sync" {
					log[i], log[i-1] = log[i-1], log[i]
				}
			}
			return log
		},
	} {
		found := false
		for seed := uint64(0); seed < 3 && !found; seed++ {
			_, err := lose(t, seed, 60, 12, change)
			found = err != nil
		}
		if !found {
			t.Errorf("%s: nothing was found", name)
		}
	}
}

func without(log []event, what string) (out []event) {
	for _, e := range log {
		if e.what != what {
			out = append(out, e)
		}
	}
	return out
}
