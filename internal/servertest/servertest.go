// Package servertest starts real database servers for tests and benchmarks: on
// loopback, on a free port, with their data in a folder of the caller's, and
// stops them by their own process id. Nothing in the product imports it.
package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ErrMissing means that the server's program is not on this machine.
var ErrMissing = errors.New("not installed")

// patience is how long a server may take to start.
const patience = 60 * time.Second

// claims hold the ports that were given out: the same port for UDP, which no
// server of ours wants, so that no other test, of any process, gets it meanwhile.
var claims struct {
	sync.Mutex

	held []net.PacketConn
}

// FreePort is a TCP port of 127.0.0.1 on which nobody listens, and which nobody else
// gets from here while this process lives. It is below those that Linux gives to
// outgoing connections.
func FreePort() (int, error) {
	claims.Lock()
	defer claims.Unlock()
	for {
		port := 20_000 + rand.IntN(10_000)
		addr := "127.0.0.1:" + strconv.Itoa(port)
		claim, err := net.ListenPacket("udp", addr)
		if err == nil {
			var l net.Listener
			if l, err = net.Listen("tcp", addr); err == nil {
				claims.held = append(claims.held, claim)
				return port, l.Close()
			}
			_ = claim.Close() // it is somebody's
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return 0, err
		}
	}
}

// server is a process that can be killed and started again.
type server struct {
	command func() *exec.Cmd
	ready   func(context.Context) error

	mu   sync.Mutex
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when the process has ended
}

// output keeps the beginning of what a server says.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() < 64<<10 {
		o.buf.Write(p)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Start starts the server, and waits until it answers.
func (s *server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd, s.out, s.done = s.command(), &output{}, make(chan struct{})
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if s.cmd.SysProcAttr == nil {
		s.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	dieWithParent(s.cmd.SysProcAttr)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, done := s.cmd, s.done
	go func() {
		_ = cmd.Wait() // how it ended is not of interest
		close(done)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("%s ended: %s", cmd.Path, s.out)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: %s", cmd.Path, err, s.out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// signal sends a signal, and waits until the process has ended.
func (s *server) signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig) // it may have ended
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// Freeze stops the server in the middle of what it does, until Thaw.
func (s *server) Freeze() error { return s.send(syscall.SIGSTOP) }

// Thaw has a frozen server go on.
func (s *server) Thaw() error { return s.send(syscall.SIGCONT) }

func (s *server) send(sig os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Signal(sig)
}

// Kill ends the server at once, as a crash does.
func (s *server) Kill() { s.signal(syscall.SIGKILL) }

// Output is the beginning of what the server has said, for a test that failed.
func (s *server) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}
