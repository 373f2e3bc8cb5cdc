package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/rulefiles"
	"github.com/seeother/seeother/rule"
)

// ruleFlags name the rules that a verb looks at without a gateway.
type ruleFlags struct {
	files   []string
	config  string
	origins []string
}

func (f *ruleFlags) add(verb *cobra.Command) {
	flags := verb.Flags()
	flags.StringArrayVar(&f.files, "rules", nil, "`file` of redirect rules, or a pattern; repeatable, and the same as FILE")
	flags.StringVar(&f.config, "config", "", "configuration `file`, whose rules, rule_files and canonical count")
	flags.StringArrayVar(&f.origins, "origin", nil, "`origin` of this site, such as https://www.example.com, so that targets there are followed; repeatable")
	verb.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return ruleExtensions, cobra.ShellCompDirectiveFilterFileExt
	}
	for _, flag := range []string{"rules", "config"} {
		_ = verb.MarkFlagFilename(flag, ruleExtensions...)
	}
}

var ruleExtensions = []string{"redirects", "csv", "tsv", "jsonl", "ndjson", "yaml", "yml", "_redirects"}

// ruleSet is rules that were read.
type ruleSet struct {
	table    *rule.Table
	findings []rule.Finding // of reading
	files    []string
	origins  []string

	canonical string // the configuration's own origin
}

// unreadable are the ids of findings about files that could not be read at all.
var unreadable = []string{"no-files", "not-a-file", "unreadable", "unknown-format", "too-large", "too-many-files", "too-many-rules"}

// cannotRead reports whether the rules are not all there.
func (s *ruleSet) cannotRead() bool {
	return slices.ContainsFunc(s.findings, func(f rule.Finding) bool { return slices.Contains(unreadable, f.ID) })
}

// read reads the flags' files and args. What is wrong with them is in the
// findings.
func (f *ruleFlags) read(args []string) (*ruleSet, error) {
	names := slices.Concat(f.files, args)
	if len(names) == 0 && f.config == "" {
		return nil, &usageError{errNoRules, "for example: seeother check _redirects"}
	}
	for _, origin := range f.origins {
		if _, err := seeother.ParseOrigin(origin); err != nil {
			return nil, &usageError{err, "for example: --origin https://www.example.com"}
		}
	}
	r := &ruleReader{set: &ruleSet{origins: f.origins}}
	if f.config != "" {
		r.configuration(filepath.Clean(f.config))
	}
	r.files(names)
	var err error
	var more []rule.Finding
	r.set.table, more, err = rule.Load(r.sources, r.opts)
	r.set.findings = append(r.set.findings, more...)
	return r.set, err
}

// ruleReader collects sources.
type ruleReader struct {
	set     *ruleSet
	sources []rule.Source
	opts    rule.Options
}

func (r *ruleReader) files(names []string) {
	found, findings := rulefiles.Find(names)
	r.set.findings = append(r.set.findings, findings...)
	for _, file := range found {
		if slices.Contains(r.set.files, file) {
			continue // it is named twice
		}
		switch format, _ := rule.FormatOf(file); {
		case format != rule.FormatYAML:
			r.source(rule.Source{File: file, Format: format})
		case isEmpty(file):
			r.set.files = append(r.set.files, file)
			r.set.findings = append(r.set.findings, rulefiles.Empty(file))
		case isLarge(file):
			r.yaml(file)
		default:
			r.configuration(file)
		}
	}
}

func (r *ruleReader) source(s rule.Source) {
	r.sources = append(r.sources, s)
	r.set.files = append(r.set.files, s.File)
}

// isLarge reports whether a file is too large for a configuration, and can only
// be a file of rules.
func isLarge(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Size() > configfile.MaxBytes
}

// isEmpty reports whether a small YAML file has no rules and nothing else.
func isEmpty(file string) bool {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > configfile.MaxBytes {
		return false
	}
	data, err := os.ReadFile(file) //nolint:gosec // the operator names it
	return err == nil && rulefiles.IsEmpty(data)
}

// yaml reads a file of nothing but rules.
func (r *ruleReader) yaml(file string) {
	data, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		r.source(rule.Source{File: file, Format: rule.FormatYAML}) // Load says what is wrong
		return
	}
	source, wrong := readYAML(file, data)
	r.set.findings = append(r.set.findings, wrong...)
	if len(wrong) == 0 {
		r.source(source)
	}
}

// configuration reads a configuration, or a small file of rules, whose keys are
// some of a configuration's.
func (r *ruleReader) configuration(name string) {
	file, err := configfile.Load(name)
	if err != nil {
		r.wrong(name, err)
		return
	}
	cfg := ruleConfig(file, name)
	if cfg.Options.Canonical.Origin != "" {
		r.opts, r.set.canonical = cfg.Options, cfg.Options.Canonical.Origin
	}
	r.set.files = append(r.set.files, name)
	r.sources = append(r.sources, cfg.Inline...)
	r.files(inFolder(name, cfg.Names))
}

// wrong turns the errors of a configuration into findings.
func (r *ruleReader) wrong(name string, err error) {
	r.set.files = append(r.set.files, name)
	if wrong, ok := errors.AsType[configfile.Errors](err); ok {
		for _, e := range wrong {
			r.set.findings = append(r.set.findings, rule.Finding{
				ID: rule.CheckInvalid, Severity: rule.Error, File: e.File, Line: e.Line, Column: e.Column, Message: e.Reason, Mend: e.Hint,
			})
		}
		return
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // the file is named already
	}
	r.set.findings = append(r.set.findings, rule.Finding{
		ID: "unreadable", Severity: rule.Error, File: name, Message: fmt.Sprintf("the file cannot be read: %v", err),
	})
}

// rules is how many rules were written.
func (s *ruleSet) rules() int {
	n := 0
	for _, file := range s.table.Files() {
		if file.Name != rule.CanonicalFile {
			n += file.Rules
		}
	}
	return n
}

var errNoRules = errors.New("no file of rules is named")
