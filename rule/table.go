package rule

import (
	"hash/maphash"
	"math/bits"
	"sort"
	"strings"
	"unsafe"
)

// Table is a compiled set of rules. It does not change, and is safe for
// concurrent use.
type Table struct {
	rules     int // as they were added
	entries   entries
	text      arena
	attrs     []*attrs
	files     []string
	names     map[uint32]string // by rule
	notes     map[uint32]string
	hosts     hosts
	exact     index
	spaces    []space // of exact rules
	byQuery   bool    // there are exact rules with parameters
	byRaw     bool    // and with a whole query
	tree      tree
	regexps   regexps
	canonical canonical
	staged    bool // a rule is not enforced
}

// Len is how many rules there are.
func (t *Table) Len() int { return t.rules }

// entry is a rule under one host. Most are an exact path and a target, whose
// text is in the arena; what they share with others is in attrs.
type entry struct {
	off                 uint32 // in the arena: path, query, target
	path, query, target uint16 // bytes
	attr                uint32
	line                uint32
	rule                uint32 // as they were added, from 0
	next                uint32 // with the same key, 1 + its number; 0: none
}

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
}

// Entries come in pieces, so that growing copies nothing.
const entryBits = 14

type entries struct {
	pieces [][]entry
	n      int
}

func (e *entries) at(i uint32) *entry { return &e.pieces[i>>entryBits][i&(1<<entryBits-1)] }

func (e *entries) add(x entry) uint32 {
	i := e.n
	if i&(1<<entryBits-1) == 0 {
		e.pieces = append(e.pieces, make([]entry, 0, 1<<entryBits))
	}
	last := &e.pieces[len(e.pieces)-1]
	*last = append(*last, x)
	e.n++
	return uint32(i) //nolint:gosec // MaxRules bounds it
}

// arena holds text without pointers. What is added stays where it is.
const arenaBits = 20

type arena struct{ pieces [][]byte }

// room makes place for n bytes in one piece, n at most 1 MiB.
func (a *arena) room(n int) (piece *[]byte, off uint32) {
	if last := len(a.pieces) - 1; last >= 0 && len(a.pieces[last])+n <= 1<<arenaBits {
		return &a.pieces[last], uint32(last<<arenaBits | len(a.pieces[last])) //nolint:gosec // Builder.Add bounds the arena at 4 GiB
	}
	a.pieces = append(a.pieces, make([]byte, 0, 1<<arenaBits))
	last := len(a.pieces) - 1
	return &a.pieces[last], uint32(last << arenaBits) //nolint:gosec // as above
}

// at is the text itself, not a copy: the arena never changes what it holds.
func (a *arena) at(off uint32, n uint16) string {
	if n == 0 {
		return ""
	}
	return unsafe.String(&a.pieces[off>>arenaBits][off&(1<<arenaBits-1)], int(n)) //nolint:gosec // bytes of a piece are written once, before the string is made
}

func (t *Table) pathOf(e *entry) string  { return t.text.at(e.off, e.path) }
func (t *Table) queryOf(e *entry) string { return t.text.at(e.off+uint32(e.path), e.query) }
func (t *Table) targetOf(e *entry) string {
	return t.text.at(e.off+uint32(e.path)+uint32(e.query), e.target)
}

// index finds entries by hash: open addressing over 64-bit slots, half of each
// the hash again and half 1 + the number of an entry.
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

// find calls yes with the entries that may be of this hash until it is true.
func (x *index) find(hash uint64, yes func(uint32) bool) (uint32, bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	tag := hash << 32
	for i := x.start(hash); x.slots[i] != 0; {
		if slot := x.slots[i]; slot&^0xffffffff == tag {
			if n := uint32(slot) - 1; yes(n) {
				return n, true
			}
		}
		if i++; i == len(x.slots) {
			i = 0
		}
	}
	return 0, false
}

// insert puts an entry where its hash says, and returns the slot.
func (x *index) insert(hash uint64, n uint32) int {
	i := x.start(hash)
	for x.slots[i] != 0 {
		if i++; i == len(x.slots) {
			i = 0
		}
	}
	x.slots[i] = hash<<32 | uint64(n+1)
	return i
}

// hosts are the host names of the rules. Number 0 is every host.
type hosts struct {
	exact, below map[string]uint32 // names, and domains of "*."
	names        []string          // as rules write them
}

func (h *hosts) number(host string) uint32 {
	if host == "" {
		return 0
	}
	host = strings.ToLower(host)
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
