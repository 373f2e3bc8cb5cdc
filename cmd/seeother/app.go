package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// appGrace is how long the app may take to end before it is killed.
const appGrace = 10 * time.Second

// app is the command behind the gateway, in a process group of its own: the
// gateway decides when it ends, also on Ctrl-C.
type app struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; set before done is closed
}

// startApp starts a command that listens on port.
func startApp(command []string, port string, out, errOut io.Writer) (*app, error) {
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // the command line of the operator
	cmd.Stdout, cmd.Stderr = out, errOut
	// PORT is what most apps read; flask run has a name of its own.
	cmd.Env = append(os.Environ(), "PORT="+port, "FLASK_RUN_PORT="+port)
	cmd.SysProcAttr = appAttributes()
	cmd.WaitDelay = time.Second // for children that keep the output open
	a := &app{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel tells the app of the death of the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		a.err = cmd.Wait()
		close(a.done)
	}()
	if err := <-started; err != nil {
		return nil, &hinted{fmt.Errorf("command %q: %w", command[0], unwrapped(err)), "what follows -- is run as it is, without a shell"}
	}
	return a, nil
}

func unwrapped(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	return err
}

// signal passes a signal on to the app and its children.
func (a *app) signal(s syscall.Signal) {
	_ = syscall.Kill(-a.cmd.Process.Pid, s) // it may be gone already
}

// stop asks the app to end and kills it when it does not. Nothing of its group
// is left behind.
func (a *app) stop() {
	a.signal(syscall.SIGTERM)
	select {
	case <-a.done:
	case <-time.After(appGrace):
	}
	a.signal(syscall.SIGKILL)
	<-a.done
}

// ended is the error with which the gateway ends when the app did, by itself.
func (a *app) ended() error {
	exit, ok := errors.AsType[*exec.ExitError](a.err)
	switch {
	case a.err == nil:
		return nil
	case !ok:
		return fmt.Errorf("the app ended: %w", a.err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &exitError{fmt.Errorf("the app ended: %w", a.err), 128 + int(status.Signal())} // as shells do
	}
	return &exitError{fmt.Errorf("the app ended: %w", a.err), exit.ExitCode()}
}

// freePort is a loopback port that nobody listens on at this moment.
func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, errors.Join(err, ln.Close())
}
