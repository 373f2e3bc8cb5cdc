package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/servertest"
)

// Patience bounds every wait for something that must happen. It is long, since
// a busy machine is no failure.
const Patience = 2 * time.Minute

// FreeAddr is a loopback address that nobody listens on.
func FreeAddr(t *testing.T) string {
	t.Helper()
	port, err := servertest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(port)
}

// Process is a command that runs in a process group of its own, and is ended
// with all its children when the test is over.
type Process struct {
	Name string
	Cmd  *exec.Cmd
	Out  Output // what it wrote to stdout and stderr
	Done chan struct{}
	Err  error // set when Done is closed
}

// Command is what Start runs.
type Command struct {
	Path string
	Args []string
	Dir  string
	Env  []string            // beside this process's own
	User *syscall.Credential // nil: who runs the tests

	Stdin  *os.File  // nil: nothing
	Stdout io.Writer // nil: Process.Out, beside stderr

	Ends bool // it is asked to end with SIGTERM before it is killed, so that it ends its own children
}

// Start starts a command, and ends it with the test. What it wrote is shown where
// the test fails.
func Start(t *testing.T, c Command) *Process {
	t.Helper()
	p := &Process{Name: filepath.Base(c.Path), Cmd: exec.Command(c.Path, c.Args...), Done: make(chan struct{})}
	p.Cmd.Dir, p.Cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	p.Cmd.Stdout, p.Cmd.Stderr = &p.Out, &p.Out
	if c.Stdin != nil {
		p.Cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		p.Cmd.Stdout = c.Stdout
	}
	p.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.User}
	endWithParent(p.Cmd.SysProcAttr)
	p.Cmd.WaitDelay = 5 * time.Second // for children that keep the output open
	if err := p.Cmd.Start(); err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	go func() {
		p.Err = p.Cmd.Wait()
		close(p.Done)
	}()
	t.Cleanup(func() {
		if c.Ends {
			p.end()
		}
		p.Kill()
		if t.Failed() {
			t.Logf("%s %s wrote:\n%s", p.Name, strings.Join(c.Args, " "), p.Out.Tail())
		}
	})
	return p
}

// Kill ends the whole group at once, as kill -9 does, and waits for it.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGKILL) // it may be gone already
	<-p.Done
}

// end asks the process to end, and waits a while.
func (p *Process) end() {
	_ = p.Cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-p.Done:
	case <-time.After(10 * time.Second):
	}
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: signal %v: %v", p.Name, s, err)
	}
}

// Exit waits for the process to end by itself and returns its exit code.
func (p *Process) Exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.Done:
		return p.Cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		t.Fatalf("%s has not ended:\n%s", p.Name, p.Out.Tail())
		return -1
	}
}

// AwaitURL waits until url answers 200. It fails as soon as the process ends.
func (p *Process) AwaitURL(t *testing.T, url string) {
	t.Helper()
	Eventually(t, url, func() bool {
		select {
		case <-p.Done:
			t.Fatalf("%s ended (%v) before %s answered:\n%s", p.Name, p.Err, url, p.Out.Tail())
		default:
		}
		status, _, err := get(url)
		return err == nil && status == http.StatusOK
	})
}

// AwaitLog waits until the process wrote text.
func (p *Process) AwaitLog(t *testing.T, text string) {
	t.Helper()
	Eventually(t, fmt.Sprintf("the log to say %q", text), func() bool {
		select {
		case <-p.Done:
			if !strings.Contains(p.Out.String(), text) {
				t.Fatalf("%s ended (%v) without saying %q:\n%s", p.Name, p.Err, text, p.Out.Tail())
			}
		default:
		}
		return strings.Contains(p.Out.String(), text)
	})
}

// Output keeps what a process writes.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write is called by the process.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String is all that was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Tail is the end of it.
func (o *Output) Tail() string {
	s := o.String()
	if cut := len(s) - 4000; cut > 0 {
		return "[...] " + s[cut:]
	}
	return s
}

// Eventually asks until ok says yes.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !Within(Patience, ok) {
		t.Fatalf("waited %v for %s", Patience, what)
	}
}

// Within asks until ok says yes, for so long; it says whether it did.
func Within(limit time.Duration, ok func() bool) bool {
	deadline, pause := time.Now().Add(limit), 10*time.Millisecond
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
		pause = min(pause*3/2, 200*time.Millisecond) // many browsers that are asked all the time get nothing done
	}
	return true
}

// Run runs a command to its end and returns its output; it must succeed.
func Run(t *testing.T, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", path, strings.Join(args, " "), err, out.String(), problems.String())
	}
	return out.String()
}

// plain is a client that shows redirects as they are.
var plain = &http.Client{
	Timeout:       Patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 2 * time.Second},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func get(url string) (status int, body string, err error) {
	res, err := plain.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}
