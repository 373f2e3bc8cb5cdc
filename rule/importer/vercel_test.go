package importer_test

import (
	"strings"
	"testing"

	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/rule/importer"
)

func TestVercel(t *testing.T) {
	t.Parallel()
	runPlatform(t, importer.Vercel, rule.FileOrder, []platformCase{
		{
			name: "permanent true is 308, false 307, neither 308, and it goes before statusCode",
			in: `{"redirects": [
{"source": "/a", "destination": "/b", "permanent": true},
{"source": "/c", "destination": "/d", "permanent": false},
{"source": "/e", "destination": "/f"},
{"source": "/g", "destination": "/h", "statusCode": 301},
{"source": "/i", "destination": "/j", "permanent": false, "statusCode": 301}
]}`,
			rules: []string{
				`{"path":"/a","status":308,"target":"/b","target_query":"merge"}`, `{"path":"/c","status":307,"target":"/d","target_query":"merge"}`,
				`{"path":"/e","status":308,"target":"/f","target_query":"merge"}`, `{"path":"/g","status":301,"target":"/h","target_query":"merge"}`,
				`{"path":"/i","status":307,"target":"/j","target_query":"merge"}`,
			},
			notes: []string{"6 changed: permanent counts"},
		},
		{
			name: "patterns of path-to-regexp",
			in: `{"redirects": [{"source": "/u/:id", "destination": "/v/:id"}, {"source": "/all/:rest*", "destination": "/x/:rest*"},
{"source": "/some/:rest+", "destination": "/x/:rest"}, {"source": "/o/:a?", "destination": "/y?a=:a"}, {"source": "/n/:d(\\d+)", "destination": "/:d"},
{"source": "/(.*).html", "destination": "/$1"}, {"source": "/l{/:lang(en|fr)}?/z", "destination": "/z/:lang"}, {"source": "/q/\\(x\\)", "destination": "/p"}]}`,
			rules: []string{
				`{"path":"/u/{id}","status":308,"target":"/v/{id}","target_query":"merge"}`,
				`{"regexp":"^/all(?:/((?:[^\\/]+?)(?:/(?:[^\\/]+?))*))?$","status":308,"target":"/x/{1}","target_query":"merge"}`,
				`{"regexp":"^/some(?:/((?:[^\\/]+?)(?:/(?:[^\\/]+?))*))$","status":308,"target":"/x/{1}","target_query":"merge"}`,
				`{"regexp":"^/o(?:/([^\\/]+?))?$","status":308,"target":"/y?a={1|keep}","target_query":"merge"}`,
				`{"regexp":"^/n(?:/(\\d+))$","status":308,"target":"/{1}","target_query":"merge"}`,
				`{"regexp":"^(?:/(.*))\\.html$","status":308,"target":"/{1}","target_query":"merge"}`,
				`{"regexp":"^/l(?:/(en|fr))?/z$","status":308,"target":"/z/{1}","target_query":"merge"}`,
				`{"path":"/q/(x)","status":308,"target":"/p","target_query":"merge"}`,
			},
		},
		{
			name: "a lookahead after nothing but text becomes a condition",
			in:   `{"redirects": [{"source": "/:path((?!uk/).*)", "destination": "/uk/:path*", "has": [{"type": "header", "key": "X-Country", "value": "GB"}]}, {"source": "/:a/((?!b).*)", "destination": "/"}]}`,
			rules: []string{
				`{"regexp":"^(?:/(.*))$","when":[{"on":"path","regexp":"^/(?:uk/)","not":true},{"on":"header:X-Country","equals":"GB"}],"status":308,"target":"/uk/{1}","target_query":"merge"}`,
			},
			notes: []string{"1 dropped: (?!...)"},
		},
		{
			name: "has and missing",
			in: `{"redirects": [
{"source": "/a", "destination": "https://new.example/", "has": [{"type": "host", "value": "old\\.example"}]},
{"source": "/b", "destination": "/b/:v", "has": [{"type": "query", "key": "v", "value": "(?<v>\\d+)"}]},
{"source": "/c", "destination": "/c/:page", "has": [{"type": "query", "key": "page"}]},
{"source": "/d", "destination": "/d2", "has": [{"type": "cookie", "key": "k"}, {"type": "query", "key": "q", "value": "x"}], "missing": [{"type": "header", "key": "h"}]},
{"source": "/e", "destination": "/e2", "missing": [{"type": "header", "key": "h", "value": "a.*"}, {"type": "cookie", "key": "c", "value": ".*"}]},
{"source": "/f", "destination": "/f2", "has": [{"type": "header", "key": "h", "value": {"pre": "a.b"}}, {"type": "header", "key": "i", "value": {"ninc": ["x", "y"]}}]},
{"source": "/g", "destination": "/g/:host", "has": [{"type": "host", "value": "(?:a|b)\\.example"}]}]}`,
			rules: []string{
				`{"hosts":["old.example"],"path":"/a","status":308,"target":"https://new.example/","target_query":"merge"}`,
				`{"path":"/b","when":[{"on":"query:v","regexp":"^(?:(?<v>\\d+))$"}],"status":308,"target":"/b/{v}","target_query":"merge"}`,
				`{"path":"/c","query":{"page":"{page}"},"when":[{"on":"query:page"}],"status":308,"target":"/c/{page}","target_query":"merge"}`,
				`{"path":"/d","query":{"q":"x"},"when":[{"on":"cookie:k"},{"on":"header:h","empty":true}],"status":308,"target":"/d2","target_query":"merge"}`,
				`{"path":"/e","when":[{"on":"header:h","regexp":"^(?:a.*)$","not":true},{"on":"cookie:c","empty":true}],"status":308,"target":"/e2","target_query":"merge"}`,
				`{"path":"/f","when":[{"on":"header:h","regexp":"^(?:(?:a\\.b).*)$"},{"on":"header:i"},{"on":"header:i","regexp":"^(?:(?:x|y))$","not":true}],"status":308,"target":"/f2","target_query":"merge"}`,
				`{"path":"/g","when":[{"on":"host","regexp":"^(?:(?:a|b)\\.example)$"}],"status":308,"target":"/g/{host}","target_query":"merge"}`,
			},
		},
		{
			name: "what cannot be taken over is named",
			in: `{"redirects": [
{"source": "/a(?=b)", "destination": "/"}, {"source": "/b/:x((a)b)", "destination": "/"}, {"source": "/c", "destination": "/:unknown"}, {"source": "/d", "destination": "/", "statusCode": 200},
{"source": "/e", "destination": "/", "has": [{"type": "header", "key": "h", "value": "(?=x)"}]}, {"source": "/f", "destination": "/", "has": [{"type": "protocol", "value": "x"}]},
{"source": "/g", "destination": "/", "color": 1}, {"source": 7, "destination": "/"}, {"source": "/h", "destination": "https://:x.example/"}, {"source": "/:x", "destination": "https://:x.example/"},
{"source": "/i", "destination": "/", "has": [{"type": "header", "key": "h", "value": {"gt": 5}}]}, {"source": "/j", "destination": "//evil.example"}, 5],
"bulkRedirectsPath": "bulk/", "routes": [{"src": "/r", "status": 301, "headers": {"Location": "/s"}}, {"src": "/t", "dest": "/u"}]}`,
			notes: []string{
				"2 dropped: question mark", "2 dropped: capturing group", "2 dropped: :unknown", "2 dropped: status 200", "3 dropped: RE2", "3 dropped: want host",
				"4 dropped: unknown field", "4 dropped: source", "4 dropped: :x", "4 dropped: origins", "5 dropped: gt", "5 dropped: two slashes", "5 dropped: cannot unmarshal",
				"6 dropped: another file", "6 dropped: routes",
			},
		},
		{
			name: "cleanUrls and trailingSlash are redirects, too",
			in:   "{\"cleanUrls\": true,\n\"trailingSlash\": false}",
			rules: []string{
				`{"regexp":"^/(?:(.+)/)?index(?:\\.html)?/?$","status":308,"target":"/{1}","target_query":"merge","note":"cleanUrls"}`,
				`{"regexp":"^/(.*)\\.html/?$","status":308,"target":"/{1}","target_query":"merge","note":"cleanUrls"}`,
				`{"regexp":"^/(.*)/$","status":308,"target":"/{1}","target_query":"merge","note":"trailingSlash"}`,
			},
		},
		{name: "a file without redirects has none", in: `{"buildCommand": "make", "redirects": []}`},
		{name: "redirects that are no list are named", in: `{"redirects": {}, "cleanUrls": "yes"}`, notes: []string{"1 dropped: cleanUrls", "1 dropped: want a list"}},
	})
}

func TestVercelFilesThatAreNone(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                             "not JSON",
		"[]":                           "not a JSON object",
		"{\"redirects\": [\n{\n,}]}":   "line 3",
		"{\"a\": 1\n\"b\": 2}":         "line 2",
		"{\"redirects\": []} trailing": "line 1",
	} {
		_, err := importer.Import(importer.Vercel, "vercel.json", strings.NewReader(in), importer.Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "vercel.json") {
			t.Errorf("%q: error %v, want %q", in, err, want)
		}
	}
}

func TestVercelBulk(t *testing.T) {
	t.Parallel()
	want := []string{
		`{"path":"/old-blog","ignore_case":true,"status":308,"target":"/blog","target_query":"drop"}`,
		`{"path":"/old-about","ignore_case":true,"status":307,"target":"/about","target_query":"drop"}`,
		`{"path":"/Legacy","status":301,"target":"https://example.com/contact","target_query":"merge"}`,
	}
	runPlatform(t, importer.VercelBulk, rule.Specific, []platformCase{
		{
			name:  "CSV with a header, whose statusCode goes before permanent",
			in:    "source,destination,permanent,statusCode,caseSensitive,query\n/old-blog,/blog,true\n/old-about,/about,f,,,\n/Legacy,https://example.com/contact,t,301,t,true\n",
			rules: want,
		},
		{
			name:  "JSON",
			in:    "[{\"source\": \"/old-blog\", \"destination\": \"/blog\", \"permanent\": true},\n{\"source\": \"/old-about\", \"destination\": \"/about\"},\n{\"source\": \"/Legacy\", \"destination\": \"https://example.com/contact\", \"statusCode\": 301, \"sensitive\": true, \"query\": true}]",
			rules: want,
		},
		{
			name:  "JSON Lines",
			in:    "\ufeff{\"source\": \"/old-blog\", \"destination\": \"/blog\", \"permanent\": true}\n\n{\"source\": \"/old-about\", \"destination\": \"/about\"}\n{\"source\": \"/Legacy\", \"destination\": \"https://example.com/contact\", \"statusCode\": 301, \"caseSensitive\": true, \"preserveQueryParams\": true}",
			rules: want,
		},
		{
			name:  "a star is a star, and the first of two counts",
			in:    "destination,source\n/x,/a*\n/y,/A*\n/z,/a?b\n/z,https://example.com/\n/z,/n,9\n//evil,/o\n",
			rules: []string{`{"path":"/a%2A","ignore_case":true,"status":307,"target":"/x","target_query":"drop"}`},
			notes: []string{"3 dropped: line 2 already", "4 dropped: without a query", "5 dropped: source", "6 dropped: columns", "7 dropped: two slashes"},
		},
		{
			name:  "what is wrong in a row",
			in:    "source,destination,permanent,statusCode\n/a,/b,maybe\n/c,/d,,x\n/e,/f,,404\n",
			notes: []string{"2 dropped: permanent", "3 dropped: statusCode", "4 dropped: status 404"},
		},
		{name: "an empty file", in: "\n"},
	})
	for _, in := range []string{"/a,/b\n", "source,target\n", "source,source,destination\n", "source\n", "[{]"} {
		if _, err := importer.Import(importer.VercelBulk, "f", strings.NewReader(in), importer.Options{}); err == nil {
			t.Errorf("%q: no error", in)
		}
	}
}

func FuzzImportVercel(f *testing.F) {
	fuzzImport(f, importer.Vercel,
		`{"redirects": [{"source": "/:a(\\d+)/:b*", "destination": "/:b*?a=:a#:a", "permanent": true, "has": [{"type": "host", "value": "(?<x>a)"}]}]}`,
		`{"redirects": [{"source": "/{a:b}?(.*)", "destination": "https://h:80/$1"}], "cleanUrls": true, "trailingSlash": true}`,
		`{"redirects": [{"source": "/((?!a)(?!b[)]).*)", "destination": "/\\:$x{"}]}`)
}

func FuzzImportVercelBulk(f *testing.F) {
	fuzzImport(f, importer.VercelBulk, "source,destination,query\n/a*,/b{,t\n", `[{"source": "/a", "destination": "/b"}]`, `{"source": "/a"}`)
}
