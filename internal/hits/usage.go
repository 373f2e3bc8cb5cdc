package hits

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"time"

	"github.com/seeother/seeother/store"
)

// Usage is what is known of one rule. Days are their beginning in UTC.
type Usage struct {
	First time.Time // the day since which its hits are counted; zero: not yet
	Last  time.Time // the day of its last hit; zero: none
	Hits  uint64    // since First
}

// Report is the usage of the rules of the table in use, by their index.
type Report struct {
	Now     time.Time // of the store
	ids     []uint64
	entries []entry // in the order of their ids
}

// Report writes down what was counted and reads what all gateways counted.
func (r *Recorder) Report(ctx context.Context) (*Report, error) {
	if err := r.Flush(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	current := r.current
	r.mu.Unlock()
	out := &Report{Now: time.Now()}
	if current == nil {
		return out, nil
	}
	out.ids = current.ids(&pace{breath: breath})
	q := store.Query{Partition: r.partition, Class: Class, Limit: 64}
	for {
		page, err := r.store.List(ctx, q)
		if err != nil {
			return nil, wrap(err)
		}
		for _, rec := range page.Records {
			whole := len(out.entries)
			if out.entries, err = decode(out.entries, rec.Value); err != nil {
				out.entries = out.entries[:whole]
			}
		}
		out.Now = page.Now
		if q.Cursor = page.Cursor; q.Cursor == "" {
			break
		}
	}
	slices.SortFunc(out.entries, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	return out, nil
}

// Len is how many rules the report is about.
func (r *Report) Len() int { return len(r.ids) }

// Of is the usage of the rule with an index.
func (r *Report) Of(index int) Usage {
	if index < 0 || index >= len(r.ids) {
		return Usage{}
	}
	id := r.ids[index]
	i := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].id >= id })
	if i == len(r.entries) || r.entries[i].id != id {
		return Usage{}
	}
	e := r.entries[i]
	return Usage{First: timeOf(e.first), Last: timeOf(e.last), Hits: e.hits}
}

// Verdict is what can be said about a rule's use in a time.
type Verdict uint8

// The verdicts.
const (
	Used    Verdict = iota // hit since then
	Unused                 // counted since then or longer, and not hit since
	Unknown                // counted only since later, and not hit: it may have been used before
)

// Since says whether u was hit on the day of since or later. A rule that is
// counted only since a later day, and was not hit, may have been used before.
func (u Usage) Since(since time.Time) Verdict {
	since = timeOf(dayOf(since))
	switch {
	case !u.Last.IsZero() && !u.Last.Before(since):
		return Used
	case u.First.IsZero() || u.First.After(since):
		return Unknown
	}
	return Unused
}
