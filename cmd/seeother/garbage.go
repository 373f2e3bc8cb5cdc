package main

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What is said of garbage, where GOGC and GOMEMLIMIT do not. A gateway keeps
// little and makes much garbage: with Go's 100 percent it would collect every
// 4 MB. Near memoryBeside, and twice what bodies and answers may take, it
// collects more often.
const (
	gcPercent    = 400
	memoryBeside = 256 << 20 // bytes
	// Large tables of rules are memory that a collection does not look into, and
	// gcPercent of them would be much: they are left out. Of the rest there are
	// gcLeast bytes at least.
	gcLeast = 3 << 20
	gcFirst = 50               // percent, while the first rules are read
	gcEvery = 10 * time.Second // how often it is looked at again
)

// tuneGC suits the collector to tables of so many bytes; held is what bodies and
// answers may take. While rules are read there are two tables.
func tuneGC(tables, held int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryBeside + 2*held + 3*tables)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercentFor(heapLive(), tables))
	}
}

// gcPercentFor is gcPercent of what is not tables, as a share of all that lives.
func gcPercentFor(live, tables int64) int {
	rest := max(live-tables, gcLeast)
	return int(max(gcPercent*rest/(tables+rest), 1))
}

// heapLive is what lived at the end of the last collection, in bytes.
func heapLive() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64()) //nolint:gosec // no heap has as much
}

// keepTuned does so again while requests come and go, until ctx is done.
func (b *rulebook) keepTuned(ctx context.Context) {
	tick := time.NewTicker(gcEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.tune()
		}
	}
}

// countBytes is what counting the hits of a rule takes.
const countBytes = 4

// tune suits the collector to the rules in force. While others are read it stays
// as it is: what lives then is two tables.
func (b *rulebook) tune() {
	if b.unsettled.Load() > 0 {
		return
	}
	b.mu.Lock()
	size := b.set.Table.Size() + countBytes*int64(b.set.Table.Len())
	b.mu.Unlock()
	tuneGC(size, b.held)
}

// handover is how long a table is still known to those who counted its hits.
const handover = time.Second

// unsettle is called before rules are read. How large the first table will be,
// nobody knows; later ones are expected to be like it.
func (b *rulebook) unsettle(replaces bool) {
	b.unsettled.Add(1)
	if replaces {
		return
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(math.MaxInt64)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcFirst)
	}
}

// settle takes back what reading rules has left, and the table before if there
// was one: another may come soon.
func (b *rulebook) settle(replaces bool) {
	collect := func() {
		runtime.GC()
		b.unsettled.Add(-1)
		b.tune()
	}
	if replaces {
		time.AfterFunc(handover, collect)
		return
	}
	collect()
}
