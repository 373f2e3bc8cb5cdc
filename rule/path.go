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

// isPlain reports whether a path is in normal form and nothing of it is
// encoded. Eight bytes at a time it looks for letters, digits, "-", "." and
// "/"; where there is anything else, one by one.
func isPlain(path string) bool {
	if len(path) < 8 || path[0] != '/' {
		return path != "" && path[0] == '/' && isPlainSlow(path)
	}
	before := uint64(0) // 0x80 where a slash came before
	for i := 0; ; i += 8 {
		if i > len(path)-8 {
			i = len(path) - 8 // some for a second time
			before = 0
			if i > 0 && path[i-1] == '/' {
				before = 0x80
			}
		}
		w := word(path[i:])
		if common(w) != tops {
			return isPlainSlow(path)
		}
		slash, dot := ^(w^'/'*ones+tops-ones)&tops, ^(w^'.'*ones+tops-ones)&tops
		if (slash<<8|before)&(slash|dot) != 0 {
			return false
		}
		if i == len(path)-8 {
			return true
		}
		before = slash >> 56
	}
}

// In a word of eight bytes below 0x80, x + (0x80-n)*ones has the top bits of
// those bytes that are n at least.
const (
	ones = 0x0101010101010101
	tops = 0x80 * ones
)

// common has the top bits of the bytes that are letters, digits, "-", "." or "/".
func common(w uint64) uint64 {
	folded := w | 0x20*ones
	mark := (w+(0x80-'-')*ones)&^(w+(0x80-'9'-1)*ones) | (folded+(0x80-'a')*ones)&^(folded+(0x80-'z'-1)*ones)
	return mark & tops &^ w
}

func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func isPlainSlow(path string) bool {
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
// that they refuse: with NUL, with a percent sign that encodes nothing, or
// above the root.
func appendDecoded(dst []byte, path string) ([]byte, bool) {
	start := len(dst)
	if isBroken(path) {
		return dst, false
	}
	dst = appendUnescaped(dst, path)
	if strings.IndexByte(string(dst[start:]), 0) >= 0 { // no copy: the compiler sees that it is only read
		return dst, false
	}
	if climbs(dst[start:]) {
		return dst, false
	}
	return resolveDots(dst, start, true), true
}

// isBroken reports whether a percent sign stands there that encodes nothing.
func isBroken(path string) bool {
	for i := 0; i < len(path); i++ {
		if path[i] == '%' {
			if !isEncoded(path, i) {
				return true
			}
			i += 2
		}
	}
	return false
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
