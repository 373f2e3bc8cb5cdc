package gateway

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/trust"
	"github.com/seeother/seeother/once"
)

// switchable is a maintenance that a test switches.
type switchable struct{ window atomic.Pointer[Window] }

func (s *switchable) view() (Window, bool) {
	if w := s.window.Load(); w != nil {
		return *w, true
	}
	return Window{}, false
}

func (s *switchable) on(w Window) {
	w.Active, w.Since = true, time.Now()
	s.window.Store(&w)
}

func (s *switchable) off() { s.window.Store(nil) }

// maintained is a site with a switch for its maintenance.
func maintained(t testing.TB, upstream string, m Maintenance, o options) (*site, *switchable) {
	t.Helper()
	sw := &switchable{}
	config := o.config
	o.config = func(c *Config) {
		c.Maintenance = sw.view
		if config != nil {
			config(c)
		}
	}
	s := newSite(t, upstream, o)
	if err := s.gateway.SetMaintenance(m); err != nil {
		t.Fatal(err)
	}
	return s, sw
}

const navigate = "Sec-Fetch-Mode"

func echoPath(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "app %s %s", r.Method, r.RequestURI)
}

func TestMaintenanceAnswersForTheApp(t *testing.T) {
	var seen decisions
	m := &counter{}
	s, sw := maintained(t, app(t, echoPath), Maintenance{}, options{config: func(c *Config) { c.Observe, c.Metrics = seen.observe, m }})
	equal(t, "before", s.do("GET", "/a", "").StatusCode, 200)
	end := time.Date(2026, 11, 27, 3, 0, 0, 0, time.FixedZone("", 3600))
	sw.on(Window{Until: end, Left: 90*time.Second + time.Millisecond, Reason: "Moving to new <disks>."})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "QUERY", "BREW"} {
		got := s.do(method, "/a?secret=1", "")
		equal(t, method, got.StatusCode, 503)
		equal(t, method+" Retry-After", got.Header.Get("Retry-After"), "91")
		equal(t, method+" Cache-Control", got.Header.Get("Cache-Control"), "no-store")
		equal(t, method+" Content-Type", got.Header.Get("Content-Type"), "application/problem+json")
	}
	got := s.do("POST", "/a", "x=1")
	check(t, got, 503, "maintenance")
	eventually(t, "the metrics", func() bool { return m.done.Load() == m.started.Load() })
	equal(t, "counted as", m.last(), "POST 503")
	for _, want := range []string{`"until":"2026-11-27T02:00:00Z"`, `It is planned to end at 2026-11-27 02:00 UTC.`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("%s lacks %s", got.body, want)
		}
	}
	page := s.do("GET", "/a", "", navigate, "navigate")
	equal(t, "page", page.StatusCode, 503)
	equal(t, "page type", page.Header.Get("Content-Type"), "text/html; charset=utf-8")
	if !strings.Contains(page.body, "Moving to new &lt;disks&gt;") || strings.Contains(page.body, "<disks>") {
		t.Errorf("page %s", page.body)
	}
	strictPage(t, page)
	list := seen.take()
	if len(list) != 10 || list[0].Policy != "maintenance" || list[0].Action != "503" || !list[0].Applied || list[0].Path != "/a" ||
		list[0].Reason != "maintenance until 2026-11-27T02:00:00Z: Moving to new <disks>." {
		t.Errorf("decisions %v", list)
	}
	sw.off()
	equal(t, "after", s.do("GET", "/a", "").StatusCode, 200)
}

// strictPage: nothing from elsewhere, no scripts, and nothing is kept.
func strictPage(t *testing.T, page answer) {
	t.Helper()
	policy := page.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("Content-Security-Policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "script-src") || strings.Contains(policy, "http") {
		t.Errorf("Content-Security-Policy %q allows too much", policy)
	}
	for _, bad := range []string{"<script", "src=", "href="} {
		if strings.Contains(page.body, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	equal(t, "Cache-Control", page.Header.Get("Cache-Control"), "no-store")
	equal(t, "X-Content-Type-Options", page.Header.Get("X-Content-Type-Options"), "nosniff")
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name        string
		left, asked time.Duration
		want        time.Duration
	}{
		{"nothing is known", 0, 0, time.Minute},
		{"the end is known", time.Hour, 0, time.Hour},
		{"the operator said so", 0, 10 * time.Second, 10 * time.Second},
		{"the operator wants clients sooner", time.Hour, 10 * time.Second, 10 * time.Second},
		{"the end comes sooner", 5 * time.Second, 10 * time.Second, 5 * time.Second},
	} {
		equal(t, tt.name, (&Window{Left: tt.left, RetryAfter: tt.asked}).retryAfter(time.Minute), tt.want)
	}
}

func TestAPageOfTheSitesOwn(t *testing.T) {
	s, sw := maintained(t, app(t, echoPath), Maintenance{Page: []byte("<h1>Back soon</h1>"), RetryAfter: 20 * time.Second}, options{})
	sw.on(Window{Reason: "disks"})
	page := s.do("GET", "/", "", navigate, "navigate")
	equal(t, "status", page.StatusCode, 503)
	equal(t, "page", page.body, "<h1>Back soon</h1>")
	equal(t, "Retry-After", page.Header.Get("Retry-After"), "20")
	equal(t, "type", page.Header.Get("Content-Type"), "text/html; charset=utf-8")
	strictPage(t, page)
	check(t, s.do("GET", "/", ""), 503, "maintenance")
}

func TestWhoAndWhatPassesInMaintenance(t *testing.T) {
	s, sw := maintained(t, app(t, echoPath), Maintenance{
		Allow: trust.Proxies{}, Exempt: []string{"/healthz", "/.well-known/acme-challenge/*"},
	}, options{config: func(c *Config) { c.Trust = loopback }})
	allow, err := trust.Parse([]string{"203.0.113.7", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	sw.on(Window{Allow: allow})
	for _, tt := range []struct {
		name, path, client string
		want               int
	}{
		{"a client that is not listed", "/", "198.51.100.1", 503},
		{"a listed one", "/", "203.0.113.7", 200},
		{"a listed network", "/", "2001:db8::1", 200},
		{"a listed one as a stranger claims it", "/", "203.0.113.7, 198.51.100.1", 503},
		{"no claim at all", "/", "", 503},
		{"an exempt path", "/healthz", "", 200},
		{"it with a slash at the end", "/healthz/", "", 200},
		{"one below it", "/healthz/x", "", 503},
		{"a challenge", "/.well-known/acme-challenge/abc", "", 200},
		{"a way out of it", "/.well-known/acme-challenge/../../admin", "", 503},
		{"an encoded way out of it", "/.well-known/acme-challenge/%2e%2e/%2e%2e/admin", "", 503},
		{"a way with encoded slashes", "/healthz%2f..%2fadmin", "", 503},
	} {
		var header []string
		if tt.client != "" {
			header = []string{"X-Forwarded-For", tt.client}
		}
		equal(t, tt.name, s.do("GET", tt.path, "", header...).StatusCode, tt.want)
	}
	always, _ := trust.Parse([]string{"127.0.0.0/8"})
	if err := s.gateway.SetMaintenance(Maintenance{Allow: always}); err != nil {
		t.Fatal(err)
	}
	equal(t, "a client of the configuration", s.do("GET", "/", "").StatusCode, 200)
	equal(t, "an exempt path no more", s.do("GET", "/healthz", "", "X-Forwarded-For", "198.51.100.1").StatusCode, 503)
}

func TestMaintenanceSettingsAreChecked(t *testing.T) {
	s, sw := maintained(t, app(t, echoPath), Maintenance{Exempt: []string{"/healthz"}}, options{})
	for want, m := range map[string]Maintenance{
		"origin": {StandIn: Site{Origin: "status"}},
		"page":   {Page: make([]byte, maxPage+1)},
		"path":   {Exempt: []string{"healthz"}},
	} {
		if err := s.gateway.SetMaintenance(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	sw.on(Window{})
	equal(t, "what was set before holds", s.do("GET", "/healthz", "").StatusCode, 200)
}

func token(text string) Window {
	return Window{Tokens: [][sha256.Size]byte{sha256.Sum256([]byte("another")), sha256.Sum256([]byte(text))}}
}

// A link brings the secret, the browser keeps it in a cookie, and the app never
// sees it.
func TestSecretOpensTheSite(t *testing.T) {
	var got atomic.Pointer[http.Request]
	s, sw := maintained(t, app(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r) }), Maintenance{}, options{
		config: func(c *Config) { c.Trust = loopback },
	})
	const secret = "OPENSESAME"
	sw.on(token(secret))
	for _, tt := range []struct {
		name, method, target string
		header               []string
		want                 int
	}{
		{"nothing", "GET", "/", nil, 503},
		{"the header", "POST", "/", []string{"Seeother-Maintenance", secret}, 200},
		{"a wrong header", "POST", "/", []string{"Seeother-Maintenance", secret + "x"}, 503},
		{"an empty header", "POST", "/", []string{"Seeother-Maintenance", ""}, 503},
		{"a long header", "POST", "/", []string{"Seeother-Maintenance", strings.Repeat("x", 300)}, 503},
		{"the cookie", "POST", "/", []string{"Cookie", "a=1; seeother-maintenance=" + secret + "; b=2"}, 200},
		{"a wrong cookie before the right one", "GET", "/", []string{"Cookie", "seeother-maintenance=x; seeother-maintenance=" + secret}, 200},
		{"a wrong cookie", "GET", "/", []string{"Cookie", "seeother-maintenance=x"}, 503},
		{"the cookie of https, over http", "GET", "/", []string{"Cookie", "__Host-seeother-maintenance=" + secret}, 503},
		{"the cookie of https, over https", "GET", "/", []string{"X-Forwarded-Proto", "https", "Cookie", "__Host-seeother-maintenance=" + secret}, 200},
		{"the cookie of http, over https", "GET", "/", []string{"X-Forwarded-Proto", "https", "Cookie", "seeother-maintenance=" + secret}, 503},
		{"the link", "GET", "/?seeother-maintenance=" + secret, nil, 303},
		{"the link with another method", "POST", "/?seeother-maintenance=" + secret, nil, 503},
		{"a wrong link", "GET", "/?seeother-maintenance=x", nil, 503},
	} {
		got.Store(nil)
		res := s.do(tt.method, tt.target, "", tt.header...)
		equal(t, tt.name, res.StatusCode, tt.want)
		r := got.Load()
		if (r != nil) != (tt.want == 200) {
			t.Errorf("%s: the app was asked: %v", tt.name, r != nil)
		}
		if r != nil && strings.Contains(fmt.Sprint(r.Header, r.URL), secret) {
			t.Errorf("%s: the app saw the secret: %v %v", tt.name, r.URL, r.Header)
		}
	}
	s.do("GET", "/", "", "Cookie", "a=1; seeother-maintenance="+secret+"; b=2")
	equal(t, "cookies at the app", got.Load().Header.Get("Cookie"), "a=1; b=2")
	s.do("GET", "/", "", "Cookie", "seeother-maintenance="+secret)
	equal(t, "no cookies at the app", len(got.Load().Header["Cookie"]), 0)
	// A secret of what is planned is kept from the app, too, and a link works.
	early := token(secret)
	sw.window.Store(&early)
	s.do("GET", "/", "", "Cookie", "seeother-maintenance="+secret)
	equal(t, "planned: cookies at the app", len(got.Load().Header["Cookie"]), 0)
	equal(t, "planned: link", s.do("GET", "/?seeother-maintenance="+secret, "").StatusCode, 303)
}

func TestLinkWithTheSecret(t *testing.T) {
	s, sw := maintained(t, app(t, echoPath), Maintenance{}, options{config: func(c *Config) { c.Trust = loopback }})
	sw.on(token("s1"))
	for _, tt := range []struct{ target, location string }{
		{"/?seeother-maintenance=s1", "/"},
		{"/a%20b?x=1&seeother-maintenance=s1&y=%41", "/a%20b?x=1&y=%41"},
		{"/a?seeother-maintenance=s1&seeother-maintenance=s2", "/a"},
		{"//evil.example/?seeother-maintenance=s1", "/"},
	} {
		got := s.do("GET", tt.target, "", "X-Forwarded-Proto", "https")
		equal(t, tt.target, got.StatusCode, 303)
		equal(t, tt.target+" Location", got.Header.Get("Location"), tt.location)
		equal(t, tt.target+" Cache-Control", got.Header.Get("Cache-Control"), "no-store")
		equal(t, tt.target+" cookie", got.Header.Get("Set-Cookie"), "__Host-seeother-maintenance=s1; Path=/; HttpOnly; Secure; SameSite=Lax")
	}
	equal(t, "cookie over http", s.do("GET", "/?seeother-maintenance=s1", "").Header.Get("Set-Cookie"), "seeother-maintenance=s1; Path=/; HttpOnly; SameSite=Lax")
}

func TestStandIn(t *testing.T) {
	for _, shared := range []bool{false, true} {
		other := newFragile(t)
		s, sw := maintained(t, app(t, echoPath), Maintenance{StandIn: Site{Origin: other.url()}, SharedStore: shared}, options{guarded: true, routes: guardedRoute})
		sw.on(Window{Left: time.Hour})
		got := s.do("POST", "/a?b=c", "x")
		equal(t, "status", got.StatusCode, 307)
		equal(t, "Location", got.Header.Get("Location"), other.url()+"/a?b=c")
		equal(t, "Cache-Control", got.Header.Get("Cache-Control"), "no-store")
		equal(t, "Retry-After", got.Header.Get("Retry-After"), "")
		equal(t, "guarded", s.pay("k", "x").StatusCode, map[bool]int{false: 503, true: 307}[shared])
		equal(t, "without a key", s.do("POST", "/pay", "x").StatusCode, 307)
		equal(t, "states", s.states(), "")
		check(t, s.do("GET", "/a", "", probeHeader, "1"), 503, "maintenance")
		check(t, s.do("GET", "//evil.example", ""), 503, "maintenance")
		other.down()
		sw.on(Window{Left: time.Hour})
		check(t, s.do("GET", "/a", ""), 503, "maintenance")
	}
}

// Two sites that stand in for each other, both in maintenance: nobody goes to
// and fro.
func TestTwoStandInsInMaintenance(t *testing.T) {
	a, swA := maintained(t, app(t, echoPath), Maintenance{}, options{})
	b, swB := maintained(t, app(t, echoPath), Maintenance{StandIn: Site{Origin: "http://" + a.addr}}, options{})
	if err := a.gateway.SetMaintenance(Maintenance{StandIn: Site{Origin: "http://" + b.addr}}); err != nil {
		t.Fatal(err)
	}
	swA.on(Window{})
	equal(t, "one of them", a.do("GET", "/", "").StatusCode, 307)
	swB.on(Window{})
	check(t, b.do("GET", "/", ""), 503, "maintenance")
	eventually(t, "the other one's 503", func() bool { return a.do("GET", "/", "").StatusCode == 503 })
}

// What is under way when maintenance begins is not disturbed: a long answer, a
// stream of events, an upgraded connection, and a duplicate that waits.
func TestWhatIsUnderWayGoesOn(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan string, 8)
	up := app(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- r.URL.Path
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\n")
			http.NewResponseController(w).Flush()
			<-release
			io.WriteString(w, "data: 2\n\n")
		case "/upgrade":
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			rw.Flush()
			line, _ := rw.ReadString('\n')
			io.WriteString(rw, "echo "+line)
			rw.Flush()
		default:
			<-release
			fmt.Fprint(w, "done")
		}
	})
	s, sw := maintained(t, up, Maintenance{}, options{guarded: true, routes: guardedRoute, once: once.Config{Wait: patience}})
	results := make(chan answer, 3)
	for _, path := range []string{"/slow", "/pay"} {
		go func() { results <- s.do("POST", path, "x", "Idempotency-Key", "k") }()
		within(t, path, entered)
	}
	go func() { results <- s.pay("k", "x") }() // waits for the first
	eventually(t, "the duplicate", func() bool { return s.gateway.guard.Stats().Active == 2 })
	conn, in := s.dial()
	io.WriteString(conn, "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if head, err := readHead(in); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101") {
		t.Fatalf("upgrade: %q, %v", head, err)
	}
	events, err := client.Do(s.request("GET", "/events", ""))
	if err != nil {
		t.Fatal(err)
	}

	sw.on(Window{})
	check(t, s.do("GET", "/", ""), 503, "maintenance")
	check(t, s.pay("k", "x"), 503, "maintenance") // one that comes now has to come again
	close(release)
	equal(t, "events", read(t, events).body, "data: 1\n\ndata: 2\n\n")
	io.WriteString(conn, "hello\n")
	if line, err := in.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("upgraded connection: %q, %v", line, err)
	}
	replayed := 0
	for range 3 {
		got := within(t, "an answer", results)
		equal(t, "status", got.StatusCode, 200)
		equal(t, "body", got.body, "done")
		if got.Header.Get("Idempotent-Replayed") == "true" {
			replayed++
		}
	}
	equal(t, "replayed", replayed, 1)
}

// Smoke requests try the app behind the maintenance.
func TestCandidateIsNotInMaintenance(t *testing.T) {
	s, sw := maintained(t, app(t, echoPath), Maintenance{}, options{})
	sw.on(Window{})
	c, err := s.gateway.Candidate(nil, seeother.Enforce)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	equal(t, "status", w.Code, 200)
}

func TestReportOnlyLetsMaintenancePass(t *testing.T) {
	var seen decisions
	s, sw := maintained(t, app(t, echoPath), Maintenance{}, options{config: func(c *Config) { c.Observe = seen.observe }})
	s.gateway.ReportOnly(true)
	sw.on(Window{})
	equal(t, "status", s.do("GET", "/", "").StatusCode, 200)
	if list := seen.take(); len(list) != 1 || list[0].Applied || list[0].Action != "503" {
		t.Errorf("decisions %v", list)
	}
}

// FuzzTakeParameter: the parameter is gone, and the rest is as it came.
func FuzzTakeParameter(f *testing.F) {
	f.Add("a=1&seeother-maintenance=x&b=%41")
	f.Add("seeother-maintenance")
	f.Add("&&=&")
	f.Fuzz(func(t *testing.T, query string) {
		rest, value := takeParameter(query, TokenName)
		for pair := range strings.SplitSeq(rest, "&") {
			if name, _, _ := strings.Cut(pair, "="); name == TokenName {
				t.Errorf("%q leaves %q", query, rest)
			}
		}
		if !strings.Contains(query, TokenName) && (rest != query || value != "") {
			t.Errorf("%q became %q", query, rest)
		}
	})
}

// FuzzDropCookies: the cookies are gone, and the others are all there.
func FuzzDropCookies(f *testing.F) {
	f.Add("a=1; seeother-maintenance=x; b=2")
	f.Add("seeother-maintenance=\"x\";seeother-maintenance")
	f.Add(" ;; = ;")
	f.Add("\nseeother-maintenance")
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Count(line, ";") > 2000 {
			return // net/http reads none of so many
		}
		before, after := http.Request{Header: http.Header{"Cookie": {line}}}, http.Request{Header: http.Header{"Cookie": {line}}}
		dropCookies(after.Header, TokenName)
		if n := len(after.CookiesNamed(TokenName)); n > 0 {
			t.Errorf("%q keeps %d", line, n)
		}
		want := 0
		for _, c := range before.Cookies() {
			if c.Name != TokenName {
				want++
			}
		}
		if got := len(after.Cookies()); got != want {
			t.Errorf("%q had %d others, and has %d", line, want, got)
		}
	})
}
