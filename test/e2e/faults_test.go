package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"

	"golang.org/x/sys/unix"
)

// TestDroppedConnectionRunsOnce holds the duty of SEMANTICS: what may have
// reached the app is never repeated. Go's Transport repeats a request without
// a body that carries a key when a connection that it used before dies.
func TestDroppedConnectionRunsOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, config    string
		reused, guarded bool
	}{
		{"a connection of its own", "", false, true},
		{"a connection that was used before", "routes: [{name: all, path: /*, reuse: true}]\n", true, true},
		{"a route that is not guarded", "once: {stage: off}\n", true, false},
	} {
		for _, body := range []string{"", `{"item":"book"}`} {
			t.Run(fmt.Sprintf("%s, body %q", c.name, body), func(t *testing.T) {
				t.Parallel()
				a := newWire(t)
				g := harness.RunGateway(t, a.url, "--config", writeFile(t, "seeother.yaml", c.config))
				if got := send(t, request{method: "POST", url: g.URL + "/ok", key: "warm", body: body}); got.status != http.StatusCreated {
					t.Fatalf("the first = %d %s, want 201", got.status, got.body)
				}
				r := request{method: "POST", url: g.URL + "/drop", key: "drop", body: body}
				first := send(t, r)
				runs := a.got("/drop")
				if len(runs) != 1 || runs[0].body != body {
					t.Fatalf("the app ran %d times: %+v", len(runs), runs)
				}
				if reused := runs[0].nth > 0; reused != c.reused {
					t.Errorf("the connection was used before: %v, want %v", reused, c.reused)
				}
				if !c.guarded {
					wantProblem(t, first, http.StatusBadGateway, "upstream-broken")
					return
				}
				wantUncertain(t, g, first, r)
				if n := len(a.got("/drop")); n != 1 {
					t.Errorf("the app ran %d times after the repetitions", n)
				}
			})
		}
	}
}

// wantUncertain fails unless first says that the outcome of r is not known,
// and a repetition says so too.
func wantUncertain(t *testing.T, g *harness.Gateway, first answer, r request) {
	t.Helper()
	if first.status != http.StatusBadGateway || first.header.Get("Once-Outcome") != "uncertain" {
		t.Errorf("the first = %d, Once-Outcome %q, want 502 and uncertain", first.status, first.header.Get("Once-Outcome"))
	}
	again := send(t, r)
	wantProblem(t, again, http.StatusConflict, "outcome-uncertain")
	if again.header.Get("Retry-After") != "" {
		t.Error("an uncertain answer invites a retry")
	}
	if out := g.Once(t, "list", "--state", "uncertain"); !strings.Contains(out, member(t, again.body, "record")) {
		t.Errorf("the record is not listed as uncertain:\n%s", out)
	}
}

func TestAnswerCutShortIsUncertain(t *testing.T) {
	t.Parallel()
	a := newWire(t)
	g := harness.RunGateway(t, a.url)
	r := request{method: "POST", url: g.URL + "/cut", key: "cut", body: "{}"}
	first := send(t, r)
	if strings.Contains(first.body, "half of it") {
		t.Error("the client got half an answer")
	}
	wantUncertain(t, g, first, r)
	if n := len(a.got("/cut")); n != 1 {
		t.Errorf("the app ran %d times", n)
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	g := harness.RunGateway(t, app.url)
	for name, key := range map[string]string{
		"not closed":    `"8e03978e`,
		"two words":     "one two",
		"empty string":  `""`,
		"a list":        "a, b",
		"256 bytes":     strings.Repeat("k", 256),
		"4096 bytes":    strings.Repeat("k", 4096),
		"quoted, large": `"` + strings.Repeat("k", 256) + `"`,
	} {
		r := order(g.URL, "malformed", 0)
		r.key = key
		a := send(t, r)
		wantProblem(t, a, http.StatusBadRequest, "key-malformed")
		if !strings.Contains(a.body, "255") {
			t.Errorf("%s: the answer does not say what a key looks like: %s", name, a.body)
		}
	}
	app.want(t, "malformed", 0)

	r := order(g.URL, "longest", 0)
	r.key = strings.Repeat("k", 255)
	if a := send(t, r); a.status != http.StatusCreated {
		t.Errorf("a key of 255 bytes = %d %s, want 201", a.status, a.body)
	}
	other := order(g.URL, "other", 0)
	other.key = r.key
	wantProblem(t, send(t, other), http.StatusUnprocessableEntity, "key-reused")
	app.want(t, "other", 0)
	app.want(t, "longest", 1)
}

func TestUnreachableAppReleasesTheKey(t *testing.T) {
	t.Parallel()
	addr := harness.FreeAddr(t)
	g := harness.RunGateway(t, "http://"+addr)
	r := order(g.URL, "unreachable", 0)
	for range 2 {
		a := send(t, r)
		wantProblem(t, a, http.StatusBadGateway, "upstream-unreachable")
		if got := a.header.Get("Once-Outcome"); got != "not-applied" {
			t.Errorf("Once-Outcome is %q, want not-applied", got)
		}
	}
	wantReady(t, g, false, "upstream")
	app := openLedger(t, addr)
	if a := send(t, r); a.status != http.StatusCreated || a.replayed() {
		t.Errorf("the same key = %d %s, want 201 from the app", a.status, a.body)
	}
	if a := send(t, r); a.status != http.StatusCreated || !a.replayed() {
		t.Errorf("and again = %d %s, want the first answer", a.status, a.body)
	}
	app.want(t, "unreachable", 1)
	wantReady(t, g, true, "")
}

// wantReady waits until /readyz says so, and names the check that fails.
func wantReady(t *testing.T, g *harness.Gateway, ready bool, failing string) {
	t.Helper()
	want := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[ready]
	harness.Eventually(t, fmt.Sprintf("/readyz to answer %d", want), func() bool {
		a, err := try(t.Context(), request{method: "GET", url: g.Admin + "/readyz"})
		return err == nil && a.status == want && (failing == "" || strings.Contains(a.body, `"name":"`+failing+`","ok":false`))
	})
}

func TestFullDiskStartsNothing(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	g := harness.RunGateway(t, app.url)
	if a := send(t, order(g.URL, "before", 0)); a.status != http.StatusCreated {
		t.Fatalf("with room = %d %s, want 201", a.status, a.body)
	}

	roomFor(t, g.Process, 0)
	for range 3 {
		a := send(t, order(g.URL, "full", 0))
		wantProblem(t, a, http.StatusServiceUnavailable, "store-unavailable")
		if a.header.Get("Retry-After") == "" {
			t.Error("the answer does not say when to try again")
		}
	}
	app.want(t, "full", 0)
	wantReady(t, g, false, "store")
	if a := send(t, request{method: "DELETE", url: g.URL + "/users/1"}); a.status != http.StatusSeeOther {
		t.Errorf("a request that needs no record = %d, want 303", a.status)
	}
	if !strings.Contains(g.Out.String(), "store") {
		t.Errorf("the log says nothing of the store:\n%s", g.Out.Tail())
	}

	roomFor(t, g.Process, unix.RLIM_INFINITY)
	wantReady(t, g, true, "")
	if a := send(t, order(g.URL, "full", 0)); a.status != http.StatusCreated || a.replayed() {
		t.Errorf("with room again = %d %s, want 201 from the app", a.status, a.body)
	}
	app.want(t, "full", 1)
	if a := send(t, order(g.URL, "before", 0)); a.status != http.StatusCreated || !a.replayed() {
		t.Errorf("what was there before = %d %s, want the first answer", a.status, a.body)
	}
	app.want(t, "before", 1)
}

// roomFor bounds how far the process may write into any file. Every write
// beyond fails, as on a full disk; it needs neither root nor a disk to fill.
func roomFor(t *testing.T, p *harness.Process, size uint64) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Prlimit(p.Cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &was); err != nil {
		t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: min(size, was.Max), Max: was.Max}
	if err := unix.Prlimit(p.Cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// nobody is a user without rights, or nil where the tests have none to give
// away.
func nobody() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "seeother-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	data, listen, admin := filepath.Join(dir, "data"), harness.FreeAddr(t), harness.FreeAddr(t)
	code, out := seeother(t, nobody(), "run", "5000", "--listen", listen, "--admin", admin, "--data", data)
	wantRefusal(t, code, out, 1, data, "permission denied", "--data")
	for _, addr := range []string{listen, admin} {
		if !gone(addr) {
			t.Errorf("something listens on %s", addr)
		}
	}
}

// wantRefusal fails unless the command ended with this code, an error, a hint
// and these parts.
func wantRefusal(t *testing.T, code int, out string, want int, parts ...string) {
	t.Helper()
	if code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
	for _, part := range append(parts, "seeother: error: ", "seeother: hint: ") {
		if !strings.Contains(out, part) {
			t.Errorf("the message lacks %q:\n%s", part, out)
		}
	}
	if strings.Contains(out, "panic") || strings.Contains(out, "goroutine") {
		t.Errorf("the message is a stack trace:\n%s", out)
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", harness.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for _, flags := range [][]string{{"--listen", taken, "--admin", harness.FreeAddr(t)}, {"--listen", harness.FreeAddr(t), "--admin", taken}} {
		args := append([]string{"run", "5000", "--data", filepath.Join(t.TempDir(), "data")}, flags...)
		code, out := seeother(t, nil, args...)
		wantRefusal(t, code, out, 1, "address "+taken+" is in use", "another address")
	}
}

func TestSecondGatewayOnOneFolder(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	g := harness.RunGateway(t, app.url)
	code, out := seeother(t, nil, "run", app.url, "--listen", harness.FreeAddr(t), "--admin", harness.FreeAddr(t), "--data", g.Data)
	if code != 1 || !strings.Contains(out, "seeother: error: ") || !strings.Contains(out, g.Data) || !strings.Contains(out, "another seeother uses it") {
		t.Errorf("the second gateway ended with exit code %d, want 1 and the reason:\n%s", code, out)
	}
	if a := send(t, order(g.URL, "first", 0)); a.status != http.StatusCreated {
		t.Errorf("the first gateway = %d %s, want 201", a.status, a.body)
	}
}

func TestCommandLineMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want, hint string
		args             []string
	}{
		{"unknown flag", "--nonsense", "seeother run --help", []string{"run", "--nonsense", "5000"}},
		{"unknown verb", `"rnu"`, `"seeother run"`, []string{"rnu", "5000"}},
		{"unknown verb of once", `"lits"`, `"seeother once list"`, []string{"once", "lits"}},
		{"no app", "no app", "http://127.0.0.1:5000", []string{"run"}},
		{"an app that is no address", `"ftp://x"`, "http://127.0.0.1:5000", []string{"run", "ftp://x"}},
		{"a number that is none", "many", "--help", []string{"once", "list", "--limit", "many"}},
	} {
		code, out := seeother(t, nil, c.args...)
		t.Run(c.name, func(t *testing.T) { wantRefusal(t, code, out, 2, c.want, c.hint) })
	}
}

func TestConfigurationMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, place, line, hint string }{
		{"unknown key", "upstream: 5000\nonce:\n  requird: true\n", ":3:3:", "  requird: true", "required"},
		{"bad value", "upstream: 5000\nlog:\n  level: info\n  format: xml\n", ":4:11:", "  format: xml", "json"},
		{"bad duration", "limits:\n  drain_timeout: soon\n", ":2:18:", "  drain_timeout: soon", "30s"},
	} {
		file := writeFile(t, "seeother.yaml", c.text)
		for _, args := range [][]string{{"config", "check", file}, {"run", "5000", "--config", file}} {
			code, out := seeother(t, nil, args...)
			t.Run(c.name+", "+args[0], func(t *testing.T) {
				wantRefusal(t, code, out, 2, file+c.place, " | "+c.line+"\n", "^\n", c.hint)
			})
		}
	}
	code, out := seeother(t, nil, "config", "check", filepath.Join(t.TempDir(), "nowhere.yaml"))
	if code != 1 || !strings.Contains(out, "nowhere.yaml") || !strings.Contains(out, "seeother: error: ") {
		t.Errorf("a file that is not there = exit code %d, %s", code, out)
	}
}

// writeFile makes a file in a folder of its own.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// gone reports whether nothing listens on addr.
func gone(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
