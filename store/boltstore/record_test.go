package boltstore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

func examples() []store.Record {
	at := time.UnixMicro(1_700_000_000_123_456).UTC()
	long := strings.Repeat("x", store.MaxKey)
	return []store.Record{
		{Version: 1, Created: at, Updated: at, Value: []byte{}},
		{Version: 1<<64 - 1, Created: at, Updated: at.Add(time.Hour), State: "s", Group: "g", Value: []byte("value")},
		{Version: 7, Created: time.UnixMicro(-1).UTC(), Updated: at, Due: at, Expires: at.AddDate(292, 0, 0), State: long, Group: long, Value: []byte{0}},
	}
}

func TestARecordReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, r := range examples() {
		got, err := decode(encode(&r))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("decode(encode(%+v)) = %+v, %v", r, got, err)
		}
	}
}

func TestARecordWithAnyBitChangedIsAnError(t *testing.T) {
	t.Parallel()
	r := examples()[1]
	whole := encode(&r)
	for i := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[i/8] ^= 1 << (i % 8)
		if _, err := decode(b); err == nil {
			t.Errorf("bit %d changed: no error", i)
		}
	}
	for n := range whole {
		if _, err := decode(whole[:n]); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
}

// sealed puts a checksum that matches before b.
func sealed(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli)), b...)
}

func TestARecordThatEncodeCannotWriteIsAnError(t *testing.T) {
	t.Parallel()
	zero := binary.AppendVarint(nil, time.Time{}.UnixMicro())
	for _, c := range []struct {
		name string
		body []byte
	}{
		{"nothing", nil},
		{"an unknown flag", []byte{4, 1, 2, 2, 0, 0}},
		{"no version", []byte{0}},
		{"a version in a longer form", []byte{0, 0x81, 0, 2, 2, 0, 0}},
		{"a version of more than 64 bits", []byte{0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2, 2, 2, 0, 0}},
		{"no deadline beside its flag", []byte{flagDue, 1, 2, 2}},
		{"the zero time for a deadline", append(append([]byte{flagDue, 1, 2, 2}, zero...), 0, 0)},
		{"a state beyond the end", []byte{0, 1, 2, 2, 5, 'a'}},
		{"a state over its limit", append([]byte{0, 1, 2, 2, 0x81, 4}, make([]byte, 600)...)},
		{"no group", []byte{0, 1, 2, 2, 0}},
	} {
		if r, err := decode(sealed(c.body)); err == nil {
			t.Errorf("%s: %+v, want an error", c.name, r)
		}
	}
}

// FuzzDecode takes what follows the checksum, so that the parser is reached.
func FuzzDecode(f *testing.F) {
	for _, r := range examples() {
		f.Add(encode(&r)[4:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = decode(body) // whatever it is
		b := sealed(body)
		r, err := decode(b)
		if err != nil {
			return
		}
		if got := encode(&r); !bytes.Equal(got, b) {
			t.Errorf("%x is read as %+v, which is written as %x", b, r, got)
		}
	})
}

func FuzzSplitRecordKey(f *testing.F) {
	f.Add([]byte{})
	f.Add(recordKey("tenant", "once", "key"))
	f.Add(recordKey("", "", ""))
	f.Add([]byte{0, 1, 'a', 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		partition, class, key, ok := splitRecordKey(b)
		if !ok {
			return
		}
		if got := recordKey(partition, class, key); !bytes.Equal(got, b) {
			t.Errorf("%x is split into %q %q %q, which is %x", b, partition, class, key, got)
		}
	})
}
