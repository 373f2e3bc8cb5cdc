package once

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/seeother/seeother/internal/keyring"
	"github.com/seeother/seeother/store"
)

// valueSealed begins a value that is encrypted: it and a sealed value of the
// other format.
const valueSealed = 2

// Keys encrypt what is stored, and make fingerprints that nobody can try inputs
// out on who has no key. Make them with ParseKeys.
type Keys = keyring.Ring

// ParseKeys reads keys of 32 bytes, one in each line, as hex or base64. The first
// encrypts, and all decrypt, so that keys can be changed without a stop. An error
// names the line, and no key.
func ParseKeys(r io.Reader) (*Keys, error) { return keyring.Parse(r) }

// errNoKeys means that a record is encrypted, and the Guard has no keys.
var errNoKeys = errors.New("it is encrypted, and no key is configured")

// place is what an encrypted record is bound to: it cannot stand in for another
// one, or for itself in another state.
func (g *Guard) place(id, state string) []byte {
	var b bytes.Buffer
	for _, part := range []string{g.cfg.Tenant, Class, id, state} {
		_, _ = fmt.Fprintf(&b, "%d:%s", len(part), part) // never fails
	}
	return b.Bytes()
}

// encode is the value of an entry in the store.
func (g *Guard) encode(id, state string, e entry) ([]byte, error) {
	value, err := e.encode()
	if err != nil || g.cfg.Keys == nil {
		return value, err
	}
	return append([]byte{valueSealed}, g.cfg.Keys.Seal(value, g.place(id, state))...), nil
}

// decode reads the entry of a record. What was written before there were keys is
// read as it is. One that cannot be read blocks its key: it is never taken for
// none.
func (g *Guard) decode(rec *store.Record) (entry, error) {
	value := rec.Value
	if len(value) > 0 && value[0] == valueSealed {
		if g.cfg.Keys == nil {
			return entry{}, fmt.Errorf("%w: %w", errRecord, errNoKeys)
		}
		var err error
		if value, err = g.cfg.Keys.Open(value[1:], g.place(rec.Key, rec.State)); err != nil {
			return entry{}, fmt.Errorf("%w: %w", errRecord, err)
		}
	}
	return decode(value)
}

// print is a fingerprint as it is stored.
func (g *Guard) print(sum []byte) []byte {
	if sum == nil || g.cfg.Keys == nil {
		return sum
	}
	return g.cfg.Keys.Sum(sum)
}

// isPrint reports whether a stored fingerprint is that of sum.
func (g *Guard) isPrint(stored, sum []byte) bool {
	return g.cfg.Keys != nil && g.cfg.Keys.SumOf(stored, sum) || bytes.Equal(stored, sum)
}
