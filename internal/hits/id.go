package hits

import (
	"maps"
	"slices"

	"github.com/seeother/seeother/rule"
)

// ID is what a rule is known by: a hash of which requests it is for and what
// they get. Its name, note, place, dates, stage and priority are not in it.
func ID(r *rule.Rule) uint64 {
	h := hash(fnvOffset)
	h.text(r.Scheme)
	h.list(r.Hosts)
	h.text(r.Path)
	h.text(r.Regexp)
	h.flags(r.Decoded, r.IgnoreCase, r.IgnoreSlash, r.QueryExact, r.Legacy, r.Missing)
	h.number(len(r.Query))
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		h.text(name)
		h.text(r.Query[name])
	}
	h.list(r.Methods)
	h.number(len(r.When))
	for _, c := range r.When {
		h.text(c.On)
		h.text(c.Equals)
		h.text(c.Regexp)
		h.flags(c.Empty, c.Not)
	}
	h.text(r.Intent)
	h.number(r.Status)
	h.text(r.Target)
	h.text(r.TargetQuery)
	h.list(r.Only)
	return h.sum()
}

// hash is FNV-1a of 64 bits. Texts go in with their length, so that no two
// rules run together.
type hash uint64

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func (h *hash) byte(b byte) { *h = (*h ^ hash(b)) * fnvPrime }

func (h *hash) number(n int) {
	for range 4 {
		h.byte(byte(n)) //nolint:gosec // the lowest eight bits are meant
		n >>= 8
	}
}

func (h *hash) text(s string) {
	h.number(len(s))
	for i := range len(s) {
		h.byte(s[i])
	}
}

func (h *hash) list(texts []string) {
	h.number(len(texts))
	for _, s := range texts {
		h.text(s)
	}
}

func (h *hash) flags(flags ...bool) {
	n := 0
	for i, f := range flags {
		if f {
			n |= 1 << i
		}
	}
	h.number(n)
}

// sum spreads FNV's weak high bits, by which records are divided (the
// finalizer of SplitMix64).
func (h *hash) sum() uint64 {
	x := uint64(*h)
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
