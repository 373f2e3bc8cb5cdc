package pgstore

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/wake"
)

// A commit with a NOTIFY takes a lock that all such commits share, so that they
// would wait for each other's disk. Records that changed are told of afterwards,
// many in one statement that writes nothing; what gets lost on the way is found
// by those who wait, a second later.
const notifyAtOnce = 64

// wakeName is what is notified of a record: short, and of harmless letters.
func wakeName(r *store.Record) string {
	sum := hashOf(r.Partition, r.Class, r.Key)
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

// changed tells of records that were written.
func (s *Store) changed(records []store.Record) {
	for i := range records {
		name := wakeName(&records[i])
		s.hub.Ring(wake.Key{Key: name})
		select {
		case s.tell <- name:
		default: // more than can be told: they poll
		}
	}
}

// notify tells other processes which records changed.
func (s *Store) notify() {
	for {
		var names []string
		select {
		case <-s.life.Done():
			return
		case name := <-s.tell:
			names = append(names, name)
		}
		for more := true; more && len(names) < notifyAtOnce; {
			select {
			case name := <-s.tell:
				names = append(names, name)
			default:
				more = false
			}
		}
		ctx, cancel := context.WithTimeout(s.life, s.timeout)
		_, _ = s.side.Exec(ctx, "SELECT pg_notify($1, name) FROM unnest($2::text[]) AS name", s.sql.channel, names) // who waits polls, too
		cancel()
	}
}

// listen rings those who wait for a record that another process has written.
func (s *Store) listen() {
	for s.life.Err() == nil {
		_ = s.listenOnce(s.life) // it is made again
		select {
		case <-s.life.Done():
		case <-time.After(poll / 8):
		}
	}
}

func (s *Store) listenOnce(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.listens)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is under way
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{s.sql.channel}.Sanitize()); err != nil {
		return err
	}
	s.hub.RingAll() // of what was written before, nobody has heard
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		s.hub.Ring(wake.Key{Key: n.Payload})
	}
}

// What has expired is removed some rows at a time. Rows that somebody writes are
// left for the next time.
const (
	sweepEvery = 10 * time.Second
	sweepChunk = 256
)

func (s *Store) sweepAll() {
	for {
		select {
		case <-s.life.Done():
			return
		case <-time.After(sweepEvery):
		}
		for {
			if n, err := s.sweep(s.life); err != nil || n < sweepChunk {
				break // tried again
			}
		}
	}
}

// sweep removes some expired rows, and reports how many.
func (s *Store) sweep(ctx context.Context) (int64, error) {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	tag, err := s.pool.Exec(ctx, s.sql.sweep, sweepChunk)
	return tag.RowsAffected(), wrap(err)
}
