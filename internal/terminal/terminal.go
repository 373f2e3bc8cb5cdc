// Package terminal makes text harmless that others wrote and that a terminal shows:
// servers, files and clients. It has no state.
package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Hidden is whether a character moves the cursor, turns letters round or is not seen:
// Unicode's control (Cc) and format (Cf) characters, and its separators of lines (Zl)
// and paragraphs (Zp).
func Hidden(r rune) bool {
	return r < ' ' || r >= 0x7f && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// Clean is text in one line, with another character in the place of each that is
// hidden, and of what is not UTF-8.
func Clean(text string, instead rune) string {
	return strings.Map(func(r rune) rune {
		if Hidden(r) {
			return instead
		}
		return r
	}, strings.ToValidUTF8(text, string(instead)))
}

// Escaped is text in one line, with \x1b, \u202e and the like in the place of what is
// hidden or not UTF-8.
func Escaped(text string) string {
	var b strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < 0x100 && Hidden(r):
			fmt.Fprintf(&b, `\x%02x`, byteOf(text, i, r))
		case Hidden(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case Hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// byteOf is the character r, or the byte at i where that is none.
func byteOf(text string, i int, r rune) rune {
	if r == utf8.RuneError {
		return rune(text[i])
	}
	return r
}

// JSON is v as JSON with an end of line, with < and > as they are, and with escapes for
// all that is hidden. indent is that of json.Encoder; empty: all is in one line.
func JSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return EscapedJSON(b.Bytes()), nil
}

// EscapedJSON is the same JSON, with escapes for all that is hidden but for what ends
// lines between its values. In valid JSON the rest can only be within strings.
func EscapedJSON(data []byte) []byte {
	hides := func(r rune) bool { return r >= 0x7f && Hidden(r) } // JSON escapes what is below itself
	if bytes.IndexFunc(data, hides) < 0 {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
		if !hides(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.Bytes()
}
