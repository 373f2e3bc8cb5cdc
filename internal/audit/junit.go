package audit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes r as JUnit XML, which CI servers read: one test for each
// kind of check, and one for each finding. Warnings are failures where strict.
func (r *Report) WriteJUnit(w io.Writer, strict bool) error {
	suite := junitSuite{Name: "seeother audit " + Clean(r.Summary.URL)}
	for _, c := range checks {
		if r.Summary.ByID[c.ID] == 0 {
			suite.Cases = append(suite.Cases, junitCase{Class: c.ID, Name: c.Title})
		}
	}
	for _, f := range r.Findings {
		text := f.text()
		c := junitCase{Class: f.ID, Name: Clean(f.Message)}
		if f.Severity == Error || strict && f.Severity == Warning {
			suite.Failures++
			c.Failure = &junitFailure{Message: Clean(f.Message), Type: string(f.Severity), Text: text}
		} else {
			c.Out = text
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(junitSuites{Suites: []junitSuite{suite}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// text is a finding in lines.
func (f *Finding) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", f.Severity, Clean(f.Message))
	if f.SeenAt != "" {
		fmt.Fprintf(&b, "seen at %s\n", Clean(f.SeenAt))
	}
	if f.Count > 1 {
		fmt.Fprintf(&b, "%d places have this cause\n", f.Count)
	}
	for _, e := range f.Evidence {
		fmt.Fprintf(&b, "  %s\n", e)
	}
	fmt.Fprintf(&b, "mend: %s\n", Clean(f.Mend))
	if f.Card != "" {
		fmt.Fprintf(&b, "more: seeother explain %s\n", Clean(f.Card))
	}
	return b.String()
}

// String is "GET /old 301 -> /new", without anything that moves a terminal.
func (e Exchange) String() string {
	text := e.Method + " " + e.URL
	for _, name := range []string{"Host", "X-Forwarded-Host"} {
		if value, ok := e.Sent[name]; ok {
			text = fmt.Sprintf("%s (%s: %s)", text, name, value)
		}
	}
	if e.Status != 0 {
		text += fmt.Sprintf("  %d", e.Status)
	}
	if e.Location != "" {
		text += " -> " + e.Location
	}
	if e.Problem != "" {
		text += "  " + e.Problem
	}
	return Clean(text)
}
