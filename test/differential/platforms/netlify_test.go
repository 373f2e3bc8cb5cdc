package platforms

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule/importer"
)

func TestNetlify(t *testing.T) {
	t.Parallel()
	run(t, &suite{
		platform: "netlify", format: importer.Netlify, scheme: "https", make: netlifyFile, noQuery: true, plain: true,
		fixed: []string{
			"/home /\n/blog/my-post.php /blog/my-post # comment\n/news /blog\n/cuties https://www.petsofnetlify.com\n",
			"/my-redirect / 301\n/redirect /my-redirect 302\n/gone/* /gone-page 404\n/shown /other 200\n/shown /never 301\n",
			"/news/* /blog/:splat\n/news/x /never\n/date/:month/:day/:year/:slug /article/:year/:month/:day/:slug\n/app/:x/* /:x/at/:splat 302!\n",
			"/store id=:id /blog/:id 301\n/articles id=:id tag=:tag /posts/:tag/:id 301\n/path1 id=:id /path2/:id 301\n/path1 /no-id\n",
			"https://old.example/* https://new.example/:splat 301!\n/* /all 302\n",
		},
	})
}

func TestNetlifyTOML(t *testing.T) {
	t.Parallel()
	run(t, &suite{
		platform: "netlify-toml", format: importer.NetlifyTOML, scheme: "https", make: netlifyTOML, noQuery: true, plain: true,
		fixed: []string{
			"[build]\npublish = \"dist\"\n\n[[redirects]]\nfrom = \"/old\"\nto = \"/new\"\nstatus = 302\nforce = true\n\n[[redirects]]\n" +
				"  from = \"/search\"\n  to = \"https://other.example/s/:q\"\n  query = {q = \":q\"}\n\n[[redirects]]\norigin = '/a/*'\ndestination = '/b/:splat'\n",
		},
	})
}

// netlifyFile makes up a _redirects file.
func netlifyFile(r *rand.Rand) string {
	var b strings.Builder
	for range 3 + r.IntN(25) {
		from, to := netlifyLine(r)
		fmt.Fprintf(&b, "%s %s%s\n", from, to, pick(r, "", "", " 301", " 302", " 303", " 307", " 308", " 200", " 301!", " 404"))
	}
	return b.String()
}

// netlifyTOML makes up a netlify.toml.
func netlifyTOML(r *rand.Rand) string {
	var b strings.Builder
	for range 3 + r.IntN(15) {
		from, to := netlifyLine(r)
		fmt.Fprintf(&b, "[[redirects]]\n  from = %q\n  to = %q\n%s\n", from, to, pick(r, "", "  status = 302\n", "  status = 308\n  force = true\n", "  status = 200\n"))
	}
	return b.String()
}

func netlifyLine(r *rand.Rand) (from, to string) {
	var names []string
	for i := range 1 + r.IntN(3) {
		switch r.IntN(6) {
		case 0:
			name := []string{"id", "name", "x"}[i]
			names = append(names, name)
			from += "/:" + name
		default:
			from += "/" + pick(r, "a", "b", "docs", "a.b", "x+y", "old", "A")
		}
	}
	if r.IntN(4) == 0 {
		if from += pick(r, "/*", "/*", "/"); strings.HasSuffix(from, "*") {
			names = append(names, "splat")
		}
	}
	to = pick(r, "/new", "/new/", "https://other.example/", "https://other.example/x", "/a/b")
	for _, name := range names {
		if r.IntN(3) > 0 {
			to = strings.TrimSuffix(to, "/") + "/:" + name
		}
	}
	return from, to
}
