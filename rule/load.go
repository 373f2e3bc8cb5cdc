package rule

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is a file of rules, all files that a pattern matches, or rules that
// were read already.
type Source struct {
	// File is a path, or a pattern as of filepath.Glob. With Rules or Open it is
	// only a name.
	File string
	// Format is how the file is written. Empty: as FormatOf says.
	Format Format
	// Mode is how Rules are tried. Of a file, FileOrder goes before what the
	// format or the file say.
	Mode Mode
	// Rules, where it is not nil, are the rules.
	Rules []Rule
	// Open, where it is not nil, gives the content instead of the file system.
	Open func() (io.ReadCloser, error)
}

// Load reads all sources, in their order, and builds the table of what is right
// in them. Whether it may go live, the findings say: one of severity Error means
// that something of a file is not in the table. They are sorted by source and
// line. A file that several sources name is read once. The error is for opts.
//
// Load uses a second goroutine, which has ended when it returns.
func Load(sources []Source, opts Options) (*Table, []Finding, error) {
	if err := opts.Canonical.Validate(); err != nil {
		return nil, nil, err
	}
	l := &loader{builder: NewBuilder(opts), seen: map[string]bool{}}
	for _, s := range sources {
		l.source(s)
	}
	return l.builder.Build(), l.findings, nil
}

type loader struct {
	builder  *Builder
	findings []Finding
	seen     map[string]bool
	files    int
	full     bool
	free     chan *batch // that nobody uses
}

func (l *loader) source(s Source) {
	switch {
	case s.Rules != nil:
		l.rules(s)
	case s.Open != nil:
		l.file(s)
	default:
		for _, file := range l.expand(s.File) {
			s.File = file
			l.file(s)
		}
	}
}

func (l *loader) fail(id, file, format string, args ...any) {
	l.findings = append(l.findings, Finding{ID: id, Severity: Error, File: file, Message: fmt.Sprintf(format, args...)})
}

// expand gives the files of a pattern, sorted. A file whose name is the pattern
// goes before it.
func (l *loader) expand(pattern string) []string {
	if _, err := os.Lstat(pattern); err == nil || !strings.ContainsAny(pattern, `*?[\`) {
		return []string{pattern}
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		l.fail("no-files", pattern, "the pattern is malformed: a bracket is not closed, or nothing follows a backslash")
		return nil
	}
	files = slices.DeleteFunc(files, func(file string) bool {
		info, err := os.Stat(file)
		return err == nil && info.IsDir()
	})
	if len(files) == 0 {
		l.fail("no-files", pattern, "the pattern matches no file")
	}
	return files
}

// file reads one file, or what s.Open gives.
func (l *loader) file(s Source) {
	if s.Open == nil {
		name := filepath.Clean(s.File)
		if l.seen[name] {
			return
		}
		l.seen[name] = true
	}
	if l.files++; l.files > MaxFiles {
		if l.files == MaxFiles+1 {
			l.fail("too-many-files", s.File, "there are more than %d files: this one and the ones after it were not read", MaxFiles)
		}
		return
	}
	if s.Format == "" {
		s.Format, _ = FormatOf(s.File)
	}
	if s.Format == "" || s.Format == FormatYAML {
		l.fail("unknown-format", s.File, "rules are read from _redirects, .redirects, .csv, .tsv, .jsonl, .ndjson, .yaml and .yml")
		return
	}
	in := l.open(s)
	if in == nil {
		return
	}
	defer func() { _ = in.Close() }() // it was only read
	l.read(in, s)
}

// open gives nil where there is nothing to read, and says why.
func (l *loader) open(s Source) io.ReadCloser {
	open := s.Open
	if open == nil {
		open = func() (io.ReadCloser, error) { return openRegular(s.File) }
	}
	in, err := open()
	switch {
	case err == nil:
		return in
	case errors.Is(err, errNotRegular):
		l.fail("not-a-file", s.File, "%s", err)
	default:
		l.unreadable(s.File, err)
	}
	return nil
}

func (l *loader) unreadable(file string, err error) {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // the file is named already
	}
	l.fail("unreadable", file, "the file cannot be read: %s", err)
}

var errNotRegular = errors.New("not a file")

// openRegular opens nothing that could block or never end.
func openRegular(name string) (io.ReadCloser, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("this is a folder and %w: for all files in it, write a pattern such as %s", errNotRegular, filepath.Join(name, "*.csv"))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("this is a device, a pipe or a socket, and %w", errNotRegular)
	}
	return os.Open(name) //nolint:gosec // reading the files that the configuration names is what this is for
}

// rules adds rules that were read already.
func (l *loader) rules(s Source) {
	l.builder.Begin(s.File, s.Mode)
	for i := range s.Rules {
		r := &s.Rules[i]
		report := func(f Finding) {
			f.File, f.Line, f.Column = cmp.Or(r.Pos.File, s.File), r.Pos.Line, r.Pos.Column
			l.findings = append(l.findings, f)
		}
		err := invalid(l.builder.Add(r), &slot{where: &layout{}}, report)
		if l.overflow(s.File, err) {
			return
		}
	}
}

// overflow reports an error of Add that is not about the rule.
func (l *loader) overflow(file string, err error) bool {
	if err != nil && !l.full {
		l.full = true
		l.fail("too-many-rules", file, "%s: more than %d rules, or more text than it can hold", err, MaxRules)
	}
	return err != nil
}
