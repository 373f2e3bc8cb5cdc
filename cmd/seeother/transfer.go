package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/durable"
	"github.com/seeother/seeother/internal/terminal"
	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/rule/importer"
)

// transfer is what import and export have in common.
type transfer struct {
	out          string
	toName       string
	to           rule.Format
	format       string
	allowDropped bool
	anySlash     bool
	fallback     string // format where neither --to nor -o says one
}

// ruleFileMode lets everybody read a file of rules.
const ruleFileMode = 0o644

func (f *transfer) add(verb *cobra.Command, fallback string) {
	f.fallback = fallback
	flags := verb.Flags()
	flags.StringVarP(&f.out, "output", "o", "", "write the rules into this `file` instead of standard output")
	flags.StringVar(&f.format, "format", formatText, "`format` of the list of what was dropped or changed: text or json (one object)")
	flags.BoolVar(&f.allowDropped, "allow-dropped", false, "write the rules, and exit with 0, also where lines were dropped or changed")
	flags.BoolVar(&f.anySlash, "any-slash", false, "in _redirects, let a slash at the end of a path not matter for any rule: that is what Netlify does")
	if fallback != "" {
		flags.StringVar(&f.toName, "to", "", "`format` of the rules: jsonl, csv or redirects (default: as the name of --output says, else jsonl)")
		_ = verb.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"jsonl", "csv", "redirects"}, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatText, formatJSON}, cobra.ShellCompDirectiveNoFileComp))
}

// check settles in which format the rules are written.
func (f *transfer) check() error {
	if f.format != formatText && f.format != formatJSON {
		return &usageError{fmt.Errorf("--format %q: want text or json", f.format), "for the format of the rules, say --to"}
	}
	format, known := rule.FormatOf(f.out)
	if f.out != "" && !known {
		return &usageError{fmt.Errorf("%s: rules are not read from a file of such a name", f.out), "for example: -o rules.jsonl, rules.csv or _redirects"}
	}
	f.to = cmp.Or(rule.Format(f.toName), format, rule.Format(f.fallback))
	if f.to != format && known && format != rule.FormatYAML {
		return &usageError{fmt.Errorf("%s: the name says %s, and the rules are to be written as %s", f.out, format, f.to), "give it a name that says so"}
	}
	if format == rule.FormatYAML {
		f.to = format
	}
	if !slices.Contains([]rule.Format{rule.FormatJSONL, rule.FormatCSV, rule.FormatRedirects}, f.to) {
		return &usageError{fmt.Errorf("rules cannot be written as %q: want jsonl, csv or redirects", f.to), "for example: -o rules.jsonl"}
	}
	return nil
}

// target is what the output is called.
func (f *transfer) target() string {
	if f.out == "" {
		return "standard output"
	}
	return f.out
}

// transferNote is one thing that is not exactly as it was.
type transferNote struct {
	File    string            `json:"file"`
	Line    int               `json:"line,omitempty"`
	Column  int               `json:"column,omitempty"`
	Text    string            `json:"text"`
	Kind    importer.NoteKind `json:"kind"`
	Reason  string            `json:"reason"`
	Nearest *nearestRule      `json:"nearest,omitempty"`

	nearest int // number of the rule, from 1; 0: none
}

// nearestRule is the rule that is nearest to a place, where it was written.
type nearestRule struct {
	Line int    `json:"line"` // of the output
	Rule string `json:"rule"`
}

// transferReport is what came of the rules.
type transferReport struct {
	file  string // they come from
	out   string // they go to
	lines int    // of the original, 0 where it has none
	rules int    // written
	notes []transferNote

	buf  *bytes.Buffer
	ends []int // of each rule made, its number in buf; -1: it was not written
}

// ruleSink writes rules into a report's buffer, and notes what cannot be said.
type ruleSink struct {
	report *transferReport
	w      *rule.Writer
	format rule.Format
	err    error
}

func newRuleSink(report *transferReport, f rule.Format, mode rule.Mode) *ruleSink {
	w, err := rule.NewWriter(report.buf, f)
	if err == nil {
		if w.Mode = mode; f == rule.FormatCSV {
			w.Mode = rule.Specific // what depends on the order has a note
		}
	}
	return &ruleSink{report: report, w: w, format: f, err: err}
}

// write writes r, or notes why it cannot be said.
func (s *ruleSink) write(r *rule.Rule) error {
	if s.err != nil {
		return s.err
	}
	err := s.w.Write(r)
	switch {
	case err == nil:
		s.report.rules++
		s.report.ends = append(s.report.ends, s.report.rules)
	case errors.Is(err, rule.ErrInexpressible):
		s.report.ends = append(s.report.ends, -1)
		s.report.note(r, importer.Dropped, reasonOf(err), len(s.report.ends))
	default:
		s.err = err
	}
	return s.err
}

// reasonOf is why a format cannot say a rule.
func reasonOf(err error) string {
	field, reason, _ := strings.Cut(err.Error(), ": "+rule.ErrInexpressible.Error()+": ")
	if field == "ignore_slash" {
		return "in _redirects a slash at the end of a path never matters, and for this rule it does; --any-slash takes it all the same"
	}
	return field + ": " + reason
}

func (s *ruleSink) close() error {
	if s.err != nil {
		return s.err
	}
	return s.w.Close()
}

// note adds a note about a rule; n is its number.
func (t *transferReport) note(r *rule.Rule, kind importer.NoteKind, reason string, n int) {
	file := r.Pos.File
	if file == "" {
		file = t.file
	}
	t.notes = append(t.notes, transferNote{
		File: file, Line: r.Pos.Line, Column: r.Pos.Column, Text: ruleText(r), Kind: kind, Reason: reason, nearest: n,
	})
}

// ruleText is a rule for people.
func ruleText(r *rule.Rule) string {
	from := r.Path
	if r.Regexp != "" {
		from = "~" + r.Regexp
	}
	what := r.Intent
	if r.Status != 0 {
		what = fmt.Sprint(r.Status)
	}
	return strings.Join(slices.DeleteFunc([]string{strings.Join(r.Hosts, ","), from, r.Target, what}, func(s string) bool { return s == "" }), " ")
}

// finish lists what was dropped or changed, and writes the rules, unless that
// was not allowed.
func (f *transfer) finish(cmd *cobra.Command, report *transferReport) error {
	report.findNearest()
	if report.rules+len(report.notes) == 0 && !f.allowDropped {
		return &exitError{&hinted{fmt.Errorf("there are no redirects in %s", report.file), "nothing was written: with --allow-dropped it is"}, exitFailed}
	}
	refused := len(report.notes) > 0 && !f.allowDropped
	if err := f.list(cmd.ErrOrStderr(), report, refused); err != nil {
		return err
	}
	if refused {
		return errFound
	}
	if f.out == "" {
		_, err := cmd.OutOrStdout().Write(report.buf.Bytes())
		return err
	}
	return durable.WriteFile(f.out, report.buf.Bytes(), ruleFileMode)
}

// findNearest shows, for each note, the rule that it names, or the last one
// before that was written, as it stands in the output.
func (t *transferReport) findNearest() {
	if len(t.notes) == 0 {
		return
	}
	var starts []int // of lines
	for i, line := 0, []byte(nil); i < t.buf.Len(); i += len(line) {
		starts = append(starts, i)
		line = t.buf.Bytes()[i:]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
	}
	head := len(starts) - t.rules // a first line that is no rule
	for i := range t.notes {
		n := &t.notes[i]
		number := min(n.nearest, len(t.ends))
		for number > 0 && t.ends[number-1] < 0 {
			number--
		}
		if number == 0 || head < 0 {
			continue
		}
		line := head + t.ends[number-1]
		text, _, _ := bytes.Cut(t.buf.Bytes()[starts[line-1]:], []byte{'\n'})
		n.Nearest = &nearestRule{Line: line, Rule: cutText(text)}
	}
}

// mostText is how much of a rule is shown.
const mostText = 160

func cutText(text []byte) string {
	if len(text) > mostText {
		return strings.ToValidUTF8(string(text[:mostText]), "") + "..."
	}
	return string(text)
}

// transferSummary counts.
type transferSummary struct {
	Rules   int  `json:"rules"`
	Lines   int  `json:"lines,omitempty"`
	Changed int  `json:"changed"`
	Dropped int  `json:"dropped"`
	Written bool `json:"written"`
}

func (t *transferReport) summary(written bool) transferSummary {
	s := transferSummary{Rules: t.rules, Lines: t.lines, Written: written}
	for i := range t.notes {
		if t.notes[i].Kind == importer.Dropped {
			s.Dropped++
		} else {
			s.Changed++
		}
	}
	return s
}

// String is the last line of the list.
func (s transferSummary) String() string {
	text := counted(s.Rules, "rule")
	if s.Lines > 0 {
		text += " from " + counted(s.Lines, "line")
	}
	if s.Changed+s.Dropped == 0 {
		return text + "; all taken over exactly"
	}
	var parts []string
	if s.Changed > 0 {
		parts = append(parts, grouped(s.Changed)+" changed")
	}
	if s.Dropped > 0 {
		parts = append(parts, grouped(s.Dropped)+" dropped")
	}
	return text + "; " + strings.Join(parts, ", ")
}

// list writes the notes, by file and line.
func (f *transfer) list(w io.Writer, t *transferReport, refused bool) error {
	sort.SliceStable(t.notes, func(i, j int) bool {
		a, b := &t.notes[i], &t.notes[j]
		return a.File < b.File || a.File == b.File && (a.Line < b.Line || a.Line == b.Line && a.Column < b.Column)
	})
	out := bufio.NewWriter(w)
	sum := t.summary(!refused)
	if f.format == formatJSON {
		if t.notes == nil {
			t.notes = []transferNote{}
		}
		text, err := terminal.JSON(map[string]any{"notes": t.notes, "summary": sum}, "")
		if err != nil {
			return err
		}
		_, _ = out.Write(text) // Flush tells
		return out.Flush()
	}
	for i := range t.notes {
		t.notes[i].print(out, t.out)
	}
	_, _ = fmt.Fprintf(out, "%s\n", sum) // Flush tells
	if refused {
		_, _ = fmt.Fprintln(out, "nothing was written: with --allow-dropped it is") // as above
	}
	return out.Flush()
}

func (n *transferNote) print(w *bufio.Writer, target string) {
	pos := rule.Position{File: n.File, Line: n.Line, Column: n.Column}
	_, _ = fmt.Fprintf(w, "%s: %s: %s\n    %s\n", cleaned(pos.String()), n.Kind, cleaned(n.Reason), cleaned(n.Text)) // Flush tells
	if n.Nearest != nil {
		_, _ = fmt.Fprintf(w, "    nearest: %s:%d: %s\n", cleaned(target), n.Nearest.Line, cleaned(n.Nearest.Rule)) // as above
	}
}
