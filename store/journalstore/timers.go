package journalstore

import (
	"maps"
	"slices"
)

// How many seconds fall together in one bucket of each kind.
const (
	dueWidth     = 4
	expiresWidth = 64
)

// timers are entries by a moment, in buckets. An entry that gets another moment
// stays in its old bucket until somebody looks there: what a bucket says is true
// only if the entry says so, too.
type timers struct {
	width   uint32
	buckets map[uint32]uint32 // 1 + the first links
	links   array[links]
	free    uint32 // 1 + the first free links
}

// links is a piece of a bucket's list.
type links struct {
	ids  [62]uint32
	n    uint32
	next uint32 // 1 + its number
}

func (t *timers) release() {
	t.links.release()
	*t = timers{width: t.width}
}

func (t *timers) add(second, id uint32) {
	if second == 0 {
		return
	}
	if t.buckets == nil {
		t.buckets = map[uint32]uint32{}
	}
	b := second / t.width
	first := t.buckets[b]
	if first == 0 || t.links.at(first-1).n == uint32(len(links{}.ids)) {
		first = t.take(first)
		t.buckets[b] = first
	}
	l := t.links.at(first - 1)
	l.ids[l.n] = id
	l.n++
}

func (t *timers) take(next uint32) uint32 {
	n := t.free
	if n != 0 {
		t.free = t.links.at(n - 1).next
	} else {
		n = t.links.add() + 1
	}
	*t.links.at(n - 1) = links{next: next}
	return n
}

// drain empties a bucket, at most so many entries of it at a time, and returns
// them. What is due then must be added again.
func (t *timers) drain(b uint32, most int) (ids []uint32) {
	for first := t.buckets[b]; first != 0 && len(ids) < most; {
		l := t.links.at(first - 1)
		ids = append(ids, l.ids[:l.n]...)
		next := l.next
		l.next, t.free = t.free, first
		if first = next; first == 0 {
			delete(t.buckets, b)
		} else {
			t.buckets[b] = first
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// upTo are the buckets that begin before a moment, the earliest first.
func (t *timers) upTo(second uint32) []uint32 {
	var out []uint32
	for b := range maps.Keys(t.buckets) {
		if uint64(b)*uint64(t.width) < uint64(second) {
			out = append(out, b)
		}
	}
	slices.Sort(out)
	return out
}
