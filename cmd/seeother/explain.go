package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/guide"
)

// explainFlags are the flags of "seeother explain".
type explainFlags struct {
	format string
	list   bool
	verify bool
	worked string
	to     string
	wait   time.Duration
}

func newExplain() *cobra.Command {
	var f explainFlags
	verb := &cobra.Command{
		Use:   "explain [flags] [CODE|TEXT|ID] [URL]",
		Short: "Explain a status or an error, and prove it",
		Long: `Explain a status code, or find the card of a known failure: what people see, why it
happens, how to mend it and when not to, and which setting of seeother does.

CODE is 300 to 308, 201, 202, 405, 409, 410, 422, 425, 428, 429 or 503. TEXT is
anything: the error of a browser, a line of a log or of a configuration, with letters
wrong if need be. ID is a card's, such as those that seeother check and seeother audit
name. Without any, all cards are listed. Nothing is asked of the network.

With --verify, the card's claim is run again: the faulty server and the mended one
are started on this machine, the same is done to both, and what happened is shown
side by side. "verified: real" means that the product itself ran, and "verified:
mechanism" that a small server did what the product does. With a URL, your server is
asked instead, where a card can do that without leaving anything behind.

--worked runs --verify, too, and keeps what came of it with what you found out, in a
file that you can share. It is not sent anywhere. Where what --verify needs is not
installed, the file says so, and that is no failure.

Exit codes: 0 found, or with --verify: shown; 1 nothing was found, or the failure was
not shown, or it could not be tried; 2 the command line is wrong.`,
		Example: `  seeother explain 303
  seeother explain "change default redirect code to 303"
  seeother explain ERR_TOO_MANY_REDIRECTS
  seeother explain https-301-loses-post --verify
  seeother explain hsts-missing --verify https://www.example.com/
  seeother explain https-301-loses-post --worked yes --to answer.json`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := verb.Flags()
	flags.StringVar(&f.format, "format", formatText, "`format` of the answer: text or json")
	flags.BoolVar(&f.list, "list", false, "list all cards")
	flags.BoolVar(&f.verify, "verify", false, "run the card's reproduction, or ask the server at URL")
	flags.StringVar(&f.worked, "worked", "", "keep whether it helped, `yes or no`, with the output of --verify, in a file")
	flags.StringVar(&f.to, "to", "", "the `file` of --worked (default ID.worked.json)")
	flags.DurationVar(&f.wait, "timeout", 2*time.Minute, "how long --verify may take")
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatText, formatJSON}, cobra.ShellCompDirectiveNoFileComp))
	_ = verb.RegisterFlagCompletionFunc("worked", cobra.FixedCompletions([]string{"yes", "no"}, cobra.ShellCompDirectiveNoFileComp))
	verb.ValidArgsFunction = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var out []cobra.Completion
		for _, c := range guide.All() {
			out = append(out, cobra.CompletionWithDesc(c.ID, c.Title))
		}
		for _, code := range guide.Codes() {
			status, _ := guide.StatusOf(code)
			out = append(out, cobra.CompletionWithDesc(strconv.Itoa(code), status.Name))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	return verb
}

func (f *explainFlags) run(cmd *cobra.Command, args []string) error {
	f.verify = f.verify || f.worked != ""
	words, site, err := f.arguments(args)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if len(words) == 0 {
		return f.writeList(out, guide.All())
	}
	asked := strings.Join(words, " ")
	if f.verify {
		card, err := oneCard(asked)
		if err != nil {
			return err
		}
		return f.prove(cmd, card, site)
	}
	return f.explain(out, asked)
}

// arguments checks the command line. A URL counts as one only for --verify: else it
// is a part of the text.
func (f *explainFlags) arguments(args []string) (words []string, site string, err error) {
	switch {
	case f.format != formatText && f.format != formatJSON:
		return nil, "", &usageError{fmt.Errorf("--format %q: want text or json", f.format), "see seeother explain --help"}
	case f.worked != "" && f.worked != "yes" && f.worked != "no":
		return nil, "", &usageError{fmt.Errorf("--worked %q: want yes or no", f.worked), "see seeother explain --help"}
	case f.to != "" && f.worked == "":
		return nil, "", &usageError{errors.New("--to is for --worked"), "for example: --worked yes --to answer.json"}
	case f.wait <= 0:
		return nil, "", &usageError{fmt.Errorf("--timeout %s: want more than 0", f.wait), "see seeother explain --help"}
	case f.list && (len(args) > 0 || f.verify):
		return nil, "", &usageError{errors.New("--list takes nothing else"), "see seeother explain --help"}
	case len(args) == 0 && f.verify:
		return nil, "", &usageError{errors.New("want the ID of a card"), "seeother explain --list has them"}
	}
	if f.verify && len(args) > 1 {
		if last := args[len(args)-1]; strings.Contains(last, "://") {
			if err := webURL(last); err != nil {
				return nil, "", err
			}
			return args[:len(args)-1], last, nil
		}
	}
	return args, "", nil
}

func webURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return &usageError{fmt.Errorf("URL %q: want http or https, and a host", text), "for example: https://www.example.com/"}
	}
	return nil
}

// oneCard is the card with this ID. Where there is none, the hint says which are
// near.
func oneCard(id string) (guide.Card, error) {
	for _, c := range guide.All() {
		if c.ID == id {
			return c, nil
		}
	}
	if code, err := strconv.Atoi(id); err == nil {
		if _, ok := guide.StatusOf(code); ok {
			return guide.Card{}, &usageError{fmt.Errorf("%s is a status code, and --verify runs cards", id), fmt.Sprintf("seeother explain %s shows what it means", id)}
		}
	}
	hint := "seeother explain --list has them all"
	if hits := guide.Search(id, 1); len(hits) > 0 {
		hint = fmt.Sprintf("did you mean %q?", hits[0].Card.ID)
	}
	return guide.Card{}, &usageError{fmt.Errorf("there is no card %q", id), hint}
}

// mostHits is how many cards a search names.
const mostHits = 5

// explain answers a code, an id or a text.
func (f *explainFlags) explain(w io.Writer, asked string) error {
	if code, err := strconv.Atoi(strings.TrimPrefix(strings.ToUpper(asked), "HTTP ")); err == nil {
		if status, ok := guide.StatusOf(code); ok {
			return f.writeStatus(w, status)
		}
	}
	hits := guide.Search(asked, mostHits)
	if len(hits) == 0 {
		return &hinted{fmt.Errorf("nothing is known of %q", shortened(asked)), "seeother explain --list has all cards; fewer and rarer words find more"}
	}
	if hits[0].Card.ID == asked {
		hits = hits[:1]
	}
	cards := make([]guide.Card, len(hits))
	for i, h := range hits {
		cards[i] = h.Card
	}
	return f.writeCards(w, cards)
}

func shortened(text string) string {
	const most = 80
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// prove runs the card's reproduction, and keeps the answer where that is wanted: also
// where what the reproduction needs is not installed.
func (f *explainFlags) prove(cmd *cobra.Command, card guide.Card, site string) error {
	proof, err := f.verified(cmd.Context(), card, cardProof{Card: card.ID, Title: card.Title, URL: site, Seeother: version()})
	missing, ok := errors.AsType[*guide.MissingError](err)
	untried := ok && f.worked != ""
	switch {
	case untried:
		proof.Missing = missingSaid(missing)
	case err != nil:
		return err
	}
	if err := f.writeProof(cmd.OutOrStdout(), proof); err != nil {
		return err
	}
	if f.worked != "" {
		if err := f.keep(cmd, proof); err != nil {
			return err
		}
	}
	if !proof.Shown && !untried {
		return &exitError{errSilent, exitFailed}
	}
	return nil
}

func missingSaid(missing *guide.MissingError) string {
	return fmt.Sprintf("%s; %s", missing, missing.Hint())
}

// verified is the proof with what the reproduction saw.
func (f *explainFlags) verified(ctx context.Context, card guide.Card, p cardProof) (cardProof, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // so that the lab is closed
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	lab := &guide.Lab{}
	defer lab.Close()
	var seen guide.Outcome
	var err error
	switch {
	case p.URL == "":
		seen, err = card.Repro.Try(ctx, lab)
	case card.Repro.Ask == nil:
		return p, notAsked(card.ID)
	default:
		seen, err = card.Repro.Ask(ctx, lab, p.URL)
	}
	if err != nil {
		return p, cannotTry(card.ID, err)
	}
	p.Verified = verifiedBy(card, seen)
	if seen.Missing != nil {
		p.Missing = missingSaid(seen.Missing)
	}
	p.Faulty, p.Mended, p.Shown = stepLines(seen.Faulty), stepLines(seen.Mended), seen.Shown
	return p, nil
}

// notAsked is why no server of the user's can be asked about a card, and what to do
// instead.
func notAsked(id string) error {
	refusal, _ := guide.Refused(id)
	return &hinted{
		fmt.Errorf("%s cannot be asked of a server: %s", id, refusal.Why),
		fmt.Sprintf("%s; seeother explain %s --verify, without a URL, shows it on this machine", refusal.Next, id),
	}
}

// cannotTry is why a reproduction did not run, with the next step where one is known.
func cannotTry(id string, err error) error {
	tried := fmt.Errorf("%s cannot be tried here: %w", id, err)
	if missing, ok := errors.AsType[*guide.MissingError](err); ok {
		return &hinted{tried, missing.Hint()}
	}
	return tried
}

// verifiedBy says what ran: the real thing, or its mechanism.
func verifiedBy(card guide.Card, seen guide.Outcome) string {
	if card.Repro.Real == "" || seen.Version == "" {
		return "mechanism"
	}
	name, number, found := strings.Cut(seen.Version, "/")
	if !found || !strings.EqualFold(name, card.Repro.Real) {
		return "real " + card.Repro.Real + " " + seen.Version
	}
	return "real " + card.Repro.Real + " " + number
}

func stepLines(steps []guide.Step) []string {
	out := make([]string, len(steps))
	for i, s := range steps {
		out[i] = s.Text
	}
	return slices.Clip(out)
}
