package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// restartable is Flask behind gunicorn, which goes down and comes back at one
// address and with its rows.
type restartable struct {
	*app
	c harness.Command
}

func newRestartable(t *testing.T) *restartable {
	t.Helper()
	addr := harness.FreeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	r := &restartable{c: flask(t, port)}
	r.c.Env = append(r.c.Env, "PORT="+port, "APP_DB="+filepath.Join(t.TempDir(), "app.db"))
	r.app = &app{url: "http://" + addr}
	r.up(t)
	return r
}

func (r *restartable) up(t *testing.T) {
	t.Helper()
	r.Process = harness.Start(t, r.c)
	r.AwaitURL(t, r.url+"/users/121")
}

// startNginx is a standby site: it says what it was asked.
func startNginx(t *testing.T) string {
	t.Helper()
	nginx, err := exec.LookPath("/usr/sbin/nginx")
	harness.Need(t, "nginx", err)
	dir, addr := t.TempDir(), harness.FreeAddr(t)
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; location / { default_type text/plain; return 200 "standby: $request_method $request_uri\n"; } }
}
`, dir, addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := harness.Start(t, harness.Command{Path: nginx, Args: []string{"-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log")}})
	p.AwaitURL(t, "http://"+addr+"/")
	return "http://" + addr
}

// configFile writes a configuration and returns the flag that names it.
func configFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "seeother.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--config=" + name
}

func awaitMetric(t *testing.T, g *harness.Gateway, line string) {
	t.Helper()
	harness.Eventually(t, line, func() bool {
		a, err := try(t.Context(), request{method: "GET", url: g.Admin + "/metrics"})
		return err == nil && strings.Contains(a.body, "\n"+line+"\n")
	})
}

// gunicorn is killed and comes back; nginx is the sister.
func TestFailover(t *testing.T) {
	t.Parallel()
	curl := harness.NeedCommand(t, "curl")
	flask, sister := newRestartable(t), startNginx(t)
	g := harness.RunGateway(t, flask.url, configFile(t, fmt.Sprintf(`
upstream: {health: {path: /users/121, interval: 200ms}}
failover: {sister: %q, sister_path: /up}
`, sister)))
	first := send(t, order(g.URL, "first", 0))
	if first.status != http.StatusCreated {
		t.Fatalf("got %+v", first)
	}
	awaitMetric(t, g, "seeother_upstream_healthy 1")

	flask.Kill()
	awaitMetric(t, g, "seeother_upstream_healthy 0")
	a := send(t, request{method: "GET", url: g.URL + "/users/5?a=%20b"})
	if a.status != http.StatusTemporaryRedirect || a.header.Get("Location") != sister+"/users/5?a=%20b" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %+v", a)
	}
	for _, c := range []struct{ args, want string }{
		{"/users/5?a=b", "standby: GET /users/5?a=b\n"},
		{"-d item=x /orders", "standby: POST /orders\n"},
		{"-X DELETE /users/123", "standby: DELETE /users/123\n"},
	} {
		words := strings.Fields(c.args)
		words[len(words)-1] = g.URL + words[len(words)-1]
		if got := harness.Run(t, curl, append([]string{"-s", "-L"}, words...)...); got != c.want {
			t.Errorf("curl -L %s = %q, want %q", c.args, got, c.want)
		}
	}
	replayed := send(t, order(g.URL, "first", 0))
	if !replayed.replayed() || replayed.status != http.StatusCreated {
		t.Errorf("a duplicate while the app is down: %+v", replayed)
	}
	refused := send(t, order(g.URL, "second", 0))
	wantProblem(t, refused, http.StatusBadGateway, "upstream-unhealthy")
	if refused.header.Get("Once-Outcome") != "not-applied" || refused.header.Get("Retry-After") == "" {
		t.Errorf("got %v", refused.header)
	}
	harness.Eventually(t, "/readyz to say where requests go", func() bool { // its checks hold for a second
		ready := send(t, request{method: "GET", url: g.Admin + "/readyz"})
		return ready.status == http.StatusOK && strings.Contains(ready.body, "requests are sent to "+sister)
	})

	flask.up(t)
	awaitMetric(t, g, "seeother_upstream_healthy 1")
	if again := send(t, order(g.URL, "second", 0)); again.status != http.StatusCreated || again.replayed() {
		t.Errorf("the same key, later: %+v", again)
	}
	wantOrders(t, flask.app, "first", 1)
	wantOrders(t, flask.app, "second", 1)
	for _, want := range []string{"the app fails its health checks", "the app passes its health checks again", "GET /users/5  307  failover: 307"} {
		if !strings.Contains(g.Out.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// An app that hangs is found out, too, and nobody waits for it any more.
func TestFailoverOfAnAppThatHangs(t *testing.T) {
	t.Parallel()
	silent := listenSilently(t)
	g := harness.RunGateway(t, "http://"+silent, configFile(t, "upstream: {health: {path: /, interval: 100ms, timeout: 200ms}}\n"))
	awaitMetric(t, g, "seeother_upstream_healthy 0")
	wantProblem(t, send(t, request{method: "POST", url: g.URL + "/orders"}), http.StatusBadGateway, "upstream-unhealthy")
	page := send(t, request{method: "GET", url: g.URL + "/", header: map[string]string{"Sec-Fetch-Mode": "navigate"}})
	if page.status != http.StatusBadGateway || !strings.Contains(page.body, "<h1>The app is down</h1>") {
		t.Errorf("page: %+v", page)
	}
}

// In maintenance the app may be stopped, and the gateway be started anew: the
// site says the same, to people and to load balancers.
func TestMaintenanceWhileTheAppIsStopped(t *testing.T) {
	t.Parallel()
	flask := newRestartable(t)
	g := harness.RunGateway(t, flask.url)
	harness.Run(t, harness.Binary, "maintenance", "on", "--for", "1h", "--reason", "New disks.", "--admin", g.AdminAddr)
	wantProblem(t, send(t, order(g.URL, "maintenance", 0)), http.StatusServiceUnavailable, "maintenance")
	flask.Kill()
	g.Kill()
	g.Again(t)
	a := send(t, order(g.URL, "maintenance", 0))
	wantProblem(t, a, http.StatusServiceUnavailable, "maintenance")
	if after := a.header.Get("Retry-After"); len(after) != 4 { // nearly 3600
		t.Errorf("Retry-After %q", after)
	}
	ready := send(t, request{method: "GET", url: g.Admin + "/readyz"})
	if ready.status != http.StatusOK || !strings.Contains(ready.body, "maintenance is on until") || !strings.Contains(ready.body, "refused") {
		t.Errorf("readyz: %d %s", ready.status, ready.body)
	}
	flask.up(t)
	harness.Run(t, harness.Binary, "maintenance", "off", "--admin", g.AdminAddr)
	if a := send(t, order(g.URL, "maintenance", 0)); a.status != http.StatusCreated {
		t.Errorf("got %+v", a)
	}
	wantOrders(t, flask.app, "maintenance", 1)
}

// listenSilently is an app that takes connections and says nothing.
func listenSilently(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // nobody accepts: the kernel does
	return ln.Addr().String()
}
