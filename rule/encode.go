package rule

import "strings"

// encoder says which bytes of a value are percent-encoded.
type encoder uint8

const (
	encAuto encoder = iota
	encKeep
	encPath
	encSegment
	encComponent
	encQuery // as keep, and what would end or add a parameter
	encNginx
	encApache
	encHost // in an authority: nothing is encoded, ParseTarget refuses what is not a host
)

// encoders are the names that a template may use.
var encoders = map[string]encoder{
	"keep": encKeep, "path": encPath, "segment": encSegment, "component": encComponent, "query": encQuery,
	"nginx": encNginx, "apache": encApache,
}

const (
	alnum      = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	unreserved = alnum + "-._~"         // RFC 3986 section 2.3
	subDelims  = "!$&'()*+,;="          // RFC 3986 section 2.2
	pchar      = unreserved + subDelims // and ":", "@", RFC 3986 section 3.3
)

type byteSet [256]bool

func bytesOf(text string) (s byteSet) {
	for i := range len(text) {
		s[text[i]] = true
	}
	return s
}

// printable are the bytes from "!" to "~" but those in except.
func printable(except string) (s byteSet) {
	for c := byte('!'); c <= '~'; c++ {
		s[c] = strings.IndexByte(except, c) < 0
	}
	return s
}

// kept are, by encoder, the bytes that stay as they are.
var kept = [...]byteSet{
	encKeep:      printable(`"<>\^` + "`{|}#?"),
	encPath:      bytesOf(pchar + ":@/"),
	encSegment:   bytesOf(pchar + ":@"),
	encComponent: bytesOf(unreserved),
	encQuery:     printable(`"<>\^` + "`{|}#&+;"),
	encNginx:     printable("\"#%&+;<>?\\^`{|}"),        // ngx_escape_uri, NGX_ESCAPE_ARGS
	encApache:    bytesOf(alnum + "$-_.+!*'(),:;@&=/~"), // ap_os_escape_path, and with hex in lower case
	encHost:      printable(""),
}

const (
	upperHex = "0123456789ABCDEF"
	lowerHex = "0123456789abcdef"
)

// appendEncoded appends s, encoded. In a query a question mark may stay.
func appendEncoded(dst []byte, s string, e encoder, inQuery bool) []byte {
	set, hex := &kept[e], upperHex
	if e == encApache {
		hex = lowerHex
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '%' && (e == encKeep || e == encQuery):
			if !isEncoded(s, i) {
				dst = append(dst, "%25"...)
				continue
			}
			dst = append(dst, c)
		case set[c], c == '?' && inQuery && e == encKeep:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

func isEncoded(s string, i int) bool {
	return i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
