package rule

import (
	"strings"
)

// space is how paths are compared: a set of flags. Each space that a table
// uses costs one more lookup.
type space uint8

const (
	spaceDecoded space = 1 << iota
	spaceFold          // ASCII letters in lower case
	spaceSlash         // without one slash at the end
	spaces       = 8
)

func spaceOf(r *Rule) (s space) {
	if r.Decoded {
		s |= spaceDecoded
	}
	if r.IgnoreCase {
		s |= spaceFold
	}
	if r.IgnoreSlash {
		s |= spaceSlash
	}
	return s
}

// plainPath are the bytes that mean the same in both views of a path.
// A star is not among them: patterns write it %2A, and so it is compared.
var plainPath = bytesOf(strings.Replace(pchar, "*", "", 1) + ":@/")

// isPlain reports whether a path is in normal form and nothing of it is encoded.
func isPlain(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	before := byte(0)
	for i := range len(path) {
		c := path[i]
		if !plainPath[c] || before == '/' && (c == '/' || c == '.') {
			return false
		}
		before = c
	}
	return true
}

// appendNative appends the path in the normal form of RFC 3986 section 6.2.2:
// unreserved characters decoded, hex in upper case, what a path cannot hold
// encoded, dot segments resolved. "//" stays.
func appendNative(dst []byte, path string) []byte {
	return resolveDots(appendNormal(dst, path), len(dst), false)
}

func appendNormal(dst []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && isEncoded(path, i) {
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			i += 2
			if unreservedSet[c] {
				dst = append(dst, c)
				continue
			}
		} else if plainPath[c] {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
	}
	return dst
}

var unreservedSet = bytesOf(unreserved)

// appendDecoded appends the path decoded once, with slashes merged and dot
// segments resolved, as nginx and Apache compare it. It is false for a path
// that they refuse: with NUL, or above the root.
func appendDecoded(dst []byte, path string) ([]byte, bool) {
	start := len(dst)
	dst = appendUnescaped(dst, path)
	if strings.IndexByte(string(dst[start:]), 0) >= 0 { // no copy: the compiler sees that it is only read
		return dst, false
	}
	if climbs(dst[start:]) {
		return dst, false
	}
	return resolveDots(dst, start, true), true
}

func appendUnescaped(dst []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && isEncoded(path, i) {
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}

// climbs reports whether ".." leads above the root.
func climbs(path []byte) bool {
	depth := 0
	for i := 0; i < len(path); {
		end := segmentEnd(path, i+1)
		switch seg := string(path[i+1 : end]); seg {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
		i = end
	}
	return false
}

func segmentEnd(path []byte, from int) int {
	for from < len(path) && path[from] != '/' {
		from++
	}
	return from
}

// resolveDots takes "." and ".." out of the path that begins at start, in
// place (RFC 3986 section 5.2.4), and with merge also empty segments but the
// last.
func resolveDots(b []byte, start int, merge bool) []byte {
	out := start
	for i := start; i < len(b); {
		end := segmentEnd(b, i+1)
		last := end == len(b)
		switch seg := string(b[i+1 : end]); {
		case seg == ".", seg == ".." && out == start, merge && seg == "" && !last:
			if last {
				b[out] = '/'
				out++
			}
		case seg == "..":
			for out--; out > start && b[out] != '/'; out-- {
			}
			if last {
				b[out] = '/'
				out++
			}
		default:
			out += copy(b[out:], b[i:end])
		}
		i = end
	}
	return b[:out]
}

// appendFolded appends s with its ASCII letters in lower case; offsets stay.
func appendFolded(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return true
		}
	}
	return false
}

func trimSlash(s string) string {
	if len(s) > 1 && s[len(s)-1] == '/' {
		return s[:len(s)-1]
	}
	return s
}
