package repeats

import (
	"strings"

	"github.com/seeother/seeother/internal/terminal"
)

// routeOf is the path of a target with what names one thing folded to {id}: digits,
// UUIDs, long hexadecimal numbers and tokens.
func routeOf(target string) string {
	path := pathOf(target)
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if isID(s) {
			segments[i] = "{id}"
		}
	}
	return strings.Join(segments, "/")
}

func isID(s string) bool {
	digits, hex, letters, others := 0, 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			hex++
			letters++
		case c >= 'g' && c <= 'z' || c >= 'G' && c <= 'Z' || c == '_' || c == '~':
			letters++
		case c != '-':
			others++
		}
	}
	if s == "" || digits == 0 || others > 0 {
		return false
	}
	return letters == 0 || hex >= 16 && hex+strings.Count(s, "-") == len(s) || isToken(s)
}

// isToken: long, and with a digit, which words in paths seldom have.
func isToken(s string) bool {
	return len(s) >= 20 && strings.ContainsAny(s, "0123456789") && strings.Count(s, "-") < len(s)/6
}

// maskTokens hides long tokens of a path, which may be secrets; ids stay.
func maskTokens(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if isToken(s) && isID(s) {
			segments[i] = "{token}"
		}
	}
	return strings.Join(segments, "/")
}

// maskQuery hides the values of a query.
func maskQuery(target string) string {
	path := pathOf(target)
	path, query := maskTokens(path), target[len(path):]
	if query == "" {
		return path
	}
	pairs := strings.FieldsFunc(query[1:], func(r rune) bool { return r == '&' || r == ';' })
	for i, pair := range pairs {
		if name, _, ok := strings.Cut(pair, "="); ok {
			pairs[i] = name + "=…"
		} else {
			pairs[i] = "…"
		}
	}
	return path + "?" + strings.Join(pairs, "&")
}

// maskAddress leaves the network of an address.
func maskAddress(addr string) string {
	if i := strings.LastIndexByte(addr, '.'); i > 0 && strings.Count(addr, ".") == 3 && strings.Trim(addr, "0123456789.") == "" {
		return addr[:i] + ".x"
	}
	if parts := strings.SplitN(addr, ":", 4); len(parts) > 2 {
		return strings.Join(parts[:min(3, len(parts)-1)], ":") + ":x"
	}
	return "(name)"
}

// printable has what a terminal might obey replaced, and what nobody sees: escapes,
// marks of direction, characters without width.
func printable(s string) string { return terminal.Clean(s, '�') }
