package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/rule/importer"
)

// exportFlags are the flags of "seeother export".
type exportFlags struct {
	transfer

	files ruleFlags
}

var exportFormats = []string{"redirects", "csv", "jsonl"}

func newExport() *cobra.Command {
	var f exportFlags
	verb := &cobra.Command{
		Use:   "export FORMAT RULES...",
		Short: "Write redirect rules as _redirects, CSV or JSON Lines",
		Long: `Write redirect rules as _redirects (Netlify's meaning, in file order), CSV or JSON
Lines. RULES are files as for "seeother check".

Every rule that the format cannot say is listed on standard error, with the reason.
Where there are such rules, nothing is written and the exit code is 1, unless you
say --allow-dropped. JSON Lines can say everything.

Rules that are tried by how specific they are come out in that order, so that
_redirects answers the same. CSV has no order: rules of a file that is tried in
its order are listed where the order matters.`,
		Example: `  seeother export redirects rules.jsonl -o _redirects
  seeother export csv rules.jsonl --allow-dropped > rules.csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly(2, "a FORMAT and files of rules")(cmd, args)
			}
			if !slices.Contains(exportFormats, args[0]) {
				return &usageError{fmt.Errorf("format %q: want one of %s", args[0], strings.Join(exportFormats, ", ")), "see seeother export --help"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.files.add(verb)
	f.add(verb, "")
	files := verb.ValidArgsFunction
	verb.ValidArgsFunction = func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return exportFormats, cobra.ShellCompDirectiveNoFileComp
		}
		return files(cmd, args, word)
	}
	return verb
}

func (f *exportFlags) run(cmd *cobra.Command, args []string) error {
	f.fallback, f.toName = args[0], args[0]
	if err := f.check(); err != nil {
		return err
	}
	set, err := f.files.read(args[1:])
	if err != nil {
		return err
	}
	if wrong := firstError(set.findings); wrong != nil {
		return &exitError{&hinted{fmt.Errorf("%s: %s", rule.Position{File: wrong.File, Line: wrong.Line, Column: wrong.Column}, wrong.Message), "see all with seeother check"}, exitUsage}
	}
	report := &transferReport{file: "rules", out: f.target(), buf: &bytes.Buffer{}}
	rules, mode := set.written()
	sink := newRuleSink(report, f.to, mode)
	if err := f.writeOrdered(sink, rules, mode); err != nil {
		return err
	}
	if err := sink.close(); err != nil {
		return err
	}
	return f.finish(cmd, report)
}

func firstError(findings []rule.Finding) *rule.Finding {
	for i := range findings {
		if findings[i].Severity == rule.Error {
			return &findings[i]
		}
	}
	return nil
}

// written are the rules without those that a canonical origin stands for, and
// how they are tried: file order where any of them is.
func (s *ruleSet) written() ([]rule.Rule, rule.Mode) {
	mode := rule.Specific
	for _, file := range s.table.Files() {
		if file.Name != rule.CanonicalFile && file.Mode == rule.FileOrder {
			mode = rule.FileOrder
		}
	}
	order := s.table.Ranked()
	if mode == rule.Specific {
		slices.Sort(order) // as they were written
	}
	rules := make([]rule.Rule, 0, len(order))
	for _, i := range order {
		if r := s.table.Rule(i); r.Pos.File != rule.CanonicalFile {
			rules = append(rules, r)
		}
	}
	return rules, mode
}

// inOrder are rules that were tried by how specific they are, in that order.
func inOrder(rules []rule.Rule) ([]rule.Rule, error) {
	table, err := tableOf(rules)
	if err != nil {
		return nil, err
	}
	out := make([]rule.Rule, 0, len(rules))
	for _, i := range table.Ranked() {
		out = append(out, rules[i])
	}
	return out, nil
}

// writeOrdered writes rules in a format that is tried in its own order.
func (f *transfer) writeOrdered(sink *ruleSink, rules []rule.Rule, mode rule.Mode) error {
	sink.w.AnySlash = f.anySlash
	switch f.to {
	case rule.FormatRedirects:
		rules = onePerHost(rules)
		if mode == rule.Specific {
			var err error
			if rules, err = inOrder(rules); err != nil {
				return err
			}
		}
	case rule.FormatCSV:
		sink.w.Columns = usedColumns(rules)
		if mode == rule.FileOrder {
			if err := noteOrder(sink.report, rules); err != nil {
				return err
			}
		}
	default: // JSON Lines say how they are tried
	}
	for i := range rules {
		if err := sink.write(&rules[i]); err != nil {
			return err
		}
	}
	return nil
}

func tableOf(rules []rule.Rule) (*rule.Table, error) {
	b := rule.NewBuilder(rule.Options{})
	b.Begin("rules", rule.Specific)
	for i := range rules {
		if err := b.Add(&rules[i]); err != nil {
			return nil, err
		}
	}
	return b.Build(), nil
}

// onePerHost makes one rule for each host: a line of _redirects has one.
func onePerHost(rules []rule.Rule) []rule.Rule {
	out := make([]rule.Rule, 0, len(rules))
	for _, r := range rules {
		if len(r.Hosts) < 2 {
			out = append(out, r)
			continue
		}
		for _, host := range r.Hosts {
			r.Hosts = []string{host}
			out = append(out, r)
		}
	}
	return out
}

// usedColumns are the columns of CSV that some rule needs.
func usedColumns(rules []rule.Rule) []string {
	used := map[string]bool{"path": true, "target": true, "status": true}
	for i := range rules {
		var fields map[string]json.RawMessage
		text, err := json.Marshal(&rules[i])
		if err != nil || json.Unmarshal(text, &fields) != nil {
			return nil // all of them
		}
		for name := range fields {
			used[name] = name != "when" // of which there is no column
		}
	}
	var out []string
	for _, name := range []string{"path", "target", "status"} {
		out = append(out, name)
		delete(used, name)
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if used[name] {
			out = append(out, name)
		}
	}
	return out
}

// noteOrder says for which rules it matters that the file was tried in its
// order: a less specific one stands before it, and may be for the same request.
func noteOrder(report *transferReport, rules []rule.Rule) error {
	table, err := tableOf(rules)
	if err != nil {
		return err
	}
	before := &overlaps{above: map[string]int{}, patterns: -1}
	place := make([]int, len(rules))
	for at, i := range table.Ranked() {
		place[i] = at
	}
	for i := range rules {
		if other := before.worse(&rules[i], i, place); other >= 0 {
			report.note(&rules[i], importer.Changed, fmt.Sprintf("in the file, %s goes before it; in CSV the more specific one does", ruleText(&rules[other])), i+1)
		}
		before.add(&rules[i], i)
	}
	return nil
}

// overlaps finds a rule before another that may be for the same request. It may
// find one where there is none, not the other way round.
type overlaps struct {
	above    map[string]int // prefixes, without their star, to the first rule
	patterns int            // the first with a placeholder or expression; -1: none
}

func (o *overlaps) add(r *rule.Rule, i int) {
	head, below := strings.CutSuffix(r.Path, "/*")
	switch {
	case r.Regexp != "" || strings.ContainsAny(head, "{*"):
		if o.patterns < 0 {
			o.patterns = i
		}
	case below || r.Path == "":
		if _, there := o.above[strings.ToLower(head)]; !there {
			o.above[strings.ToLower(head)] = i
		}
	}
}

// worse is a rule before r that CSV tries after it, or -1.
func (o *overlaps) worse(r *rule.Rule, i int, place []int) int {
	if o.patterns >= 0 && place[o.patterns] > place[i] {
		return o.patterns
	}
	for path := strings.ToLower(strings.TrimSuffix(r.Path, "/*")); ; path = path[:strings.LastIndexByte(path, '/')] {
		if other, there := o.above[path]; there && place[other] > place[i] {
			return other
		}
		if !strings.Contains(path, "/") {
			return -1
		}
	}
}
