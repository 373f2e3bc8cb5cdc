package journalstore

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"unsafe"
)

// long is a record that is being put in order: the first eight bytes of its key,
// so that few keys must be looked at, and its entry. It has no field of 64 bits, which
// would make it larger.
type long struct{ high, low, id uint32 }

// build makes the orders of all sets, of which each has so many records.
func (x *index) build(sizes []int) {
	all := 0
	starts := make([]int, len(sizes))
	for i, n := range sizes {
		starts[i] = all
		all += n
	}
	if all == 0 {
		return
	}
	memory := allocate(all * int(unsafe.Sizeof(long{})))
	defer release(memory)
	items := unsafe.Slice((*long)(unsafe.Pointer(&memory[0])), all) //nolint:gosec // it was made for so many
	for id := range uint32(x.entries.n) {                           //nolint:gosec // maxEntries bounds it
		if e := x.entries.at(id); e.set != 0 {
			key := text(x.keys.raw(e.key))
			items[starts[e.set-1]] = long{prefixOf(key), prefixOf(key[min(4, len(key)):]), id}
			starts[e.set-1]++
		}
	}
	for i, n := range sizes {
		if n > 0 {
			x.sets[i].order.fill(x, x.sort(items[starts[i]-n:starts[i]]))
		}
	}
}

// sortAlone is up to how many items sort by themselves: to share them out would
// take longer.
const sortAlone = 1 << 14

// sort puts items in the order of their keys, on all processors, in parts.
func (x *index) sort(items []long) (parts [][]long) {
	n := len(items)
	if n > sortAlone {
		n = (n + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	}
	var all sync.WaitGroup
	for part := range slices.Chunk(items, n) {
		parts = append(parts, part)
		all.Go(func() { slices.SortFunc(part, x.compareLong) })
	}
	all.Wait()
	return parts
}

func (x *index) compareLong(a, b long) int {
	switch {
	case a.high != b.high:
		return cmp.Compare(a.high, b.high)
	case a.low != b.low:
		return cmp.Compare(a.low, b.low)
	}
	return x.keys.compareTwo(x.entries.at(a.id).key, x.entries.at(b.id).key)
}

// fill merges parts into blocks that leave room for what comes next.
func (o *order) fill(x *index, parts [][]long) {
	const fill = pageItems * 3 / 4
	for {
		least := -1
		for i, part := range parts {
			if len(part) > 0 && (least < 0 || x.compareLong(part[0], parts[least][0]) < 0) {
				least = i
			}
		}
		if least < 0 {
			return
		}
		it := item{parts[least][0].high, parts[least][0].id}
		parts[least] = parts[least][1:]
		last := len(o.blocks) - 1
		if last < 0 || o.blocks[last].n == fill {
			o.blocks = append(o.blocks, block{page: x.pages.take()})
			last++
		}
		o.blocks[last].put(x, int(o.blocks[last].n), it)
		o.n++
	}
}
