package form

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// flashName begins the names of the cookies. A random text follows, so that
// messages of two tabs do not meet.
const (
	flashName  = "seeother-flash-"
	flashChars = 16
)

// The text in a cookie: its format, when it was made in milliseconds, its place
// among the messages of one answer, and the length of the kind before it.
const (
	flashFormat = 1
	flashHead   = 1 + 8 + 1 + 1
)

const (
	sealBytes     = 4 + 12 + 16 // what keyring adds: the name of the key, a nonce, the tag
	maxFlashPlain = flashHead + MaxFlashKind + MaxFlashText
)

// flashCoding is that of cookie values. Strict: one text has one coding.
var flashCoding = base64.RawURLEncoding.Strict()

// maxFlashValue is the longest value that is decoded. It is looked at before
// anything is allocated for it (what went wrong in CVE-2026-25899).
var maxFlashValue = flashCoding.EncodedLen(sealBytes + maxFlashPlain)

// cookieSize is what a message takes of a Cookie header.
func cookieSize(m Flash) int {
	plain := flashHead + len(m.Kind) + len(m.Text)
	return len(hostPrefix) + len(flashName) + flashChars + len("=; ") + flashCoding.EncodedLen(sealBytes+plain)
}

// flashCookie is a cookie of ours as the browser sent it.
type flashCookie struct {
	name  string // without the prefix of https
	value string
}

func (c flashCookie) size() int { return len(hostPrefix) + len(c.name) + len("=; ") + len(c.value) }

// readyFlash is a message that was read.
type readyFlash struct {
	Flash
	name  string // of its cookie
	made  time.Time
	place byte
}

// sealFlash makes the cookie of a message for the page at path and the browser
// with nonce.
func (f *Flashes) sealFlash(m readyFlash, path, nonce string) flashCookie {
	plain := make([]byte, flashHead, flashHead+len(m.Kind)+len(m.Text))
	plain[0] = flashFormat
	binary.BigEndian.PutUint64(plain[1:], uint64(m.made.UnixMilli()))
	plain[9] = m.place
	plain[10] = byte(len(m.Kind)) //nolint:gosec // at most MaxFlashKind
	plain = append(append(plain, m.Kind...), m.Text...)
	name := flashName + rand.Text()[:flashChars]
	return flashCookie{name: name, value: flashCoding.EncodeToString(f.keys.Seal(plain, flashPlace(name, path, nonce)))}
}

// flashPlace is what a message is bound to.
func flashPlace(name, path, nonce string) []byte {
	return fmt.Appendf(nil, "flash %d:%s%d:%s%d:%s", len(name), name, len(path), path, len(nonce), nonce)
}

// openFlash reads a cookie. One that is forged, too old, for another page or for
// another browser is none.
func (f *Flashes) openFlash(c flashCookie, path string, nonces []string, now time.Time) (readyFlash, bool) {
	if len(c.value) > maxFlashValue {
		return readyFlash{}, false
	}
	sealed, err := flashCoding.DecodeString(c.value)
	if err != nil || len(sealed) < sealBytes+flashHead {
		return readyFlash{}, false
	}
	for _, nonce := range nonces {
		if plain, err := f.keys.Open(sealed, flashPlace(c.name, path, nonce)); err == nil {
			m, ok := decodeFlash(plain)
			m.name = c.name
			age := now.Sub(m.made)
			return m, ok && age < f.cfg.MaxAge && age > -f.cfg.MaxAge // clocks of gateways differ
		}
	}
	return readyFlash{}, false
}

// decodeFlash reads what was encrypted. It is ours, but maybe of another version.
func decodeFlash(plain []byte) (readyFlash, bool) {
	if len(plain) < flashHead || plain[0] != flashFormat {
		return readyFlash{}, false
	}
	kind, rest := int(plain[10]), plain[flashHead:]
	if kind > len(rest) {
		return readyFlash{}, false
	}
	m, err := Flash{Kind: string(rest[:kind]), Text: string(rest[kind:])}.checked()
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(plain[1:]))) //nolint:gosec // whatever it is
	return readyFlash{Flash: m, made: made, place: plain[9]}, err == nil
}

// takeFlashes splits our cookies from the others, which stay as they are. It costs
// nothing where there are none. A name without the prefix counts for nothing over
// https, and one that comes twice was set by somebody else.
func takeFlashes(lines []string, secure bool) (found []flashCookie, rest []string, ours bool) {
	for _, line := range lines {
		ours = ours || strings.Contains(line, flashName)
	}
	if !ours {
		return nil, lines, false
	}
	for _, line := range lines {
		var kept []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			name, value, _ := strings.Cut(pair, "=")
			bare := strings.TrimPrefix(name, hostPrefix)
			switch {
			case !strings.HasPrefix(bare, flashName):
				kept = append(kept, pair)
			case name == cookieName(bare, secure) && isFlashName(bare) && len(found) < maxFlashReads:
				found = append(found, flashCookie{bare, value})
			}
		}
		if len(kept) > 0 {
			rest = append(rest, strings.Join(kept, "; "))
		}
	}
	return withoutTwins(found), rest, true
}

func isFlashName(name string) bool {
	random := name[len(flashName):]
	return len(random) == flashChars && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

func withoutTwins(found []flashCookie) []flashCookie {
	count := make(map[string]int, len(found))
	for _, c := range found {
		count[c.name]++
	}
	var single []flashCookie
	for _, c := range found {
		if count[c.name] == 1 {
			single = append(single, c)
		}
	}
	return single
}

// put adds the cookie to an answer; forget takes it back.
func (c flashCookie) put(h http.Header, secure bool, age time.Duration) {
	setCookie(h, c.name, c.value, secure, int(age/time.Second))
}

func (c flashCookie) forget(h http.Header, secure bool) { setCookie(h, c.name, "", secure, -1) }
