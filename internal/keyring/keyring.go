// Package keyring encrypts what is stored. A ring has one key or several: the first
// writes, and all read, so that keys can be changed without a stop. It knows
// nothing of what it encrypts but the bytes, and what they are bound to.
package keyring

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// KeyBytes is how long a key is.
const KeyBytes = 32

// MaxKeys is how many keys a ring has at most.
const MaxKeys = 16

var (
	// ErrKeys means that a text holds no keys.
	ErrKeys = errors.New("invalid keys")
	// ErrUnknownKey means that something was encrypted with a key that is not in the
	// ring.
	ErrUnknownKey = errors.New("encrypted with a key that is not here")
	// ErrForged means that something is not what the ring encrypted, or not for this
	// place.
	ErrForged = errors.New("not what was encrypted here")
)

const idBytes = 4

// key is one key of a ring.
type key struct {
	id   [idBytes]byte
	aead cipher.AEAD
	mac  []byte
}

// Ring is a set of keys. It does not change, and is safe for concurrent use.
type Ring struct{ keys []key }

// New makes a ring of keys of KeyBytes each. The first writes.
func New(raw ...[]byte) (*Ring, error) {
	if len(raw) == 0 || len(raw) > MaxKeys {
		return nil, fmt.Errorf("%w: %d keys: want 1 to %d", ErrKeys, len(raw), MaxKeys)
	}
	r := &Ring{}
	for i, k := range raw {
		if len(k) != KeyBytes {
			return nil, fmt.Errorf("%w: key %d has %d bytes: want %d", ErrKeys, i+1, len(k), KeyBytes)
		}
		block, err := aes.NewCipher(derive(k, "seeother encryption"))
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		one := key{aead: aead, mac: derive(k, "seeother fingerprints")}
		copy(one.id[:], derive(k, "seeother key id"))
		if r.find(one.id[:]) != nil {
			return nil, fmt.Errorf("%w: key %d comes twice", ErrKeys, i+1)
		}
		r.keys = append(r.keys, one)
	}
	return r, nil
}

// derive makes a key for one use of a key.
func derive(k []byte, use string) []byte {
	h := hmac.New(sha256.New, k)
	h.Write([]byte(use))
	return h.Sum(nil)
}

// Parse reads keys, one in each line, as hex or base64. Empty lines, and those that
// begin with #, say nothing. An error names the line, and no key.
func Parse(r io.Reader) (*Ring, error) {
	var raw [][]byte
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		k := decode(text)
		if k == nil {
			return nil, fmt.Errorf("%w: line %d: want %d bytes as hex or base64, such as openssl rand -hex 32 makes", ErrKeys, n, KeyBytes)
		}
		raw = append(raw, k)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return New(raw...)
}

func decode(text string) []byte {
	if k, err := hex.DecodeString(text); err == nil && len(k) == KeyBytes {
		return k
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if k, err := e.DecodeString(text); err == nil && len(k) == KeyBytes {
			return k
		}
	}
	return nil
}

func (r *Ring) find(id []byte) *key {
	for i := range r.keys {
		if bytes.Equal(r.keys[i].id[:], id) {
			return &r.keys[i]
		}
	}
	return nil
}

// Has reports whether the key that sealed or summed text is in the ring.
func (r *Ring) Has(text []byte) bool { return len(text) >= idBytes && r.find(text[:idBytes]) != nil }

// Seal encrypts plain, and binds it to place: it opens with the same place only.
// AES-256-GCM, with a random nonce: one key may seal some billions of times.
func (r *Ring) Seal(plain, place []byte) []byte {
	k := &r.keys[0]
	n := k.aead.NonceSize()
	out := make([]byte, idBytes+n, idBytes+n+len(plain)+k.aead.Overhead())
	copy(out, k.id[:])
	_, _ = rand.Read(out[idBytes:]) // never fails
	return k.aead.Seal(out, out[idBytes:], plain, place)
}

// Open is Seal's inverse. Errors: ErrUnknownKey, ErrForged.
func (r *Ring) Open(sealed, place []byte) ([]byte, error) {
	if len(sealed) < idBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrForged, len(sealed))
	}
	k := r.find(sealed[:idBytes])
	if k == nil {
		return nil, fmt.Errorf("%w: key id %x", ErrUnknownKey, sealed[:idBytes])
	}
	rest := sealed[idBytes:]
	if len(rest) < k.aead.NonceSize() {
		return nil, fmt.Errorf("%w: %d bytes", ErrForged, len(sealed))
	}
	plain, err := k.aead.Open(nil, rest[:k.aead.NonceSize()], rest[k.aead.NonceSize():], place)
	if err != nil {
		return nil, ErrForged
	}
	return plain, nil
}

// Sum is a keyed hash of data (HMAC-SHA-256), and the key that made it: who has no
// key cannot try inputs out.
func (r *Ring) Sum(data []byte) []byte { return r.keys[0].sum(data) }

func (k *key) sum(data []byte) []byte {
	h := hmac.New(sha256.New, k.mac)
	h.Write(data)
	return h.Sum(append([]byte(nil), k.id[:]...))
}

// SumOf reports whether sum is a Sum of data by any key of the ring. It takes as
// long for all.
func (r *Ring) SumOf(sum, data []byte) bool {
	if len(sum) < idBytes {
		return false
	}
	k := r.find(sum[:idBytes])
	return k != nil && hmac.Equal(k.sum(data), sum)
}

// SumBytes is the length of a Sum.
const SumBytes = idBytes + sha256.Size
