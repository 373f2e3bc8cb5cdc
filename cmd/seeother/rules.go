package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/rule"
)

func newRules() *cobra.Command {
	client := &adminClient{}
	var format string
	verb := &cobra.Command{
		Use:   "rules",
		Short: "See which redirect rules are in force, and which nobody uses",
		Long: `See which redirect rules are in force in a running gateway, how often each was
hit, and which were not hit for a long time. All gateways that share a store
count together. A hit is a request that the rule was the one for, also where the
rule lets it pass or only reports.`,
		Example: `  seeother rules
  seeother rules list
  seeother rules unused --since 90d`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			var s admin.RulesSummary
			if err := client.call(cmd.Context(), http.MethodGet, "/api/v1/rules", nil, &s); err != nil {
				return err
			}
			return printRules(cmd.OutOrStdout(), s, format == formatJSON)
		},
	}
	client.addFlags(verb)
	verb.PersistentFlags().StringVar(&format, "format", formatText, "`format` of what is printed: text or json (one object)")
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatText, formatJSON}, cobra.ShellCompDirectiveNoFileComp))
	verb.AddCommand(newRulesList(client, &format), newRulesUnused(client, &format))
	return verb
}

func checkFormat(format string) error {
	if format != formatText && format != formatJSON {
		return &usageError{fmt.Errorf("--format %q: want text or json", format), "for example --format json"}
	}
	return nil
}

func printRules(w io.Writer, s admin.RulesSummary, asJSON bool) error {
	if asJSON {
		return writeJSON(w, s)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "rules\t%d\n", s.Rules) // Flush tells
	if !s.Loaded.IsZero() {
		_, _ = fmt.Fprintf(table, "in force since\t%s\n", clock(s.Loaded)) // likewise
	}
	for _, f := range s.Files {
		_, _ = fmt.Fprintf(table, "  %s\t%d\n", printable(f.File), f.Rules) // likewise
	}
	if s.Warnings > 0 {
		_, _ = fmt.Fprintf(table, "warnings\t%d, see seeother check\n", s.Warnings) // likewise
	}
	if s.Refused != "" {
		_, _ = fmt.Fprintf(table, "refused at\t%s: %s\n", clock(s.RefusedAt), printable(s.Refused)) // likewise
	}
	return table.Flush()
}

// ruleListing is what "rules list" and "rules unused" ask for.
type ruleListing struct {
	which string
	since time.Time
	limit int
}

// fetch goes through the pages until the limit is reached.
func (l *ruleListing) fetch(ctx context.Context, client *adminClient) (admin.RulePage, error) {
	var out admin.RulePage
	if l.limit < 1 {
		return out, &usageError{fmt.Errorf("limit %d: want 1 or more", l.limit), "see seeother rules --help"}
	}
	query := url.Values{"which": {l.which}}
	if !l.since.IsZero() {
		query.Set("since", l.since.UTC().Format(time.DateOnly))
	}
	rules := []admin.RuleUse{}
	for {
		query.Set("limit", strconv.Itoa(min(l.limit-len(rules), maxPage)))
		out = admin.RulePage{}
		if err := client.call(ctx, http.MethodGet, "/api/v1/rules/list?"+query.Encode(), nil, &out); err != nil {
			return out, err
		}
		rules = append(rules, out.Rules...)
		if out.Cursor == "" || len(rules) >= l.limit {
			out.Rules = rules
			return out, nil
		}
		query.Set("cursor", out.Cursor)
	}
}

func newRulesList(client *adminClient, format *string) *cobra.Command {
	l := ruleListing{which: admin.RulesAll}
	verb := &cobra.Command{
		Use:   "list",
		Short: "List the rules, and how often each was hit",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(*format); err != nil {
				return err
			}
			page, err := l.fetch(cmd.Context(), client)
			if err != nil {
				return err
			}
			if *format == formatJSON {
				return writeJSON(cmd.OutOrStdout(), listOf(page))
			}
			return printUses(cmd.OutOrStdout(), page)
		},
	}
	verb.Flags().IntVar(&l.limit, "limit", 1000, "at most so many")
	return verb
}

func newRulesUnused(client *adminClient, format *string) *cobra.Command {
	var l ruleListing
	since, young := "90d", false
	verb := &cobra.Command{
		Use:   "unused",
		Short: "List the rules that nobody has used for a time",
		Long: `List the rules that nobody has used for a time. A rule whose hits are counted only
since later than that, and which was not hit, may have been used before: it is
not in the list, and the last line says how many such rules there are. --young
lists those instead.

Hits are counted by the day, in UTC. With --since 90d, a rule that was hit 90 days
ago was used. Part of a day counts as a day. The rules that canonical makes are in
the list, too, as canonical:https and the like.`,
		Example: `  seeother rules unused --since 90d
  seeother rules unused --since 2026-01-01 --format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := checkFormat(*format)
			if err == nil {
				l.since, err = parseSince(since, time.Now())
			}
			if err != nil {
				return err
			}
			if l.which = admin.RulesUnused; young {
				l.which = admin.RulesYoung
			}
			page, err := l.fetch(cmd.Context(), client)
			if err != nil {
				return err
			}
			if *format == formatJSON {
				return writeJSON(cmd.OutOrStdout(), listOf(page))
			}
			return printUnused(cmd.OutOrStdout(), page, young)
		},
	}
	flags := verb.Flags()
	flags.StringVar(&since, "since", since, "for how many days, or since which day: `90d` or 2026-01-01")
	flags.BoolVar(&young, "young", false, "list those that are not counted for so long")
	flags.IntVar(&l.limit, "limit", 1000, "at most so many")
	return verb
}

// parseSince reads a length of time before now, or a day.
func parseSince(text string, now time.Time) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	d, err := configfile.ParseDuration(text)
	if err != nil {
		return time.Time{}, &usageError{fmt.Errorf("--since %q: want a time such as 90d, or a day such as 2026-01-01", text), "see seeother rules unused --help"}
	}
	const day = 24 * time.Hour
	days := int(time.Duration(d) / day)
	if time.Duration(d)%day > 0 {
		days++
	}
	return now.AddDate(0, 0, -days), nil
}

// ruleList is what --format json prints. More says that there are further rules
// than the limit.
type ruleList struct {
	admin.RulePage

	Cursor bool `json:"cursor,omitempty"` // hides that of the page
	More   bool `json:"more"`
}

func listOf(page admin.RulePage) ruleList {
	return ruleList{RulePage: page, More: page.Cursor != ""}
}

func printUses(w io.Writer, page admin.RulePage) error {
	if len(page.Rules) == 0 {
		_, err := fmt.Fprintln(w, "no rules")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RULE\tHITS\tLAST HIT\tCOUNTED SINCE\tMATCHES\tANSWER") // Flush tells
	for _, r := range page.Rules {
		answer := r.Answer
		if r.Target != "" {
			answer += " " + r.Target
		}
		if r.Stage != "enforce" {
			answer += " (" + r.Stage + ")"
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\n", printable(labelOf(r)), r.Hits, day(r.Last), day(r.First), printable(r.Matches), printable(answer)) // likewise
	}
	if page.Cursor != "" {
		_, _ = fmt.Fprintln(table, "...\tmore with --limit") // likewise
	}
	return table.Flush()
}

func printUnused(w io.Writer, page admin.RulePage, young bool) error {
	if len(page.Rules) > 0 {
		if err := printUses(w, page); err != nil {
			return err
		}
	}
	since := day(page.Since)
	_, err := fmt.Fprintf(w, "%d of %d rules were not hit since %s\n", page.Unused, page.Total, since)
	if err == nil && page.Young > 0 {
		hint := "; --young lists them"
		if young {
			hint = ""
		}
		_, err = fmt.Fprintf(w, "%d more were not hit, but are counted only since later: nobody knows whether they were used before%s\n", page.Young, hint)
	}
	return err
}

func labelOf(r admin.RuleUse) string {
	switch {
	case r.File == rule.CanonicalFile:
		return rule.CanonicalFile + ":" + r.Name
	case r.Name != "":
		return r.Name
	case r.Line == 0:
		return r.File
	}
	return r.File + ":" + strconv.Itoa(r.Line)
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}
