package boltstore

import (
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/store"
)

// Expired records are removed a chunk at a time, and between two chunks the
// sweeper rests as long as the chunk took: writers keep at least half of the
// disk's time.
const (
	sweepEvery = time.Second
	sweepChunk = 256
)

// sweepAll removes what has expired until the store closes.
func (s *Store) sweepAll() {
	for rest := sweepEvery; ; {
		select {
		case <-s.closing:
			return
		case <-time.After(rest):
		}
		begun := time.Now()
		n, err := s.sweep()
		rest = sweepEvery
		if err == nil && n == sweepChunk {
			rest = time.Since(begun)
		}
	}
}

// sweep removes at most a chunk of expired records and reports how many it
// took on.
func (s *Store) sweep() (int, error) {
	due, err := s.expired()
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return len(due), s.remove(due)
}

// remove forgets what expired lists found.
func (s *Store) remove(due [][]byte) error {
	return s.transact(func(tx *bbolt.Tx) error {
		for _, k := range due {
			if err := forget(tx, k); err != nil {
				return err
			}
		}
		return nil
	})
}

// expired lists the entries of the next chunk. It only reads, so that a store
// in which nothing expires is not written to.
func (s *Store) expired() (found [][]byte, err error) {
	now := s.now()
	err = safely(s.path, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(bucketExpires).Cursor()
			for k, _ := c.First(); k != nil && len(found) < sweepChunk; k, _ = c.Next() {
				if len(k) < 8 || moment(k).After(now) {
					return nil
				}
				found = append(found, append([]byte(nil), k...))
			}
			return nil
		})
	})
	return found, err
}

// forget removes the record that an entry of the bucket of expiries names,
// unless it was written again since expired looked. A damaged record stays, to be seen by who asks for
// it; only the entry goes, so that the sweep goes on.
func forget(tx *bbolt.Tx, k []byte) error {
	partition, class, key, ok := splitRecordKey(k[8:])
	var r *store.Record
	if ok {
		var err error
		if r, err = load(tx, partition, class, key); err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
	}
	if r == nil || !r.Expires.Equal(moment(k)) {
		return tx.Bucket(bucketExpires).Delete(k)
	}
	return write(tx, r, nil)
}
