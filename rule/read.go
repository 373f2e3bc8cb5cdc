package rule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// slot is a rule as it is being read.
type slot struct {
	rule  Rule
	text  string // the line, or the record of several lines
	where *layout
}

// layout is how the fields of a line are found again, for the column of an error.
type layout struct {
	format Format
	comma  byte
	fields []string // csv: the rule's field in each column
}

// sink is where rules go: to a hook, or in batches to another goroutine.
type sink interface {
	next() *slot // the slot to fill, not cleared
	add() error  // the slot is filled
}

// direct calls a hook for each rule.
type direct struct {
	slot   slot
	reader *reader
	hook   func(*Rule) error
}

// reader is what the formats share.
type reader struct {
	lines
	reporter

	sink    sink
	mode    Mode
	onMode  func(Mode)
	began   bool
	records int // lines that are, or should be, rules
	at      int // the line in which the record begins
}

// reporter hands on the findings about one file, up to MaxFindings.
type reporter struct {
	file   string
	report func(Finding) // may be nil
	most   int           // that are handed on; 0: MaxFindings
	count  int
	errors int      // of them, those of severity Error
	worst  Severity // of those that were not handed on
}

func (r *reporter) limit() int {
	if r.most > 0 {
		return r.most
	}
	return MaxFindings
}

// parser is a format.
type parser interface {
	// line reads one line, and more from the reader where its record goes on.
	line(text string) error
}

var errStop = errors.New("nothing more can be read")

func (r *reader) read(f Format) error {
	p, err := r.parser(f)
	if err != nil {
		return err
	}
	err = r.each(p)
	if errors.Is(err, errStop) {
		err = nil
	}
	if err == nil {
		err = r.err
	}
	if err == nil && r.records == 0 && r.errors == 0 {
		r.find("empty-file", Error, 0, 0, "there is no rule in this file", "take the file out, or see whether it was cut off")
	}
	return err
}

func (r *reader) parser(f Format) (parser, error) {
	switch f {
	case FormatRedirects:
		return &redirectsParser{reader: r, layout: layout{format: f}}, nil
	case FormatCSV:
		return &csvParser{reader: r, layout: layout{format: f}}, nil
	case FormatJSONL:
		return &jsonlParser{reader: r, layout: layout{format: f}}, nil
	case FormatYAML:
	}
	return nil, errFormat(f)
}

func (r *reader) each(p parser) error {
	for {
		text, wrong, ok := r.next()
		r.at = r.number
		switch {
		case !ok:
			return nil
		case wrong != faultNone:
			if err := r.fault(wrong, text); err != nil {
				return err
			}
		default:
			if err := p.line(text); err != nil {
				return err
			}
		}
	}
}

// fault reports a line that cannot be read.
func (r *reader) fault(wrong fault, text string) error {
	r.records++
	switch wrong {
	case faultLong:
		r.fail("line-too-long", 0, fmt.Sprintf("the line is longer than %d bytes and was not read", r.max), "")
	case faultNUL:
		r.fail("bad-bytes", badColumn(text), "the line has a NUL byte and was not read", "save the file as plain UTF-8 text")
	case faultUTF8:
		r.fail("bad-bytes", badColumn(text), "the line is not valid UTF-8 and was not read", "save the file as UTF-8, or percent-encode what is not ASCII")
	case faultUTF16:
		r.fail("utf-16", 0, "the file is UTF-16, and rules are read as UTF-8", "save it as UTF-8")
		return errStop
	case faultNone:
	}
	return nil
}

// slot is where the next rule goes.
func (r *reader) slot(text string, where *layout) *slot {
	s := r.sink.next()
	s.rule = Rule{Pos: Position{File: r.file, Line: r.at}}
	s.text, s.where = text, where
	return s
}

// add hands on the slot that was given last.
func (r *reader) add() error {
	if !r.began {
		r.began = true
		if r.onMode != nil {
			r.onMode(r.mode)
		}
	}
	return r.sink.add()
}

// fail reports an error in the record at hand.
func (r *reader) fail(id string, column int, message, mend string) {
	r.find(id, Error, r.at, column, message, mend)
}

// warn reports a warning about the record at hand.
func (r *reader) warn(id string, column int, message, mend string) {
	r.find(id, Warning, r.at, column, message, mend)
}

func (r *reader) find(id string, s Severity, line, column int, message, mend string) {
	r.finding(Finding{ID: id, Severity: s, File: r.file, Line: line, Column: column, Message: message, Mend: mend})
}

func (r *reporter) finding(f Finding) {
	if f.Severity == Error {
		r.errors++
	}
	if r.count++; r.count > r.limit() {
		r.worst = max(r.worst, f.Severity)
		return
	}
	if r.report != nil {
		r.report(f)
	}
}

// rest says how many findings were not handed on.
func (r *reporter) rest() {
	if more := r.count - r.limit(); more > 0 && r.report != nil {
		r.report(Finding{
			ID: "too-many-findings", Severity: r.worst, File: r.file,
			Message: strconv.Itoa(more) + " more findings are not listed",
		})
	}
}

func (d *direct) next() *slot { return &d.slot }

func (d *direct) add() error {
	s := &d.slot
	return invalid(d.hook(&s.rule), s, d.reader.finding)
}

// invalid turns each *FieldError in err into a finding. It gives back what is
// no *FieldError.
func invalid(err error, s *slot, report func(Finding)) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var rest []error
		for _, e := range joined.Unwrap() {
			rest = append(rest, invalid(e, s, report))
		}
		return errors.Join(rest...)
	}
	field, ok := errors.AsType[*FieldError](err)
	if !ok {
		return err
	}
	line, column := s.where.locate(s.text, field.Field)
	report(Finding{
		ID: "invalid", Severity: Error, File: s.rule.Pos.File, Line: s.rule.Pos.Line + line, Column: column,
		Field: field.Field, Message: field.Error(),
	})
	return nil
}

// locate gives the place of a field in a line: lines after the first, and the
// column, 0 if it is not there.
func (l *layout) locate(text, field string) (line, column int) {
	at := -1
	switch l.format {
	case FormatRedirects:
		at = locateRedirects(text, field)
	case FormatCSV:
		at = l.locateCSV(text, field)
	case FormatJSONL:
		at = locateJSONL(text, field)
	case FormatYAML:
	}
	if at < 0 {
		return 0, 0
	}
	before := text[:at]
	return strings.Count(before, "\n"), at - strings.LastIndexByte(before, '\n')
}
