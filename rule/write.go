package rule

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// ErrInexpressible is what Writer.Write returns, wrapped with the field and the
// reason, for a rule that the format cannot say.
var ErrInexpressible = errors.New("cannot be said in this format")

func inexpressible(field, reason string) error {
	return fmt.Errorf("%s: %w: %s", field, ErrInexpressible, reason)
}

// Writer writes rules so that Read gives rules back that match the same and
// answer the same. It must not be used by two goroutines at a time.
type Writer struct {
	// Mode is how the rules are tried. JSON Lines say it in their first line. A
	// _redirects file is always in FileOrder, and CSV never: its rules must come
	// in that order, or not depend on it.
	Mode Mode
	// Columns are those of CSV. Empty: all.
	Columns []string
	// AnySlash lets _redirects hold rules for which a slash at the end of the
	// path matters. There, it does not.
	AnySlash bool

	out    *bufio.Writer
	format Format
	begun  bool
	buf    []byte
}

// NewWriter makes a Writer. The error wraps ErrFormat.
func NewWriter(w io.Writer, f Format) (*Writer, error) {
	switch f {
	case FormatRedirects, FormatCSV, FormatJSONL:
		return &Writer{out: bufio.NewWriterSize(w, blockSize), format: f}, nil
	case FormatYAML:
	}
	return nil, errFormat(f)
}

// Write writes one rule, or nothing. The error wraps ErrInexpressible, and then
// the next rule may be written, or comes from the writer below. Pos is not
// written; _redirects has Note as a comment, and no Name.
func (w *Writer) Write(r *Rule) error {
	if err := w.begin(); err != nil {
		return err
	}
	if r.Passes() || r.Gone() { // how these read back
		plain := *r
		plain.TargetQuery = ""
		r = &plain
	}
	var err error
	switch w.format {
	case FormatRedirects:
		w.buf, err = appendRedirects(w.buf[:0], r, w.AnySlash)
	case FormatCSV:
		w.buf, err = appendCSV(w.buf[:0], r, w.columns())
	case FormatJSONL, FormatYAML:
		w.buf, err = appendJSONL(w.buf[:0], r)
	}
	if err != nil {
		return err
	}
	_, err = w.out.Write(w.buf)
	return err
}

// Close writes what is left. It does not close the writer below.
func (w *Writer) Close() error {
	if err := w.begin(); err != nil {
		return err
	}
	return w.out.Flush()
}

// begin writes the first line.
func (w *Writer) begin() (err error) {
	if w.begun {
		return nil
	}
	switch {
	case w.format == FormatCSV && w.Mode == FileOrder:
		return inexpressible("mode", "the most specific rule of CSV goes first")
	case w.format == FormatCSV:
		_, err = w.out.WriteString(strings.Join(w.columns(), ",") + "\n")
	case w.format == FormatJSONL:
		_, err = fmt.Fprintf(w.out, `{"seeother":%q,"mode":%q}`+"\n", jsonlVersion, w.Mode)
	}
	w.begun = true
	return err
}

func (w *Writer) columns() []string {
	if len(w.Columns) > 0 {
		return w.Columns
	}
	return allColumns
}

var allColumns = func() (names []string) {
	for _, c := range csvColumns {
		names = append(names, c.name)
	}
	return names
}()

// readBack reads what was written. There must be no finding but of information.
func readBack(text string, f Format) (rules []Rule, err error) {
	var wrong error
	d := &direct{hook: func(r *Rule) error {
		rules = append(rules, cloneRule(r))
		return nil
	}}
	r := &reader{sink: d, mode: f.Mode(), reporter: reporter{report: func(x Finding) {
		if x.Severity > Info && wrong == nil {
			wrong = errors.New(x.Message)
		}
	}}}
	d.reader = r
	r.lines = lines{block: text, dirty: badBytes(text) != faultNone, max: MaxLine, started: true, done: true}
	err = r.read(f)
	return rules, cmp.Or(err, wrong)
}

// difference is the first field in which rules differ in what they do; "" for
// none. Texts for people do not count.
func difference(a, b *Rule) string {
	for _, f := range [...]struct {
		field string
		same  bool
	}{
		{"scheme", a.Scheme == b.Scheme},
		{"hosts", slices.Equal(a.Hosts, b.Hosts)},
		{"path", a.Path == b.Path},
		{"regexp", a.Regexp == b.Regexp},
		{"decoded", a.Decoded == b.Decoded},
		{"ignore_case", a.IgnoreCase == b.IgnoreCase},
		{"ignore_slash", a.IgnoreSlash == b.IgnoreSlash},
		{"query", maps.Equal(a.Query, b.Query)},
		{"query_exact", a.QueryExact == b.QueryExact},
		{"methods", slices.Equal(a.Methods, b.Methods)},
		{"when", slices.Equal(a.When, b.When)},
		{"from", a.From.Equal(b.From)},
		{"until", a.Until.Equal(b.Until)},
		{"intent", a.Intent == b.Intent},
		{"legacy", a.Legacy == b.Legacy},
		{"status", a.Status == b.Status},
		{"target", a.Target == b.Target},
		{"target_query", a.TargetQuery == b.TargetQuery},
		{"only", slices.Equal(a.Only, b.Only)},
		{"origins", slices.Equal(a.Origins, b.Origins)},
		{"missing", a.Missing == b.Missing},
		{"deprecation", a.Deprecation.Equal(b.Deprecation)},
		{"sunset", a.Sunset.Equal(b.Sunset)},
		{"max_age", a.MaxAge == b.MaxAge},
		{"stage", a.Stage == b.Stage},
		{"priority", a.Priority == b.Priority},
	} {
		if !f.same {
			return f.field
		}
	}
	return ""
}

// check makes sure that text reads back as want.
func check(text string, f Format, want *Rule) error {
	rules, err := readBack(text, f)
	switch {
	case err != nil:
		return inexpressible("rule", err.Error())
	case len(rules) != 1:
		return inexpressible("rule", fmt.Sprintf("it would read back as %d rules", len(rules)))
	}
	got := &rules[0]
	for name, value := range want.Query {
		if value == "*" && captureName(got.Query[name]) != "" {
			got.Query[name] = value // a name that nothing uses
		}
	}
	if field := difference(got, want); field != "" {
		return inexpressible(field, "it would read back as something else")
	}
	return nil
}

func appendJSONL(dst []byte, r *Rule) ([]byte, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return dst, inexpressible("rule", strings.TrimPrefix(err.Error(), "json: "))
	}
	if line.Len() > MaxLine {
		return dst, inexpressible("rule", fmt.Sprintf("it is longer than %d bytes", MaxLine))
	}
	if bytes.Contains(line.Bytes(), []byte(`\ufffd`)) { // what was not UTF-8
		if err := check(line.String(), FormatJSONL, r); err != nil {
			return dst, err
		}
	}
	return append(dst, line.Bytes()...), nil
}

func appendCSV(dst []byte, r *Rule, columns []string) ([]byte, error) {
	if len(r.When) > 0 {
		return dst, inexpressible("when", "CSV has no column for it")
	}
	start := len(dst)
	for i, name := range columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		for _, c := range csvColumns {
			if c.name == name {
				dst = appendField(dst, c.get(r), ',')
			}
		}
	}
	if len(dst)-start > MaxLine {
		return dst[:start], inexpressible("rule", fmt.Sprintf("it is longer than %d bytes", MaxLine))
	}
	dst = append(dst, '\n')
	want := *r
	if want.Status == 0 && want.Intent == "" {
		want.Intent = Moved
	}
	return dst, check(strings.Join(columns, ",")+"\n"+string(dst[start:]), FormatCSV, &want)
}

// appendField appends a field of CSV, in quotes where it needs them (RFC 4180
// section 2).
func appendField(dst []byte, text string, comma byte) []byte {
	if text == "" {
		return dst
	}
	if strings.IndexByte(text, comma) < 0 && !strings.ContainsAny(text, "\"\r\n") && strings.TrimSpace(text) == text {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(text, `"`, `""`)...)
	return append(dst, '"')
}

// appendRedirects writes a rule as lines of _redirects: one for each host and
// scheme.
func appendRedirects(dst []byte, r *Rule, anySlash bool) ([]byte, error) {
	if err := noPlace(r); err != nil {
		return dst, err
	}
	want := *r
	want.Status, want.Intent, want.Legacy = r.StatusFor("GET"), "", false
	want.TargetQuery, want.Origins = "", nil
	if r.Passes() {
		want.Status, want.Intent, want.Missing = 0, Pass, false
	}
	if want.Path == "" {
		want.Path = "/*"
	}
	if anySlash {
		want.IgnoreSlash = !strings.HasSuffix(want.Path, "/*")
	}
	start := len(dst)
	for _, at := range places(r) {
		want.Scheme, want.Hosts = at.scheme, at.hosts
		line, err := redirectsLine(&want)
		if err != nil {
			return dst[:start], err
		}
		if len(line) > MaxLine {
			return dst[:start], inexpressible("rule", fmt.Sprintf("it is longer than %d bytes", MaxLine))
		}
		if err := check(string(line), FormatRedirects, &want); err != nil {
			return dst[:start], err
		}
		dst = append(append(dst, line...), '\n')
	}
	return dst, nil
}

// noPlace says what of a rule has no place in _redirects.
func noPlace(r *Rule) error {
	for _, f := range [...]struct {
		field  string
		set    bool
		reason string
	}{
		{"regexp", r.Regexp != "", "write it as a path with placeholders"},
		{"decoded", r.Decoded, "paths are compared as RFC 3986 says"},
		{"ignore_case", r.IgnoreCase, "case matters"},
		{"methods", len(r.Methods) > 0, "a line is for every method"},
		{"from", !r.From.IsZero(), "a line has no time"},
		{"until", !r.Until.IsZero(), "a line has no time"},
		{"legacy", r.Legacy && r.Status == 0 && !r.Passes() && !r.Gone(), "a line has one status for all methods"},
		{"target_query", r.TargetQuery != "" && r.TargetQuery != QueryKeep, "the query goes along where the target has none"},
		{"only", len(r.Only) > 0, "the query goes along as a whole"},
		{"origins", strings.Contains(authorityOf(r.Target), "{"), "a line does not say where it may lead"},
		{"deprecation", !r.Deprecation.IsZero(), "a line has no header"},
		{"sunset", !r.Sunset.IsZero(), "a line has no header"},
		{"max_age", r.MaxAge != 0, "a line has no header"},
		{"stage", stageText(r) != "", "a line has no stage"},
		{"priority", r.Priority != 0, "the order of the lines is what counts"},
		{"query", len(r.Query) > 0 && !r.QueryExact, "a line with parameters wants no others"},
		{"query_exact", len(r.Query) == 0 && r.QueryExact, "a line without parameters takes any"},
		{"scheme", r.Scheme != "" && len(r.Hosts) == 0, "a scheme needs a host"},
	} {
		if f.set {
			return inexpressible(f.field, f.reason)
		}
	}
	return nil
}

// authorityOf is the host of a target, with what stands for parts of it.
func authorityOf(target string) string {
	_, rest, _ := strings.Cut(target, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

type place struct {
	scheme string
	hosts  []string
}

// places are the hosts and schemes of a rule, one by one.
func places(r *Rule) (list []place) {
	if len(r.Hosts) == 0 {
		return []place{{scheme: r.Scheme}}
	}
	for _, host := range r.Hosts {
		for _, scheme := range []string{"http", "https"} {
			if r.Scheme == "" || r.Scheme == scheme {
				list = append(list, place{scheme, []string{strings.ToLower(host)}})
			}
		}
	}
	return list
}

func redirectsLine(r *Rule) ([]byte, error) {
	var b []byte
	if len(r.Hosts) > 0 {
		b = append(b, r.Scheme+"://"+r.Hosts[0]...)
	}
	from, err := netlifyText(r.Path)
	if err != nil {
		return nil, inexpressible("path", err.Error())
	}
	b = append(b, from...)
	for i, name := range slices.Sorted(maps.Keys(r.Query)) {
		value := r.Query[name]
		if value == "*" {
			value = fmt.Sprintf(":_%d", i)
		} else if capture := captureName(value); capture != "" {
			value = ":" + capture
		}
		b = append(b, " "+name+"="+value...)
	}
	target := r.Target
	switch {
	case r.Passes():
		target = strings.Replace(r.Path, "/*", "/{*}", 1)
	case r.Gone():
		target = "/410"
	}
	to, err := netlifyText(target)
	if err != nil {
		return nil, inexpressible("target", err.Error())
	}
	status := r.Status
	if r.Passes() {
		status = 200
	}
	b = fmt.Appendf(b, " %s %d", to, status)
	if !r.Missing {
		b = append(b, '!')
	}
	if note := strings.Join(strings.Fields(r.Note), " "); note != "" {
		b = append(b, " # "+note...)
	}
	return b, nil
}

// netlifyText turns {name} and {*} into :name and :splat.
func netlifyText(text string) (string, error) {
	if strings.ContainsFunc(text, isWhite) {
		return "", errors.New("it has white space")
	}
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(text, "{")
		b.WriteString(head)
		if !found {
			return b.String(), nil
		}
		name, tail, _ := strings.Cut(rest, "}")
		switch {
		case name == "*":
			name = "splat"
		case netlifyName.FindString(name) != name:
			return "", fmt.Errorf("there is nothing like {%s}", name)
		}
		b.WriteString(":" + name)
		text = tail
	}
}
