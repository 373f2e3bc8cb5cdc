package seeother

import "strings"

// reference is a URI reference cut into its parts (RFC 3986 section 4.1). All
// parts stay as they were written.
type reference struct {
	scheme, authority, path, query, fragment   string
	hasScheme, hasAuthority, hasQuery, hasFrag bool
}

// splitReference cuts as RFC 3986 appendix B does. It never fails: whatever
// comes before the first colon of the first segment is a scheme, good or bad.
func splitReference(s string) (ref reference) {
	s, ref.fragment, ref.hasFrag = strings.Cut(s, "#")
	s, ref.query, ref.hasQuery = strings.Cut(s, "?")
	if i := strings.IndexAny(s, ":/"); i >= 0 && s[i] == ':' {
		ref.scheme, ref.hasScheme, s = s[:i], true, s[i+1:]
	}
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		ref.hasAuthority = true
		ref.authority, s = rest, ""
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			ref.authority, s = rest[:i], rest[i:]
		}
	}
	ref.path = s
	return ref
}

// resolvePath is the path of a reference without authority, seen from base
// (RFC 3986 section 5.2). The result begins with a slash.
func resolvePath(path, base string) string {
	if !strings.HasPrefix(base, "/") { // "*", or no base
		base = "/"
	}
	switch {
	case path == "":
		path = base
	case path[0] != '/':
		path = base[:strings.LastIndexByte(base, '/')+1] + path
	}
	return removeDots(path)
}

// removeDots is RFC 3986 section 5.2.4 for a path that begins with a slash.
// "%2e" is a dot, as it is for browsers. Doubled slashes stay.
func removeDots(path string) string {
	if !hasDotSegment(path) {
		return path
	}
	segments := strings.Split(path[1:], "/")
	kept := segments[:0]
	for i, segment := range segments {
		dots, last := dotSegment(segment), i == len(segments)-1
		if dots == 2 && len(kept) > 0 {
			kept = kept[:len(kept)-1]
		}
		if dots == 0 {
			kept = append(kept, segment)
		} else if last {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if dotSegment(segment) > 0 {
			return true
		}
	}
	return false
}

// dotSegment is 1 for ".", 2 for "..", in any encoding, and 0 for the rest.
func dotSegment(s string) int {
	dots := 0
	for s != "" {
		switch {
		case s[0] == '.':
			s = s[1:]
		case len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'e':
			s = s[3:]
		default:
			return 0
		}
		if dots++; dots > 2 {
			return 0
		}
	}
	return dots
}

const upperHex = "0123456789ABCDEF"

// encode percent-encodes the bytes that no part of a URI may hold, and leaves
// every encoding that is there as it is: encode(encode(s)) is encode(s).
func encode(s string) string {
	n := 0
	for i := range len(s) {
		if mustEncode(s, i) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if mustEncode(s, i) {
			b = append(b, '%', upperHex[s[i]>>4], upperHex[s[i]&15])
		} else {
			b = append(b, s[i])
		}
	}
	return string(b)
}

func mustEncode(s string, i int) bool {
	switch c := s[i]; c {
	case '"', '#', '<', '>', '\\', '^', '`', '{', '|', '}':
		return true
	case '%':
		_, ok := decodeAt(s, i)
		return !ok
	default:
		return c <= ' ' || c >= 0x7f
	}
}

// decodeAt is the byte that the percent sign at s[i] encodes, if it does.
func decodeAt(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	high, low := unhex(s[i+1]), unhex(s[i+2])
	return byte(high<<4 | low&15), high >= 0 && low >= 0 //nolint:gosec // two digits of four bits, or not used
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
