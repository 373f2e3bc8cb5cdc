package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/seeother/seeother/internal/terminal"
)

// Limits of a report.
const (
	maxFindings = 5000 // causes
	maxExamples = 5    // of one cause
	maxEdges    = 1000
	maxNotes    = 20
	maxReport   = 64 << 20 // of a report that is read again, in bytes
)

// Edge is a redirect: from a URL to another.
type Edge struct {
	Method string `json:"method"`
	From   string `json:"from"`
	To     string `json:"to"`
	Status int    `json:"status"`
}

// Summary counts what an audit did and found.
type Summary struct {
	URL       string         `json:"url"`
	Pages     int            `json:"pages"`
	Requests  int            `json:"requests"`
	Redirects int            `json:"redirects"` // that were seen, each once
	Errors    int            `json:"errors"`
	Warnings  int            `json:"warnings"`
	Infos     int            `json:"infos"`
	Ignored   int            `json:"ignored"`            // by id
	Known     int            `json:"known"`              // in the baseline
	KeptOut   int            `json:"kept_out"`           // URLs that robots.txt forbids
	Excluded  int            `json:"excluded,omitempty"` // URLs that Options.Exclude forbids
	LeftOut   int            `json:"left_out"`           // links that a limit kept out, each time that one was seen
	ByID      map[string]int `json:"by_id"`
	Notes     []string       `json:"notes,omitempty"`
	Complete  bool           `json:"complete"` // false: it was ended before its end
}

// Report is what an audit found.
type Report struct {
	Findings []Finding `json:"findings"` // the worst first
	Summary  Summary   `json:"summary"`
	Edges    []Edge    `json:"redirects"`
}

// Baseline are findings that are known already.
type Baseline map[string]bool

// ReadBaseline reads a report that [Report.WriteJSON] wrote.
func ReadBaseline(r io.Reader) (Baseline, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxReport+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxReport {
		return nil, fmt.Errorf("it has more than %d MiB", maxReport>>20)
	}
	var report struct {
		Findings *[]Finding `json:"findings"`
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return nil, err
	}
	if report.Findings == nil {
		return nil, errors.New("it has no findings: want a report of seeother audit --format json")
	}
	out := make(Baseline)
	for _, f := range *report.Findings {
		if f.ID == "" || f.Cause == "" {
			return nil, errors.New("it has a finding without id or cause: want a report of seeother audit --format json")
		}
		out[f.key()] = true
	}
	return out, nil
}

func (f *Finding) key() string { return f.ID + "\x00" + f.Cause }

// Only leaves out findings of the given ids and those of a baseline, and counts
// the rest.
func (r *Report) Only(ignore []string, known Baseline) {
	s := &r.Summary
	s.Errors, s.Warnings, s.Infos, s.Ignored, s.Known, s.ByID = 0, 0, 0, 0, 0, make(map[string]int)
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
		switch {
		case slices.Contains(ignore, f.ID):
			s.Ignored++
			return true
		case known[f.key()]:
			s.Known++
			return true
		}
		s.ByID[f.ID]++
		switch f.Severity {
		case Error:
			s.Errors++
		case Warning:
			s.Warnings++
		default:
			s.Infos++
		}
		return false
	})
}

// WriteJSON writes r as one object.
func (r *Report) WriteJSON(w io.Writer) error {
	out := *r
	if out.Findings == nil {
		out.Findings = []Finding{}
	}
	if out.Edges == nil {
		out.Edges = []Edge{}
	}
	data, err := terminal.JSON(out, " ")
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// collector merges outcomes. One goroutine uses it.
type collector struct {
	report Report
	causes map[string]int // index of each finding
	edges  map[Edge]bool
}

func newCollector(r Report) *collector {
	c := &collector{report: r, causes: make(map[string]int), edges: make(map[Edge]bool)}
	for i, f := range r.Findings {
		c.causes[f.key()] = i
	}
	for _, e := range r.Edges {
		c.edges[e] = true
	}
	return c
}

func (c *collector) merge(out outcome) {
	for _, f := range out.findings {
		c.add(f)
	}
	for _, e := range out.edges {
		if c.edges[e] {
			continue
		}
		if len(c.edges) >= maxEdges {
			c.note(fmt.Sprintf("there are more than %d redirects: the rest is followed, and not listed", maxEdges))
			break
		}
		c.edges[e] = true
		c.report.Edges = append(c.report.Edges, e)
		c.report.Summary.Redirects++
	}
	if out.page {
		c.report.Summary.Pages++
	}
	if out.keptOut {
		c.report.Summary.KeptOut++
	}
	if out.excluded {
		c.report.Summary.Excluded++
	}
	c.note(out.note)
}

func (c *collector) note(text string) {
	if notes := &c.report.Summary.Notes; text != "" && len(*notes) < maxNotes && !slices.Contains(*notes, text) {
		*notes = append(*notes, text)
	}
}

func (c *collector) add(f Finding) {
	at, known := c.causes[f.key()]
	if !known {
		if len(c.report.Findings) >= maxFindings {
			c.note(fmt.Sprintf("there are more than %d causes: the rest is left out", maxFindings))
			return
		}
		c.causes[f.key()] = len(c.report.Findings)
		c.report.Findings = append(c.report.Findings, f)
		return
	}
	first := &c.report.Findings[at]
	if f.URL == first.URL && f.SeenAt == first.SeenAt || slices.Contains(first.Examples, Example{f.URL, f.SeenAt}) {
		return
	}
	first.Count++
	if len(first.Examples) < maxExamples {
		first.Examples = append(first.Examples, Example{f.URL, f.SeenAt})
	}
	if rank(f.Severity) > rank(first.Severity) {
		first.Severity = f.Severity
	}
}

func rank(s Severity) int { return slices.Index([]Severity{Info, Warning, Error}, s) }

// edgesOf are the redirects of a trail.
func edgesOf(t *trail) []Edge {
	var out []Edge
	for i, a := range t.redirects() {
		out = append(out, Edge{a.Method, a.URL, shown(t.targets[i].String()), a.Status})
	}
	return out
}

// Clean keeps a terminal, or a format of text, from being told things by a
// server: control characters, and those that turn the direction of text or hide,
// become "?".
func Clean(text string) string { return terminal.Clean(text, '?') }

// snapshot is what a state file holds beside its queue.
type snapshot struct {
	Version int    `json:"version"`
	Start   string `json:"start"`
	Offset  int64  `json:"offset"` // of the queue: what is before it is done
	Size    int64  `json:"size"`   // of the queue: what is behind it does not count
	Report  Report `json:"report"`
}

const stateVersion = 1

func readSnapshot(data []byte) (*snapshot, error) {
	s := &snapshot{}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(s); err != nil {
		return nil, err
	}
	if s.Version != stateVersion || s.Size < 0 || s.Offset < 0 || s.Offset > s.Size {
		return nil, errors.New("it is no state of an audit, or one of another version")
	}
	return s, nil
}
