package journalstore

import (
	"slices"
	"strings"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
)

// gatherDue finds the records of the next second in which some are due. Only the
// file knows more than the second: see inOrder.
func (w *walk) gatherDue() (found []seen, more bool) {
	x := w.s.index
	end := seconds(w.q.DueBefore, false) + 1
	if w.second == 0 && w.started {
		w.second = seconds(w.after.Due, false)
	}
	for _, b := range x.due.upTo(end) {
		if uint64(b+1)*uint64(x.due.width) <= uint64(w.second) {
			continue
		}
		ids := w.s.tidy(b)
		slices.SortFunc(ids, func(a, b uint32) int { return int(x.entries.at(a).due) - int(x.entries.at(b).due) })
		for from := range ids {
			second := x.entries.at(ids[from]).due
			if second < w.second {
				continue
			}
			if second >= end {
				return nil, false
			}
			w.second = second + 1
			if found = w.holdSecond(ids[from:], second); len(found) > 0 {
				return found, true
			}
		}
	}
	return nil, false
}

// holdSecond holds those of ids, which are in order, that are due in a second and
// that the query may select.
func (w *walk) holdSecond(ids []uint32, second uint32) (found []seen) {
	x := w.s.index
	c := x.classes[address{w.q.Partition, w.q.Class}]
	for _, id := range ids {
		e := x.entries.at(id)
		if e.due != second {
			break
		}
		if s := &x.sets[e.set-1]; s.class == c && (w.q.State == "" || s.state == w.q.State) && strings.HasPrefix(x.keyOf(id), w.q.Key) {
			found = append(found, w.s.hold(e))
		}
	}
	return found
}

// tidy gives the entries that are in a bucket of due times, and drops what is
// not true any more. Hold mu.
func (s *Store) tidy(b uint32) []uint32 {
	x := s.index
	ids := slices.DeleteFunc(x.due.drain(b, maxEntries), func(id uint32) bool {
		e := x.entries.at(id)
		return e.set == 0 || e.due == 0 || e.due/x.due.width != b
	})
	for _, id := range ids {
		x.due.add(x.entries.at(id).due, id)
	}
	return ids
}

// inOrder puts records of one second in the order of due time and key, without
// those that came before.
func (w *walk) inOrder(records []store.Record) []store.Record {
	at := func(r *store.Record) contract.Position { return contract.PositionOf(w.q, r) }
	if w.started {
		records = slices.DeleteFunc(records, func(r store.Record) bool { return at(&r).Compare(w.after) <= 0 })
	}
	slices.SortFunc(records, func(a, b store.Record) int { return at(&a).Compare(at(&b)) })
	return records
}
