package rule

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

var app = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "missing") {
		w.Header().Set("ETag", `"not-found"`)
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, "the app's own")
})

func serve(t *testing.T, h http.Handler, method, target string) *http.Response {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	return rec.Result()
}

func TestHandler(t *testing.T) {
	sunset := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	table := build(t, Specific,
		Rule{Path: "/moved", Target: "/x"},
		Rule{Path: "/short", Target: "/x", MaxAge: Duration(time.Minute)},
		Rule{Path: "/temporary", Intent: Temporary, Target: "/x"},
		Rule{Path: "/result", Intent: Result, Target: "/x"},
		Rule{Path: "/gone", Intent: IsGone},
		Rule{Path: "/go/*", Target: "/{*}"},
		Rule{Path: "/v1/*", Intent: Pass, Deprecation: time.Unix(1700000000, 0), Sunset: sunset},
		Rule{Path: "/if-missing", Target: "/x", Missing: true},
		Rule{Path: "/there", Target: "/x", Missing: true},
		Rule{Path: "/canary", Target: "/x", Stage: seeother.Canary(99)},
		Rule{Path: "/report", Target: "/x", Stage: seeother.Report},
		Rule{Path: "/beta", Target: "/x", When: []Condition{{On: "header:X-Beta", Empty: true}}},
	)
	h := table.Handler(app)
	for _, test := range []struct {
		path   string
		status int
		header map[string]string
	}{
		{"/moved?q", 308, map[string]string{"Location": "/x?q", "Cache-Control": "max-age=86400"}},
		{"/short", 308, map[string]string{"Cache-Control": "max-age=60"}},
		{"/temporary", 307, map[string]string{"Location": "/x", "Cache-Control": "no-cache"}},
		{"/result", 303, map[string]string{"Cache-Control": "no-store"}},
		{"/gone", 410, map[string]string{"Location": "", "Cache-Control": "max-age=86400"}},
		{"/go//evil.example", 400, map[string]string{"Location": "", "Cache-Control": ""}},
		{"/v1/x", 200, map[string]string{"Deprecation": "@1700000000", "Sunset": "Wed, 02 Jan 2030 03:04:05 GMT"}},
		{"/if-missing", 308, map[string]string{"Location": "/x", "ETag": ""}},
		{"/there", 200, nil},
		{"/canary", 307, map[string]string{"Cache-Control": "private, no-store"}},
		{"/report", 200, nil},
		{"/beta", 308, map[string]string{"Vary": "X-Beta"}},
		{"/other", 200, nil},
	} {
		resp := serve(t, h, http.MethodGet, test.path)
		if resp.StatusCode != test.status {
			t.Errorf("%s: status %d, want %d", test.path, resp.StatusCode, test.status)
		}
		for name, want := range test.header {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", test.path, name, got, want)
			}
		}
	}
}

func TestMiddlewareTellsWhatItDid(t *testing.T) {
	table := build(t, Specific, Rule{Name: "one", Path: "/a", Target: "/x"}, Rule{Path: "/b", Target: "/x", Stage: seeother.Report})
	var told []seeother.Decision
	hits := 0
	stage := seeother.Enforce
	h := Middleware{
		Table:   func() *Table { return table },
		Stage:   func() seeother.Stage { return stage },
		Observe: func(_ context.Context, d seeother.Decision) { d.Time = time.Time{}; told = append(told, d) },
		Hit:     func(_ *Table, index int) { hits += 1 + index },
	}.Handler(app)
	serve(t, h, http.MethodPost, "/a?secret")
	serve(t, h, http.MethodGet, "/b")
	stage = seeother.Report
	serve(t, h, http.MethodGet, "/a")
	stage = seeother.Off
	serve(t, h, http.MethodGet, "/a")
	want := []seeother.Decision{
		{Policy: "rules", Action: "308", Route: "one", Stage: seeother.Enforce, Applied: true, Method: "POST", Path: "/a", After: 308, Reason: "rule one"},
		{Policy: "rules", Action: "308", Route: "test:2", Stage: seeother.Report, Method: "GET", Path: "/b", After: 308, Reason: "rule test:2"},
		{Policy: "rules", Action: "308", Route: "one", Stage: seeother.Report, Method: "GET", Path: "/a", After: 308, Reason: "rule one"},
	}
	if len(told) != len(want) {
		t.Fatalf("told %+v", told)
	}
	for i := range want {
		if told[i] != want[i] {
			t.Errorf("decision %d:\n got %+v\nwant %+v", i, told[i], want[i])
		}
	}
	if want := 1 + 2 + 1; hits != want { // also of rules that only report
		t.Errorf("hits %d, want %d", hits, want)
	}
}

func TestResponseIsWhatTheHandlerSends(t *testing.T) {
	table := build(t, Specific,
		Rule{Path: "/a", Target: "/x"}, Rule{Path: "/g", Intent: IsGone}, Rule{Path: "/d", Target: "/x", Deprecation: time.Unix(1e9, 0)},
		Rule{Path: "/h", Target: "/x", When: []Condition{{On: "header:X-A", Empty: true}, {On: "cookie:b", Empty: true}}},
	)
	server := httptest.NewServer(table.Handler(app)) // net/http counts the bytes of short pages
	defer server.Close()
	for _, path := range []string{"/a?q", "/g", "/d", "/h"} {
		var m Match
		req := RequestOf(httptest.NewRequest(http.MethodGet, path, nil), "http", "example.com")
		if !table.Match(&req, &m) {
			t.Fatal(path)
		}
		raw, err := m.AppendResponse(nil, seeother.Enforce)
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, raw)
		}
		_ = got.Body.Close()
		want, err := http.DefaultTransport.RoundTrip(httptest.NewRequest(http.MethodGet, server.URL+path, nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = want.Body.Close()
		if got.StatusCode != want.StatusCode {
			t.Errorf("%s: %d, want %d", path, got.StatusCode, want.StatusCode)
		}
		for _, name := range []string{"Location", "Cache-Control", "Vary", "Deprecation", "Sunset", "Content-Type", "Content-Length"} {
			if path == "/g" && strings.HasPrefix(name, "Content-") {
				continue // a handler may have a page of its own
			}
			if g, w := strings.Join(got.Header[name], ","), strings.Join(want.Header[name], ","); g != w {
				t.Errorf("%s: %s %q, want %q", path, name, g, w)
			}
		}
	}
}

func TestCanonical(t *testing.T) {
	b := NewBuilder(Options{Canonical: Canonical{Origin: "https://www.example.com", Hosts: []string{"example.com"}, HTTPS: true, Slash: "remove"}})
	b.Begin("rules", Specific)
	for _, r := range []Rule{{Path: "/old", Intent: Moved, Target: "/new"}, {Path: "/ext", Intent: Moved, Target: "https://else.example/"}} {
		if err := b.Add(&r); err != nil {
			t.Fatal(err)
		}
	}
	table := b.Build()
	for _, test := range []struct{ line, want string }{
		{"http://www.example.com/a?b", "0 308 https://www.example.com/a?b"},
		{"http://unknown.example/a", "0 308 https://www.example.com/a"},
		{"http://example.com/.well-known/acme-challenge/x", "0 pass"},
		{"https://example.com/a", "0 308 https://www.example.com/a"},
		{"https://www.example.com/a", "none"},
		{"https://unknown.example/a", "none"},
		{"https://www.example.com/a/", "0 308 /a"},
		{"https://www.example.com/", "none"},
		{"http://example.com/old?q", "0 308 https://www.example.com/new?q"},
		{"https://example.com/old", "0 308 https://www.example.com/new"},
		{"https://www.example.com/old", "0 308 /new"},
		{"http://example.com/ext", "0 308 https://else.example/"},
	} {
		if got := ask(t, table, test.line); got != test.want {
			t.Errorf("%s: %s, want %s", test.line, got, test.want)
		}
	}
	for _, bad := range []Canonical{
		{HTTPS: true},
		{Origin: "http://a.example", HTTPS: true},
		{Origin: "a.example"},
		{Origin: "https://a.example", Slash: "x"},
		{Origin: "https://a.example", Hosts: []string{"*.b.example"}},
		{Origin: "https://a.example", Hosts: []string{"A.example"}},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// What is said of an answer is said also where the handler leaves it to net/http.
func TestAnAnswerThatNobodyWroteIsMarked(t *testing.T) {
	table := build(t, Specific,
		Rule{Path: "/v1/*", Intent: Pass, Sunset: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
		Rule{Path: "/beta", Target: "/x", When: []Condition{{On: "header:X-Beta"}}},
		Rule{Path: "/missing", Target: "/x", Missing: true, When: []Condition{{On: "header:X-Gamma", Empty: true}}},
	)
	h := table.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for path, header := range map[string][2]string{
		"/v1/x":    {"Sunset", "Wed, 02 Jan 2030 03:04:05 GMT"},
		"/beta":    {"Vary", "X-Beta"},
		"/missing": {"Vary", "X-Gamma"},
	} {
		res := serve(t, h, http.MethodGet, path)
		if got := res.Header[header[0]]; res.StatusCode != 200 || len(got) != 1 || got[0] != header[1] {
			t.Errorf("%s: %d, %s %q, want %q", path, res.StatusCode, header[0], got, header[1])
		}
	}
}

// A 404 that is kept is the app's, whole, and no rule is told of.
func TestKeepLeavesA404(t *testing.T) {
	table := build(t, Specific, Rule{Path: "/missing", Target: "/x", Missing: true})
	hits := 0
	h := Middleware{
		Table: func() *Table { return table },
		Hit:   func(*Table, int) { hits++ },
		Keep:  func(r *http.Request) bool { return r.Method == http.MethodPost },
	}.Handler(app)
	if got := serve(t, h, http.MethodPost, "/missing"); got.StatusCode != 404 || got.Header.Get("ETag") == "" || hits != 0 {
		t.Errorf("kept: %d, %v, %d hits", got.StatusCode, got.Header, hits)
	}
	if got := serve(t, h, http.MethodGet, "/missing"); got.StatusCode != 308 || hits != 1 {
		t.Errorf("not kept: %d, %d hits", got.StatusCode, hits)
	}
}
