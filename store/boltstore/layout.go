package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/store"
)

// format is the version of what this file describes. A change that an older
// seeother would misread gets the next number.
const format = 1

// The buckets. Names are written before what follows them with their length in
// two bytes, so that no name can be taken for the beginning of another, and
// the rest of a key sorts as its own bytes do.
var (
	bucketMeta    = []byte("meta")    // "format": the format's number; "probe": written by Ready
	bucketRecords = []byte("records") // partition class KEY: record; its sequence is the last version given
	bucketState   = []byte("state")   // partition class state KEY: nothing
	bucketGroup   = []byte("group")   // partition class group KEY: nothing
	bucketDue     = []byte("due")     // partition class DUE KEY: nothing
	bucketExpires = []byte("expires") // EXPIRES, then a key of records: nothing

	keyFormat = []byte("format")
	keyProbe  = []byte("probe")
)

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketRecords, bucketState, bucketGroup, bucketDue, bucketExpires} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint64(nil, format))
}

func checkFormat(tx *bbolt.Tx, path string) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("file %q: %w: a bolt file, but not of seeother", path, ErrDamaged)
	}
	v := meta.Get(keyFormat)
	if len(v) != 8 {
		return fmt.Errorf("file %q: %w: no format", path, ErrDamaged)
	}
	switch got := binary.BigEndian.Uint64(v); {
	case got > format:
		return fmt.Errorf("file %q: %w: format %d, and this seeother knows up to %d", path, ErrNewer, got, format)
	case got == 0:
		return fmt.Errorf("file %q: %w: format 0", path, ErrDamaged)
	}
	for _, name := range [][]byte{bucketRecords, bucketState, bucketGroup, bucketDue, bucketExpires} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("file %q: %w: no bucket %q", path, ErrDamaged, name)
		}
	}
	return nil
}

func appendName(b []byte, name string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(name))) //nolint:gosec // at most store.MaxKey
	return append(b, name...)
}

// appendMoment writes t so that bytes sort as times do.
func appendMoment(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro())^1<<63)
}

func moment(b []byte) time.Time {
	return instant(int64(binary.BigEndian.Uint64(b) ^ 1<<63)) //nolint:gosec // a bijection
}

func instant(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

func classPrefix(partition, class string) []byte {
	b := make([]byte, 0, len(partition)+len(class)+64)
	return appendName(appendName(b, partition), class)
}

func recordKey(partition, class, key string) []byte {
	return append(classPrefix(partition, class), key...)
}

func stateKey(r *store.Record) []byte {
	return append(appendName(classPrefix(r.Partition, r.Class), r.State), r.Key...)
}

func groupKey(r *store.Record) []byte {
	return append(appendName(classPrefix(r.Partition, r.Class), r.Group), r.Key...)
}

func dueKey(r *store.Record) []byte {
	return append(appendMoment(classPrefix(r.Partition, r.Class), r.Due), r.Key...)
}

func expiresKey(r *store.Record) []byte {
	return append(appendMoment(nil, r.Expires), recordKey(r.Partition, r.Class, r.Key)...)
}

// splitRecordKey is recordKey's inverse.
func splitRecordKey(b []byte) (partition, class, key string, ok bool) {
	if partition, b, ok = cutName(b); !ok {
		return "", "", "", false
	}
	if class, b, ok = cutName(b); !ok {
		return "", "", "", false
	}
	return partition, class, string(b), true
}

func cutName(b []byte) (name string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}

// entry is a place in an index.
type entry struct {
	bucket []byte
	key    []byte
}

// entries are the places that r has in the indexes.
func entries(r *store.Record) []entry {
	all := make([]entry, 0, 4)
	if r.State != "" {
		all = append(all, entry{bucketState, stateKey(r)})
	}
	if r.Group != "" {
		all = append(all, entry{bucketGroup, groupKey(r)})
	}
	if !r.Due.IsZero() {
		all = append(all, entry{bucketDue, dueKey(r)})
	}
	if !r.Expires.IsZero() {
		all = append(all, entry{bucketExpires, expiresKey(r)})
	}
	return all
}

func (e entry) equal(o entry) bool {
	return bytes.Equal(e.bucket, o.bucket) && bytes.Equal(e.key, o.key)
}

// write puts next in the place of old, in the records and in the indexes.
// Either may be nil. It writes only the index entries that differ.
func write(tx *bbolt.Tx, old, next *store.Record) error {
	var before, after []entry
	if old != nil {
		before = entries(old)
	}
	if next != nil {
		after = entries(next)
	}
	for _, e := range before {
		if !has(after, e) {
			if err := tx.Bucket(e.bucket).Delete(e.key); err != nil {
				return err
			}
		}
	}
	for _, e := range after {
		if !has(before, e) {
			if err := tx.Bucket(e.bucket).Put(e.key, nil); err != nil {
				return err
			}
		}
	}
	records := tx.Bucket(bucketRecords)
	if next == nil {
		return records.Delete(recordKey(old.Partition, old.Class, old.Key))
	}
	return records.Put(recordKey(next.Partition, next.Class, next.Key), encode(next))
}

func has(all []entry, e entry) bool {
	for _, o := range all {
		if o.equal(e) {
			return true
		}
	}
	return false
}

// load reads the record under key, or nil. Its Value is the transaction's own:
// clone what outlives it.
func load(tx *bbolt.Tx, partition, class, key string) (*store.Record, error) {
	b := tx.Bucket(bucketRecords).Get(recordKey(partition, class, key))
	if b == nil {
		return nil, nil
	}
	return parse(partition, class, key, b)
}

// parse reads a record from what is kept under its key.
func parse(partition, class, key string, b []byte) (*store.Record, error) {
	r, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("record %q %q %q: %w: %w", partition, class, key, ErrDamaged, err)
	}
	r.Partition, r.Class, r.Key = partition, class, key
	return &r, nil
}
