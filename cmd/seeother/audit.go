package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/audit"
	"github.com/seeother/seeother/internal/guide"
)

// auditFlags are the flags of "seeother audit".
type auditFlags struct {
	opts     audit.Options
	headers  []string
	submit   string
	baseline string
	ignore   []string
	strict   bool
	format   string
	outputs  []string
	html     string
}

func newAudit() *cobra.Command {
	var f auditFlags
	verb := &cobra.Command{
		Use:   "audit [flags] URL",
		Short: "Walk a site, and say what is wrong with its redirects and forms",
		Long: `Walk a site from URL, breadth first, and say what is wrong with its redirects and
forms, with the exchange that shows it. docs/audit.md has each id.

It sends GET and HEAD, obeys robots.txt, and stays on the origin of URL; redirects
to other sites are followed, and no further. All links are followed: where one
does something, such as /logout, leave it out with --exclude. Forms are looked
at. They are submitted only where a rule of --submit names their action. --probe
tries open redirects: use it on hosts of your own. A host is a name or an address:
example.com at any port, example.com:8080 at that one.

With --state, Ctrl-C keeps what was done, and the same command goes on.

Exit codes: 0 nothing of level error was found, 1 something was (with --strict,
also for warnings), 2 the site gives no answer, the audit was ended before its
end, or the command line is wrong.`,
		Example: `  seeother audit https://www.example.com/
  seeother audit --max 100000 --rate 50 --state audit.state https://www.example.com/
  seeother audit --submit forms.yaml --probe shop.test http://shop.test/
  seeother audit --baseline old.json --output json=new.json --html report.html https://www.example.com/`,
		Args: exactly(1, "one URL"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(verb)
	return verb
}

func (f *auditFlags) add(verb *cobra.Command) {
	flags := verb.Flags()
	flags.StringSliceVar(&f.opts.Scope, "scope", nil, "walk what begins with this `prefix`, such as https://example.com/shop/; repeatable (default: the origin of URL)")
	flags.IntVar(&f.opts.Max, "max", audit.DefaultMax, "ask for at most so many pages")
	flags.IntVar(&f.opts.PerDirectory, "per-directory", audit.DefaultPerDirectory, "ask for at most so many pages of one directory, numbers in its name aside; -1: no limit")
	flags.IntVar(&f.opts.PerQuery, "per-query", audit.DefaultPerQuery, "ask for at most so many queries of one path; -1: no limit")
	flags.Float64Var(&f.opts.Rate, "rate", audit.DefaultRate, "send at most so many requests in a second; -1: no limit")
	flags.IntVar(&f.opts.Concurrency, "concurrency", audit.DefaultConcurrency, "wait for so many answers at once")
	flags.DurationVar(&f.opts.Timeout, "timeout", audit.DefaultTimeout, "give one answer so long, its body included")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "send this `NAME: VALUE` to the origin of URL; repeatable")
	flags.StringSliceVar(&f.opts.IgnoreRobots, "ignore-robots", nil, "do not obey the robots.txt of this `host`, which is yours; repeatable")
	flags.StringArrayVar(&f.opts.Exclude, "exclude", nil, "send nothing to paths that begin like this `pattern`, * is anything, such as /logout or '*action=delete'; repeatable")
	flags.StringSliceVar(&f.opts.Probe, "probe", nil, "try open redirects on this `host`, which is yours; repeatable")
	flags.BoolVar(&f.opts.AllowPrivate, "allow-private", false, "follow redirects to private addresses")
	flags.StringVar(&f.submit, "submit", "", "submit the forms that the rules of this `file` (YAML or JSON) name")
	flags.StringVar(&f.opts.State, "state", "", "keep in this `file` how far the audit is, and go on from there")
	flags.StringVar(&f.baseline, "baseline", "", "leave out what this `file`, an earlier report as json, has")
	flags.StringSliceVar(&f.ignore, "ignore", nil, "leave findings of this `id` out; repeatable")
	flags.BoolVar(&f.strict, "strict", false, "let warnings count for the exit code, too")
	flags.StringVar(&f.format, "format", formatText, "`format` of the report: text, json, sarif (2.1.0), junit or html")
	flags.StringArrayVar(&f.outputs, "output", nil, "write a report to a file as well, `FORMAT=FILE`; repeatable")
	flags.StringVar(&f.html, "html", "", "the same as --output html=`FILE`")
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(auditFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = verb.RegisterFlagCompletionFunc("ignore", cobra.FixedCompletions(auditIDs(), cobra.ShellCompDirectiveNoFileComp))
}

func auditIDs() []cobra.Completion {
	var out []cobra.Completion
	for _, c := range audit.Checks() {
		out = append(out, cobra.CompletionWithDesc(c.ID, c.Title))
	}
	return out
}

func (f *auditFlags) run(cmd *cobra.Command, site string) error {
	outputs, err := f.check(site)
	if err != nil {
		return err
	}
	known, err := f.files()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	bar := newProgress(cmd.ErrOrStderr())
	f.opts.Progress = bar.walked
	report, err := audit.Run(ctx, f.opts)
	bar.end()
	if err != nil {
		return f.failed(err)
	}
	report.Only(f.ignore, known)
	for i := range report.Findings {
		report.Findings[i].Card, _ = guide.For(report.Findings[i].ID)
	}
	if err := f.write(cmd.OutOrStdout(), report, outputs); err != nil {
		return err
	}
	switch s := report.Summary; {
	case !s.Complete:
		return &exitError{&hinted{errors.New("the audit was ended before its end"), f.goOn()}, exitUsage}
	case s.Errors > 0 || f.strict && s.Warnings > 0:
		return errFound
	}
	return nil
}

// goOn says how an audit that was ended goes on.
func (f *auditFlags) goOn() string {
	if f.opts.State == "" {
		return "with --state FILE, the same command would go on from here"
	}
	return fmt.Sprintf("%s has the rest: the same command goes on from there", f.opts.State)
}

// failed says what to do about an audit that could not be.
func (f *auditFlags) failed(err error) error {
	hint := ""
	switch {
	case errors.Is(err, audit.ErrKeptOut):
		hint = fmt.Sprintf("if the site is yours: --ignore-robots %s", f.opts.Start.Host)
	case errors.Is(err, audit.ErrUnreachable):
		hint = "see whether the address is right and the site is up"
	case errors.Is(err, audit.ErrState):
		hint = "take another file, or remove this one to begin again"
	}
	return &exitError{&hinted{err, hint}, exitUsage}
}

// check reads the command line.
func (f *auditFlags) check(site string) ([]auditOutput, error) {
	start, err := url.Parse(site)
	if err != nil {
		return nil, &usageError{err, "want a URL, such as https://www.example.com/"}
	}
	f.opts.Start = start
	if f.opts.Max == 0 || f.opts.Concurrency == 0 || f.opts.Rate == 0 || f.opts.Timeout == 0 || f.opts.PerDirectory == 0 || f.opts.PerQuery == 0 {
		return nil, &usageError{errors.New("--max, --concurrency, --rate, --timeout, --per-directory, --per-query: 0 would do nothing"), "see seeother audit --help"}
	}
	for _, id := range f.ignore {
		if !slices.ContainsFunc(audit.Checks(), func(c audit.Check) bool { return c.ID == id }) {
			return nil, &usageError{fmt.Errorf("--ignore %q: there is no such id", id), "docs/audit.md has them all"}
		}
	}
	f.opts.Header = make(http.Header)
	for _, line := range f.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" || strings.ContainsAny(line, "\r\n") {
			return nil, &usageError{fmt.Errorf("--header %q: want NAME: VALUE", line), "such as --header 'Cookie: session=...'"}
		}
		f.opts.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if err := f.opts.Validate(); err != nil {
		return nil, &usageError{err, "see seeother audit --help"}
	}
	return f.wanted()
}

// files reads the rules for forms and the baseline.
func (f *auditFlags) files() (audit.Baseline, error) {
	if f.submit != "" {
		data, err := os.ReadFile(f.submit)
		if err == nil {
			f.opts.Submit, err = audit.ParseSubmit(data)
		}
		if err != nil {
			return nil, &usageError{fmt.Errorf("--submit %s: %w", f.submit, err), "docs/audit.md shows such a file"}
		}
	}
	if f.baseline == "" {
		return nil, nil
	}
	file, err := os.Open(f.baseline)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--baseline: %w", err), "write one with --output json=FILE"}
	}
	defer func() { _ = file.Close() }()
	known, err := audit.ReadBaseline(file)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--baseline %s: %w", f.baseline, err), "write one with --output json=FILE"}
	}
	return known, nil
}

// walked shows how far an audit is, ten times a second.
func (p *progress) walked(done, waiting, findings int) {
	const width = 30
	if p == nil || time.Since(p.shown) < time.Second/10 {
		return
	}
	p.shown = time.Now()
	full := width * done / max(done+waiting, 1)
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %s of %s, %s", strings.Repeat("#", full), strings.Repeat(" ", width-full),
		grouped(done), grouped(done+waiting), counted(findings, "finding")) // nobody reads it, if anything
}
