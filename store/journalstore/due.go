package journalstore

import (
	"context"
	"slices"
	"strings"

	"github.com/seeother/seeother/store/internal/contract"
)

// gatherDue finds the records of the next second in which some are due. Only the
// file knows more than the second: see inOrder.
func (w *walk) gatherDue() (more bool) {
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
				return false
			}
			w.second = second + 1
			if w.found = w.holdSecond(ids[from:], second); len(w.found) > 0 {
				return true
			}
		}
	}
	return false
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

// inOrder gives what was found of one second in the order of due time and key,
// without what came before. It keeps no value: of one second there may be many.
func (w *walk) inOrder(ctx context.Context) ([]seen, error) {
	type placed struct {
		seen

		at contract.Position
	}
	var all []placed
	for _, f := range w.found {
		r, err := f.read(ctx)
		if err != nil {
			return nil, err
		}
		if at := contract.PositionOf(w.q, &r); !w.started || at.Compare(w.after) > 0 {
			all = append(all, placed{f, at})
		}
	}
	slices.SortFunc(all, func(a, b placed) int { return a.at.Compare(b.at) })
	order := make([]seen, 0, len(all))
	for _, p := range all {
		order = append(order, p.seen)
	}
	return order, nil
}
