package rule

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

func TestExpressionsLookAtSoMuchAndNoMore(t *testing.T) {
	rules := make([]Rule, 1000)
	for i := range rules {
		rules[i] = Rule{Regexp: fmt.Sprintf(`^/(.*)/product-%05d\.html$`, i), Target: "/x"}
	}
	table := build(t, Specific, rules...)
	var all strings.Builder
	for i := range rules {
		fmt.Fprintf(&all, "/product-%05d.html", i)
	}
	var m Match
	req := Request{Method: http.MethodGet, Path: all.String() + "x"}
	if table.Match(&req, &m) || !m.Exhausted() {
		t.Error("a path that nearly matches a thousand expressions is looked at by all of them")
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.Path = req.Path
	table.Handler(app).ServeHTTP(rec, r)
	if rec.Code != http.StatusRequestURITooLong {
		t.Errorf("status %d, want 414", rec.Code)
	}
	req.Path = "/shop/product-00999.html"
	if !table.Match(&req, &m) || m.Exhausted() {
		t.Error("a usual path is not answered")
	}
}

func TestEveryExpressionSeesAPathOfTheUsualLength(t *testing.T) {
	rules := make([]Rule, 5000)
	for i := range rules {
		rules[i] = Rule{Regexp: fmt.Sprintf(`[a-z]/[0-9]+/%d`, i%10), Target: "/x", When: []Condition{{On: "header:User-Agent", Regexp: "Phone"}}}
	}
	table := build(t, Specific, rules...)
	var m Match
	req := Request{Method: http.MethodGet, Path: "/" + strings.Repeat("a", 100) + "/1/2", Header: http.Header{"User-Agent": {"iPhone"}}}
	if !table.Match(&req, &m) || m.Exhausted() {
		t.Error("refused")
	}
}

func TestConditionsTakeTheRequestApartOnce(t *testing.T) {
	rules := make([]Rule, 2000)
	for i := range rules {
		rules[i] = Rule{Path: "/index.php", Target: "/x", When: []Condition{
			{On: "query:id", Equals: fmt.Sprint(i)}, {On: "cookie:c", Equals: fmt.Sprint(i)}, {On: "header:Accept-Language", Equals: fmt.Sprint(i)},
		}}
	}
	table := build(t, Specific, rules...)
	var m Match
	req := Request{Method: http.MethodGet, Path: "/index.php", Query: strings.Repeat("%61&", 16000), Header: http.Header{
		"Cookie": {strings.Repeat("a=b; ", 12000)}, "Accept-Language": {"en"},
	}}
	table.Match(&req, &m)
	if n := testing.AllocsPerRun(5, func() { table.Match(&req, &m) }); n > 10 {
		t.Errorf("%v allocations for 2,000 rules that do not match", n)
	}
	if len(m.values.parameters) > MaxParameters || len(m.values.cookies) > MaxParameters {
		t.Errorf("%d parameters, %d cookies: want at most %d", len(m.values.parameters), len(m.values.cookies), MaxParameters)
	}
}

func TestMergingIsLinear(t *testing.T) {
	table := build(t, Specific, Rule{Path: "/s/*", Target: "/find?u={*|keep}", TargetQuery: QueryMerge})
	var m Match
	req := Request{Method: http.MethodGet, Path: "/s/" + strings.Repeat("a&", 15000), Query: strings.Repeat("b&", 15000)}
	if !table.Match(&req, &m) {
		t.Fatal("no match")
	}
	if n := testing.AllocsPerRun(1, func() { _, _ = m.AppendLocation(nil) }); n > 40000 {
		t.Errorf("%v allocations", n)
	}
}

func TestVaryNamesEachHeaderOnce(t *testing.T) {
	rules := make([]Rule, 100)
	for i := range rules {
		rules[i] = Rule{Path: "/", Target: "/x", When: []Condition{{On: "header:Accept-Language", Equals: fmt.Sprint(i)}, {On: "cookie:a", Equals: "b"}}}
	}
	table := build(t, Specific, rules...)
	resp := serve(t, table.Handler(app), http.MethodGet, "/")
	if got := strings.Join(resp.Header["Vary"], ","); got != "Accept-Language,Cookie" {
		t.Errorf("Vary %q", got)
	}
}

func TestParametersSurviveALookup(t *testing.T) {
	table := build(t, Specific,
		Rule{Path: "/p", Query: map[string]string{"ab": "x", "zz": "1"}, Target: "/one"},
		Rule{Path: "/p", Query: map[string]string{"ab": "*"}, Target: "/two", TargetQuery: QueryDrop},
	)
	for _, query := range []string{"ab=x&cccccc=y", "a%62=x&%63ccccc=y", "a%62=%78"} {
		if got := ask(t, table, "/p?"+query); got != "2 308 /two" {
			t.Errorf("%s: %s", query, got)
		}
	}
}

func TestHostsHaveOneSpelling(t *testing.T) {
	table := build(t, Specific,
		Rule{Path: "/*", Hosts: []string{"h.example."}, Target: "/dot"},
		Rule{Path: "/*", Hosts: []string{"[0:0::1]"}, Target: "/six"},
	)
	for _, test := range []struct{ line, want string }{
		{"http://H.example/x", "1 308 /dot"},
		{"http://h.example.:80/x", "1 308 /dot"},
		{"http://[::1]/x", "2 308 /six"},
		{"http://[0:0:0::1]:8080/x", "2 308 /six"},
		{"http://[::2]/x", "none"},
	} {
		if got := ask(t, table, test.line); got != test.want {
			t.Errorf("%s: %s, want %s", test.line, got, test.want)
		}
	}
}

func TestDotSegmentsInARuleNeverMatch(t *testing.T) {
	table := build(t, Specific, Rule{Path: "/a/../b", Target: "/x"}, Rule{Path: "/c/.", Target: "/x"})
	for _, path := range []string{"/a/../b", "/b", "/c/.", "/c/"} {
		if got := ask(t, table, path); got != "none" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := table.Rule(0).Path; got != "/a/../b" {
		t.Errorf("the rule's path is %q now", got)
	}
}

func TestEmptyPathIsTheRoot(t *testing.T) {
	table := build(t, Specific, Rule{Path: "/", Target: "/x"})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.Path = "" // as in "GET http://www.example.com HTTP/1.1"
	rec := httptest.NewRecorder()
	if table.Handler(app).ServeHTTP(rec, r); rec.Code != http.StatusPermanentRedirect {
		t.Errorf("status %d", rec.Code)
	}
}

func TestSameHostFirstHoldsForRulesToo(t *testing.T) {
	b := NewBuilder(Options{Canonical: Canonical{Origin: "https://www.e.example", Hosts: []string{"e.example"}, HTTPS: true, SameHostFirst: true}})
	r := Rule{Path: "/old", Intent: Moved, Target: "/new"}
	if err := b.Add(&r); err != nil {
		t.Fatal(err)
	}
	table := b.Build()
	for _, test := range []struct{ line, want string }{
		{"http://e.example/old", "0 308 https://e.example/new"},
		{"https://e.example/old", "0 308 https://www.e.example/new"},
		{"http://www.e.example/old", "0 308 https://www.e.example/new"},
		{"http://e.example/other", "0 308 https://e.example/other"},
	} {
		if got := ask(t, table, test.line); got != test.want {
			t.Errorf("%s: %s, want %s", test.line, got, test.want)
		}
	}
}

func TestCachesDoNotOutliveWhatIsPlanned(t *testing.T) {
	now := time.Unix(1e9, 0)
	table := build(t, FileOrder,
		Rule{Path: "/a", Target: "/later", From: now.Add(time.Hour)}, Rule{Path: "/a", Target: "/now"},
		Rule{Path: "/c", Target: "/some", Stage: seeother.Canary(1)}, Rule{Path: "/c", Target: "/rest"},
		Rule{Path: "/u", Target: "/x", Until: now.Add(time.Minute)},
	)
	for path, want := range map[string]string{"/a": "max-age=3600", "/c": "private, no-store", "/u": "max-age=60"} {
		var m Match
		req := Request{Method: http.MethodGet, Path: path, Now: now, Client: "somebody else"}
		if !table.Match(&req, &m) {
			t.Fatal(path)
		}
		if got := m.CacheControl(seeother.Enforce); got != want {
			t.Errorf("%s: Cache-Control %q, want %q", path, got, want)
		}
	}
}
