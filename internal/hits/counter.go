package hits

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// waiting is how many hits a shard holds before it adds them up.
const waiting = 256

// Counter counts the hits of the rules of one table, which it knows by their
// index. It takes 4 bytes for each rule. Methods are safe for concurrent use.
type Counter struct {
	shards []shard
	counts []atomic.Uint32 // added up, and not taken yet
	near   sync.Pool       // of *uint32: which shard this processor took last
	next   atomic.Uint32   // shard for a processor that has none
}

// shard collects hits, so that a rule that all processors hit is not a word of
// memory that all of them write to.
type shard struct {
	mu      sync.Mutex // guards the fields below
	n       int
	indices [waiting]uint32
	_       [64]byte // no cache line is shared with the next one
}

// NewCounter counts for a table of so many rules.
func NewCounter(rules int) *Counter {
	n := 1 << bits.Len(uint(2*runtime.GOMAXPROCS(0)-1))
	return &Counter{shards: make([]shard, n), counts: make([]atomic.Uint32, rules)}
}

// Hit counts one hit of a rule.
func (c *Counter) Hit(index int) {
	if uint(index) >= uint(len(c.counts)) {
		return
	}
	near, ok := c.near.Get().(*uint32)
	if !ok {
		near = new(uint32)
		*near = c.next.Add(1)
	}
	defer c.near.Put(near)
	s := &c.shards[*near&uint32(len(c.shards)-1)] //nolint:gosec // a small power of two
	s.mu.Lock()
	s.indices[s.n] = uint32(index) //nolint:gosec // a table has fewer rules
	if s.n++; s.n == waiting {
		c.add(s)
	}
	s.mu.Unlock()
}

// add adds up what waits in s. Hold its mu.
func (c *Counter) add(s *shard) {
	for i := 0; i < s.n; {
		index, run := s.indices[i], uint32(1)
		for i++; i < s.n && s.indices[i] == index; i++ {
			run++
		}
		c.counts[index].Add(run)
	}
	s.n = 0
}

// take calls each for the rules that were hit since the last take, with how
// often.
func (c *Counter) take(each func(index int, hits uint32)) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		c.add(s)
		s.mu.Unlock()
	}
	for i := range c.counts {
		if c.counts[i].Load() != 0 {
			each(i, c.counts[i].Swap(0))
		}
	}
}
