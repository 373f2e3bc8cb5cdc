package rule

import "slices"

// Ranked are the numbers of all rules in the order in which they are tried: in
// a file that is tried in its order, the rules answer the same when they stand
// so. A rule with several hosts counts by the first.
func (t *Table) Ranked() []int {
	out := make([]int, t.Len())
	ranks := make([]uint64, t.Len())
	for i := range out {
		out[i] = i
		ranks[i] = t.attrs[t.entryOf(uint32(i)).attr].rank
	}
	slices.SortFunc(out, func(a, b int) int {
		if better(ranks[a], uint32(a), ranks[b], uint32(b)) { //nolint:gosec // as above
			return -1
		}
		return 1
	})
	return out
}
