package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/repeats"
)

// repeatsFlags are the flags of "seeother repeats".
type repeatsFlags struct {
	format  string
	sure    string
	most    int
	fail    bool
	options repeats.Options
	log     string
}

// repeatsMemory is what the garbage collector tries to stay below. The limits of
// repeats hold by themselves; this keeps what is garbage small, too.
const repeatsMemory = 192 << 20

func newRepeats() *cobra.Command {
	f := repeatsFlags{}
	verb := &cobra.Command{
		Use:   "repeats [flags] ACCESS.LOG...",
		Short: "Say which submissions probably happened twice, from access logs",
		Long: `Read access logs, with nothing installed, and say which submissions probably
happened twice (double clicks, refreshes, retries) and which redirects lost a
method: how many, where, how far apart, how sure that is and why, with an example
of each and the setting that would have stopped it. docs/repeats.md has a session.

Logs are those of nginx, Apache and Caddy: common, combined, vhost_combined, or
JSON with one object a line. "-" is standard input; gzip is known by its first
bytes. Files may come in any order: their lines are read by time.

Addresses are shortened and values of queries hidden, unless asked for.

Exit codes: 0 the logs were read, whatever is in them, 1 with --fail something was
found that is at least as sure as --sure, or the work was interrupted, 2 a log
cannot be read or the command line is wrong.`,
		Example: `  seeother repeats /var/log/nginx/access.log*
  zcat access.log.*.gz | seeother repeats -
  seeother repeats --within 2m --sure low access.log
  seeother repeats --format json --fail access.log`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(verb)
	return verb
}

func (f *repeatsFlags) add(verb *cobra.Command) {
	flags := verb.Flags()
	flags.StringVar(&f.format, "format", formatText, "`format` of the report: text or json (one object)")
	flags.StringVar(&f.log, "log-format", string(repeats.Auto), "`format` of the logs: auto, common, combined, vhost-combined or json")
	flags.DurationVar(&f.options.Within, "within", 30*time.Second, "how far apart two submissions of the same may be")
	flags.StringVar(&f.sure, "sure", "medium", "leave out what is less sure than `level`: high, medium or low")
	flags.IntVar(&f.most, "max", 20, "show at most so many routes of each part as text; 0: all")
	flags.BoolVar(&f.fail, "fail", false, "end with 1 when something was found")
	flags.BoolVar(&f.options.ShowQuery, "show-query", false, "show the values of queries, and long tokens in paths")
	flags.BoolVar(&f.options.ShowClients, "show-clients", false, "show whole addresses")
	flags.IntVar(&f.options.Limits.Clients, "max-clients", 50_000, "watch at most so many `clients` at one time")
	flags.IntVar(&f.options.Limits.Requests, "max-requests", 200_000, "hold at most so many `requests` of theirs")
	flags.IntVar(&f.options.Limits.Line, "max-line", 1<<20, "skip lines of more `bytes`")
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatText, formatJSON}, cobra.ShellCompDirectiveNoFileComp))
	_ = verb.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions(logFormats(), cobra.ShellCompDirectiveNoFileComp))
	_ = verb.RegisterFlagCompletionFunc("sure", cobra.FixedCompletions(sureLevels, cobra.ShellCompDirectiveNoFileComp))
}

func logFormats() []string {
	var names []string
	for _, f := range repeats.Formats() {
		names = append(names, string(f))
	}
	return names
}

var sureLevels = []string{"high", "medium", "low"}

func (f *repeatsFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.check(args); err != nil {
		return err
	}
	files, total, err := logFiles(args, cmd.InOrStdin())
	if err != nil {
		return &exitError{err, exitUsage}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(repeatsMemory))
	progress := newProgress(cmd.ErrOrStderr())
	f.options.Progress = func(done int64) { progress.showBytes(done, total) }
	report, err := readLogs(ctx, files, f.options)
	progress.end()
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted, and nothing was written")
	case err != nil:
		return &exitError{f.explained(err), exitUsage}
	}
	return f.write(cmd.OutOrStdout(), report)
}

// explained says what was expected of a log that is none.
func (f *repeatsFlags) explained(err error) error {
	log, ok := errors.AsType[*repeats.UnreadableError](err)
	if !ok {
		return err
	}
	hint := "want " + log.Expected()
	if f.options.Format == repeats.Auto && log.Format != repeats.JSON {
		hint = "want a common, combined or JSON access log: " + log.Expected()
	}
	return &hinted{err, hint}
}

// readLogs ends with ctx, also where a read waits for input that does not come; it
// is left to the end of the program then.
func readLogs(ctx context.Context, files []repeats.File, o repeats.Options) (*repeats.Report, error) {
	type result struct {
		report *repeats.Report
		err    error
	}
	done := make(chan result, 1)
	go func() {
		report, err := repeats.Read(ctx, files, o)
		done <- result{report, err}
	}()
	select {
	case r := <-done:
		return r.report, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *repeatsFlags) check(args []string) error {
	const see = "see seeother repeats --help"
	switch {
	case len(args) == 0:
		return &usageError{errors.New("want the name of an access log"), "for example: seeother repeats /var/log/nginx/access.log; - is standard input"}
	case f.format != formatText && f.format != formatJSON:
		return &usageError{fmt.Errorf("--format %q: want text or json", f.format), see}
	case !slices.Contains(sureLevels, f.sure):
		return &usageError{fmt.Errorf("--sure %q: want high, medium or low", f.sure), see}
	case !slices.Contains(repeats.Formats(), repeats.Format(f.log)):
		return &usageError{fmt.Errorf("--log-format %q: want auto, common, combined, vhost-combined or json", f.log), see}
	case f.options.Within < time.Second || f.options.Within > time.Hour:
		return &usageError{fmt.Errorf("--within %v: want from 1s to 1h", f.options.Within), see}
	case f.most < 0:
		return &usageError{fmt.Errorf("--max %d: want 0 or more", f.most), "0 shows all"}
	case f.options.Limits.Clients < 1 || f.options.Limits.Requests < 1 || f.options.Limits.Line < 1:
		return &usageError{errors.New("--max-clients, --max-requests and --max-line: want 1 or more"), see}
	}
	f.options.Format = repeats.Format(f.log)
	return nil
}

// logFiles are the logs, each once, and how many bytes they have together; 0 where
// that is not known.
func logFiles(names []string, in io.Reader) ([]repeats.File, int64, error) {
	var files []repeats.File
	var infos []os.FileInfo
	var errs []error
	var total int64
	stdin, pipes := false, false
	for _, name := range names {
		if name == "-" {
			if !stdin {
				files = append(files, repeats.Stream("-", in))
			}
			stdin = true
			continue
		}
		info, err := os.Stat(name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case info.IsDir():
			errs = append(errs, fmt.Errorf("%s: is a folder; name the logs in it", name))
		case slices.ContainsFunc(infos, func(other os.FileInfo) bool { return os.SameFile(info, other) }):
		case !info.Mode().IsRegular(): // a pipe can be read only once
			f, err := os.Open(name) //nolint:gosec // whoever runs the command names it
			errs = append(errs, err)
			files = append(files, repeats.Stream(name, f))
			pipes = true
		default:
			infos = append(infos, info)
			files = append(files, repeats.OSFile(name))
			total += info.Size()
		}
	}
	if stdin || pipes {
		total = 0
	}
	return files, total, errors.Join(errs...)
}

// showBytes tells how much was read.
func (p *progress) showBytes(done, total int64) {
	if p == nil || time.Since(p.since) < time.Second || time.Since(p.shown) < time.Second/10 {
		return
	}
	p.shown = time.Now()
	of := ""
	if total > 0 {
		of = fmt.Sprintf(" of %s MB", grouped(int(total/1e6)))
	}
	_, _ = fmt.Fprintf(p.w, "\r\x1b[Kreading: %s MB%s", grouped(int(done/1e6)), of) // nobody reads it, if anything
}

// write writes what is sure enough, and says by the exit code whether it was anything.
func (f *repeatsFlags) write(w io.Writer, r *repeats.Report) error {
	f.leaveOut(r)
	var err error
	if f.format == formatJSON {
		var text []byte
		if text, err = plainJSON(r); err == nil {
			_, err = fmt.Fprintf(w, "%s\n", text)
		}
	} else {
		err = newRepeatsText(w, f.most).write(r, f.sure)
	}
	if err == nil && f.fail && len(r.Repeats)+len(r.Lost) > 0 {
		err = errFound
	}
	return err
}

// leaveOut takes groups away in which nothing is as sure as it was asked for, and
// counts the findings in them.
func (f *repeatsFlags) leaveOut(r *repeats.Report) {
	unsure := func(g repeats.Group) bool {
		if g.Sure.High > 0 || f.sure == "low" || f.sure == "medium" && g.Sure.Medium > 0 {
			return false
		}
		r.Summary.LeftOut += g.Count
		return true
	}
	r.Repeats = slices.DeleteFunc(r.Repeats, unsure)
	r.Lost = slices.DeleteFunc(r.Lost, unsure)
}
