package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// app is one of the three real apps, running.
type app struct {
	*harness.Process
	url string
}

// kinds are the apps that every check is made with. Each start returns the
// command that serves on the address, or leaves the test out.
var kinds = []struct {
	name      string
	websocket bool
	start     func(t *testing.T, port string) harness.Command
}{
	{"Flask behind gunicorn", false, flask},
	{"Express", true, express},
	{"net-http", true, gohttp},
}

func startApp(t *testing.T, serve func(*testing.T, string) harness.Command) *app {
	t.Helper()
	addr := harness.FreeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	c := serve(t, port)
	c.Env = append(c.Env, "PORT="+port, "APP_DB="+filepath.Join(t.TempDir(), "app.db"))
	a := &app{url: "http://" + addr, Process: harness.Start(t, c)}
	a.AwaitURL(t, a.url+"/users/121")
	return a
}

// Debian's Python has Debian's Flask; another one that comes first in PATH may
// not.
const python = "/usr/bin/python3"

func needFlask(t *testing.T) {
	t.Helper()
	out, err := exec.Command(python, "-c", "import flask").CombinedOutput()
	if err != nil {
		harness.Need(t, "python3-flask", &exec.Error{Name: python, Err: harness.Said(err, out)})
	}
}

// flask runs with several processes and threads, so that two requests really
// run at the same time.
func flask(t *testing.T, port string) harness.Command {
	t.Helper()
	needFlask(t)
	gunicorn := "/usr/bin/gunicorn"
	harness.NeedFile(t, "gunicorn", gunicorn)
	return harness.Command{
		Path: gunicorn, Dir: harness.Absolute(t, "apps/flask"),
		Args: []string{"--workers", "2", "--threads", "16", "--bind", "127.0.0.1:" + port, "--timeout", "120", "--preload", "app:app"},
		Env:  []string{"PYTHONDONTWRITEBYTECODE=1"},
	}
}

func express(t *testing.T, _ string) harness.Command {
	t.Helper()
	node := harness.NeedCommand(t, "node")
	dir := harness.Absolute(t, "apps/express")
	harness.NeedNPM(t, "Express from npm", dir)
	return harness.Command{Path: node, Args: []string{"app.js"}, Dir: dir}
}

func gohttp(t *testing.T, _ string) harness.Command {
	t.Helper()
	dir := harness.Absolute(t, "apps/gohttp")
	download := exec.Command("go", "mod", "download")
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		harness.Need(t, "the Go modules of apps/gohttp", harness.Said(err, out))
	}
	build := exec.Command("go", "build", "-o", filepath.Join(filepath.Dir(harness.Binary), "gohttp"), ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return harness.Command{Path: filepath.Join(filepath.Dir(harness.Binary), "gohttp")}
}

// seen returns what the app saw since the last call. Call it when nothing
// runs: what comes in between is lost.
func (a *app) seen(t *testing.T) []string {
	t.Helper()
	list := a.peek(t)
	send(t, request{method: "DELETE", url: a.url + "/seen"})
	return list
}

// peek returns the requests to /users, /form, /done and /orders that the app
// got since the last call of seen.
func (a *app) peek(t *testing.T) []string {
	t.Helper()
	var list []string
	if err := json.Unmarshal([]byte(send(t, request{method: "GET", url: a.url + "/seen"}).body), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// orders returns how many rows there are for item.
func (a *app) orders(t *testing.T, item string) int {
	t.Helper()
	body := send(t, request{method: "GET", url: a.url + "/orders/count?item=" + item}).body
	n, err := strconv.Atoi(strings.TrimSpace(body))
	if err != nil {
		t.Fatalf("count of %s: %q", item, body)
	}
	return n
}

// order is a submission of one item, to which the app answers after delay
// milliseconds.
func order(site, item string, delay int) request {
	body, _ := json.Marshal(map[string]any{"item": item, "delay": delay}) // a map of these always encodes
	return request{method: "POST", url: site + "/orders", key: "key-" + item, body: string(body)}
}
