package boltstore

import (
	"fmt"
	"testing"

	"go.etcd.io/bbolt"
)

// consistent fails unless every record has exactly its entries in the indexes,
// and bolt finds no page lost or used twice.
func consistent(t testing.TB, s *Store) {
	t.Helper()
	err := s.db.View(func(tx *bbolt.Tx) error {
		want := make(map[string]bool)
		err := tx.Bucket(bucketRecords).ForEach(func(k, v []byte) error {
			partition, class, key, ok := splitRecordKey(k)
			if !ok {
				return fmt.Errorf("records: key %x", k)
			}
			r, err := parse(partition, class, key, v)
			if err != nil {
				return err
			}
			for _, e := range entries(r) {
				want[string(e.bucket)+" "+string(e.key)] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, bucket := range [][]byte{bucketState, bucketGroup, bucketDue, bucketExpires} {
			err := tx.Bucket(bucket).ForEach(func(k, _ []byte) error {
				if name := string(bucket) + " " + string(k); !want[name] {
					t.Errorf("entry %q of no record", name)
				} else {
					delete(want, name)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		for name := range want {
			t.Errorf("entry %q is missing", name)
		}
		for err := range tx.Check() {
			t.Errorf("bolt: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// count is how many keys a bucket has.
func count(t testing.TB, s *Store, bucket []byte) int {
	t.Helper()
	n := 0
	err := s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(_, _ []byte) error { n++; return nil })
	})
	if err != nil {
		t.Error(err)
	}
	return n
}
