package rule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// tableOf builds a table of rules that are right.
func tableOf(tb testing.TB, opts Options, mode Mode, rules ...Rule) *Table {
	tb.Helper()
	b := NewBuilder(opts)
	b.Begin("rules", mode)
	for i := range rules {
		rules[i].Pos.Line = i + 1
		if err := b.Add(&rules[i]); err != nil {
			tb.Fatalf("rule %d: %v", i+1, err)
		}
	}
	return b.Build()
}

var checkTime = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func findingsOf(t *Table, o CheckOptions) (out []Finding) {
	if o.Now.IsZero() {
		o.Now = checkTime
	}
	t.Check(o, func(f Finding) { out = append(out, f) })
	return out
}

func moved(path, target string) Rule { return Rule{Path: path, Intent: Moved, Target: target} }

func TestCheckFinds(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return checkTime.AddDate(0, 0, d) }
	for _, test := range []struct {
		name    string
		opts    Options
		mode    Mode
		check   CheckOptions
		rules   []Rule
		want    []string // "line id severity", in their order
		message string   // part of the first
	}{
		{
			name:  "nothing where all is well",
			rules: []Rule{moved("/a", "/b"), moved("/old/*", "/new/{*}"), {Path: "/gone", Intent: IsGone}},
		},
		{
			name:    "a loop of two exact rules, once",
			rules:   []Rule{moved("/a", "/b"), moved("/b", "/a")},
			want:    []string{"1 loop error"},
			message: "GET /a never arrives: /a -> /b -> /a",
		},
		{
			name:    "a rule that leads to itself",
			rules:   []Rule{moved("/a", "/a")},
			want:    []string{"1 loop error"},
			message: "/a -> /a",
		},
		{
			name:  "a way into a loop",
			rules: []Rule{moved("/a", "/b"), moved("/b", "/c"), moved("/c", "/b")},
			want:  []string{"1 loop error", "2 loop error"},
		},
		{
			name:    "a loop that grows",
			rules:   []Rule{moved("/a/*", "/a/b/{*}")},
			want:    []string{"1 loop error"},
			message: "and so on",
		},
		{
			name:  "a loop of patterns",
			rules: []Rule{moved("/a/*", "/b/{*}"), moved("/b/*", "/a/{*}")},
			want:  []string{"1 loop error"},
		},
		{
			name:  "a loop that a regular expression closes",
			rules: []Rule{moved("/a", "/item-7"), {Regexp: `^/item-(\d+)$`, Intent: Moved, Target: "/a?n={1}", TargetQuery: QueryDrop}},
			want:  []string{"1 loop error"},
		},
		{
			name: "a loop for requests with a query",
			rules: []Rule{
				moved("/a", "/b"),
				{Path: "/b", Query: map[string]string{"x": "1"}, Intent: Moved, Target: "/a"},
			},
			want: []string{"1 loop error"},
		},
		{
			name: "no loop where the query is dropped",
			rules: []Rule{
				{Path: "/a", Intent: Moved, Target: "/b", TargetQuery: QueryDrop},
				{Path: "/b", Query: map[string]string{"x": "1"}, Intent: Moved, Target: "/a"},
			},
			want: []string{"2 chain warning"},
		},
		{
			name: "a loop for a host, a scheme, a header and a method together",
			rules: []Rule{
				{Path: "/a", Hosts: []string{"h.example"}, Intent: Temporary, Target: "/b"},
				{Path: "/b", Scheme: "http", Intent: Temporary, Target: "/c"},
				{Path: "/c", When: []Condition{{On: "header:X-A", Equals: "1"}}, Intent: Temporary, Target: "/d"},
				{Path: "/d", Methods: []string{"PUT"}, Intent: Temporary, Target: "/a"},
			},
			want: []string{"1 loop error", "4 preflight info"},
		},
		{
			name: "a loop that begins next week",
			rules: []Rule{
				{Path: "/a", Intent: Temporary, Target: "/b"},
				{Path: "/b", Intent: Temporary, Target: "/a", From: day(7)},
			},
			want: []string{"1 loop error"},
		},
		{
			name:  "no loop where the method changes on the way",
			rules: []Rule{{Path: "/a", Methods: []string{"POST"}, Intent: Result, Target: "/a"}},
		},
		{
			name:  "a loop over an absolute URL of this site",
			check: CheckOptions{Origins: []string{"https://shop.example"}},
			rules: []Rule{moved("/a", "https://shop.example/b"), moved("/b", "https://shop.example/a")},
			want:  []string{"1 loop error"},
		},
		{
			name:  "no loop over a URL of another site",
			rules: []Rule{moved("/a", "https://shop.example/a")},
			want:  []string{"1 body-to-other-origin info"},
		},
		{
			name:    "a loop for another member of a character class",
			rules:   []Rule{{Path: "/a", Intent: Pass}, {Regexp: `^/([ab])$`, Intent: Moved, Target: "/b"}},
			want:    []string{"2 loop error", "2 slow-regexp info"},
			message: "GET /b never arrives",
		},
		{
			name: "a loop for the path with a slash only",
			rules: []Rule{
				{Path: "/b", Priority: 1, Intent: Pass},
				{Path: "/b", IgnoreSlash: true, IgnoreCase: true, Query: map[string]string{"q": "*"}, Intent: Moved, Target: "{path}"},
			},
			want:    []string{"2 loop error"},
			message: "GET /b/?q=x never arrives",
		},
		{
			name: "a loop for two segments only",
			opts: Options{Canonical: Canonical{Origin: "https://www.example.com", Slash: "add"}},
			rules: []Rule{
				{Regexp: `^/(.*)/$`, Query: map[string]string{"q": "1"}, Intent: Moved, Target: "/{1}"},
				{Path: "/{s}", Intent: Pass},
			},
			want:    []string{"1 loop error", "1 slow-regexp info"},
			message: "/x/x/?q=1 never arrives",
		},
		{
			name:    "a loop that an example in lower case does not meet",
			rules:   []Rule{moved("/a", "/home"), {Path: "/A", IgnoreCase: true, Decoded: true, Intent: Moved, Target: "/A"}},
			want:    []string{"2 loop error"},
			message: "GET /A never arrives: /A -> /A",
		},
		{
			name:    "a loop if this site answers at another port of its host",
			rules:   []Rule{{Path: "/a", Hosts: []string{"shop.example"}, Methods: []string{"GET"}, Intent: Moved, Target: "https://shop.example:8443/a"}},
			want:    []string{"1 loop warning"},
			message: "(where this site answers at that port)",
		},
		{
			name: "no chain over another port",
			rules: []Rule{
				{Path: "/a", Hosts: []string{"shop.example"}, Methods: []string{"GET"}, Intent: Moved, Target: "https://shop.example:8443/b"},
				moved("/b", "/c"),
			},
		},
		{
			name: "no loop at another port of another site",
			rules: []Rule{
				{Path: "/a", Hosts: []string{"shop.example"}, Methods: []string{"GET"}, Intent: Moved, Target: "https://other.example:8443/a"},
			},
		},
		{
			name: "better rules that answer every example together",
			rules: []Rule{
				{Path: "/a", Intent: Pass},
				{Path: "/b", Intent: Pass},
				{Regexp: `^/[ab]$`, Intent: Moved, Target: "/c"},
			},
			want: []string{"3 not-tried info", "3 slow-regexp info"},
		},
		{
			name:  "a loop with the slash rule",
			opts:  Options{Canonical: Canonical{Origin: "https://www.example.com", Slash: "remove"}},
			rules: []Rule{moved("/a", "/a/")},
			want:  []string{"1 loop error"},
		},
		{
			name:    "a chain with the slash rule",
			opts:    Options{Canonical: Canonical{Origin: "https://www.example.com", Slash: "add"}},
			rules:   []Rule{moved("/a/", "/b")},
			want:    []string{"1 chain warning"},
			message: "takes 2 hops: /a/ -> /b -> /b/",
		},
		{
			name:  "a loop of patterns only where the app has nothing is a warning",
			rules: []Rule{{Path: "/*", Intent: Moved, Target: "/en/{*}", Missing: true}},
			want:  []string{"1 loop warning"},
		},
		{
			name:  "a chain of two hops",
			rules: []Rule{moved("/a", "/b"), moved("/b", "/c")},
			want:  []string{"1 chain warning"},
		},
		{
			name:  "a target that is refused each time",
			rules: []Rule{{Path: "/go/{site}", Intent: Temporary, Target: "https://{site}.example.com/", Origins: []string{"https://shop.example"}}},
			want:  []string{"1 target-refused error", "1 capture-in-authority info"},
		},
		{
			name: "no refusal where the placeholder may give a listed origin",
			rules: []Rule{
				{Path: "/go/{site}", Methods: []string{"GET"}, Intent: Temporary, Target: "https://{site}.example.com/", Origins: []string{"https://shop.example.com"}},
				{Regexp: `^/to/(\w+)$`, Methods: []string{"GET"}, Intent: Temporary, Target: "https://{1}.example.com/", Origins: []string{"https://shop.example.com"}},
				{Path: "/next", Methods: []string{"GET"}, Intent: Temporary, Target: "https://{arg.to}/", Origins: []string{"https://shop.example.com"}},
			},
			want: []string{"1 capture-in-authority info", "2 capture-in-authority info", "3 capture-in-authority info"},
		},
		{
			name:  "the second of two rules for the same requests",
			rules: []Rule{moved("/a", "/b"), moved("/a", "/b"), moved("/a", "/c")},
			want:  []string{"2 duplicate warning", "3 duplicate warning"},
		},
		{
			name:  "a rule behind one that takes all",
			mode:  FileOrder,
			rules: []Rule{moved("/a/*", "/b"), moved("/a/x", "/c"), moved("/a/{id}", "/d")},
			want:  []string{"2 shadowed warning", "3 shadowed warning", "3 unused-capture info"},
		},
		{
			name: "a rule that two others take together",
			mode: FileOrder,
			rules: []Rule{
				{Path: "/a", Scheme: "http", Intent: Moved, Target: "/b"},
				{Path: "/a", Scheme: "https", Intent: Moved, Target: "/c"},
				moved("/a", "/d"),
			},
			want: []string{"3 shadowed warning"},
		},
		{
			name: "no shadow from a rule for some",
			mode: FileOrder,
			rules: []Rule{
				{Path: "/a", Hosts: []string{"h.example"}, Intent: Moved, Target: "/b"},
				{Path: "/a", Methods: []string{"GET"}, Intent: Moved, Target: "/b"},
				{Path: "/a", Until: day(9), Intent: Temporary, Target: "/b"},
				moved("/a", "/d"),
			},
		},
		{
			name: "rules that can never match",
			rules: []Rule{
				moved("/a/../b", "/c"),
				{Regexp: "^old", Intent: Moved, Target: "/c"},
				{Regexp: "^/a%2fb", Intent: Moved, Target: "/c"},
				{Regexp: `^/a\?id=`, Intent: Moved, Target: "/c"},
				{Path: "/x", Until: day(-1), Intent: Temporary, Target: "/c"},
				{Path: "/y", Scheme: "http", When: []Condition{{On: "scheme", Equals: "https"}}, Intent: Moved, Target: "/c"},
				{Path: "/z", When: []Condition{{On: "header:A", Equals: "1"}, {On: "header:A", Empty: true}}, Intent: Moved, Target: "/c"},
				{Path: "/m", Methods: []string{"PUT"}, When: []Condition{{On: "method", Equals: "POST"}}, Intent: Moved, Target: "/c"},
			},
			want: []string{
				"1 never-matches warning", "2 never-matches warning", "3 never-matches warning", "4 never-matches warning",
				"5 never-matches warning", "6 never-matches warning", "7 never-matches warning", "8 never-matches warning",
			},
		},
		{
			name:  "paths that differ in case",
			rules: []Rule{moved("/About", "/x"), moved("/about", "/x"), moved("/ABOUT", "/y")},
			want:  []string{"2 differs-in-case info", "3 differs-in-case warning"},
		},
		{
			name: "methods that are lost",
			rules: []Rule{
				{Path: "/a", Status: 301, Target: "/x"},
				{Path: "/b", Status: 302, Methods: []string{"GET", "HEAD"}, Target: "/x"},
				{Path: "/c", Status: 303, Target: "/x"},
				{Path: "/d", Intent: Moved, Legacy: true, Target: "/x"},
				{Path: "/e", Intent: Result, Target: "/x"},
				{Path: "/f", Status: 308, Target: "/x"},
			},
			want: []string{"1 method-lost warning", "3 method-lost info"},
		},
		{
			name: "a preflight",
			rules: []Rule{
				{Path: "/a", Methods: []string{"OPTIONS", "PUT"}, Intent: Moved, Target: "/x"},
				{Path: "/b", Methods: []string{"DELETE"}, Intent: Moved, Target: "/x"},
			},
			want: []string{"1 preflight warning", "2 preflight info"},
		},
		{
			name:    "a prefix that is carried twice",
			rules:   []Rule{{Path: "/api/v1/*", Methods: []string{"GET"}, Intent: Moved, Target: "https://api.example.com/api/v2/{path}"}},
			want:    []string{"1 prefix-twice warning"},
			message: "https://api.example.com/api/v2//api/v1/x",
		},
		{
			name:    "a slash that is doubled",
			rules:   []Rule{moved("/old/*", "/new/{path}"), {Regexp: `^/x(/.*)?$`, Intent: Moved, Target: "/y/{1}"}},
			want:    []string{"1 doubled-slash warning", "2 doubled-slash warning"},
			message: "/new//old/x",
		},
		{
			name:    "a query that goes twice",
			rules:   []Rule{{Path: "/a/*", Intent: Moved, Target: "/b?{query}", TargetQuery: QueryAppend}},
			want:    []string{"1 query-twice warning"},
			message: "?a=1 becomes ?a=1&a=1",
		},
		{
			name: "a query that is lost",
			rules: []Rule{
				moved("/a", "/b?x=1"),
				{Path: "/c", Intent: Moved, Target: "/b?x=1", TargetQuery: QueryMerge},
				{Path: "/d", Intent: Moved, Target: "/b?x=1", TargetQuery: QueryDrop},
				moved("/e/*", "/b{?query}"),
			},
			want: []string{"1 query-lost info"},
		},
		{
			name: "https to http",
			rules: []Rule{
				{Path: "/a", Methods: []string{"GET"}, Intent: Moved, Target: "http://x.example/"},
				{Path: "/b", Methods: []string{"GET"}, Scheme: "http", Intent: Moved, Target: "http://x.example/"},
			},
			want: []string{"1 https-to-http warning"},
		},
		{
			name:  "an exact rule with ignore_slash below a prefix",
			mode:  FileOrder,
			rules: []Rule{moved("/docs/*", "/help/{*}"), {Path: "/docs/api", IgnoreSlash: true, Intent: Moved, Target: "/reference"}},
			want:  []string{"2 shadowed warning"},
		},
		{
			name:  "the spaces of two rules differ",
			mode:  FileOrder,
			rules: []Rule{moved("/2026/*", "/x"), {Path: "/2026/Fair", IgnoreCase: true, IgnoreSlash: true, Intent: Moved, Target: "/y"}, moved("/docs/*", "/x"), {Path: "/docs/a", IgnoreCase: true, Intent: Moved, Target: "/y"}},
			want:  []string{"2 shadowed warning"},
		},
		{
			name:  "a placeholder and a slash that does not matter, below a prefix",
			mode:  FileOrder,
			rules: []Rule{moved("/docs/*", "/x"), {Path: "/docs/{id}", IgnoreSlash: true, Intent: Moved, Target: "/y/{id}"}},
			want:  []string{"2 shadowed warning"},
		},
		{
			name: "another host before https",
			rules: []Rule{
				{Scheme: "http", Hosts: []string{"example.com"}, Methods: []string{"GET"}, Intent: Moved, Target: "https://www.example.com{path}"},
				{Path: "/.well-known/acme-challenge/*", Intent: Pass},
			},
			want: []string{"1 host-before-https warning", "1 acme-path warning"},
		},
		{
			name: "the ACME path",
			rules: []Rule{
				{Scheme: "http", Intent: Moved, Target: "https://www.example.com{path}"},
			},
			check: CheckOptions{Origins: []string{"https://www.example.com"}},
			want:  []string{"1 acme-path warning"},
		},
		{
			name: "no ACME path where it may pass",
			rules: []Rule{
				{Scheme: "http", Intent: Moved, Target: "https://www.example.com{path}"},
				{Path: "/.well-known/acme-challenge/*", Intent: Pass},
			},
			check: CheckOptions{Origins: []string{"https://www.example.com"}},
		},
		{
			name: "a host from the request",
			rules: []Rule{
				{Path: "/a", Methods: []string{"GET"}, Scheme: "http", Intent: Moved, Target: "https://{host}/a", Origins: []string{"https://www.example.com"}},
			},
			want: []string{"1 host-from-request info"},
		},
		{
			name:  "a permanent redirect with an end",
			rules: []Rule{{Path: "/a", Intent: Moved, Target: "/b", Until: day(30)}},
			want:  []string{"1 permanent-with-end warning"},
		},
		{
			name: "captures that are not used",
			rules: []Rule{
				moved("/users/{id}", "/people"), moved("/{a}/x", "/{1}"), {Regexp: `^/p/(?P<n>\d+)`, Intent: Moved, Target: "/q"},
			},
			want: []string{"1 unused-capture info", "3 unused-capture info"},
		},
		{
			name:  "an expression that must be tried each time",
			rules: []Rule{{Regexp: `\d$`, Intent: Moved, Target: "/x"}},
			want:  []string{"1 slow-regexp info"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := findingsOf(tableOf(t, test.opts, test.mode, test.rules...), test.check)
			var lines []string
			for _, f := range got {
				lines = append(lines, fmt.Sprintf("%d %s %s", f.Line, f.ID, f.Severity))
			}
			if !slices.Equal(lines, test.want) {
				t.Errorf("got  %q\nwant %q", lines, test.want)
				for _, f := range got {
					t.Log(f)
				}
				return
			}
			if len(got) > 0 && !strings.Contains(got[0].Message, test.message) {
				t.Errorf("message %q lacks %q", got[0].Message, test.message)
			}
		})
	}
}
