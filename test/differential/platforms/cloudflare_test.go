package platforms

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule/importer"
)

func TestCloudflarePages(t *testing.T) {
	t.Parallel()
	run(t, &suite{
		platform: "cloudflare", format: importer.Cloudflare, scheme: "https", make: pagesFile,
		fixed: []string{
			"/home301 / 301\n/home302 / 302\n/querystrings /?query=string 301\n/twitch https://twitch.tv\n/trailing /trailing/ 301\n" +
				"/notrailing/ /nottrailing 301\n/page/ /page2/#fragment 301\n/blog/* https://blog.my.domain/:splat\n/products/:code/:name /products?code=:code&name=:name\n",
			"/* /landing 302\n/a /b\n",
			"/a/:b/:ab /x/:ab/:b\n/s/:s/* /t/:splat/:s\n/u/:splat /v/:splat\n/w/*/end /w2/:splat\n/two/*/x/* /never\n/twice/:a/:a /never\n",
			"/a /one\n/b/* /two\n/a/c /three\n/A /four 308 # why\n/a /five\nplain /six\n/q?x=1 /seven\n/h#x /eight\n",
			"/caf\u00e9 /x\n/sp%20ace /y\n/%2F /w\n/dots/../up /v\n/p200 /shown 200\n/p200 /never\n",
		},
	})
}

// TestCloudflareLines compares which lines of a file Pages refuses with those
// that the import drops.
func TestCloudflareLines(t *testing.T) {
	t.Parallel()
	j := startJudge(t)
	for _, line := range []string{
		"/a /b", "/a /b 301", "/a /b 301!", "/a /b 404", "/a /b 301 Country=us", "/a x=:x /b", "/a", "/a b", "/a http://x/", "/a https://x/ 200", "/a /b 200",
		"https://x/a /b", "http://x/a /b", "a b", "a /b", "/a /b # c", "/a # c", "/* /index.html", "/ /index", "/ /index.html", "/x/* /x/index", "/* https://x/index",
		"/a https://", "/a /b 3x1", "/a /b 300", "# all", "/a /b\t307", "/" + strings.Repeat("a", 1990) + " /bbbb 302",
	} {
		_, errors := j.ask(t, "cloudflare", line, nil)
		res, err := importer.Import(importer.Cloudflare, "file", strings.NewReader(line), importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		wrong := len(res.Notes) > 0 && (res.Notes[0].Kind == importer.Dropped || strings.Contains(res.Notes[0].Reason, "ignores"))
		if (len(errors) > 0) != wrong {
			t.Errorf("%q: Cloudflare says %q, and the import %v", line, errors, res.Notes)
		}
	}
}

// pagesFile makes up a _redirects file.
func pagesFile(r *rand.Rand) string {
	var b strings.Builder
	for range 3 + r.IntN(25) {
		from, names := "", []string{}
		for range 1 + r.IntN(3) {
			switch r.IntN(8) {
			case 0:
				names = append(names, pick(r, "id", "name", "x"))
				from += "/:" + names[len(names)-1]
			case 1:
				names = append(names, pick(r, "n", "id"))
				from += "/v-:" + names[len(names)-1] + pick(r, "", ".html")
			default:
				from += "/" + pick(r, "a", "b", "docs", "a.b", "c%20d", "x+y", "old", "A", "e%2Ff")
			}
		}
		if r.IntN(4) == 0 {
			from += pick(r, "/*", "*", "/*/end", "/")
			names = append(names, "splat")
		}
		to := pick(r, "/new", "/new/", "https://other.example", "https://other.example/x", "/a/b", "/new?k=v", "/new#top", "/new?k=v#top")
		for _, name := range names {
			if r.IntN(3) > 0 {
				to = add(r, to, ":"+name)
			}
		}
		fmt.Fprintf(&b, "%s %s%s\n", from, to, pick(r, "", "", " 301", " 302", " 303", " 307", " 308", " 200", " 301!"))
	}
	return b.String()
}
