package journalstore

import (
	"hash/maphash"
	"unsafe"
)

// The hash table is in shards, each of which grows by itself: so that no writer
// waits for all of it.
const (
	shardBits  = 10
	shardCount = 1 << shardBits
	firstSlots = 16
	tagBits    = 32 - idBits
	tagMask    = 1<<tagBits - 1
)

// shard is open addressing over slots: 1 + the number of an entry, and above it
// a few more bits of the hash. 0 is an empty slot.
type shard struct {
	slots []uint32
	used  int
	bytes []byte // that the slots are in, where they are the system's
}

// largeSlots is from how many slots on they are memory of the system's.
const largeSlots = 4096

func makeSlots(n int) (slots []uint32, bytes []byte) {
	if n < largeSlots {
		return make([]uint32, n), nil
	}
	b := allocate(4 * n)
	return unsafe.Slice((*uint32)(unsafe.Pointer(&b[0])), n), b //nolint:gosec // so long, and aligned to a page
}

func (s *shard) release() {
	if s.bytes != nil {
		release(s.bytes)
	}
	*s = shard{}
}

// sum is that of a key, whatever its class.
func (x *index) sum(key string) uint64 { return maphash.String(x.seed, key) }

func (x *index) hash(c *class, sum uint64) uint64 {
	h := sum + uint64(c.number)*0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return h ^ h>>32
}

// A hash is taken apart: the shard, the tag, and where to begin in the shard.
func shardOf(h uint64) int { return int(h >> (64 - shardBits)) }

func tagOf(h uint64) uint32             { return uint32(h>>(64-shardBits-tagBits)) & tagMask << idBits }
func (s *shard) start(h uint64) int     { return int(uint32(h)) & (len(s.slots) - 1) } //nolint:gosec // the lower half is meant
func (s *shard) after(i int) int        { return (i + 1) & (len(s.slots) - 1) }
func slotID(slot uint32) (id uint32)    { return slot&(1<<idBits-1) - 1 }
func slotOf(h uint64, id uint32) uint32 { return tagOf(h) | (id + 1) }

// touch has the slots of many records come into the processor's cache together:
// one after the other each would be waited for.
func (x *index) touch(some []listed) {
	for i := range some {
		r := &some[i].record
		c := x.classAt(address{r.Partition, r.Class})
		if c == nil {
			continue // it may not come to be: of some only deletes are left
		}
		h := x.hash(c, some[i].sum)
		if s := &x.shards[shardOf(h)]; len(s.slots) > 0 {
			x.touched += s.slots[s.start(h)]
		}
	}
}

// lookup gives the entry of a key, whose hash is h.
func (x *index) lookup(c *class, key string, h uint64) (uint32, bool) {
	s := &x.shards[shardOf(h)]
	if len(s.slots) == 0 {
		return 0, false
	}
	tag := tagOf(h)
	for i := s.start(h); s.slots[i] != 0; i = s.after(i) {
		if s.slots[i]&(tagMask<<idBits) != tag {
			continue
		}
		id := slotID(s.slots[i])
		if e := x.entries.at(id); x.sets[e.set-1].class == c && x.keys.is(e.key, key) {
			return id, true
		}
	}
	return 0, false
}

func (x *index) shardInsert(h uint64, id uint32) {
	s := &x.shards[shardOf(h)]
	if s.used*3 >= len(s.slots)*2 {
		x.growShard(s)
	}
	s.insert(h, id)
	s.used++
}

func (s *shard) insert(h uint64, id uint32) {
	i := s.start(h)
	for s.slots[i] != 0 {
		i = s.after(i)
	}
	s.slots[i] = slotOf(h, id)
}

// expect makes room for so many records, while there are none: to grow later
// means to look at all keys again.
func (x *index) expect(n int) {
	slots := firstSlots
	for slots*shardCount*2 < n*3 {
		slots *= 2
	}
	if slots == firstSlots {
		return
	}
	for i := range x.shards {
		x.shards[i].slots, x.shards[i].bytes = makeSlots(slots)
	}
}

func (x *index) growShard(s *shard) {
	old := *s
	s.slots, s.bytes = makeSlots(max(firstSlots, 2*len(old.slots)))
	for _, slot := range old.slots {
		if slot != 0 {
			id := slotID(slot)
			s.insert(x.hashOf(id), id)
		}
	}
	old.release()
}

// hashOf is the hash of an entry that is in the table.
func (x *index) hashOf(id uint32) uint64 {
	e := x.entries.at(id)
	return x.hash(x.sets[e.set-1].class, x.sum(text(x.keys.raw(e.key))))
}

// shardRemove empties the slot of an entry, and closes the gap: whatever follows
// it and would not be found any more moves up.
func (x *index) shardRemove(h uint64, id uint32) {
	s := &x.shards[shardOf(h)]
	gap := s.start(h)
	for slotID(s.slots[gap]) != id {
		gap = s.after(gap)
	}
	for i := s.after(gap); s.slots[i] != 0; i = s.after(i) {
		home := s.start(x.hashOf(slotID(s.slots[i])))
		if (i-home)&(len(s.slots)-1) >= (i-gap)&(len(s.slots)-1) {
			s.slots[gap] = s.slots[i]
			gap = i
		}
	}
	s.slots[gap] = 0
	s.used--
}
