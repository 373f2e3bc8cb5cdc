package importer

import (
	"fmt"
	"strings"
)

// nginxWord is one word of a configuration, or one of ";", "{" and "}".
type nginxWord struct {
	text   string // unescaped
	kind   byte   // 'w' for a word, else the sign itself; 0 at the end
	quoted bool
	line   int
	column int
}

// nginxLexer splits a configuration into words as ngx_conf_read_token does.
type nginxLexer struct {
	in        string
	at        int
	line      int
	lineStart int
}

func newNginxLexer(in string) *nginxLexer { return &nginxLexer{in: in, line: 1} }

// syntaxError is what is wrong with a file, and where.
type syntaxError struct {
	line, column int
	reason       string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("line %d:%d: %s", e.line, e.column, e.reason)
}

func (l *nginxLexer) fail(reason string) error {
	return &syntaxError{l.line, l.at - l.lineStart + 1, reason}
}

// step goes on by one byte.
func (l *nginxLexer) step() {
	if l.in[l.at] == '\n' {
		l.line++
		l.lineStart = l.at + 1
	}
	l.at++
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// skip goes over blanks and comments.
func (l *nginxLexer) skip() {
	for l.at < len(l.in) {
		switch c := l.in[l.at]; {
		case isBlank(c):
			l.step()
		case c == '#':
			n := strings.IndexByte(l.in[l.at:], '\n')
			if n < 0 {
				n = len(l.in) - l.at
			}
			l.at += n
		default:
			return
		}
	}
}

func (l *nginxLexer) next() (nginxWord, error) {
	l.skip()
	w := nginxWord{line: l.line, column: l.at - l.lineStart + 1}
	if l.at >= len(l.in) {
		return w, nil
	}
	switch c := l.in[l.at]; c {
	case ';', '{', '}':
		w.kind = c
		l.at++
		return w, nil
	case '"', '\'':
		return l.quoted(w, c)
	default:
		return l.plain(w)
	}
}

func (l *nginxLexer) quoted(w nginxWord, quote byte) (nginxWord, error) {
	w.kind, w.quoted = 'w', true
	l.at++
	start := l.at
	for l.at < len(l.in) && l.in[l.at] != quote {
		if l.in[l.at] == '\\' && l.at+1 < len(l.in) {
			l.at++
		}
		l.step()
	}
	if l.at >= len(l.in) {
		return w, &syntaxError{w.line, w.column, "a quoted text that is not closed"}
	}
	w.text = unescapeNginx(l.in[start:l.at])
	l.at++
	if l.at < len(l.in) && !isBlank(l.in[l.at]) && strings.IndexByte(";{)", l.in[l.at]) < 0 {
		return w, l.fail("want a space after a quoted text")
	}
	return w, nil
}

func (l *nginxLexer) plain(w nginxWord) (nginxWord, error) {
	w.kind = 'w'
	start := l.at
	variable := false
	for l.at < len(l.in) {
		c := l.in[l.at]
		if isBlank(c) || c == ';' || c == '{' && !variable {
			break
		}
		variable = c == '$'
		if c == '\\' && l.at+1 < len(l.in) {
			l.at++
		}
		l.step()
	}
	w.text = unescapeNginx(l.in[start:l.at])
	return w, nil
}

// unescapeNginx takes the backslash from quotes and backslashes, and makes tabs
// and line ends of \t, \r and \n. Any other backslash stays.
func unescapeNginx(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			switch next := text[i+1]; next {
			case '"', '\'', '\\':
				c = next
				i++
			case 't', 'r', 'n':
				c = map[byte]byte{'t': '\t', 'r': '\r', 'n': '\n'}[next]
				i++
			}
		}
		b = append(b, c)
	}
	return string(b)
}

// skipCode goes over the code of a _by_lua_block, whose "{" was read already.
// Braces in strings and comments of Lua count, as they do for OpenResty's own
// reader when they are balanced.
func (l *nginxLexer) skipCode() error {
	for depth := 1; l.at < len(l.in); l.step() {
		switch l.in[l.at] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				l.at++
				return nil
			}
		}
	}
	return l.fail("a block that is not closed")
}
