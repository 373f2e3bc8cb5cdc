package differential

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// change turns a request into one that is a little, or quite, another.
func (g *Generator) change(req *Request) {
	path, query, hasQuery := strings.Cut(req.Target, "?")
	for range []int{0, 0, 0, 1, 1, 1, 1, 2, 2, 3}[g.r.IntN(10)] {
		path = g.changePath(path)
	}
	if g.r.IntN(3) == 0 {
		query, hasQuery = g.changeQuery(query)
	}
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	req.Target = path
	if hasQuery {
		req.Target += "?" + query
	}
	if g.r.IntN(4) == 0 {
		req.Method = pick(g.r, []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
	}
	if g.r.IntN(g.OddHosts) == 0 {
		req.Host = g.changeHost(req.Host)
	}
	g.addFields(req)
}

// mutation is one way to change a path; r chooses where.
type mutation struct {
	weight int
	change func(r *rand.Rand, path string) string
}

var mutations = []mutation{
	{24, func(_ *rand.Rand, p string) string { return p + "/" }},
	{24, func(_ *rand.Rand, p string) string { return strings.TrimSuffix(p, "/") }},
	{16, doubleSlash},
	{20, func(r *rand.Rand, p string) string { return p + "/" + pick(r, words[:8]) }},
	{20, func(_ *rand.Rand, p string) string { return p[:strings.LastIndexByte(p, '/')+1] }},
	{16, func(r *rand.Rand, p string) string { return p + pick(r, []string{".html", "x", "-old", ".php", "1"}) }},
	{16, func(r *rand.Rand, p string) string { i := 1 + r.IntN(len(p)); return p[:i] }},
	{16, func(r *rand.Rand, p string) string { return eachLetter(r, p, flipCase) }},
	{8, func(_ *rand.Rand, p string) string { return strings.ToUpper(p) }},
	{8, func(_ *rand.Rand, p string) string { return strings.ToLower(p) }},
	{4, func(r *rand.Rand, p string) string { return eachLetter(r, p, encodeByte) }},
	{3, func(_ *rand.Rand, p string) string { return replaceLast(p, "/", "%2F") }},
	{6, func(r *rand.Rand, p string) string { return atSlash(r, p, "./") }},
	{6, func(r *rand.Rand, p string) string { return atSlash(r, p, "zz/../") }},
	{4, func(_ *rand.Rand, p string) string { return p + "/.." }},
	{2, func(_ *rand.Rand, p string) string { return "/.." + p }},
	{2, func(r *rand.Rand, p string) string { return atSlash(r, p, "%2e%2E/") }},
	{1, func(r *rand.Rand, p string) string { return insert(r, p, "%20") }},
	{1, func(r *rand.Rand, p string) string { return insert(r, p, "%C3%A9") }},
	{1, func(r *rand.Rand, p string) string { return insert(r, p, "\u00e9") }},
	{1, func(r *rand.Rand, p string) string { return insert(r, p, "%c3%a9") }},
	{4, func(r *rand.Rand, p string) string {
		return insert(r, p, pick(r, []string{"+", "%2B", "&", ";", "%26", "'", "~", "%7E", ":", "=", "@", "!"}))
	}},
	{4, func(r *rand.Rand, p string) string {
		return insert(r, p, pick(r, []string{"%3F", "%25", "%2541", "%22", "%5B", "[", "%7C", "|", "%3C"}))
	}},
}

// troubles are rare: what they lead to is refused on purpose.
var troubles = []string{"%00", "%0A", "%0d", "%zz", "%", "\\", "%5C", "%09", "%FF"}

func (g *Generator) changePath(path string) string {
	if path == "" {
		path = "/"
	}
	if g.r.IntN(300) == 0 {
		return insert(g.r, path, pick(g.r, troubles))
	}
	if g.r.IntN(400) == 0 {
		return "/" + path // leads to another host, if it were taken as it is
	}
	total := 0
	for _, m := range mutations {
		total += m.weight
	}
	n := g.r.IntN(total)
	for _, m := range mutations {
		if n -= m.weight; n < 0 {
			return m.change(g.r, path)
		}
	}
	return path
}

func (g *Generator) changeQuery(query string) (string, bool) {
	arg := "a"
	if len(g.args) > 0 {
		arg = pick(g.r, g.args)
	}
	pair := arg + "=" + pick(g.r, []string{"1", "7", "42", "x", "en", "a%20b", "%C3%A9", "a+b", ""})
	and := ""
	if query != "" {
		and = "&"
	}
	switch g.r.IntN(16) {
	case 0, 1, 2:
		return query + and + "utm_source=x", true
	case 3, 4, 5:
		return pair, true
	case 6, 7:
		return query + and + pair, true
	case 8:
		return pair + and + query, true
	case 9:
		return "", g.r.IntN(8) == 0
	case 10:
		return query + "x", true
	case 11:
		return query + and + arg, true
	case 12:
		if g.r.IntN(8) == 0 {
			return query + and + pick(g.r, []string{"a=b?c=d", "x=/../y", "q=%0A", "u=http://evil.example/", "x=%2F%2f", "[]=1", "a=|"}), true
		}
	}
	return query, query != ""
}

func (g *Generator) changeHost(host string) string {
	switch g.r.IntN(8) {
	case 0, 1:
		return host + pick(g.r, []string{":80", ":443", ":8080"})
	case 2, 3:
		return strings.ToUpper(host)
	case 4:
		return host + "."
	case 5:
		return "unknown.example"
	case 6:
		return "sub." + host
	}
	return strings.TrimPrefix(host, "www.")
}

func (g *Generator) addFields(req *Request) {
	for _, name := range g.fields {
		if g.r.IntN(4) == 0 && !hasField(req, name) {
			req.Header = append(req.Header, Field{name, pick(g.r, fieldValues(name))})
		}
	}
	for _, name := range g.cookies {
		if g.r.IntN(4) == 0 && !hasField(req, "Cookie") {
			req.Header = append(req.Header, Field{"Cookie", pick(g.r, []string{"", "z=1; "}) + name + "=" + pick(g.r, []string{"1", "0", "", "yes", "de"})})
		}
	}
}

func hasField(req *Request, name string) bool {
	for _, f := range req.Header {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// fieldValues are usual values of a field.
func fieldValues(name string) []string {
	switch name {
	case "x-forwarded-proto":
		return []string{"http", "https", ""}
	case "user-agent":
		return []string{"Mozilla/5.0 (iPhone)", "curl/8.0", "Googlebot/2.1", "bingbot"}
	case "accept-language":
		return []string{"de-DE,de;q=0.9", "en", "fr-FR", "*"}
	case "referer":
		return []string{"https://www.example.com/", "https://spam.example/x", ""}
	}
	return []string{"1", "0", "yes", "", "http", "XMLHttpRequest", "websocket"}
}

func doubleSlash(r *rand.Rand, p string) string {
	var at []int
	for i := 1; i < len(p); i++ { // not at the start: see changePath
		if p[i] == '/' {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return p
	}
	i := pick(r, at)
	return p[:i] + "/" + p[i:]
}

// eachLetter changes one letter of the path that is not part of an encoding.
func eachLetter(r *rand.Rand, p string, change func(byte) string) string {
	for range 8 {
		i := r.IntN(len(p))
		c := p[i] | 0x20
		if c < 'a' || c > 'z' || strings.ContainsRune(p[max(0, i-2):i], '%') {
			continue
		}
		return p[:i] + change(p[i]) + p[i+1:]
	}
	return p
}

func flipCase(c byte) string { return string(rune(c ^ 0x20)) }

func encodeByte(c byte) string { return fmt.Sprintf("%%%02x", c) }

func replaceLast(p, old, by string) string {
	if i := strings.LastIndex(p, old); i > 0 {
		return p[:i] + by + p[i+len(old):]
	}
	return p
}

// atSlash puts segments behind one of the slashes.
func atSlash(r *rand.Rand, p, text string) string {
	var at []int
	for i := range len(p) {
		if p[i] == '/' {
			at = append(at, i+1)
		}
	}
	if len(at) == 0 {
		return p
	}
	i := pick(r, at)
	return p[:i] + text + p[i:]
}

// insert puts text somewhere after the first slash, not into an encoding.
func insert(r *rand.Rand, p, text string) string {
	i := 1 + r.IntN(len(p))
	for i > 1 && strings.IndexByte(p[max(0, i-2):i], '%') >= 0 {
		i--
	}
	return p[:i] + text + p[i:]
}
