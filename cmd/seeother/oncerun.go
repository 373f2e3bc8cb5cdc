package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

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
	flags.StringVar(&f.scope, "scope", "", "a keyspace of its `own`")
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
	case f.key == "":
		return &usageError{fmt.Errorf("once: %q: no --key", args[0]), hint}
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
	o := &onceCommand{flags: f, records: records, task: task, command: args, out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr()}
	found, err := o.begin(cmd.Context())
	if err != nil {
		return o.notBegun(cmd.Context(), err)
	}
	switch found.Status {
	case once.Execute:
		return o.execute(cmd.Context(), found.Lease)
	case once.Duplicate:
		return o.repeat(found)
	case once.InFlight:
		return &exitError{&hinted{fmt.Errorf("key %q: somebody else is running it, until %s at least", f.key, clock(found.Ends)), "try again later, or wait longer with --wait"}, exitLater}
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
	open        sync.Mutex // an embedded store is opened by one call at a time
}

// guard calls do with the store open. The embedded one belongs to one process at
// a time: it is taken for a moment only, and others who do so are waited for.
func (o *onceCommand) guard(ctx context.Context, do func(*once.Guard) error) error {
	o.open.Lock()
	defer o.open.Unlock()
	for end := time.Now().Add(lockWait); ; {
		err := o.records.with(ctx, once.Config{ResultLimit: 4 * maxOutput}, do)
		if !errors.Is(err, open.ErrLocked) || time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// lockWait is how long others may have the embedded store open.
const lockWait = 15 * time.Second

// begin starts the task, or says what is there, after waiting for who is at it.
func (o *onceCommand) begin(ctx context.Context) (found once.Found, err error) {
	o.task.Token = rand.Text() // an attempt that failed half way is asked for again
	told := false
	for end := time.Now().Add(o.flags.wait); ; {
		err = o.guard(ctx, func(g *once.Guard) error {
			found, err = g.Begin(ctx, o.task)
			return err
		})
		if errors.Is(err, once.ErrMismatch) {
			return found, &exitError{&hinted{fmt.Errorf("key %q was used for another command", o.flags.key), "use a new key for a new command"}, exitOther}
		}
		if err != nil || found.Status != once.InFlight || time.Now().After(end) {
			return found, err
		}
		if !told {
			o.say("somebody else is running it: waiting for at most %s", o.flags.wait)
			told = true
		}
		select {
		case <-ctx.Done():
			return found, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// notBegun is how it ends when the store could not be asked: a job may be tried
// again then.
func (o *onceCommand) notBegun(ctx context.Context, err error) error {
	if _, told := errors.AsType[*exitError](err); told || ctx.Err() != nil {
		return err
	}
	if _, wrong := errors.AsType[*usageError](err); wrong {
		return err
	}
	return &exitError{&hinted{fmt.Errorf("nothing was run: %w", err), "try again when the store answers"}, exitLater}
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

// beginning keeps the beginning of an output, and passes all of it on.
type beginning struct {
	to   io.Writer
	kept bytes.Buffer
	cut  bool
}

func (h *beginning) Write(p []byte) (int, error) {
	n := min(len(p), maxOutput-h.kept.Len())
	h.kept.Write(p[:n])
	h.cut = h.cut || n < len(p)
	_, _ = h.to.Write(p) // who reads it may be gone: the command goes on
	return len(p), nil
}

// execute runs the command and records how it ended. What is recorded does not
// depend on who goes away meanwhile.
func (o *onceCommand) execute(stopped context.Context, lease once.Lease) error {
	ctx := context.WithoutCancel(stopped)
	signals := make(chan os.Signal, 8)
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(sig) { // nohup and a shell's & say that it is not for the command
			signal.Notify(signals, sig)
		}
	}
	defer signal.Stop(signals)
	broken := make(chan os.Signal, 1) // else a reader that is gone would end this process before the record
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	child := exec.Command(o.command[0], o.command[1:]...) //nolint:gosec // to run it is what was asked for
	stdout, stderr := &beginning{to: o.out}, &beginning{to: o.errOut}
	child.Stdin, child.Stdout, child.Stderr, child.WaitDelay = os.Stdin, stdout, stderr, linger
	if stopped.Err() != nil { // by a signal that came before the ones above
		released := o.guard(ctx, func(g *once.Guard) error {
			return g.Release(ctx, lease, "it was stopped before the command began", nil)
		})
		return errors.Join(stopped.Err(), released)
	}
	if err := child.Start(); err != nil {
		return o.notStarted(ctx, lease, err)
	}
	stop := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { o.passOn(child.Process, signals, stop) })
	beside.Go(func() { o.keep(ctx, lease, stop) })
	err := child.Wait()
	close(stop)
	beside.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		stdout.cut = true
		o.say("the command ended, and something it left behind goes on with its output: that is not recorded")
	}
	return o.record(ctx, lease, child, err, stdout, stderr)
}

// notStarted gives the key back: it is proved that nothing ran.
func (o *onceCommand) notStarted(ctx context.Context, lease once.Lease, err error) error {
	released := o.guard(ctx, func(g *once.Guard) error { return g.Release(ctx, lease, "the command could not be started", nil) })
	code := exitNotExec
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		code = exitNotFound
	}
	return &exitError{errors.Join(fmt.Errorf("command %q: %w", o.command[0], err), released), code}
}

// passOn sends the command the signals that reach us. A terminal's Ctrl-C reaches
// it by itself.
func (o *onceCommand) passOn(p *os.Process, signals <-chan os.Signal, stop <-chan struct{}) {
	for {
		select {
		case sig := <-signals:
			if sig == os.Interrupt && sharesTerminal() {
				continue
			}
			_ = p.Signal(sig) // it may have ended
		case <-stop:
			return
		}
	}
}

// sharesTerminal reports whether Ctrl-C of the terminal reaches the command, too.
func sharesTerminal() bool {
	group, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// keep extends the lease while the command runs.
func (o *onceCommand) keep(ctx context.Context, lease once.Lease, stop <-chan struct{}) {
	tick := time.NewTicker(o.flags.lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		err := o.guard(ctx, func(g *once.Guard) error {
			_, err := g.Extend(ctx, lease, o.flags.lease)
			return err
		})
		if err != nil {
			o.say("the lease could not be extended: %v", err)
		}
		if errors.Is(err, once.ErrFenced) {
			return
		}
	}
}

// settle is guard for the end, which is tried again for as long as a lease
// lasts: a server that restarts must not leave doubt about what is known.
func (o *onceCommand) settle(ctx context.Context, do func(*once.Guard) error) error {
	for end := time.Now().Add(o.flags.lease); ; {
		err := o.guard(ctx, do)
		if err == nil || errors.Is(err, once.ErrFenced) || time.Now().After(end) {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// record writes down how the command ended. One that a signal killed is uncertain:
// nobody knows how far it came.
func (o *onceCommand) record(ctx context.Context, lease once.Lease, child *exec.Cmd, ended error, stdout, stderr *beginning) error {
	status, ok := child.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		why := fmt.Sprintf("signal %d killed the command", status.Signal())
		err := o.settle(ctx, func(g *once.Guard) error { return g.Doubt(ctx, lease, why, nil) })
		return &exitError{errors.Join(fmt.Errorf("command %q: %w", o.command[0], ended), err), exitBySignals + int(status.Signal())}
	}
	code := child.ProcessState.ExitCode()
	err := o.settle(ctx, func(g *once.Guard) error {
		if code != 0 && o.flags.releaseFailed {
			return g.Release(ctx, lease, fmt.Sprintf("the command ended with %d, which says that it did nothing", code), nil)
		}
		body, err := json.Marshal(ran{
			Exit: code, Stdout: stdout.kept.Bytes(), Stderr: stderr.kept.Bytes(), Truncated: stdout.cut || stderr.cut, Ended: time.Now().UTC(),
		})
		if err != nil {
			return err
		}
		return g.Complete(ctx, lease, once.Done{Result: body})
	})
	if err != nil {
		return &exitError{&hinted{
			fmt.Errorf("the command ended with %d, and that could not be recorded: %w", code, err),
			"the key becomes uncertain when its lease ends; resolve it then",
		}, cmp.Or(code, exitLater)}
	}
	if code != 0 {
		return &exitError{errSilent, code}
	}
	return nil
}
