package main

import (
	"bytes"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/seeother/seeother/rule"
)

// columns adds to findings where on its line the field stands, as far as the
// files can be read once more.
type columns struct {
	name  string // of the file whose lines these are
	lines lineIndex
	of    *rule.Columns
}

// maxColumnFile bounds the file that is read once more, in bytes.
const maxColumnFile = 512 << 20

func (c *columns) fill(f rule.Finding) rule.Finding {
	if f.Line == 0 || f.File == "" {
		return f
	}
	c.open(f.File)
	if f.Column > 1 {
		return f
	}
	switch {
	case f.Field == "":
	case c.of != nil:
		f.Column = max(f.Column, c.of.Of(c.lines.line(f.Line), f.Field))
	default:
		c.yaml(&f)
	}
	f.Column = max(f.Column, 1)
	return f
}

// points is the column in code points instead of bytes.
func (c *columns) points(f rule.Finding) int {
	if f.Line == 0 || f.Column < 2 || c.name != f.File {
		return f.Column
	}
	line := c.lines.line(f.Line)
	return utf8.RuneCountInString(line[:min(f.Column-1, len(line))]) + 1
}

// yaml looks for the field's key in the item that begins in the finding's line.
func (c *columns) yaml(f *rule.Finding) {
	first := c.lines.line(f.Line)
	dash := yamlItem.FindStringSubmatch(first)
	if dash == nil {
		return
	}
	names := []string{f.Field}
	if f.Field == "hosts" {
		names = append(names, "host")
	}
	for n := f.Line; n <= len(c.lines.ends); n++ {
		line := c.lines.line(n)
		if n > f.Line && strings.TrimSpace(line) != "" && len(line)-len(strings.TrimLeft(line, " ")) <= len(dash[1]) {
			return
		}
		for _, name := range names {
			if i := keyIn(line, name); i >= 0 {
				f.Line, f.Column = n, i+1
				return
			}
		}
	}
}

// keyIn is where a key of a mapping stands in a line of YAML, -1 if nowhere.
func keyIn(line, name string) int {
	i := strings.Index(" "+line, " "+name+":")
	if i < 0 {
		if i = strings.Index(line, "{"+name+":"); i >= 0 {
			return i + 1
		}
	}
	return i
}

func (c *columns) open(name string) {
	if c.name == name {
		return
	}
	*c = columns{name: name}
	format, ok := rule.FormatOf(name)
	if !ok {
		return
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxColumnFile {
		return
	}
	text, err := os.ReadFile(name) //nolint:gosec // the operator names it
	if err != nil {
		return
	}
	c.lines = indexLines(text)
	if format == rule.FormatYAML {
		return
	}
	c.of = rule.NewColumns(format)
	for n := range min(len(c.lines.ends), 3) {
		c.of.Line(c.lines.line(n + 1))
	}
}

// lineIndex is a text whose lines are found by their numbers.
type lineIndex struct {
	text []byte
	ends []int
}

func indexLines(text []byte) lineIndex {
	x := lineIndex{text: text}
	for at := 0; at < len(text); {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			n = len(text) - at - 1
		}
		at += n + 1
		x.ends = append(x.ends, at)
	}
	return x
}

// line is line n, from 1, without its end; "" where there is none.
func (x *lineIndex) line(n int) string {
	if n < 1 || n > len(x.ends) {
		return ""
	}
	start := 0
	if n > 1 {
		start = x.ends[n-2]
	}
	return strings.TrimRight(string(x.text[start:x.ends[n-1]]), "\r\n")
}
