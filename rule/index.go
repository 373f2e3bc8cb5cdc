package rule

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"slices"
)

// index finds entries by hash: open addressing over 64-bit slots, half of each
// the hash again and half 1 + the spot of an entry.
type index struct {
	slots []uint64
	seed  maphash.Seed
}

// hashOf mixes a text with the space and host that it is looked up in.
func (x *index) hashOf(s space, host uint32, text string) uint64 {
	return mix(maphash.String(x.seed, text) + uint64(host)<<8 + uint64(s) + 1)
}

// mix spreads what was added up (the finalizer of SplitMix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func (x *index) start(hash uint64) int {
	hi, _ := bits.Mul64(hash, uint64(len(x.slots)))
	return int(hi) //nolint:gosec // less than len
}

// after is the slot to look at next.
func (x *index) after(slot int) int {
	if slot++; slot == len(x.slots) {
		return 0
	}
	return slot
}

// kinds counts entries by their kind.
type kinds [kindRegexp + 1]int

// index makes the hash indexes of exact rules and of prefixes.
func (t *Table) index(kinds *kinds, breath *breather) {
	t.spaces = t.spacesOf(kindQuery, kindExact)
	t.exact.make(kinds[kindQuery] + kinds[kindExact])
	t.prefixes.spaces = t.spacesOf(kindPrefix)
	t.prefixes.make(kinds[kindPrefix])
	var counts map[uint64]uint32
	if kinds[kindQuery] > 0 {
		counts = t.countParameters(breath)
	}
	exact, prefixes := inserter{t: t, x: &t.exact}, inserter{t: t, x: &t.prefixes.index}
	for i := range uint32(t.entries.n) { //nolint:gosec // MaxRules bounds it
		breath.breathe()
		e := t.entries.at(i)
		switch a := t.attrs[e.attr]; a.c.kind {
		case kindQuery, kindExact:
			exact.add(i, t.exactHash(e, a, counts))
		case kindPrefix:
			prefixes.add(i, t.prefixes.hash(t.pathOf(e), a))
		case kindPattern, kindRegexp:
		}
	}
	exact.flush()
	prefixes.flush()
	for _, chain := range t.chains {
		t.sortByRank(chain)
	}
}

// spacesOf are those that rules of some kinds have.
func (t *Table) spacesOf(kinds ...kind) []space {
	var used [spaces]bool
	for _, a := range t.attrs {
		used[a.c.space] = used[a.c.space] || slices.Contains(kinds, a.c.kind)
	}
	var out []space
	for s, has := range used {
		if has {
			out = append(out, space(s))
		}
	}
	return out
}

// make makes room for n entries.
func (x *index) make(n int) {
	if n > 0 {
		x.slots = make([]uint64, n+n/2+1)
	}
}

// inserter adds some entries to the index at a time. It looks at all their slots
// first, so that the CPU fetches them from memory at the same time.
type inserter struct {
	t       *Table
	x       *index
	entries [32]uint32
	hashes  [32]uint64
	n       int
	fetched uint64 // keeps the looks from being left out
}

func (in *inserter) add(i uint32, hash uint64) {
	in.entries[in.n], in.hashes[in.n] = i, hash
	if in.n++; in.n == len(in.entries) {
		in.flush()
	}
}

func (in *inserter) flush() {
	for _, hash := range in.hashes[:in.n] {
		in.fetched ^= in.x.slots[in.x.start(hash)]
	}
	for k, i := range in.entries[:in.n] {
		in.t.insert(in.x, i, in.t.entries.at(i), in.hashes[k])
	}
	in.n = 0
}

// insert adds an entry to the index, or to the chain of those with the same key.
func (t *Table) insert(x *index, i uint32, e *entry, hash uint64) {
	slot := x.start(hash)
	for ; x.slots[slot] != 0; slot = x.after(slot) {
		if x.slots[slot]&^0xffffffff != hash<<32 {
			continue
		}
		if first := t.entries.in(spot(x.slots[slot]) - 1); t.sameKey(e, first) { //nolint:gosec // the lower half is meant
			t.chain(first, i)
			return
		}
	}
	x.slots[slot] = hash<<32 | uint64(t.entries.spot(i)+1)
}

func (t *Table) chain(first *entry, i uint32) {
	if !first.more {
		first.more = true
		if t.chains == nil {
			t.chains = map[uint32][]uint32{}
		}
		t.chains[first.n] = []uint32{first.n}
	}
	t.chains[first.n] = append(t.chains[first.n], i)
}

// sameKey reports whether one lookup finds both. Rules that want the same
// parameter, but differ in others, share a key.
func (t *Table) sameKey(a, b *entry) bool {
	x, y := &t.heads[a.attr], &t.heads[b.attr]
	return x.host == y.host && x.space == y.space && t.pathOf(a) == t.pathOf(b)
}

func (t *Table) sortByRank(list []uint32) {
	slices.SortFunc(list, func(a, b uint32) int {
		x, y := t.entries.at(a), t.entries.at(b)
		return cmp.Or(cmp.Compare(t.attrs[x.attr].rank, t.attrs[y.attr].rank), cmp.Compare(x.rule, y.rule))
	})
}

// exactHash is the key under which an exact rule is found: host and path, and
// for one with parameters the parameter that the fewest others want.
func (t *Table) exactHash(e *entry, a *attrs, counts map[uint64]uint32) uint64 {
	path := t.exact.hashOf(a.c.space, a.host, t.pathOf(e))
	if raw := a.c.rawQuery(); raw != "" && a.own {
		t.byRaw = true
		return t.exact.withQuery(path, raw)
	}
	best, rarest := path, uint32(0)
	for _, p := range t.parametersOf(e, a) {
		t.byQuery = true
		h := t.exact.withParameter(path, p)
		if n := counts[h]; best == path || n < rarest {
			best, rarest = h, n
		}
	}
	return best
}

func (x *index) withQuery(path uint64, raw string) uint64 {
	return mix(path + 2*maphash.String(x.seed, raw) + 1)
}

func (x *index) withParameter(path uint64, p parameter) uint64 {
	h := maphash.String(x.seed, p.name)
	if !p.any {
		h += 3 * maphash.String(x.seed, p.value)
	}
	return mix(path + 4*h + 3)
}

// parametersOf is what an exact rule wants in the query.
func (t *Table) parametersOf(e *entry, a *attrs) []parameter {
	if a.own {
		return a.c.query
	}
	var out []parameter
	for name, value := range parseQueryText(t.queryOf(e)) {
		out = append(out, parameter{name: name, value: value})
	}
	return out
}

// countParameters counts how many rules want each parameter, where there is a choice.
func (t *Table) countParameters(breath *breather) map[uint64]uint32 {
	counts := map[uint64]uint32{}
	for i := range uint32(t.entries.n) { //nolint:gosec // MaxRules bounds it
		breath.breathe()
		e := t.entries.at(i)
		a := t.attrs[e.attr]
		if a.c.kind != kindQuery {
			continue
		}
		params := t.parametersOf(e, a)
		if len(params) < 2 {
			continue
		}
		path := t.exact.hashOf(a.c.space, a.host, t.pathOf(e))
		for _, p := range params {
			counts[t.exact.withParameter(path, p)]++
		}
	}
	return counts
}
