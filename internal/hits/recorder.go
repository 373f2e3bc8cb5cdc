package hits

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/store"
)

// Class is the class of the records that hold the counts.
const Class = "rule-hits"

const (
	// Every is how often what was counted is written down.
	Every = time.Minute
	// register is how often a gateway says of all its rules that they are there.
	register = 24 * time.Hour
	// attempts bounds how often a write is tried that others get in the way of.
	attempts = 10
)

// Recorder writes counts to a store. Make it with New; methods are safe for
// concurrent use.
type Recorder struct {
	store     store.Store
	partition string

	flushing sync.Mutex // held over a whole flush; taken before mu

	mu      sync.Mutex // guards what follows
	current *counted   // of the table in use; nil: none yet
	left    []update   // that could not be written, and of tables before
}

// counted is the counter of one table. What a rule is known by is worked out
// when it is written down: to keep it would take 8 bytes for each rule.
type counted struct {
	counter    *Counter
	table      *rule.Table
	registered time.Time // guarded by flushing; zero: never
}

// ids works out those of all rules.
func (c *counted) ids(p *pace) []uint64 {
	ids := make([]uint64, c.table.Len())
	for i := range ids {
		ids[i] = c.id(i)
		p.step()
	}
	return ids
}

func (c *counted) id(index int) uint64 {
	one := c.table.Rule(index)
	return ID(&one)
}

// New returns a Recorder that keeps its records in a partition of st.
func New(st store.Store, partition string) *Recorder {
	return &Recorder{store: st, partition: partition}
}

// Use counts the hits of another table from now on. What was counted of the
// table before is kept; who still asks it a moment later is not counted.
func (r *Recorder) Use(table *rule.Table) *Counter {
	c := &counted{counter: NewCounter(table.Len()), table: table}
	r.mu.Lock()
	before := r.current
	r.current = c
	r.mu.Unlock()
	if before != nil {
		go r.leave(before)
	}
	return c.counter
}

// handover is how long the users of a table have to change to the next.
const handover = 100 * time.Millisecond

// leave takes what was counted of a table that is not in use any more, and lets
// go of it.
func (r *Recorder) leave(c *counted) {
	time.Sleep(handover)
	updates := c.updates(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keepLeft(updates)
}

// maxLeft bounds what is kept of tables before while the store is down.
const maxLeft = 1 << 20

// keepLeft puts updates back. Hold mu.
func (r *Recorder) keepLeft(updates []update) {
	updates = updates[:min(len(updates), maxLeft-len(r.left))]
	r.left = append(r.left, updates...)
}

// Run flushes now and then until ctx is done. failed is told of each flush that
// failed; what was counted is kept for the next one.
func (r *Recorder) Run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.Flush(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}

// Flush writes down what was counted. On an error some of it may be written,
// and the rest is kept for the next Flush.
func (r *Recorder) Flush(ctx context.Context) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	r.mu.Lock()
	left, current := r.left, r.current
	r.left = nil
	r.mu.Unlock()
	left, err := r.writeAll(ctx, sorted(left, &pace{breath: breath}))
	r.mu.Lock()
	r.keepLeft(left)
	r.mu.Unlock()
	if err != nil || current == nil {
		return err
	}
	return r.flush(ctx, current)
}

// flush writes down one table's hits. Hold flushing.
func (r *Recorder) flush(ctx context.Context, c *counted) error {
	registers := c.registered.IsZero() || time.Since(c.registered) >= register
	if rest, err := r.writeAll(ctx, c.updates(registers)); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.keepLeft(slices.DeleteFunc(rest, func(u update) bool { return u.hits == 0 }))
		return err
	}
	if registers {
		c.registered = time.Now()
	}
	return nil
}

// writeAll writes updates, which are in the order of their ids, and returns those
// that could not be written.
func (r *Recorder) writeAll(ctx context.Context, updates []update) (rest []update, err error) {
	for len(updates) > 0 {
		n := batch(updates)
		if err := r.write(ctx, updates[:n]); err != nil {
			return updates, err
		}
		updates = updates[n:]
	}
	return nil, nil
}

func byID(a, b update) int { return cmp.Compare(a.id, b.id) }

// updates takes what was counted, in the order of the ids; with all, also the
// rules without a hit.
func (c *counted) updates(all bool) []update {
	var out []update
	p := &pace{breath: breath}
	if all {
		ids := c.ids(p)
		out = make([]update, len(ids))
		for i, id := range ids {
			out[i].id = id
		}
		c.counter.take(func(i int, n uint32) { out[i].hits = uint64(n) })
	} else {
		c.counter.take(func(i int, n uint32) {
			out = append(out, update{c.id(i), uint64(n)})
			p.step()
		})
	}
	return sorted(out, p)
}

// sorted gives updates in the order of their ids.
func sorted(updates []update, p *pace) []update {
	var begin [Chunks + 1]int // of each chunk
	for _, u := range updates {
		begin[chunkOf(u.id)+1]++
	}
	for c := range Chunks {
		begin[c+1] += begin[c]
	}
	out, next := make([]update, len(updates)), begin
	for _, u := range updates {
		c := chunkOf(u.id)
		out[next[c]] = u
		next[c]++
		p.step()
	}
	for c := range Chunks {
		part := out[begin[c]:begin[c+1]]
		slices.SortFunc(part, byID)
		p.steps(len(part))
	}
	return out
}

// batch is how many of the updates go into one Apply.
func batch(updates []update) int {
	chunks, last := 0, -1
	for i, u := range updates {
		if c := chunkOf(u.id); c != last {
			if chunks == store.MaxOps {
				return i
			}
			chunks, last = chunks+1, c
		}
	}
	return len(updates)
}

// page is one record on its way.
type page struct {
	key     string
	version uint64 // 0: there is none
	updates []update
	put     store.Put
	changed bool
}

// write merges updates into their records, and does so again when another
// gateway was quicker.
func (r *Recorder) write(ctx context.Context, updates []update) error {
	pages, rest := pagesOf(updates), &pace{breath: breath}
	for _, p := range pages {
		if err := r.read(ctx, p); err != nil {
			return err
		}
		rest.steps(len(p.updates))
	}
	for try := range attempts {
		ops := opsOf(pages)
		if len(ops) == 0 {
			return nil
		}
		_, err := r.store.Apply(ctx, r.partition, ops...)
		if err == nil || !errors.Is(err, store.ErrConflict) {
			return wrap(err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
		for _, p := range pages {
			if err := r.read(ctx, p); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("rule hits: other gateways wrote %d times meanwhile", attempts)
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rule hits: %w", err)
}

func pagesOf(updates []update) []*page {
	var out []*page
	for len(updates) > 0 {
		chunk, n := chunkOf(updates[0].id), 1
		for n < len(updates) && chunkOf(updates[n].id) == chunk {
			n++
		}
		out = append(out, &page{key: keyOf(chunk), updates: updates[:n]})
		updates = updates[n:]
	}
	return out
}

// read gets a record and merges the updates into it. A damaged one is begun
// anew: a count is not worth an outage.
func (r *Recorder) read(ctx context.Context, p *page) error {
	rec, now, err := r.store.Get(ctx, r.partition, Class, p.key)
	var entries []entry
	switch {
	case errors.Is(err, store.ErrNotFound):
		p.version = 0
	case err != nil:
		return wrap(err)
	default:
		p.version = rec.Version
		if entries, err = decode(nil, rec.Value); err != nil {
			entries = nil
		}
	}
	merged, changed := merge(entries, p.updates, dayOf(now))
	p.changed = changed
	p.put = store.Put{Value: encode(merged), TTL: forget * 24 * time.Hour}
	return nil
}

func opsOf(pages []*page) []store.Op {
	var ops []store.Op
	for _, p := range pages {
		switch {
		case !p.changed:
		case p.version == 0:
			ops = append(ops, store.PutIfAbsent(Class, p.key, p.put))
		default:
			ops = append(ops, store.PutIfVersion(Class, p.key, p.version, p.put))
		}
	}
	return ops
}

// pause lets the others finish, longer each time.
func pause(ctx context.Context, try int) error {
	timer := time.NewTimer(rand.N(time.Duration(5<<try) * time.Millisecond)) //nolint:gosec // nothing secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dayOf is the day of a time, in days since 1970 in UTC.
func dayOf(t time.Time) uint32 { return uint32(t.Unix() / 86400) } //nolint:gosec // for some million years

// timeOf is the beginning of a day; zero for no day.
func timeOf(day uint32) time.Time {
	if day == 0 {
		return time.Time{}
	}
	return time.Unix(int64(day)*86400, 0).UTC()
}
