package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/rule"
)

// checkFlags are the flags of "seeother check".
type checkFlags struct {
	files  ruleFlags
	format string
	ignore []string
	strict bool
	fix    bool
	most   int
}

func newCheck() *cobra.Command {
	var f checkFlags
	verb := &cobra.Command{
		Use:   "check [flags] FILE...",
		Short: "Say what is wrong with redirect rules before they go live",
		Long: `Say what is wrong with redirect rules before they go live: loops, chains, rules
that never get a request, lost methods and queries, and more. docs/checks.md has
each id with an example.

A FILE is known by its name: _redirects or *.redirects (Netlify's meaning, in file
order), .csv, .jsonl or .ndjson, and .yaml or .yml, which is a file of rules or a
whole configuration, whose rules, rule_files and canonical count. All files
together are one table, as for "seeother run --rules".

With --fix, mends that are safe are written into the files, and the rest is
checked again: the first rule of a chain gets the last target, where every client
arrives there all the same, and a rule goes that repeats another or has ended.

Exit codes: 0 nothing of level error was found, 1 something was (with --strict,
also for warnings), 2 a file cannot be read or the command line is wrong.`,
		Example: `  seeother check _redirects
  seeother check seeother.yaml
  seeother check --origin https://www.example.com rules.csv extra.jsonl
  seeother check --fix _redirects
  seeother check --format sarif rules.jsonl > rules.sarif`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.files.add(verb)
	flags := verb.Flags()
	flags.StringVar(&f.format, "format", formatText, "`format` of what is found: text, json (one object) or sarif (2.1.0)")
	flags.StringSliceVar(&f.ignore, "ignore", nil, "leave findings of this `id` out; repeatable")
	flags.BoolVar(&f.strict, "strict", false, "let warnings count for the exit code, too")
	flags.BoolVar(&f.fix, "fix", false, "write the mends that are safe into the files, and check again")
	flags.IntVar(&f.most, "max", 20, "show at most so many findings of each id as text; 0: all")
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatText, formatJSON, formatSARIF}, cobra.ShellCompDirectiveNoFileComp))
	_ = verb.RegisterFlagCompletionFunc("ignore", cobra.FixedCompletions(checkIDs(), cobra.ShellCompDirectiveNoFileComp))
	return verb
}

// checkIDs are the ids of findings, with what they say, for completion.
func checkIDs() []cobra.Completion {
	checks := rule.Checks()
	out := make([]cobra.Completion, len(checks))
	for i, c := range checks {
		out[i] = cobra.CompletionWithDesc(c.ID, c.Title)
	}
	return out
}

func (f *checkFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	set, err := f.files.read(args)
	if err != nil {
		return err
	}
	if f.fix {
		if set, err = f.mend(cmd, set, args); err != nil {
			return err
		}
	}
	sum, err := f.write(cmd, set)
	if err != nil {
		return err
	}
	if set.cannotRead() {
		return &exitError{errSilent, exitUsage}
	}
	if sum.Errors > 0 || f.strict && sum.Warnings > 0 {
		return errFound
	}
	return nil
}

// errFound ends the program with 1 and says no more: the findings did.
var errFound = &exitError{errSilent, exitFailed}

func (f *checkFlags) check() error {
	if !slices.Contains([]string{formatText, formatJSON, formatSARIF}, f.format) {
		return &usageError{fmt.Errorf("--format %q: want text, json or sarif", f.format), "see seeother check --help"}
	}
	if f.most < 0 {
		return &usageError{fmt.Errorf("--max %d: want 0 or more", f.most), "0 shows all"}
	}
	known := rule.Checks()
	for _, id := range f.ignore {
		if !slices.ContainsFunc(known, func(c rule.Check) bool { return c.ID == id }) {
			return &usageError{fmt.Errorf("--ignore %q: there is no such id", id), "docs/checks.md has them all"}
		}
	}
	return nil
}

// write checks the rules and writes what is found.
func (f *checkFlags) write(cmd *cobra.Command, set *ruleSet) (*summary, error) {
	sum := &summary{Rules: set.rules(), Files: len(set.files)}
	out := newFindingWriter(cmd.OutOrStdout(), f.format, f.most)
	var columns columns
	f.each(cmd, set, func(found rule.Finding) {
		if slices.Contains(f.ignore, found.ID) {
			sum.Ignored++
			return
		}
		sum.count(found)
		found = columns.fill(found)
		if f.format == formatSARIF {
			found.Column = columns.points(found)
		}
		out.add(found)
	})
	return sum, out.end(sum)
}

// each tells what reading found, and then what the checks find.
func (f *checkFlags) each(cmd *cobra.Command, set *ruleSet, found func(rule.Finding)) {
	for _, finding := range set.findings {
		found(finding)
	}
	if set.table == nil {
		return
	}
	progress := newProgress(cmd.ErrOrStderr())
	set.table.Check(rule.CheckOptions{Origins: set.origins, Progress: progress.show}, found)
	progress.end()
}

// progress tells somebody at a terminal how far a long work is.
type progress struct {
	w     io.Writer
	since time.Time
	shown time.Time
}

// newProgress is nil where nobody looks.
func newProgress(w io.Writer) *progress {
	if f, ok := w.(*os.File); !ok || !isTerminal(f) {
		return nil
	}
	return &progress{w: w, since: time.Now()}
}

// show writes after a second, and then ten times a second.
func (p *progress) show(done, total int) {
	if p == nil || time.Since(p.since) < time.Second || time.Since(p.shown) < time.Second/10 {
		return
	}
	p.shown = time.Now()
	_, _ = fmt.Fprintf(p.w, "\r\x1b[Kchecking: %s of %s", grouped(done), grouped(total)) // nobody reads it, if anything
}

func (p *progress) end() {
	if p != nil && !p.shown.IsZero() {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K") // as above
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
