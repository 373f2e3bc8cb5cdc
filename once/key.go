package once

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"

	"github.com/dunglas/httpsfv"
)

// DefaultHeader is where a client names its key.
const DefaultHeader = "Idempotency-Key"

// MaxKey is the longest key, in bytes.
const MaxKey = 255

var (
	errNoKey  = errors.New("no key")
	errBadKey = errors.New("key is malformed")

	errEmptyKey = fmt.Errorf("%w: it is empty", errBadKey)
)

// clientKey reads the key from a header: a structured-field string (RFC 9651
// section 3.3.3), or the bare text that most clients send.
func clientKey(h http.Header, name string) (string, error) {
	lines := h.Values(name)
	switch {
	case len(lines) == 0:
		return "", errNoKey
	case len(lines) > 1:
		return "", fmt.Errorf("%w: %s comes %d times", errBadKey, name, len(lines))
	}
	text := strings.Trim(lines[0], " \t")
	if len(text) > 2*MaxKey+2 { // two quotes, and each byte may be escaped
		return "", fmt.Errorf("%w: it is longer than %d bytes", errBadKey, MaxKey)
	}
	key, err := parseKey(text)
	if err != nil {
		return "", err
	}
	if len(key) > MaxKey {
		return "", fmt.Errorf("%w: it is longer than %d bytes", errBadKey, MaxKey)
	}
	return key, nil
}

func parseKey(text string) (string, error) {
	if text == "" {
		return "", errEmptyKey
	}
	if text[0] == '"' {
		item, err := httpsfv.UnmarshalItem([]string{text})
		key, ok := item.Value.(string)
		if err != nil || !ok {
			return "", fmt.Errorf("%w: want one quoted string, such as \"8e03978e-40d5\"", errBadKey)
		}
		if key == "" {
			return "", errEmptyKey
		}
		return key, nil
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`",;\`, c) >= 0 {
			return "", fmt.Errorf("%w: a key without quotes holds visible ASCII only, and none of \" , ; \\", errBadKey)
		}
	}
	return text, nil
}

// recordKey is the name of a submission: who, what and where, and the client's
// own key. Each part is preceded by its length, so that no two different
// submissions have the same text.
func recordKey(tenant string, p Principal, method, host, scope, key string) string {
	h := sha256.New()
	writeParts(h, tenant, p.Kind, p.Hash, method, canonicalHost(host), scope, key)
	return recordNames.EncodeToString(h.Sum(nil))
}

// recordNames writes ids that operators copy into a command line: none begins
// with a dash, which would be a flag there, and a double click takes the whole.
var recordNames = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// canonicalHost is a host in one spelling: a client that names the default port,
// or ends the name with a dot, means the same site.
func canonicalHost(host string) string {
	host = strings.ToLower(host)
	for _, port := range []string{":80", ":443"} {
		host = strings.TrimSuffix(host, port)
	}
	return strings.TrimSuffix(host, ".")
}

// HashKey is how a client's key is kept: operators can look for a key that
// they were told, and the store does not hand keys out.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func writeParts(h hash.Hash, parts ...string) {
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
}

func randomOwner() string { return rand.Text() }
