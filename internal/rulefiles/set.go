package rulefiles

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother/rule"
)

// MaxYAML is the largest YAML file of rules that is read, in bytes. Larger sets
// are JSON Lines or CSV, which are read line by line.
const MaxYAML = 16 << 20

// Config says which rules a set has.
type Config struct {
	Inline  []rule.Source // rules that are in no file of their own; they come first
	Names   []string      // files, and patterns of them
	Options rule.Options
	// YAML reads a YAML file of rules. What is wrong with it is said in
	// findings.
	YAML func(file string, data []byte) (rule.Source, []rule.Finding)
}

// Set is a table and where it is from.
type Set struct {
	Table    *rule.Table
	Files    []rule.File
	Findings []rule.Finding // none of severity error
	Loaded   time.Time
	Took     time.Duration
}

// RefusedError says why rules cannot go live.
type RefusedError struct{ Findings []rule.Finding }

// Error is the first reason, and how many there are.
func (e *RefusedError) Error() string {
	worst := e.Worst()
	if len(worst) == 1 {
		return worst[0].String()
	}
	return fmt.Sprintf("%s (and %d more)", worst[0], len(worst)-1)
}

// Worst are the findings of severity error, at least one.
func (e *RefusedError) Worst() []rule.Finding {
	return slices.DeleteFunc(slices.Clone(e.Findings), func(f rule.Finding) bool { return f.Severity != rule.Error })
}

func hasErrors(findings []rule.Finding) bool {
	return slices.ContainsFunc(findings, func(f rule.Finding) bool { return f.Severity == rule.Error })
}

// Read reads all files of a set, and checks their rules together for what must
// not go live: loops, and targets that are refused. The error is a
// *RefusedError.
func Read(cfg Config) (*Set, error) {
	begin := time.Now()
	sources, findings := cfg.sources()
	table, more, err := rule.Load(sources, cfg.Options)
	findings = append(findings, more...)
	if err != nil {
		findings = append(findings, failed("invalid", "canonical", err.Error()))
	}
	if hasErrors(findings) {
		return nil, &RefusedError{findings}
	}
	table.Check(rule.CheckOptions{Quick: true, Gentle: cfg.Options.Gentle}, func(f rule.Finding) { findings = append(findings, f) })
	if hasErrors(findings) {
		return nil, &RefusedError{findings}
	}
	return &Set{Table: table, Files: table.Files(), Findings: findings, Loaded: time.Now(), Took: time.Since(begin)}, nil
}

// sources are the inline rules and one source for each file.
func (c *Config) sources() ([]rule.Source, []rule.Finding) {
	files, findings := find(c.Names)
	out := slices.Clone(c.Inline)
	for _, file := range files {
		if format, _ := rule.FormatOf(file); format != rule.FormatYAML {
			out = append(out, rule.Source{File: file})
			continue
		}
		source, wrong := c.yaml(file)
		if findings = append(findings, wrong...); !hasErrors(wrong) {
			out = append(out, source)
		}
	}
	return out, findings
}

func (c *Config) yaml(file string) (rule.Source, []rule.Finding) {
	data, wrong := readWhole(file)
	if wrong != nil {
		return rule.Source{}, []rule.Finding{*wrong}
	}
	if IsEmpty(data) {
		return rule.Source{}, []rule.Finding{Empty(file)}
	}
	return c.YAML(file, data)
}

// IsEmpty reports whether a YAML file holds no list of rules: nothing, comments,
// or keys whose values were cut off. Where no rules are meant, "rules: []" says so.
func IsEmpty(data []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		text, _, _ := strings.Cut(string(line), "#")
		key, value, _ := strings.Cut(strings.TrimSpace(text), ":")
		switch value = strings.TrimSpace(value); {
		case key == "rules_mode", key == "rules" && (value == "" || value == "~" || value == "null"):
		case key != "" && key != "---" && key != "...":
			return false
		}
	}
	return true
}

// Empty is the finding about a file without rules.
func Empty(file string) rule.Finding {
	f := failed("empty-file", file, "there is no rule in this file")
	f.Mend = "take the file out, or see whether it was cut off"
	return f
}

// Rules is how many rules were written: those that canonical makes are not
// counted.
func (s *Set) Rules() int { return s.Table.Len() - s.Canonical() }

// Canonical is how many rules canonical makes.
func (s *Set) Canonical() int {
	for _, f := range s.Files {
		if f.Name == rule.CanonicalFile {
			return f.Rules
		}
	}
	return 0
}

// readWhole opens nothing that could block or never end.
func readWhole(file string) ([]byte, *rule.Finding) {
	fail := func(id, format string, args ...any) ([]byte, *rule.Finding) {
		f := failed(id, file, fmt.Sprintf(format, args...))
		return nil, &f
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return fail("unreadable", "the file cannot be read: %v", reason(err))
	case !info.Mode().IsRegular():
		return fail("not-a-file", "this is not a file")
	}
	f, err := os.Open(file) //nolint:gosec // the operator names it
	if err != nil {
		return fail("unreadable", "the file cannot be read: %v", reason(err))
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, MaxYAML+1))
	switch {
	case err != nil:
		return fail("unreadable", "the file cannot be read: %v", reason(err))
	case len(data) > MaxYAML:
		return fail("too-large", "it is larger than %d bytes: write such a set as JSON Lines or CSV", MaxYAML)
	}
	return data, nil
}
