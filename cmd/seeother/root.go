package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/configfile"
)

// Exit codes.
const (
	exitFailed = 1 // it could not be done
	exitUsage  = 2 // the command line or the configuration is wrong
)

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSilent) {
		report(errOut, err)
	}
	return exitCode(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "seeother",
		Short: "Make every HTTP redirect right and every submission happen once",
		Long: `seeother stands in front of a web app and makes its redirects right and its
submissions happen once, without a change to the app.

  seeother demo                            see what it does, on a small shop
  seeother run http://127.0.0.1:5000       in front of an app that runs already
  seeother run -- flask run                start the app, too
  seeother check _redirects                what is wrong with redirect rules
  seeother match GET /old _redirects       which rule answers a request, and why
  seeother trace https://example.com/old   what becomes of a request, hop by hop
  seeother audit https://www.example.com/  what is wrong with a site's redirects and forms
  seeother import nginx nginx.conf         take rules over from another server
  seeother explain ERR_TOO_MANY_REDIRECTS  what an error or a status means, and proof
  seeother repeats access.log              what was submitted twice, by what logs tell
  seeother once list --state uncertain     what nobody knows the outcome of

Exit codes: 0 done, 1 it could not be done, 2 the command line or the
configuration is wrong. "seeother run -- COMMAND" ends with the code of the app
when the app ends by itself (128 and the number of the signal that killed it).`,
		Args:              noArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err, fmt.Sprintf("see %s --help", cmd.CommandPath())}
	})
	root.AddCommand(newRun(), newCheck(), newMatch(), newTrace(), newAudit(), newExplain(), newRules(), newImport(), newExport(), newRepeats(), newOnce(), newStage(), newMaintenance(), newConfig(), newSchema(), newDemo(), newVersion())
	return root
}

// usageError is a command line that makes no sense.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Hint says what to do about it.
func (e *usageError) Hint() string { return e.hint }

// hinted is an error with the next step.
type hinted struct {
	error

	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// Hint says what to do about it.
func (e *hinted) Hint() string { return e.hint }

// exitError ends the program with a code of its own.
type exitError struct {
	error

	code int
}

func (e *exitError) Unwrap() error { return e.error }

// errSilent is the error of a verb that has said everything already.
var errSilent = errors.New("")

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[configfile.Errors](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*rulesError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// report tells a person what went wrong, and what to do next.
func report(w io.Writer, err error) {
	if wrong, ok := errors.AsType[configfile.Errors](err); ok {
		for _, e := range wrong {
			tell(w, "error", e.Error())
			if snippet := e.Snippet(); snippet != "" {
				_, _ = fmt.Fprintln(w, snippet) // nobody reads it, if anything
			}
			if e.Hint != "" {
				tell(w, "hint", e.Hint)
			}
		}
		return
	}
	tell(w, "error", err.Error())
	if hint := hintOf(err); hint != "" {
		tell(w, "hint", hint)
	}
}

// hintOf is the next step that an error, or the first inside it, knows.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func tell(w io.Writer, what, text string) {
	if colored(w) {
		what = map[string]string{"error": "\x1b[31merror\x1b[0m", "hint": "\x1b[36mhint\x1b[0m"}[what]
	}
	_, _ = fmt.Fprintf(w, "seeother: %s: %s\n", what, strings.ReplaceAll(text, "\n", "\n  ")) // as above
}

// colored reports whether w is a terminal whose owner wants colours
// (https://no-color.org).
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// noArgs is for a verb that takes none; for one with sub-verbs, whatever comes
// is a slip of the pen.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+near[0])
	}
	if cmd.HasSubCommands() {
		return &usageError{fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath()), hint}
	}
	return &usageError{fmt.Errorf("%s takes no arguments, and got %q", cmd.CommandPath(), args[0]), hint}
}

// exactly wants n arguments, which names says in words.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return &usageError{
			fmt.Errorf("%s wants %s, and got %d arguments", cmd.CommandPath(), names, len(args)),
			fmt.Sprintf("see %s --help", cmd.CommandPath()),
		}
	}
}
