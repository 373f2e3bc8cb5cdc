package form

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/seeother/seeother/internal/keyring"
)

// A token is: one byte of format, the time it was made, in seconds since 1970, a
// random number, and a keyed hash over these and the nonce of the browser that it
// is for.
const (
	tokenFormat = 1
	tokenID     = 1 + 8 + 12
	tokenBytes  = tokenID + keyring.SumBytes
)

// clockSkew is how far in the future a token may have been made: gateways' clocks
// differ.
const clockSkew = time.Minute

var encoding = base64.RawURLEncoding.Strict()

// newToken makes a token for a form in the browser with this nonce.
func (f *Forms) newToken(nonce string, now time.Time) string {
	var number [12]byte
	_, _ = rand.Read(number[:]) // never fails
	return f.tokenOf(nonce, now, number)
}

// tokenFor is the token of the next form on the page that v is shown.
func (f *Forms) tokenFor(v *visit, nonce string) string {
	if v.shown == nil {
		return f.newToken(nonce, time.Now())
	}
	made, number := v.shown()
	return f.tokenOf(nonce, made, number)
}

func (f *Forms) tokenOf(nonce string, made time.Time, number [12]byte) string {
	token := make([]byte, tokenID, tokenBytes)
	token[0] = tokenFormat
	binary.BigEndian.PutUint64(token[1:], uint64(max(made.Unix(), 0)))
	copy(token[9:], number[:])
	return encoding.EncodeToString(append(token, f.keys.Sum(signed(token, nonce))...))
}

// shownForms gives the forms of a kept page the same names each time that it is
// shown: who goes back to it finds the form that was there. Made is when it was kept.
func shownForms(page string, made time.Time) func() (time.Time, [12]byte) {
	n := uint64(0)
	return func() (time.Time, [12]byte) {
		n++
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("seeother form of page "+page+" "), n))
		return made, [12]byte(sum[:12])
	}
}

// signed is what a token's keyed hash is over. Its parts have fixed lengths.
func signed(id []byte, nonce string) []byte {
	const use = "seeother form token "
	out := make([]byte, 0, len(use)+len(id)+len(nonce))
	out = append(out, use...)
	out = append(out, id...)
	return append(out, nonce...)
}

// checkToken returns the name of the form that a token stands for, and for which
// of the nonces it is; ok is false where it is not ours, too old, or for none of
// them.
func (f *Forms) checkToken(token string, nonces []string, now time.Time) (name, nonce string, ok bool) {
	if len(token) != encoding.EncodedLen(tokenBytes) {
		return "", "", false
	}
	raw, err := encoding.DecodeString(token)
	if err != nil || raw[0] != tokenFormat {
		return "", "", false
	}
	seconds := binary.BigEndian.Uint64(raw[1:])
	if seconds > 1<<40 { // a year that no time.Time has trouble with
		return "", "", false
	}
	age := now.Sub(time.Unix(int64(seconds), 0))
	if age < -clockSkew || age > f.cfg.TokenAge {
		return "", "", false
	}
	for _, nonce := range nonces {
		if f.keys.SumOf(raw[tokenID:], signed(raw[:tokenID], nonce)) {
			return encoding.EncodeToString(raw[:tokenID]), nonce, true
		}
	}
	return "", "", false
}
