package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/rule"
)

// A path that the app may take for another one is not exempt.
func TestExemptPathsLeadNowhereElse(t *testing.T) {
	s, sw := maintained(t, app(t, echoPath), Maintenance{Exempt: []string{"/public/*"}}, options{})
	sw.on(Window{})
	for path, want := range map[string]int{
		"/public/x":                    200,
		"/public/x/":                   200,
		"/public/a%20b|c":              200,
		"/public":                      200,
		"/pay/x":                       503,
		"/pay/..%2fpublic/x":           503,
		"/pay/%2e%2e/public/x":         503,
		"/pay/../public/x":             503,
		"/pay;/..%2f..%2fpublic":       503,
		"/public/..%2fpay":             503,
		"/public/../pay":               503,
		"/public/..;/pay":              503,
		"/public/..%3b/pay":            503,
		"/public/%252e%252e/pay":       503,
		"/public/..\\pay":              503,
		"/public/..%5Cpay":             503,
		"/public/%2E%2E%5cpay":         503,
		"//public/x":                   503,
		"/public//x":                   503,
		"/x%00/../public":              503,
		"/public%2fx|":                 503, // which net/url writes in another way
		"http://x/pay/..%2fpublic/x":   503,
		"http://x/public/x":            200,
		acmePath + "..%2f..%2fpay":     503,
		acmePath + "../../pay":         503,
		"/.well-known/acme-challenge/": 503, // without a challenge
	} {
		got := s.raw("POST", "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		equal(t, path, got.StatusCode, want)
	}
}

func TestChallengesPassInEveryMaintenance(t *testing.T) {
	for _, exempt := range [][]string{nil, {"/healthz"}} {
		s, sw := maintained(t, app(t, echoPath), Maintenance{Exempt: exempt}, options{})
		sw.on(Window{})
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 503} {
			equal(t, fmt.Sprint(method, exempt), s.do(method, acmePath+"token", "").StatusCode, want)
		}
		equal(t, "another path", s.do("GET", "/.well-known/x", "").StatusCode, 503)
	}
}

// However its path is written: what may reach a guarded address is guarded.
func TestGuardsHoldForEveryReadingOfAPath(t *testing.T) {
	var runs atomic.Int64
	up := app(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, runs.Add(1)) })
	s := newSite(t, up, options{guarded: true, routes: []Route{{Name: "pay", Path: "/pay/*", Once: &once.Policy{}}, {Name: "rest"}}})
	for i, tt := range []struct {
		path    string
		guarded bool
	}{
		{"/pay/new", true},
		{"/%70ay/new", true},
		{"/pay//new", true},
		{"//pay/new", true},
		{"/x/../pay/new", true},
		{"/x/..%2fpay/new", true},
		{"/x/..%2Fpay/new", true},
		{"/pay%2fnew", true},
		{"/pay/..%2fx", true},
		{"/%70ay/..%2fx", true},
		{"/pay/%2e%2e/x", true},
		{"/pay/../x", true},
		{"/y/../pay/..%2fx", true},
		{"/y/%2e%2e/pay/..%2fx", true},
		{"/x/..%5cpay/new", true},
		{"/x/..\\pay/new", true},
		{"/pay/..%5cx", true},
		{"/payment", false},
		{"/x/pay/new", false},
		{"/x%2fpay/new", false},
		{"/a%20b", false},
	} {
		before := runs.Load()
		request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nIdempotency-Key: \"k%d\"\r\n\r\nx", tt.path, i)
		first, second := s.raw("POST", request), s.raw("POST", request)
		equal(t, tt.path+": first", first.StatusCode, 200)
		equal(t, tt.path+": second", second.StatusCode, 200)
		equal(t, tt.path+": replayed", second.Header.Get("Idempotent-Replayed") == "true", tt.guarded)
		equal(t, tt.path+": runs", runs.Load()-before, map[bool]int64{true: 1, false: 2}[tt.guarded])
	}
}

// FuzzReadings: no path panics, and a plain one has no second reading.
func FuzzReadings(f *testing.F) {
	for _, p := range []string{"/", "/a", "/pay/..%2fx", "/%2e%2E/", "/a\\b", "//", "/%", "/a;b", "*", "/%00", "/0 %2f"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		u, err := url.ParseRequestURI(p)
		if err != nil {
			return
		}
		cleaned := cleanPath(u.Path)
		plain := strings.HasPrefix(p, "/") && isPlain(rawPath(u))
		for _, reading := range readings(u, cleaned) {
			if plain && reading != cleaned {
				t.Errorf("%q is plain, and can be read as %q and %q", p, cleaned, reading)
			}
		}
	})
}

// A 404 to a guarded request is on record: a redirect would take its key to
// another address, where it is refused.
func TestMissingLeavesGuardedRequestsAlone(t *testing.T) {
	up := app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pay/new" {
			io.WriteString(w, "paid")
			return
		}
		http.NotFound(w, r)
	})
	s, seen := withRules(t, up, options{guarded: true, routes: []Route{{Name: "pay", Path: "/pay/*", Once: &once.Policy{}}}},
		rule.Rule{Path: "/pay/old", Target: "/pay/new", Missing: true})
	for range 2 {
		got := s.do("POST", "/pay/old", "x", "Idempotency-Key", `"k1"`)
		equal(t, "guarded", got.StatusCode, 404)
		equal(t, "Location", got.Header.Get("Location"), "")
	}
	equal(t, "decided", seen.last(), "")
	equal(t, "without a key", s.do("POST", "/pay/old", "x").StatusCode, 308)
	equal(t, "another method", s.do("GET", "/pay/old", "", "Idempotency-Key", `"k1"`).StatusCode, 308)
}
