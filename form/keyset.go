package form

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seeother/seeother/internal/keyring"
)

// The first byte of a stored set of keys: what follows is JSON, or JSON that
// is encrypted.
const (
	keysClear  = 1
	keysSealed = 2
)

// maxKeyRecord bounds a stored set of keys, in bytes: 16 keys take under 3 KiB.
const maxKeyRecord = 8 << 10

var (
	errKeyRecord = errors.New("stored form keys are malformed")
	errNoSeal    = errors.New("they are stored encrypted, and no key is configured to read them")
)

// signingKey is one key. All times are of the store's clock.
type signingKey struct {
	Key  []byte    `json:"key"`
	Made time.Time `json:"made"`
	From time.Time `json:"from"` // when it begins to sign: every gateway has read it by then
}

// keySet is the keys of one store, in the order in which they were made. Their
// times mostly have the same order; a clock that was set back breaks it.
type keySet []signingKey

// validate reports the first thing that makes a set unfit for use.
func (s keySet) validate() error {
	if len(s) == 0 || len(s) > keyring.MaxKeys {
		return fmt.Errorf("%d keys: want 1 to %d", len(s), keyring.MaxKeys)
	}
	_, err := keyring.New(s.raw()...)
	return err
}

func (s keySet) raw() [][]byte {
	raw := make([][]byte, len(s))
	for i, k := range s {
		raw[i] = k.Key
	}
	return raw
}

// signer is the index of the key that signs at now: the newest that has begun.
// Where a clock went back none may have: then it is the oldest.
func (s keySet) signer(now time.Time) int {
	for i := len(s) - 1; i > 0; i-- {
		if !s[i].From.After(now) {
			return i
		}
	}
	return 0
}

// live is s without the keys whose successor has signed for longer than keep.
func (s keySet) live(now time.Time, keep time.Duration) keySet {
	for len(s) > 1 && now.Sub(s[1].From) > keep {
		s = s[1:]
	}
	return s
}

// ring is the keys that count at now, the one that signs first.
func (s keySet) ring(now time.Time, keep time.Duration) (*keyring.Ring, error) {
	s = s.live(now, keep)
	raw := s.raw()
	i := s.signer(now)
	first := raw[i]
	copy(raw[1:i+1], raw[:i])
	raw[0] = first
	return keyring.New(raw...)
}

// rotated is s with one more key, which signs from ahead of now on. The
// set that it makes fits a ring.
func (s keySet) rotated(now time.Time, ahead, keep time.Duration) keySet {
	next := append(keySet{}, s.live(now, keep)...)
	if over := len(next) + 1 - keyring.MaxKeys; over > 0 {
		next = next[over:]
	}
	k := signingKey{Key: make([]byte, keyring.KeyBytes), Made: now.UTC(), From: now.Add(ahead).UTC()}
	_, _ = rand.Read(k.Key) // never fails
	return append(next, k)
}

// wantsNew reports whether the newest key will be older than rotate when a new
// one could sign. A key that has yet to begin is new enough, unless a clock
// that went wrong made it: then it would hold the next one up for ever.
func (s keySet) wantsNew(now time.Time, ahead, rotate time.Duration) bool {
	newest := s[len(s)-1].From
	return !now.Add(ahead).Before(newest.Add(rotate)) || newest.Sub(now) > 2*ahead+rotate
}

func encodeKeys(s keySet, seal *keyring.Ring, place []byte) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if seal == nil {
		return append([]byte{keysClear}, text...), nil
	}
	return append([]byte{keysSealed}, seal.Seal(text, place)...), nil
}

// decodeKeys reads a stored set. The error says what to do where it can.
func decodeKeys(value []byte, seal *keyring.Ring, place []byte) (keySet, error) {
	if len(value) < 2 || len(value) > maxKeyRecord {
		return nil, fmt.Errorf("%w: %d bytes", errKeyRecord, len(value))
	}
	text, err := openKeys(value, seal, place)
	if err != nil {
		return nil, err
	}
	var s keySet
	if json.Unmarshal(text, &s) != nil {
		return nil, fmt.Errorf("%w: want a list of keys", errKeyRecord) // the error of the decoder could hold a key
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", errKeyRecord, err)
	}
	return s, nil
}

func openKeys(value []byte, seal *keyring.Ring, place []byte) ([]byte, error) {
	switch {
	case value[0] == keysClear:
		return value[1:], nil
	case value[0] != keysSealed:
		return nil, fmt.Errorf("%w: format %d", errKeyRecord, value[0])
	case seal == nil:
		return nil, errNoSeal
	}
	return seal.Open(value[1:], place)
}
