package gateway

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
)

// fragile is an app that can be down: nobody listens, or it answers 500.
type fragile struct {
	t    testing.TB
	addr string
	srv  *http.Server
	hits atomic.Int64 // requests that are no checks
	sick atomic.Bool
}

func newFragile(t testing.TB) *fragile {
	f := &fragile{t: t, addr: "127.0.0.1:0"}
	f.up()
	t.Cleanup(f.down)
	return f
}

func (f *fragile) url() string { return "http://" + f.addr }

func (f *fragile) up() {
	f.t.Helper()
	var ln net.Listener
	eventually(f.t, "the port", func() bool {
		var err error
		ln, err = net.Listen("tcp", f.addr)
		return err == nil
	})
	f.addr = ln.Addr().String()
	f.srv = &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.sick.Load() {
			w.WriteHeader(500)
			return
		}
		if r.Header.Get(probeHeader) == "" {
			f.hits.Add(1)
		}
		fmt.Fprintf(w, "app %s %s", r.Method, r.RequestURI)
	})}
	go f.srv.Serve(ln)
}

func (f *fragile) down() { f.srv.Close() }

// fast makes checks that tests can wait for.
func fast(c *Config) {
	c.Health = &HealthCheck{Path: "/healthz", Interval: 40 * time.Millisecond, Timeout: time.Second}
}

func (s *site) awaitHealth(healthy bool) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("healthy %v", healthy), func() bool { return s.gateway.Health().Healthy == healthy })
}

func TestUnhealthyAppIsNotAsked(t *testing.T) {
	var seen decisions
	f := newFragile(t)
	s := newSite(t, f.url(), options{config: func(c *Config) { fast(c); c.Observe = seen.observe }})
	equal(t, "healthy", s.do("GET", "/a", "").body, "app GET /a")
	f.sick.Store(true)
	s.awaitHealth(false)
	f.sick.Store(false)
	before := f.hits.Load()
	got := s.do("GET", "/a?secret=1", "")
	check(t, got, 502, "upstream-unhealthy")
	equal(t, "Retry-After", got.Header.Get("Retry-After"), "1")
	equal(t, "Cache-Control", got.Header.Get("Cache-Control"), "no-store")
	page := s.do("POST", "/a", "body", "Sec-Fetch-Mode", "navigate")
	equal(t, "status of the page", page.StatusCode, 502)
	equal(t, "type of the page", page.Header.Get("Content-Type"), "text/html; charset=utf-8")
	equal(t, "requests at the app", f.hits.Load(), before)
	for i, d := range seen.take() {
		if d.Policy != "failover" || d.Action != "502" || d.After != 502 || !d.Applied || d.Method != []string{"GET", "POST"}[i] || d.Path != "/a" {
			t.Errorf("decision %v", d)
		}
	}
	s.awaitHealth(true)
	equal(t, "healthy again", s.do("GET", "/a", "").body, "app GET /a")
	for _, want := range []string{"fails its health checks", "GET /healthz: status 500", "passes its health checks again"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, s.log)
		}
	}
}

// Without checks it stays as it was: each request tries.
func TestWithoutChecksEachRequestTries(t *testing.T) {
	f := newFragile(t)
	s := newSite(t, f.url(), options{})
	f.down()
	for range 5 {
		check(t, s.do("GET", "/", ""), 502, "upstream-unreachable")
	}
	f.up()
	equal(t, "status", s.do("GET", "/", "").StatusCode, 200)
}

func TestRefusedConnectionsSpeedTheChecksUp(t *testing.T) {
	f := newFragile(t)
	s := newSite(t, f.url(), options{config: func(c *Config) {
		c.Health = &HealthCheck{Interval: 800 * time.Millisecond, Timeout: time.Second}
	}})
	f.down()
	began := time.Now()
	for s.gateway.Health().Healthy && time.Since(began) < patience {
		if got := s.do("GET", "/", ""); s.gateway.Health().Healthy {
			check(t, got, 502, "upstream-unreachable")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if took := time.Since(began); took > 1300*time.Millisecond {
		t.Errorf("unhealthy after %s, want much less than three intervals of 800 ms", took)
	}
}

// withSister adds a sister to fast.
func withSister(origin string, shared bool) func(*Config) {
	return func(c *Config) {
		fast(c)
		c.Failover = Failover{Sister: Site{Origin: origin, Path: "/healthz"}, SharedStore: shared}
	}
}

func TestSisterTakesOver(t *testing.T) {
	var seen decisions
	f, sister := newFragile(t), newFragile(t)
	s := newSite(t, f.url(), options{config: func(c *Config) { withSister(sister.url(), false)(c); c.Observe = seen.observe }})
	f.down()
	s.awaitHealth(false)
	for _, tt := range []struct{ method, target, location string }{
		{"GET", "/", "/"},
		{"POST", "/a/b?c=d%20e&c=f", "/a/b?c=d%20e&c=f"},
		{"DELETE", "/a%2Fb/../c", "/c"},
		{"QUERY", "/%E4%BD%A0", "/%E4%BD%A0"},
		{"PUT", "/a?next=https://evil.example", "/a?next=https://evil.example"},
		{"OPTIONS", "/", "/"},
	} {
		body := ""
		if tt.method == "POST" {
			body = "x=1"
		}
		got := s.do(tt.method, tt.target, body)
		name := tt.method + " " + tt.target
		equal(t, name, got.StatusCode, 307)
		equal(t, name+" Location", got.Header.Get("Location"), sister.url()+tt.location)
		equal(t, name+" Cache-Control", got.Header.Get("Cache-Control"), "no-store")
		equal(t, name+" Retry-After", got.Header.Get("Retry-After"), "")
	}
	list := seen.take()
	if len(list) != 6 || list[1].Policy != "failover" || list[1].Action != "307" || list[1].Path != "/a/b" {
		t.Errorf("decisions %v", list)
	}
	// A client that follows keeps its method and body.
	req := s.request("POST", "/orders?x=1", "amount=5")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "followed", read(t, res).body, "app POST /orders?x=1")
	equal(t, "requests at the sister", sister.hits.Load(), 1)

	sister.down()
	time.Sleep(otherFresh + 50*time.Millisecond)
	check(t, s.do("GET", "/", ""), 502, "upstream-unhealthy")
	if !strings.Contains(s.log.String(), "the other site does not answer") {
		t.Errorf("log:\n%s", s.log)
	}
	f.up()
	s.awaitHealth(true)
	equal(t, "back", s.do("GET", "/", "").StatusCode, 200)
}

// What must not or cannot be sent on gets 502; and no Location leads anywhere
// else, whatever a client sends.
func TestWhatIsNotSentToTheSister(t *testing.T) {
	f, sister := newFragile(t), newFragile(t)
	s := newSite(t, f.url(), options{config: withSister(sister.url(), false)})
	f.down()
	s.awaitHealth(false)
	for name, tt := range map[string]string{
		"a CORS preflight":                "OPTIONS /a HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n",
		"two slashes":                     "GET //evil.example/ HTTP/1.1\r\nHost: x\r\n",
		"two slashes after dots":          "GET /a/..//evil.example HTTP/1.1\r\nHost: x\r\n",
		"a backslash":                     "GET /\\evil.example HTTP/1.1\r\nHost: x\r\n",
		"an encoded backslash":            "GET /%5Cevil.example HTTP/1.1\r\nHost: x\r\n",
		"an encoded line break":           "GET /a%0d%0aSet-Cookie:a=1 HTTP/1.1\r\nHost: x\r\n",
		"an encoded NUL":                  "GET /%00 HTTP/1.1\r\nHost: x\r\n",
		"a path that is too long":         "GET /" + strings.Repeat("a", 9<<10) + " HTTP/1.1\r\nHost: x\r\n",
		"what another gateway only tries": "GET / HTTP/1.1\r\nHost: x\r\nSeeother-Probe: 1\r\n",
	} {
		got := s.raw("GET", tt+"\r\n")
		if got.StatusCode != 502 || got.Header.Get("Location") != "" {
			t.Errorf("%s: %d, Location %q", name, got.StatusCode, got.Header.Get("Location"))
		}
	}
	for name, tt := range map[string][2]string{
		"another site in absolute form": {"GET http://evil.example/a?b HTTP/1.1\r\nHost: evil.example\r\n", "/a?b"},
		"another Host":                  {"GET /a HTTP/1.1\r\nHost: evil.example\r\n", "/a"},
		"a user in the path":            {"GET /@evil.example HTTP/1.1\r\nHost: x\r\n", "/@evil.example"},
		"dots":                          {"GET /../../a HTTP/1.1\r\nHost: x\r\n", "/a"},
		"X-Forwarded-Host":              {"GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: evil.example\r\n", "/a"},
	} {
		got := s.raw("GET", tt[0]+"\r\n")
		if got.StatusCode != 307 || got.Header.Get("Location") != sister.url()+tt[1] {
			t.Errorf("%s: %d, Location %q", name, got.StatusCode, got.Header.Get("Location"))
		}
	}
	got := s.do("POST", "/a", "x", "Seeother-Redirect", "manual")
	equal(t, "manual", got.StatusCode, 200)
	equal(t, "manual body", got.body, `{"status":307,"location":"`+sister.url()+`/a"}`)
}

func TestGuardedRequestsGoToTheSisterOnlyWithASharedStore(t *testing.T) {
	for _, shared := range []bool{false, true} {
		f, sister := newFragile(t), newFragile(t)
		s := newSite(t, f.url(), options{
			guarded: true, config: withSister(sister.url(), shared),
			routes: []Route{guardedRoute[0], {Name: "reported", Path: "/reported", Once: &once.Policy{Stage: seeother.Report}}},
		})
		equal(t, "first", s.pay("k1", "a").StatusCode, 200)
		f.down()
		s.awaitHealth(false)
		want := map[bool]int{false: 502, true: 307}[shared]
		name := fmt.Sprintf("shared %v: ", shared)
		equal(t, name+"new key", s.pay("k2", "a").StatusCode, want)
		equal(t, name+"without a key", s.do("POST", "/pay", "a").StatusCode, 307)
		equal(t, name+"another method", s.do("GET", "/pay", "", "Idempotency-Key", "k2").StatusCode, 307)
		equal(t, name+"a route that only reports", s.do("POST", "/reported", "a", "Idempotency-Key", "k2").StatusCode, 307)
		replay := s.pay("k1", "a")
		if shared {
			equal(t, name+"duplicate", replay.StatusCode, 307) // the sister has the record
			equal(t, name+"states", s.states(), "completed")
			continue
		}
		equal(t, name+"duplicate", replay.StatusCode, 200)
		equal(t, name+"replayed", replay.Header.Get("Idempotent-Replayed"), "true")
		equal(t, name+"states", sortedWords(s.states()), "completed released")
		check(t, s.pay("k3", "a"), 502, "upstream-unhealthy")
		f.up()
		s.awaitHealth(true)
		equal(t, name+"the same key, later", s.pay("k2", "a").StatusCode, 200)
	}
}

func sortedWords(text string) string {
	words := strings.Fields(text)
	for i := range words {
		for j := range i {
			if words[i] < words[j] {
				words[i], words[j] = words[j], words[i]
			}
		}
	}
	return strings.Join(words, " ")
}

// Two gateways that name each other, and whatever of them is down: no client
// goes to and fro.
func TestTwoSistersThatAreBothDown(t *testing.T) {
	for round := range 6 {
		appA, appB := newFragile(t), newFragile(t)
		lnA, lnB := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
		origin := func(s *httptest.Server) string { return "http://" + s.Listener.Addr().String() }
		gateways := map[string]*Gateway{}
		for _, side := range []struct {
			name   string
			app    *fragile
			server *httptest.Server
			other  string
		}{{"a", appA, lnA, origin(lnB)}, {"b", appB, lnB, origin(lnA)}} {
			u, _ := url.Parse(side.app.url())
			cfg := Config{Upstream: u, Log: quietLog()}
			withSister(side.other, false)(&cfg)
			g, err := New(cfg, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(g.Close)
			gateways[side.name] = g
			side.server.Config = NewServer(cfg, g)
			side.server.Start()
			t.Cleanup(side.server.Close)
		}
		visit := func(from string) (status, hops int) {
			c := &http.Client{Timeout: patience, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
				if hops = len(via); hops > 1 {
					return http.ErrUseLastResponse
				}
				return nil
			}}
			res, err := c.Get(from + "/x")
			if err != nil {
				t.Fatal(err)
			}
			return read(t, res).StatusCode, hops
		}
		loops := func(when string) {
			for _, from := range []string{origin(lnA), origin(lnB)} {
				if status, hops := visit(from); hops > 1 || status == 307 {
					t.Fatalf("round %d, %s: %d after %d redirects", round, when, status, hops)
				}
			}
		}
		switch round % 3 { // who is down first
		case 0:
			appA.down()
			appB.down()
		case 1:
			appA.down()
			time.Sleep(time.Duration(round) * 30 * time.Millisecond)
			loops("one down")
			appB.down()
		case 2:
			appB.sick.Store(true)
			time.Sleep(200 * time.Millisecond)
			loops("one down")
			appA.sick.Store(true)
		}
		for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); {
			loops("both down")
		}
		if gateways["a"].Health().Healthy || gateways["b"].Health().Healthy {
			t.Fatalf("round %d: not both are down", round)
		}
		if status, hops := visit(origin(lnA)); status != 502 || hops > 1 {
			t.Errorf("round %d: %d after %d redirects", round, status, hops)
		}
	}
}

// What the sister says counts: a redirect away from it may lead back here.
func TestOtherSiteAnswers(t *testing.T) {
	other := app(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			w.Header().Set("Location", "/enter")
			w.WriteHeader(302)
		case "/away":
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(302)
		case "/scheme":
			w.Header().Set("Location", "https://"+r.Host+"/")
			w.WriteHeader(308)
		case "/404":
			w.WriteHeader(404)
		case "/503":
			w.WriteHeader(503)
		}
	})
	cfg := Config{Log: quietLog()}.withDefaults()
	for path, want := range map[string]string{
		"/": "", "": "", "/login": "", "/away": "leads to another site", "/scheme": "leads to another site", "/404": "status 404", "/503": "status 503",
	} {
		err := newOtherSite(cfg, Site{Origin: other, Path: path}).answers(t.Context(), time.Now())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", path, err, want)
		}
	}
}

// One look serves all who ask for two seconds; what was seen before this site
// went down does not count.
func TestOtherSiteIsAskedSeldom(t *testing.T) {
	var looks atomic.Int64
	other := app(t, func(http.ResponseWriter, *http.Request) { looks.Add(1) })
	o := newOtherSite(Config{Log: quietLog()}.withDefaults(), Site{Origin: other})
	since := time.Now()
	for range 10 {
		if err := o.answers(t.Context(), since); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "looks", looks.Load(), 1)
	if err := o.answers(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	equal(t, "looks, down anew", looks.Load(), 2)
	time.Sleep(otherFresh + 10*time.Millisecond)
	_ = o.answers(t.Context(), since)
	equal(t, "looks, later", looks.Load(), 3)
}

func TestReportOnlyChangesNothing(t *testing.T) {
	var seen decisions
	f, sister := newFragile(t), newFragile(t)
	s := newSite(t, f.url(), options{guarded: true, routes: guardedRoute, config: func(c *Config) { withSister(sister.url(), false)(c); c.Observe = seen.observe }})
	s.gateway.ReportOnly(true)
	f.down()
	s.awaitHealth(false)
	f.up()
	equal(t, "status", s.do("GET", "/a", "").StatusCode, 200)
	equal(t, "guarded", s.pay("k", "a").StatusCode, 200)
	equal(t, "early", s.do("POST", "/a", "", "Early-Data", "1").StatusCode, 200)
	list := seen.take()
	if len(list) == 0 || list[0].Applied || list[0].Stage != seeother.Report || list[0].Action != "307" {
		t.Errorf("decisions %v", list)
	}
}

func TestEarlyData(t *testing.T) {
	var seen decisions
	var got atomic.Value
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Method + " " + strings.Join(r.Header["Early-Data"], ","))
	}), options{guarded: true, routes: guardedRoute, config: func(c *Config) { c.Observe = seen.observe }})
	for _, tt := range []struct {
		name, method, path string
		header             []string
		status             int
	}{
		{"a GET passes, and the app is told", "GET", "/", []string{"Early-Data", "1"}, 200},
		{"so does a QUERY", "QUERY", "/", []string{"Early-Data", "1"}, 200},
		{"a POST does not", "POST", "/", []string{"Early-Data", "1"}, 425},
		{"nor a DELETE", "DELETE", "/", []string{"Early-Data", "1"}, 425},
		{"nor a method that is not known", "BREW", "/", []string{"Early-Data", "1"}, 425},
		{"another value is as good as 1", "POST", "/", []string{"Early-Data", "0"}, 425},
		{"and so are two", "POST", "/", []string{"Early-Data", "1", "Early-Data", "1"}, 425},
		{"and so is none", "POST", "/", []string{"Early-Data", ""}, 425},
		{"a guarded one neither", "POST", "/pay", []string{"Early-Data", "1", "Idempotency-Key", "k"}, 425},
		{"without it a POST passes", "POST", "/", nil, 200},
	} {
		got.Store("")
		res := s.do(tt.method, tt.path, "", tt.header...)
		equal(t, tt.name, res.StatusCode, tt.status)
		if tt.status == 425 {
			check(t, res, 425, "too-early")
			equal(t, tt.name+": at the app", got.Load(), any(""))
		}
	}
	equal(t, "states", s.states(), "")
	s.do("GET", "/", "", "Early-Data", "1")
	equal(t, "at the app", got.Load(), any("GET 1"))
	if list := seen.take(); len(list) != 7 || list[0].Policy != "early-data" || list[0].Action != "425" {
		t.Errorf("decisions %v", list)
	}
}

// FuzzLocationAt: whatever a client asks for, it is sent to the sister or
// nowhere.
func FuzzLocationAt(f *testing.F) {
	for _, target := range []string{"/", "/a?b#c", "//evil", "/\\evil", "*", "http://evil.example/x", "/a/..//evil", "/%5c%2f", "?x", "evil:443"} {
		f.Add(target)
	}
	const origin = "https://standby.example:8443"
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil {
			return
		}
		location := locationAt(origin, r)
		if location == "" {
			return
		}
		u, err := url.Parse(location)
		if err != nil || u.Scheme != "https" || u.Host != "standby.example:8443" || u.User != nil || !strings.HasPrefix(location, origin+"/") ||
			strings.HasPrefix(location, origin+"//") || strings.ContainsAny(location, "\\\r\n\t \x00") {
			t.Errorf("%q leads to %q", target, location)
		}
	})
}
