package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/rule/importer"
)

func TestCloudflare(t *testing.T) {
	t.Parallel()
	runPlatform(t, importer.Cloudflare, rule.FileOrder, []platformCase{
		{
			name:  "without a status it is 302, and comments and blank lines are none",
			in:    "# all\n\n/a /b # why\n/c https://example.com/d 308\n",
			rules: []string{`{"path":"/a","status":302,"target":"/b"}`, `{"path":"/c","status":308,"target":"https://example.com/d"}`},
		},
		{
			name: "a star at the end needs the slash before it",
			in:   "/old/* /new/:splat\n/* /all/:splat",
			rules: []string{
				`{"regexp":"^/old/(?P<splat>.*)$","status":302,"target":"/new/{splat}"}`,
				`{"path":"/*","status":302,"target":"/all/{*}"}`,
			},
		},
		{
			name: "a placeholder is a whole segment, or part of one",
			in:   "/u/:id/x /v/:id?u=:id\n/v-:n.html /v/:n\n",
			rules: []string{
				`{"path":"/u/{id}/x","status":302,"target":"/v/{id}?u={id|keep}"}`,
				`{"regexp":"^/v-(?P<n>[^/]+)\\.html$","status":302,"target":"/v/{n}"}`,
			},
		},
		{
			name:  "a name that another one begins with is cut there",
			in:    "/:a/:ab /x/:ab",
			rules: []string{`{"regexp":"^/(?P<a>[^/]+)/(?P<a>[^/]+)b$"}`}[:0],
			notes: []string{"1 dropped: never matches at"},
		},
		{
			name:  "two stars, and a name that stands there twice, never match",
			in:    "/a/*/b/* /x\n/:n/:n /x\n/:splat/* /x",
			notes: []string{"1 dropped: {splat} stands there twice", "2 dropped: {n}", "3 dropped: {splat}"},
		},
		{
			name:  "the second line for a source is ignored",
			in:    "/a /b\n/a /c 301\n",
			rules: []string{`{"path":"/a","status":302,"target":"/b"}`},
			notes: []string{"2 dropped: stands in line 1 already"},
		},
		{
			name: "what Cloudflare refuses",
			in: "/a /b 301!\n/a /b 404\n/a q=:q /b\n/a /b 301 Country=us\n/a\nhttps://example.com/a /b\n" +
				"/a http://example.com/\n/a b\n/* /index.html\n/a https:///\n/a https://example.com/ 200",
			notes: []string{
				"1 dropped: exclamation mark", "2 dropped: status \"404\"", "3 dropped: target \"q=:q\"", "4 dropped: 4 words", "5 dropped: 1 words",
				"6 dropped: source", "7 dropped: target", "8 dropped: target", "9 dropped: loop", "10 dropped: no host", "11 dropped: must be a path",
			},
		},
		{
			name:  "200 lets the request through, and later lines do not take it",
			in:    "/app/* /app.html 200\n/app/x /y\n",
			rules: []string{`{"regexp":"^/app/(?P<splat>.*)$","intent":"pass"}`, `{"path":"/app/x","status":302,"target":"/y"}`},
			notes: []string{"1 changed: lets the request through"},
		},
		{
			name:  "a query and a fragment of the source do not count, and a query of the target replaces the request's",
			in:    "/a?x=1 /b?y=2#z\n/c#d /e?\n",
			rules: []string{`{"path":"/a","status":302,"target":"/b?y=2#z"}`, `{"path":"/c","status":302,"target":"/e"}`},
		},
		{
			name:  "what is not in normal form is said",
			in:    "/%7ea /b\n/caf\u00e9 /c\n/%c3%a9 /d\n",
			rules: []string{`{"path":"/~a","status":302,"target":"/b"}`, `{"path":"/caf%C3%A9","status":302,"target":"/c"}`, `{"path":"/%C3%A9","status":302,"target":"/d"}`},
			notes: []string{"1 changed: byte by byte", "3 changed: byte by byte"},
		},
		{
			name:  "a placeholder in the host is not taken over",
			in:    "/:who/* https://:who.example.com/:splat\n",
			notes: []string{"1 dropped: origins"},
		},
		{
			name:  "bad bytes are refused, line by line",
			in:    "/a\x00 /b\n/c\xff /d\n\ufeff/e /f\r\n/g /h",
			rules: []string{`{"path":"/%EF%BB%BF/e","status":302,"target":"/f"}`, `{"path":"/g","status":302,"target":"/h"}`},
			notes: []string{"1 dropped: NUL", "2 dropped: UTF-8"},
		},
	})
}

func TestCloudflareLimits(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 2001 {
		fmt.Fprintf(&b, "/s%d /x\n", i)
	}
	for i := range 101 {
		fmt.Fprintf(&b, "/d%d/* /x\n", i)
	}
	fmt.Fprintf(&b, "/long%s /x\n", strings.Repeat("g", 2000))
	res, err := importer.Import(importer.Cloudflare, "_redirects", strings.NewReader(b.String()), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Count != 2103 || res.Lines != 2103 || len(res.Notes) != 3 || res.Dropped() != 0 {
		t.Fatalf("%d rules from %d lines, notes %v", res.Count, res.Lines, res.Notes)
	}
	for i, want := range []int{2001, 2102, 2103} {
		if n := res.Notes[i]; n.Line != want || n.Kind != importer.Changed || n.Nearest != want {
			t.Errorf("note %+v, want one about line %d", n, want)
		}
	}
}

func TestCloudflareBulk(t *testing.T) {
	t.Parallel()
	runPlatform(t, importer.CloudflareBulk, rule.FileOrder, []platformCase{
		{
			name: "without more it is 301 for one host and one path, and the query is dropped",
			in:   "example.com/contacts,https://example.net/contact-us,301,,,,\nhttps://Example.com/a,\"https://example.net/b,c\"\n",
			rules: []string{
				`{"hosts":["example.com"],"path":"/contacts","status":301,"target":"https://example.net/contact-us","target_query":"drop"}`,
				`{"scheme":"https","hosts":["example.com"],"path":"/a","status":301,"target":"https://example.net/b,c","target_query":"drop"}`,
			},
		},
		{
			name: "subpath: /a is for all below it, /a/ is not for /a",
			in:   "example.com/a,https://x.example/b,308,TRUE,FALSE,TRUE,TRUE\nexample.com/c/,https://x.example/d/,302,,,TRUE,TRUE\nexample.com,https://x.example,,true,true,true,true\n",
			rules: []string{
				`{"hosts":["example.com"],"path":"/a","status":308,"target":"https://x.example/b"}`,
				`{"hosts":["example.com"],"path":"/a/*","status":308,"target":"https://x.example/b/{*}"}`,
				`{"hosts":["example.com"],"path":"/c/*","when":[{"on":"path","equals":"/c","not":true}],"status":302,"target":"https://x.example/d/{*}","target_query":"drop"}`,
				`{"hosts":["example.com","*.example.com"],"path":"/*","status":301,"target":"https://x.example/{*}"}`,
			},
		},
		{
			name: "the most specific path goes first, then the exact host, the deepest domain, the scheme",
			in: "example.com/,https://x.example/1,,,,TRUE,FALSE\nsub.example.com/,https://x.example/2,,,TRUE,TRUE,FALSE\nexample.com/a,https://x.example/3,,,TRUE,TRUE,FALSE\n" +
				"https://example.com/a,https://x.example/4,,,TRUE,TRUE,FALSE\nexample.com/a/b,https://x.example/5\n",
			rules: []string{
				`{"hosts":["example.com"],"path":"/a/b","status":301,"target":"https://x.example/5","target_query":"drop"}`,
				`{"scheme":"https","hosts":["example.com","*.example.com"],"path":"/a/*","status":301,"target":"https://x.example/4","target_query":"drop"}`,
				`{"hosts":["example.com","*.example.com"],"path":"/a/*","status":301,"target":"https://x.example/3","target_query":"drop"}`,
				`{"hosts":["example.com"],"path":"/*","status":301,"target":"https://x.example/1","target_query":"drop"}`,
				`{"hosts":["sub.example.com","*.sub.example.com"],"path":"/*","status":301,"target":"https://x.example/2","target_query":"drop"}`,
			},
		},
		{
			name: "what is guessed is said",
			in:   "example.com/a,https://x.example/b/,,,,TRUE,TRUE\nexample.com/c,https://x.example/d,,,,TRUE\n",
			rules: []string{
				`{"hosts":["example.com"],"path":"/a","status":301,"target":"https://x.example/b/","target_query":"drop"}`,
				`{"hosts":["example.com"],"path":"/a/*","status":301,"target":"https://x.example/b/{*}","target_query":"drop"}`,
				`{"hosts":["example.com"],"path":"/c/*","status":301,"target":"https://x.example/d","target_query":"drop"}`,
			},
			notes: []string{"1 changed: joined with one", "2 changed: preserve_suffix is not said"},
		},
		{
			name: "what Cloudflare refuses",
			in: "source,target,status\nexample.com/a,/b\nexample.com/q?x=1,https://x.example/\nexample.com:8080/a,https://x.example/\nexample.com/b,magnet:?xt=1\n" +
				"example.com/c,https://x.example/,303\nexample.com/d,https://x.example/?q=1,,TRUE\nexample.com/e,https://x.example/,,maybe\nexample.com/f\n" +
				"example.com/g,https://x.example/1\nexample.com/g,https://x.example/2\nftp://example.com/h,https://x.example/\n",
			rules: []string{`{"hosts":["example.com"],"path":"/g","status":301,"target":"https://x.example/1","target_query":"drop"}`},
			notes: []string{
				"1 dropped: status", "2 dropped: target", "3 dropped: source", "4 dropped: port", "5 dropped: target", "6 dropped: status \"303\"", "7 dropped: query",
				"8 dropped: column 4", "9 dropped: columns", "11 dropped: line 10 already", "12 dropped: http or https",
			},
		},
		{
			name:  "what is no CSV is dropped, and the rest is read",
			in:    "\ufeffexample.com/a,https://x.example/a\nexample.com/\"b,https://x.example/\nexample.com/*,https://x.example/star\n",
			rules: []string{`{"hosts":["example.com"],"path":"/%2A","status":301,"target":"https://x.example/star","target_query":"drop"}`, `{"hosts":["example.com"],"path":"/a","status":301,"target":"https://x.example/a","target_query":"drop"}`},
			notes: []string{"2 dropped: not CSV"},
		},
	})
}

func FuzzImportCloudflare(f *testing.F) {
	fuzzImport(f, importer.Cloudflare, "/a/* /b/:splat 301\n/:x/:y /:y?x=:x#z\n", "/* /index.html\n", "//a //b\n/%zz /\\x\n")
}

func FuzzImportCloudflareBulk(f *testing.F) {
	fuzzImport(f, importer.CloudflareBulk, "https://example.com/a/,https://x.example/{b},301,TRUE,TRUE,TRUE,TRUE\n", "a,b\n\"", "example.com/%,https://[::1]/\n")
}
