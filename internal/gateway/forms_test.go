package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother/form"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store/memstore"
)

// withForms adds what forms need.
func withForms(t *testing.T, change func(*Config)) func(*Config) {
	keys, err := form.RandomKeys()
	if err != nil {
		t.Fatal(err)
	}
	forms, err := form.New(memstore.New(), keys, form.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		c.Forms = forms
		if change != nil {
			change(c)
		}
	}
}

// formsRoutes guard the forms of all pages but those below /plain.
var formsRoutes = []Route{{Name: "plain", Path: "/plain/*"}, {Name: "shop", Once: &once.Policy{}, Form: &form.Policy{}}}

// rendered is a form's action, and the cookie of the browser that got it.
func (s *site) rendered() (action, cookie string) {
	s.t.Helper()
	page := s.do("GET", "/", "", "Accept", "text/html")
	_, action, _ = strings.Cut(page.body, `action="`)
	action, _, _ = strings.Cut(action, `"`)
	if !strings.Contains(action, "seeother-form=") {
		s.t.Fatalf("page %q", page.body)
	}
	cookie, _, _ = strings.Cut(page.Header.Get("Set-Cookie"), ";")
	return strings.ReplaceAll(action, "&amp;", "&"), cookie
}

func (s *site) submit(action, cookie string) answer {
	return s.do("POST", action, "n=1", "Accept", "text/html", "Cookie", cookie)
}

func TestARouteWithoutFormsSeesNothingOfTheTokensOfOthers(t *testing.T) {
	got := make(chan string, 8)
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.RequestURI + r.Header.Get("Cookie")
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<form method="post" action="/plain/search?a=1"></form>`)
	}), options{guarded: true, config: withForms(t, nil), routes: formsRoutes})
	s.submit(s.rendered())
	equal(t, "the page", <-got, "/")
	equal(t, "the search", <-got, "/plain/search?a=1")
}

func TestAGatewayWithoutFormsLeavesThoseOfTheApp(t *testing.T) {
	got := make(chan string, 1)
	s := newSite(t, app(t, func(_ http.ResponseWriter, r *http.Request) {
		got <- r.RequestURI + " " + r.Header.Get("Cookie")
	}), options{guarded: true, config: withForms(t, nil), routes: guardedRoute})
	for _, path := range []string{"/pay", "/other"} {
		s.submit(path+"?seeother-form=x", "seeother=y")
		equal(t, "the app got", <-got, path+"?seeother-form=x seeother=y")
	}
}

// The record of a form is its browser's, whose cookie does not go to another host.
func TestAFormStaysHereWhenAllElseIsSentToAnotherSite(t *testing.T) {
	shop := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<form method="post" action="/buy"></form>`)
	}
	for _, shared := range []bool{false, true} {
		other := newFragile(t)
		s, sw := maintained(t, app(t, shop), Maintenance{StandIn: Site{Origin: other.url()}, SharedStore: shared}, options{guarded: true, config: withForms(t, nil), routes: formsRoutes})
		action, cookie := s.rendered()
		sw.on(Window{})
		equal(t, "a form in maintenance", s.submit(action, cookie).StatusCode, 503)
		equal(t, "the form of nobody in maintenance", s.submit(action, "").StatusCode, 307)

		var sick atomic.Bool
		s = newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
			if sick.Load() {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			shop(w, r)
		}), options{guarded: true, config: withForms(t, withSister(other.url(), shared)), routes: formsRoutes})
		action, cookie = s.rendered()
		sick.Store(true)
		s.awaitHealth(false)
		equal(t, "a form while the app is down", s.submit(action, cookie).StatusCode, 502)
		equal(t, "states", s.states(), "released")
		equal(t, "the form of nobody while the app is down", s.submit(action, "").StatusCode, 307)
	}
}
