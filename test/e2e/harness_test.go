package e2e

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

// patience bounds every wait for something that must happen. It is long, since
// a busy machine is no failure.
const patience = 60 * time.Second

// binary is the seeother command under test, in a folder that other users can
// read.
var binary string

func TestMain(m *testing.M) {
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func build(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "seeother-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	binary = filepath.Join(dir, "seeother")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/seeother").CombinedOutput()
	if err != nil {
		return 1, fmt.Errorf("go build: %w\n%s", err, out)
	}
	defer closeBrowser()
	return m.Run(), nil
}

// need says that the test cannot do without something that this machine may
// not have. The test is left out then; or it fails, where SEEOTHER_TEST_ALL is
// set, as in CI.
func need(t *testing.T, what string, missing error) {
	t.Helper()
	switch {
	case missing == nil:
	case os.Getenv("SEEOTHER_TEST_ALL") != "":
		t.Fatalf("%s is missing, and SEEOTHER_TEST_ALL wants every test: %v", what, missing)
	default:
		t.Skipf("left out: needs %s: %v", what, missing)
	}
}

func needCommand(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	need(t, name, err)
	return path
}

// freeAddr is a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	port, err := servertest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(port)
}

// process is a command that runs in a process group of its own, and is ended
// with all its children when the test is over.
type process struct {
	name string
	cmd  *exec.Cmd
	out  output // what it wrote to stdout and stderr
	done chan struct{}
	err  error // set when done is closed
}

// command is what start runs.
type command struct {
	path string
	args []string
	dir  string
	env  []string // beside this process's own
	user *syscall.Credential
}

func start(t *testing.T, c command) *process {
	t.Helper()
	p := &process{name: filepath.Base(c.path), cmd: exec.Command(c.path, c.args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = c.dir, append(os.Environ(), c.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.user}
	p.cmd.WaitDelay = 5 * time.Second // for children that keep the output open
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %s wrote:\n%s", p.name, strings.Join(c.args, " "), p.out.tail())
		}
	})
	return p
}

// kill ends the whole group at once, as kill -9 does, and waits for it.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may be gone already
	<-p.done
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: signal %v: %v", p.name, s, err)
	}
}

// exit waits for the process to end by itself and returns its exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s has not ended:\n%s", p.name, p.out.tail())
		return -1
	}
}

// output keeps what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) tail() string {
	s := o.String()
	if cut := len(s) - 4000; cut > 0 {
		return "[...] " + s[cut:]
	}
	return s
}

// eventually asks until ok says yes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitURL waits until url answers 200. It fails as soon as the process ends.
func (p *process) awaitURL(t *testing.T, url string) {
	t.Helper()
	eventually(t, url, func() bool {
		select {
		case <-p.done:
			t.Fatalf("%s ended (%v) before %s answered:\n%s", p.name, p.err, url, p.out.tail())
		default:
		}
		res, err := plain.Get(url)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// gateway is a running `seeother run`.
type gateway struct {
	*process
	url, admin string
	data       string
	store      string // the URL of one, instead of data
	upstream   string
	listen     string
	adminAddr  string
}

// runGateway starts a gateway in front of upstream, with a store of its own.
func runGateway(t *testing.T, upstream string, flags ...string) *gateway {
	t.Helper()
	return runGatewayOn(t, upstream, "", flags...)
}

// runGatewayOn is runGateway on the store of a URL; empty: on one of its own.
func runGatewayOn(t *testing.T, upstream, store string, flags ...string) *gateway {
	t.Helper()
	g := &gateway{
		upstream: upstream, listen: freeAddr(t), adminAddr: freeAddr(t),
		data: filepath.Join(t.TempDir(), "data"), store: store,
	}
	g.url, g.admin = "http://"+g.listen, "http://"+g.adminAddr
	g.again(t, flags...)
	return g
}

// again starts the gateway with the same addresses and store as before.
func (g *gateway) again(t *testing.T, flags ...string) {
	t.Helper()
	place := []string{"--data", g.data}
	if g.store != "" {
		place = []string{"--store", g.store}
	}
	args := append([]string{"run", g.upstream, "--listen", g.listen, "--admin", g.adminAddr}, append(place, flags...)...)
	g.process = start(t, command{path: binary, args: args})
	g.awaitURL(t, g.admin+"/healthz")
}

// once runs `seeother once` against the gateway and returns what it printed.
func (g *gateway) once(t *testing.T, args ...string) string {
	t.Helper()
	all := append([]string{"once"}, args...)
	out, err := exec.Command(binary, append(all, "--admin", g.adminAddr)...).CombinedOutput()
	if err != nil {
		t.Fatalf("seeother %s: %v\n%s", strings.Join(all, " "), err, out)
	}
	return string(out)
}

// awaitRunning waits until the app works on n guarded requests.
func (g *gateway) awaitRunning(t *testing.T, n int) {
	t.Helper()
	want := fmt.Sprintf(`"running":%d`, n)
	eventually(t, "a guarded request to run", func() bool {
		a, err := try(t.Context(), request{method: "GET", url: g.admin + "/api/v1/status"})
		return err == nil && strings.Contains(strings.ReplaceAll(a.body, " ", ""), want)
	})
}

// plain is a client that shows redirects as they are, and whose connections
// are its own.
var plain = &http.Client{
	Timeout:       5 * patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 2 * time.Second},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// request is one that a test sends. A key that is not empty becomes the
// Idempotency-Key.
type request struct {
	method, url string
	key         string
	body        string
	header      map[string]string
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) replayed() bool { return a.header.Get("Idempotent-Replayed") == "true" }

func try(ctx context.Context, r request) (answer, error) {
	var body io.Reader = http.NoBody
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return answer{}, err
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
		req.GetBody = nil // or Go's client repeats one with a key, when its connection dies
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	res, err := plain.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}, err
}

func send(t *testing.T, r request) answer {
	t.Helper()
	a, err := try(t.Context(), r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.url, err)
	}
	return a
}

// wantProblem fails unless a is a problem with this status and type that a
// person can read.
func wantProblem(t *testing.T, a answer, status int, kind string) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.body, "/"+kind+`"`) {
		t.Errorf("got %d %s %s; want a problem %d %q", a.status, a.header.Get("Content-Type"), a.body, status, kind)
	}
}

// run runs a command to its end and returns its output; it must succeed.
func run(t *testing.T, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", path, strings.Join(args, " "), err, out.String(), problems.String())
	}
	return out.String()
}

// seeother runs the command to its end and returns its exit code and output.
func seeother(t *testing.T, user *syscall.Credential, args ...string) (int, string) {
	t.Helper()
	p := start(t, command{path: binary, args: args, user: user, dir: os.TempDir()})
	code := p.exit(t)
	return code, p.out.String()
}
