package hits

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Chunks is over how many records the rules are spread at most.
const (
	chunkBits = 10
	Chunks    = 1 << chunkBits
)

// Days after which a gateway says again that a rule is still there, and after
// which one that no gateway has any more is forgotten.
const (
	sayAgain = 30
	forget   = 400
)

// entry is what is remembered of one rule. Days are those since 1970 in UTC.
type entry struct {
	id    uint64
	first uint32 // the day since which its hits are counted
	seen  uint32 // a day on which it was still in a table
	last  uint32 // the day of its last hit; 0: none
	hits  uint64
}

// chunkOf is the number of the record that holds a rule.
func chunkOf(id uint64) int { return int(id >> (64 - chunkBits)) }

// keyOf is the key of that record. The order of keys is that of ids.
func keyOf(chunk int) string { return fmt.Sprintf("%03x", chunk) }

// update is what a gateway has to say about a rule.
type update struct {
	id   uint64
	hits uint64
}

// merge puts updates into the entries of a chunk; both are in the order of
// their ids. changed is false where nothing is new.
func merge(entries []entry, updates []update, today uint32) (out []entry, changed bool) {
	out = make([]entry, 0, len(entries)+len(updates))
	for len(entries) > 0 || len(updates) > 0 {
		var e entry
		if len(updates) == 0 || len(entries) > 0 && entries[0].id <= updates[0].id {
			e, entries = entries[0], entries[1:]
		} else {
			e, changed = entry{id: updates[0].id, first: today, seen: today}, true
		}
		mine := false
		for ; len(updates) > 0 && updates[0].id == e.id; updates = updates[1:] { // a rule may stand there twice
			mine = true
			changed = e.take(updates[0].hits, today) || changed
		}
		if !mine && max(e.seen, e.last)+forget < today {
			changed = true
			continue
		}
		out = append(out, e)
	}
	return out, changed
}

// take adds hits of today.
func (e *entry) take(hits uint64, today uint32) (changed bool) {
	if hits > 0 {
		e.hits += hits
		e.last = max(e.last, today)
		changed = true
	}
	if e.seen+sayAgain <= today {
		e.seen = today
		changed = true
	}
	return changed
}

const chunkVersion = 1

// encode is the value of a record: a version, the number of entries, and each
// as differences in varints.
func encode(entries []entry) []byte {
	out := make([]byte, 0, 8+14*len(entries))
	out = append(out, chunkVersion)
	out = binary.AppendUvarint(out, uint64(len(entries)))
	before := uint64(0)
	for _, e := range entries {
		out = binary.AppendUvarint(out, e.id-before)
		out = binary.AppendUvarint(out, uint64(e.first))
		out = binary.AppendUvarint(out, uint64(e.seen))
		out = binary.AppendUvarint(out, uint64(e.last))
		out = binary.AppendUvarint(out, e.hits)
		before = e.id
	}
	return out
}

var errChunk = errors.New("the record is damaged, or of a later version")

// decode reads what encode wrote, and appends it to dst.
func decode(dst []entry, value []byte) ([]entry, error) {
	if len(value) == 0 || value[0] != chunkVersion {
		return dst, errChunk
	}
	value = value[1:]
	n, value, ok := uvarint(value)
	if !ok || n > uint64(len(value))/5 { // no entry is shorter
		return dst, errChunk
	}
	dst = slices.Grow(dst, int(n)) //nolint:gosec // bounded by the value's length
	id := uint64(0)
	for i := range n {
		var fields [5]uint64
		for j := range fields {
			if fields[j], value, ok = uvarint(value); !ok || j > 0 && j < 4 && fields[j] > 1<<31 {
				return dst, errChunk
			}
		}
		if i > 0 && id+fields[0] <= id {
			return dst, errChunk // not in order
		}
		id += fields[0]
		dst = append(dst, entry{id, uint32(fields[1]), uint32(fields[2]), uint32(fields[3]), fields[4]}) //nolint:gosec // looked at above
	}
	if len(value) > 0 {
		return dst, errChunk
	}
	return dst, nil
}

func uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
