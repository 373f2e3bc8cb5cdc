package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
)

// tableOf is a table of rules that are the most specific first.
func tableOf(t testing.TB, canonical rule.Canonical, rules ...rule.Rule) *rule.Table {
	t.Helper()
	b := rule.NewBuilder(rule.Options{Canonical: canonical})
	b.Begin("rules.yaml", rule.Specific)
	for i := range rules {
		if rules[i].Intent == "" && rules[i].Status == 0 {
			rules[i].Intent = rule.Moved
		}
		rules[i].Pos.Line = i + 1
		if err := b.Add(&rules[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Build()
}

// last is the line of the newest.
func (d *decisions) last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return ""
	}
	return d.list[len(d.list)-1].String()
}

// withRules is a gateway with rules in front of an app.
func withRules(t testing.TB, upstream string, o options, rules ...rule.Rule) (*site, *decisions) {
	t.Helper()
	seen := &decisions{}
	config := o.config
	o.config = func(c *Config) {
		c.Observe = seen.observe
		if config != nil {
			config(c)
		}
	}
	s := newSite(t, upstream, o)
	s.gateway.SetRules(Rules{Table: tableOf(t, rule.Canonical{}, rules...)})
	return s, seen
}

// hello answers every request, and 404 below /none.
func hello(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if strings.HasPrefix(r.URL.Path, "/none") {
		w.Header().Set("Etag", `"none"`)
		w.Header().Set("Set-Cookie", "app=1")
		w.WriteHeader(http.StatusNotFound)
	}
	fmt.Fprintf(w, "the app: %s %s %s", r.Method, r.URL.Path, body)
}

func TestRulesAnswerBeforeTheApp(t *testing.T) {
	sunset := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s, seen := withRules(t, app(t, hello), options{},
		rule.Rule{Name: "old", Path: "/old/*", Target: "/new/{*}"},
		rule.Rule{Path: "/for-now", Intent: rule.Temporary, Target: "https://elsewhere.example/x"},
		rule.Rule{Path: "/done", Intent: rule.Result, Target: "/thanks"},
		rule.Rule{Path: "/gone", Intent: rule.IsGone},
		rule.Rule{Path: "/legacy", Status: 301, Target: "/new"},
		rule.Rule{Path: "/v1/*", Intent: rule.Pass, Deprecation: time.Unix(1700000000, 0), Sunset: sunset},
		rule.Rule{Path: "/to/*", Target: "/{*}"},
		rule.Rule{Path: "/beta", Target: "/new", When: []rule.Condition{{On: "header:X-Beta"}}},
		rule.Rule{Path: "/report", Target: "/new", Stage: seeother.Report},
	)
	for name, tt := range map[string]struct {
		method, target, body string
		header               []string
		status               int
		location, cache      string
		want                 string // in the body
		line                 string // of the decision
	}{
		"permanent": {
			"GET", "/old/a%2Fb?q=1", "", nil, 308, "/new/a%2Fb?q=1", "max-age=86400",
			"", "GET /old/a%2Fb  308  rules: 308  rule old",
		},
		"permanent, with a body":   {"POST", "/old/a", "x=1", nil, 308, "/new/a", "max-age=86400", "", "POST /old/a  308  rules: 308  rule old"},
		"temporary, to elsewhere":  {"PUT", "/for-now", "x", nil, 307, "https://elsewhere.example/x", "no-cache", "", ""},
		"a result":                 {"POST", "/done", "x", nil, 303, "/thanks", "no-store", "", ""},
		"a status of its own":      {"GET", "/legacy", "", nil, 301, "/new", "max-age=86400", "", ""},
		"the app's":                {"POST", "/mine", "x=1", nil, 200, "", "", "the app: POST /mine x=1", ""},
		"passed to the app":        {"GET", "/v1/a", "", nil, 200, "", "", "the app: GET /v1/a ", ""},
		"a header that is not set": {"GET", "/beta", "", nil, 200, "", "", "the app", ""},
		"a header that is set":     {"GET", "/beta", "", []string{"X-Beta", "1"}, 308, "/new", "max-age=86400", "", ""},
		"only reported": {
			"DELETE", "/report", "", nil, 200, "", "", "the app: DELETE /report", "DELETE /report  308  rules: 308  (report: not changed)  rule rules.yaml:9",
		},
		"a preflight": {"OPTIONS", "/old/a", "", []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT"}, 200, "", "", "the app: OPTIONS", ""},
		"OPTIONS":     {"OPTIONS", "/old/a", "", nil, 308, "/new/a", "max-age=86400", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.do(tt.method, tt.target, tt.body, tt.header...)
			check(t, got, tt.status, "")
			equal(t, "Location", got.Header.Get("Location"), tt.location)
			equal(t, "Cache-Control", got.Header.Get("Cache-Control"), tt.cache)
			if !strings.Contains(got.body, tt.want) {
				t.Errorf("body %q lacks %q", got.body, tt.want)
			}
			if tt.line != "" {
				equal(t, "decision", seen.last(), tt.line)
			}
		})
	}
	t.Run("gone, for a program", func(t *testing.T) {
		got := s.do("GET", "/gone", "")
		check(t, got, 410, "gone")
		equal(t, "Cache-Control", got.Header.Get("Cache-Control"), "max-age=86400")
	})
	t.Run("gone, for a person", func(t *testing.T) {
		got := s.do("GET", "/gone", "", "Sec-Fetch-Mode", "navigate")
		check(t, got, 410, "")
		equal(t, "Content-Type", got.Header.Get("Content-Type"), "text/html; charset=utf-8")
	})
	t.Run("a target that is refused", func(t *testing.T) {
		got := s.do("GET", "/to//evil.example/", "")
		check(t, got, 400, "redirect-refused")
		equal(t, "Location", got.Header.Get("Location"), "")
		equal(t, "Cache-Control", got.Header.Get("Cache-Control"), "no-store")
		if !strings.Contains(seen.last(), "400  rules: 400") {
			t.Errorf("decision %q", seen.last())
		}
	})
	t.Run("deprecated", func(t *testing.T) {
		got := s.do("GET", "/v1/a", "")
		equal(t, "Deprecation", got.Header.Get("Deprecation"), "@1700000000")
		equal(t, "Sunset", got.Header.Get("Sunset"), "Wed, 02 Jan 2030 03:04:05 GMT")
	})
	t.Run("caches are told what a rule looks at", func(t *testing.T) {
		equal(t, "Vary of the app's answer", s.do("GET", "/beta", "").Header.Get("Vary"), "X-Beta")
		equal(t, "Vary of the rule's answer", s.do("GET", "/beta", "", "X-Beta", "1").Header.Get("Vary"), "X-Beta")
	})
	t.Run("HEAD", func(t *testing.T) {
		got := s.do("HEAD", "/old/a", "")
		check(t, got, 308, "")
		equal(t, "body", got.body, "")
		equal(t, "Location", got.Header.Get("Location"), "/new/a")
	})
}

// What an app says of its own API counts more than what a rule says.
func TestTheAppsOwnDeprecationStays(t *testing.T) {
	s, _ := withRules(t, app(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Sunset", "soon") }), options{},
		rule.Rule{Path: "/*", Intent: rule.Pass, Sunset: time.Unix(1e9, 0), Deprecation: time.Unix(1e9, 0)})
	got := s.do("GET", "/", "")
	if sunset := got.Header["Sunset"]; len(sunset) != 1 || sunset[0] != "soon" {
		t.Errorf("Sunset is %q", sunset)
	}
	equal(t, "Deprecation", got.Header.Get("Deprecation"), "@1000000000")
}

func TestStageOfAllRules(t *testing.T) {
	s, seen := withRules(t, app(t, hello), options{}, rule.Rule{Name: "a", Path: "/a", Target: "/b"}, rule.Rule{Name: "g", Path: "/g", Status: 301, Target: "/b"})
	var hits atomic.Int64
	table := s.gateway.rules.Load().Table
	s.gateway.SetRules(Rules{Table: table, Hit: func(int) { hits.Add(1) }})
	for _, tt := range []struct {
		stage                 seeother.Stage
		path                  string
		status                int
		location, cache, line string
		hits                  int64
	}{
		{seeother.Off, "/a", 200, "", "", "", 0},
		{seeother.Report, "/a", 200, "", "", "GET /a  308  rules: 308  (report: not changed)  rule a", 1},
		{seeother.Canary(99), "/a", 307, "/b", "private, no-store", "GET /a  307  rules: 307  rule a", 2},
		{seeother.Canary(99), "/g", 302, "/b", "private, no-store", "GET /g  302  rules: 302  rule g", 3},
		{seeother.Enforce, "/a", 308, "/b", "max-age=86400", "GET /a  308  rules: 308  rule a", 4},
	} {
		if err := s.gateway.SetRoutes(nil, tt.stage); err != nil {
			t.Fatal(err)
		}
		got := s.do("GET", tt.path, "")
		check(t, got, tt.status, "")
		equal(t, tt.stage.String()+": Location", got.Header.Get("Location"), tt.location)
		equal(t, tt.stage.String()+": Cache-Control", got.Header.Get("Cache-Control"), tt.cache)
		equal(t, tt.stage.String()+": decision", seen.last(), tt.line)
		equal(t, tt.stage.String()+": hits", hits.Load(), tt.hits)
	}
}

func TestRulesForWhatTheAppDoesNotHave(t *testing.T) {
	content := strings.Repeat("0123456789", 1000)
	s, seen := withRules(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/file":
			http.ServeContent(w, r, "", time.Unix(1e9, 0), strings.NewReader(content))
		case "/none/large":
			w.WriteHeader(404)
			w.Write(bytes.Repeat([]byte("x"), 1<<20))
		default:
			hello(w, r)
		}
	}), options{guarded: true, routes: guardedRoute},
		rule.Rule{Name: "missing", Path: "/*", Target: "/archive/{*}", Missing: true})
	for name, tt := range map[string]struct {
		method, target, body string
		header               []string
		status               int
		want                 string // in the body
	}{
		"what is there":                {"GET", "/there", "", nil, 200, "the app: GET /there"},
		"what is there, with a body":   {"POST", "/there", "x=1", nil, 200, "the app: POST /there x=1"},
		"a part of it":                 {"GET", "/file", "", []string{"Range", "bytes=10-19"}, 206, "0123456789"},
		"a part that is not there":     {"GET", "/file", "", []string{"Range", "bytes=99999-"}, 416, ""},
		"what the client has already":  {"GET", "/file", "", []string{"If-Modified-Since", time.Unix(1e9, 0).UTC().Format(http.TimeFormat)}, 304, ""},
		"a condition that fails":       {"GET", "/file", "", []string{"If-Unmodified-Since", time.Unix(1e8, 0).UTC().Format(http.TimeFormat)}, 412, ""},
		"its header":                   {"HEAD", "/file", "", nil, 200, ""},
		"what is missing":              {"GET", "/none/a?b=1", "", nil, 308, ""},
		"a part of what is missing":    {"GET", "/none/a?b=1", "", []string{"Range", "bytes=0-1", "If-None-Match", `"none"`}, 308, ""},
		"the header of what is not":    {"HEAD", "/none/a?b=1", "", nil, 308, ""},
		"a submission to what is not":  {"POST", "/none/a?b=1", "x=1", nil, 308, ""},
		"a large page that says so":    {"GET", "/none/large?b=1", "", nil, 308, ""},
		"a large submission to it":     {"POST", "/none/a?b=1", strings.Repeat("x", 1<<20), nil, 308, ""},
		"an event stream that is none": {"GET", "/none/a?b=1", "", []string{"Accept", "text/event-stream"}, 308, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.do(tt.method, tt.target, tt.body, tt.header...)
			check(t, got, tt.status, "")
			if !strings.Contains(got.body, tt.want) || tt.status == 308 && got.body != "" {
				t.Errorf("body %q, want %q", got.body, tt.want)
			}
			if tt.status != 308 {
				return
			}
			for _, name := range []string{"Etag", "Set-Cookie"} {
				equal(t, name, got.Header.Get(name), "")
			}
			if !strings.HasPrefix(got.Header.Get("Location"), "/archive/none/") {
				t.Errorf("Location %q", got.Header.Get("Location"))
			}
			if !strings.Contains(seen.last(), "404 -> 308  rules: 308  rule missing") {
				t.Errorf("decision %q", seen.last())
			}
		})
	}
	t.Run("a guarded one, twice", func(t *testing.T) {
		s.gateway.SetRules(Rules{Table: tableOf(t, rule.Canonical{}, rule.Rule{Path: "/none", Target: "/archive", Missing: true})})
		if err := s.gateway.SetRoutes([]Route{{Path: "/none", Once: guardedRoute[0].Once}}, seeother.Enforce); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got := s.do("POST", "/none", "x=1", "Idempotency-Key", "k1")
			check(t, got, 404, "")
			equal(t, "Location", got.Header.Get("Location"), "")
		}
		equal(t, "records", s.states(), "completed")
	})
}

// An app that never ends its 404 must not keep the client waiting; and what it
// does have streams.
func TestMissingStreams(t *testing.T) {
	more := make(chan struct{})
	s, _ := withRules(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		head, err := readHead(in)
		if err != nil {
			return
		}
		status := "200 OK"
		if strings.Contains(head, "/none") {
			status = "404 Not Found"
		}
		fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", status)
		<-more
		fmt.Fprint(conn, "3\r\ntwo\r\n0\r\n\r\n")
	}), options{}, rule.Rule{Path: "/*", Target: "/archive", Missing: true})
	conn, in := s.dial()
	io.WriteString(conn, "GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, read(t, res), 308, "")

	conn, in = s.dial()
	io.WriteString(conn, "GET /there HTTP/1.1\r\nHost: x\r\n\r\n")
	if res, err = http.ReadResponse(in, nil); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "one" {
		t.Errorf("the first piece is %q, %v", first, err)
	}
	close(more)
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(rest) != "two" {
		t.Errorf("the rest is %q, %v", rest, err)
	}
}

// A rule answers before the body is read. A small one is read all the same, so
// that the connection can be used again; a large one closes it.
func TestBodiesOfRequestsThatARuleAnswers(t *testing.T) {
	s, _ := withRules(t, app(t, hello), options{}, rule.Rule{Path: "/old", Target: "/new"})
	const next = "GET /there HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, tt := range map[string]struct {
		text  string
		again bool // a second request on the connection is answered
	}{
		"no body":         {"POST /old HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", true},
		"a small body":    {"POST /old HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", true},
		"a chunked body":  {"POST /old HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true},
		"a large body":    {"POST /old HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nhello", false},
		"a body to come":  {"POST /old HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", false},
		"an HTTP/1.0 one": {"POST /old HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", false},
	} {
		t.Run(name, func(t *testing.T) {
			conn, in := s.dial()
			if _, err := io.WriteString(conn, tt.text); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			check(t, read(t, res), 308, "")
			if !tt.again {
				closed(t, in)
				return
			}
			if _, err := io.WriteString(conn, next); err != nil {
				t.Fatal(err)
			}
			if res, err = http.ReadResponse(in, nil); err != nil {
				t.Fatal(err)
			}
			equal(t, "body", read(t, res).body, "the app: GET /there ")
		})
	}
}

// A client that says it will send a body, and does not, is not waited for.
func TestABodyThatDoesNotCome(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for drainTime")
	}
	t.Parallel()
	s, _ := withRules(t, app(t, hello), options{config: func(c *Config) { c.Timeouts.ClientRead = -1 }}, rule.Rule{Path: "/old", Target: "/new"})
	conn, in := s.dial()
	io.WriteString(conn, "POST /old HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, read(t, res), 308, "")
	closed(t, in)
}

func TestCanonical(t *testing.T) {
	s := newSite(t, app(t, hello), options{config: func(c *Config) { c.Trust = loopback }})
	s.gateway.SetRules(Rules{
		Table: tableOf(t, rule.Canonical{Origin: "https://www.example.com", Hosts: []string{"example.com"}, HTTPS: true, Slash: "remove"}, rule.Rule{Path: "/old", Target: "/new"}),
		HSTS:  "max-age=31536000",
	})
	const hsts = "max-age=31536000"
	for name, tt := range map[string]struct {
		proto, host, target string
		status              int
		location, hsts      string
	}{
		"http":                          {"http", "www.example.com", "/a?b=1", 308, "https://www.example.com/a?b=1", ""},
		"http on another name":          {"http", "example.com", "/a", 308, "https://www.example.com/a", ""},
		"http, and a host of nobody":    {"http", "evil.example", "/a", 308, "https://www.example.com/a", ""},
		"https":                         {"https", "www.example.com", "/a", 200, "", hsts},
		"https on another name":         {"https", "example.com", "/a", 308, "https://www.example.com/a", hsts},
		"https in upper case":           {"https", "WWW.EXAMPLE.COM.:443", "/a", 200, "", hsts},
		"a slash at the end":            {"https", "www.example.com", "/a/", 308, "/a", hsts},
		"a rule on http, in one step":   {"http", "www.example.com", "/old", 308, "https://www.example.com/new", ""},
		"a rule on https":               {"https", "www.example.com", "/old", 308, "/new", hsts},
		"an ACME challenge":             {"http", "example.com", "/.well-known/acme-challenge/x", 200, "", ""},
		"a name of another on https":    {"https", "else.example", "/a", 200, "", hsts},
		"https, and no such page":       {"https", "www.example.com", "/none", 404, "", hsts},
		"two slashes, and a host":       {"https", "www.example.com", "//evil.example/", 400, "", hsts},
		"dots that lead to two slashes": {"https", "www.example.com", "/a/..//evil.example/", 400, "", hsts},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.raw("GET", fmt.Sprintf("GET %s HTTP/1.1\r\nHost: gateway\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: %s\r\nX-Forwarded-Host: %s\r\n\r\n", tt.target, tt.proto, tt.host))
			equal(t, "status", got.StatusCode, tt.status)
			equal(t, "Location", got.Header.Get("Location"), tt.location)
			equal(t, "Strict-Transport-Security", got.Header.Get("Strict-Transport-Security"), tt.hsts)
		})
	}
}

// Behind a proxy that ends TLS, what the proxy says counts: else http to https
// would go round for ever. From anybody else it is a lie.
func TestSchemeIsBelievedFromProxiesAlone(t *testing.T) {
	canonical := rule.Canonical{Origin: "https://www.example.com", HTTPS: true}
	stranger := newSite(t, app(t, hello), options{})
	proxy := newSite(t, app(t, hello), options{config: func(c *Config) { c.Trust = loopback }})
	for _, s := range []*site{stranger, proxy} {
		s.gateway.SetRules(Rules{Table: tableOf(t, canonical), HSTS: "max-age=60"})
	}
	got := stranger.do("GET", "/", "", "X-Forwarded-Proto", "https")
	check(t, got, 308, "")
	equal(t, "Strict-Transport-Security", got.Header.Get("Strict-Transport-Security"), "")
	check(t, proxy.do("GET", "/", "", "X-Forwarded-Proto", "https"), 200, "")
	check(t, proxy.do("GET", "/", "", "Forwarded", "proto=https;host=www.example.com"), 200, "")
}

// The app may not undo what the operator says.
func TestHSTSIsTheGateways(t *testing.T) {
	s := newSite(t, app(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Strict-Transport-Security", "max-age=0") }), options{config: func(c *Config) { c.Trust = loopback }})
	equal(t, "without", s.do("GET", "/", "", "X-Forwarded-Proto", "https").Header.Get("Strict-Transport-Security"), "max-age=0")
	s.gateway.SetRules(Rules{HSTS: "max-age=60"})
	if got := s.do("GET", "/", "", "X-Forwarded-Proto", "https").Header["Strict-Transport-Security"]; len(got) != 1 || got[0] != "max-age=60" {
		t.Errorf("Strict-Transport-Security is %q", got)
	}
	equal(t, "http", s.do("GET", "/", "").Header.Get("Strict-Transport-Security"), "max-age=0")
}

// What the gateway answers by itself has it, too.
func TestHSTSOfTheGatewaysOwnAnswers(t *testing.T) {
	s := newSite(t, app(t, hello), options{config: func(c *Config) {
		c.Trust = loopback
		c.Maintenance = func() (Window, bool) { return Window{Active: true}, true }
	}})
	s.gateway.SetRules(Rules{HSTS: "max-age=60"})
	got := s.do("GET", "/", "", "X-Forwarded-Proto", "https")
	equal(t, "status", got.StatusCode, 503)
	equal(t, "Strict-Transport-Security", got.Header.Get("Strict-Transport-Security"), "max-age=60")
}

// Whatever a client sends, no Location leads off the site.
func TestBadRequestsMeetRules(t *testing.T) {
	s, _ := withRules(t, app(t, hello), options{},
		rule.Rule{Path: "/old/*", Target: "/{*}"},
		rule.Rule{Path: "/host/*", Target: "https://{host}/{*}", Origins: []string{"https://www.example.com"}},
		rule.Rule{Path: "/path/*", Target: "{path}/x"},
	)
	for name, tt := range map[string]struct {
		target, host string
		status       int
		location     string
	}{
		"two slashes":                   {"//old/a", "x", 200, ""},
		"two slashes in the rest":       {"/old//evil.example", "x", 400, ""},
		"dots":                          {"/old/../x", "x", 200, ""},
		"encoded dots":                  {"/old/%2e%2e/x", "x", 200, ""},
		"dots that lead to the rule":    {"/a/../old/b", "x", 308, "/b"},
		"encoded dots that do":          {"/a/%2e%2E/old/b", "x", 308, "/b"},
		"an encoded slash":              {"/old/%2Fevil.example", "x", 308, "/%2Fevil.example"},
		"a backslash":                   {`/old/\evil.example`, "x", 400, ""},
		"an encoded backslash":          {"/old/%5Cevil.example", "x", 400, ""},
		"an encoded NUL":                {"/old/%00", "x", 400, ""},
		"an encoded line break":         {"/old/a%0d%0aSet-Cookie:%20a=1", "x", 400, ""},
		"a line break in the query":     {"/old/a?q=%0d%0aX:%201", "x", 308, "/a?q=%0d%0aX:%201"},
		"a long path":                   {"/old/" + strings.Repeat("a", 60<<10), "x", 400, ""},
		"a host that is allowed":        {"/host/a", "WWW.Example.com.", 308, "https://www.example.com/a"},
		"a host with a port":            {"/host/a", "www.example.com:8080", 308, "https://www.example.com/a"},
		"a host that is not":            {"/host/a", "evil.example", 400, ""},
		"an IPv6 literal":               {"/host/a", "[::1]:8303", 400, ""},
		"a host that is nearly allowed": {"/host/a", "www.example.com.evil.example", 400, ""},
		"a host with userinfo":          {"/host/a", "www.example.com@evil.example", 400, ""},
		"the path itself":               {"/path/a", "x", 308, "/path/a/x"},
		"characters that no URL holds":  {"/old/<a>|^", "x", 308, "/%3Ca%3E%7C%5E"},
		"bytes that are not UTF-8":      {"/old/\xff", "x", 308, "/%FF"},
		"an absolute target":            {"http://evil.example/old/a", "x", 308, "/a"},
		"an encoding that is broken":    {"/old/%zz", "x", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.raw("GET", "GET "+tt.target+" HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n\r\n")
			equal(t, "status", got.StatusCode, tt.status)
			equal(t, "Location", got.Header.Get("Location"), tt.location)
		})
	}
}

// Each request is answered by one table as a whole, and none is lost.
func TestRulesChangeWhileRequestsRun(t *testing.T) {
	s, _ := withRules(t, app(t, hello), options{})
	one := tableOf(t, rule.Canonical{}, rule.Rule{Path: "/a", Target: "/one"}, rule.Rule{Path: "/b", Target: "/one"})
	two := tableOf(t, rule.Canonical{}, rule.Rule{Path: "/b", Target: "/two"}, rule.Rule{Path: "/a", Target: "/two"})
	stop := make(chan struct{})
	var all sync.WaitGroup
	s.gateway.SetRules(Rules{Table: one})
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := s.do("GET", "/a", ""); got.StatusCode != 308 || got.Header.Get("Location") != "/one" && got.Header.Get("Location") != "/two" {
					t.Errorf("answered %d %s", got.StatusCode, got.body)
				}
			}
		})
	}
	for i := range 500 {
		s.gateway.SetRules(Rules{Table: []*rule.Table{two, one}[i%2], Hit: func(int) {}})
	}
	close(stop)
	all.Wait()
}
