// Package ruleset makes the redirect rules that benchmarks load: large, looking
// like those of real sites, and always the same. Rule i is a function of i, so
// that requests for it need no list.
package ruleset

import (
	"fmt"
	"math/bits"
	"strconv"
)

// Rule is one redirect, in a form that every server can be given.
type Rule struct {
	Path   string // or the regular expression
	Target string // a path on the same site
	Status int
}

// Sites before and after they moved.
var (
	sections = [...]string{
		"blog", "news", "shop/products", "support/articles", "docs", "forum/threads", "press", "events", "jobs", "en/magazine",
		"de/magazin", "catalog", "archive", "help", "community", "research/papers",
	}
	moved = [...]string{
		"stories", "articles", "products", "help/topics", "guides", "discussions", "newsroom", "calendar", "careers", "en/stories",
		"de/stories", "store", "library", "help/faq", "people", "science",
	}
	words = [...]string{
		"summer", "garden", "update", "review", "how-to", "winter", "sale", "guide", "best", "cheap", "blue", "red", "leather", "cotton",
		"bag", "shoes", "release", "notes", "security", "annual", "report", "city", "travel", "coffee", "tea", "camera", "lens", "phone",
		"case", "kids", "women", "men", "wooden", "table", "chair", "lamp", "kitchen", "bath", "repair", "manual", "battery", "charger",
		"music", "video", "photo", "museum", "history", "science", "space", "ocean", "forest", "river", "mountain", "road", "bike", "train",
		"recipe", "bread", "cheese", "wine", "health", "sleep", "running", "yoga",
	}
)

// rest are the bits of a number that have not been used up.
type rest uint64

// random mixes i (splitmix64), so that neighbours have nothing in common.
func random(i int) rest {
	z := uint64(i)*0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return rest(z ^ z>>31)
}

// below takes a number from 0 to n-1 out of r.
func (r *rest) below(n int) int {
	high, low := bits.Mul64(uint64(*r), uint64(n))
	*r = rest(low)
	return int(high)
}

// Spread goes through the numbers below n in an order without locality, each
// once for i from 0 to n-1, where n is no multiple of a large prime.
func Spread(i, n int) int { return i * 7_368_787 % n }

// The bounds of an exact path, in bytes.
const (
	shortest = 20
	longest  = 60
)

// Exact is rule i of a large migration: pages of 20 to 60 bytes, 70 % of them
// moved with 301, 20 % with 308, 7 % with 302 and 3 % with 307. No path comes
// twice, all are lower case, and no target is the path of a rule.
func Exact(i int) Rule {
	r := random(i)
	section := r.below(len(sections))
	id := strconv.FormatInt(int64(i), 36)
	slug := slug(&r, shortest+r.below(longest-shortest-8)-len(sections[section])-9)
	path := fmt.Sprintf("/%s/%d/%s-%s", sections[section], 2004+r.below(20), slug, id)
	if r.below(3) == 0 {
		path += ".html"
	}
	return Rule{Path: path, Target: "/" + moved[section] + "/" + slug + "/" + id, Status: status(r.below(100))}
}

// Absent is a path that looks like those of Exact, and is none of them.
func Absent(i int) string {
	return Exact(i + 1<<40).Path
}

// slug is words of about length bytes, at least one.
func slug(r *rest, length int) string {
	text := words[r.below(len(words))]
	for len(text) < length {
		text += "-" + words[r.below(len(words))]
	}
	return text[:min(len(text), max(length, 4))]
}

func status(percent int) int {
	switch {
	case percent < 70:
		return 301
	case percent < 90:
		return 308
	case percent < 97:
		return 302
	}
	return 307
}

// Prefix is rule i of those that move a whole folder to one page: the path,
// which has no slash at its end, and everything below go to the target.
func Prefix(i int) Rule {
	r := random(i)
	section := r.below(len(sections))
	id := strconv.FormatInt(int64(i), 36)
	slug := slug(&r, 8+r.below(16))
	return Rule{Path: fmt.Sprintf("/%s/%s-%s", sections[section], slug, id), Target: "/" + moved[section] + "/" + slug + "-" + id, Status: 301}
}

// Below is a path below Prefix(i).
func Below(i int) string { return Prefix(i).Path + "/page-" + strconv.Itoa(i%100) + ".html" }

// Regexp is rule i of those with a regular expression, in what RE2 and PCRE
// have in common. {1} in the target is its first group. In four of ten the
// expression begins with what is special about it, in the others that comes
// after something that varies, or at the end.
func Regexp(i int) Rule {
	r := random(i)
	section := r.below(len(sections))
	id := strconv.FormatInt(int64(i), 36)
	name := slug(&r, 8+r.below(12)) + "-" + id
	to := "/" + moved[section] + "/" + name + "/{1}"
	var expression string
	switch i % 5 {
	case 0, 1:
		expression = "^/" + sections[section] + "/" + name + "/([0-9]+)$"
	case 2:
		expression = "^/(?:en|de|fr)/" + name + "/([a-z0-9-]+)/?$"
	case 3:
		expression = "^/[a-z]+/" + name + "-([0-9]+)\\.html$"
	default:
		expression = "/([a-z]+)/" + name + "\\.php$"
	}
	return Rule{Path: expression, Target: to, Status: 301}
}

// Matching is a path that Regexp(i) matches, and what its group holds then.
func Matching(i int) (path, group string) {
	r := random(i)
	section := r.below(len(sections))
	name := slug(&r, 8+r.below(12)) + "-" + strconv.FormatInt(int64(i), 36)
	switch i % 5 {
	case 0, 1:
		return "/" + sections[section] + "/" + name + "/4711", "4711"
	case 2:
		return "/de/" + name + "/seite-2", "seite-2"
	case 3:
		return "/shop/" + name + "-17.html", "17"
	}
	return "/old/shop/" + name + ".php", "shop"
}
