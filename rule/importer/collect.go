package importer

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/seeother/seeother/rule"
)

// collector gathers what an importer makes of a file.
type collector struct {
	*Result

	file    string
	options *Options
}

func newCollector(file string, mode rule.Mode, o *Options) *collector {
	return &collector{&Result{Mode: mode}, file, o}
}

// spot is where in the file something stands.
type spot struct {
	line, column int
	text         string
}

// rule hands r over. One that is not valid is dropped, with the reason.
func (c *collector) rule(at spot, r *rule.Rule) (made bool, err error) {
	r.Pos = rule.Position{File: c.file, Line: at.line, Column: at.column}
	if err := r.Validate(); err != nil {
		c.drop(at, "%s", oneLine(err))
		return false, nil
	}
	return true, c.add(c.options, r)
}

func (c *collector) drop(at spot, reason string, args ...any) {
	c.note(Note{Line: at.line, Column: at.column, Text: at.text, Kind: Dropped, Reason: fmt.Sprintf(reason, args...)})
}

// change says how the rule that was made last differs from its line.
func (c *collector) change(at spot, reason string, args ...any) {
	c.note(Note{Line: at.line, Column: at.column, Text: at.text, Kind: Changed, Reason: fmt.Sprintf(reason, args...)})
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

const upperHex = "0123456789ABCDEF"

// plainByte are the bytes that stand for themselves in a path (RFC 3986, pchar
// and the slash). The star is not among them: rules write and compare it as %2A.
func plainByte(c byte) bool {
	return isUnreserved(c) || strings.IndexByte("!$&'()+,;=:@/", c) >= 0
}

func isUnreserved(c byte) bool {
	return wordByte(c) || c == '-' || c == '.' || c == '~'
}

// normalPath is literal text of a path in the normal form in which paths are
// compared (RFC 3986 section 6.2.2), dot segments left alone.
func normalPath(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			if v, ok := unhex2(text[i+1:]); ok {
				c, i = v, i+2
				if isUnreserved(c) {
					b.WriteByte(c)
					continue
				}
			}
		} else if plainByte(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

// isNormal reports whether what is percent-encoded in text is so in the normal
// form.
func isNormal(text string) bool {
	for i := range len(text) {
		if text[i] != '%' {
			continue
		}
		v, ok := unhex2(text[i+1:])
		if ok && (isUnreserved(v) || text[i+1:i+3] != strings.ToUpper(text[i+1:i+3])) {
			return false
		}
	}
	return true
}

// unhex2 reads two hexadecimal digits.
func unhex2(text string) (byte, bool) {
	if len(text) < 2 {
		return 0, false
	}
	hi, lo := strings.IndexByte("0123456789abcdef", lower(text[0])), strings.IndexByte("0123456789abcdef", lower(text[1]))
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0 //nolint:gosec // both are below 16, or it is not ok
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// quotePath is literal text of a path as part of a regular expression.
func quotePath(text string) string { return regexp.QuoteMeta(normalPath(text)) }

// quoteTarget is text of a target in which no brace is a placeholder's.
func quoteTarget(text string) string {
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(text)
}

// splitURL cuts a URL, absolute or not, into what comes before the path, the
// path, the query and the fragment, the last two with their marks.
func splitURL(text string) (origin, path, query, fragment string) {
	if i := strings.IndexByte(text, '#'); i >= 0 {
		text, fragment = text[:i], text[i:]
	}
	if i := strings.IndexByte(text, '?'); i >= 0 {
		text, query = text[:i], text[i:]
	}
	if i := strings.Index(text, "://"); i > 0 && !strings.Contains(text[:i], "/") {
		end := strings.IndexByte(text[i+3:], '/')
		if end < 0 {
			return text, "", query, fragment
		}
		origin, text = text[:i+3+end], text[i+3+end:]
	}
	return origin, text, query, fragment
}

// countLines is how many lines a file of that text has.
func countLines(text string) int {
	n := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		n++
	}
	return n
}

// lineCounter counts the lines that pass through, and keeps the last of them.
type lineCounter struct {
	in    io.Reader
	lines int
	total int64
	last  byte

	keep bool
	tail []byte
	from int // lines before tail
}

// mostTail is how much is kept: more than any reader reads ahead.
const mostTail = 1 << 20

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	l.lines += bytes.Count(p[:n], []byte{'\n'})
	if l.total += int64(n); l.total > MaxFile {
		return 0, fmt.Errorf("more than %d bytes: %w", MaxFile, ErrTooLarge)
	}
	if n > 0 {
		l.last = p[n-1]
	}
	if l.keep {
		l.tail = append(l.tail, p[:n]...)
		if len(l.tail) > 2*mostTail {
			cut := len(l.tail) - mostTail
			l.from += bytes.Count(l.tail[:cut], []byte{'\n'})
			l.tail = append(l.tail[:0], l.tail[cut:]...)
		}
	}
	return n, err
}

func (l *lineCounter) count() int {
	if l.total > 0 && l.last != '\n' {
		return l.lines + 1
	}
	return l.lines
}

// text is a line that passed not long ago, or "".
func (l *lineCounter) text(line int) string {
	rest := l.tail
	for n := l.from + 1; n <= line; n++ {
		text, after, found := bytes.Cut(rest, []byte{'\n'})
		if n == line {
			return string(text[:min(len(text), 4*maxText)])
		}
		if !found {
			return ""
		}
		rest = after
	}
	return ""
}

// checkText says what is wrong with a line before anybody looks at its words.
func checkText(text string) error {
	switch {
	case strings.IndexByte(text, 0) >= 0:
		return fmt.Errorf("a NUL byte")
	case !utf8.ValidString(text):
		return fmt.Errorf("not valid UTF-8")
	}
	return nil
}
