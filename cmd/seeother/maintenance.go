package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/gateway"
)

func newMaintenance() *cobra.Command {
	client := &adminClient{}
	var format string
	verb := &cobra.Command{
		Use:   "maintenance",
		Short: "Take the site down on purpose, now or at a planned time",
		Long: `Take the site of a running gateway down on purpose: every request gets 503 with
Retry-After and a page, or is sent to the stand-in that the configuration names.
What is under way ends as it would have. It holds over a restart of the gateway,
and for all gateways on its store.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	client.addFlags(verb)
	verb.PersistentFlags().StringVar(&format, "format", formatText, "`format` of what is printed: text or json (one object)")
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatText, formatJSON}, cobra.ShellCompDirectiveNoFileComp))
	verb.AddCommand(newMaintenanceStatus(client, &format), newMaintenanceOn(client, &format), newMaintenanceOff(client, &format),
		newMaintenanceSchedule(client, &format), newMaintenanceCancel(client, &format))
	return verb
}

// maintenanceStatus is what the admin API answers.
type maintenanceStatus struct {
	Now     time.Time          `json:"now"`
	Active  bool               `json:"active"`
	On      *maintenanceWindow `json:"on,omitempty"`
	Planned *maintenanceWindow `json:"planned,omitempty"`
	Token   string             `json:"token,omitempty"`
}

type maintenanceWindow struct {
	From              time.Time `json:"from"`
	Until             time.Time `json:"until,omitzero"`
	RetryAfterSeconds int64     `json:"retryAfterSeconds,omitempty"`
	Reason            string    `json:"reason,omitempty"`
	Allow             []string  `json:"allow"`
	Token             bool      `json:"token"`
}

func (s maintenanceStatus) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, s)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "maintenance\t%s\n", map[bool]string{true: "on", false: "off"}[s.Active]) // Flush tells
	for _, part := range []struct {
		name   string
		window *maintenanceWindow
	}{{"since", s.On}, {"planned from", s.Planned}} {
		if part.window != nil {
			part.window.print(table, part.name)
		}
	}
	if err := table.Flush(); err != nil || s.Token == "" {
		return err
	}
	_, err := fmt.Fprintf(w, "\nTo look behind it, open this address of your site once. It is not shown again:\n  /?%s=%s\nPrograms send the header  %s: %s\n",
		gateway.TokenName, s.Token, http.CanonicalHeaderKey(gateway.TokenName), s.Token)
	return err
}

func (m *maintenanceWindow) print(w io.Writer, from string) {
	until, length := "somebody ends it", ""
	if !m.Until.IsZero() {
		until, length = clock(m.Until), span(m.Until.Sub(m.From))
	}
	for _, row := range []struct{ name, value string }{
		{from, clock(m.From)},
		{"until", until},
		{"for", length},
		{"reason", m.Reason},
		{"retry after", (time.Duration(m.RetryAfterSeconds) * time.Second).String()},
		{"allowed", strings.Join(m.Allow, ", ")},
		{"token", map[bool]string{true: "set"}[m.Token]},
	} {
		if row.value != "" && row.value != "0s" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", row.name, printable(row.value)) // Flush tells
		}
	}
}

// span is a length of time without the seconds where there are none: 23h0m.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= time.Minute && d%time.Minute == 0 {
		return strings.TrimSuffix(d.String(), "0s")
	}
	return d.String()
}

// maintenanceOrder is what "on" and "schedule" ask for.
type maintenanceOrder struct {
	from, until, length, retryAfter string // as the flags have them

	From              time.Time `json:"from,omitzero"`
	Until             time.Time `json:"until,omitzero"`
	ForSeconds        int64     `json:"forSeconds,omitempty"`
	RetryAfterSeconds int64     `json:"retryAfterSeconds,omitempty"`
	Reason            string    `json:"reason,omitempty"`
	Allow             []string  `json:"allow,omitempty"`
	Token             bool      `json:"token,omitempty"`
}

func (o *maintenanceOrder) addFlags(verb *cobra.Command) {
	flags := verb.Flags()
	flags.StringVar(&o.until, "until", "", "when it ends, a `time` as above")
	flags.StringVar(&o.length, "for", "", "how long it lasts instead, a `duration` such as 30m or 2h")
	flags.StringVar(&o.retryAfter, "retry-after", "", "tell clients to come back after this `duration`, where the end is not sooner")
	flags.StringVar(&o.Reason, "reason", "", "a sentence for the page; `text` that people may read")
	flags.StringSliceVar(&o.Allow, "allow", nil, "an `address` or network whose clients see the site; may be repeated")
	flags.BoolVar(&o.Token, "token", false, "make a secret that opens the site, and show it once")
}

// read makes values of the flags. Times without a zone are of this machine's.
func (o *maintenanceOrder) read(now time.Time) error {
	var errs []error
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"from", o.from, &o.From}, {"until", o.until, &o.Until}} {
		if t.text == "" {
			continue
		}
		base := now
		if t.flag == "until" && !o.From.IsZero() {
			base = o.From
		}
		var err error
		if *t.to, err = parseMoment(t.text, base); err != nil {
			errs = append(errs, fmt.Errorf("--%s %q: %w", t.flag, t.text, err))
		}
	}
	for _, d := range []struct {
		flag, text string
		to         *int64
	}{{"for", o.length, &o.ForSeconds}, {"retry-after", o.retryAfter, &o.RetryAfterSeconds}} {
		if d.text == "" {
			continue
		}
		value, err := configfile.ParseDuration(d.text)
		*d.to = int64((time.Duration(value) + time.Second - 1) / time.Second)
		if err == nil && *d.to < 1 {
			err = errors.New("want a time above zero")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s %q: %w", d.flag, d.text, err))
		}
	}
	if o.until != "" && o.length != "" {
		errs = append(errs, errors.New("--until and --for: give one of them"))
	}
	if err := errors.Join(errs...); err != nil {
		return &usageError{err, `for example --until 03:00, --until "2026-11-27 03:00", --for 30m`}
	}
	return nil
}

var errMoment = errors.New(`want a time, such as "03:00", "2026-11-27 03:00" or 2026-11-27T03:00:00Z`)

// parseMoment reads a time: with a zone (RFC 3339), or of now's zone without
// one; a time of the day alone is the next one after now.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return time.Time{}, errMoment
	}
	y, m, d := now.Date()
	next := time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, now.Location())
	if !next.After(now) {
		next = time.Date(y, m, d+1, t.Hour(), t.Minute(), 0, 0, now.Location())
	}
	return next, nil
}

// send asks the gateway to do it and prints what holds then.
func (o *maintenanceOrder) send(cmd *cobra.Command, client *adminClient, path, format string) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	if err := o.read(time.Now()); err != nil {
		return err
	}
	var s maintenanceStatus
	if err := client.call(cmd.Context(), http.MethodPost, path, o, &s); err != nil {
		return err
	}
	return s.print(cmd.OutOrStdout(), format == formatJSON)
}

const timeHelp = `A time is "03:00" (the next time that the clock reads so), "2026-11-27 03:00", both
of this machine's zone, or 2026-11-27T03:00:00Z.`

func newMaintenanceOn(client *adminClient, format *string) *cobra.Command {
	var o maintenanceOrder
	verb := &cobra.Command{
		Use:   "on",
		Short: "Take the site down now",
		Long: `Take the site down now, until "seeother maintenance off" or the end that is named.
Where it is on already, all of it is set anew, the token too.

` + timeHelp,
		Example: `  seeother maintenance on --for 30m --reason "New disks."
  seeother maintenance on --allow 203.0.113.7 --token`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.send(cmd, client, "/api/v1/maintenance/on", *format)
		},
	}
	o.addFlags(verb)
	return verb
}

func newMaintenanceSchedule(client *adminClient, format *string) *cobra.Command {
	var o maintenanceOrder
	verb := &cobra.Command{
		Use:   "schedule --from TIME (--until TIME | --for DURATION)",
		Short: "Take the site down at a planned time",
		Long: `Take the site down at a planned time, by the clock of the store. There is one plan:
a new one takes its place.

` + timeHelp,
		Example: `  seeother maintenance schedule --from 02:00 --until 03:00 --reason "New disks."
  seeother maintenance schedule --from "2026-11-27 02:00" --for 2h --retry-after 10m`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.from == "" || cmp.Or(o.until, o.length) == "" {
				return &usageError{errors.New("a plan has a beginning and an end"), "for example --from 02:00 --for 1h"}
			}
			return o.send(cmd, client, "/api/v1/maintenance/planned", *format)
		},
	}
	verb.Flags().StringVar(&o.from, "from", "", "when it begins, a `time` as above")
	o.addFlags(verb)
	return verb
}

// maintenanceVerb is a verb that says nothing but itself.
func maintenanceVerb(client *adminClient, format *string, verb *cobra.Command, method, path string) *cobra.Command {
	verb.Args = noArgs
	verb.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkFormat(*format); err != nil {
			return err
		}
		var s maintenanceStatus
		if err := client.call(cmd.Context(), method, path, nil, &s); err != nil {
			return err
		}
		return s.print(cmd.OutOrStdout(), *format == formatJSON)
	}
	return verb
}

func newMaintenanceStatus(client *adminClient, format *string) *cobra.Command {
	return maintenanceVerb(client, format, &cobra.Command{Use: "status", Short: "Say whether the site is down on purpose, and what is planned"},
		http.MethodGet, "/api/v1/maintenance")
}

func newMaintenanceOff(client *adminClient, format *string) *cobra.Command {
	return maintenanceVerb(client, format, &cobra.Command{
		Use: "off", Short: "Open the site again",
		Long: "Open the site again: end the maintenance that holds, planned or not. One that is\nplanned for later stays.",
	}, http.MethodDelete, "/api/v1/maintenance/on")
}

func newMaintenanceCancel(client *adminClient, format *string) *cobra.Command {
	return maintenanceVerb(client, format, &cobra.Command{
		Use: "cancel", Short: "Drop the plan",
		Long: "Drop the plan, and end it if it has begun.",
	}, http.MethodDelete, "/api/v1/maintenance/planned")
}
