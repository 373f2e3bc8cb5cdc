package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother/store"
)

// A value is: version (8), kind (1), created, updated, due, expires (8 each,
// microseconds since 1970, 0 for none), state and group, each behind its length
// (2), and the record's value; all numbers in big-endian order. Of a tombstone
// there is the version and the kind alone: for a while it is known which version
// a key had that is gone.
const (
	kindRecord    = 1
	kindTombstone = 2
	versionBytes  = 8
	headBytes     = versionBytes + 1
)

var errValue = errors.New("the value is not one of seeother")

// raw is what a key of the server holds; the zero value is nothing.
type raw struct {
	head   string        // version and kind, which no other value of the key has; empty: there is nothing
	record *store.Record // nil: nothing, or a tombstone
}

// version is that of a record or tombstone; 0: there is nothing.
func (r *raw) version() uint64 {
	if r.head == "" {
		return 0
	}
	return binary.BigEndian.Uint64([]byte(r.head[:versionBytes]))
}

func encode(r *store.Record) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 64+len(r.State)+len(r.Group)+len(r.Value)), r.Version)
	b = append(b, kindRecord)
	for _, t := range []time.Time{r.Created, r.Updated, r.Due, r.Expires} {
		b = binary.BigEndian.AppendUint64(b, uint64(micros(t))) //nolint:gosec // a bijection
	}
	for _, text := range []string{r.State, r.Group} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...) //nolint:gosec // store.MaxKey bounds it
	}
	return string(append(b, r.Value...))
}

func tombstone(version uint64) string {
	return string(append(binary.BigEndian.AppendUint64(nil, version), kindTombstone))
}

func micros(t time.Time) int64 {
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

// decode reads what is under the key of a record.
func decode(partition, class, key, value string) (raw, error) {
	if len(value) < headBytes {
		return raw{}, fmt.Errorf("key %.64q: %w: %d bytes", key, errValue, len(value))
	}
	out := raw{head: value[:headBytes]}
	if value[versionBytes] == kindTombstone && len(value) == headBytes {
		return out, nil
	}
	rest := value[headBytes:]
	if value[versionBytes] != kindRecord || len(rest) < 4*8+2 {
		return raw{}, fmt.Errorf("key %.64q: %w: kind %d", key, errValue, value[versionBytes])
	}
	r := &store.Record{Partition: partition, Class: class, Key: key, Version: out.version()}
	for _, t := range []*time.Time{&r.Created, &r.Updated, &r.Due, &r.Expires} {
		*t = moment(int64(binary.BigEndian.Uint64([]byte(rest[:8])))) //nolint:gosec // a bijection
		rest = rest[8:]
	}
	for _, text := range []*string{&r.State, &r.Group} {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16([]byte(rest[:2]))) {
			return raw{}, fmt.Errorf("key %.64q: %w: cut short", key, errValue)
		}
		n := 2 + int(binary.BigEndian.Uint16([]byte(rest[:2])))
		*text, rest = strings.Clone(rest[2:n]), rest[n:]
	}
	r.Value = []byte(rest)
	out.record = r
	return out, nil
}

// names are the keys of the server. The partition is the hash tag.
type names struct{ prefix string }

func (n names) base(partition string) string {
	return n.prefix + ":{" + url.PathEscape(partition) + "}:"
}

func sized(s string) string { return strconv.Itoa(len(s)) + ":" + s }

func (n names) versions(partition string) string { return n.base(partition) + "versions" }
func (n names) record(partition, class, key string) string {
	return n.base(partition) + "r:" + sized(class) + ":" + key
}

// The indexes, sorted sets whose members are keys.
func (n names) byKey(partition, class string) string { return n.base(partition) + "k:" + sized(class) }

func (n names) byDue(partition, class string) string { return n.base(partition) + "d:" + sized(class) }

func (n names) byState(partition, class, state string) string {
	return n.base(partition) + "s:" + sized(class) + ":" + state
}

func (n names) byGroup(partition, class, group string) string {
	return n.base(partition) + "g:" + sized(class) + ":" + group
}

// expiries is the index of what expires in a partition; see expiry.
func (n names) expiries(partition string) string { return n.base(partition) + "x" }

func (n names) partitions() string { return n.prefix + ":partitions" }
func (n names) wakes() string      { return n.prefix + ":wake" }

// expiry is the member of a record in the index of expiries: with what the other
// indexes hold of it, so that these can be tidied when the record is gone.
func expiry(r *store.Record) string {
	return sized(r.Class) + sized(r.State) + sized(r.Group) + r.Key
}

func parseExpiry(member string) (class, state, group, key string, ok bool) {
	for _, text := range []*string{&class, &state, &group} {
		digits, rest, found := strings.Cut(member, ":")
		n, err := strconv.Atoi(digits)
		if !found || err != nil || n < 0 || n > len(rest) {
			return "", "", "", "", false
		}
		*text, member = rest[:n], rest[n:]
	}
	return class, state, group, member, true
}

// wakeText is what is published about a record that changed.
func wakeText(partition, class, key string) string { return sized(partition) + sized(class) + key }

func parseWake(text string) (partition, class, key string, ok bool) {
	for _, part := range []*string{&partition, &class} {
		digits, rest, found := strings.Cut(text, ":")
		n, err := strconv.Atoi(digits)
		if !found || err != nil || n < 0 || n > len(rest) {
			return "", "", "", false
		}
		*part, text = rest[:n], rest[n:]
	}
	return partition, class, text, true
}
