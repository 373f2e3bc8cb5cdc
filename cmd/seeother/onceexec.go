package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seeother/seeother/once"
)

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
func (o *onceCommand) execute(ctx context.Context, lease once.Lease) error {
	broken := make(chan os.Signal, 1) // else a reader that is gone would end this process before the record
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	child := exec.Command(o.command[0], o.command[1:]...) //nolint:gosec // to run it is what was asked for
	stdout, stderr := &beginning{to: o.out}, &beginning{to: o.errOut}
	child.Stdin, child.Stdout, child.Stderr, child.WaitDelay = os.Stdin, stdout, stderr, linger
	if err := child.Start(); err != nil {
		return o.notStarted(ctx, lease, err)
	}
	stop := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { o.passOn(child.Process, stop) })
	beside.Go(func() { o.keep(ctx, lease, child.Process, stop) })
	err := child.Wait()
	close(stop)
	beside.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		stdout.cut = true
		o.say("the command ended, and something that it left behind still had its output: what it writes now is lost, and may end it")
	}
	return o.record(ctx, lease, child.ProcessState, stdout, stderr)
}

// notStarted gives the key back: it is proved that nothing ran.
func (o *onceCommand) notStarted(ctx context.Context, lease once.Lease, err error) error {
	released := o.settle(ctx, func(ctx context.Context, g *once.Guard) error {
		return g.Release(ctx, lease, "the command could not be started", nil)
	})
	code := exitNotExec
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		code = exitNotFound
	}
	err = fmt.Errorf("command %q: %w", o.command[0], err)
	if released == nil {
		err = &hinted{err, "nothing was run, and the key is free"}
	}
	return &exitError{errors.Join(err, released), code}
}

// passOn sends the command the signals that reach us. A terminal's Ctrl-C reaches
// it by itself.
func (o *onceCommand) passOn(p *os.Process, stop <-chan struct{}) {
	for {
		select {
		case sig := <-o.signals:
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
	tty, err := os.Open("/dev/tty") // whatever standard input is
	if err != nil {
		return false
	}
	defer func() { _ = tty.Close() }() // it was only asked
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// keep extends the lease while the command runs. A command that may run a second
// time meanwhile is told to end.
func (o *onceCommand) keep(ctx context.Context, lease once.Lease, p *os.Process, stop <-chan struct{}) {
	tick := time.NewTicker(o.flags.lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		overtaken := false
		short, cancel := context.WithTimeout(ctx, o.flags.lease/3)
		err := o.guard(short, func(ctx context.Context, g *once.Guard) error {
			_, err := g.Extend(ctx, lease, o.flags.lease)
			if errors.Is(err, once.ErrFenced) {
				s, shown := g.Show(ctx, lease.ID)
				overtaken = shown == nil && (s.State != once.StateUncertain || s.Generation != lease.Generation)
			}
			return err
		})
		cancel()
		if err != nil {
			o.say("the lease could not be extended: %v", err)
		}
		if overtaken {
			o.say("somebody settled the key meanwhile: the command is told to end")
			_ = p.Signal(syscall.SIGTERM) // it may have ended
		}
		if errors.Is(err, once.ErrFenced) {
			return
		}
	}
}

// settleAfterSignal is how long a store that is there needs at most.
const settleAfterSignal = 5 * time.Second

// settle is guard for the end, which is tried again for a while: a server that
// restarts must not leave doubt about what is known. A signal ends it soon.
func (o *onceCommand) settle(ctx context.Context, do func(context.Context, *once.Guard) error) error {
	ctx, quiet := o.untilSignal(ctx, settleAfterSignal)
	defer quiet()
	ctx, cancel := context.WithTimeout(ctx, o.patience())
	defer cancel()
	for {
		err := o.guard(ctx, do)
		if err == nil || errors.Is(err, once.ErrFenced) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// doubtful is why nobody knows how far a command came that ended like that, or
// nothing. Shells end with 128 and the number of the signal that killed what they
// ran.
func doubtful(s *os.ProcessState) string {
	status, _ := s.Sys().(syscall.WaitStatus)
	switch code := s.ExitCode(); {
	case status.Signaled():
		return fmt.Sprintf("signal %d killed the command", status.Signal())
	case code > exitBySignals && code <= exitBySignals+64:
		return fmt.Sprintf("the command ended with %d: signal %d killed what it ran", code, code-exitBySignals)
	}
	return ""
}

// record writes down how the command ended. One that a signal killed is uncertain:
// nobody knows how far it came.
func (o *onceCommand) record(ctx context.Context, lease once.Lease, ended *os.ProcessState, stdout, stderr *beginning) error {
	if why := doubtful(ended); why != "" {
		err := o.settle(ctx, func(ctx context.Context, g *once.Guard) error { return g.Doubt(ctx, lease, why, nil) })
		code := ended.ExitCode()
		if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			code = exitBySignals + int(status.Signal())
		}
		return &exitError{&hinted{
			errors.Join(fmt.Errorf("command %q: %s: the key is uncertain", o.command[0], why), err),
			fmt.Sprintf("find out, and then: seeother once resolve %s --as completed|released%s", lease.ID, o.records.place()),
		}, code}
	}
	code := ended.ExitCode()
	body, err := json.Marshal(ran{ // once: to complete again must be the same
		Exit: code, Stdout: stdout.kept.Bytes(), Stderr: stderr.kept.Bytes(), Truncated: stdout.cut || stderr.cut, Ended: time.Now().UTC(),
	})
	if err != nil {
		return err
	}
	err = o.settle(ctx, func(ctx context.Context, g *once.Guard) error {
		if code != 0 && o.flags.releaseFailed {
			return g.Release(ctx, lease, fmt.Sprintf("the command ended with %d, which says that it did nothing", code), nil)
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
