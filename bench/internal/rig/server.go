// Package rig is what the benchmarks that measure real servers side by side
// have in common: it starts each on one core, loads it with wrk, and reads what
// it used from /proc. It needs Linux, taskset and wrk.
package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 15 * time.Second // a server that does not listen by then is broken
	stopLimit  = 5 * time.Second  // then it is killed
)

// Server is one running program that answers on Addr.
type Server struct {
	Name  string
	Addr  string    // host:port
	Began time.Time // when its process was started

	cmd     *exec.Cmd
	done    chan struct{} // closed once the process has ended
	logName string
}

// Pinned is a command that runs on one core only.
func Pinned(ctx context.Context, cpu int, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(cpu), name}, args...)...)
}

// Start runs cmd and waits until it listens on addr. A server that comes with
// an error must be stopped, too.
func Start(name, addr, dir string, cmd *exec.Cmd) (*Server, error) {
	s, err := Launch(name, addr, dir, cmd)
	if err != nil {
		return nil, err
	}
	_, err = s.Await(startLimit, 20*time.Millisecond, s.listens)
	return s, err
}

// Launch runs cmd, which will answer on addr, and waits for nothing. Its output
// goes to a file in dir, as a service's would.
func Launch(name, addr, dir string, cmd *exec.Cmd) (*Server, error) {
	logName := filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".log")
	log, err := os.Create(logName)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own copy
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	if !slices.ContainsFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "GOMAXPROCS=") }) {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1") // one core each, and no more
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	s := &Server{Name: name, Addr: addr, Began: time.Now(), cmd: cmd, done: make(chan struct{}), logName: logName}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("server %q: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is of no interest: it was told to
		close(s.done)
	}()
	return s, nil
}

// Await asks ready again and again, with a pause between, until it returns nil.
// It says how long that was since the process was started.
func (s *Server) Await(limit, pause time.Duration, ready func() error) (time.Duration, error) {
	last := errors.New("was never asked")
	for time.Since(s.Began) < limit {
		if last = ready(); last == nil {
			return time.Since(s.Began), nil
		}
		select {
		case <-s.done:
			return 0, fmt.Errorf("server %q: ended at once\n%s", s.Name, s.log())
		case <-time.After(pause):
		}
	}
	return 0, fmt.Errorf("server %q: not ready after %s: %w\n%s", s.Name, limit, last, s.log())
}

// log is what the server wrote; it only makes errors clearer.
func (s *Server) log() []byte {
	text, _ := os.ReadFile(s.logName)
	return text[max(0, len(text)-2000):]
}

func (s *Server) listens() error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Signal sends sig to the program, not to its workers.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Stop asks the process to end, and kills it when it does not.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// FreeAddr is a loopback address on which nobody listens. Its port is below those
// that Linux gives to outgoing connections: a server may take seconds until it
// listens, and a load makes many of those.
func FreeAddr() (string, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(20_000+rand.IntN(10_000)))
		switch {
		case err == nil:
			return l.Addr().String(), l.Close()
		case !errors.Is(err, syscall.EADDRINUSE):
			return "", err
		}
	}
}

// Build makes the program of a package of this module, and returns its name.
func Build(ctx context.Context, dir, name, pkg string) (string, error) {
	program := filepath.Join(dir, name)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, pkg)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return program, nil
}

// Missing reports each of the programs that is not installed.
func Missing(programs ...string) error {
	var errs []error
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, fmt.Errorf("%q is not here: apt-get install util-linux wrk nginx-light haproxy caddy", program))
		}
	}
	return errors.Join(errs...)
}
