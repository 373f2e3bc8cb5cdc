package once

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// Principal is on whose behalf a request comes. The answer to one principal is
// never shown to another. Hash hides the credential that it was made from.
type Principal struct {
	Kind string // "header", "cookie", "authorization", "api-key", "browser"; "none"
	Hash string // hex of SHA-256; empty for none
}

// PrincipalRule says where a principal is read from. The first that applies
// counts: Header, Cookie, Authorization, X-API-Key. A rotated token is a new
// principal.
type PrincipalRule struct {
	// Header names a header with the user's identity that a trusted proxy set.
	// It counts only when Trusted says so.
	Header  string
	Trusted func(*http.Request) bool
	// Cookie names a session cookie whose value stays the same for as long as
	// the person is logged in.
	Cookie string
}

// Of returns the principal of r. It only reads, and is safe for concurrent use.
func (p PrincipalRule) Of(r *http.Request) Principal {
	if p.Header != "" && p.Trusted != nil && p.Trusted(r) {
		if values := r.Header.Values(p.Header); len(values) == 1 && values[0] != "" {
			return newPrincipal(kindHeader, values[0])
		}
	}
	if p.Cookie != "" {
		// A cookie that comes twice was set by somebody else, on a path or a
		// parent domain: it names nobody.
		if found := r.CookiesNamed(p.Cookie); len(found) == 1 && found[0].Value != "" {
			return newPrincipal(kindCookie, found[0].Value)
		}
	}
	if values := r.Header.Values("Authorization"); strings.Join(values, "") != "" {
		return newPrincipal("authorization", values...)
	}
	if values := r.Header.Values("X-API-Key"); strings.Join(values, "") != "" {
		return newPrincipal("api-key", values...)
	}
	return nobody
}

// Kinds of a principal: one that a trusted proxy names, and a session cookie.
const (
	kindHeader = "header"
	kindCookie = "cookie"
)

// nobody is who comes without anything that names them.
var nobody = Principal{Kind: "none"}

// known reports whether p names somebody. What a Principal function returns
// without a Hash names nobody, whatever its Kind.
func (p Principal) known() bool { return p.Hash != "" }

func newPrincipal(kind string, secrets ...string) Principal {
	h := sha256.New()
	writeParts(h, secrets...)
	return Principal{Kind: kind, Hash: hex.EncodeToString(h.Sum(nil))}
}

// replayable reports whether the answer may be shown to whoever comes with the
// same key and body again. A request with cookies but without a principal has
// an identity that is not known here, so nobody else may see its answer.
func replayable(p Principal, r *http.Request) bool {
	return p.known() || len(r.Header["Cookie"]) == 0
}
