package journalstore

import (
	"hash/maphash"
	"strings"
	"time"

	"github.com/seeother/seeother/store"
)

// maxEntries bounds how many records there can be: the rest of a slot's 32 bits
// is a part of the hash.
const (
	idBits     = 27
	maxEntries = 1<<idBits - 1
)

// entry is what memory holds of a record, beside its key: 32 bytes.
type entry struct {
	place   place  // of its operation in the journal
	size    uint32 // of that, in bytes
	key     uint32 // in keys
	set     uint32 // 1 + its number in sets; 0: the entry is free
	due     uint32 // seconds since 1970, rounded down; 0: none
	expires uint32 // seconds since 1970, rounded up; 0: never
	group   uint32 // a hash
}

// place is where an operation is in the journal: places grow.
type place uint64

const (
	offsetBits  = 40
	segmentBits = 64 - offsetBits
	maxSegment  = 1<<segmentBits - 1
)

func placeOf(segment uint32, offset int64) place {
	return place(uint64(segment)<<offsetBits | uint64(offset)) //nolint:gosec // segments are shorter than that
}

func (p place) segment() uint32 { return uint32(p >> offsetBits) }
func (p place) offset() int64   { return int64(p & (1<<offsetBits - 1)) }

// address is what a listing names.
type address struct{ partition, class string }

// class is the records of one class in one partition.
type class struct {
	address
	number uint32
	sets   map[string]uint32 // by state, 1 + the number of a set
}

// set is the records of one class in one state, in the order of their keys.
type set struct {
	class *class
	state string
	order order
}

// index finds records. It is guarded by Store.mu.
type index struct {
	entries array[entry]
	free    uint32 // 1 + the first free entry, whose key is 1 + the next; 0: none
	live    int    // records
	most    int    // records that there may be
	keys    keys
	seed    maphash.Seed
	shards  [shardCount]shard
	pages   pages
	classes map[address]*class
	sets    []set
	unused  []uint32 // numbers of sets
	born    uint32   // classes so far
	recent  *class   // the one asked for last
	touched uint32   // so that touch is not left out
	due     timers
	expires timers

	last found // whoever writes a record has just looked for it
}

// found is what find said of a key, which is true until something is put or removed.
type found struct {
	class *class // nil: of none
	key   string
	sum   uint64
	id    uint32
	ok    bool
}

func newIndex() *index {
	return &index{
		most: maxEntries, seed: maphash.MakeSeed(), classes: map[address]*class{},
		due: timers{width: dueWidth}, expires: timers{width: expiresWidth},
	}
}

func (x *index) release() {
	x.entries.release()
	x.keys.release()
	x.pages.release()
	x.due.release()
	x.expires.release()
	for i := range x.shards {
		x.shards[i].release()
	}
}

// find gives the number of a record's entry.
func (x *index) find(partition, name, key string) (uint32, bool) {
	c := x.classAt(address{partition, name})
	if c == nil {
		return 0, false
	}
	if x.last.class != c || x.last.key != key {
		sum := x.sum(key)
		id, ok := x.lookup(c, key, x.hash(c, sum))
		x.last = found{c, key, sum, id, ok}
	}
	return x.last.id, x.last.ok
}

// sumOf is the sum of a key that was perhaps just looked for.
func (x *index) sumOf(key string) uint64 {
	if x.last.class != nil && x.last.key == key {
		return x.last.sum
	}
	return x.sum(key)
}

// seconds are those of t since 1970, at most what 32 bits hold, at least 1; 0 for
// the zero time.
func seconds(t time.Time, up bool) uint32 {
	if t.IsZero() {
		return 0
	}
	s := t.Unix()
	if up && t.Nanosecond() > 0 {
		s++
	}
	return uint32(min(max(s, 1), 1<<32-2))
}

// put makes r, whose key has this sum, the record of its address, and returns the
// entry as it was before. sorted says that it is to be found in its set at once;
// build does it later.
func (x *index) put(r *store.Record, sum uint64, at place, size int, sorted bool) (before entry) {
	c := x.classOf(address{r.Partition, r.Class})
	h := x.hash(c, sum)
	id, ok := x.last.id, x.last.ok
	if x.last.class != c || x.last.key != r.Key {
		id, ok = x.lookup(c, r.Key, h)
	}
	x.last = found{}
	if ok {
		before = *x.entries.at(id)
	} else {
		id = x.newEntry(h, r.Key)
	}
	e := x.entries.at(id)
	n := x.setOf(c, r.State)
	if sorted && e.set != n {
		if e.set != 0 {
			x.removeFrom(e.set, id, r.Key)
		}
		x.sets[n-1].order.insert(x, id, r.Key)
	}
	e.set, e.place, e.size = n, at, uint32(size) //nolint:gosec // store.MaxValue bounds it
	e.group = x.groupHash(r.Group)
	if due := seconds(r.Due, false); due != e.due {
		e.due = due
		x.due.add(due, id)
	}
	if expires := seconds(r.Expires, true); expires != e.expires {
		e.expires = expires
		x.expires.add(expires, id)
	}
	return before
}

func (x *index) groupHash(group string) uint32 {
	return uint32(maphash.String(x.seed, group)) //nolint:gosec // a part of it is enough
}

func (x *index) newEntry(h uint64, key string) uint32 {
	var id uint32
	if x.free != 0 {
		id = x.free - 1
		x.free = x.entries.at(id).key
	} else {
		id = x.entries.add()
	}
	*x.entries.at(id) = entry{key: x.keys.add(key)}
	x.live++
	x.shardInsert(h, id)
	return id
}

// remove forgets a record.
func (x *index) remove(id uint32, sorted bool) (before entry) {
	x.last = found{}
	e := x.entries.at(id)
	before = *e
	c := x.sets[e.set-1].class
	key := x.keys.get(e.key)
	x.shardRemove(x.hash(c, x.sum(key)), id)
	if sorted {
		x.removeFrom(e.set, id, key)
	}
	x.keys.remove(e.key)
	*e = entry{key: x.free}
	x.free = id + 1
	x.live--
	return before
}

// over is true when more was put than there is room for: nothing of the index may be
// used any more.
func (x *index) over() bool { return x.live > x.most || x.keys.over() }

// classAt is the class of an address, nil where there is none.
func (x *index) classAt(a address) *class {
	if c := x.recent; c != nil && c.address == a {
		return c
	}
	return x.classes[a]
}

// classOf is classAt, and makes the class.
func (x *index) classOf(a address) *class {
	c := x.classAt(a)
	if c == nil {
		x.born++
		a = address{strings.Clone(a.partition), strings.Clone(a.class)}
		c = &class{address: a, number: x.born, sets: map[string]uint32{}}
		x.classes[a] = c
	}
	x.recent = c
	return c
}

func (x *index) setOf(c *class, state string) uint32 {
	if n := c.sets[state]; n != 0 {
		return n
	}
	state = strings.Clone(state)
	var n uint32
	if last := len(x.unused) - 1; last >= 0 {
		n = x.unused[last]
		x.unused = x.unused[:last]
		x.sets[n-1] = set{class: c, state: state}
	} else {
		x.sets = append(x.sets, set{class: c, state: state})
		n = uint32(len(x.sets)) //nolint:gosec // no more than entries
	}
	c.sets[state] = n
	return n
}

// removeFrom takes a record out of its set, and forgets a set and a class that
// have none left.
func (x *index) removeFrom(n, id uint32, key string) {
	s := &x.sets[n-1]
	s.order.remove(x, id, key)
	if s.order.n == 0 {
		x.drop(n)
	}
}

func (x *index) drop(n uint32) {
	s := &x.sets[n-1]
	c := s.class
	delete(c.sets, s.state)
	s.order.release(x)
	*s = set{}
	x.unused = append(x.unused, n)
	if len(c.sets) == 0 {
		delete(x.classes, c.address)
		x.recent = nil
	}
}

// keyOf is the key of an entry.
func (x *index) keyOf(id uint32) string { return x.keys.get(x.entries.at(id).key) }
