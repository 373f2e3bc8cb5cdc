package rule

import "strings"

// Columns finds out where on its line the field of a finding stands. A Table
// does not remember that: it would cost more than the rules. Make one for each
// file.
type Columns struct {
	format Format
	csv    csvParser
	first  bool // lines that may be the head of a CSV file are over
}

// NewColumns is for a file in the format f.
func NewColumns(f Format) *Columns { return &Columns{format: f} }

// Line tells of the next line of the file; only the first ones of CSV matter,
// which has the names of its columns there.
func (c *Columns) Line(text string) {
	if c.format != FormatCSV || c.first {
		return
	}
	c.csv.learn(strings.TrimPrefix(text, "\ufeff"))
	c.first = c.csv.known
}

// Of is where a field begins in the first line of a rule, in bytes from 1; 0
// where it is not there.
func (c *Columns) Of(text, field string) int {
	if field == "" {
		return 0
	}
	layout := &layout{format: c.format}
	if c.format == FormatCSV {
		layout = &c.csv.layout
	}
	line, column := layout.locate(text, field)
	if line > 0 {
		return 0
	}
	return column
}
