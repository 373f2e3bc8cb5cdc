package fetch

import (
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/seeother/seeother"
)

// base is that of RFC 3986 section 5.4, but for its host, which is a name that
// no parser takes for a number.
const base = "http://a.example/b/c/d;p?q#f"

// pieces are what Locations are put together from.
var pieces = []string{
	"http:", "https:", "HTTP:", "/", "//", "\\", ".", "..", "%2e", "%2E%2e", "?", "#", "a", "b.example", "a.example", "g", ":", ":80", ":8443",
	";x=1", "=", "&", " ", "é", "%", "%zz", "%41", "[::1]", "@", "'", "\"", "<", ">", "^", "`", "{", "|", "}", "~", "!", "$", "*", "+", ",", "javascript:", "//1.2.3.4", "1", "0x", "09",
}

// locations are random, and the same in every run.
func locations(n int) []string {
	r := rand.New(rand.NewPCG(3, 303))
	all := make([]string, n)
	for i := range all {
		for range 1 + r.IntN(7) {
			all[i] += pieces[r.IntN(len(pieces))]
		}
	}
	return all
}

func TestALocationLeadsWhereTheURLStandardSays(t *testing.T) {
	t.Parallel()
	all := append([]string{
		"", "g", "./g", "g/", "/g", "//g.example", "?y", "g?y", "#s", "g#s", "g?y#s", ";x", "g;x", "../g", "../../../../g", "/./g", "g/./h",
		"http:g", "http:/g", "http:///g.example", "https:g.example", "https:/g.example", "///g.example", "/\\g.example", "\\\\g.example", "g?a\\b#c\\d",
		"http://user:secret@a.example/", "http://user@b.example/", "http://b.example:99999/", "http://b.example:/", "http://", "//", "10.0.0.1:80/x", "1a:b", "mailto:a@b.example",
		"//127.1/x", "//0x7f.1", "//2130706433", "//017700000001/", "//127.0.0.1./", "//0", "//0x", "//1.2.3.4.5", "//256.1", "//08", "//a.1", "//1.a", "//10.0.0.010:81/", "//0xg", "//1..2", "//4294967295",
	}, locations(5000)...)
	var theirs []string
	node(t, `resolveAll(input.base, input.all)`, map[string]any{"base": base, "all": all}, &theirs)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	followed := 0
	for i, location := range all {
		ours, err := seeother.ParseLocation(location, u)
		switch {
		case err != nil && stricter(theirs[i]):
		case err != nil:
			t.Errorf("%q: %v, but the standard leads to %s", location, err, theirs[i])
		case plain(ours.String()) != plain(inherit(theirs[i])):
			t.Errorf("%q: leads to %s, but by the standard to %q", location, ours, inherit(theirs[i]))
		default:
			followed++
		}
	}
	t.Logf("%d of %d were followed", followed, len(all))
	if followed < len(all)/4 {
		t.Error("too few to say anything")
	}
}

// stricter is where ParseLocation refuses what the standard refuses, or takes:
// another scheme, and a host with what no host name holds or with a user.
func stricter(theirs string) bool {
	u, err := url.Parse(theirs)
	return theirs == "" || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host != "a.example"
}

// inherit is what the Fetch standard does to a URL without a fragment.
func inherit(href string) string {
	if href != "" && !strings.Contains(href, "#") {
		href += "#f"
	}
	return href
}

var (
	user = regexp.MustCompile(`//[^/?#]*@`)
	// The Transport writes international names in their xn-- form.
	same = strings.NewReplacer("%5E", "^", "%7C", "|", "%5C", `\`, "%25", "%", "%27", "'", "%60", "`", "%7B", "{", "%7D", "}", "//xn--9ca/", "//%C3%A9/")

	lonePercent = regexp.MustCompile(`%([^0-9A-Fa-f]|.?$|[0-9A-Fa-f][^0-9A-Fa-f])`)
	schemePort  = regexp.MustCompile(`^(http://[^/]*):80/|^(https://[^/]*):443/`)
)

// plain is a URL without the differences that there are: net/url cannot send a
// "^", a "|" or a lone "%" in a path as it is, so that the client encodes them;
// it keeps a fragment decoded, and none where it is empty; the client does not
// keep a user. None of these leads to another resource.
func plain(href string) string {
	href, fragment, _ := strings.Cut(href, "#")
	front, query, hasQuery := strings.Cut(href, "?")
	front = same.Replace(user.ReplaceAllString(front, "//"))
	front = schemePort.ReplaceAllString(front, "$1$2/")
	if hasQuery {
		front += "?" + query
	}
	decoded, err := url.PathUnescape(lonePercent.ReplaceAllString(fragment, "%25$1"))
	if err != nil {
		decoded = fragment
	}
	return front + "#" + decoded
}
