package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/gateway"
	"github.com/seeother/seeother/internal/hits"
	"github.com/seeother/seeother/internal/rulefiles"
	"github.com/seeother/seeother/rule"
)

// rulesPolicy is all redirect rules together, as operators see them.
const rulesPolicy = "rules"

// rulebook keeps the redirect rules of a gateway as their files say.
type rulebook struct {
	log     *slog.Logger
	gateway *gateway.Gateway
	metrics *admin.Metrics
	hits    *hits.Recorder
	held    int64 // bytes that bodies and answers may take
	watcher rulefiles.Watcher

	unsettled atomic.Int32 // readings whose garbage is not collected yet

	reading sync.Mutex // held over a whole reading; taken before mu

	mu         sync.Mutex // guards what follows
	set        *rulefiles.Set
	generation int // of set
	refused    error
	refusedAt  time.Time
	usage      *hits.Report // for a listing that goes on, of this generation
	forget     *time.Timer  // lets go of usage
}

func newRulebook(log *slog.Logger, g *gateway.Gateway, metrics *admin.Metrics, counts *hits.Recorder, held int64) *rulebook {
	return &rulebook{log: log, gateway: g, metrics: metrics, hits: counts, held: held, set: noRules()}
}

// noRules is the set of a gateway without rules.
func noRules() *rulefiles.Set {
	return &rulefiles.Set{Table: rule.NewBuilder(rule.Options{}).Build()}
}

// hasRules reports whether a configuration has anything to do with rules.
func hasRules(file configfile.File) bool {
	return len(file.Rules) > 0 || len(file.RuleFiles) > 0 || file.Canonical.Origin != "" || file.Canonical.HSTS.MaxAge != 0
}

// ruleConfig is which rules a configuration names.
func ruleConfig(file configfile.File, name string) rulefiles.Config {
	cfg := rulefiles.Config{Names: file.RuleFiles, Options: rule.Options{Canonical: file.Canonical.Model()}, YAML: readYAML}
	if len(file.Rules) > 0 {
		cfg.Inline = []rule.Source{{File: name, Mode: configfile.ModeOf(file.RulesMode), Rules: file.InlineRules()}}
	}
	return cfg
}

// readYAML reads a YAML file of rules.
func readYAML(file string, data []byte) (rule.Source, []rule.Finding) {
	rules, mode, err := configfile.ReadRules(file, data)
	if err == nil {
		return rule.Source{File: file, Format: rule.FormatYAML, Mode: mode, Rules: slices.Concat([]rule.Rule{}, rules)}, nil
	}
	wrong, ok := errors.AsType[configfile.Errors](err)
	if !ok {
		return rule.Source{}, []rule.Finding{{ID: rule.CheckInvalid, Severity: rule.Error, File: file, Message: err.Error()}}
	}
	findings := make([]rule.Finding, len(wrong))
	for i, e := range wrong {
		findings[i] = rule.Finding{ID: rule.CheckInvalid, Severity: rule.Error, File: e.File, Line: e.Line, Column: e.Column, Message: e.Reason, Mend: e.Hint}
	}
	return rule.Source{}, findings
}

// inFolder gives names that are seen from a file's folder as the command sees
// them.
func inFolder(file string, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		if out[i] = name; !filepath.IsAbs(name) {
			out[i] = filepath.Join(filepath.Dir(file), name)
		}
	}
	return out
}

// load reads the rules of a configuration, whose own file is name, and puts them
// in force. On an error those before stay. From now on these files are watched.
func (b *rulebook) load(file configfile.File, name string) error {
	b.reading.Lock()
	defer b.reading.Unlock()
	cfg := ruleConfig(file, name)
	cfg.Options.Gentle = b.answers()
	watched := slices.Clone(cfg.Names)
	if name != "" {
		watched = append(watched, name)
	}
	b.watcher.Reading(watched)
	b.dropUsage()
	if !hasRules(file) {
		b.use(noRules(), file)
		b.tune()
		return nil
	}
	b.unsettle(cfg.Options.Gentle)
	defer b.settle(cfg.Options.Gentle)
	set, err := rulefiles.Read(cfg)
	if refused, ok := errors.AsType[*rulefiles.RefusedError](err); ok {
		addColumns(refused.Findings, rule.Error)
	}
	if err != nil {
		b.refuse(err)
		return err
	}
	addColumns(set.Findings, rule.Info)
	b.use(set, file)
	b.log.Info("redirect rules are in force", "rules", set.Rules(), "files", filesOf(set), "canonical", set.Canonical(), "took", set.Took.Round(time.Millisecond).String())
	b.warn(set.Findings)
	return nil
}

// filesOf is how many files the rules of a set are from.
func filesOf(set *rulefiles.Set) int {
	if set.Canonical() > 0 {
		return len(set.Files) - 1
	}
	return len(set.Files)
}

// answers reports whether there may be requests already.
func (b *rulebook) answers() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.generation > 0
}

// use puts rules in force.
func (b *rulebook) use(set *rulefiles.Set, file configfile.File) {
	b.gateway.SetRules(gateway.Rules{Table: set.Table, Hit: b.hits.Use(set.Table).Hit, HSTS: file.Canonical.HSTS.Header()})
	b.metrics.RulesLoaded(set.Rules(), set.Loaded)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set, b.refused, b.refusedAt, b.usage = set, nil, time.Time{}, nil
	b.generation++
}

// maxReread bounds the file that is read once more to find columns, in bytes.
const maxReread = 4 << 20

// addColumns says of the findings that are told where on its line each is.
func addColumns(findings []rule.Finding, least rule.Severity) {
	var c columns
	told := 0
	for i, f := range findings {
		if f.Severity < least {
			continue
		}
		if info, err := os.Stat(f.File); err == nil && info.Size() <= maxReread {
			findings[i] = c.fill(f)
		}
		if told++; told == maxLogged {
			return
		}
	}
}

// dropUsage lets go of what a listing holds.
func (b *rulebook) dropUsage() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.usage = nil
}

// refuse notes why rules are not in force.
func (b *rulebook) refuse(err error) {
	b.metrics.RulesRefused()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused, b.refusedAt = err, time.Now()
}

// reload is load for rules that changed while the gateway runs.
func (b *rulebook) reload(file configfile.File, name string) {
	err := b.load(file, name)
	if err == nil {
		return
	}
	b.log.Error("the redirect rules have a mistake, and those before stay in force", "error", err)
	if refused, ok := errors.AsType[*rulefiles.RefusedError](err); ok {
		for _, f := range head(refused.Worst()[1:]) {
			b.log.Error("another mistake in the redirect rules", "error", f.String())
		}
	}
}

// maxLogged bounds how many findings are logged; "seeother check" shows all.
const maxLogged = 10

func head(findings []rule.Finding) []rule.Finding { return findings[:min(len(findings), maxLogged)] }

func (b *rulebook) warn(findings []rule.Finding) {
	for _, f := range head(findings) {
		b.log.Warn("the redirect rules can be better", "finding", f.String())
	}
	if more := len(findings) - maxLogged; more > 0 {
		b.log.Warn("further findings are not listed here", "more", more, "hint", "see seeother check")
	}
}

// watch reads the rules again when their files change, until ctx is done.
func (b *rulebook) watch(ctx context.Context, reread func() (configfile.File, error), name string) {
	b.watcher.Run(ctx, func() {
		file, err := reread()
		if err != nil {
			b.reading.Lock()
			defer b.reading.Unlock()
			b.watcher.Again()
			b.refuse(err)
			b.log.Error("the configuration has a mistake, and the redirect rules stay as they are", "error", err)
			return
		}
		b.reload(file, name)
	})
}

// detail is for /readyz: a gateway with older rules is ready.
func (b *rulebook) detail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused == nil {
		return ""
	}
	since := "none"
	if !b.set.Loaded.IsZero() {
		since = "those of " + b.set.Loaded.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("older rules are in force, %s: newer ones were refused at %s: %v", since, b.refusedAt.UTC().Format(time.RFC3339), b.refused)
}

// Summary is for the admin side.
func (b *rulebook) Summary() admin.RulesSummary {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := admin.RulesSummary{Rules: b.set.Rules(), Loaded: b.set.Loaded, Warnings: len(b.set.Findings)}
	for _, f := range b.set.Files {
		out.Files = append(out.Files, admin.RulesFile{File: f.Name, Rules: f.Rules})
	}
	if b.refused != nil {
		out.Refused, out.RefusedAt = b.refused.Error(), b.refusedAt
	}
	return out
}

// listTime is how long what was read for one page is kept for the next.
const listTime = 30 * time.Second

// List is for the admin side.
func (b *rulebook) List(ctx context.Context, q admin.RuleQuery) (admin.RulePage, error) {
	from, generation, err := readCursor(q.Cursor)
	if err != nil {
		return admin.RulePage{}, err
	}
	table, usage, current, err := b.report(ctx, q.Cursor != "")
	switch {
	case err != nil:
		return admin.RulePage{}, err
	case q.Cursor != "" && generation != current:
		return admin.RulePage{}, fmt.Errorf("%w: the rules were read again meanwhile: begin with the first page", admin.ErrInvalid)
	}
	page := admin.RulePage{Now: usage.Now, Since: q.Since, Total: table.Len()}
	for i := range table.Len() {
		use := usage.Of(i)
		kind := kindOf(use, q.Since)
		switch kind {
		case admin.RulesUsed:
			page.Used++
		case admin.RulesUnused:
			page.Unused++
		default:
			page.Young++
		}
		if i < from || q.Which != admin.RulesAll && q.Which != kind || page.Cursor != "" {
			continue
		}
		if len(page.Rules) == q.Limit {
			page.Cursor = fmt.Sprintf("%d.%d", current, i)
			continue
		}
		page.Rules = append(page.Rules, ruleUse(table, i, use))
	}
	return page, nil
}

// kindOf says which of the admin side's kinds a rule is of. Without a day, what
// was never hit is unused.
func kindOf(use hits.Usage, since time.Time) string {
	if since.IsZero() {
		since = use.First
	}
	switch use.Since(since) {
	case hits.Used:
		return admin.RulesUsed
	case hits.Unused:
		return admin.RulesUnused
	case hits.Unknown:
	}
	return admin.RulesYoung
}

func readCursor(text string) (from, generation int, err error) {
	if text == "" {
		return 0, 0, nil
	}
	if n, err := fmt.Sscanf(text, "%d.%d", &generation, &from); n != 2 || err != nil || from < 0 {
		return 0, 0, fmt.Errorf("%w: cursor %q", admin.ErrInvalid, text)
	}
	return from, generation, nil
}

// report reads how the rules in force are used; with again, as it was read for
// the page before.
func (b *rulebook) report(ctx context.Context, again bool) (*rule.Table, *hits.Report, int, error) {
	b.mu.Lock()
	set, usage, generation := b.set, b.usage, b.generation
	b.mu.Unlock()
	if again && usage != nil {
		return set.Table, usage, generation, nil
	}
	usage, err := b.hits.Report(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.generation == generation && usage.Len() == set.Table.Len() {
		b.usage = usage
		if b.forget != nil {
			b.forget.Stop()
		}
		b.forget = time.AfterFunc(listTime, b.dropUsage)
	}
	return set.Table, usage, generation, nil
}

func ruleUse(table *rule.Table, i int, use hits.Usage) admin.RuleUse {
	r := table.Rule(i)
	out := admin.RuleUse{
		Name: r.Name, File: r.Pos.File, Line: r.Pos.Line, Matches: matchesOf(&r), Answer: answerOf(&r), Target: r.Target,
		Stage: r.Stage.String(), Hits: use.Hits, Last: use.Last, First: use.First,
	}
	return out
}

// matchesOf is which requests a rule is for, in a few words.
func matchesOf(r *rule.Rule) string {
	path := r.Path
	switch {
	case r.Regexp != "":
		path = "~ " + r.Regexp
	case path == "":
		path = "/*"
	}
	parts := []string{}
	if len(r.Methods) > 0 {
		parts = append(parts, strings.Join(r.Methods, ","))
	}
	site := strings.Join(r.Hosts, ",")
	if r.Scheme != "" {
		site = r.Scheme + "://" + site
	}
	if r.Regexp != "" && site != "" {
		site += " "
	}
	parts = append(parts, site+path)
	if conditions := len(r.Query) + len(r.When); conditions > 0 {
		parts = append(parts, fmt.Sprintf("(conditions: %d)", conditions))
	}
	return strings.Join(parts, " ")
}

func answerOf(r *rule.Rule) string {
	if r.Status != 0 {
		return fmt.Sprint(r.Status)
	}
	return r.Intent
}

// rulesError is why a gateway with these rules does not start.
type rulesError struct{ error }

// Error has a line for each reason.
func (e *rulesError) Error() string {
	refused, ok := errors.AsType[*rulefiles.RefusedError](e.error)
	if !ok {
		return e.error.Error()
	}
	worst := refused.Worst()
	var lines []string
	for _, f := range head(worst) {
		lines = append(lines, f.String())
	}
	if more := len(worst) - maxLogged; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

func (e *rulesError) Unwrap() error { return e.error }

// Hint is how to mend the first of them.
func (e *rulesError) Hint() string {
	const all = "seeother check shows all that is wrong with the rules"
	if refused, ok := errors.AsType[*rulefiles.RefusedError](e.error); ok && refused.Worst()[0].Mend != "" {
		return refused.Worst()[0].Mend + "; " + all
	}
	return all
}
