package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
)

// rowsAtOnce is how many rows a listing reads at a time, at most.
const rowsAtOnce = 64

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	page := store.Page{Now: time.Now().UTC()}
	if err := contract.CheckQuery(q); err != nil {
		return page, err
	}
	after, started, err := contract.After(&q)
	if err != nil {
		return page, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return page, err
	}
	defer done()
	l := listing{s: s, q: &q, page: &page, after: after, started: started, rows: contract.Limit(q), size: contract.MaxPageBytes}
	for more := true; more; {
		if more, err = l.on(ctx); err != nil {
			return store.Page{Now: page.Now}, wrap(err)
		}
	}
	return page, nil
}

// listing is the way of one query through the rows.
type listing struct {
	s          *Store
	q          *store.Query
	page       *store.Page
	after      contract.Position
	started    bool // after is set
	rows, size int  // what is left of the page, in records and in bytes of values
}

// on reads some more rows into the page: the values of those that fit, and of one
// more row that there is one. It says whether there may be others.
func (l *listing) on(ctx context.Context) (more bool, err error) {
	want := min(rowsAtOnce, l.rows+1)
	sql, args := l.statement(want)
	rows, now, err := l.s.query(ctx, sql, args...)
	if err != nil {
		return false, err
	}
	l.page.Now = now
	for i := range l.page.Records {
		l.page.Now = floor(l.page.Now, &l.page.Records[i])
	}
	for i := range rows {
		r := &rows[i]
		l.page.Now = floor(l.page.Now, &r.Record)
		if contract.Matches(l.q, &r.Record, l.page.Now) {
			n := len(l.page.Records)
			if l.rows == 0 || n > 0 && r.size > l.size {
				l.page.Cursor = contract.PositionOf(l.q, &l.page.Records[n-1]).Cursor()
				return false, nil
			}
			if r.Value == nil { // what has expired took its place: from here again
				return true, nil
			}
			l.page.Records = append(l.page.Records, r.Record)
			l.rows, l.size = l.rows-1, l.size-r.size
		}
		l.after, l.started = contract.PositionOf(l.q, &r.Record), true
	}
	return len(rows) == want, nil
}

// statement is that for the next rows, as many as want.
func (l *listing) statement(want int) (sql string, args []any) {
	q := l.q
	sql, args = l.s.sql.list, []any{[]byte(q.Partition), []byte(q.Class), l.rows, max(l.size, 0), len(l.page.Records) == 0}
	add := func(condition string, values ...any) {
		places := make([]any, len(values))
		for i := range values {
			places[i] = len(args) + 1 + i
		}
		sql += " AND " + fmt.Sprintf(condition, places...)
		args = append(args, values...)
	}
	if q.State != "" {
		add("state = $%d", []byte(q.State))
	}
	if q.Group != "" {
		add("grp <> '' AND grp = $%d", []byte(q.Group))
	}
	if q.Key != "" {
		add("key >= $%d", []byte(q.Key))
		if end := behind(q.Key); end != nil {
			add("key < $%d", end)
		}
	}
	order := "key"
	switch byDue := !q.DueBefore.IsZero(); {
	case byDue:
		end := q.DueBefore.UnixMicro()
		if q.DueBefore.Nanosecond()%1000 != 0 {
			end++
		}
		add("due <> 0 AND due < $%d", end)
		if l.started {
			add("(due, key) > ($%d, $%d)", l.after.Due.UnixMicro(), []byte(l.after.Key))
		}
		order = "due, key"
	case l.started:
		add("key > $%d", []byte(l.after.Key))
	}
	return fmt.Sprintf("%s ORDER BY %s LIMIT %d) AS part WINDOW before AS (ORDER BY %s ROWS UNBOUNDED PRECEDING) ORDER BY %s", sql, order, want, order, order), args
}

// behind is the first text after all that begin with prefix; nil: there is none.
func behind(prefix string) []byte {
	b := []byte(prefix)
	for len(b) > 0 {
		if b[len(b)-1]++; b[len(b)-1] != 0 {
			return b
		}
		b = b[:len(b)-1]
	}
	return nil
}
