package pgstore

import (
	"context"
	"encoding/base64"
	"strings"
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

// unquoted is the channel as functions want it.
func unquoted(channel string) string {
	return strings.ReplaceAll(channel[1:len(channel)-1], `""`, `"`)
}

// changed tells of records that were written.
func (s *Store) changed(records []store.Record) {
	for i := range records {
		select {
		case s.tell <- wakeName(&records[i]):
		default: // more than can be told: they poll
		}
	}
}

// notify tells other processes, and this one, which records changed.
func (s *Store) notify() {
	for {
		var names []string
		select {
		case <-s.closing:
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
		for _, name := range names {
			s.hub.Ring(wake.Key{Key: name})
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
		_, _ = s.pool.Exec(ctx, "SELECT pg_notify($1, name) FROM unnest($2::text[]) AS name", unquoted(s.sql.channel), names) // who waits polls, too
		cancel()
	}
}

// listen rings those who wait for a record that another process has written.
func (s *Store) listen() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.background.Go(func() {
		<-s.closing
		cancel()
	})
	for ctx.Err() == nil {
		_ = s.listenOnce(ctx) // it is made again
		select {
		case <-ctx.Done():
		case <-time.After(poll / 4):
		}
	}
}

func (s *Store) listenOnce(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.listens)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is under way
	if _, err := conn.Exec(ctx, "LISTEN "+s.sql.channel); err != nil {
		return err
	}
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
		case <-s.closing:
			return
		case <-time.After(sweepEvery):
		}
		for {
			if n, err := s.sweep(); err != nil || n < sweepChunk {
				break // tried again
			}
		}
	}
}

// sweep removes some expired rows, and reports how many.
func (s *Store) sweep() (int64, error) {
	ctx, done, err := s.begin(context.Background())
	if err != nil {
		return 0, err
	}
	defer done()
	tag, err := s.pool.Exec(ctx, s.sql.sweep, sweepChunk)
	return tag.RowsAffected(), wrap(err)
}
