package rule

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

func build(t testing.TB, mode Mode, rules ...Rule) *Table {
	t.Helper()
	b := NewBuilder(Options{})
	b.Begin("test", mode)
	for i := range rules {
		rules[i].Pos.Line = i + 1
		if rules[i].Intent == "" && rules[i].Status == 0 {
			rules[i].Intent = Moved
		}
		if err := b.Add(&rules[i]); err != nil {
			t.Fatalf("rule %d: %v", i+1, err)
		}
	}
	return b.Build()
}

// ask gives "line status location" of a request line such as
// "POST https://example.com/a?b".
func ask(t testing.TB, table *Table, line string, header ...string) string {
	t.Helper()
	req := Request{Method: http.MethodGet, Scheme: "http", Host: "example.com", Header: http.Header{}, Now: time.Unix(1e9, 0), Client: "c"}
	if method, rest, ok := strings.Cut(line, " "); ok {
		req.Method, line = method, rest
	}
	if scheme, rest, ok := strings.Cut(line, "://"); ok && !strings.ContainsAny(scheme, "/?") {
		req.Scheme = scheme
		i := strings.IndexByte(rest, '/')
		req.Host, line = rest[:i], rest[i:]
	}
	req.Path, req.Query, _ = strings.Cut(line, "?")
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	var m Match
	if !table.Match(&req, &m) {
		return "none"
	}
	r := m.Rule()
	if m.Passes() {
		return fmt.Sprint(r.Pos.Line, " pass")
	}
	location, err := m.AppendLocation(nil)
	if err != nil {
		return fmt.Sprint(r.Pos.Line, " refused")
	}
	return fmt.Sprintf("%d %d %s", r.Pos.Line, m.Status(seeother.Enforce), location)
}

func TestSpecificWins(t *testing.T) {
	table := build(t, Specific,
		Rule{Path: "/*", Target: "/any/{*}"},                                             // 1
		Rule{Path: "/a/*", Target: "/a-any/{*}"},                                         // 2
		Rule{Path: "/a/b/*", Target: "/ab-any/{*}"},                                      // 3
		Rule{Path: "/a/{x}", Target: "/x/{x}"},                                           // 4
		Rule{Path: "/a/b", Target: "/ab"},                                                // 5
		Rule{Path: "/a/b", Query: map[string]string{"id": "7"}, Target: "/seven"},        // 6
		Rule{Path: "/a/b", Hosts: []string{"other.example"}, Target: "/other"},           // 7
		Rule{Path: "/*", Hosts: []string{"*.wild.example"}, Target: "/wild/{subdomain}"}, // 8
		Rule{Path: "/*", Hosts: []string{"*.very.wild.example"}, Target: "/very"},        // 9
		Rule{Regexp: `^/r/(\d+)$`, Target: "/n/{1}"},                                     // 10
		Rule{Path: "/p", Target: "/low"},                                                 // 11
		Rule{Path: "/*", Priority: 1, Methods: []string{"put"}, Target: "/put"},          // 12
		Rule{Path: "/a/b", Methods: []string{"POST"}, Target: "/post"},                   // 13
	)
	for _, test := range []struct{ line, want string }{
		{"/", "1 308 /any/"},
		{"/zzz", "1 308 /any/zzz"},
		{"/a", "2 308 /a-any/"},
		{"/a/c/d", "2 308 /a-any/c/d"},
		{"/a/b/c", "3 308 /ab-any/c"},
		{"/a/b", "5 308 /ab"},
		{"/a/b?id=7", "6 308 /seven?id=7"},
		{"/a/b?x=1&id=7", "6 308 /seven?x=1&id=7"},
		{"/a/b?id=8", "5 308 /ab?id=8"},
		{"http://other.example:80/a/b", "7 308 /other"},
		{"http://OTHER.example./a/b", "7 308 /other"},
		{"http://x.y.wild.example/q", "8 308 /wild/x.y"},
		{"http://x.very.wild.example/q", "9 308 /very"},
		{"http://wild.example/q", "1 308 /any/q"},
		{"PUT /p", "12 308 /put"},
		{"POST /a/b", "13 308 /post"},
	} {
		if got := ask(t, table, test.line); got != test.want {
			t.Errorf("%s: %s, want %s", test.line, got, test.want)
		}
	}
}

func TestPathsAreComparedInTheirSpace(t *testing.T) {
	for _, test := range []struct {
		name string
		rule Rule
		line string
		want string
	}{
		{"a letter may be encoded", Rule{Path: "/abc", Target: "/x"}, "/%61bc", "1 308 /x"},
		{"an encoded slash is none", Rule{Path: "/a/b", Target: "/x"}, "/a%2Fb", "none"},
		{"hex may be in lower case", Rule{Path: "/a%2Fb", Target: "/x"}, "/a%2fb", "1 308 /x"},
		{"dots are resolved", Rule{Path: "/b", Target: "/x"}, "/a/%2e%2E/./b", "1 308 /x"},
		{"dots do not climb above the root", Rule{Path: "/b", Target: "/x"}, "/../../b", "1 308 /x"},
		{"two slashes are two", Rule{Path: "/a/b", Target: "/x"}, "/a//b", "none"},
		{"decoded, they are one", Rule{Path: "/a/b", Decoded: true, Target: "/x"}, "/a//b", "1 308 /x"},
		{"decoded, an encoded slash is one", Rule{Path: "/a/b", Decoded: true, Target: "/x"}, "/a%2Fb", "1 308 /x"},
		{"decoded, above the root is refused", Rule{Path: "/*", Decoded: true, Target: "/x"}, "/../b", "none"},
		{"decoded, NUL is refused", Rule{Path: "/*", Decoded: true, Target: "/x"}, "/a%00", "none"},
		{"case counts", Rule{Path: "/a", Target: "/x"}, "/A", "none"},
		{"case does not count", Rule{Path: "/aB", IgnoreCase: true, Target: "/x"}, "/Ab", "1 308 /x"},
		{"captures keep their case", Rule{Path: "/a/{x}/*", IgnoreCase: true, Target: "/{x}/{*}"}, "/A/Bc/De/F", "1 308 /Bc/De/F"},
		{"a slash at the end counts", Rule{Path: "/a", Target: "/x"}, "/a/", "none"},
		{"a slash at the end does not count", Rule{Path: "/a/", IgnoreSlash: true, Target: "/x"}, "/a", "1 308 /x"},
		{"a star is written encoded", Rule{Path: "/a%2A", Target: "/x"}, "/a*", "1 308 /x"},
		{"text beyond ASCII is encoded", Rule{Path: "/ä", Target: "/x"}, "/%C3%a4", "1 308 /x"},
		{"a lone percent sign is text", Rule{Path: "/a%", Target: "/x"}, "/a%25", "1 308 /x"},
		{"expressions see normal form", Rule{Regexp: "^/(%2F.*)$", Target: "/x/{1}"}, "/%2fb", "1 308 /x/%2Fb"},
		{"expressions see decoded paths", Rule{Regexp: "^/a b(.*)$", Decoded: true, Target: "/x{1}"}, "/a%20b%20c%25", "1 308 /x%20c%25"},
		{"expressions can ignore case", Rule{Regexp: "^/old-page/(.*)$", IgnoreCase: true, Target: "/x/{1}"}, "/Old-Page/Q", "1 308 /x/Q"},
		{"a Kelvin sign is a k when case is ignored", Rule{Regexp: "^/kelvin$", IgnoreCase: true, Decoded: true, Target: "/x"}, "/%E2%84%AAelvin", "1 308 /x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ask(t, build(t, Specific, test.rule), test.line); got != test.want {
				t.Errorf("%s: %s, want %s", test.line, got, test.want)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	for _, test := range []struct {
		name string
		rule Rule
		line string
		want string
	}{
		{"the query goes along", Rule{Path: "/a", Target: "/b"}, "/a?q=1", "1 308 /b?q=1"},
		{"before the fragment", Rule{Path: "/a", Target: "/b#c"}, "/a?q=1", "1 308 /b?q=1#c"},
		{"the target's own query stays", Rule{Path: "/a", Target: "/b?x=1"}, "/a?q=1", "1 308 /b?x=1"},
		{"dropped", Rule{Path: "/a", Target: "/b", TargetQuery: QueryDrop}, "/a?q=1", "1 308 /b"},
		{"appended", Rule{Path: "/a", Target: "/b?x=1", TargetQuery: QueryAppend}, "/a?x=2", "1 308 /b?x=1&x=2"},
		{"merged", Rule{Path: "/a", Target: "/b?x=1", TargetQuery: QueryMerge}, "/a?x=2&y=3", "1 308 /b?x=1&y=3"},
		{"only some", Rule{Path: "/a", Target: "/b", Only: []string{"y", "z"}}, "/a?x=2&y=3&z=4", "1 308 /b?y=3&z=4"},
		{"to another origin", Rule{Path: "/a/*", Target: "https://b.example/{*}"}, "/a/x/y?q", "1 308 https://b.example/x/y?q"},
		{"a parameter", Rule{Path: "/p", Query: map[string]string{"id": "{id}"}, Target: "/p/{id}", TargetQuery: QueryDrop}, "/p?id=a%2Fb", "1 308 /p/a%2Fb"},
		{"a parameter's spaces", Rule{Path: "/p", Query: map[string]string{"q": "{q}"}, Target: "/p/{q}?q={q}"}, "/p?q=a+b", "1 308 /p/a%20b?q=a+b"},
		{"what came encoded is not encoded twice", Rule{Path: "/s/{q}", Target: "/find?q={q}"}, "/s/a%20b", "1 308 /find?q=a%20b"},
		{"nor by an expression", Rule{Regexp: "^/r/(.*)$", Target: "/find?q={1}"}, "/r/%D7%90", "1 308 /find?q=%D7%90"},
		{"nor in a fragment", Rule{Path: "/s/*", Target: "/x#{*}"}, "/s/a%20b", "1 308 /x#a%20b"},
		{"nor from the query", Rule{Path: "/p", When: []Condition{{On: "query", Regexp: `q=(?P<q>[^&]*)`}}, Target: "/find/{q}", TargetQuery: QueryDrop}, "/p?q=a%20b", "1 308 /find/a%20b"},
		{"a path adds no parameter", Rule{Path: "/l/*", Target: "/login?next={path}"}, "/l/x&next=https:%2f%2fevil.example&id=1+2", "1 308 /login?next=/l/x%26next=https:%2f%2fevil.example%26id=1%2B2"},
		{"a capture adds none", Rule{Path: "/l/*", Target: "/login?next={*}"}, "/l/x&next=y", "1 308 /login?next=x%26next=y"},
		{"a path hides no parameter when merged", Rule{Path: "/s/*", Target: "/x?u={path}", TargetQuery: QueryMerge}, "/s/x&admin=1?admin=0&z=1", "1 308 /x?u=/s/x%26admin=1&admin=0&z=1"},
		{"an argument", Rule{Path: "/p", Target: "/p/{arg.id}?{query}"}, "/p?id=7", "1 308 /p/7?id=7"},
		{"a path with two slashes is refused", Rule{Path: "/*", Target: "/{*}"}, "//evil.example", "1 refused"},
		{"a backslash is refused", Rule{Path: "/r/*", Target: "/{*}"}, "/r/%5Cevil.example", "1 refused"},
		{"a line feed is refused", Rule{Path: "/r/*", Target: "/{*}"}, "/r/a%0Ab", "1 refused"},
		{"a line feed in the query stays encoded", Rule{Path: "/r", Target: "/x"}, "/r?a%0Ab", "1 308 /x?a%0Ab"},
		{"a backslash in the query is encoded", Rule{Path: "/r", Target: "/x"}, "/r?a\\b", "1 308 /x?a%5Cb"},
		{"braces in a request are text", Rule{Path: "/r/{a}/{b}", Target: "/{a}/{b}"}, "/r/%7Bb%7D/{path}", "1 308 /%7Bb%7D/%7Bpath%7D"},
		{"host of a list", Rule{Path: "/*", Target: "https://{host}/{*}", Origins: []string{"https://example.com"}}, "/x", "1 308 https://example.com/x"},
		{"host of no list", Rule{Path: "/*", Target: "https://{host}/{*}", Origins: []string{"https://example.com"}}, "http://evil.example/x", "1 refused"},
		{"groups by name", Rule{Regexp: `^/(?P<year>\d+)/(?P<month>\d+)$`, Target: "/{month}-{year}"}, "/2020/05", "1 308 /05-2020"},
		{"a condition's group", Rule{Path: "/p", When: []Condition{{On: "query", Regexp: `(?:^|&)id=(?P<id>\d+)`}}, Target: "/p/{id}", TargetQuery: QueryDrop}, "/p?id=12", "1 308 /p/12"},
		{"an encoder", Rule{Path: "/s/*", Target: "/search?q={*|component}"}, "/s/a/b", "1 308 /search?q=a%2Fb"},
		{"a question mark that is encoded", Rule{Path: "/s/*", Decoded: true, Target: "/x/{*}"}, "/s/a%3Fb", "1 308 /x/a%3Fb"},
		{"the path as it came", Rule{Path: "/*", Target: "https://b.example{path}"}, "/%61/b", "1 308 https://b.example/%61/b"},
		{"nothing for gone", Rule{Path: "/g", Intent: IsGone}, "/g?x", "1 410 "},
		{"pass", Rule{Path: "/g", Intent: Pass}, "/g?x", "1 pass"},
		{"a status wins", Rule{Path: "/g", Status: 302, Target: "/x"}, "POST /g", "1 302 /x"},
		{"legacy for GET", Rule{Path: "/g", Intent: Moved, Legacy: true, Target: "/x"}, "/g", "1 301 /x"},
		{"legacy for POST", Rule{Path: "/g", Intent: Moved, Legacy: true, Target: "/x"}, "POST /g", "1 308 /x"},
		{"relative to the request", Rule{Path: "/d/e", Target: "?x"}, "/d/e", "1 308 /d/e?x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ask(t, build(t, Specific, test.rule), test.line); got != test.want {
				t.Errorf("%s: %s, want %s", test.line, got, test.want)
			}
		})
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	for _, test := range []struct {
		name  string
		rule  Rule
		field string
	}{
		{"no slash", Rule{Path: "a", Target: "/b"}, "path"},
		{"a query in the path", Rule{Path: "/a?b", Target: "/b"}, "path"},
		{"a placeholder in a segment", Rule{Path: "/a-{b}", Target: "/b"}, "path"},
		{"a placeholder twice", Rule{Path: "/{b}/{b}", Target: "/b"}, "path"},
		{"an empty name", Rule{Path: "/{}", Target: "/b"}, "path"},
		{"unknown placeholder", Rule{Path: "/a", Target: "/{b}"}, "target"},
		{"brace not closed", Rule{Path: "/a", Target: "/{b"}, "target"},
		{"another scheme", Rule{Path: "/a", Target: "ftp://x.example/"}, "target"},
		{"javascript", Rule{Path: "/a", Target: "javascript:alert(1)"}, "target"},
		{"two slashes", Rule{Path: "/a", Target: "//x.example/"}, "target"},
		{"no target", Rule{Path: "/a"}, "target"},
		{"a capture in the host", Rule{Path: "/{a}", Target: "https://{a}.example/"}, "target"},
		{"the host of the request", Rule{Path: "/{a}", Target: "https://{host}/"}, "target"},
		{"a capture behind a host", Rule{Path: "/{a}", Target: "https://x.example{a}"}, "target"},
		{"a host without a scheme", Rule{Path: "/a", Target: "www.example.com/a"}, "target"},
		{"a path without a slash", Rule{Path: "/a", Target: "b"}, "target"},
		{"a path above", Rule{Path: "/a", Target: "../b"}, "target"},
		{"userinfo", Rule{Path: "/{a}", Target: "https://u@x.example/{a}"}, "target"},
		{"lookaround", Rule{Regexp: "(?=a)", Target: "/b"}, "regexp"},
		{"status", Rule{Path: "/a", Status: 300, Target: "/b"}, "status"},
		{"host with port", Rule{Path: "/a", Hosts: []string{"a:80"}, Target: "/b"}, "hosts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.rule.Status == 0 {
				test.rule.Intent = Moved
			}
			err := test.rule.Validate()
			if err == nil || !strings.Contains(err.Error(), test.field+": ") {
				t.Errorf("%v, want one about %s", err, test.field)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	table := build(t, FileOrder,
		Rule{Path: "/a", When: []Condition{{On: "header:x-beta", Equals: "1"}}, Target: "/beta"},
		Rule{Path: "/a", When: []Condition{{On: "cookie:old"}}, Target: "/cookie"},
		Rule{Path: "/a", When: []Condition{{On: "host", Regexp: `^www\.`}}, Target: "/www"},
		Rule{Path: "/a", Query: map[string]string{"k": "v"}, QueryExact: true, Target: "/exact"},
		Rule{Path: "/a", From: time.Unix(2e9, 0), Target: "/future"},
		Rule{Path: "/a", Until: time.Unix(1e9, 0), Target: "/past"},
		Rule{Path: "/a", Stage: seeother.Report, Target: "/report"},
		Rule{Path: "/a", Scheme: "https", Target: "/secure"},
		Rule{Path: "/a", When: []Condition{{On: "query", Equals: "id=1"}}, Target: "/raw"},
		Rule{Path: "/a", Target: "/rest"},
	)
	for _, test := range []struct {
		line   string
		header []string
		want   string
	}{
		{"/a", []string{"X-Beta: 1"}, "1 308 /beta"},
		{"/a", []string{"Cookie: old=yes"}, "2 308 /cookie"},
		{"http://www.example.com/a", nil, "3 308 /www"},
		{"/a?k=v", nil, "4 308 /exact?k=v"},
		{"/a?k=v&l=1", nil, "10 308 /rest?k=v&l=1"},
		{"https://example.com/a", nil, "8 308 /secure"},
		{"/a?id=1", nil, "9 308 /raw?id=1"},
		{"/a", nil, "10 308 /rest"},
		{"OPTIONS /a", []string{"Origin: https://x", "Access-Control-Request-Method: PUT"}, "none"},
	} {
		if got := ask(t, table, test.line, test.header...); got != test.want {
			t.Errorf("%s %v: %s, want %s", test.line, test.header, got, test.want)
		}
	}
}

// TestIndexAgreesWithAScan compares the index with the simplest thing that
// could be right: all rules, one after the other.
func TestIndexAgreesWithAScan(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		mode := Mode(rnd.IntN(2))
		rules := make([]Rule, 1+rnd.IntN(40))
		for i := range rules {
			rules[i] = randomRule(rnd)
			if err := rules[i].Validate(); err != nil {
				t.Fatalf("%+v: %v", rules[i], err)
			}
		}
		table := build(t, mode, rules...)
		for range 60 {
			req := randomRequest(rnd)
			var m Match
			got := -1
			if table.Match(&req, &m) {
				got = m.Index()
			}
			if want := scan(rules, mode, &req); got != want {
				t.Fatalf("seed %d, %v, %+v:\n got rule %d, want %d\n%s", seed, mode, req, got, want, dump(rules))
			}
		}
	}
}

func dump(rules []Rule) string {
	var b strings.Builder
	for i, r := range rules {
		fmt.Fprintf(&b, "%d: %+v\n", i, r)
	}
	return b.String()
}

func pick(rnd *rand.Rand, from ...string) string { return from[rnd.IntN(len(from))] }

func randomRule(rnd *rand.Rand) Rule {
	r := Rule{Intent: Moved, Target: "/t", Priority: rnd.IntN(20) / 19}
	part := func() string { return pick(rnd, "a", "b", "ab", "B", "%2F", "x.y") }
	switch rnd.IntN(5) {
	case 0, 1:
		r.Path = "/" + part() + pick(rnd, "", "/", "/"+part())
	case 2:
		r.Path = pick(rnd, "", "/"+part(), "/"+part()+"/"+part()) + "/*"
	case 3:
		r.Path = pick(rnd, "", "/"+part()) + "/{p}" + pick(rnd, "", "/"+part(), "/*")
	case 4:
		r.Regexp = pick(rnd, "^/ab", "ab/(.*)$", "^/(a|b)/ab$", "/(ab|x.y)/", ".", "(?i)AB$", "a+b", "^/[ab]+$", "B/ab")
	}
	r.Decoded = rnd.IntN(4) == 0
	r.IgnoreCase = rnd.IntN(4) == 0
	r.IgnoreSlash = r.Regexp == "" && rnd.IntN(4) == 0
	if rnd.IntN(3) == 0 {
		r.Hosts = []string{pick(rnd, "h.example", "*.example", "*.h.example")}
		if rnd.IntN(3) == 0 {
			r.Hosts = append(r.Hosts, "two.test")
		}
	}
	if rnd.IntN(4) == 0 {
		r.Query = map[string]string{pick(rnd, "k", "l"): pick(rnd, "1", "2", "*")}
		if rnd.IntN(2) == 0 {
			r.Query["m"] = pick(rnd, "1", "a b")
		}
		r.QueryExact = rnd.IntN(3) == 0
	}
	if rnd.IntN(6) == 0 {
		r.Methods = []string{pick(rnd, "GET", "POST")}
	}
	if rnd.IntN(8) == 0 {
		r.When = []Condition{{On: "query", Equals: "k=1"}}
	}
	return r
}

func randomRequest(rnd *rand.Rand) Request {
	part := func() string { return pick(rnd, "a", "b", "ab", "B", "%2f", "x.y", "%61", "AB", "", ".", "..") }
	req := Request{Method: pick(rnd, "GET", "POST"), Scheme: "http", Host: pick(rnd, "h.example", "x.h.example", "two.test", "other.test:80", "H.Example.")}
	for range 1 + rnd.IntN(3) {
		req.Path += "/" + part()
	}
	req.Query = pick(rnd, "", "", "k=1", "k=1&m=1", "l=2&k=2", "k=1&m=a+b", "m=a%20b&k=%31", "z=1&k=1&m=1")
	return req
}

// scan is the meaning of a table, without an index.
func scan(rules []Rule, mode Mode, req *Request) int {
	best, bestRank := -1, uint64(0)
	for i := range rules {
		hosts := rules[i].Hosts
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, host := range hosts {
			c, _ := compile(&rules[i])
			rank := c.rank(&rules[i], 1, mode, host)
			if matchesRule(c, host, req) && (best < 0 || rank < bestRank) {
				best, bestRank = i, rank
			}
		}
	}
	return best
}

var portOf = regexp.MustCompile(`:\d+$`)

func matchesHost(host string, req *Request) bool {
	name := strings.ToLower(strings.TrimSuffix(portOf.ReplaceAllString(req.Host, ""), "."))
	if domain, ok := strings.CutPrefix(host, "*"); ok {
		return strings.HasSuffix(name, domain) && name != domain
	}
	return host == "" || host == name
}

func matchesRule(c *compiled, host string, req *Request) bool {
	var m Match
	m.begin(&Table{}, req)
	if !matchesHost(host, req) || m.fails(&entry{}, &attrs{own: true, c: c}) != nothing {
		return false
	}
	path, ok := m.path(c.space)
	if !ok {
		return false
	}
	switch c.kind {
	case kindQuery, kindExact:
		return path == c.key
	case kindPrefix:
		return path == c.key || strings.HasPrefix(path, c.key+"/")
	case kindRegexp:
		return c.re.MatchString(path)
	case kindPattern:
	}
	expression := "^"
	for _, s := range c.segments {
		if expression += "/"; s.any {
			expression += "[^/]+"
		} else {
			expression += regexp.QuoteMeta(s.text)
		}
	}
	if c.below {
		expression += "(/.*)?"
	}
	return regexp.MustCompile("(?s)" + expression + "$").MatchString(path)
}

func TestMatchDoesNotAllocate(t *testing.T) {
	table := build(t, Specific,
		Rule{Path: "/exact", Target: "/x"}, Rule{Path: "/p/*", Target: "/x/{*}"}, Rule{Path: "/u/{id}/z", Target: "/x"},
		Rule{Path: "/Fold", IgnoreCase: true, Target: "/x"}, Rule{Path: "/h", Hosts: []string{"*.example.com"}, Target: "/x"},
		Rule{Path: "/q", Query: map[string]string{"id": "1"}, Target: "/x"},
	)
	var m Match
	buf := make([]byte, 0, 256)
	for _, path := range []string{"/exact", "/p/a/b", "/u/7/z", "/FOLD", "/none", "/%65xact", "/h", "/q"} {
		req := Request{Method: "GET", Scheme: "http", Host: "Www.Example.com:80", Path: path, Query: "a=1&id=1"}
		table.Match(&req, &m)
		if n := testing.AllocsPerRun(100, func() { table.Match(&req, &m) }); n != 0 {
			t.Errorf("%s: Match allocates %v times", path, n)
		}
		if path == "/exact" {
			if n := testing.AllocsPerRun(100, func() { buf, _ = m.AppendLocation(buf[:0]) }); n != 0 {
				t.Errorf("%s: AppendLocation allocates %v times", path, n)
			}
		}
	}
}
