package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	if err := contract.CheckKey(partition, class, key); err != nil {
		return store.Record{}, time.Now().UTC(), err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return store.Record{}, time.Now().UTC(), err
	}
	defer done()
	rows, now, err := s.query(ctx, s.sql.read, []byte(partition), []byte(class), []byte(key))
	if err != nil {
		return store.Record{}, now, wrap(err)
	}
	if len(rows) == 0 {
		return store.Record{}, now, store.ErrNotFound
	}
	r := rows[0].Record
	if now = floor(now, &r); !contract.Live(&r, now) {
		return store.Record{}, now, store.ErrNotFound
	}
	return r, now, nil
}

// query reads the server's clock, and then rows, in one round trip. The other way
// round a row that was renewed in between would be taken for one that has expired.
// Where there is an error the time is ours.
func (s *Store) query(ctx context.Context, sql string, args ...any) (rows []row, now time.Time, err error) {
	b := &pgx.Batch{}
	var at int64
	b.Queue("SELECT " + micros).QueryRow(func(row pgx.Row) error { return row.Scan(&at) })
	b.Queue(sql, args...).Query(func(found pgx.Rows) error {
		for found.Next() {
			r, err := scan(found)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
		return found.Err()
	})
	if err := run(ctx, s.pool, b); err != nil {
		return nil, time.Now().UTC(), err
	}
	return rows, time.UnixMicro(at).UTC(), nil
}

// poll is how often a waiting caller looks by itself. All are rung when the
// connection that listens is made anew; this is for what was notified while a
// broken one was not known to be so, and for what could not be told.
const poll = 2 * time.Second

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	k := wake.Key{Key: wakeName(&store.Record{Partition: partition, Class: class, Key: key})}
	return s.hub.Until(ctx, s.life.Done(), k, version, func(ctx context.Context) (store.Record, time.Time, error) {
		return s.Get(ctx, partition, class, key)
	})
}
