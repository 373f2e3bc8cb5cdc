package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// requests is a log of what a server was asked for.
type requests struct {
	mu  sync.Mutex
	got []string
}

// of wraps answers so that the log has "METHOD /path?query" of each request but
// those for robots.txt.
func (l *requests) of(answers map[string]http.HandlerFunc) map[string]http.HandlerFunc {
	out := make(map[string]http.HandlerFunc)
	for path, answer := range answers {
		out[path] = func(w http.ResponseWriter, r *http.Request) {
			l.mu.Lock()
			l.got = append(l.got, r.Method+" "+r.RequestURI)
			l.mu.Unlock()
			answer(w, r)
		}
	}
	return out
}

func (l *requests) has(line string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.got, line)
}

// Links that do things by GET are links: whoever has some says so, and then they
// are asked for in no way, as the target of a redirect and of a form neither.
func TestExcludedURLsAreNeverAsked(t *testing.T) {
	t.Parallel()
	var log requests
	answers := map[string]http.HandlerFunc{
		"/": show(`<a href=/logout><a href="/post?id=1&action=delete"><a href="/post?id=1&action=%64elete"><a href="/post?id=1"><a href=/jump>
			<form method=post action=/logout?form></form><a href="/logout?next=/">`),
		"/logout": show("out"), "/post": show("post"), "/jump": send(301, "/logout"),
	}
	srv := site(t, log.of(answers))
	run(t, srv.URL)
	for _, line := range []string{"GET /logout", "GET /post?id=1&action=delete", "HEAD /logout?form"} {
		if !log.has(line) {
			t.Errorf("without Exclude, %s is not asked for: %q", line, log.got)
		}
	}
	log.got = nil
	r := run(t, srv.URL, func(o *Options) {
		o.Exclude, o.Probe = []string{"/logout*", "*action=delete*"}, []string{"127.0.0.1"}
	}, submitting("forms: [{action: /logout}]"))
	for _, line := range log.got {
		if strings.Contains(line, "logout") || strings.Contains(line, "elete") {
			t.Errorf("asked for %s", line)
		}
	}
	if !log.has("GET /post?id=1") || r.Summary.Excluded == 0 {
		t.Errorf("%d excluded, asked %q", r.Summary.Excluded, log.got)
	}
}

// A link is read as a browser reads it.
func TestLinksAreReadAsBrowsersDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ page, want string }{
		"a space in a query":                    {`<a href="/a?q=one two">`, "GET /a?q=one%20two"},
		"text that is not ASCII in a query":     {`<a href="/a?q=é">`, "GET /a?q=%C3%A9"},
		"a quote in a query":                    {`<a href='/a?q="x"<y>'>`, "GET /a?q=%22x%22%3Cy%3E"},
		"a line end":                            {"<a href='/a?\nx=1'>", "GET /a?x=1"},
		"a backslash":                           {`<a href="\a">`, "GET /a"},
		"a base that is a script":               {`<base href="javascript:x"><a href=a>`, "GET /a"},
		"a base that is data":                   {`<base href="data:text/html,x"><a href=a>`, "GET /a"},
		"a refresh without url=":                {`<meta http-equiv=refresh content="0; /a">`, "GET /a"},
		"a refresh with a comma":                {`<meta http-equiv=refresh content="0,url=/a">`, "GET /a"},
		"the default port, and upper case":      {`<a href="HTTP://HOST/a">`, "GET /a"},
		"a percent sign that encodes nothing":   {`<a href="/a?100%">`, "GET /a?100%"},
		"dot segments that are encoded":         {`<a href="/x/%2e%2E/a">`, "GET /a"},
		"a redirect with a space in its target": {`<a href=/to>`, "GET /a?q=one%20two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log requests
			page := func(w http.ResponseWriter, r *http.Request) {
				show(strings.ReplaceAll(c.page, "HOST", strings.ToUpper(r.Host)))(w, r)
			}
			srv := site(t, log.of(map[string]http.HandlerFunc{"/": page, "/a": show("here"), "/to": send(302, "/a?q=one two")}))
			run(t, srv.URL)
			if !log.has(c.want) {
				t.Errorf("want %s, asked %q", c.want, log.got)
			}
		})
	}
}

// What looks like the scope, and is not.
func TestScopeIsNotLeft(t *testing.T) {
	t.Parallel()
	opts := Options{Start: mustParse(t, "https://shop.example/shop/"), Scope: []string{"https://shop.example/shop/"}}.withDefaults()
	for _, text := range []string{
		"https://shop.example.evil.example/shop/", "https://evil.example/shop/", "https://shop.example:8443/shop/", "http://shop.example/shop/",
		"https://shop.example./shop/", "https://shop.example/shopping/", "https://shop.example/shop/%2e%2e/admin", "https://shop.example/shop/..%2fadmin",
		"https://shop.example/shop/..%5cadmin", "https://shop.example/SHOP/", "https://shop.example@evil.example/shop/",
	} {
		if u := mustParse(t, text); opts.inScope(normal(u)) {
			t.Errorf("%s is in scope", text)
		}
	}
	for _, text := range []string{"https://shop.example/shop/a", "HTTPS://SHOP.EXAMPLE:443/shop/a", "https://shop.example/shop/a..b/x", "https://shop.example:/shop/"} {
		if u := mustParse(t, text); !opts.inScope(normal(u)) {
			t.Errorf("%s is not in scope", text)
		}
	}
	idn := Options{Start: mustParse(t, "https://bücher.example/")}.withDefaults()
	if !idn.inScope(normal(mustParse(t, "https://xn--bcher-kva.example/a"))) {
		t.Error("a name in punycode is another name")
	}
}

// A form that deletes is no form that changes, though both are at one address.
func TestRulesNameWhatAFormMeans(t *testing.T) {
	t.Parallel()
	var log requests
	page := show(`<form method=post action=/posts/1><input type=hidden name=_method value=delete><button>Destroy</button></form>
		<form method=post action=/posts/1><input type=hidden name=_method value=patch><input name=title></form>`)
	meant := make(chan string, 10)
	srv := site(t, log.of(map[string]http.HandlerFunc{"/": page, "POST /posts/1": func(w http.ResponseWriter, r *http.Request) {
		meant <- r.PostFormValue("_method")
		send(303, "/")(w, r)
	}, "/posts/1": page}))
	run(t, srv.URL, submitting("forms: [{action: /posts/*, fields: {title: x}}]"))
	if len(meant) != 0 {
		t.Fatalf("a form with _method=%s was sent by a rule without it", <-meant)
	}
	run(t, srv.URL, submitting("forms: [{action: /posts/*, fields: {title: x, _method: patch}}]"))
	if len(meant) != 1 || <-meant != "patch" {
		t.Error("the form that the rule names was not sent once")
	}
}

// Some servers send a body in answer to HEAD, such as Django's for developers: the
// next answer on that connection would begin with it.
func TestNothingFollowsHEADOnItsConnection(t *testing.T) {
	t.Parallel()
	closed := make(chan bool, 10)
	srv := site(t, map[string]http.HandlerFunc{
		"/":         show(`<form method=post action=/buy></form><a href=/a>`),
		"HEAD /buy": func(_ http.ResponseWriter, r *http.Request) { closed <- r.Close },
		"/a":        show("", "X: 1"),
	})
	run(t, srv.URL)
	if len(closed) != 1 || !<-closed {
		t.Error("the connection was left open")
	}
}

// The page of a form is opened again: what it has become must be what the rule names.
func TestFormsThatChangeAreNotSent(t *testing.T) {
	t.Parallel()
	var log requests
	shown := 0
	srv := site(t, log.of(map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, r *http.Request) {
			shown++
			do := "preview"
			if shown > 1 {
				do = "delete"
			}
			show("<form method=post action=/post?do="+do+"></form>")(w, r)
		},
		"POST /post": show("done"), "/post": show(""),
	}))
	run(t, srv.URL, submitting("forms: [{action: /post?do=preview}]"), func(o *Options) { o.Concurrency = 1 })
	if log.has("POST /post?do=delete") {
		t.Error("a form was sent that no rule names")
	}
}

// 307 sends a form on: within the scope, and not further.
func TestSubmissionsStayInScope(t *testing.T) {
	t.Parallel()
	var log requests
	srv := site(t, log.of(map[string]http.HandlerFunc{
		"/shop/": show("<form method=post action=/shop/buy></form>"), "POST /shop/buy": send(307, "/admin/buy"), "POST /admin/buy": show("done"),
	}))
	run(t, srv.URL+"/shop/", submitting("forms: [{action: /shop/buy}]"), func(o *Options) { o.Scope = []string{srv.URL + "/shop/"} })
	if !log.has("POST /shop/buy") || log.has("POST /admin/buy") {
		t.Errorf("asked %q", log.got)
	}
}

// What an audit goes on with is told by the options of now, not by the file.
func TestStateTellsNothingToBeSent(t *testing.T) {
	t.Parallel()
	for name, queue := range map[string]string{
		"a request that no rule has any more":  `{"k":"request","u":"BASE/delete","m":"DELETE"}`,
		"a form whose rule is gone":            `{"k":"form","u":"BASE/delete","f":"BASE/","form":{"method":"POST","action":"BASE/delete"}}`,
		"a form whose action is not its URL":   `{"k":"form","u":"BASE/buy","f":"BASE/","form":{"method":"POST","action":"BASE/delete"}}`,
		"a page that is out of scope":          `{"u":"BASE/out/delete"}`,
		"a form that is none":                  `{"k":"form","u":"BASE/buy"}`,
		"a kind that there is not":             `{"k":"deed","u":"BASE/delete"}`,
		"a page at another host":               `{"u":"http://127.0.0.1:1/"}`,
		"a probe that nobody asked for":        `{"k":"open","u":"BASE/delete?next=/","p":"next"}`,
		"a URL that is none":                   `{"u":"%"}`,
		"a URL without a path":                 `{"u":"x"}`,
		"nothing":                              `{}`,
		"a host probe of a URL without a path": `{"k":"host","u":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log requests
			srv := site(t, log.of(map[string]http.HandlerFunc{"/": show(""), "/delete": show(""), "/out/delete": show(""), "/buy": show("")}))
			state := filepath.Join(t.TempDir(), "state")
			line := strings.ReplaceAll(queue, "BASE", srv.URL) + "\n"
			data, err := json.Marshal(snapshot{Version: stateVersion, Start: srv.URL + "/", Size: int64(len(line))})
			if err := errors.Join(err, os.WriteFile(state, data, 0o600), os.WriteFile(state+queueSuffix, []byte(line), 0o600)); err != nil {
				t.Fatal(err)
			}
			opts := Options{Start: mustParse(t, srv.URL), State: state, Rate: -1, Scope: []string{srv.URL + "/buy", srv.URL + "/delete"}}
			submitting("forms: [{action: /buy}]")(&opts)
			if _, err := Run(t.Context(), opts); err != nil && !errors.Is(err, ErrState) && !errors.Is(err, ErrUnreachable) {
				t.Error(err)
			}
			for _, line := range log.got {
				if strings.Contains(line, "delete") && !strings.HasPrefix(line, "HEAD ") {
					t.Errorf("sent %s", line)
				}
			}
		})
	}
}

// Two audits do not share one state.
func TestStateIsOfOneAuditAtATime(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	second := make(chan error, 1)
	var srvURL string
	var begun atomic.Bool // before the second runs: without a lock, it comes here too
	srv := site(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		if begun.CompareAndSwap(false, true) {
			_, err := Run(context.WithoutCancel(r.Context()), Options{Start: mustParse(t, srvURL), State: state, Rate: -1})
			second <- err
		}
		show("")(w, r)
	}})
	srvURL = srv.URL
	run(t, srv.URL, func(o *Options) { o.State = state })
	if err := <-second; !errors.Is(err, ErrState) {
		t.Errorf("the second got %v", err)
	}
}

// A redirect may name its own address in a parameter: that is no query twice.
func TestQueriesThatAreNotDoubled(t *testing.T) {
	t.Parallel()
	page := show("here")
	for name, answer := range map[string]http.HandlerFunc{
		"the way back is a parameter": func(w http.ResponseWriter, r *http.Request) {
			send(301, "/login?"+r.URL.RawQuery+"&back="+r.URL.RequestURI())(w, r)
		},
		"the way back is encoded": func(w http.ResponseWriter, r *http.Request) {
			send(301, "/login?"+r.URL.RawQuery+"&back="+url.QueryEscape(r.URL.RequestURI()))(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := site(t, map[string]http.HandlerFunc{"/": show(`<a href="/a?x=1">`), "/a": answer, "/login": page})
			if got := ids(run(t, srv.URL)); len(got) > 0 {
				t.Errorf("found %v", got)
			}
		})
	}
}

// A browser at https reads "https:/x" as a path of the site.
func TestOpenRedirectsAreThoseOfABrowser(t *testing.T) {
	t.Parallel()
	at := func(location string) *answer {
		return &answer{url: mustParse(t, "https://a.example/go"), header: http.Header{"Location": {location}}, Exchange: Exchange{Status: 302}}
	}
	for location, want := range map[string]bool{
		"https:/" + marker + "/": false, "https:" + marker: false, "/" + marker: false, "https://a.example/?x=//" + marker: false,
		"http:/" + marker + "/": true, "//" + marker: true, `\\` + marker: true, "https://a.example@" + marker: true, "/\t/" + marker: true,
		"https://" + marker + `\@a.example/`: true, "https://a.example." + marker: true, "javascript:alert(1)": true, "https:///" + marker: true,
	} {
		if got := escapes(at(location)); got != want {
			t.Errorf("%q leads off: %v", location, got)
		}
	}
	for _, payload := range payloads {
		text := strings.NewReplacer("HOST", "127.0.0.1:8080", "NAME", "127.0.0.1").Replace(payload)
		if !strings.Contains(text, "X-Seeother") && !strings.HasPrefix(text, "/a/") && !strings.HasPrefix(text, "https:"+marker) && !strings.HasPrefix(text, "https:/"+marker) && !escapes(at(text)) {
			t.Errorf("the payload %q leads nowhere", text)
		}
	}
}

// HSTS is not for addresses (RFC 6797 section 8.1.1).
func TestHSTSIsForNames(t *testing.T) {
	t.Parallel()
	for start, want := range map[string]bool{
		"https://a.example/": true, "https://192.0.2.1/": false, "https://[2001:db8::1]/": false, "http://a.example/": false,
	} {
		a := &answer{url: mustParse(t, start), header: http.Header{}, Exchange: Exchange{Method: "GET", URL: start, Status: 200}}
		if got := len(judgeHSTS(a, "")) > 0; got != want {
			t.Errorf("%s: found is %v", start, got)
		}
	}
	for value, want := range map[string]bool{
		"max-age=1": false, `includeSubDomains; Max-Age="31536000"`: false, "includeSubDomains; max-age=0": true, `max-age="0"`: true, "includeSubDomains": true,
	} {
		a := &answer{url: mustParse(t, "https://a.example/"), header: http.Header{"Strict-Transport-Security": {value}}, Exchange: Exchange{Status: 200}}
		if got := len(judgeHSTS(a, "")) > 0; got != want {
			t.Errorf("%q: found is %v", value, got)
		}
	}
}

// Cookies of a server that sets thousands cost neither time nor memory, and those
// of the site win over those of the command line, as a session does that is renewed.
func TestCookies(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 50)
	srv := site(t, map[string]http.HandlerFunc{
		"/": show("<a href=/a>"),
		"/a": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Set-Cookie", "session=new")
			for i := range 1000 {
				w.Header().Add("Set-Cookie", fmt.Sprintf("c%d=%s", i, strings.Repeat("x", 50)))
			}
			send(302, "/b")(w, r)
		},
		"/b": func(w http.ResponseWriter, r *http.Request) {
			sent <- strings.Join(r.Header["Cookie"], "; ")
			show("")(w, r)
		},
	})
	run(t, srv.URL, func(o *Options) { o.Header, o.Concurrency = http.Header{"Cookie": {"session=old; other=1"}}, 1 })
	got := <-sent
	if strings.Contains(got, "session=old") || !strings.Contains(got, "session=new") || !strings.Contains(got, "other=1") {
		t.Errorf("sent %.200q", got)
	}
	if n := strings.Count(got, ";"); n > maxCookies+2 {
		t.Errorf("sent %d cookies", n)
	}
}

// A page of few bytes can name long URLs: what one page leads to is bounded.
func TestLinksOfAPageAreBounded(t *testing.T) {
	t.Parallel()
	base := "http://a.example/" + strings.Repeat("x", maxURL-100) + "/"
	p := readPage(strings.NewReader("<base href="+base+">"+strings.Repeat("<a href=a><form method=post action=b></form>", 5000)), mustParse(t, "http://a.example/"))
	total := 0
	for _, u := range p.links {
		total += len(u.String())
	}
	for _, form := range p.forms {
		total += len(form.Action)
	}
	if total > 2*maxPageText {
		t.Errorf("%d bytes of URLs in a page", total)
	}
}

// What is wrong in the options is said, and not left to do nothing.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	good := Options{Start: mustParse(t, "http://a.example/")}
	for name, change := range map[string]func(*Options){
		"a rate that is no number":      func(o *Options) { o.Rate = math.NaN() },
		"a rate of less than one a day": func(o *Options) { o.Rate = 1e-9 },
		"a host to probe with a scheme": func(o *Options) { o.Probe = []string{"https://a.example"} },
		"a host to probe with a path":   func(o *Options) { o.Probe = []string{"a.example/x"} },
		"no host to probe":              func(o *Options) { o.Probe = []string{""} },
		"a host that is never met":      func(o *Options) { o.Probe = []string{"www.a.example"} },
		"a robots host with a scheme":   func(o *Options) { o.IgnoreRobots = []string{"https://a.example"} },
		"a scope of another scheme":     func(o *Options) { o.Scope = []string{"ftp://a.example/"} },
		"a pattern that names no path":  func(o *Options) { o.Exclude = []string{"logout"} },
		"an excluded start":             func(o *Options) { o.Exclude = []string{"/"} },
		"a header that is none":         func(o *Options) { o.Header = http.Header{"Foo Bar": {"x"}} },
		"a header with a line end":      func(o *Options) { o.Header = http.Header{"Foo": {"x\r\ny"}} },
		"a Host header":                 func(o *Options) { o.Header = http.Header{"Host": {"b.example"}} },
	} {
		o := good
		change(&o)
		if o.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	good.Scope = []string{"http://a.example/", "http://[::1]:8080/x/", "http://127.0.0.1:8080/"}
	good.Probe, good.IgnoreRobots = []string{"A.Example", "[::1]:8080", "127.0.0.1"}, []string{"A.EXAMPLE"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if o := good.withDefaults(); o.Probe[0] != "a.example" || o.IgnoreRobots[0] != "a.example" {
		t.Errorf("%v %v: a host is the same in any case", o.Probe, o.IgnoreRobots)
	}
	if o := (Options{Start: good.Start, Rate: 1e-4}).withDefaults(); newFetcher(t.Context(), &o).pace.every != 10000*time.Second {
		t.Error("a slow rate is not kept")
	}
}

// A name that begins to mean a private address gains nothing.
func TestTheSiteItselfMayNotMoveToAPrivateAddress(t *testing.T) {
	t.Parallel()
	srv := site(t, map[string]http.HandlerFunc{"/": show("")})
	opts := Options{Start: mustParse(t, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)), Timeout: 5 * time.Second}.withDefaults()
	f := newFetcher(t.Context(), &opts)
	f.inner = false // what it is where the name led to a public address at the start
	if _, err := f.do(t.Context(), request{method: "GET", url: opts.Start}); !errors.Is(err, errPrivate) {
		t.Errorf("dialed: %v", err)
	}
}

// JSON goes to terminals, too.
func TestJSONMovesNoTerminal(t *testing.T) {
	t.Parallel()
	r := &Report{Findings: []Finding{{ID: "loop", Cause: "a", Message: "a\x1b[31m\u009b31m\u202e\x7fé\U000e0041"}}}
	var text strings.Builder
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(text.String(), "\x1b\u009b\u202e\x7f\U000e0041") || !strings.Contains(text.String(), "é") {
		t.Errorf("%q", text.String())
	}
	var back Report
	if err := json.Unmarshal([]byte(text.String()), &back); err != nil || back.Findings[0].Message != r.Findings[0].Message {
		t.Errorf("%q, %v: another text comes back", back.Findings[0].Message, err)
	}
	if got := Clean("a\u061cb\U000e0041c\ufff9d"); got != "a?b?c?d" {
		t.Errorf("%q is not clean", got)
	}
}

// A file that is no report of an audit knows nothing.
func TestBaselinesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "null", "[]", "{}", `{"findings": null}`, `{"findings": [{"id": "loop"}]}`, `{"findings": [{"cause": "a"}]}`, `{"findings": [{}]}`,
		`{"findings": {}}`, `{"findings": []} x`, `{"findings": [{"id": 1}]}`,
	} {
		if known, err := ReadBaseline(strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken as %v", text, known)
		}
	}
	if _, err := ReadBaseline(strings.NewReader(`{"findings": []}`)); err != nil {
		t.Error(err)
	}
}

// The list of redirects ends, and says so.
func TestRedirectsThatAreNotListedAreTold(t *testing.T) {
	t.Parallel()
	c := newCollector(Report{})
	for i := range maxEdges + 5 {
		c.merge(outcome{edges: []Edge{{From: fmt.Sprint(i)}}})
	}
	if s := c.report.Summary; len(c.report.Edges) != maxEdges || s.Redirects != maxEdges || len(s.Notes) != 1 {
		t.Errorf("%d listed, %d counted, %q", len(c.report.Edges), s.Redirects, s.Notes)
	}
}

// path is a trail through URLs; the last one has a status of its own.
func path(t *testing.T, status, last int, urls ...string) *trail {
	t.Helper()
	out := &trail{}
	for i, text := range urls {
		a := &answer{url: mustParse(t, text), header: http.Header{}, Exchange: Exchange{Method: "GET", URL: text, Status: status}}
		if i > 0 {
			out.targets = append(out.targets, a.url)
		}
		if i == len(urls)-1 {
			a.Status = last
		}
		out.hops = append(out.hops, a)
	}
	return out
}

// What looks like a fault, and is what a site must do.
func TestFindingsThatAnAuthorWouldRefuse(t *testing.T) {
	t.Parallel()
	const login = "https://a.example/login?next=/account"
	hungUp := path(t, 302, 0, "https://a.example/a", "https://b.example/")
	hungUp.end, hungUp.why = silent, "read: connection reset by peer"
	mixed := path(t, 301, 200, "https://a.example/old", "https://a.example/account", login)
	mixed.hops[1].Status = 302
	for name, c := range map[string]struct {
		trail *trail
		want  string
	}{
		"https first and www then, as lists of HSTS want it": {path(t, 301, 200, "http://a.example/x", "https://a.example/x", "https://www.a.example/x"), ""},
		"www first, and https then":                          {path(t, 301, 200, "http://a.example/x", "http://www.a.example/x", "https://www.a.example/x"), "chain warning"},
		"https, www, and a slash":                            {path(t, 301, 200, "http://a.example/x", "https://a.example/x", "https://www.a.example/x", "https://www.a.example/x/"), "chain warning"},
		"https to another path, and on":                      {path(t, 302, 200, "http://a.example/x", "https://a.example/y", "https://a.example/z"), "chain warning"},
		"a move to a page that wants a login":                {mixed, ""},
		"a page that wants a login at another host":          {path(t, 302, 200, "https://a.example/old", "https://a.example/account", "https://sso.example/?return=https%3A%2F%2Fa.example%2Faccount"), ""},
		"two moves and a login":                              {path(t, 302, 200, "https://a.example/older", "https://a.example/old", "https://a.example/account", login), "chain warning"},
		"another site that refuses robots by 999":            {path(t, 302, 999, "https://a.example/a", "https://b.example/"), ""},
		"another site that fails":                            {path(t, 302, 500, "https://a.example/a", "https://b.example/"), "broken-target warning"},
		"another site that fails, for good":                  {path(t, 301, 502, "https://a.example/a", "https://b.example/"), "permanent-not warning"},
		"another site without the page":                      {path(t, 302, 404, "https://a.example/a", "https://b.example/"), "broken-target error"},
		"the site's own page fails":                          {path(t, 302, 500, "https://a.example/a", "https://www.a.example/"), "broken-target error"},
		"another site that hangs up":                         {hungUp, "broken-target warning"},
	} {
		var got []string
		for _, f := range judge(c.trail, "") {
			got = append(got, f.ID+" "+string(f.Severity))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// robots.txt may be anything.
func TestHostileRobots(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		out    bool // the audit stays out
	}{
		"without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := fmt.Fprintf(w, "User-agent: *\nDisallow: /no\nCrawl-delay: 31536000\n"); err != nil {
					return
				}
			}
		}, false},
		"one line without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, "Disallow: /"); err != nil {
					return
				}
			}
		}, false},
		"redirects without end": {func(w http.ResponseWriter, r *http.Request) { send(302, "/robots.txt?"+r.URL.RawQuery+"x")(w, r) }, false},
		"a redirect to a file":  {send(302, "file:///etc/passwd"), false},
		"an error":              {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, true},
		"nothing":               {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		"many stars": {func(w http.ResponseWriter, _ *http.Request) {
			for range 400 {
				_, _ = fmt.Fprintf(w, "User-agent: *\nDisallow: /%s$\n", strings.Repeat("*a", 500))
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked requests
			srv := site(t, asked.of(map[string]http.HandlerFunc{"/robots.txt": c.answer, "/": show("<a href=/" + strings.Repeat("a", 3000) + "b>")}))
			_, err := Run(t.Context(), Options{Start: mustParse(t, srv.URL), Rate: -1, Timeout: time.Minute})
			if errors.Is(err, ErrKeptOut) != c.out || !c.out && err != nil {
				t.Errorf("%v", err)
			}
			if len(asked.got) > 10 {
				t.Errorf("%d requests", len(asked.got))
			}
		})
	}
}

// A robots.txt that does not come in time forbids nothing. The page is not asked
// for here: the same time would be its own.
func TestRobotsThatNeverCome(t *testing.T) {
	t.Parallel()
	srv := site(t, map[string]http.HandlerFunc{"/robots.txt": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	opts := Options{Start: mustParse(t, srv.URL), Timeout: 100 * time.Millisecond}.withDefaults()
	if !newFetcher(t.Context(), &opts).mayAsk(t.Context(), opts.Start) {
		t.Error("it keeps this audit out")
	}
}

// endless has the same text again and again.
type endless struct {
	text string
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text)
	e.read += n
	return n, nil
}

func TestRobotsAreReadToTheLimit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"User-agent: *\nDisallow: /no\n", "Disallow: /"} {
		r := &endless{text: text}
		readRobots(io.LimitReader(r, 8*maxRobots))
		if r.read > maxRobots+64<<10 {
			t.Errorf("%d bytes were read of %q", r.read, text)
		}
	}
}
