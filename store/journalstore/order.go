package journalstore

import (
	"cmp"
	"slices"
	"sort"
	"unsafe"
)

// item is a record in a set: the beginning of its key, which settles most
// comparisons without a look at the key itself, and its entry.
type item struct{ prefix, id uint32 }

const pageItems = 256

type page [pageItems]item

// pages are the memory of all sets.
type pages struct {
	array[page]

	free []uint32
}

func (p *pages) take() uint32 {
	if last := len(p.free) - 1; last >= 0 {
		n := p.free[last]
		p.free = p.free[:last]
		return n
	}
	return p.add()
}

// block is a part of a set: some items that follow each other.
type block struct {
	first item
	page  uint32
	n     int32
}

// order is a set's items in the order of their keys, in blocks of at most a page.
type order struct {
	blocks []block
	n      int
}

// text is b as a string, good until b is written again.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } //nolint:gosec // used before the next key is read

// prefixOf is the first four bytes of a key; zeros where it is shorter.
func prefixOf(key string) (p uint32) {
	for i := range 4 {
		p <<= 8
		if i < len(key) {
			p |= uint32(key[i])
		}
	}
	return p
}

// compare orders an item against a key.
func (x *index) compare(it item, prefix uint32, key string) int {
	if it.prefix != prefix {
		return cmp.Compare(it.prefix, prefix)
	}
	return x.keys.compare(x.entries.at(it.id).key, key)
}

// seek is the place of the first item that is not before key.
func (o *order) seek(x *index, key string) (b, i int) {
	prefix := prefixOf(key)
	b = sort.Search(len(o.blocks), func(b int) bool { return x.compare(o.blocks[b].first, prefix, key) > 0 }) - 1
	if b < 0 {
		return 0, 0
	}
	pg := x.pages.at(o.blocks[b].page)
	n := int(o.blocks[b].n)
	i = sort.Search(n, func(i int) bool { return x.compare(pg[i], prefix, key) >= 0 })
	if i == n {
		return b + 1, 0
	}
	return b, i
}

func (o *order) insert(x *index, id uint32, key string) {
	o.n++
	it := item{prefixOf(key), id}
	if len(o.blocks) == 0 {
		o.blocks = append(o.blocks, block{page: x.pages.take()})
		o.blocks[0].put(x, 0, it)
		return
	}
	b, i := o.seek(x, key)
	if b > 0 && i == 0 { // rather at the end of the block before
		b--
		i = int(o.blocks[b].n)
	}
	if o.blocks[b].n == pageItems {
		o.split(x, b)
		if n := int(o.blocks[b].n); i > n {
			b, i = b+1, i-n
		}
	}
	o.blocks[b].put(x, i, it)
}

func (b *block) put(x *index, i int, it item) {
	pg := x.pages.at(b.page)
	copy(pg[i+1:b.n+1], pg[i:b.n])
	pg[i] = it
	b.n++
	b.first = pg[0]
}

// split makes two blocks of one. Where it is the last, few move: keys often come
// in their order.
func (o *order) split(x *index, b int) {
	n := int32(pageItems / 2)
	if b == len(o.blocks)-1 {
		n = pageItems - 16
	}
	next := block{page: x.pages.take(), n: o.blocks[b].n - n}
	from, to := x.pages.at(o.blocks[b].page), x.pages.at(next.page)
	copy(to[:next.n], from[n:o.blocks[b].n])
	next.first = to[0]
	o.blocks[b].n = n
	o.blocks = slices.Insert(o.blocks, b+1, next)
}

func (o *order) remove(x *index, id uint32, key string) {
	b, i := o.seek(x, key)
	blk := &o.blocks[b]
	pg := x.pages.at(blk.page)
	if pg[i].id != id {
		panic("journalstore: a set lost a record")
	}
	copy(pg[i:blk.n-1], pg[i+1:blk.n])
	blk.n--
	o.n--
	if blk.n > 0 {
		blk.first = pg[0]
		return
	}
	x.pages.free = append(x.pages.free, blk.page)
	o.blocks = slices.Delete(o.blocks, b, b+1)
}

func (o *order) release(x *index) {
	for _, b := range o.blocks {
		x.pages.free = append(x.pages.free, b.page)
	}
	*o = order{}
}

// cursor goes through an order.
type cursor struct {
	o    *order
	b, i int
}

func (c *cursor) item(x *index) (item, bool) {
	if c.b >= len(c.o.blocks) {
		return item{}, false
	}
	return x.pages.at(c.o.blocks[c.b].page)[c.i], true
}

func (c *cursor) next() {
	if c.i++; c.i == int(c.o.blocks[c.b].n) {
		c.b, c.i = c.b+1, 0
	}
}
