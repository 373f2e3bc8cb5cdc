package repeats

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/servertest"
)

// The logs of real servers, for what a real client did.

const patience = 60 * time.Second

// need leaves the test out where a program is missing; or fails it, where
// SEEOTHER_TEST_ALL is set, as in CI.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name)) // not in every user's PATH
	}
	switch {
	case err == nil:
	case os.Getenv("SEEOTHER_TEST_ALL") != "":
		t.Fatalf("%s is missing, and SEEOTHER_TEST_ALL wants every test: %v", name, err)
	default:
		t.Skipf("left out: needs %s: %v", name, err)
	}
	return path
}

// start runs a server until the test is over, and waits until the port answers.
func start(t *testing.T, port int, name string, args ...string) {
	t.Helper()
	startInto(t, nil, port, name, args...)
}

// startInto has what the server says on standard output written into a file.
func startInto(t *testing.T, stdout *os.File, port int, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-done:
			t.Fatalf("%s ended: %s", name, &out)
		default:
		}
	}
	t.Fatalf("%s does not answer", name)
}

// visitor is somebody with an address and a browser of his own.
type visitor struct {
	t      *testing.T
	client http.Client
	base   string
	agent  string

	forwarded string // X-Forwarded-For of the proxy in between
}

// visit is the visitor at 127.0.0.N. As a browser does, he follows redirects.
func visit(t *testing.T, port, n int, agent string) *visitor {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(n))}, Timeout: patience}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, client: http.Client{Transport: transport, Timeout: patience}, base: fmt.Sprintf("http://127.0.0.1:%d", port), agent: agent}
}

func (v *visitor) do(method, path string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader("item=book"))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("User-Agent", v.agent)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if v.forwarded != "" {
		req.Header.Set("X-Forwarded-For", v.forwarded)
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body) // so that the next request takes the same connection, and lines are in order
	_ = res.Body.Close()
}

// shopping is what happens: two faults, and what is none.
func shopping(t *testing.T, port int) {
	double := visit(t, port, 2, firefox)
	double.do("GET", "/cart")
	double.do("POST", "/orders?cart=1")
	double.do("POST", "/orders?cart=1")
	lost := visit(t, port, 3, chrome)
	lost.do("POST", "/newsletter")
	lost.do("POST", "/orders?cart=2")
	other := visit(t, port, 4, chrome)
	other.do("POST", "/orders?cart=3")
	other.do("POST", "/orders?cart=4")
	other.do("GET", "/orders?cart=4")
}

var wantShopping = []string{
	"double-click POST /orders high forms: {stage: enforce}",
	`lost-method POST /newsletter high canonical: {origin: "https://www.example.com", slash: add}`,
}

// written waits until the log has n lines: servers write when they have answered.
func written(t *testing.T, file string, n int) {
	t.Helper()
	var text []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if text, _ = os.ReadFile(file); bytes.Count(text, []byte("\n")) >= n {
			return
		}
	}
	t.Fatalf("%s has only\n%s", file, text)
}

func checkLog(t *testing.T, file string, format Format, want []string) *Report {
	t.Helper()
	r := mustRead(t, Options{}, OSFile(file))
	got := short(r)
	slices.Sort(got)
	if text, _ := os.ReadFile(file); !slices.Equal(got, want) || r.Summary.Malformed > 0 || r.Summary.Files[0].Format != format {
		t.Errorf("%s: got %q\nwant %q\n%+v\n%s", filepath.Base(file), got, want, r.Summary, text)
	}
	return r
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := servertest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestRealNginx(t *testing.T) {
	t.Parallel()
	nginx := need(t, "nginx")
	var asked atomic.Int32
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection would not be seen
		if asked.Add(1) == 1 {
			<-r.Context().Done() // the first one is never answered
		}
	}))
	defer app.Close()
	dir, port := t.TempDir(), freePort(t)
	conf := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log crit; worker_processes 2; events { worker_connections 64; }
http {
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
	log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" rt=$request_time';
	%[2]s
	access_log %[1]s/combined.log combined; access_log %[1]s/main.log main; access_log %[1]s/timed.log timed; access_log %[1]s/json.log repeats;
	server {
		listen 127.0.0.1:%[3]d; absolute_redirect off;
		location / { return 200 "ok"; }
		location = /orders { if ($request_method = POST) { return 303 /thanks; } return 200 "ok"; }
		location = /newsletter { return 301 /newsletter/; }
		location = /hooks { proxy_pass %[4]s; proxy_read_timeout 300ms; }
	}
}`, dir, logFormatOfPage(t), port, app.URL)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, port, nginx, "-c", file, "-e", filepath.Join(dir, "error.log"))
	shopping(t, port)
	hook := visit(t, port, 5, "Stripe/1.0")
	hook.do("POST", "/hooks")
	hook.do("POST", "/hooks")
	want := append(slices.Clone(wantShopping), "rerun POST /hooks low once: {key: stripe}")
	for _, log := range []string{"combined", "main", "timed"} {
		written(t, filepath.Join(dir, log+".log"), 16)
		checkLog(t, filepath.Join(dir, log+".log"), Combined, want)
	}
	written(t, filepath.Join(dir, "json.log"), 16)
	want[2] = "rerun POST /hooks medium once: {key: stripe}" // it has the length of requests
	r := checkLog(t, filepath.Join(dir, "json.log"), JSON, want)
	for _, g := range r.Repeats {
		if g.Class == Rerun && g.Gap.P50 < 290 {
			t.Errorf("%+v: the second came when the first had timed out, after 300 ms", g)
		}
	}
}

// logFormatOfPage is the log_format that docs/repeats.md recommends.
func logFormatOfPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/repeats.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```nginx\n")
	format, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("docs/repeats.md has no log_format")
	}
	return format
}

func TestRealApache(t *testing.T) {
	t.Parallel()
	apache := need(t, "apache2")
	modules := "/usr/lib/apache2/modules"
	dir, port := t.TempDir(), freePort(t)
	var conf strings.Builder
	fmt.Fprintf(&conf, "ServerRoot %q\nPidFile pid\nErrorLog error.log\nMutex sem\nServerName shop.example:80\nListen 127.0.0.1:%d\nDocumentRoot %q\nServerLimit 1\nStartServers 1\n", dir, port, dir)
	for _, m := range []string{"mpm_event", "authz_core", "alias"} {
		fmt.Fprintf(&conf, "LoadModule %[1]s_module %[2]s/mod_%[1]s.so\n", m, modules)
	}
	if os.Geteuid() == 0 {
		conf.WriteString("User www-data\nGroup www-data\n")
	}
	// The formats as Debian's apache2.conf has them.
	conf.WriteString(`LogFormat "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" vhost_combined
LogFormat "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" combined
LogFormat "%h %l %u %t \"%r\" %>s %O" common
CustomLog vhost.log vhost_combined
CustomLog combined.log combined
CustomLog common.log common
RedirectMatch 303 "^/orders$" "/thanks"
RedirectMatch 301 "^/newsletter$" "/newsletter/"
RedirectMatch 302 "^/users/\d+$" "/users"
`)
	file := filepath.Join(dir, "apache.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, port, apache, "-f", file, "-DFOREGROUND")
	shopping(t, port)
	admin := visit(t, port, 5, chrome)
	admin.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	admin.do("DELETE", "/users/17") // Go would send GET; a browser's fetch sends DELETE
	admin.do("DELETE", "/users")
	want := append(slices.Clone(wantShopping), "method-kept DELETE /users/{id} high see_other: {stage: enforce}")
	const lines = 17 // each redirect of Go's client is one more
	for log, format := range map[string]Format{"vhost": VhostCombined, "combined": Combined} {
		written(t, filepath.Join(dir, log+".log"), lines)
		checkLog(t, filepath.Join(dir, log+".log"), format, want)
	}
	// Without user agents everybody at an address is one, which is less sure.
	want[0] = "double-click POST /orders medium forms: {stage: enforce}"
	written(t, filepath.Join(dir, "common.log"), lines)
	checkLog(t, filepath.Join(dir, "common.log"), Combined, want)
}

// Caddy logs to standard output and to a file.
func TestRealCaddy(t *testing.T) {
	t.Parallel()
	caddy := need(t, "caddy")
	dir, port, other := t.TempDir(), freePort(t), freePort(t)
	conf := fmt.Sprintf(`{
	admin off
	auto_https off
	storage file_system %[1]s
}
http://127.0.0.1:%[2]d {
	bind 127.0.0.1
	log {
		output file %[1]s/access.log
	}
	@order {
		method POST
		path /orders
	}
	redir @order /thanks 303
	redir /newsletter /newsletter/ 301
	@user path_regexp ^/users/\d+$
	redir @user /users 302
	respond "ok"
}
http://127.0.0.1:%[3]d {
	bind 127.0.0.1
	log {
		output stdout
		format json {
			time_format rfc3339_nano
			duration_format string
		}
	}
	redir /orders /thanks 302
	respond "ok"
}`, dir, port, other)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, err := os.Create(filepath.Join(dir, "stdout.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	startInto(t, stdout, port, "/usr/bin/env", "XDG_CONFIG_HOME="+dir, caddy, "run", "--config", file, "--adapter", "caddyfile")
	shopping(t, port)
	admin := visit(t, port, 5, chrome)
	admin.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	admin.do("DELETE", "/users/17")
	admin.do("DELETE", "/users")
	written(t, filepath.Join(dir, "access.log"), 16)
	want := append(slices.Clone(wantShopping), "method-kept DELETE /users/{id} high see_other: {stage: enforce}")
	checkLog(t, filepath.Join(dir, "access.log"), JSON, want)

	// Two people behind one proxy, one of them twice, in the other notation.
	for _, from := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.2"} {
		v := visit(t, other, 6, chrome)
		v.forwarded = from
		v.do("POST", "/orders")
	}
	written(t, stdout.Name(), 6)
	r := checkLog(t, stdout.Name(), JSON, []string{"double-click POST /orders high forms: {stage: enforce}"})
	if len(r.Repeats) == 1 && r.Repeats[0].Example.Client != "203.0.113.x" {
		t.Errorf("%+v", r.Repeats[0].Example)
	}
}
