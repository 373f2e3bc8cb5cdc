package importer

import (
	"slices"
	"strconv"
	"strings"
)

// nginxPart is a piece of a value as it is written: text, a variable or a
// capture.
type nginxPart struct {
	text    string
	name    string // of a variable
	capture int    // $1 to $9
}

// parseNginxValue splits a value at its variables, as ngx_http_script_compile
// does.
func parseNginxValue(text string) []nginxPart {
	if strings.IndexByte(text, '$') < 0 {
		return []nginxPart{{text: text}}
	}
	var parts []nginxPart
	for text != "" {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			i = len(text)
		}
		if i > 0 {
			parts = append(parts, nginxPart{text: text[:i]})
		}
		if text = text[i:]; text == "" {
			break
		}
		part, n := parseNginxVariable(text)
		parts = append(parts, part)
		text = text[n:]
	}
	return parts
}

// parseNginxVariable reads what begins with "$".
func parseNginxVariable(text string) (nginxPart, int) {
	if len(text) > 1 && '1' <= text[1] && text[1] <= '9' {
		return nginxPart{capture: int(text[1] - '0')}, 2
	}
	start, end := 1, 1
	braced := strings.HasPrefix(text, "${")
	if braced {
		start, end = 2, 2
	}
	for end < len(text) && isWord(text[end]) {
		end++
	}
	name := text[start:end]
	if braced && end < len(text) && text[end] == '}' {
		end++
	}
	if braced && len(name) == 1 && '1' <= name[0] && name[0] <= '9' {
		return nginxPart{capture: int(name[0] - '0')}, end
	}
	if name == "" {
		return nginxPart{text: text[:end]}, end
	}
	return nginxPart{name: strings.ToLower(name)}, end
}

// nginxSource is where a piece of a value comes from.
type nginxSource uint8

const (
	nginxText nginxSource = iota
	nginxHost
	nginxHTTPHost
	nginxScheme
	nginxPath // as it came
	nginxDecodedPath
	nginxQuery
	nginxQueryMark // with its question mark, where there is one
	nginxIsArgs    // the question mark alone
	nginxAndQuery  // with "&" before it, where there is one
	nginxMethod
	nginxArg
	nginxHeader
	nginxCookie
	nginxCapture
	nginxUnknown // text says why
)

// nginxPiece is a piece of a value while a request is followed.
type nginxPiece struct {
	source nginxSource
	text   string     // the text, or the name of a parameter, header or cookie
	of     *nginxTest // that captured it
	group  int
	// escaped is set for a capture that nginx has escaped, when it was set.
	escaped bool
}

// nginxPieces is a value while a request is followed.
type nginxPieces []nginxPiece

func nginxLiteral(text string) nginxPieces {
	if text == "" {
		return nil
	}
	return nginxPieces{{text: text}}
}

// literal is the value where it holds nothing but text.
func (v nginxPieces) literal() (string, bool) {
	switch {
	case len(v) == 0:
		return "", true
	case len(v) == 1 && v[0].source == nginxText:
		return v[0].text, true
	}
	return "", false
}

// head is the text that the value begins with.
func (v nginxPieces) head() string {
	if len(v) > 0 && v[0].source == nginxText {
		return v[0].text
	}
	return ""
}

// unknown is why the value cannot be said, or "".
func (v nginxPieces) unknown() string {
	for _, p := range v {
		if p.source == nginxUnknown {
			return p.text
		}
	}
	return ""
}

// join appends pieces, and makes one of texts that meet.
func (v nginxPieces) join(more ...nginxPiece) nginxPieces {
	for _, p := range more {
		if n := len(v); p.source == nginxText && n > 0 && v[n-1].source == nginxText {
			merged := v[n-1].text + p.text
			v = append(v[:n-1:n-1], nginxPiece{text: merged})
			continue
		}
		if p.source == nginxText && p.text == "" {
			continue
		}
		v = append(slices.Clip(v), p)
	}
	return v
}

// unescaped is the value as the target of a rewrite, of which nginx takes back
// the encoding of most ASCII characters in the path.
func (v nginxPieces) unescaped() nginxPieces {
	out := make(nginxPieces, 0, len(v))
	for i, p := range v {
		if p.source == nginxText {
			path, query, found := strings.Cut(p.text, "?")
			p.text = unescapeRedirect(path)
			if found {
				p.text += "?" + query
				return append(append(out, p), v[i+1:]...)
			}
		}
		p.escaped = false
		out = append(out, p)
	}
	return out
}

// unescapeRedirect is ngx_unescape_uri with NGX_UNESCAPE_REDIRECT, for text
// without a question mark.
func unescapeRedirect(text string) string {
	if strings.IndexByte(text, '%') < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c, ok := decodeHex(text[i:]); ok && c > '%' && c < 0x7f && c != '?' {
			b.WriteByte(c)
			i += 2
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// decodeHex decodes the encoded byte that text begins with.
func decodeHex(text string) (byte, bool) {
	if len(text) < 3 || text[0] != '%' {
		return 0, false
	}
	n, err := strconv.ParseUint(text[1:3], 16, 8)
	return byte(n), err == nil
}
