package rule

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother"
)

// readAll reads a text, with findings as "line:column id".
func readAll(t testing.TB, f Format, text string) (rules []Rule, found []string) {
	t.Helper()
	err := Read(strings.NewReader(text), f, "file", Hooks{
		Add: func(r *Rule) error {
			rules = append(rules, cloneRule(r))
			return r.Validate()
		},
		Report: func(x Finding) {
			found = append(found, fmt.Sprintf("%d:%d %s", x.Line, x.Column, x.ID))
			if x.File != "file" || x.Message == "" {
				t.Errorf("finding without file or message: %+v", x)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return rules, found
}

// answered is what a file makes of a request: "301 /to", with "?" where the app
// is asked first, "pass", or "".
func answered(t testing.TB, f Format, text, url string) string {
	t.Helper()
	b := NewBuilder(Options{})
	err := Read(strings.NewReader(text), f, "file", Hooks{Mode: func(m Mode) { b.Begin("file", m) }, Add: b.Add})
	if err != nil {
		t.Fatal(err)
	}
	return matched(t, b.Build(), url)
}

func matched(t testing.TB, table *Table, url string) string {
	t.Helper()
	req := Request{Method: "GET", Scheme: "https", Host: "site.example", Path: url}
	if scheme, rest, ok := strings.Cut(url, "://"); ok {
		req.Scheme = scheme
		req.Host, req.Path, _ = strings.Cut(rest, "/")
		req.Path = "/" + req.Path
	}
	req.Path, req.Query, _ = strings.Cut(req.Path, "?")
	var m Match
	if !table.Match(&req, &m) {
		return ""
	}
	if m.Passes() {
		return "pass"
	}
	location, err := m.AppendLocation(nil)
	if err != nil {
		return err.Error()
	}
	out := strings.TrimSpace(fmt.Sprintf("%d %s", m.Status(seeother.Enforce), location))
	if m.Missing() {
		out += " ?"
	}
	return out
}

func TestRedirectsMeanWhatNetlifyMeans(t *testing.T) {
	for _, tt := range []struct {
		name, file, url, want string
	}{
		{"a path leads to the target with 301, after the app was asked", "/home /", "/home", "301 / ?"},
		{"with a slash at the end it is the same path", "/home /", "/home/", "301 / ?"},
		{"a path below is another path", "/home /", "/home/s", ""},
		{"a longer name is another path", "/home /", "/homes", ""},
		{"case matters", "/iTunes /a", "/itunes", ""},
		{"an exclamation mark goes before a page that is there", "/home / 302!", "/home", "302 /"},
		{"the first line that matches wins", "/a /b\n/a /c", "/a", "301 /b ?"},
		{"the first line wins over a more specific one", "/* /all 302\n/a /b", "/a", "302 /all ?"},
		{"comments and empty lines are skipped", "# /a /c\n\n  # x\n/a /b # why", "/a", "301 /b ?"},
		{"a fragment is no comment", "/a /b#ads # why", "/a", "301 /b#ads ?"},
		{"tabs and spaces around do not matter", " \t/a\t \t/b\t302  ", "/a", "302 /b ?"},
		{"a no-break space separates too", "/a\u00a0/b\u00a0302", "/a", "302 /b ?"},
		{"a splat takes what follows", "/news/* /blog/:splat", "/news/2004/01/x", "301 /blog/2004/01/x ?"},
		{"a splat takes nothing too", "/news/* /blog/:splat", "/news", "301 /blog/ ?"},
		{"a splat begins at a segment", "/news/* /blog/:splat", "/newsletter", ""},
		{"a splat keeps the encoding", "/news/* /blog/:splat", "/news/a%2Fb%20c", "301 /blog/a%2Fb%20c ?"},
		{"a placeholder takes one segment", "/news/:m/:d/:y/:slug /blog/:y/:m/:d/:slug", "/news/02/12/2004/x", "301 /blog/2004/02/12/x ?"},
		{"a placeholder does not take two", "/news/:id /blog/:id", "/news/1/2", ""},
		{"placeholder and splat", "/:lang/locations/* /locations/:splat", "/de/locations/a/b", "301 /locations/a/b ?"},
		{"a placeholder in the middle of a target's segment", "/news/:y/:m /blog-:y-:m.html", "/news/2004/02", "301 /blog-2004-02.html ?"},
		{"a placeholder is a whole segment, with all of its name", "/p/:id.html /q/:id.html", "/p/12.x", "301 /q/12.x ?"},
		{"names may hold what names here do not", "/:a-b/:8/:é /:é/:8/:a-b", "/x/y/z", "301 /z/y/x ?"},
		{"a colon within a segment is text", "/v:n/b /c", "/v:n/b", "301 /c ?"},
		{"a colon within a segment takes nothing", "/v:n/b /c", "/v1/b", ""},
		{"a colon alone is text", "/: /c/:", "/:", "301 /c/: ?"},
		{"the first name that begins it counts", "/a/:y/:year /b/:year", "/a/1/2", "301 /b/1ear ?"},
		{"the same name twice is the first", "/:a/:a /b/:a", "/1/2", "301 /b/1 ?"},
		{"a star in the middle", "/a/*/b /c/:splat", "/a/x/y/b/", "301 /c/x/y ?"},
		{"a star in the middle takes nothing too", "/a/*/b /c/:splat", "/a/b", "301 /c/ ?"},
		{"the first star counts", "/a/*/b/* /c/:splat", "/a/x/b/y/z", "301 /c/x ?"},
		{"stars and placeholders", "/a/:x/*/b /c/:splat/:x", "/a/1/2/3/b", "301 /c/2/3/1 ?"},
		{"a star at the end of a name", "/old* /new:splat", "/oldies/x", "301 /newies/x ?"},
		{"a star at the end of a name in the middle", "/v*/b /c/:splat", "/v1/b", "301 /c/1 ?"},
		{"a star before other text is text", "/a/*.html /c", "/a/*.html", "301 /c ?"},
		{"a star before other text takes nothing", "/a/*.html /c", "/a/x.html", ""},
		{"a star in a target is text", "/a/* /b/*", "/a/x", "301 /b/* ?"},
		{"a path without its slash", "x /y", "/x", "301 /y ?"},
		{"dots in the path of a URL", "https://site.example/a/../b /c", "/b", "301 /c ?"},
		{"a name that a request has too", "/u/:path /v/:path", "/u/x", "301 /v/x ?"},
		{"the query goes along", "/a /b", "/a?x=1&y=2", "301 /b?x=1&y=2 ?"},
		{"the query does not go where the target has one", "/a /b?c=3", "/a?x=1", "301 /b?c=3 ?"},
		{"a parameter is taken", "/store id=:id /blog/:id", "/store?id=7", "301 /blog/7?id=7 ?"},
		{"a parameter must be there", "/store id=:id /blog/:id", "/store", ""},
		{"there must be no other parameter", "/store id=:id /blog/:id", "/store?id=7&x=1", ""},
		{"the order of parameters does not matter", "/s a=:a b=:b /:a/:b", "/s?b=2&a=1", "301 /1/2?b=2&a=1 ?"},
		{"a parameter with a value", "/ page=news /news", "/?page=news", "301 /news?page=news ?"},
		{"a parameter with another value", "/ page=news /news", "/?page=old", ""},
		{"a value is compared decoded", "/ _escaped_fragment_=/about /about?", "/?_escaped_fragment_=%2Fabout", "301 /about? ?"},
		{"a star is a value", "/s k=* /b", "/s?k=*", "301 /b?k=* ?"},
		{"a star is no other value", "/s k=* /b", "/s?k=1", ""},
		{"an empty value", "/s k= /b", "/s?k=", "301 /b?k= ?"},
		{"an empty value is no other", "/s k= /b", "/s?k=1", ""},
		{"a value ends at an equals sign", "/s k=a=b /b", "/s?k=a", "301 /b?k=a ?"},
		{"a token without an equals sign does not count", "/x y /z", "/x?a=1", "301 /z?a=1 ?"},
		{"the path has a name before a parameter", "/s/:x id=:x /b/:x?", "/s/1?id=2", "301 /b/1? ?"},
		{"parameters in a target", "/d source=:source email=:email /u?s=:source&e=:email", "/d?source=a&email=b%40c", "301 /u?s=a&e=b%40c ?"},
		{"scheme and host of a URL count", "http://old.example/* https://new.example/:splat 301!", "http://old.example/a/b", "301 https://new.example/a/b"},
		{"the scheme of a URL counts", "http://old.example/* https://new.example/:splat 301!", "https://old.example/a", ""},
		{"a host counts in lower case", "https://OLD.example /new", "https://old.example/", "301 /new ?"},
		{"a port in a target is no placeholder", "/a https://b.example:8443/c", "/a", "301 https://b.example:8443/c ?"},
		{"an equals sign in a target", "/test https://www.example/test=hello 301", "/test", "301 https://www.example/test=hello ?"},
		{"a colon in a target is text where nothing has the name", "/w https://en.example/wiki/Special:Search", "/w", "301 https://en.example/wiki/Special:Search ?"},
		{"braces are text", "/a{b} /c{d}", "/a%7Bb%7D", "301 /c%7Bd%7D ?"},
		{"410 is sent without a page", "/m/growth /404 410!", "/m/growth", "410"},
		{"a rewrite passes", "/app/* /index.html 200\n/* /other", "/app/x", "pass"},
		{"a custom error page passes", "/en/* /en/404.html 404\n/* /other", "/en/x", "pass"},
		{"a forward rule passes", "/admin/* 200!\n/* /other", "/admin/x", "pass"},
		{"a country is not for everybody", "/ /china 302 Country=cn\n/ /world", "/", "301 /world ?"},
		{"what leads to itself does not count", "/a/ /a 301!\n/* /b", "/a", "301 /b ?"},
		{"below its own target a splat does not match", "/china/* /china/zh/:splat", "/china/zh/x", ""},
		{"nor at its target", "/china/* /china/zh/:splat", "/china/zh", ""},
		{"nor where the path only begins like it", "/china/* /china/zh/:splat", "/china/zhx", ""},
		{"beside it, it does", "/china/* /china/zh/:splat", "/china/x", "301 /china/zh/x ?"},
		{"everything to one page does not catch the page", "/* /soon 302!", "/soon/", ""},
		{"everything else goes there", "/* /soon 302!", "/a/b", "302 /soon"},
		{"a placeholder does not catch its target", "/:page /start 301!\n/:page /start", "/start", ""},
		{"on the same host too", "https://a.example/* https://a.example/au/:splat", "https://a.example/au/x", ""},
		{"another scheme is another place", "http://a.example/* https://a.example/:splat", "http://a.example/x", "301 https://a.example/x ?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := answered(t, FormatRedirects, tt.file, tt.url); got != tt.want {
				t.Errorf("%s gets %q, want %q", tt.url, got, tt.want)
			}
		})
	}
}

func TestRedirectsCookieConditionsAreHeld(t *testing.T) {
	b := NewBuilder(Options{})
	in := strings.NewReader("/* /legacy/:splat 302! Cookie=is_legacy,other")
	if err := Read(in, FormatRedirects, "file", Hooks{Mode: func(m Mode) { b.Begin("file", m) }, Add: b.Add}); err != nil {
		t.Fatal(err)
	}
	table := b.Build()
	for cookie, want := range map[string]bool{"a=1; other=2": true, "is_legacy=1": true, "another=1": false, "other=": false, "": false} {
		req := Request{Method: "GET", Path: "/x", Header: map[string][]string{"Cookie": {cookie}}}
		if got := table.Match(&req, &Match{}); got != want {
			t.Errorf("Cookie %q: matched %v, want %v", cookie, got, want)
		}
	}
}

func TestRedirectsFindings(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string
		rules      int
	}{
		{"no target", "/a", []string{"1:1 bad-line"}, 0},
		{"no target but a status", "/a 301", []string{"1:4 bad-line"}, 0},
		{"a forward rule that is not for all below", "/a 200", []string{"1:4 bad-line"}, 0},
		{"a query and no target", "/swf.html?detectflash=false 301", []string{"1:29 bad-line"}, 0},
		{"a space in a path", "/a b /c", []string{"1:4 no-parameter"}, 1},
		{"a target without a slash", "/a b", []string{"1:4 bad-line"}, 0},
		{"a target of another scheme", "/a ftp://b.example/", []string{"1:4 bad-line"}, 0},
		{"a path without a slash", "a /b", []string{"1:1 no-slash"}, 1},
		{"a header that belongs to _headers", "X-Frame-Options: DENY", []string{"1:18 bad-line"}, 0},
		{"a status that is none", "/a /b moved", []string{"1:7 bad-status"}, 0},
		{"a condition without a status", "/a /b Country=de", []string{"1:7 bad-status"}, 0},
		{"a status out of range", "/a /b 3011", []string{"1:7 bad-status"}, 0},
		{"a country", "/a /b 302 Country=de,at", []string{"1:11 condition"}, 0},
		{"a role, in lower case", "/a /b 302 role=admin", []string{"1:11 condition"}, 0},
		{"a condition that nobody knows", "/a /b 302 Moon=full", []string{"1:11 condition"}, 0},
		{"a signed proxy", "/a/* https://b.example/:splat 200! Signed=KEY", []string{"1:31 not-a-redirect"}, 1},
		{"a rewrite", "/a /b 200", []string{"1:7 not-a-redirect"}, 1},
		{"a rewrite to itself", "/a/ /a 200", nil, 1},
		{"410", "/a /b 410", []string{"1:4 page-not-sent"}, 1},
		{"a query in the path", "/a?id=:id /b/:id", []string{"1:1 never-matches"}, 0},
		{"a status that is not sent here", "/a /b 300", []string{"1:7 not-a-redirect"}, 1},
		{"a query in a URL", "https://a.example/x?y=1 /c", []string{"1:1 query-ignored"}, 1},
		{"a port in a URL", "https://a.example:8443/x /c", []string{"1:1 port-ignored"}, 1},
		{"a URL without a host", "https:///x /c", []string{"1:1 bad-line"}, 0},
		{"a URL with a star", "https://*.a.example/x /c", []string{"1:1 bad-line"}, 0},
		{"a placeholder that nothing has", "/a/:id /b/:di", []string{"1:8 unknown-placeholder"}, 0},
		{"a splat that nothing has", "/a /b/:splat", []string{"1:4 unknown-placeholder"}, 0},
		{"a parameter that nothing has", "/a /b?x=:y", []string{"1:4 unknown-placeholder"}, 0},
		{"a target that the rule refuses", "  /a   https://b.exa_mple:99999999/", []string{"1:8 invalid"}, 1},
		{"a host that the rule refuses", "https://a$b.example/ /b", []string{"1:1 invalid"}, 1},
		{"a placeholder that has another name", "/p/:id.html /p/:id", []string{"1:13 unknown-placeholder"}, 0},
		{"a value in braces", "/a x={y} /b", nil, 1},
		{"what leads to itself", "/a/ /a", []string{"1:5 self-redirect"}, 0},
		{"all is well", "/a /b\n/c /d 302!", nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, found := readAll(t, FormatRedirects, tt.file)
			if !slices.Equal(found, tt.want) {
				t.Errorf("findings %q, want %q", found, tt.want)
			}
			if len(rules) != tt.rules {
				t.Errorf("%d rules, want %d", len(rules), tt.rules)
			}
		})
	}
}

func TestRedirectsRulesKnowTheirLine(t *testing.T) {
	rules, found := readAll(t, FormatRedirects, "# x\n\n/a /b # why\n/c/* /d")
	if len(found) > 0 || len(rules) != 2 {
		t.Fatal(rules, found)
	}
	if rules[0].Pos != (Position{File: "file", Line: 3}) || rules[1].Pos.Line != 4 {
		t.Error(rules[0].Pos, rules[1].Pos)
	}
	if rules[0].Note != "why" {
		t.Errorf("note %q", rules[0].Note)
	}
}
