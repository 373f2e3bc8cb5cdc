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
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// A value is: version (8), format (1), created, updated, due, expires (8 each,
// microseconds since 1970, 0 for none), state and group, each behind its length
// (2), and the record's value; all numbers in big-endian order. The version and
// the format are the head: no other value of a key has the same.
const (
	format       = 1
	versionBytes = 8
	headBytes    = versionBytes + 1
)

var errValue = errors.New("the value is not one of seeother")

func encode(r *store.Record) string {
	b := append(make([]byte, 0, 64+len(r.State)+len(r.Group)+len(r.Value)), headOf(r)...)
	for _, t := range []time.Time{r.Created, r.Updated, r.Due, r.Expires} {
		b = append(b, inRecord(micros(t))...)
	}
	for _, text := range []string{r.State, r.Group} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...) //nolint:gosec // store.MaxKey bounds it
	}
	return string(append(b, r.Value...))
}

func headOf(r *store.Record) string {
	return string(append(binary.BigEndian.AppendUint64(nil, r.Version), format))
}

// inRecord is a moment as a record has it.
func inRecord(micros int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(micros))) //nolint:gosec // a bijection
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
func decode(partition, class, key, value string) (*store.Record, error) {
	wrong := func(what string) error {
		return fmt.Errorf("class %.64q key %.64q: %w: %s", class, key, errValue, what)
	}
	if len(value) < headBytes+4*8 {
		return nil, wrong("cut short")
	}
	if value[versionBytes] != format {
		return nil, wrong(fmt.Sprintf("format %d", value[versionBytes]))
	}
	r := &store.Record{Partition: partition, Class: class, Key: key, Version: binary.BigEndian.Uint64([]byte(value[:versionBytes]))}
	rest := value[headBytes:]
	for _, t := range []*time.Time{&r.Created, &r.Updated, &r.Due, &r.Expires} {
		*t = moment(int64(binary.BigEndian.Uint64([]byte(rest[:8])))) //nolint:gosec // a bijection
		rest = rest[8:]
	}
	for _, text := range []*string{&r.State, &r.Group} {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16([]byte(rest[:2]))) {
			return nil, wrong("cut short")
		}
		n := 2 + int(binary.BigEndian.Uint16([]byte(rest[:2])))
		*text, rest = strings.Clone(rest[2:n]), rest[n:]
	}
	r.Value = []byte(rest)
	return r, nil
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

// The indexes, sorted sets whose members are keys, in their order; of byDue the
// members are those of due.
func (n names) byKey(partition, class string) string { return n.base(partition) + "k:" + sized(class) }

func (n names) byDue(partition, class string) string { return n.base(partition) + "d:" + sized(class) }

func (n names) byState(partition, class, state string) string {
	return n.base(partition) + "s:" + sized(class) + ":" + state
}

func (n names) byGroup(partition, class, group string) string {
	return n.base(partition) + "g:" + sized(class) + ":" + group
}

// expiries is the index of what expires in a partition, by moment; see expiry.
func (n names) expiries(partition string) string { return n.base(partition) + "x" }

func (n names) partitions() string { return n.prefix + ":partitions" }
func (n names) wakes() string      { return n.prefix + ":wake" }

// dueDigits is the width of a moment in an index.
const dueDigits = 16

// dueAt is how a moment begins in byDue: their order is that of the moments.
func dueAt(micros int64) string {
	return fmt.Sprintf("%0*x", dueDigits, uint64(micros)^1<<63) //nolint:gosec // a bijection, negative ones first
}

// due is the member of a record in byDue.
func due(r *store.Record) string { return dueAt(micros(r.Due)) + r.Key }

func parseDue(member string) (at contract.Position, ok bool) {
	if len(member) < dueDigits {
		return contract.Position{}, false
	}
	v, err := strconv.ParseUint(member[:dueDigits], 16, 64)
	return contract.Position{Due: time.UnixMicro(int64(v ^ 1<<63)).UTC(), Key: member[dueDigits:]}, err == nil //nolint:gosec // a bijection
}

// expiry is the member of a record in the index of expiries: with what the other
// indexes hold of it, so that these can be tidied when the record is gone.
func expiry(r *store.Record) string {
	return sized(r.Class) + sized(r.State) + sized(r.Group) + due(r)
}

// parseExpiry gives what an index says of a record: Class, State, Group, Due, Key.
func parseExpiry(member string) (r store.Record, ok bool) {
	for _, text := range []*string{&r.Class, &r.State, &r.Group} {
		if *text, member, ok = cutSized(member); !ok {
			return store.Record{}, false
		}
	}
	at, ok := parseDue(member)
	r.Key = at.Key
	if at.Due.UnixMicro() != 0 {
		r.Due = at.Due
	}
	return r, ok
}

// cutSized is the inverse of sized.
func cutSized(s string) (text, rest string, ok bool) {
	digits, rest, found := strings.Cut(s, ":")
	n, err := strconv.Atoi(digits)
	if !found || err != nil || n < 0 || n > len(rest) {
		return "", "", false
	}
	return rest[:n], rest[n:], true
}

// wakeText is what is published about a record that changed.
func wakeText(partition, class, key string) string { return sized(partition) + sized(class) + key }

func parseWake(text string) (k wake.Key, ok bool) {
	for _, part := range []*string{&k.Partition, &k.Class} {
		if *part, text, ok = cutSized(text); !ok {
			return wake.Key{}, false
		}
	}
	k.Key = text
	return k, true
}
