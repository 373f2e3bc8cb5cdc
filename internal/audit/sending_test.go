package audit

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother"
)

// A form is sent with the tokens that its page has now, or not at all.
func TestFormsThatAreGoneAreNotSent(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]http.HandlerFunc{
		"its action has another path": show("<form method=post action=/pay></form>"),
		"the page has no form":        show("sold out"),
		"the page has another form":   show("<form method=post action=/buy><input name=card></form>"),
		"the page is gone":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"the page does not answer":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"the page leads elsewhere":    send(302, "/login"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log requests
			var opened atomic.Int64
			srv := site(t, log.of(map[string]http.HandlerFunc{
				"/": func(w http.ResponseWriter, r *http.Request) {
					if opened.Add(1) > 1 {
						later(w, r)
						return
					}
					show("<form method=post action=/buy><input type=hidden name=csrf value=1></form>")(w, r)
				},
				"/login": show(""), "/buy": show(""), "/pay": show(""),
			}))
			r := run(t, srv.URL, submitting("forms: [{action: /buy}, {action: /pay}]"), func(o *Options) { o.Concurrency = 1 })
			if log.has("POST /buy") || log.has("POST /pay") {
				t.Errorf("a form was sent that its page has no more: %q", log.got)
			}
			if !slices.ContainsFunc(r.Summary.Notes, func(note string) bool { return strings.Contains(note, "opened again") }) {
				t.Errorf("nothing is said of it: %q", r.Summary.Notes)
			}
		})
	}
}

// The page of a form is asked for as any other: what is said about pages counts.
func TestPagesOfFormsAreAskedForAsOthers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from             string
		opened, excluded bool
	}{
		"in scope":          {"/shop/", true, false},
		"the start":         {"/", true, false},
		"excluded":          {"/shop/logout", false, true},
		"excluded, encoded": {"/shop/x/%2e%2e/logout", false, true},
		"out of scope":      {"/admin/", false, false},
		"robots.txt":        {"/shop/private/", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log requests
			form := show("<form method=post action=/shop/buy></form>")
			answers := log.of(map[string]http.HandlerFunc{
				"/": form, "/shop/": form, "/shop/logout": form, "/shop/x/../logout": form, "/admin/": form, "/shop/private/": form, "POST /shop/buy": send(303, "/shop/"),
			})
			answers["/robots.txt"] = func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte("User-agent: *\nDisallow: /shop/private/\n"))
			}
			srv := site(t, answers)
			opts := Options{Start: mustParse(t, srv.URL), Scope: []string{srv.URL + "/shop/"}, Exclude: []string{"/shop/logout"}, Rate: -1}
			submitting("forms: [{action: /shop/buy}]")(&opts)
			opts = opts.withDefaults()
			s := step{Kind: stepForm, URL: srv.URL + "/shop/buy", From: srv.URL + c.from, Form: &Form{Method: http.MethodPost, Action: srv.URL + "/shop/buy"}}
			out := newFetcher(t.Context(), &opts).step(t.Context(), s)
			if out.excluded != c.excluded {
				t.Errorf("counted as excluded: %v", out.excluded)
			}
			if opened := slices.ContainsFunc(log.got, func(line string) bool { return strings.HasPrefix(line, "GET ") }); opened != c.opened || log.has("POST /shop/buy") != c.opened {
				t.Errorf("asked %q", log.got)
			}
		})
	}
}

// Where a form was seen may come from a file that anybody wrote.
func TestStepsAreChecked(t *testing.T) {
	t.Parallel()
	form := &Form{Method: http.MethodPost, Action: "http://a.example/buy"}
	for name, c := range map[string]struct {
		step step
		good bool
	}{
		"the first page":             {step{URL: "http://a.example/"}, true},
		"a page":                     {step{URL: "http://a.example/b", From: "http://a.example/"}, true},
		"a form":                     {step{Kind: stepForm, URL: form.Action, From: "http://a.example/", Form: form}, true},
		"a form that is of no page":  {step{Kind: stepForm, URL: form.Action, Form: form}, false},
		"a form of a file":           {step{Kind: stepForm, URL: form.Action, From: "file:///etc/passwd", Form: form}, false},
		"a form of no host":          {step{Kind: stepForm, URL: form.Action, From: "http:/x", Form: form}, false},
		"a page that no URL led to":  {step{URL: "http://a.example/", From: "%"}, false},
		"a page that a file led to":  {step{URL: "http://a.example/", From: "file:///x"}, false},
		"a form whose URL is a path": {step{Kind: stepForm, URL: "/buy", From: "http://a.example/", Form: form}, false},
	} {
		if err := c.step.validate(); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Browsers resolve encoded dot segments, so what is excluded has no other name.
func TestRedirectsAreReadBeforeTheyAreExcluded(t *testing.T) {
	t.Parallel()
	var log requests
	answers := log.of(map[string]http.HandlerFunc{
		"/": show("<a href=/a><a href=/b><a href=/c>"), "/a": send(302, "/x/%2e%2e/logout"), "/b": send(302, "/x/%2E%2e/private"), "/c": send(302, "/x/%2e%2e/open"),
		"/logout": show(""), "/x/../logout": show(""), "/private": show(""), "/x/../private": show(""), "/open": show(""),
	})
	answers["/robots.txt"] = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("User-agent: *\nDisallow: /private\n"))
	}
	srv := site(t, answers)
	run(t, srv.URL, func(o *Options) { o.Exclude = []string{"/logout"} })
	for _, line := range log.got {
		if strings.Contains(line, "logout") || strings.Contains(line, "private") {
			t.Errorf("asked for %s", line)
		}
	}
	if !log.has("GET /open") {
		t.Errorf("a redirect was not followed as a browser does: %q", log.got)
	}
}

// One host has one robots.txt, however a redirect writes its name.
func TestHostsOfRedirectsAreNormal(t *testing.T) {
	t.Parallel()
	opts := Options{Start: mustParse(t, "http://a.example/")}.withDefaults()
	f := newFetcher(t.Context(), &opts)
	f.robots["http://xn--bcher-kva.example"] = robots{[]robotRule{{"/private", false}}}
	f.robots["http://b\u00fccher.example:80"], f.robots["http://b\u00fccher.example"] = robots{}, robots{} // nothing is asked for
	for location, want := range map[string]ending{"http://B\u00dcCHER.example:80/private": unsent, "http://xn--bcher-kva.example/private": unsent, "//b\u00fccher.example/open": arrived} {
		target, err := browserTarget(opts.Start, location)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.mayGo(t.Context(), seeother.Next{Method: http.MethodGet}, target, opts.Start); got != want {
			t.Errorf("%s: %v, want %v", location, got, want)
		}
	}
}

// -H may be given twice for one header: all of its cookies go on.
func TestAllCookiesOfTheUserAreSent(t *testing.T) {
	t.Parallel()
	h := http.Header{"Cookie": {"session=old; a=1", "b=2"}}
	addCookies(h, []*http.Cookie{{Name: "session", Value: "new"}})
	if got := strings.Join(h["Cookie"], " | "); got != "a=1; b=2; session=new" {
		t.Errorf("sent %q", got)
	}
}

// A host is the same in any case, in punycode, and with its scheme's own port.
func TestHostsOfOptionsAreNormal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start, host string
		good        bool
	}{
		"upper case":                         {"http://a.example/", "A.Example", true},
		"a name that is not ASCII":           {"https://bücher.example/", "bücher.example", true},
		"punycode of one":                    {"https://bücher.example/", "xn--bcher-kva.example", true},
		"not ASCII, of punycode":             {"https://xn--bcher-kva.example/", "BÜCHER.example", true},
		"not ASCII, with a port":             {"https://bücher.example:8443/", "bücher.example:8443", true},
		"the port of http":                   {"http://a.example/", "a.example:80", true},
		"the port of https":                  {"https://a.example/", "a.example:443", true},
		"the port of http, written":          {"http://a.example:80/", "a.example:80", true},
		"a name without a port is all ports": {"http://a.example:8080/", "a.example", true},
		"an address with a port":             {"http://[::1]:8080/", "[::1]:8080", true},
		"an address without a port":          {"http://[::1]:8080/", "[::1]", true},
		"the port of http, where https is":   {"https://a.example/", "a.example:80", false},
		"the port of https, where http is":   {"http://a.example/", "a.example:443", false},
		"another port":                       {"http://a.example:8080/", "a.example:8081", false},
		"another name":                       {"http://a.example/", "b.example", false},
	} {
		o := Options{Start: mustParse(t, c.start), Probe: []string{c.host}, IgnoreRobots: []string{c.host}}
		if err := o.Validate(); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if o = o.withDefaults(); names(o.Probe, o.Start) != c.good || names(o.IgnoreRobots, o.Start) != c.good {
			t.Errorf("%s: %q is %q: %v", name, o.Probe, c.start, !c.good)
		}
	}
}

// A form that JSON makes longer than a line of the queue is left out, and counted.
func TestStepsThatAreTooLongAreCounted(t *testing.T) {
	t.Parallel()
	opts := Options{Start: mustParse(t, "http://a.example/")}.withDefaults()
	q, err := openQueue(&opts, filepath.Join(t.TempDir(), "queue"))
	if err != nil {
		t.Fatal(err)
	}
	defer q.close()
	long := step{Kind: stepForm, URL: "http://a.example/buy", From: "http://a.example/", Form: &Form{
		Method: http.MethodPost, Action: "http://a.example/buy", Fields: []Field{{Name: "a", Value: strings.Repeat("<", 1<<20)}},
	}}
	if err := q.add(long); err != nil || q.waiting != 0 || q.leftOut != 1 {
		t.Errorf("%d wait, %d left out, %v", q.waiting, q.leftOut, err)
	}
}

// A query that repeats a pair is not sent twice by that.
func TestQueriesThatRepeatAPair(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		"id=1&id=1": false, "id=1&id=1&utm=x": false, "id=1&id=1&id=1": false, "id=1&id=1&id=1&id=1": true, "id=1&id=1?id=1&id=1": true,
	} {
		if got := sentTwice("id=1&id=1", query); got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
}
