package rule

import (
	"sort"
	"strings"
	"unsafe"
)

// Table is a compiled set of rules. It does not change, and is safe for
// concurrent use.
type Table struct {
	rules     int // as they were added
	entries   entries
	chains    map[uint32][]uint32 // by the first, entries of one key by rank
	attrs     []*attrs
	heads     []head // of attrs
	files     []string
	counts    []int             // rules of each file
	modes     []Mode            // of each file
	names     map[uint32]string // by rule
	notes     map[uint32]string
	hosts     hosts
	exact     index
	spaces    []space // of exact rules
	prefixes  prefixes
	byQuery   bool // there are exact rules with parameters
	byRaw     bool // and with a whole query
	tree      tree
	regexps   regexps
	canonical canonical
	work      int  // see Match.spend
	staged    bool // a rule is not enforced
}

// Len is how many rules there are.
func (t *Table) Len() int { return t.rules }

// Size is about how much memory the rules with a fixed path and target take, in
// bytes. It is memory without pointers, which the garbage collector does not
// read.
func (t *Table) Size() int64 {
	size := int64(8 * len(t.exact.slots))
	for _, piece := range t.entries.pieces {
		size += int64(len(piece))
	}
	for _, spots := range t.entries.spots {
		size += int64(4 * cap(spots))
	}
	return size
}

// entry is a rule under one host. The text of its path, query and target stands
// right behind it in memory, so that a lookup that hits reads one place beside
// the index: a place that is not in the caches of the CPU costs more than all
// else. What the rule shares with others is in attrs.
type entry struct {
	n                   uint32 // its own number
	attr                uint32
	line                uint32
	rule                uint32 // as they were added, from 0
	path, query, target uint16 // bytes
	more                bool   // of the same key; then Table.chains has all of them
}

// entrySize is without what pads it.
const entrySize = int(unsafe.Offsetof(entry{}.more)) + 1

// text is of the bytes behind e, not a copy: they are written once, before.
func (e *entry) text(off, n uint16) string {
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(e), entrySize+int(off))), int(n)) //nolint:gosec // entries.add made room for all three
}

func (t *Table) pathOf(e *entry) string   { return e.text(0, e.path) }
func (t *Table) queryOf(e *entry) string  { return e.text(e.path, e.query) }
func (t *Table) targetOf(e *entry) string { return e.text(e.path+e.query, e.target) }

// attrs is what many rules have in common. An own one belongs to one rule, and
// has all of it.
type attrs struct {
	proto Rule // without Path, Target, Name, Note and line, unless own
	own   bool
	file  uint32
	mode  Mode

	c           *compiled
	host        uint32
	rank        uint64
	conditional bool
	headers     []string // that the rule looks at, for Vary
	// cacheControl is that of a permanent answer which always holds.
	cacheControl string
}

// head is what every lookup reads of attrs. It is apart, so that those of many
// rules are close together.
type head struct {
	rank  uint64
	host  uint32
	space space
	plain bool // nothing has to hold but path and host, and the rule is enforced
}

// entries are in memory without pointers, which comes in pieces, so that growing
// copies nothing and collecting garbage reads nothing.
type entries struct {
	pieces [][]byte
	used   int        // bytes of the last piece
	spots  [][]uint32 // by number
	n      int
}

// spot is where an entry is: the piece, and in the lower bits the word in it.
type spot = uint32

const (
	pieceBits = 20 // bytes of a piece
	wordBits  = 2
	spotBits  = pieceBits - wordBits
	firstSize = 64 << 10 // of the first piece: most tables are small
	maxPieces = 1<<(32-spotBits) - 1
	// The numbers come in pieces, too.
	numberBits = 14
)

// at is entry number i.
func (e *entries) at(i uint32) *entry { return e.in(e.spot(i)) }

func (e *entries) spot(i uint32) spot { return e.spots[i>>numberBits][i&(1<<numberBits-1)] }

func (e *entries) in(p spot) *entry {
	return (*entry)(unsafe.Pointer(&e.pieces[p>>spotBits][p&(1<<spotBits-1)<<wordBits])) //nolint:gosec // add put it there
}

// add appends an entry, which gets a number, with its texts of at most 64 KiB.
func (e *entries) add(x entry, path, query, target string) {
	x.n = uint32(e.n)                                                                      //nolint:gosec // MaxRules bounds it
	x.path, x.query, x.target = uint16(len(path)), uint16(len(query)), uint16(len(target)) //nolint:gosec // see above
	p := e.room(entrySize + len(path) + len(query) + len(target))
	at := e.in(p)
	*at = x
	text := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(at), entrySize)), len(path)+len(query)+len(target)) //nolint:gosec // room was made for them
	copy(text[copy(text, path):][copy(text[len(path):], query):], target)
	if e.n&(1<<numberBits-1) == 0 {
		e.spots = append(e.spots, make([]uint32, 0, 1<<numberBits))
	}
	last := &e.spots[len(e.spots)-1]
	*last = append(*last, p)
	e.n++
}

// room makes place for n bytes in one piece.
func (e *entries) room(n int) spot {
	n = (n + 1<<wordBits - 1) &^ (1<<wordBits - 1)
	last := len(e.pieces) - 1
	if last < 0 || e.used+n > len(e.pieces[last]) {
		size := 1 << pieceBits
		if last < 0 {
			size = firstSize
		}
		e.pieces = append(e.pieces, make([]byte, max(size, n)))
		e.used = 0
		last++
	}
	p := spot(last<<spotBits | e.used>>wordBits) //nolint:gosec // full bounds it
	e.used += n
	return p
}

// full reports whether there is no room for n more.
func (e *entries) full(n int) bool { return e.n+n > MaxRules || len(e.pieces) >= maxPieces-n }

// hosts are the host names of the rules. Number 0 is every host.
type hosts struct {
	exact, below map[string]uint32 // names, and domains of "*."
	names        []string          // as rules write them
}

func (h *hosts) number(host string) uint32 {
	if host == "" {
		return 0
	}
	host = plainHost(strings.ToLower(host))
	set, name := &h.exact, host
	if domain, ok := strings.CutPrefix(host, "*."); ok {
		set, name = &h.below, domain
	}
	if n, ok := (*set)[name]; ok {
		return n
	}
	if *set == nil {
		*set = map[string]uint32{}
	}
	if len(h.names) == 0 {
		h.names = []string{""}
	}
	n := uint32(len(h.names)) //nolint:gosec // at most MaxRules * MaxList
	h.names = append(h.names, host)
	(*set)[name] = n
	return n
}

func (h *hosts) name(n uint32) string {
	if n == 0 {
		return ""
	}
	return h.names[n]
}

// appendTo appends the numbers that count for a host, the best first.
func (h *hosts) appendTo(dst []uint32, host string) []uint32 {
	if len(h.exact) > 0 {
		if n, ok := h.exact[host]; ok {
			dst = append(dst, n)
		}
	}
	if len(h.below) > 0 && !strings.HasPrefix(host, "[") {
		for i := range len(host) {
			if host[i] != '.' || i == 0 {
				continue
			}
			if n, ok := h.below[host[i+1:]]; ok {
				dst = append(dst, n)
			}
		}
	}
	return append(dst, 0)
}

// entryOf is the first entry of a rule.
func (t *Table) entryOf(rule uint32) *entry {
	if t.entries.n == t.rules { // no rule has several hosts
		return t.entries.at(rule)
	}
	i := sort.Search(t.entries.n, func(i int) bool { return t.entries.at(uint32(i)).rule >= rule }) //nolint:gosec // less than n
	return t.entries.at(uint32(i))                                                                  //nolint:gosec // less than n
}

// Rule is rule i, from 0 in the order in which they were added, as it was
// written but for the spelling of its path. It makes copies.
func (t *Table) Rule(i int) Rule {
	e := t.entryOf(uint32(i)) //nolint:gosec // the caller's index is less than Len
	a := t.attrs[e.attr]
	r := a.proto
	r.Pos.File, r.Pos.Line = t.files[a.file], int(e.line)
	if a.own {
		return r
	}
	r.Path = t.writtenPath(e, a)
	r.Query = parseQueryText(t.queryOf(e))
	r.Target = strings.Clone(t.targetOf(e))
	r.Name, r.Note = t.names[e.rule], t.notes[e.rule]
	return r
}

func (t *Table) writtenPath(e *entry, a *attrs) string {
	path := t.pathOf(e)
	if a.c.space&spaceDecoded == 0 {
		return strings.Clone(path)
	}
	b := appendEncoded(nil, path, encPath, false)
	return strings.ReplaceAll(string(b), "*", "%2A")
}

// pos is where a rule was written, without making copies.
func (t *Table) pos(rule uint32) Position {
	e := t.entryOf(rule)
	a := t.attrs[e.attr]
	p := Position{File: t.files[a.file], Line: int(e.line)}
	if a.own {
		p.Column = a.proto.Pos.Column
	}
	return p
}
