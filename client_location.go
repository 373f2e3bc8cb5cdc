package seeother

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLocation is how long a Location a [Client] follows, in bytes.
const MaxLocation = 64 << 10

// ParseLocation resolves a Location as a browser that is at base would (RFC
// 3986 section 5, with what the URL standard reads otherwise: a backslash is a
// slash, "http:x" is relative at http, more than two slashes are two, a host that
// is a number is an IPv4 address). A fragment is inherited from base. The error wraps ErrLocation and holds
// nothing of the Location.
//
// Refused, where browsers are lenient: control characters, user information
// that leads to another origin, and an IPv6 zone. User information at the same
// origin is not used; that of base stays.
//
// Base must be http or https. What a URL cannot hold is percent-encoded.
func ParseLocation(location string, base *url.URL) (*url.URL, error) {
	if strings.ContainsFunc(location, isControl) {
		return nil, malformed("control character")
	}
	ref := splitLocation(strings.Trim(location, " "), strings.ToLower(base.Scheme))
	if ref.hasScheme && !isWeb(ref.scheme) {
		return nil, malformed("scheme is not http or https")
	}
	next := &url.URL{Scheme: strings.ToLower(base.Scheme), Host: base.Host, User: base.User}
	basePath := base.EscapedPath()
	if ref.hasAuthority {
		if err := setAuthority(next, ref, base); err != nil {
			return nil, err
		}
		basePath = "/"
	} else if ref.path == "" && !ref.hasQuery {
		ref.query, ref.hasQuery = base.RawQuery, base.RawQuery != "" || base.ForceQuery
	}
	if err := setPath(next, encode(resolvePath(ref.path, basePath))); err != nil {
		return nil, err
	}
	next.RawQuery, next.ForceQuery = encodeQuery(ref.query), ref.hasQuery && ref.query == ""
	next.Fragment, next.RawFragment = base.Fragment, base.RawFragment
	if ref.hasFrag {
		next.RawFragment = ""
		next.Fragment = decodeFragment(ref.fragment)
	}
	return next, nil
}

// splitLocation is splitReference as the URL standard reads it for http.
func splitLocation(location, baseScheme string) reference {
	front := location
	if i := strings.IndexAny(location, "?#"); i >= 0 {
		front = location[:i]
	}
	ref := splitReference(strings.ReplaceAll(front, `\`, "/") + location[len(front):])
	if ref.hasScheme && !isScheme(ref.scheme) {
		ref.path, ref.scheme, ref.hasScheme = ref.scheme+":"+ref.whole(), "", false
		ref.authority, ref.hasAuthority = "", false
	}
	ref.scheme = strings.ToLower(ref.scheme)
	if ref.hasScheme && ref.scheme != baseScheme && isWeb(ref.scheme) || ref.hasAuthority {
		rest := strings.TrimLeft(ref.whole(), "/")
		ref.hasAuthority, ref.authority, ref.path = true, rest, ""
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			ref.authority, ref.path = rest[:i], rest[i:]
		}
	}
	return ref
}

// whole is authority and path as they were written.
func (ref reference) whole() string {
	if ref.hasAuthority {
		return "//" + ref.authority + ref.path
	}
	return ref.path
}

// isScheme is RFC 3986 section 3.1.
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(s[i]))) {
			return false
		}
	}
	return s != ""
}

// setAuthority gives next the scheme and the host of ref.
func setAuthority(next *url.URL, ref reference, base *url.URL) error {
	if ref.hasScheme {
		next.Scheme = ref.scheme
	}
	user, host, hasUser := ref.authority, ref.authority, false
	if i := strings.LastIndexByte(ref.authority, '@'); i >= 0 {
		user, host, hasUser = ref.authority[:i], ref.authority[i+1:], true
	}
	host = strings.TrimSuffix(strings.ToLower(host), ":")
	if !isLocationHost(host) {
		return malformed("host or port")
	}
	if name, rest, _ := strings.Cut(host, ":"); !strings.HasPrefix(host, "[") {
		numeric, ok := numericHost(name)
		if !ok {
			return malformed("host that is a number")
		}
		host = numeric + host[len(host)-len(rest)-min(len(rest), 1):]
	}
	next.Host = host
	same := sameOrigin(next, base)
	if hasUser && user != "" && user != ":" && !same {
		return malformed("user information for another origin")
	}
	if !same {
		next.User = nil
	}
	return nil
}

// isLocationHost takes what newOrigin takes, with names that are not ASCII (the
// Transport knows IDNA), real ports and real IPv6 addresses only.
func isLocationHost(host string) bool {
	ascii := strings.Map(func(c rune) rune {
		switch {
		case c == utf8.RuneError || c >= 0x80 && !unicode.IsPrint(c):
			return '!'
		case c >= 0x80:
			return 'x'
		}
		return c
	}, host)
	o, ok := newOrigin("http", ascii)
	if !ok {
		return false
	}
	if port, _ := strconv.Atoi(o.port); port > 0xffff {
		return false
	}
	if strings.HasPrefix(o.host, "[") {
		_, err := netip.ParseAddr(strings.Trim(o.host, "[]"))
		return err == nil
	}
	return true
}

// setPath takes a path that encode has been through.
func setPath(u *url.URL, path string) error {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return malformed("path")
	}
	u.Path, u.RawPath = decoded, path
	return nil
}

// encodeQuery is the URL standard's "special-query percent-encode set".
func encodeQuery(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"#'<>`, c) >= 0 {
			b.WriteString("%" + string(upperHex[c>>4]) + string(upperHex[c&15]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// decodeFragment never fails: what is no encoding stands for itself.
func decodeFragment(s string) string {
	decoded, err := url.PathUnescape(encode(s))
	if err != nil {
		return s
	}
	return decoded
}

func malformed(reason string) error { return fmt.Errorf("%w: %s", ErrLocation, reason) }
