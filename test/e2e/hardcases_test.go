package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/seeother/seeother/test/internal/harness"
)

// signOn is a site that people come to from another one: as from the page of an
// identity provider, or of a payment. It notes what it gets.
type signOn struct {
	*httptest.Server

	mu  sync.Mutex
	got []string // guarded by mu
}

const signedIn = `<!doctype html><title>Site</title><h1>%s</h1>
<form method="post" action="/order"><input name="n" value="1"><button>Order</button></form>
<script>if (parent !== window) {
	parent.postMessage(document.querySelector('h1').textContent, '*')
	if (document.querySelector('h1').textContent === 'Home') document.forms[0].submit()
}</script>`

func newSignOn(t *testing.T) *signOn {
	t.Helper()
	s := &signOn{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/favicon.ico":
			w.WriteHeader(http.StatusNoContent)
			return
		case "/":
			h.Add("Set-Cookie", "plain=1; Path=/")
			h.Add("Set-Cookie", "lax=1; Path=/; SameSite=Lax")
			h.Add("Set-Cookie", "strict=1; Path=/; SameSite=Strict")
			h.Add("Set-Cookie", "none=1; Path=/; SameSite=None; Secure")
			_, _ = fmt.Fprintf(w, signedIn, "Home")
			return
		}
		s.mu.Lock()
		cookies := strings.Split(r.Header.Get("Cookie"), "; ")
		slices.Sort(cookies)
		s.got = append(s.got, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Origin"), cookies, body))
		n := len(s.got)
		s.mu.Unlock()
		_, _ = fmt.Fprintf(w, signedIn, fmt.Sprintf("Got %s %s number %d", r.Method, r.URL.Path, n))
	}))
	t.Cleanup(s.Close)
	return s
}

// elsewhere is a page of another site, whose scripts send its form at once.
func elsewhere(t *testing.T, host, page string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Elsewhere</title>"+page)
	}))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", host, 1)
}

// sites are a site and another one, by the names that a browser knows them by. To
// the first a browser tells where a request comes from; to the second it does not.
var sites = []struct{ own, other string }{{"127.0.0.1", "localhost"}, {"shop.test", "idp.test"}}

// all is what it got so far.
func (s *signOn) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

const samlForm = `<form method="post" action="%s/acs?tenant=1"><input type="hidden" name="SAMLResponse" value="PHNhbWw+/=">
<input type="hidden" name="RelayState" value="ss:mem:a&b=c"></form><script>document.forms[0].submit()</script>`

// fromElsewhere are pages of another site that send somebody on.
var fromElsewhere = []struct{ name, page, at string }{
	{"POST /acs", samlForm, "/acs?tenant=1"}, // SAML, 3-D Secure
	{"POST /return", `<form method="post" action="%s/return?x=1"><input name="paid" value="yes"></form><script>document.forms[0].submit()</script>`, "/return?x=1"},
	{"GET /return", `<form action="%s/return"><input name="x" value="1"></form><script>document.forms[0].submit()</script>`, "/return?x=1"},
}

func TestWhoComesFromAnotherSitePassesWithTheBody(t *testing.T) {
	t.Parallel()
	for _, names := range sites {
		t.Run(names.own, func(t *testing.T) {
			t.Parallel()
			alone, behind := newSignOn(t), newSignOn(t)
			g := harness.Protect(t, behind.URL)
			for _, url := range []string{alone.URL, g.URL} {
				url = strings.Replace(url, "127.0.0.1", names.own, 1)
				b := harness.Visit(t)
				b.Do(t, chromedp.Navigate(url+"/"))
				for i, from := range fromElsewhere {
					b.Do(t, chromedp.Navigate(elsewhere(t, names.other, fmt.Sprintf(from.page, url))))
					b.Await(t, fmt.Sprintf(`document.querySelector('h1')?.textContent === 'Got %s number %d'`, from.name, i+1))
					if at := harness.Evaluate[string](t, b, `location.href`); at != url+from.at {
						t.Errorf("%s: the page is at %s", from.name, at)
					}
				}
				b.WantQuiet(t)
			}
			wantSame(t, "what the site got", withoutPorts(behind.all()), withoutPorts(alone.all()))
			wantCookies(t, behind.all(), names.own == "127.0.0.1")
		})
	}
}

// withoutPorts: the other site has a port of its own each time.
func withoutPorts(all []string) []string {
	var out []string
	for _, one := range all {
		out = append(out, port.ReplaceAllString(one, ":*"))
	}
	return out
}

var port = regexp.MustCompile(`:[0-9]{4,5}\b`)

// wantCookies wants those that a browser sends to a site that it comes to from
// another one. Secure ones it keeps for loopback, too. The one that says nothing of
// SameSite is new, so that a POST brings it.
func wantCookies(t *testing.T, got []string, loopback bool) {
	t.Helper()
	want := []string{"[plain=1]", "[plain=1]", "[lax=1 plain=1]"}
	if loopback {
		want = []string{"[none=1 plain=1]", "[none=1 plain=1]", "[lax=1 none=1 plain=1]"}
	}
	for i, one := range got {
		if !strings.Contains(one, want[i]) {
			t.Errorf("%s: want cookies %s", one, want[i])
		}
	}
}

// Whoever comes back from elsewhere by a POST comes without the gateway's cookie,
// and keeps it all the same.
func TestAPostFromAnotherSiteLeavesOpenFormsKnown(t *testing.T) {
	t.Parallel()
	for _, names := range sites {
		t.Run(names.own, func(t *testing.T) {
			t.Parallel()
			site := newSignOn(t)
			g := harness.Protect(t, site.URL)
			url := strings.Replace(g.URL, "127.0.0.1", names.own, 1)
			b := harness.Visit(t)
			b.Do(t, chromedp.Navigate(url+"/"))
			harness.Evaluate[any](t, b, `document.querySelector('button').click()`)
			b.Await(t, `document.querySelector('h1')?.textContent === 'Got POST /order number 1'`)
			page := harness.Evaluate[string](t, b, `location.href`)
			action := harness.Evaluate[string](t, b, `document.forms[0].action`)

			b.Do(t, chromedp.Navigate(elsewhere(t, names.other, fmt.Sprintf(samlForm, url))))
			b.Await(t, `document.querySelector('h1')?.textContent === 'Got POST /acs number 2'`)
			b.Do(t, chromedp.Navigate(page))
			b.Await(t, `document.querySelector('h1')?.textContent === 'Got POST /order number 1'`)
			harness.Evaluate[any](t, b, fmt.Sprintf(`document.forms[0].action = %q`, action))
			harness.Evaluate[any](t, b, clickTwice)
			b.Await(t, `document.querySelector('h1')?.textContent === 'Got POST /order number 3'`)
			if got := site.all(); len(got) != 3 {
				t.Errorf("the site got %q", got)
			}
		})
	}
}

// In a frame on a page of another site browsers send no cookie of ours, and keep none.
func TestAFormInAFrameOfAnotherSiteWorksAsAtTheApp(t *testing.T) {
	t.Parallel()
	site := newSignOn(t)
	g := harness.Protect(t, site.URL)
	b := harness.Visit(t)
	b.Do(t, chromedp.Navigate(elsewhere(t, "outer.test", fmt.Sprintf(`<script>addEventListener('message', (e) => { document.title = e.data })</script>
<iframe src="%s/"></iframe>`, g.URL))))
	b.Await(t, `document.title === 'Got POST /order number 1'`)
	b.WantQuiet(t)
}
