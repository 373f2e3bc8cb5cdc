package configfile

import (
	"fmt"
	"strings"
)

// Error is one thing that is wrong with a file, and where.
type Error struct {
	File   string
	Line   int    // from 1; 0: the file as a whole
	Column int    // from 1, in characters
	Source string // the line itself, as it is in the file
	Reason string
	Hint   string // what to do; may be empty
}

// Error is one line: the place and the reason. It does not hold the source
// line, so that it can be logged.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// maxSnippet bounds how much of a long line Snippet shows.
const maxSnippet = 160

// Snippet is the source line with its number, and a caret under the column. It
// is empty where there is no line.
func (e *Error) Snippet() string {
	if e.Line == 0 {
		return ""
	}
	line, column := []rune(e.Source), e.Column
	if column > maxSnippet-20 { // show the surroundings of what is wrong
		cut := min(column-maxSnippet/2, len(line))
		line, column = line[cut:], column-cut
	}
	if len(line) > maxSnippet {
		line = line[:maxSnippet]
	}
	pad := make([]rune, 0, column)
	for i := range column - 1 {
		if i < len(line) && line[i] == '\t' {
			pad = append(pad, '\t') // as wide as the tab above it
		} else {
			pad = append(pad, ' ')
		}
	}
	number := fmt.Sprintf("%4d | ", e.Line)
	return fmt.Sprintf("%s%s\n%s%s^", number, printable(line), strings.Repeat(" ", len(number)), string(pad))
}

// printable keeps a terminal from being told things by the file.
func printable(line []rune) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\t') || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, string(line))
}

// Errors is everything that is wrong with a file, in the order of its lines.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes each *Error reachable for errors.As.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}
