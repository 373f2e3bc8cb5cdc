package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// app is one of the three real apps, running.
type app struct {
	*process
	url string
}

// kinds are the apps that every check is made with. Each start returns the
// command that serves on the address, or leaves the test out.
var kinds = []struct {
	name      string
	websocket bool
	start     func(t *testing.T, port string) command
}{
	{"Flask behind gunicorn", false, flask},
	{"Express", true, express},
	{"net-http", true, gohttp},
}

func startApp(t *testing.T, serve func(*testing.T, string) command) *app {
	t.Helper()
	addr := freeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	c := serve(t, port)
	c.env = append(c.env, "PORT="+port, "APP_DB="+filepath.Join(t.TempDir(), "app.db"))
	a := &app{url: "http://" + addr, process: start(t, c)}
	a.awaitURL(t, a.url+"/users/121")
	return a
}

// Debian's Python has Debian's Flask; another one that comes first in PATH may
// not.
const python = "/usr/bin/python3"

func needFlask(t *testing.T) {
	t.Helper()
	out, err := exec.Command(python, "-c", "import flask").CombinedOutput()
	if err != nil {
		need(t, "python3-flask", &exec.Error{Name: python, Err: wrapped{err, string(out)}})
	}
}

type wrapped struct {
	error
	output string
}

func (w wrapped) Error() string {
	lines := strings.Split(strings.TrimSpace(w.output), "\n")
	return w.error.Error() + ": " + lines[len(lines)-1]
}

// flask runs with several processes and threads, so that two requests really
// run at the same time.
func flask(t *testing.T, port string) command {
	t.Helper()
	needFlask(t)
	gunicorn := "/usr/bin/gunicorn"
	_, err := os.Stat(gunicorn)
	need(t, "gunicorn", err)
	return command{
		path: gunicorn, dir: absolute(t, "apps/flask"),
		args: []string{"--workers", "2", "--threads", "16", "--bind", "127.0.0.1:" + port, "--timeout", "120", "--preload", "app:app"},
		env:  []string{"PYTHONDONTWRITEBYTECODE=1"},
	}
}

func express(t *testing.T, _ string) command {
	t.Helper()
	node, npm := needCommand(t, "node"), needCommand(t, "npm")
	dir := absolute(t, "apps/express")
	if stale(filepath.Join(dir, "node_modules/.package-lock.json"), filepath.Join(dir, "package-lock.json")) {
		out, err := exec.Command(npm, "ci", "--prefix", dir, "--no-audit", "--no-fund").CombinedOutput()
		if err != nil {
			need(t, "Express from npm", wrapped{err, string(out)})
		}
	}
	return command{path: node, args: []string{"app.js"}, dir: dir}
}

func gohttp(t *testing.T, _ string) command {
	t.Helper()
	dir := absolute(t, "apps/gohttp")
	download := exec.Command("go", "mod", "download")
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		need(t, "the Go modules of apps/gohttp", wrapped{err, string(out)})
	}
	build := exec.Command("go", "build", "-o", filepath.Join(filepath.Dir(binary), "gohttp"), ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return command{path: filepath.Join(filepath.Dir(binary), "gohttp")}
}

func stale(made, source string) bool {
	m, err := os.Stat(made)
	if err != nil {
		return true
	}
	s, err := os.Stat(source)
	return err != nil || m.ModTime().Before(s.ModTime())
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
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
