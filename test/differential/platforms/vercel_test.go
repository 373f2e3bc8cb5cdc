package platforms

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule/importer"
)

func TestVercel(t *testing.T) {
	t.Parallel()
	run(t, &suite{
		platform: "vercel", format: importer.Vercel, scheme: "https", make: vercelFile, whole: true,
		fixed: []string{
			`{"redirects": [{"source": "/me", "destination": "/profile.html"}, {"source": "/user", "destination": "/api/user", "permanent": false},
			  {"source": "/view-source", "destination": "https://github.com/vercel/vercel"},
			  {"source": "/:path((?!uk/).*)", "has": [{"type": "header", "key": "x-vercel-ip-country", "value": "GB"}], "destination": "/uk/:path*", "permanent": false}]}`,
			`{"cleanUrls": true, "trailingSlash": true, "redirects": [{"source": "/a", "destination": "/b"}]}`,
			`{"cleanUrls": true, "trailingSlash": false, "redirects": [{"source": "/a/", "destination": "/b"}]}`,
			`{"trailingSlash": false, "redirects": []}`,
			`{"redirects": [
			  {"source": "/post/:path(\\d{1,})", "destination": "/news/:path*", "statusCode": 301},
			  {"source": "/old/:a/:b?", "destination": "/x/:a/:b?", "statusCode": 302},
			  {"source": "/opt{/:lang(en|fr)}?/end", "destination": "/l/:lang"},
			  {"source": "/f-:name.:ext(jpg|png)", "destination": "/img?n=:name&e=:ext#:name"},
			  {"source": "/all/:rest+", "destination": "https://other.example/:rest+?from=all"},
			  {"source": "/num/(\\d+)/(.*)", "destination": "/n/$2/$1"},
			  {"source": "/plain:x", "destination": "/known/:x"},
			  {"source": "/(docs|help)/:page", "destination": "/wiki/:page?in=$1"}]}`,
			`{"redirects": [
			  {"source": "/h", "has": [{"type": "host", "value": "old.example"}], "destination": "https://new.example/h"},
			  {"source": "/h/:x", "has": [{"type": "host", "value": "(?<sub>a|b)\\.old\\.example"}], "destination": "/s/:sub/:x"},
			  {"source": "/q", "has": [{"type": "query", "key": "page", "value": "\\d+"}], "destination": "/p"},
			  {"source": "/q", "has": [{"type": "query", "key": "page", "value": "all"}], "destination": "/pall"},
			  {"source": "/q", "has": [{"type": "query", "key": "id"}], "destination": "/by/:id"},
			  {"source": "/c", "has": [{"type": "cookie", "key": "beta", "value": "1"}], "missing": [{"type": "header", "key": "X-No"}], "destination": "/beta"},
			  {"source": "/m", "missing": [{"type": "query", "key": "page", "value": "all"}], "destination": "/n"}]}`,
		},
	})
}

// vercelFile makes up a vercel.json.
func vercelFile(r *rand.Rand) string {
	type entry map[string]any
	var redirects []entry
	for range 2 + r.IntN(15) {
		source, names := "", []string{}
		for range 1 + r.IntN(3) {
			switch r.IntN(9) {
			case 0:
				names = append(names, pick(r, "id", "name"))
				source += "/:" + names[len(names)-1]
			case 1:
				names = append(names, pick(r, "n", "m"))
				source += "/:" + names[len(names)-1] + pick(r, `(\d+)`, "(a|b)", "([a-c]+)", "?")
			case 2:
				source += pick(r, `/(\d+)`, "/(x|y)?", "/(.*)")
			case 3:
				names = append(names, "z")
				source += pick(r, "/v-:z", "{/:z}?", "/:z.html")
			default:
				source += "/" + pick(r, "a", "b", "docs", "a.b", "x-y", "old", "A", "c%20d")
			}
		}
		if r.IntN(4) == 0 {
			if source += pick(r, "/:rest*", "/:rest+", "/:rest(.*)", "/"); !strings.HasSuffix(source, "/") {
				names = append(names, "rest")
			}
		}
		to := pick(r, "/new", "/new/", "https://other.example", "https://other.example/x", "/new?k=v", "/new#top", "/new?k=v&x=1#top")
		for _, name := range names {
			if r.IntN(3) > 0 {
				to = add(r, to, ":"+name+pick(r, "", "", "*"))
			}
		}
		e := entry{"source": source, "destination": to}
		switch r.IntN(5) {
		case 0:
			e["permanent"] = r.IntN(2) == 0
		case 1:
			e["statusCode"] = []int{301, 302, 303, 307, 308}[r.IntN(5)]
		}
		if r.IntN(5) == 0 {
			e[pick(r, "has", "missing")] = []entry{{"type": pick(r, "query", "header", "cookie"), "key": pick(r, "k", "page"), "value": pick(r, "v", `\d+`, "a|b")}}
		}
		redirects = append(redirects, e)
	}
	text, err := json.MarshalIndent(entry{"redirects": redirects}, "", " ")
	if err != nil {
		panic(err) // a list of texts
	}
	return string(text)
}
