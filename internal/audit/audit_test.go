package audit

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// site is a server made of answers by "METHOD /path" or "/path".
func site(t *testing.T, answers map[string]http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(handler(answers))
	t.Cleanup(srv.Close)
	return srv
}

func handler(answers map[string]http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := answers[r.Method+" "+r.URL.Path]
		if h == nil {
			h = answers[r.URL.Path]
		}
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h(w, r)
	})
}

// show answers with a page, and headers as "Name: value".
func show(body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		set(w, headers)
		_, _ = w.Write([]byte("<!doctype html><title>x</title>" + body))
	}
}

func set(w http.ResponseWriter, headers []string) {
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		w.Header().Add(name, value)
	}
}

// send answers with a redirect.
func send(status int, location string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		set(w, headers)
		w.Header().Set("Location", location)
		w.WriteHeader(status)
	}
}

// raw answers with bytes as they are.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte(text))
	}
}

// with keeps the query of the request.
func with(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		to := location
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		send(status, to)(w, r)
	}
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func run(t *testing.T, start string, change ...func(*Options)) *Report {
	t.Helper()
	opts := Options{Start: mustParse(t, start), Rate: -1, Timeout: 5 * time.Second}
	for _, c := range change {
		c(&opts)
	}
	r, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ids(r *Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.ID)
	}
	slices.Sort(out)
	return out
}

func submitting(rules string) func(*Options) {
	return func(o *Options) {
		s, err := ParseSubmit([]byte(rules))
		if err != nil {
			panic(err)
		}
		o.Submit = s
	}
}

const (
	buyForm  = `<form method=post action=/buy><input name=a value=1></form>`
	loginURL = `<form method=post action=/login><input name=p type=password></form>`
)

// Each kind of finding: a site with the fault, and the same one mended.
func TestFindings(t *testing.T) {
	t.Parallel()
	page := show("here")
	other := site(t, map[string]http.HandlerFunc{"/": page, "/login": page, "/b": send(302, "/")}) // another origin
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)                           // another site
	buy := submitting("forms: [{action: /buy}]")
	login := submitting("forms: [{action: /login, fields: {p: secret}}]")
	for name, c := range map[string]struct {
		id            string
		faulty, clean map[string]http.HandlerFunc
		opts          func(*Options)
	}{
		"a redirect leads to a redirect": {
			id:     "chain",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/b"), "/b": send(302, "/c"), "/c": page},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a><a href=/d>`), "/a": send(302, "/c"), "/c": page, "/d": send(302, elsewhere+"/b")},
		},
		"two pages send the client to each other": {
			id:     "loop",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/b"), "/b": send(302, "/a")},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/b"), "/b": page},
		},
		"a redirect to itself until a cookie comes": {
			id:     "loop",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/a")},
			clean: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, r *http.Request) {
				if _, err := r.Cookie("seen"); err != nil {
					send(302, "/a", "Set-Cookie: seen=1")(w, r)
					return
				}
				page(w, r)
			}},
		},
		"each redirect leads to a new one": {
			id: "too-many-hops",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, r *http.Request) {
				send(302, "/a?"+strings.Repeat("x", len(r.URL.RawQuery)+1))(w, r)
			}},
			clean: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": page},
		},
		"a form's answer is 302": {
			id: "method-lost", opts: buy,
			faulty: map[string]http.HandlerFunc{"/": show(buyForm), "POST /buy": send(302, "/done"), "/done": page},
			clean:  map[string]http.HandlerFunc{"/": show(buyForm), "POST /buy": send(303, "/done"), "/done": page},
		},
		"a DELETE is answered by 302": {
			id: "method-lost", opts: submitting("requests: [{method: DELETE, path: /users/1}]"),
			faulty: map[string]http.HandlerFunc{"/": page, "DELETE /users/1": send(302, "/users"), "GET /users": page, "DELETE /users": func(http.ResponseWriter, *http.Request) { panic("an audit must not send this") }},
			clean:  map[string]http.HandlerFunc{"/": page, "DELETE /users/1": send(303, "/users"), "GET /users": page},
		},
		"a permanent redirect leads to a temporary one": {
			id:     "permanent-not",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": with(308, "/b"), "/b": with(302, "/c"), "/c": page},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": with(308, "/c"), "/c": page},
		},
		"a permanent redirect leads to nothing": {
			id:     "permanent-not",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": with(301, "/gone")},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`)},
		},
		"a permanent redirect sets a cookie": {
			id: "cacheable-cookie",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Set-Cookie", "id=1")
				with(301, "/b")(w, r)
			}, "/b": page},
			clean: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, r *http.Request) {
				set(w, []string{"Set-Cookie: id=1", "Cache-Control: private, max-age=60"})
				with(301, "/b")(w, r)
			}, "/b": page},
		},
		"a temporary redirect with max-age sets a cookie": {
			id:     "cacheable-cookie",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/b", "Set-Cookie: id=1", "Cache-Control: max-age=60"), "/b": page},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/b", "Set-Cookie: id=1"), "/b": page},
		},
		"a move forgets the query": {
			id:     "query-lost",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(301, "/b"), "/b": page},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": with(301, "/b"), "/b": page},
		},
		"a move sends the query twice": {
			id: "query-doubled",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, r *http.Request) {
				with(301, "/b?"+r.URL.RawQuery+"&x=1")(w, r)
			}, "/b": page},
			clean: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": with(301, "/b"), "/b": page},
		},
		"a form's action lacks the slash": {
			id:     "slash-loses-post",
			faulty: map[string]http.HandlerFunc{"/": show(buyForm), "/buy": send(301, "/buy/"), "/buy/": page},
			clean:  map[string]http.HandlerFunc{"/": show(buyForm), "/buy": send(308, "/buy/"), "/buy/": page},
		},
		"a form's action is moved for another method than POST": {
			id: "slash-loses-post", opts: buy,
			faulty: map[string]http.HandlerFunc{"/": show(buyForm), "POST /buy": send(301, "/buy/"), "/buy/": page},
			clean:  map[string]http.HandlerFunc{"/": show(buyForm), "POST /buy": send(303, "/done"), "/done": page},
		},
		"a password goes on to another origin": {
			id: "credential-carried", opts: login,
			faulty: map[string]http.HandlerFunc{"/": show(loginURL), "POST /login": send(307, other.URL+"/login")},
			clean:  map[string]http.HandlerFunc{"/": show(loginURL), "POST /login": send(303, other.URL+"/login")},
		},
		"a login's address is redirected with its method to another origin": {
			id:     "credential-carried",
			faulty: map[string]http.HandlerFunc{"/": show(loginURL), "/login": send(307, other.URL+"/login")},
			clean:  map[string]http.HandlerFunc{"/": show(buyForm), "/buy": send(307, other.URL+"/buy")},
		},
		"the page's own policy stops its form at a redirect": {
			id: "form-action-csp", opts: buy,
			faulty: map[string]http.HandlerFunc{"/": show(buyForm, "Content-Security-Policy: form-action 'self'"), "POST /buy": send(303, other.URL+"/")},
			clean:  map[string]http.HandlerFunc{"/": show(buyForm, "Content-Security-Policy: form-action 'self' "+other.URL), "POST /buy": send(303, other.URL+"/")},
		},
		"the page's own policy stops its form at once": {
			id:     "form-action-csp",
			faulty: map[string]http.HandlerFunc{"/": show(buyForm, "Content-Security-Policy: default-src 'self'; form-action 'none'")},
			clean:  map[string]http.HandlerFunc{"/": show(buyForm, "Content-Security-Policy: default-src 'none'")},
		},
		"a form is answered with a page": {
			id: "post-answered-page", opts: buy,
			faulty: map[string]http.HandlerFunc{"/": show(buyForm), "POST /buy": show("thanks")},
			clean:  map[string]http.HandlerFunc{"/": show(buyForm), "POST /buy": show("thanks", "Content-Disposition: attachment")},
		},
		"a redirect to a script": {
			id:     "target-refused",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "javascript:alert(1)")},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "mailto:a@example.com")},
		},
		"a redirect leads to nothing": {
			id:     "broken-target",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/gone")},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/b"), "/b": page},
		},
		"a redirect leads to a host that does not answer": {
			id:     "broken-target",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "http://127.0.0.1:1/")},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, other.URL)},
		},
		"a redirect says nowhere": {
			id:     "no-location",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) }},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }},
		},
		"a redirect has two targets": {
			id: "bad-location",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{"/b", "/c"}
				w.WriteHeader(302)
			}},
			clean: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/"), "/b": page},
		},
		"a Location of a megabyte is too much even for headers": {
			id:     "no-answer",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/"+strings.Repeat("a", 1<<20))},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/")},
		},
		"a Location with a tab, which browsers leave out": {
			id:     "bad-location",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": raw("HTTP/1.1 302 Found\r\nLocation: /b\tc\r\nContent-Length: 0\r\n\r\n")},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": raw("HTTP/1.1 302 Found\r\nLocation:\t/\t\r\nContent-Length: 0\r\n\r\n")},
		},
		"a header that HTTP does not allow": {
			id:     "no-answer",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": raw("HTTP/1.1 302 Found\r\nLocation: /b\x01\x1b[31m\r\nContent-Length: 0\r\n\r\n")},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": raw("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")},
		},
		"a Location of 10 KiB": {
			id:     "bad-location",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/"+strings.Repeat("a", 10<<10))},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": send(302, "/")},
		},
		"the host of a redirect is that of the request": {
			id: "host-from-request",
			faulty: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, r *http.Request) {
				with(302, "http://"+r.Host+"/b")(w, r)
			}, "/b": page},
			clean: map[string]http.HandlerFunc{"/": show(`<a href=/a>`), "/a": func(w http.ResponseWriter, r *http.Request) {
				with(302, "http://"+r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }).String()+"/b")(w, r)
			}, "/b": page},
		},
		"a link takes X-Forwarded-Host": {
			id: "host-from-request",
			faulty: map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
				host := r.Host
				if forwarded := r.Header.Get("X-Forwarded-Host"); forwarded != "" {
					host = forwarded
				}
				show(`<a href=http://`+host+`/b>`)(w, r)
			}, "/b": page},
			clean: map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
				show(`<a href=http://`+r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }).String()+`/b>`)(w, r)
			}, "/b": page},
		},
		"a parameter opens any site": {
			id: "open-redirect", opts: func(o *Options) { o.Probe = []string{"127.0.0.1"} },
			faulty: map[string]http.HandlerFunc{"/": show(`<a href="/go?next=/b">`), "/b": page, "/go": func(w http.ResponseWriter, r *http.Request) { send(303, r.FormValue("next"))(w, r) }},
			clean:  map[string]http.HandlerFunc{"/": show(`<a href="/go?next=/b">`), "/b": page, "/go": send(303, "/b")},
		},
		"a check forgets the backslash": {
			id: "open-redirect", opts: func(o *Options) { o.Probe = []string{"127.0.0.1"} },
			faulty: map[string]http.HandlerFunc{"/": show(`<form action=/go><input name=next>`), "/b": page, "/go": func(w http.ResponseWriter, r *http.Request) {
				if next := r.FormValue("next"); strings.HasPrefix(next, "/") && !strings.HasPrefix(next, "//") {
					send(303, next)(w, r)
					return
				}
				send(303, "/b")(w, r)
			}},
			clean: map[string]http.HandlerFunc{"/": show(`<form action=/go><input name=next>`), "/b": page, "/go": send(303, "/b")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*Options)
			if c.opts != nil {
				change = append(change, c.opts)
			}
			r := run(t, site(t, c.faulty).URL, change...)
			if got := ids(r); !slices.Equal(got, []string{c.id}) {
				t.Errorf("faulty: %v, want %s", got, c.id)
			}
			for _, f := range r.Findings {
				if f.URL == "" || f.Message == "" || f.Mend == "" || f.Cause == "" || len(f.Evidence) == 0 || strings.Contains(f.Message, "%!") {
					t.Errorf("%+v lacks something", f)
				}
			}
			if got := ids(run(t, site(t, c.clean).URL, change...)); len(got) > 0 {
				t.Errorf("mended: %v", got)
			}
		})
	}
}

// Each site is open in one way alone, and its check takes all other targets for what
// they are.
func TestEachWayOutOfASiteIsTried(t *testing.T) {
	t.Parallel()
	cleaned := func(next string) string { return strings.TrimPrefix(next, "/a/..") }
	for name, c := range map[string]struct {
		takes string              // a regular expression: the targets that its check takes for its own
		leads func(string) string // what the site makes of one; nil: itself
	}{
		"any address":                          {takes: `^https://seeother-audit\.invalid/$`},
		"two slashes":                          {takes: `^//[a-z]`},
		"three slashes":                        {takes: `^///`},
		"a slash and a backslash":              {takes: `^/\\`},
		"two backslashes":                      {takes: `^\\\\`},
		"a tab between slashes":                {takes: `^/\t/`},
		"a scheme without slashes":             {takes: `^https:[a-z]`},
		"a scheme with one slash":              {takes: `^https:/[a-z]`},
		"dots that leave two slashes":          {takes: `^/a/\.\.//`, leads: cleaned},
		"dots that leave a backslash":          {takes: `^/a/\.\./\\`, leads: cleaned},
		"the host as a user":                   {takes: `^https://127\.0\.0\.1:\d+@`},
		"the host as the beginning of a name":  {takes: `^https://127\.0\.0\.1\.[a-z]`},
		"the host in the path":                 {takes: `^https://[a-z.-]+/127\.0\.0\.1`},
		"the host in the fragment":             {takes: `^https://[a-z.-]+#127\.0\.0\.1`},
		"a backslash that ends the host early": {takes: `^https://[a-z.-]+\\@127\.0\.0\.1`},
		"a script":                             {takes: `^javascript:`},
		"a line break":                         {takes: `\r\n`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			takes := regexp.MustCompile(c.takes)
			open := site(t, map[string]http.HandlerFunc{"/": show(`<a href="/go?next=/b">`), "/b": show("here"), "/go": func(w http.ResponseWriter, r *http.Request) {
				next := r.FormValue("next")
				if !takes.MatchString(next) {
					send(303, "/b")(w, r)
					return
				}
				if c.leads != nil {
					next = c.leads(next)
				}
				conn, _, err := http.NewResponseController(w).Hijack() // net/http would mend the header
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 303 See Other\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", next)
				_ = conn.Close()
			}})
			got := ids(run(t, open.URL, func(o *Options) { o.Probe = []string{"127.0.0.1"} }))
			if !slices.Equal(got, []string{"open-redirect"}) {
				t.Errorf("%v, want open-redirect", got)
			}
		})
	}
}

// What only https can have wrong.
func TestFindingsOfHTTPS(t *testing.T) {
	t.Parallel()
	plain := site(t, map[string]http.HandlerFunc{"/": show("here"), "/buy": show("here")})
	hsts := "Strict-Transport-Security: max-age=1"
	for name, c := range map[string]struct {
		id      string
		answers map[string]http.HandlerFunc
	}{
		"no HSTS at an address":    {"", map[string]http.HandlerFunc{"/": show("here")}},
		"a redirect to http":       {"downgrade", map[string]http.HandlerFunc{"/": show("<a href=/a>", hsts), "/a": send(302, plain.URL, hsts)}},
		"a form that goes to http": {"downgrade", map[string]http.HandlerFunc{"/": show("<form method=post action="+plain.URL+"/buy>", hsts)}},
		"nothing":                  {"", map[string]http.HandlerFunc{"/": show("<a href=/a><form method=post action=/buy>", hsts), "/a": send(302, "/", hsts)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewTLSServer(handler(c.answers))
			t.Cleanup(srv.Close)
			roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			got := ids(run(t, srv.URL, func(o *Options) { o.RootCAs = roots }))
			if strings.Join(got, " ") != c.id {
				t.Errorf("%v, want %q", got, c.id)
			}
		})
	}
}

func TestChecksAreWhole(t *testing.T) {
	t.Parallel()
	var all []string
	for _, c := range Checks() {
		all = append(all, c.ID)
		if c.Title == "" || c.Client == "" || c.Mend == "" {
			t.Errorf("%s lacks a text", c.ID)
		}
	}
	if !slices.IsSorted(all) {
		t.Errorf("checks are listed by id: %v", all)
	}
}

// A form is sent only where a rule names it, and then once.
func TestFormsAreNotSubmittedByThemselves(t *testing.T) {
	t.Parallel()
	posts := make(chan url.Values, 10)
	answers := map[string]http.HandlerFunc{
		"/":      show(buyForm + `<form method=post action=/pay></form><a href=/again>`),
		"/again": show(buyForm),
		"POST /buy": func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			posts <- r.PostForm
			send(303, "/")(w, r)
		},
		"POST /pay": func(http.ResponseWriter, *http.Request) { posts <- nil },
	}
	srv := site(t, answers)
	run(t, srv.URL)
	if len(posts) != 0 {
		t.Fatal("a form was submitted without a rule")
	}
	run(t, srv.URL, submitting("forms: [{action: /buy, fields: {b: 2}}]"))
	if len(posts) != 1 {
		t.Fatalf("%d submissions, want 1", len(posts))
	}
	if got := <-posts; got.Get("a") != "1" || got.Get("b") != "2" {
		t.Errorf("sent %v", got)
	}
}

func TestRobotsAreObeyed(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 20)
	answers := map[string]http.HandlerFunc{
		"/robots.txt": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("User-agent: *\nDisallow: /secret\n"))
		},
		"/":         show(`<a href=/secret/a><a href=/jump>`),
		"/jump":     send(302, "/secret/b"),
		"/secret/a": func(w http.ResponseWriter, r *http.Request) { asked <- r.URL.Path },
		"/secret/b": func(w http.ResponseWriter, r *http.Request) { asked <- r.URL.Path },
	}
	srv := site(t, answers)
	if r := run(t, srv.URL); len(asked) != 0 || r.Summary.KeptOut == 0 {
		t.Errorf("%d requests against robots.txt, %d kept out", len(asked), r.Summary.KeptOut)
	}
	run(t, srv.URL, func(o *Options) { o.IgnoreRobots = []string{"127.0.0.1"} })
	if len(asked) == 0 {
		t.Error("nothing was asked for with IgnoreRobots")
	}
	_, err := Run(t.Context(), Options{Start: mustParse(t, srv.URL+"/secret/a"), Rate: -1})
	if err == nil || !strings.Contains(err.Error(), "robots.txt") {
		t.Errorf("a start that robots.txt forbids: %v", err)
	}
}

// One cause is one finding, however many links run into it.
func TestOneCauseIsOneFinding(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{"/hub": send(302, "/end"), "/end": show("")}
	body := ""
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		body += "<a href=/" + name + ">"
		answers["/"+name] = send(302, "/hub")
	}
	answers["/"] = show(body)
	r := run(t, site(t, answers).URL)
	if len(r.Findings) != 1 || r.Findings[0].Count != 8 || len(r.Findings[0].Examples) != maxExamples {
		t.Errorf("%d findings: %+v", len(r.Findings), r.Findings)
	}
}

// The same site gives the same report, whatever answers first.
func TestReportsAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{"/x": send(302, "/y"), "/y": send(302, "/x")}
	body := ""
	for name := range strings.SplitSeq("abcdefghijklmnop", "") {
		body += "<a href=/" + name + ">"
		answers["/"+name] = send(302, "/missing-"+name)
	}
	answers["/"] = show(body + "<a href=/x><a href=/y>")
	srv := site(t, answers)
	var first strings.Builder
	for i := range 3 {
		var text strings.Builder
		if err := run(t, srv.URL, func(o *Options) { o.Concurrency = 16 }).WriteJSON(&text); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = text
		} else if text.String() != first.String() {
			t.Fatal("the report differs")
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Options{Start: mustParse(t, "http://127.0.0.1:1/"), Rate: -1})
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

// A start that leads elsewhere is no silent success.
func TestStartOutOfScope(t *testing.T) {
	t.Parallel()
	other := site(t, map[string]http.HandlerFunc{"/": show("here")})
	r := run(t, site(t, map[string]http.HandlerFunc{"/": send(302, other.URL+"/")}).URL)
	if len(r.Summary.Notes) != 1 || !strings.Contains(r.Summary.Notes[0], other.URL+"/, which is out of scope") {
		t.Errorf("%q", r.Summary.Notes)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{"/shop/": show(`<a href=/shop/a><a href=/blog/a>`), "/shop/a": show(""), "/blog/a": show("")}
	srv := site(t, answers)
	if r := run(t, srv.URL+"/shop/"); r.Summary.Pages != 3 {
		t.Errorf("%d pages of the origin, want 3", r.Summary.Pages)
	}
	if r := run(t, srv.URL+"/shop/", func(o *Options) { o.Scope = []string{srv.URL + "/shop/"} }); r.Summary.Pages != 2 {
		t.Errorf("%d pages in scope, want 2", r.Summary.Pages)
	}
}

func TestPaceSpacesRequests(t *testing.T) {
	t.Parallel()
	p := pace{every: time.Hour}
	if err := p.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.wait(ctx); err == nil {
		t.Error("the second did not wait")
	}
}
