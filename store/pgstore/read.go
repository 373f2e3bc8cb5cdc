package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	now := time.Now().UTC()
	if err := contract.CheckKey(partition, class, key); err != nil {
		return store.Record{}, now, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return store.Record{}, now, err
	}
	defer done()
	page, err := s.query(ctx, s.sql.read, []byte(partition), []byte(class), []byte(key))
	if err != nil {
		return store.Record{}, now, wrap(err)
	}
	if len(page.Records) == 0 || !contract.Live(&page.Records[0], page.Now) {
		return store.Record{}, page.Now, store.ErrNotFound
	}
	return page.Records[0], page.Now, nil
}

// query reads rows, and then the clock, in one round trip: no row is younger.
func (s *Store) query(ctx context.Context, sql string, args ...any) (page store.Page, err error) {
	b := &pgx.Batch{}
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			r, err := scan(rows)
			if err != nil {
				return err
			}
			page.Records = append(page.Records, r)
		}
		return rows.Err()
	})
	var at int64
	b.Queue("SELECT " + micros).QueryRow(func(row pgx.Row) error { return row.Scan(&at) })
	err = run(ctx, s.pool, b)
	page.Now = time.UnixMicro(at).UTC()
	for i := range page.Records { // the server's clock may have been set back
		if u := page.Records[i].Updated; u.After(page.Now) {
			page.Now = u
		}
	}
	return page, err
}

// poll is how often a waiting caller looks by itself: what is notified while the
// connection that listens is broken reaches nobody.
const poll = time.Second

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	k := wake.Key{Key: wakeName(&store.Record{Partition: partition, Class: class, Key: key})}
	for {
		turn, cancel := context.WithTimeout(ctx, poll)
		r, now, err := s.hub.Until(turn, s.closing, k, version, func(context.Context) (store.Record, time.Time, error) {
			return s.Get(ctx, partition, class, key)
		})
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || turn.Err() == nil {
			return r, now, err
		}
	}
}

// rowsAtOnce is how many rows a listing reads at a time.
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
	size := 0
	for {
		sql, args := s.listing(&q, after, started)
		some, err := s.query(ctx, sql, args...)
		if err != nil {
			return store.Page{Now: page.Now}, wrap(err)
		}
		page.Now = some.Now
		for i := range some.Records {
			r := &some.Records[i]
			after, started = contract.PositionOf(&q, r), true
			if !contract.Matches(&q, r, page.Now) {
				continue
			}
			size += len(r.Value)
			if n := len(page.Records); n == contract.Limit(q) || n > 0 && size > contract.MaxPageBytes {
				page.Cursor = contract.PositionOf(&q, &page.Records[n-1]).Cursor()
				return page, nil
			}
			page.Records = append(page.Records, *r)
		}
		if len(some.Records) < rowsAtOnce {
			return page, nil
		}
	}
}

// listing is the statement for the next rows of a query.
func (s *Store) listing(q *store.Query, after contract.Position, started bool) (sql string, args []any) {
	sql, args = s.sql.list, []any{[]byte(q.Partition), []byte(q.Class)}
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
	order := " ORDER BY key"
	switch byDue := !q.DueBefore.IsZero(); {
	case byDue:
		end := q.DueBefore.UnixMicro()
		if q.DueBefore.Nanosecond()%1000 != 0 {
			end++
		}
		add("due <> 0 AND due < $%d", end)
		if started {
			add("(due, key) > ($%d, $%d)", after.Due.UnixMicro(), []byte(after.Key))
		}
		order = " ORDER BY due, key"
	case started:
		add("key > $%d", []byte(after.Key))
	}
	return sql + order + fmt.Sprintf(" LIMIT %d", rowsAtOnce), args
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
