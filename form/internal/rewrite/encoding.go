package rewrite

import (
	"bytes"
	"strings"
)

// Rewritable reports whether an answer of that Content-Type is a page whose forms
// can be rewritten: HTML, and in no encoding whose bytes cannot be read as ASCII.
func Rewritable(contentType string) bool {
	kind, charset := splitType(contentType)
	c := charsetOf(charset)
	return isFold(kind, "text/html") && c != utf16 && c != unreadable
}

// splitType takes the type and the charset from a Content-Type, as the MIME
// Sniffing standard does (section 4.4). The first charset counts.
func splitType(contentType string) (kind, charset string) {
	kind, rest, _ := strings.Cut(contentType, ";")
	for rest != "" {
		var name, value string
		if name, value, rest = cutParameter(rest); isFold(name, "charset") && value != "" {
			return strings.Trim(kind, httpSpace), value
		}
	}
	return strings.Trim(kind, httpSpace), ""
}

const httpSpace = "\t\n\r "

func cutParameter(s string) (name, value, rest string) {
	i := strings.IndexAny(s, ";=")
	if i < 0 {
		return "", "", ""
	}
	if s[i] == ';' {
		return "", "", s[i+1:]
	}
	name, s = strings.TrimLeft(s[:i], httpSpace), s[i+1:]
	if strings.HasPrefix(s, `"`) {
		value, s = cutQuoted(s[1:])
		_, rest, _ = strings.Cut(s, ";")
		return name, value, rest
	}
	value, rest, _ = strings.Cut(s, ";")
	return name, strings.TrimRight(value, httpSpace), rest
}

// cutQuoted reads a quoted string, whose first quote is gone already.
func cutQuoted(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// escape begins a change of characters in ISO-2022-JP, which browsers may take a
// page for that says nothing of its encoding.
const escape = 0x1b

// encoding decides whether the bytes of a page can be read as ASCII. A byte order
// mark counts first, then the header, then a meta element (section 13.2.3).
type encoding struct {
	open   bool    // the beginning was not seen yet
	header charset // of Content-Type
	fixed  bool    // a mark or the header has decided
	utf8   bool    // for certain

	// Without mark and header:
	said    bool // a meta element names an encoding that can be read
	blocked bool // see stops
	offset  int  // of what comes next, while it matters
	prefix  []byte
	looked  bool    // prefix is no longer needed
	early   charset // of the meta element that browsers find before they read
	metaEnd int     // where that ends
}

func newEncoding(contentType string) encoding {
	_, name := splitType(contentType)
	return encoding{open: true, header: charsetOf(name)}
}

// marks begin a page of an encoding: byte order marks, and "<?x" in UTF-16, which is
// looked for where nothing else is said (section 13.2.3.2, prescan a byte stream).
var marks = map[string]charset{
	"\xef\xbb\xbf": utf8, "\xfe\xff": utf16, "\xff\xfe": utf16, "<\x00?\x00x\x00": utf16, "\x00<\x00?\x00x": utf16,
}

// begin looks at the first bytes of a page: it can be read (ascii) or not
// (unreadable), or more is needed (unknown).
func (e *encoding) begin(p []byte) charset {
	for mark, c := range marks {
		switch {
		case bytes.HasPrefix(p, []byte(mark)):
			return e.decide(c)
		case len(p) < len(mark) && strings.HasPrefix(mark, string(p)):
			return unknown
		}
	}
	return e.decide(e.header)
}

func (e *encoding) decide(c charset) charset {
	e.open = false
	e.fixed, e.utf8 = c != unknown, c == utf8
	if c == utf16 || c == unreadable {
		return unreadable
	}
	return ascii
}

// readable is how much of p can be read at once. The rest can be read then, if
// stops does not say otherwise.
func (e *encoding) readable(p []byte) int {
	e.blocked = false
	if e.fixed || e.said {
		return len(p)
	}
	e.look(p)
	n, end := len(p), e.metaEnd-e.offset
	switch {
	case e.early == unknown:
	case e.early == unreadable:
		e.blocked = end < n
		n = min(n, end)
	case end <= 0:
		e.said = true
		return n
	default:
		n = min(n, end)
	}
	if i := bytes.IndexByte(p[:n], escape); i >= 0 {
		n, e.blocked = i, true
	}
	e.offset += n
	return n
}

// stops: behind what was readable, nothing is.
func (e *encoding) stops() bool { return e.blocked && !e.said }

// look searches the first bytes for a meta element as soon as they are there.
func (e *encoding) look(p []byte) {
	if e.looked {
		return
	}
	e.prefix = append(e.prefix, p[:min(len(p), maxPrescan-len(e.prefix))]...)
	e.early, e.metaEnd = prescan(e.prefix)
	if e.early != unknown || len(e.prefix) == maxPrescan {
		e.looked, e.prefix = true, nil
	}
}

// meta follows a meta element in the tree. It is false if it forbids to read on.
func (e *encoding) meta(t *tag) bool {
	if e.fixed {
		return true
	}
	if t.bytes == nil {
		return false
	}
	c := metaCharset(t.bytes)
	e.said = e.said || c != unknown
	return c != unreadable
}
