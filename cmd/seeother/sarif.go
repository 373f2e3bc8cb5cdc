package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/seeother/seeother/internal/guide"
	"github.com/seeother/seeother/rule"
)

// sarifFindings is a log of SARIF 2.1.0 with one run (OASIS, "Static Analysis
// Results Interchange Format"), written as the findings come.
type sarifFindings struct {
	jsonItems

	ids map[string]int // index of each rule
}

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	repository  = "https://github.com/seeother/seeother"
	checksPage  = repository + "/blob/main/docs/checks.md"
)

type sarifText struct {
	Text string `json:"text"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifRule struct {
	ID      string     `json:"id"`
	Short   sarifText  `json:"shortDescription"`
	Full    sarifText  `json:"fullDescription"`
	Help    sarifText  `json:"help"`
	HelpURI string     `json:"helpUri"`
	Default sarifLevel `json:"defaultConfiguration"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	URI     string      `json:"informationUri"`
	Rules   []sarifRule `json:"rules"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex *int            `json:"ruleIndex,omitempty"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

var sarifLevels = map[rule.Severity]string{rule.Error: "error", rule.Warning: "warning", rule.Info: "note"}

func newSARIFFindings(w *bufio.Writer) *sarifFindings {
	var rules []sarifRule
	for _, c := range rule.Checks() {
		rules = append(rules, sarifRule{
			ID: c.ID, Short: sarifText{c.Title}, Full: sarifText{c.Title + ". What a client sees: " + c.Client},
			Help: sarifText{c.Mend + explainedBy(c.ID)}, HelpURI: checksPage + "#" + c.ID, Default: sarifLevel{sarifLevels[c.Severity]},
		})
	}
	return startSARIF(w, rules)
}

// startSARIF begins a log whose results are of these rules.
func startSARIF(w *bufio.Writer, rules []sarifRule) *sarifFindings {
	s := &sarifFindings{jsonItems{w: w}, make(map[string]int)}
	for i, r := range rules {
		s.ids[r.ID] = i
	}
	driver := sarifDriver{Name: "seeother", Version: version(), URI: repository, Rules: rules}
	tool, err := json.Marshal(map[string]sarifDriver{"driver": driver})
	s.err = err
	_, _ = fmt.Fprintf(w, "{\n\"$schema\": %q,\n\"version\": \"2.1.0\",\n\"runs\": [{\"tool\": %s,\n\"columnKind\": \"unicodeCodePoints\",\n\"results\": [", sarifSchema, tool)
	return s
}

// explainedBy names the card of a finding, as the end of a text.
func explainedBy(id string) string {
	card, ok := guide.For(id)
	if !ok {
		return ""
	}
	return ". Explained by: seeother explain " + card
}

func (s *sarifFindings) add(f rule.Finding) {
	out := sarifResult{RuleID: f.ID, Level: sarifLevels[f.Severity], Message: sarifText{f.Message}}
	if i, ok := s.ids[f.ID]; ok {
		out.RuleIndex = &i
	}
	if f.Mend != "" {
		out.Message.Text += ". Mend: " + f.Mend
	}
	if f.File != "" {
		out.Locations = []sarifLocation{{sarifPlace(f)}}
	}
	s.item(out)
}

func sarifPlace(f rule.Finding) sarifPhysical {
	at := sarifPhysical{Artifact: sarifArtifact{sarifURI(f.File)}}
	if f.Line > 0 {
		at.Region = &sarifRegion{f.Line, f.Column}
	}
	return at
}

func (s *sarifFindings) end(*summary) error {
	_, _ = s.w.WriteString("\n]}]}\n")
	return cmp.Or(s.err, s.w.Flush())
}

// sarifURI is a file name as a URI reference, relative where the name is.
func sarifURI(file string) string {
	u := url.URL{Path: filepath.ToSlash(file)}
	if filepath.IsAbs(file) {
		u.Scheme = "file"
	}
	return u.String()
}
