package seeother

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// MaxTarget bounds a target and the Location made from it, in bytes.
const MaxTarget = 8 << 10

// ErrTarget is what ParseTarget returns, wrapped with the reason, for a target
// that is not safe. The text holds nothing of the target but the origin that
// is not listed.
var ErrTarget = errors.New("redirect target refused")

// ErrOrigin is what a malformed origin in a list gets, wrapped.
var ErrOrigin = errors.New("want http or https, ://, a host and maybe a port, and nothing else")

// Target is a place that it is safe to send a client to. Make one with
// ParseTarget; the zero value is the root of this site.
type Target struct {
	origin string // "" is this site
	rest   string // path, query and fragment
}

// ParseTarget resolves target as a client that is at base would (RFC 3986
// section 5: "?q=1" keeps the last path segment, "" is the same page), and
// refuses with ErrTarget what could lead the client off this site, unless to
// one of the listed origins ("https://shop.example"). Base counts with its
// path and query only; nil is "/".
//
// Refused are: control characters anywhere; in authority and path also encoded
// ones ("%0A") and a backslash, plain or encoded; two slashes at the start of
// the path, also where removed "." and ".." segments leave them there;
// userinfo; any scheme but http and https; a host that is not listed. A target
// may come from a request as it is; origins must come from the program or its
// configuration.
//
// Percent-encoding stays as it came and is never doubled. What a URL cannot
// hold is encoded: spaces, non-ASCII, a lone percent sign, a backslash in the query.
func ParseTarget(target string, base *url.URL, origins ...string) (Target, error) {
	if base == nil {
		return parseTarget(target, "/", "", origins)
	}
	return parseTarget(target, base.EscapedPath(), base.RawQuery, origins)
}

// Location is the value for the Location header: a path with query and
// fragment on this site, an absolute URL elsewhere. It is printable ASCII.
func (t Target) Location() string {
	if t.rest == "" {
		return "/"
	}
	return t.origin + t.rest
}

// Origin is the listed origin that the target is at, or "" for this site.
func (t Target) Origin() string { return t.origin }

// String is Location.
func (t Target) String() string { return t.Location() }

func parseTarget(target, basePath, baseQuery string, origins []string) (Target, error) {
	if len(target) > MaxTarget || len(basePath)+len(baseQuery) > MaxTarget {
		return Target{}, refused("longer than %d bytes", MaxTarget)
	}
	if strings.ContainsFunc(target, isControl) {
		return Target{}, refused("control character")
	}
	ref := splitReference(target)
	origin, err := targetOrigin(ref, origins)
	if err != nil {
		return Target{}, err
	}
	if origin == "" && ref.path == "" && !ref.hasQuery {
		ref.query, ref.hasQuery = baseQuery, baseQuery != ""
	}
	if origin != "" {
		basePath = "/"
	}
	path := resolvePath(ref.path, basePath)
	for _, p := range [...]string{ref.path, path} { // before and after its dots went
		if err := checkPath(p); err != nil {
			return Target{}, err
		}
	}
	t := Target{origin: origin, rest: encodeRest(path, ref)}
	if len(t.Location()) > MaxTarget {
		return Target{}, refused("longer than %d bytes", MaxTarget)
	}
	return t, nil
}

// targetOrigin is the entry of origins that the reference is at, or "" for one
// that stays on this site. Browsers read a backslash as a slash, and "https:x"
// and "https:/x" as "https://x"; none of that passes.
func targetOrigin(ref reference, origins []string) (string, error) {
	switch {
	case strings.ContainsRune(ref.scheme, '\\'), strings.ContainsRune(ref.authority, '\\'):
		return "", refused("backslash")
	case !ref.hasScheme && !ref.hasAuthority:
		return "", nil
	case !ref.hasScheme:
		return "", refused("begins with two slashes")
	case !isWeb(ref.scheme):
		return "", refused("scheme is not http or https")
	case !ref.hasAuthority:
		return "", refused("scheme without two slashes after it")
	case strings.ContainsRune(ref.authority, '@'):
		return "", refused("userinfo")
	}
	parsed, ok := newOrigin(ref.scheme, ref.authority)
	if !ok {
		return "", refused("malformed host")
	}
	origin := parsed.String()
	for _, allowed := range origins {
		if listed, err := ParseOrigin(allowed); err == nil && listed == origin {
			return listed, nil
		}
	}
	return "", refused("origin %q is not listed", origin)
}

// checkPath looks at what a path begins with, and at what it holds, as it is
// and decoded once.
func checkPath(path string) error {
	if strings.HasPrefix(path, "//") {
		return refused("path begins with two slashes")
	}
	for i := range len(path) {
		c := path[i]
		if c == '%' {
			if decoded, ok := decodeAt(path, i); ok {
				c = decoded
			}
		}
		if isControl(rune(c)) {
			return refused("control character in the path")
		}
		if c == '\\' {
			return refused("backslash")
		}
	}
	return nil
}

func encodeRest(path string, ref reference) string {
	rest := encode(path)
	if ref.hasQuery {
		rest += "?" + encode(ref.query)
	}
	if ref.hasFrag {
		rest += "#" + encode(ref.fragment)
	}
	return rest
}

// ParseOrigin reads an origin as a list of origins holds it and gives its one
// spelling: lower case, without the scheme's own port. A slash at the end is
// dropped. The error wraps ErrOrigin.
func ParseOrigin(text string) (string, error) {
	scheme, host, _ := strings.Cut(strings.TrimSuffix(text, "/"), "://")
	if o, ok := newOrigin(scheme, host); ok {
		return o.String(), nil
	}
	return "", fmt.Errorf("origin %q: %w", text, ErrOrigin)
}

// origin is an origin in its one spelling; two are the same where == holds.
type origin struct{ scheme, host, port string }

func (o origin) String() string {
	if o.port == "" {
		return o.scheme + "://" + o.host
	}
	return o.scheme + "://" + o.host + ":" + o.port
}

// newOrigin takes hosts of ASCII letters, digits, "-", "_" and ".", and IPv6
// addresses in brackets; an international name must be written in its xn--
// form. It allocates nothing for what is in its one spelling already.
func newOrigin(scheme, authority string) (origin, bool) {
	scheme, authority = strings.ToLower(scheme), strings.ToLower(authority)
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
		if !isPort(port) {
			return origin{}, false
		}
	}
	if !isWeb(scheme) || !isHost(host) {
		return origin{}, false
	}
	if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		port = ""
	}
	return origin{scheme, host, port}, true
}

func isHost(host string) bool {
	allowed := "abcdefghijklmnopqrstuvwxyz0123456789-_."
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return false
		}
		allowed = "abcdef0123456789:."
	}
	return host != "" && strings.Trim(host, allowed) == ""
}

func isPort(port string) bool {
	return port != "" && len(port) <= 5 && port[0] != '0' && strings.Trim(port, "0123456789") == ""
}

func isWeb(scheme string) bool {
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTarget, fmt.Sprintf(format, args...))
}
