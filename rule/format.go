package rule

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Format is how a file of rules is written.
type Format string

// The formats. YAML is not read here: who reads it hands its rules over in a
// Source.
const (
	FormatRedirects Format = "redirects" // Netlify's _redirects
	FormatCSV       Format = "csv"       // also with semicolons or tabs
	FormatJSONL     Format = "jsonl"     // JSON Lines: one Rule a line
	FormatYAML      Format = "yaml"
)

// Bounds of what is read.
const (
	// MaxLine is how long a line may be, or a record of CSV that goes over
	// several lines, in bytes without the line end.
	MaxLine = 64 << 10
	// MaxFiles is how many files one Load reads.
	MaxFiles = 1000
	// MaxFindings is how many findings one file gets; one more counts the rest.
	MaxFindings = 1000
)

// FormatOf is the format that a file's name tells: "_redirects" and
// "*.redirects", "*.csv" and "*.tsv", "*.jsonl" and "*.ndjson", "*.yaml" and
// "*.yml".
func FormatOf(file string) (Format, bool) {
	name := strings.ToLower(filepath.Base(file))
	if name == "_redirects" {
		return FormatRedirects, true
	}
	switch filepath.Ext(name) {
	case ".redirects":
		return FormatRedirects, true
	case ".csv", ".tsv":
		return FormatCSV, true
	case ".jsonl", ".ndjson":
		return FormatJSONL, true
	case ".yaml", ".yml":
		return FormatYAML, true
	}
	return "", false
}

// Mode is the mode of a file in this format, where the file does not say.
func (f Format) Mode() Mode {
	if f == FormatRedirects {
		return FileOrder
	}
	return Specific
}

// Hooks is who gets what Read reads. All are called from the goroutine of
// Read, in the order of the file. Mode and Report may be nil.
type Hooks struct {
	// Mode is called once, before the first Add.
	Mode func(Mode)
	// Add gets each rule, with its Pos. The rule is overwritten afterwards; a
	// copy of it may be kept, whose texts hold the memory of their neighbours in
	// the file. Each *FieldError in what it returns, joined or not, becomes a
	// finding "invalid"; any other error ends Read.
	Add func(*Rule) error
	// Report gets what is wrong. An Error means that something was not read; a
	// Warning "condition", "never-matches" or "self-redirect" that a line was
	// left out, as the format wants.
	Report func(Finding)
	// MaxLine is the longest line in bytes. Zero: the constant MaxLine.
	MaxLine int
	// MaxFindings is how many are reported; one more counts the rest. Zero: the
	// constant MaxFindings.
	MaxFindings int
}

// ErrFormat is what Read and NewWriter return, wrapped, for a format that they
// do not know.
var ErrFormat = errors.New("want redirects, csv or jsonl")

// Read reads rules in memory that does not grow with the file. What is wrong
// in the file are findings, each with its line, and Read goes on; the error is
// for what keeps it from going on: in cannot be read, or Add said so.
func Read(in io.Reader, f Format, file string, h Hooks) error {
	d := &direct{hook: h.Add}
	r := &reader{reporter: reporter{file: file, report: h.Report, most: h.MaxFindings}, sink: d, mode: f.Mode(), onMode: h.Mode}
	d.reader = r
	r.init(in, h.MaxLine)
	err := r.read(f)
	r.rest()
	return err
}

func errFormat(f Format) error { return fmt.Errorf("format %q: %w", string(f), ErrFormat) }
