package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// ownApps are apps that the gateway starts by itself.
var ownApps = []struct {
	name  string
	says  string // what it writes once it listens
	start func(*testing.T) harness.Command
}{
	{"flask run", "Running on http://127.0.0.1:", flaskRun},
	{"node app.js", "listening on ", func(t *testing.T) harness.Command { return express(t, "") }},
}

// flaskRun is Flask's own server, as developers start it.
func flaskRun(t *testing.T) harness.Command {
	t.Helper()
	needFlask(t)
	return harness.Command{Path: python, Args: []string{"-m", "flask", "run"}, Dir: harness.Absolute(t, "apps/flask"), Env: []string{"PYTHONDONTWRITEBYTECODE=1"}}
}

// runWithApp starts `seeother run -- COMMAND` and waits until the app answers
// through the gateway. mark is in the environment of every process of it.
func runWithApp(t *testing.T, c harness.Command) (g *harness.Gateway, mark string) {
	t.Helper()
	mark = filepath.Join(t.TempDir(), "app.db")
	g = &harness.Gateway{Listen: harness.FreeAddr(t), AdminAddr: harness.FreeAddr(t), Data: filepath.Join(t.TempDir(), "data")}
	g.URL, g.Admin = "http://"+g.Listen, "http://"+g.AdminAddr
	args := append([]string{"run", "--listen", g.Listen, "--admin", g.AdminAddr, "--data", g.Data, "--", c.Path}, c.Args...)
	g.Process = harness.Start(t, harness.Command{Path: harness.Binary, Args: args, Dir: c.Dir, Env: append(c.Env, "APP_DB="+mark)})
	t.Cleanup(func() {
		for _, pid := range marked(t, mark) {
			syscall.Kill(pid, syscall.SIGKILL) // a test that failed leaves nothing either
		}
	})
	g.AwaitURL(t, g.URL+"/users/121")
	return g, mark
}

// marked returns the processes that have mark in their environment, whoever
// is their parent by now.
func marked(t *testing.T, mark string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(files) == 0 {
		harness.Need(t, "Linux's /proc", os.ErrNotExist)
	}
	var pids []int
	for _, file := range files {
		environ, err := os.ReadFile(file)
		if err == nil && bytes.Contains(environ, []byte(mark)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))) // the pattern takes digits only
			pids = append(pids, pid)
		}
	}
	return pids
}

// wantNoneLeft waits until no process of the gateway and its app is left.
func wantNoneLeft(t *testing.T, mark string) {
	t.Helper()
	harness.Eventually(t, "every process of the app to end", func() bool { return len(marked(t, mark)) == 0 })
}

func TestRunStartsAndStopsTheApp(t *testing.T) {
	t.Parallel()
	for _, own := range ownApps {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprintf("%s, %v", own.name, sig), func(t *testing.T) {
				t.Parallel()
				g, mark := runWithApp(t, own.start(t))
				if n := len(marked(t, mark)); n < 2 {
					t.Fatalf("%d processes run, want the gateway and the app", n)
				}
				g.AwaitLog(t, own.says)
				if a := send(t, request{method: "DELETE", url: g.URL + "/users/123"}); a.status != http.StatusSeeOther {
					t.Errorf("DELETE /users/123 = %d, want 303", a.status)
				}

				type result struct {
					answer
					err error
				}
				slow := make(chan result, 1)
				go func() {
					a, err := try(t.Context(), order(g.URL, "slow", 1500))
					slow <- result{a, err}
				}()
				g.AwaitRunning(t, 1)
				g.Signal(t, sig)
				if got := <-slow; got.err != nil || got.status != http.StatusCreated {
					t.Errorf("what ran when %v came = %d %s, %v; want 201", sig, got.status, got.body, got.err)
				}
				if code := g.Exit(t); code != 0 {
					t.Errorf("exit code %d, want 0:\n%s", code, g.Out.Tail())
				}
				if left := marked(t, mark); len(left) > 0 {
					t.Errorf("processes %v outlive the gateway", left)
				}
				if !gone(g.Listen) || !gone(g.AdminAddr) {
					t.Error("something still listens")
				}
			})
		}
	}
}

func TestKilledGatewayTakesItsAppAlong(t *testing.T) {
	t.Parallel()
	g, mark := runWithApp(t, express(t, ""))
	g.Signal(t, syscall.SIGKILL)
	<-g.Done
	wantNoneLeft(t, mark)
}

func TestAppThatEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script string
		code         int
		says         []string
	}{
		{"fails at once", "echo no database >&2; exit 7", 7, []string{"no database\n", "seeother: error: the app ended: exit status 7"}},
		{"ends well", "echo all done", 0, []string{"all done\n"}},
		{"fails and leaves a child", "sleep 300 & exit 3", 3, []string{"exit status 3"}},
		{"is killed", "kill -9 $$", 137, []string{"the app ended: signal: killed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mark := filepath.Join(t.TempDir(), "mark")
			listen := harness.FreeAddr(t)
			p := harness.Start(t, harness.Command{Path: harness.Binary, Env: []string{"MARK=" + mark}, Args: []string{
				"run", "--listen", listen, "--admin", harness.FreeAddr(t), "--data", filepath.Join(t.TempDir(), "data"), "--", "sh", "-c", c.script,
			}})
			if code := p.Exit(t); code != c.code {
				t.Errorf("exit code %d, want the app's, %d", code, c.code)
			}
			for _, text := range c.says {
				if !strings.Contains(p.Out.String(), text) {
					t.Errorf("the output lacks %q:\n%s", text, p.Out.Tail())
				}
			}
			wantNoneLeft(t, mark)
			if !gone(listen) {
				t.Error("the gateway still listens")
			}
		})
	}

	code, out := seeother(t, nil, "run", "--listen", harness.FreeAddr(t), "--admin", harness.FreeAddr(t),
		"--data", filepath.Join(t.TempDir(), "data"), "--", "no-such-program", "run")
	wantRefusal(t, code, out, 1, `"no-such-program"`)
}
