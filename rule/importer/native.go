package importer

import (
	"io"

	"github.com/seeother/seeother/rule"
)

var (
	_ = register(Netlify, native(rule.FormatRedirects))
	_ = register(CSV, native(rule.FormatCSV))
	_ = register(JSONLines, native(rule.FormatJSONL))
)

// native imports what package rule reads itself: its findings become notes.
func native(f rule.Format) importer {
	return func(file string, in io.Reader, o Options) (*Result, error) {
		c := newCollector(file, f.Mode(), &o)
		lines := &lineCounter{in: in, keep: true}
		n := &nativeReader{c: c, at: func(line, _ int) spot { return spot{line: line, text: lines.text(line)} }}
		err := n.read(lines, f)
		c.Lines = lines.count()
		return c.Result, err
	}
}

// nativeReader lets package rule read, and tells lines of which a rule was made
// from those that were left out.
type nativeReader struct {
	c    *collector
	at   func(line, column int) spot // what stands there in the original; column 0: the line
	made func(line int)              // a rule was made of the line; may be nil

	line  int // of the last rule
	noted int // line of the last notes
	since int // of the notes, those about it
}

func (n *nativeReader) read(in io.Reader, f rule.Format) error {
	return rule.Read(in, f, n.c.file, rule.Hooks{
		Mode: func(m rule.Mode) { n.c.Mode = m }, Add: n.add, Report: n.report, MaxFindings: MaxNotes,
	})
}

func (n *nativeReader) add(r *rule.Rule) error {
	if err := r.Validate(); err != nil {
		return err // a finding
	}
	n.line = r.Pos.Line
	if n.noted == n.line {
		for i := n.since; i < len(n.c.Notes); i++ {
			n.c.Notes[i].Kind, n.c.Notes[i].Nearest = Changed, n.c.Count+1
		}
	}
	if n.made == nil {
		return n.c.add(n.c.options, r)
	}
	line := r.Pos.Line
	at := n.at(line, 0)
	r.Pos.Line, r.Pos.Column = at.line, at.column
	err := n.c.add(n.c.options, r)
	n.made(line)
	return err
}

func (n *nativeReader) report(f rule.Finding) {
	if f.ID == "empty-file" {
		return // nothing is lost
	}
	if n.noted != f.Line {
		n.noted, n.since = f.Line, len(n.c.Notes)
	}
	at := n.at(f.Line, f.Column)
	note := Note{Line: at.line, Column: f.Column, Text: at.text, Kind: Changed, Reason: f.Message}
	if f.Severity == rule.Error || n.line != f.Line && f.ID != "unknown-column" {
		note.Kind = Dropped
	}
	if at.column > 0 {
		note.Column = at.column
	}
	n.c.note(note)
}
