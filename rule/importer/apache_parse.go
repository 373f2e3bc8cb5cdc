package importer

import (
	"fmt"
	"strings"
)

// Bounds of an Apache file. What is over is noted, or ends the import where it
// is the structure.
const (
	maxApacheLine  = 1 << 20 // bytes of a line, its continuations with it
	maxApacheDepth = 64      // of sections and of files that include each other
)

// apDirective is a directive or a section, with what stands in it.
type apDirective struct {
	name     string // in lower case
	args     string
	text     string // the line
	file     string // "" for the file that was given
	line     int
	column   int
	section  bool
	children []*apDirective
}

func (d *apDirective) note(kind NoteKind, reason string) Note {
	return Note{File: d.file, Line: d.line, Column: d.column, Text: d.text, Kind: kind, Reason: reason}
}

// apParser turns text into directives.
type apParser struct {
	file  string
	text  string
	line  int // of the line that was read last
	count int // of lines read
	note  func(Note)
}

// parseApache reads a whole file.
func parseApache(file, text string, note func(Note)) ([]*apDirective, int, error) {
	p := &apParser{file: file, text: strings.TrimPrefix(text, "\ufeff"), note: note}
	root := &apDirective{section: true}
	stack := []*apDirective{root}
	for {
		d, ok := p.next()
		if !ok {
			break
		}
		top := stack[len(stack)-1]
		switch {
		case d == nil:
		case strings.HasPrefix(d.name, "/"):
			if len(stack) > 1 && d.name[1:] == top.name {
				stack = stack[:len(stack)-1]
				continue
			}
			p.note(d.note(Dropped, "closes a section that is not open"))
		case d.section:
			if len(stack) > maxApacheDepth {
				return nil, p.count, fmt.Errorf("line %d: sections nested deeper than %d: %w", d.line, maxApacheDepth, ErrTooLarge)
			}
			top.children = append(top.children, d)
			stack = append(stack, d)
		default:
			top.children = append(top.children, d)
		}
	}
	for _, d := range stack[1:] {
		p.note(d.note(Changed, "the section is not closed: the end of the file counts as its end"))
	}
	return root.children, p.count, nil
}

// next reads one directive; nil where the line holds none, false at the end.
func (p *apParser) next() (*apDirective, bool) {
	if p.text == "" {
		return nil, false
	}
	start := p.line + 1
	line := p.physical()
	for strings.HasSuffix(line, `\`) && p.text != "" {
		line = line[:len(line)-1] + p.physical()
		if len(line) > maxApacheLine {
			break
		}
	}
	trimmed := strings.Trim(line, apSpace)
	if trimmed == "" || trimmed[0] == '#' {
		return nil, true
	}
	d := &apDirective{text: trimmed, file: p.file, line: start, column: strings.Index(line, trimmed) + 1}
	switch {
	case len(line) > maxApacheLine:
		p.note(d.note(Dropped, fmt.Sprintf("the line is longer than %d bytes", maxApacheLine)))
		return nil, true
	case strings.IndexByte(line, 0) >= 0:
		p.note(d.note(Dropped, "the line has a NUL byte"))
		return nil, true
	}
	d.split(trimmed)
	return d, true
}

const apSpace = " \t\r\v\f"

// split takes name and arguments apart.
func (d *apDirective) split(text string) {
	if text[0] == '<' {
		d.section = true
		text = strings.TrimRight(strings.TrimSuffix(text[1:], ">"), apSpace)
	}
	end := strings.IndexAny(text, apSpace)
	if end < 0 {
		end = len(text)
	}
	d.name = strings.ToLower(text[:end])
	d.args = strings.Trim(text[end:], apSpace)
}

func (p *apParser) physical() string {
	line, rest, _ := strings.Cut(p.text, "\n")
	p.text = rest
	p.line++
	p.count++
	return strings.TrimSuffix(line, "\r")
}

// apWord reads one argument as Apache does: in quotes, where a backslash
// escapes the quote and itself, or up to white space.
func apWord(text string) (word, rest string, ok bool) {
	text = strings.TrimLeft(text, apSpace)
	if text == "" {
		return "", "", false
	}
	quote := byte(0)
	if text[0] == '"' || text[0] == '\'' {
		quote, text = text[0], text[1:]
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote, quote == 0 && strings.IndexByte(apSpace, c) >= 0:
			return b.String(), strings.TrimLeft(text[i+1:], apSpace), true
		case c == '\\' && i+1 < len(text) && (text[i+1] == '\\' || quote != 0 && text[i+1] == quote):
			i++
			c = text[i]
		}
		b.WriteByte(c)
	}
	return b.String(), "", true
}

// apWords are all arguments.
func apWords(text string) (words []string) {
	for {
		word, rest, ok := apWord(text)
		if !ok {
			return words
		}
		words, text = append(words, word), rest
	}
}

// apRewriteWords reads the arguments of RewriteRule and RewriteCond, which have
// rules of their own: a backslash before white space keeps it, and stays.
func apRewriteWords(text string) (words []string) {
	for range 3 {
		text = strings.TrimLeft(text, apSpace)
		if text == "" {
			break
		}
		quote := byte(0)
		if text[0] == '"' || text[0] == '\'' {
			quote, text = text[0], text[1:]
		}
		end := 0
		for ; end < len(text); end++ {
			c := text[end]
			if c == quote && quote != 0 || quote == 0 && strings.IndexByte(apSpace, c) >= 0 {
				break
			}
			if c == '\\' && end+1 < len(text) && strings.IndexByte(apSpace, text[end+1]) >= 0 {
				end++
			}
		}
		end = min(end, len(text))
		words = append(words, text[:end])
		text = text[min(end+1, len(text)):]
	}
	return words
}
