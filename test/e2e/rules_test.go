package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"

	"github.com/chromedp/chromedp"
)

// secure is a site behind a proxy that ends TLS: http goes to the gateway as it
// is, https through the proxy.
type secure struct {
	*harness.Gateway
	https string // the site's origin
}

// echoApp says what reaches it. Its page /form sends a form to the http side.
func echoApp(t *testing.T) *httptest.Server {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.HasPrefix(r.URL.Path, "/none"):
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/form":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<form method="post" action="%s"><input name="amount" value="7"><input type="submit" id="send"></form>`, r.URL.Query().Get("to"))
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%s %s %s as %s", r.Method, r.URL.RequestURI(), body, r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(app.Close)
	return app
}

func runSecure(t *testing.T, rules string) *secure {
	t.Helper()
	app := echoApp(t)
	listen := harness.FreeAddr(t)
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: listen})
		p.SetXForwarded()
	}})
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	file := filepath.Join(t.TempDir(), "seeother.yaml")
	text := fmt.Sprintf("trust: {proxies: [127.0.0.1]}\ncanonical:\n  origin: %s\n  https: true\n  hsts: {max_age: 365d}\n%s", proxy.URL, rules)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &harness.Gateway{Upstream: app.URL, Listen: listen, AdminAddr: harness.FreeAddr(t), Data: filepath.Join(t.TempDir(), "data")}
	g.URL, g.Admin = "http://"+g.Listen, "http://"+g.AdminAddr
	g.Again(t, "--config", file)
	return &secure{g, proxy.URL}
}

// What is sent to http arrives over https as it was: method, body, query.
func TestHTTPSRedirectKeepsTheRequest(t *testing.T) {
	t.Parallel()
	curl := harness.NeedCommand(t, "curl")
	s := runSecure(t, "rules:\n  - {path: /old/*, intent: moved, target: \"/new/{*}\"}\n")
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		path string
		want string
	}{
		"GET":                {nil, "/a?b=1", "GET /a?b=1  as https"},
		"POST":               {[]string{"--data", "amount=7"}, "/order?b=1", "POST /order?b=1 amount=7 as https"},
		"PUT":                {[]string{"--upload-file", upload}, "/file", "PUT /file a file as https"},
		"DELETE":             {[]string{"--request", "DELETE"}, "/users/1", "DELETE /users/1  as https"},
		"a rule on the way":  {[]string{"--data", "x=1"}, "/old/a", "POST /new/a x=1 as https"},
		"an ACME challenge":  {nil, "/.well-known/acme-challenge/x", "GET /.well-known/acme-challenge/x  as http"},
		"a path as it stood": {nil, "/a%2Fb/%C3%A4", "GET /a%2Fb/%C3%A4  as https"},
	} {
		args := append([]string{"--silent", "--show-error", "--insecure", "--location", "--max-redirs", "1"}, tt.args...)
		if got := harness.Run(t, curl, append(args, s.URL+tt.path)...); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
	head := harness.Run(t, curl, "--silent", "--insecure", "--head", s.https+"/a")
	if !strings.Contains(strings.ToLower(head), "strict-transport-security: max-age=31536000\r\n") {
		t.Errorf("https has no HSTS:\n%s", head)
	}
	head = harness.Run(t, curl, "--silent", "--head", s.URL+"/a")
	if strings.Contains(strings.ToLower(head), "strict-transport-security") || !strings.Contains(head, "308") {
		t.Errorf("http:\n%s", head)
	}
}

// The same in a browser, with a form that an old page still sends to http.
func TestHTTPSRedirectInABrowser(t *testing.T) {
	t.Parallel()
	s := runSecure(t, "rules:\n  - {path: /done, intent: result, target: /thanks}\n")
	app := echoApp(t) // a page elsewhere
	b := harness.Browse(t, app.URL+"/form?to="+url.QueryEscape(s.URL+"/order?b=1"))
	b.Do(t, chromedp.Click(chromedp.ID("send")))
	b.Await(t, fmt.Sprintf(`location.href === %q`, s.https+"/order?b=1"))
	if got, want := harness.Evaluate[string](t, b, "document.body.innerText"), "POST /order?b=1 amount=7 as https"; got != want {
		t.Errorf("the form became %q, want %q", got, want)
	}
	b = harness.Browse(t, app.URL+"/form?to="+url.QueryEscape(s.https+"/done"))
	b.Do(t, chromedp.Click(chromedp.ID("send")))
	b.Await(t, fmt.Sprintf(`location.href === %q`, s.https+"/thanks"))
	if got, want := harness.Evaluate[string](t, b, "document.body.innerText"), "GET /thanks  as https"; got != want {
		t.Errorf("the result became %q, want %q", got, want)
	}
}

// raw sends text as it is and reads one answer.
func raw(t *testing.T, addr, text string) (*http.Response, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(harness.Patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		_ = res.Body.Close()
	}
	return res, err
}

// Whatever a client sends, it gets an answer, and no Location leads anywhere
// but to this site and where the rules' own targets do.
func TestBadRequestsMeetRules(t *testing.T) {
	t.Parallel()
	const www = "https://www.example.com"
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(`rules:
  - {path: /old/*, intent: moved, target: "/{*}"}
  - {path: /path/*, intent: moved, target: "/moved{path}"}
  - {path: /up/*, intent: moved, target: "https://www.example.com/{*}"}
  - {path: /host/*, intent: moved, target: "https://{host}/{*}", origins: [https://www.example.com]}
  - {path: /arg, intent: moved, target: "/{arg.to}"}
  - {regexp: "^/re(.*)$", decoded: true, intent: moved, target: "{1}"}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	g := harness.RunGateway(t, echoApp(t).URL, "--rules", file)
	targets := []string{}
	for _, prefix := range []string{"/old/", "/path/", "/up/", "/host/", "/re/", "/re", "/arg?to=", "/", ""} {
		for _, rest := range []string{
			"a", "/evil.example", "//evil.example", `\evil.example`, "/../evil.example", "..", "../..//evil.example", "%2e%2e/x", "%2e%2e//evil.example",
			"%00", "%2F%2Fevil.example", "/%5Cevil.example", "%09//evil.example", "a%0d%0aLocation:%20https://evil.example", "@evil.example", ":80@evil.example",
			"https://evil.example", "https:evil.example", "javascript:alert(1)", ".evil.example", "%", "%zz", "\xff", strings.Repeat("a", 60<<10), "?//evil.example", "a#//evil.example", ";//evil.example",
		} {
			targets = append(targets, prefix+rest)
		}
	}
	hosts := []string{"www.example.com", "WWW.EXAMPLE.COM", "www.example.com.", "www.example.com:8080", "evil.example", "[::1]:80", "[::1]", "www.example.com@evil.example", "evil.example/", "", "a:b:c"}
	redirects, refused := 0, 0
	for i, target := range targets {
		for _, host := range []string{hosts[0], hosts[i%len(hosts)], "evil.example"} {
			res, err := raw(t, g.Listen, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
			if err != nil {
				t.Errorf("%.80q, Host %q: %v", target, host, err)
				continue
			}
			location := res.Header.Get("Location")
			switch res.StatusCode {
			case http.StatusPermanentRedirect:
				redirects++
				if ok := strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") && !strings.HasPrefix(location, `/\`) || strings.HasPrefix(location, www+"/"); !ok {
					t.Errorf("%.80q, Host %q: leads to %.80q", target, host, location)
				}
				if strings.ContainsAny(location, "\\\t \r\n") {
					t.Errorf("%.80q: Location %.80q", target, location)
				}
				if u, err := url.Parse(location); err != nil || u.Host != "" && u.Host != "www.example.com" || u.User != nil {
					t.Errorf("%.80q, Host %q: leads to %.80q", target, host, location)
				}
			case http.StatusBadRequest:
				refused++
			case http.StatusOK:
			default:
				t.Errorf("%.80q, Host %q: status %d", target, host, res.StatusCode)
			}
		}
	}
	if redirects < 100 || refused < 100 {
		t.Errorf("%d redirects and %d refusals only: is the test still about anything?", redirects, refused)
	}
	res, err := raw(t, g.Listen, "GET /old/"+strings.Repeat("a", 80<<10)+" HTTP/1.1\r\nHost: x\r\n\r\n")
	if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a path of 80 KiB: %v, %v", res, err)
	}
}

// While rules are read again and again, no request is lost, and each is answered
// by one table as a whole.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.csv")
	write := func(version int) {
		var b strings.Builder
		b.WriteString("from,to,status\n")
		for i := range 50_000 {
			fmt.Fprintf(&b, "/old/%d,/v%d/%d,308\n", i, version, i)
		}
		if err := os.WriteFile(file+".new", []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	g := harness.RunGateway(t, echoApp(t).URL, "--rules", file)
	stop := make(chan struct{})
	var all sync.WaitGroup
	var sent atomic.Int64
	for n := range 4 {
		all.Go(func() {
			for i := n; ; i += 97 {
				select {
				case <-stop:
					return
				default:
				}
				a, err := try(t.Context(), request{method: "GET", url: fmt.Sprintf("%s/old/%d", g.URL, i%50_000)})
				if err != nil || a.status != 308 || !strings.HasSuffix(a.header.Get("Location"), fmt.Sprintf("/%d", i%50_000)) {
					t.Errorf("answered %d %q, %v", a.status, a.header.Get("Location"), err)
				}
				sent.Add(1)
			}
		})
	}
	for version := 1; version <= 3; version++ {
		write(version)
		want := fmt.Sprintf("/v%d/7", version)
		harness.Eventually(t, want, func() bool {
			a, err := try(t.Context(), request{method: "GET", url: g.URL + "/old/7"})
			return err == nil && a.header.Get("Location") == want
		})
	}
	close(stop)
	all.Wait()
	if sent.Load() < 100 {
		t.Errorf("only %d requests were sent", sent.Load())
	}
}
