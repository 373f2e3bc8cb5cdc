package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store/open"
)

// Exit codes of "seeother once --key" beside the command's (sysexits.h).
const (
	exitOther     = 65 // EX_DATAERR: the key was used for another command
	exitLater     = 75 // EX_TEMPFAIL: somebody else is running it, or it is uncertain
	exitNotExec   = 126
	exitNotFound  = 127
	exitBySignals = 128
)

// linger is how long what the command left behind may go on with its output.
const linger = 10 * time.Second

// maxOutput is how much of each output is recorded, in bytes. All of it is
// passed on.
const maxOutput = 1 << 20

// onceRun is "seeother once --key".
type onceRun struct {
	key, scope           string
	ttl, remember        time.Duration
	lease, wait          time.Duration
	releaseFailed, quiet bool
}

func (f *onceRun) addFlags(verb *cobra.Command) {
	flags := verb.Flags()
	flags.StringVar(&f.key, "key", "", "run the command behind -- at most once for this `key`")
	flags.StringVar(&f.scope, "scope", "", "the `name` of a keyspace of its own")
	flags.DurationVar(&f.ttl, "ttl", 24*time.Hour, "how long the output is kept")
	flags.DurationVar(&f.remember, "remember", 30*24*time.Hour, "how long it is known that the command ran")
	flags.DurationVar(&f.lease, "lease", 30*time.Second, "how long a run counts as under way after this machine was last heard of")
	flags.DurationVar(&f.wait, "wait", 10*time.Minute, "how long to wait for somebody else who is running it")
	flags.BoolVar(&f.releaseFailed, "retry-failed", false, "a command that ends with another code than 0 has done nothing, and may run again")
	flags.BoolVar(&f.quiet, "quiet", false, "say nothing but what the command says")
}

// ran is what is recorded of a run.
type ran struct {
	Exit      int       `json:"exit"`
	Stdout    []byte    `json:"stdout,omitempty"`
	Stderr    []byte    `json:"stderr,omitempty"`
	Truncated bool      `json:"truncated,omitempty"`
	Ended     time.Time `json:"ended"`
}

func (f *onceRun) task(command []string) (once.Task, error) {
	// No argument has a NUL in it, and JSON would make all that is not UTF-8 alike.
	sum := sha256.Sum256([]byte(strings.Join(command, "\x00")))
	t := once.Task{
		Key: f.key, Scope: cmp.Or(f.scope, "command"), Name: command[0][:min(len(command[0]), once.MaxScope)], Input: sum[:],
		Lease: f.lease, Retention: f.ttl, Tombstone: max(f.remember, f.ttl),
	}
	return t, t.Validate()
}

func (f *onceRun) run(cmd *cobra.Command, args []string, records *onceRecords) error {
	const hint = "for example: seeother once --key report-2026-11 -- ./report.sh"
	switch {
	case f.key == "" && cmd.Flags().Changed("key"):
		return &usageError{errors.New("--key is empty"), "is a variable in it that is not set?"}
	case f.key == "":
		return &usageError{fmt.Errorf("once: %q: no --key", args[0]), hint}
	case f.ttl <= 0:
		return &usageError{fmt.Errorf("--ttl %s: want more than 0", f.ttl), hint}
	case f.remember < f.ttl && (f.remember <= 0 || cmd.Flags().Changed("remember")):
		return &usageError{fmt.Errorf("--remember %s: want at least the --ttl, %s", f.remember, f.ttl), hint}
	case len(args) == 0 || cmd.ArgsLenAtDash() != 0:
		return &usageError{errors.New("no command behind --"), hint}
	case strings.HasPrefix(records.store, "memory:"):
		return &usageError{errors.New("--store memory: forgets with this process"), "leave it out, or name a folder with --data"}
	case f.lease < 2*time.Second:
		return &usageError{fmt.Errorf("--lease %s: want at least 2s", f.lease), hint}
	}
	task, err := f.task(args)
	if err != nil {
		return &usageError{err, hint}
	}
	o := &onceCommand{flags: f, records: records, task: task, command: args, out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(), signals: make(chan os.Signal, 8)}
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(sig) { // nohup and a shell's & say that it is not for the command
			signal.Notify(o.signals, sig)
		}
	}
	defer signal.Stop(o.signals)
	ctx, quiet := o.untilSignal(cmd.Context(), 0)
	found, err := o.begin(ctx)
	switch sig := quiet(); {
	case sig != nil:
		return o.stopped(cmd.Context(), sig)
	case err != nil:
		return o.notBegun(err)
	}
	if found.Status != once.Execute {
		signal.Stop(o.signals)
	}
	switch found.Status {
	case once.Execute:
		return o.execute(cmd.Context(), found.Lease)
	case once.Duplicate:
		return o.repeat(found)
	case once.InFlight:
		return &exitError{&hinted{fmt.Errorf("key %q: somebody else is running it; its lease ends at %s", f.key, clock(found.Ends)), "try again later, or wait longer with --wait"}, exitLater}
	case once.Uncertain:
	}
	return &exitError{&hinted{
		fmt.Errorf("key %q: it was started at %s, and nobody knows whether it was done: %s", f.key, clock(found.First), found.Reason),
		fmt.Sprintf("find out, and then: seeother once resolve %s --as completed|released%s", found.ID, records.place()),
	}, exitLater}
}

// place is how a command line names the store.
func (r *onceRecords) place() string {
	if r.store != "" {
		return " --store URL" // it may hold a password
	}
	return " --data " + quoted(cmp.Or(r.data, dataDir(configfile.File{})))
}

// quoted is a word for a shell.
func quoted(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(c rune) bool {
		return !strings.ContainsRune("-_./:@%+=,", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// onceCommand is one run of it.
type onceCommand struct {
	flags       *onceRun
	records     *onceRecords
	task        once.Task
	command     []string
	out, errOut io.Writer
	signals     chan os.Signal // that reach us
	asked       bool           // the store was asked to start it
	open        sync.Mutex     // an embedded store is opened by one call at a time
}

// untilSignal gives a context that ends so long after the first signal. Quiet ends
// that, and gives the signal, if any: from then on they wait in o.signals.
func (o *onceCommand) untilSignal(parent context.Context, grace time.Duration) (ctx context.Context, quiet func() os.Signal) {
	ctx, cancel := context.WithCancel(parent)
	got := make(chan os.Signal, 1)
	go func() {
		defer close(got)
		select {
		case sig := <-o.signals:
			got <- sig
			select {
			case <-time.After(grace):
				cancel()
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
	}()
	return ctx, func() os.Signal {
		cancel()
		return <-got
	}
}

// guard calls do with the store open. The embedded one belongs to one process at
// a time: it is taken for a moment only, and others who do so are waited for.
func (o *onceCommand) guard(ctx context.Context, do func(context.Context, *once.Guard) error) error {
	o.open.Lock()
	defer o.open.Unlock()
	for end := time.Now().Add(lockWait); ; {
		err := o.records.with(ctx, once.Config{ResultLimit: 4 * maxOutput}, func(g *once.Guard) error { return do(ctx, g) })
		if !errors.Is(err, open.ErrLocked) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lockWait is how long others may have the embedded store open.
const lockWait = 15 * time.Second

// begin starts the task, or says what is there, after waiting for who is at it. An
// attempt whose answer was lost is asked for again by its token: nobody else gets it.
func (o *onceCommand) begin(ctx context.Context) (found once.Found, err error) {
	o.task.Token = rand.Text()
	told := false
	var failing time.Time
	for end := time.Now().Add(o.flags.wait); ; {
		found, err = o.ask(ctx)
		switch {
		case err == nil && (found.Status != once.InFlight || time.Now().After(end)):
			return found, nil
		case err == nil:
			failing = time.Time{}
			if !told {
				o.say("somebody else is running it: waiting for at most %s", o.flags.wait)
				told = true
			}
		case !o.asked || isAnswer(err):
			return found, err
		case failing.IsZero():
			failing = time.Now()
			o.say("asking again: %v", err)
		case time.Since(failing) > o.patience():
			return found, err
		}
		select {
		case <-ctx.Done():
			return found, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// ask asks once. What fails after the answer does not count.
func (o *onceCommand) ask(ctx context.Context) (found once.Found, err error) {
	answered := false
	err = o.guard(ctx, func(ctx context.Context, g *once.Guard) (err error) {
		o.asked = true
		found, err = g.Begin(ctx, o.task)
		answered = err == nil
		return err
	})
	if answered {
		err = nil
	}
	return found, err
}

// isAnswer is true for an error that says for sure that nothing was started.
func isAnswer(err error) bool {
	return errors.Is(err, once.ErrMismatch) || errors.Is(err, once.ErrDenied) || errors.Is(err, once.ErrDoubtful) || errors.Is(err, once.ErrTask)
}

// patience is how long is tried to reach a store that was there before.
func (o *onceCommand) patience() time.Duration { return min(o.flags.lease, time.Minute) }

// notBegun is how it ends when nothing was run.
func (o *onceCommand) notBegun(err error) error {
	if _, wrong := errors.AsType[*usageError](err); wrong {
		return err
	}
	if errors.Is(err, once.ErrMismatch) {
		return &exitError{&hinted{fmt.Errorf("key %q was used for another command", o.flags.key), "use a new key for a new command"}, exitOther}
	}
	if lasting(err) {
		return fmt.Errorf("nothing was run: %w", err)
	}
	if _, ok := errors.AsType[*hinted](err); ok {
		return &exitError{fmt.Errorf("nothing was run: %w", err), exitLater}
	}
	hint := "try again when the store answers"
	switch {
	case errors.Is(err, once.ErrDoubtful):
		hint = "end the doubt about those first: seeother once list --state uncertain" + o.records.place()
	case o.asked:
		hint += "; should the key be uncertain then, resolve it as released"
	}
	return &exitError{&hinted{fmt.Errorf("nothing was run: %w", err), hint}, exitLater}
}

// lasting is true for what does not pass by itself.
func lasting(err error) bool {
	return errors.Is(err, open.ErrUnusable) || errors.Is(err, open.ErrDurability) || errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOTDIR)
}

// stopped is how it ends when a signal came before the command was run. What may
// be on record is given back.
func (o *onceCommand) stopped(ctx context.Context, sig os.Signal) error {
	err := fmt.Errorf("%v: the command was not run", sig)
	if o.asked {
		err = errors.Join(err, o.settle(ctx, func(ctx context.Context, g *once.Guard) error {
			found, err := g.Begin(ctx, o.task)
			if err != nil || found.Status != once.Execute {
				return err
			}
			return g.Release(ctx, found.Lease, "it was stopped before the command began", nil)
		}))
	}
	return &exitError{err, exitBySignals + signalNumber(sig)}
}

func signalNumber(sig os.Signal) int {
	n, _ := sig.(syscall.Signal) // all that we ask for are
	return int(n)
}

func (o *onceCommand) say(format string, args ...any) {
	if !o.flags.quiet {
		_, _ = fmt.Fprintf(o.errOut, "seeother: "+format+"\n", args...) // nobody reads it, if anything
	}
}

// repeat prints what the first run printed, and ends as it did.
func (o *onceCommand) repeat(found once.Found) error {
	if !found.Kept {
		return &exitError{&hinted{fmt.Errorf("key %q: it was run at %s, and its output is not kept", o.flags.key, clock(found.First)), "use a new key to run it again"}, exitLater}
	}
	var r ran
	if err := json.Unmarshal(found.Result, &r); err != nil {
		return fmt.Errorf("record %s: %w", found.ID, err)
	}
	o.say("it ran before, at %s: this is its output again", clock(found.First))
	_, err1 := o.out.Write(r.Stdout)
	_, err2 := o.errOut.Write(r.Stderr)
	if r.Truncated {
		o.say("the rest of its output was not kept")
	}
	if r.Exit != 0 {
		return &exitError{errSilent, r.Exit}
	}
	return errors.Join(err1, err2)
}
