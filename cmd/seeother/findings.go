package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/seeother/seeother/internal/guide"
	"github.com/seeother/seeother/internal/terminal"
	"github.com/seeother/seeother/rule"
)

// summary counts what a check found.
type summary struct {
	Rules    int            `json:"rules"`
	Files    int            `json:"files"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Infos    int            `json:"infos"`
	Ignored  int            `json:"ignored"` // by --ignore
	ByID     map[string]int `json:"by_id"`
}

func (s *summary) count(f rule.Finding) {
	switch f.Severity {
	case rule.Error:
		s.Errors++
	case rule.Warning:
		s.Warnings++
	case rule.Info:
		s.Infos++
	}
	if s.ByID == nil {
		s.ByID = make(map[string]int)
	}
	s.ByID[f.ID]++
}

// String is the last line of the text.
func (s *summary) String() string {
	found := "nothing found"
	if s.Errors+s.Warnings+s.Infos > 0 {
		found = strings.Join([]string{
			counted(s.Errors, "error"), counted(s.Warnings, "warning"), counted(s.Infos, "info"),
		}, ", ")
	}
	if s.Ignored > 0 {
		found += fmt.Sprintf(" (%s ignored)", grouped(s.Ignored))
	}
	return fmt.Sprintf("%s in %s of %s", found, counted(s.Rules, "rule"), counted(s.Files, "file"))
}

func counted(n int, noun string) string {
	if n != 1 && noun != "info" {
		noun += "s"
	}
	return grouped(n) + " " + noun
}

// grouped writes 12345 as "12,345".
func grouped(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// findingWriter writes findings in one format. Errors are told by end.
type findingWriter interface {
	add(f rule.Finding)
	end(s *summary) error
}

// The formats of findings.
const (
	formatText  = "text"
	formatJSON  = "json"
	formatSARIF = "sarif"
)

func newFindingWriter(w io.Writer, format string, most int) findingWriter {
	buffered := bufio.NewWriterSize(w, 64<<10)
	switch format {
	case formatJSON:
		return newJSONFindings(buffered)
	case formatSARIF:
		return newSARIFFindings(buffered)
	}
	return &textFindings{w: buffered, most: most, color: colored(w), hidden: make(map[string]int), shown: make(map[string]int), told: make(map[string]string), explained: make(map[string]bool)}
}

// jsonItems are the items of a JSON array, written as they come.
type jsonItems struct {
	w   *bufio.Writer // its Flush tells what went wrong
	n   int
	err error
}

func (j *jsonItems) item(v any) {
	if j.n > 0 {
		_ = j.w.WriteByte(',')
	}
	j.n++
	_ = j.w.WriteByte('\n')
	text, err := plainJSON(v)
	_, _ = j.w.Write(text)
	j.err = cmp.Or(j.err, err)
}

// plainJSON is v in one line, with < and > as they are.
func plainJSON(v any) ([]byte, error) {
	text, err := terminal.JSON(v, "")
	return bytes.TrimSuffix(text, []byte("\n")), err
}

// jsonFindings is one object.
type jsonFindings struct{ jsonItems }

func newJSONFindings(w *bufio.Writer) *jsonFindings {
	_, _ = w.WriteString(`{"findings": [`)
	return &jsonFindings{jsonItems{w: w}}
}

// cardedFinding is a finding with the card that explains it.
type cardedFinding struct {
	rule.Finding

	Card string `json:"card,omitempty"` // for "seeother explain"
}

func (j *jsonFindings) add(f rule.Finding) {
	card, _ := guide.For(f.ID) // "" where there is none
	j.item(cardedFinding{f, card})
}

func (j *jsonFindings) end(s *summary) error {
	text, err := plainJSON(s)
	_, _ = fmt.Fprintf(j.w, "\n], \"summary\": %s}\n", text)
	return cmp.Or(j.err, err, j.w.Flush())
}

// textFindings keeps at most so many of each id, and writes them by file and
// line at the end.
type textFindings struct {
	w             *bufio.Writer
	most          int // 0: all
	color         bool
	kept          []rule.Finding
	shown, hidden map[string]int
	told          map[string]string // the mend that was written last, by id
	explained     map[string]bool   // the ids whose card was named
}

func (t *textFindings) add(f rule.Finding) {
	if t.most > 0 && t.shown[f.ID] >= t.most {
		t.hidden[f.ID]++
		return
	}
	t.shown[f.ID]++
	t.kept = append(t.kept, f)
}

func (t *textFindings) end(s *summary) error {
	slices.SortStableFunc(t.kept, func(a, b rule.Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column)
	})
	file, width := "\x00", 0
	for _, f := range t.kept {
		width = max(width, len(placeOf(f)))
	}
	for _, f := range t.kept {
		if f.File != file {
			file = f.File
			t.line("%s\n", t.paint(bold, cleaned(cmp.Or(file, "seeother"))))
		}
		t.finding(f, width)
	}
	for _, id := range slices.Sorted(maps.Keys(t.hidden)) {
		t.line("and %s more of %s (--max 0 shows all)\n", grouped(t.hidden[id]), id)
	}
	if len(t.kept) > 0 {
		t.line("\n")
	}
	t.line("%s\n", s)
	return t.w.Flush()
}

func (t *textFindings) finding(f rule.Finding, width int) {
	t.line("  %-*s  %s  %s  %s\n", width, placeOf(f), t.severity(f.Severity), cleaned(f.Message), t.paint(faint, "["+f.ID+"]"))
	if f.Mend != "" && t.told[f.ID] != f.Mend {
		t.told[f.ID] = f.Mend
		t.line("  %-*s  %-7s  %s %s\n", width, "", "", t.paint(faint, "mend:"), cleaned(f.Mend))
	}
	if card, ok := guide.For(f.ID); ok && !t.explained[f.ID] {
		t.explained[f.ID] = true
		t.line("  %-*s  %-7s  %s seeother explain %s\n", width, "", "", t.paint(faint, "explain:"), card)
	}
}

func placeOf(f rule.Finding) string {
	if f.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", f.Line, max(f.Column, 1))
}

func (t *textFindings) line(format string, args ...any) {
	_, _ = fmt.Fprintf(t.w, format, args...) // Flush tells
}

// SGR codes (ECMA-48 section 8.3.117).
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (t *textFindings) severity(s rule.Severity) string {
	code := map[rule.Severity]string{rule.Error: red, rule.Warning: yellow, rule.Info: cyan}[s]
	return t.paint(code, fmt.Sprintf("%-7s", s))
}

func (t *textFindings) paint(code, text string) string {
	if !t.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// cleaned keeps a terminal from being told things by a file or a server.
func cleaned(text string) string { return terminal.Clean(text, '?') }
