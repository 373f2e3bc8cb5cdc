package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/once"
)

func newOnce() *cobra.Command {
	client := &adminClient{}
	verb := &cobra.Command{
		Use:   "once",
		Short: "Look at submissions, end the doubt about them, and offer run-once to code",
		Long: `Look at the submissions of a running gateway, and end the doubt about those that
are uncertain: started, and then nobody said how it went. Or offer the same to
code and agents, with serve.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	client.addFlags(verb)
	verb.AddCommand(newOnceList(client), newOnceShow(client), newOnceResolve(client), newOnceServe())
	return verb
}

// listing is what "once list" asks for.
type listing struct {
	state, key string
	limit      int
	asJSON     bool
}

func newOnceList(client *adminClient) *cobra.Command {
	var l listing
	verb := &cobra.Command{
		Use:   "list",
		Short: "List submissions",
		Example: `  seeother once list --state uncertain
  seeother once list --key 8e03978e-40d5 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			page, err := l.fetch(cmd.Context(), client)
			if err != nil {
				return err
			}
			if l.asJSON {
				return printJSON(cmd.OutOrStdout(), page)
			}
			return page.print(cmd.OutOrStdout())
		},
	}
	flags := verb.Flags()
	flags.StringVar(&l.state, "state", "", "only those in this `state`: started, completed, released, uncertain, expired")
	flags.StringVar(&l.key, "key", "", "only those of this `key`, as the client sent it")
	flags.IntVar(&l.limit, "limit", 100, "at most so many")
	flags.BoolVar(&l.asJSON, "json", false, "as one JSON object")
	_ = verb.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states(), cobra.ShellCompDirectiveNoFileComp))
	return verb
}

func states() []string {
	return []string{once.StateStarted, once.StateCompleted, once.StateReleased, once.StateUncertain, once.StateExpired}
}

// recordList is what "once list --json" prints. More says that there are
// further records than the limit.
type recordList struct {
	Records []once.Summary `json:"records"`
	More    bool           `json:"more"`
}

// maxPage is the most that the admin API gives in one answer.
const maxPage = 1000

// fetch goes through the pages until the limit is reached.
func (l *listing) fetch(ctx context.Context, client *adminClient) (recordList, error) {
	out := recordList{Records: []once.Summary{}}
	if l.limit < 1 {
		return out, &usageError{fmt.Errorf("limit %d: want 1 or more", l.limit), "see seeother once list --help"}
	}
	query := url.Values{"state": {l.state}, "key": {l.key}}
	for {
		query.Set("limit", strconv.Itoa(min(l.limit-len(out.Records), maxPage)))
		var page once.Page
		if err := client.call(ctx, http.MethodGet, "/api/v1/once?"+query.Encode(), nil, &page); err != nil {
			return out, err
		}
		out.Records = append(out.Records, page.Records...)
		if page.Cursor == "" || len(out.Records) >= l.limit {
			out.More = page.Cursor != ""
			return out, nil
		}
		query.Set("cursor", page.Cursor)
	}
}

func (l recordList) print(w io.Writer) error {
	if len(l.Records) == 0 {
		_, err := fmt.Fprintln(w, "no submissions")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tSTATE\tSTARTED\tREQUEST\tREASON") // Flush tells
	for _, r := range l.Records {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s %s\t%s\n", r.ID, r.State, clock(r.Started), r.Method, r.Path, r.Reason) // likewise
	}
	if l.More {
		_, _ = fmt.Fprintln(table, "...\tmore with --limit") // likewise
	}
	return table.Flush()
}

func newOnceShow(client *adminClient) *cobra.Command {
	var asJSON bool
	verb := &cobra.Command{
		Use:   "show ID",
		Short: "Show one submission",
		Args:  exactly(1, "the ID of a submission"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var s once.Summary
			if err := client.call(cmd.Context(), http.MethodGet, "/api/v1/once/"+url.PathEscape(args[0]), nil, &s); err != nil {
				return err
			}
			return printSummary(cmd.OutOrStdout(), s, asJSON)
		},
	}
	verb.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return verb
}

func newOnceResolve(client *adminClient) *cobra.Command {
	var how once.Resolution
	var asJSON bool
	verb := &cobra.Command{
		Use:   "resolve ID --as completed|released",
		Short: "Say what became of an uncertain submission",
		Long: `Say what became of an uncertain submission, once you found out in the app.

completed: it happened. It is never run again, and there is no answer to repeat.
released: it did not happen. The next request with its key runs it.`,
		Example: `  seeother once resolve ID --as released --note "not in the ledger"`,
		Args:    exactly(1, "the ID of a submission"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if how.As != once.StateCompleted && how.As != once.StateReleased {
				return &usageError{fmt.Errorf("--as %q: want completed or released", how.As), "see seeother once resolve --help"}
			}
			var s once.Summary
			path := "/api/v1/once/" + url.PathEscape(args[0]) + "/resolve"
			if err := client.call(cmd.Context(), http.MethodPost, path, how, &s); err != nil {
				return err
			}
			return printSummary(cmd.OutOrStdout(), s, asJSON)
		},
	}
	flags := verb.Flags()
	flags.StringVar(&how.As, "as", "", "`what` happened: completed or released")
	flags.StringVar(&how.Note, "note", "", "who says so, and how they know; `text` that is kept on the record")
	flags.BoolVar(&asJSON, "json", false, "as one JSON object")
	_ = verb.RegisterFlagCompletionFunc("as", cobra.FixedCompletions([]string{once.StateCompleted, once.StateReleased}, cobra.ShellCompDirectiveNoFileComp))
	return verb
}

func printSummary(w io.Writer, s once.Summary, asJSON bool) error {
	if asJSON {
		return printJSON(w, s)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range []struct{ name, value string }{
		{"id", s.ID},
		{"state", s.State},
		{"request", s.Method + " " + s.Path},
		{"host", s.Host},
		{"route", s.Route},
		{"generation", strconv.FormatUint(s.Generation, 10)},
		{"principal", s.Principal},
		{"key hash", s.KeyHash},
		{"started", clock(s.Started)},
		{"ended", clock(s.Ended)},
		{"lease ends", clock(s.LeaseEnds)},
		{"forgotten", clock(s.Expires)},
		{"status", number(s.Status)},
		{"reason", s.Reason},
		{"note", s.ResolvedBy},
	} {
		if row.value != "" {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", row.name, printable(row.value)) // Flush tells
		}
	}
	return table.Flush()
}

// printable keeps a terminal from being told things by a client or an operator.
func printable(text string) string {
	quoted := strconv.Quote(text)
	if inner := quoted[1 : len(quoted)-1]; inner != text {
		return quoted
	}
	return text
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func printJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
