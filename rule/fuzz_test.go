package rule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzMatch asks tables of two odd rules about odd requests. Nothing may
// panic, and no Location may leave the origins that the rules name.
func FuzzMatch(f *testing.F) {
	f.Add("/a/{x}/*", "/b/{x}/{*}", "^/(.*)$", "https://t.example/{1}", "/a/b/c", "q=1", "example.com", byte(0))
	f.Add("/*", "/{*}", "(?i)old(.*)", "/{1|component}?x={arg.q}", "//evil.example/%2e%2e/", "q=%0A", "EXAMPLE.com:80", byte(1))
	f.Add("/a%2F*/{y}", "{path}{?query}", "[", "", "/%00", "&&==", "[::1]:80", byte(7))
	f.Add("/x", "https://{host}/", "(?P<n>a+)", "/{n|nginx}", "/x/../\\evil", "a=\\&b", "a.b.", byte(0xff))
	f.Fuzz(func(t *testing.T, path, target, expression, target2, reqPath, query, host string, flags byte) {
		r1 := Rule{
			Path: path, Target: target, Intent: Moved, Decoded: flags&1 != 0, IgnoreCase: flags&2 != 0, IgnoreSlash: flags&4 != 0,
			Origins: []string{"https://listed.example"}, TargetQuery: [...]string{"", QueryAppend, QueryMerge, QueryDrop}[flags>>6],
		}
		r2 := Rule{Regexp: expression, Target: target2, Intent: Result, Decoded: flags&8 != 0, IgnoreCase: flags&16 != 0, Query: map[string]string{"q": "*"}}
		b := NewBuilder(Options{})
		b.Begin("f", Mode(flags>>5&1))
		added := 0
		for _, r := range []Rule{r1, r2} {
			if b.Add(&r) == nil {
				added++
			}
		}
		table := b.Build()
		if table.Len() != added {
			t.Fatalf("%d rules, want %d", table.Len(), added)
		}
		req := Request{Method: http.MethodGet, Scheme: "http", Host: host, Path: reqPath, Query: query}
		table.Explain(&req)
		var m Match
		if !table.Match(&req, &m) {
			return
		}
		location, err := m.AppendLocation(nil)
		if err != nil {
			return
		}
		checkLocation(t, string(location), m.Rule())
	})
}

// checkLocation reads a Location as a browser does.
func checkLocation(t *testing.T, location string, r Rule) {
	t.Helper()
	for i := range len(location) {
		if c := location[i]; c <= ' ' || c > '~' || c == '\\' {
			t.Fatalf("location %q has byte %#x", location, c)
		}
	}
	if strings.HasPrefix(location, "/") {
		if strings.HasPrefix(location, "//") {
			t.Fatalf("location %q leaves the site", location)
		}
		return
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatalf("location %q: %v", location, err)
	}
	origin := u.Scheme + "://" + u.Host
	if origin == "https://listed.example" {
		return
	}
	// Otherwise the rule itself has the origin, as text.
	written := strings.ToLower(r.Target)
	if !strings.HasPrefix(written, u.Scheme+"://") || u.User != nil || !strings.Contains(written, strings.TrimSuffix(u.Hostname(), ".")) {
		t.Fatalf("location %q of %q leaves the site", location, r.Target)
	}
}
