package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/internal/audit"
	"github.com/seeother/seeother/rule"
)

// The formats that only audits have.
const (
	formatJUnit = "junit"
	formatHTML  = "html"
)

var auditFormats = []string{formatText, formatJSON, formatSARIF, formatJUnit, formatHTML}

const auditPage = repository + "/blob/main/docs/audit.md"

// auditOutput is a file that gets the report in one format, and the flag that
// named it.
type auditOutput struct{ format, file, flag string }

// wanted reads --format, --output and --html.
func (f *auditFlags) wanted() ([]auditOutput, error) {
	if !slices.Contains(auditFormats, f.format) {
		return nil, &usageError{fmt.Errorf("--format %q: want %s", f.format, strings.Join(auditFormats, ", ")), "see seeother audit --help"}
	}
	var out []auditOutput
	for _, text := range f.outputs {
		format, file, ok := strings.Cut(text, "=")
		if !ok || file == "" || !slices.Contains(auditFormats, format) {
			return nil, &usageError{fmt.Errorf("--output %q: want FORMAT=FILE", text), "FORMAT is one of " + strings.Join(auditFormats, ", ")}
		}
		out = append(out, auditOutput{format, file, "--output " + text})
	}
	if f.html != "" {
		out = append(out, auditOutput{formatHTML, f.html, "--html " + f.html})
	}
	for _, o := range out {
		if info, err := os.Stat(filepath.Dir(o.file)); err != nil || !info.IsDir() {
			return nil, &usageError{fmt.Errorf("%s: there is no such folder", o.flag), "make it before the audit"}
		}
	}
	return out, nil
}

// write writes the report to where it is wanted. A file that cannot be written
// keeps it from nowhere else: an audit takes long.
func (f *auditFlags) write(stdout io.Writer, r *audit.Report, outputs []auditOutput) error {
	var wrong error
	for _, o := range outputs {
		wrong = errors.Join(wrong, f.writeFile(r, o))
	}
	return errors.Join(f.writeAs(stdout, f.format, r), wrong)
}

func (f *auditFlags) writeFile(r *audit.Report, o auditOutput) (err error) {
	file, err := os.Create(o.file)
	if err != nil {
		return &hinted{err, "see whether the folder is there and may be written"}
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return f.writeAs(file, o.format, r)
}

func (f *auditFlags) writeAs(w io.Writer, format string, r *audit.Report) error {
	switch format {
	case formatJSON:
		return r.WriteJSON(w)
	case formatSARIF:
		return auditSARIF(bufio.NewWriter(w), r)
	case formatJUnit:
		return r.WriteJUnit(w, f.strict)
	case formatHTML:
		return r.WriteHTML(w)
	}
	return auditText(w, r)
}

// severityOf is an audit's severity in terms of the rules' findings.
func severityOf(s audit.Severity) rule.Severity {
	return map[audit.Severity]rule.Severity{audit.Error: rule.Error, audit.Warning: rule.Warning}[s]
}

// auditText writes the findings with their evidence.
func auditText(w io.Writer, r *audit.Report) error {
	t := &textFindings{w: bufio.NewWriter(w), color: colored(w)}
	for _, f := range r.Findings {
		t.audited(f)
	}
	for _, note := range r.Summary.Notes {
		t.line("note: %s\n", audit.Clean(note))
	}
	t.line("%s\n", auditSummary(r.Summary))
	return t.w.Flush()
}

func (t *textFindings) audited(f audit.Finding) {
	t.line("%s  %s  %s\n", t.severity(severityOf(f.Severity)), audit.Clean(f.Message), t.paint(faint, "["+f.ID+"]"))
	if f.SeenAt != "" {
		t.more("seen at", f.SeenAt)
	}
	for _, e := range f.Evidence {
		t.more("", e.String())
	}
	if f.Count > 1 {
		t.more("also", fmt.Sprintf("%s with the same cause, such as %s", counted(f.Count-1, "more URL"), f.Examples[0].URL))
	}
	t.more("mend", f.Mend)
	if f.Card != "" {
		t.more("more", "seeother explain "+f.Card)
	}
	t.line("\n")
}

func (t *textFindings) more(what, text string) {
	if what != "" {
		what += ": "
	}
	t.line("         %s%s\n", t.paint(faint, what), audit.Clean(text))
}

func auditSummary(s audit.Summary) string {
	out := "nothing found"
	if s.Errors+s.Warnings+s.Infos > 0 {
		out = strings.Join([]string{counted(s.Errors, "error"), counted(s.Warnings, "warning"), counted(s.Infos, "info")}, ", ")
	}
	out += fmt.Sprintf(" in %s of %s, by %s", counted(s.Pages, "page"), audit.Clean(s.URL), counted(s.Requests, "request"))
	for _, extra := range []struct {
		n    int
		text string
	}{
		{s.Ignored, "ignored"}, {s.Known, "known from the baseline"}, {s.KeptOut, "kept out by robots.txt"}, {s.Excluded, "kept out by --exclude"}, {s.LeftOut, "links left out by a limit"},
	} {
		if extra.n > 0 {
			out += fmt.Sprintf("; %s %s", grouped(extra.n), extra.text)
		}
	}
	return out
}

// auditSARIF writes the findings at their URLs.
func auditSARIF(w *bufio.Writer, r *audit.Report) error {
	var rules []sarifRule
	for _, c := range audit.Checks() {
		rules = append(rules, sarifRule{
			ID: c.ID, Short: sarifText{c.Title}, Full: sarifText{c.Title + ". What a client sees: " + c.Client},
			Help: sarifText{c.Mend + explainedBy(c.ID)}, HelpURI: auditPage + "#" + c.ID, Default: sarifLevel{sarifLevels[severityOf(c.Severity)]},
		})
	}
	s := startSARIF(w, rules)
	for _, f := range r.Findings {
		i := s.ids[f.ID]
		text := audit.Clean(f.Message) + ". Mend: " + audit.Clean(f.Mend)
		s.item(sarifResult{
			RuleID: f.ID, RuleIndex: &i, Level: sarifLevels[severityOf(f.Severity)], Message: sarifText{text},
			Locations: []sarifLocation{{sarifPhysical{Artifact: sarifArtifact{urlOfSARIF(f.URL)}}}},
		})
	}
	return s.end(nil)
}

// urlOfSARIF is text as a URI (RFC 3986), which SARIF wants: a URL of a report may
// hold what a server wrote there, and may be cut.
func urlOfSARIF(text string) string {
	return notOfURI.ReplaceAllStringFunc(strings.TrimSuffix(text, "…"), func(part string) string {
		if part[0] == '%' && len(part) > 1 {
			return part // an encoding that is whole
		}
		return url.PathEscape(part)
	})
}

var notOfURI = regexp.MustCompile(`%[0-9A-Fa-f]{2}|[^-A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=]`)
