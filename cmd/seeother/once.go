package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/once"
)

func newOnce() *cobra.Command {
	records := &onceRecords{client: &adminClient{}}
	var run onceRun
	verb := &cobra.Command{
		Use:   "once [--key KEY [flags] -- COMMAND...]",
		Short: "Run a command once, look at submissions, and end the doubt about them",
		Long: `With --key, run a command at most once for the key, on all machines that share the
store: for cron, shell and CI jobs. A duplicate prints what the first run printed
and ends with its code. A run that was cut off is uncertain: nothing runs again
until somebody says what became of it.

Without, look at the submissions of a running gateway (or of a store, with --data
or --store), and end the doubt about those that are uncertain. Or offer run-once
to code and agents, with serve.

Exit codes with --key: that of the command; 1 and 2 when the store or the command
line is wrong; 65 when the key was used for another command; 75 when somebody else
is running it, it is uncertain, or the store does not answer; 126 or 127 when the
command cannot be started; 128 and the number of the signal that killed it.`,
		Example: `  seeother once --key "report-$(date +%F)" -- ./report.sh
  seeother once --key deploy-42 --store postgres://seeother@db/seeother -- make deploy
  seeother once list --state uncertain --data seeother-data
  seeother once resolve ID --as released --note "not in the ledger"`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case run.key == "" && len(args) == 0:
				return cmd.Help()
			case run.key == "" && cmd.ArgsLenAtDash() < 0:
				return noArgs(cmd, args) // a slip of the pen in a verb below
			}
			return run.run(cmd, args, records)
		},
	}
	records.addFlags(verb)
	run.addFlags(verb)
	verb.AddCommand(newOnceList(records), newOnceShow(records), newOnceResolve(records), newOnceServe())
	return verb
}

// onceRecords are the records of a running gateway, or of a store that nobody
// else has open.
type onceRecords struct {
	client      *adminClient
	data, store string
}

func (r *onceRecords) addFlags(verb *cobra.Command) {
	r.client.addFlags(verb)
	verb.PersistentFlags().StringVar(&r.data, "data", "", "`folder` of an embedded store that no gateway has open, instead of a running gateway; with --key, seeother-data where neither is given")
	verb.PersistentFlags().StringVar(&r.store, "store", "", "`URL` of a store, instead of a running gateway")
}

// direct reports whether a store was named.
func (r *onceRecords) direct() bool { return r.data != "" || r.store != "" }

// with calls do with a guard on the store, which is open for as long.
func (r *onceRecords) with(ctx context.Context, cfg once.Config, do func(*once.Guard) error) (err error) {
	if r.data != "" && r.store != "" {
		return &usageError{errors.New("--data and --store name two stores"), "give one of them"}
	}
	st, err := openStore(ctx, configfile.File{Data: r.data, Store: r.store})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	cfg.Tenant = partition
	g, err := once.New(ctx, st, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(context.WithoutCancel(ctx))) }()
	return do(g)
}

func (r *onceRecords) list(ctx context.Context, q once.Query) (page once.Page, err error) {
	if r.direct() {
		err = r.with(ctx, once.Config{}, func(g *once.Guard) error {
			page, err = g.List(ctx, q)
			return err
		})
		return page, err
	}
	query := url.Values{"state": {q.State}, "key": {q.Key}, "limit": {strconv.Itoa(q.Limit)}}
	if q.Cursor != "" {
		query.Set("cursor", q.Cursor)
	}
	return page, r.client.call(ctx, http.MethodGet, "/api/v1/once?"+query.Encode(), nil, &page)
}

func (r *onceRecords) show(ctx context.Context, id string) (s once.Summary, err error) {
	if r.direct() {
		err = r.with(ctx, once.Config{}, func(g *once.Guard) error {
			s, err = g.Show(ctx, id)
			return err
		})
		return s, err
	}
	return s, r.client.call(ctx, http.MethodGet, "/api/v1/once/"+url.PathEscape(id), nil, &s)
}

func (r *onceRecords) resolve(ctx context.Context, id string, how once.Resolution) (s once.Summary, err error) {
	if r.direct() {
		err = r.with(ctx, once.Config{}, func(g *once.Guard) error {
			s, err = g.Resolve(ctx, id, how)
			return err
		})
		return s, err
	}
	return s, r.client.call(ctx, http.MethodPost, "/api/v1/once/"+url.PathEscape(id)+"/resolve", how, &s)
}

// listing is what "once list" asks for.
type listing struct {
	state, key string
	limit      int
	asJSON     bool
}

func newOnceList(records *onceRecords) *cobra.Command {
	var l listing
	verb := &cobra.Command{
		Use:   "list",
		Short: "List submissions",
		Example: `  seeother once list --state uncertain
  seeother once list --key 8e03978e-40d5 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			page, err := l.fetch(cmd.Context(), records)
			if err != nil {
				return err
			}
			if l.asJSON {
				return writeJSON(cmd.OutOrStdout(), page)
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
func (l *listing) fetch(ctx context.Context, records *onceRecords) (recordList, error) {
	out := recordList{Records: []once.Summary{}}
	if l.limit < 1 {
		return out, &usageError{fmt.Errorf("limit %d: want 1 or more", l.limit), "see seeother once list --help"}
	}
	q := once.Query{State: l.state, Key: l.key}
	for {
		q.Limit = min(l.limit-len(out.Records), maxPage)
		page, err := records.list(ctx, q)
		if err != nil {
			return out, err
		}
		out.Records = append(out.Records, page.Records...)
		if page.Cursor == "" || len(out.Records) >= l.limit {
			out.More = page.Cursor != ""
			return out, nil
		}
		q.Cursor = page.Cursor
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

func newOnceShow(records *onceRecords) *cobra.Command {
	var asJSON bool
	verb := &cobra.Command{
		Use:   "show ID",
		Short: "Show one submission",
		Args:  exactly(1, "the ID of a submission"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := records.show(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printSummary(cmd.OutOrStdout(), s, asJSON)
		},
	}
	verb.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return verb
}

func newOnceResolve(records *onceRecords) *cobra.Command {
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
			s, err := records.resolve(cmd.Context(), args[0], how)
			if err != nil {
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
		return writeJSON(w, s)
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
