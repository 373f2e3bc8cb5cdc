package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/queue"
)

// Apply implements store.Store. It returns nil when the server has committed.
func (s *Store) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if err := contract.CheckApply(partition, ops); err != nil {
		return store.Reply{Now: time.Now().UTC()}, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return store.Reply{Now: time.Now().UTC()}, err
	}
	defer done()
	leave, err := s.queue.Enter(ctx, queue.Keys(partition, ops)) // before it takes a connection, which others need
	if err != nil {
		return store.Reply{Now: time.Now().UTC()}, wrap(err)
	}
	defer leave()
	return s.decide(ctx, partition, ops)
}

// decide tries until the server has no reason to refuse that passes.
func (s *Store) decide(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
	for try := 0; ; try++ {
		reply, err := s.try(ctx, partition, ops)
		if err == nil {
			s.changed(reply.Records)
		}
		if !mayTryAgain(err) {
			return reply, err
		}
		pause := time.NewTimer(time.Duration(rand.Int64N(int64(min(try+1, 20)) * int64(time.Millisecond)))) //nolint:gosec // jitter
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return reply, ctx.Err() // nothing was written
		}
	}
}

// mayTryAgain reports whether the server has said that the transaction was not
// committed, for a reason that passes.
func mayTryAgain(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"40001", "40P01", "23505"}, pg.Code) // serialization, deadlock, and a key that an append took or wants
}

// sender is a connection or a transaction.
type sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// try is one transaction on a connection of its own.
func (s *Store) try(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return store.Reply{Now: time.Now().UTC()}, wrap(err)
	}
	defer conn.Release()
	reply, steps, err := s.plan(ctx, conn, partition, ops, begin)
	if err != nil {
		s.rollback(conn)
		return reply, err
	}
	b := s.writes(steps)
	b.Queue("COMMIT")
	if err := run(ctx, conn, b); err != nil {
		s.rollback(conn)
		return store.Reply{Now: reply.Now}, wrap(err)
	}
	return reply, nil
}

// rollback gives up what a connection has begun. One that cannot do so is closed
// by the pool, and then by the server.
func (s *Store) rollback(conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	_, _ = conn.Exec(ctx, "ROLLBACK") // said above
}

// ApplyTx is Apply inside a transaction of the application's own, of the same
// database: what is written is committed together with the application's rows, or
// not at all. The keys stay locked until then. The caller commits; before it
// does, nobody sees anything. The commit waits for the disk, whatever the
// session's synchronous_commit says, unless the store's URL has
// durability=relaxed. After an error the transaction must be rolled back, but for
// a conflict, which changed nothing.
//
// The transaction must be READ COMMITTED, or ErrTransaction is returned: one of a
// higher level would not see what was written since its first statement.
func (s *Store) ApplyTx(ctx context.Context, tx pgx.Tx, partition string, ops ...store.Op) (store.Reply, error) {
	if err := contract.CheckApply(partition, ops); err != nil {
		return store.Reply{Now: time.Now().UTC()}, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return store.Reply{Now: time.Now().UTC()}, err
	}
	defer done()
	reply, steps, err := s.plan(ctx, tx, partition, ops, check)
	if err != nil {
		return reply, err
	}
	b := s.writes(steps)
	for i := range reply.Records {
		b.Queue("SELECT pg_notify($1, $2)", s.sql.channel, wakeName(&reply.Records[i]))
	}
	if err := run(ctx, tx, b); err != nil {
		return store.Reply{Now: reply.Now}, wrap(err)
	}
	return reply, nil
}

// run sends a batch, and returns its first error.
func run(ctx context.Context, to sender, b *pgx.Batch) error {
	return to.SendBatch(ctx, b).Close()
}

// begin begins a transaction: what is read after a lock must be what is there then.
func begin(b *pgx.Batch) { b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") }

// check says ErrTransaction of one that another began otherwise.
func check(b *pgx.Batch) {
	b.Queue("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')").QueryRow(func(row pgx.Row) error {
		var level, readOnly string
		if err := row.Scan(&level, &readOnly); err != nil {
			return err
		}
		if level != "read committed" || readOnly != "off" {
			return fmt.Errorf("%w: it is %s, and read only is %s", ErrTransaction, level, readOnly)
		}
		return nil
	})
}

// waitForDisk has the commits of a session wait for the disk, and for the standbys
// that the server has, or where $1 is true that of one transaction: it may be an
// application's, or a pooler's in between. A stronger setting stays.
const waitForDisk = `SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, $1)`

// step is what was decided for one operation, and of which row.
type step struct {
	contract.Step

	over bool // there is a row, or there was: it may be swept at any time once it has expired
}

// plan locks the keys, reads their rows, and decides. first is how the
// transaction begins.
func (s *Store) plan(ctx context.Context, to sender, partition string, ops []store.Op, first func(*pgx.Batch)) (store.Reply, []step, error) {
	reply := store.Reply{Now: time.Now().UTC()}
	rows, now, version, err := s.lockAndRead(ctx, to, partition, ops, first)
	if err != nil {
		return reply, nil, wrap(err)
	}
	reply.Now = now
	last := version + versionsAtOnce - 1
	decided, err := contract.Plan(partition, ops, now, contract.Source{
		Get: func(class, key string) (*store.Record, error) { return rows[address{class, key}], nil },
		Version: func() uint64 {
			if version < last { // more than MaxOps appends in a row whose keys are taken cannot be
				version++
			}
			return version - 1
		},
	})
	if err != nil {
		return reply, nil, err
	}
	steps := make([]step, len(decided))
	for i := range decided {
		r := &decided[i].Record
		steps[i] = step{decided[i], rows[address{r.Class, r.Key}] != nil}
		reply.Records = append(reply.Records, contract.Clone(*r))
	}
	return reply, steps, nil
}

type address struct{ class, key string }

// lockAndRead locks the keys of all operations in one order, so that no two
// calls wait for each other, and reads their rows, the clock, and the first of
// some versions. A version is drawn under the lock of its key: so it is above all
// that the key ever had, whoever deleted it.
func (s *Store) lockAndRead(ctx context.Context, to sender, partition string, ops []store.Op, begin func(*pgx.Batch)) (rows map[address]*store.Record, now time.Time, version uint64, err error) {
	b := &pgx.Batch{}
	begin(b)
	if !s.relaxed {
		b.Queue(waitForDisk, true)
	}
	var locks []int64
	for i := range ops {
		if ops[i].Kind != store.OpAppend {
			locks = append(locks, s.lockOf(partition, ops[i].Class, ops[i].Key))
		}
	}
	slices.Sort(locks)
	for _, l := range locks {
		b.Queue("SELECT pg_advisory_xact_lock($1)", l)
	}
	var micro, first int64
	b.Queue("SELECT "+micros+", nextval($1)", s.sql.schema+".versions").QueryRow(func(row pgx.Row) error { return row.Scan(&micro, &first) })
	rows = map[address]*store.Record{}
	for i := range ops {
		if ops[i].Kind == store.OpAppend {
			continue
		}
		b.Queue(s.sql.read, []byte(partition), []byte(ops[i].Class), []byte(ops[i].Key)).Query(func(found pgx.Rows) error {
			for found.Next() {
				r, err := scan(found)
				if err != nil {
					return err
				}
				rows[address{r.Class, r.Key}] = &r.Record
			}
			return found.Err()
		})
	}
	if err := run(ctx, to, b); err != nil {
		return nil, time.Time{}, 0, err
	}
	now = time.UnixMicro(micro).UTC()
	for _, r := range rows {
		now = floor(now, r)
	}
	return rows, now, uint64(first), nil //nolint:gosec // it begins at 1 and grows
}

// floor is now, or the moment of a record that is younger: the server's clock may
// have been set back, or read before the record.
func floor(now time.Time, r *store.Record) time.Time {
	if r.Updated.After(now) {
		return r.Updated
	}
	return now
}

// lockOf is the advisory lock of a key. Two keys with the same one only wait for
// each other. Schemas of one database share its locks.
func (s *Store) lockOf(partition, class, key string) int64 {
	sum := hashOf(s.sql.name, partition, class, key)
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // any 64 bits
}

func hashOf(texts ...string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, text := range append([]string{"seeother"}, texts...) {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(text))) //nolint:gosec // store.MaxKey bounds it
		h.Write(size[:])
		h.Write([]byte(text))
	}
	h.Sum(sum[:0])
	return sum
}

// writes are the statements of all steps.
func (s *Store) writes(steps []step) *pgx.Batch {
	b := &pgx.Batch{}
	for i := range steps {
		r := &steps[i].Record
		if steps[i].Delete {
			b.Queue(s.sql.remove, []byte(r.Partition), []byte(r.Class), []byte(r.Key))
			continue
		}
		sql := s.sql.insert // an append locks no key: what it has written meanwhile is not written over
		if steps[i].over {
			sql = s.sql.upsert
		}
		value := r.Value
		if value == nil {
			value = []byte{}
		}
		b.Queue(sql, []byte(r.Partition), []byte(r.Class), []byte(r.Key), []byte(r.State), []byte(r.Group), value,
			int64(r.Version), micro(r.Created), micro(r.Updated), micro(r.Due), micro(r.Expires)) //nolint:gosec // it came from a bigint
	}
	return b
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}

// row is a record as it was read.
type row struct {
	store.Record // its Value is nil where that was not asked for

	size int // of the value, in bytes
}

// scan reads what selected names.
func scan(rows pgx.Rows) (row, error) {
	var partition, class, key, state, group, value []byte
	var version, created, updated, due, expires int64
	var size int
	if err := rows.Scan(&partition, &class, &key, &state, &group, &value, &version, &created, &updated, &due, &expires, &size); err != nil {
		return row{}, err
	}
	return row{size: size, Record: store.Record{
		Partition: string(partition), Class: string(class), Key: string(key), State: string(state), Group: string(group), Value: value,
		Version: uint64(version), //nolint:gosec // as it was written
		Created: moment(created), Updated: moment(updated), Due: moment(due), Expires: moment(expires),
	}}, nil
}
