package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// view runs a read transaction, and returns when what it saw is on disk.
func (s *Store) view(ctx context.Context, do func(*bbolt.Tx) error) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.under.Done()
	id := 0
	err := safely(s.path, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			id = tx.ID()
			return do(tx)
		})
	})
	if gone := s.gate.wait(ctx, id); gone != nil {
		return gone
	}
	if lost := s.lost.Load(); lost != nil {
		return *lost
	}
	return err
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	if err := contract.CheckKey(partition, class, key); err != nil {
		return store.Record{}, s.now(), err
	}
	var found store.Record
	var now time.Time
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		now = s.now()
		r, err := load(tx, partition, class, key)
		if err != nil {
			return err
		}
		if r == nil || !contract.Live(r, now) {
			return store.ErrNotFound
		}
		found = contract.Clone(*r)
		return nil
	})
	if now.IsZero() {
		now = s.now()
	}
	return found, now, err
}

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	k := wake.Key{Partition: partition, Class: class, Key: key}
	return s.hub.Until(ctx, s.closing, k, version, func(ctx context.Context) (store.Record, time.Time, error) {
		return s.Get(ctx, partition, class, key)
	})
}

// List implements store.Store. A state, a group or a due time each has an
// index, so that a listing looks at what it selects and little more.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	page := store.Page{Now: s.now()}
	if err := contract.CheckQuery(q); err != nil {
		return page, err
	}
	after, started, err := contract.After(&q)
	if err != nil {
		return page, err
	}
	w := walkFor(&q)
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		page.Now = s.now()
		return w.fill(ctx, tx, &page, w.start(after, started))
	})
	if err != nil {
		return store.Page{Now: page.Now}, err
	}
	return page, nil
}

// walk is the way of one query through one bucket, whose keys all begin with
// prefix; what follows it is the key of a record, after its due time in the
// bucket of those.
type walk struct {
	q      *store.Query
	bucket []byte
	prefix []byte
	byDue  bool
}

func walkFor(q *store.Query) walk {
	w := walk{q: q, bucket: bucketRecords, prefix: classPrefix(q.Partition, q.Class)}
	switch {
	case !q.DueBefore.IsZero():
		w.bucket, w.byDue = bucketDue, true
	case q.Group != "":
		w.bucket, w.prefix = bucketGroup, appendName(w.prefix, q.Group)
	case q.State != "":
		w.bucket, w.prefix = bucketState, appendName(w.prefix, q.State)
	}
	return w
}

// start is the first key to look at: the one after the cursor, or the first
// with the key's prefix.
func (w walk) start(after contract.Position, started bool) []byte {
	b := bytes.Clone(w.prefix)
	if started {
		if w.byDue {
			b = appendMoment(b, after.Due)
		}
		b = append(append(b, after.Key...), 0) // nothing sorts between a key and it with a zero byte
	}
	if !w.byDue {
		if first := append(bytes.Clone(w.prefix), w.q.Key...); bytes.Compare(first, b) > 0 {
			return first
		}
	}
	return b
}

// checkEvery is how many records a listing looks at between two looks at its
// context.
const checkEvery = 256

func (w walk) fill(ctx context.Context, tx *bbolt.Tx, page *store.Page, start []byte) error {
	size := 0
	c := tx.Bucket(w.bucket).Cursor()
	seen := 0
	for k, v := c.Seek(start); bytes.HasPrefix(k, w.prefix); k, v = c.Next() {
		if seen++; seen%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		key, more := w.key(k)
		if !more {
			return nil
		}
		r, err := w.record(tx, key, v)
		if err != nil {
			return err
		}
		if !contract.Matches(w.q, r, page.Now) {
			continue
		}
		size += len(r.Value)
		n := len(page.Records)
		if n == contract.Limit(*w.q) || n > 0 && size > contract.MaxPageBytes {
			page.Cursor = contract.PositionOf(w.q, &page.Records[n-1]).Cursor()
			return nil
		}
		page.Records = append(page.Records, contract.Clone(*r))
	}
	return nil
}

// key takes the record's key from k, a key of the bucket; more is false when
// neither it nor any after it can be of the listing.
func (w walk) key(k []byte) (key string, more bool) {
	rest := k[len(w.prefix):]
	if w.byDue {
		if len(rest) < 8 || !moment(rest).Before(w.q.DueBefore) {
			return "", false
		}
		return string(rest[8:]), true
	}
	return string(rest), bytes.HasPrefix(rest, []byte(w.q.Key))
}

// record reads what the walk found. An index that names a record that is not
// there is damage.
func (w walk) record(tx *bbolt.Tx, key string, v []byte) (*store.Record, error) {
	if len(v) > 0 { // the bucket of the records itself
		return parse(w.q.Partition, w.q.Class, key, v)
	}
	r, err := load(tx, w.q.Partition, w.q.Class, key)
	if err == nil && r == nil {
		err = fmt.Errorf("record %q %q %q: %w: in the index %q, but missing", w.q.Partition, w.q.Class, key, ErrDamaged, w.bucket)
	}
	return r, err
}
