package differential

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// Generator makes requests that are near to what the rules and the file are
// about. The same seed gives the same requests.
type Generator struct {
	OddHosts int // in one request of so many the host is changed

	r       *rand.Rand
	rules   []rule.Rule
	paths   []string // from the file: paths, and expressions for paths
	hosts   []string // that the file names, also in targets
	names   []string // that rules are for
	fields  []string // names of fields that matter
	cookies []string
	args    []string
	schemes []string
}

// NewGenerator makes requests for the rules and the file that they were
// imported from. schemes are those that the server answers to.
func NewGenerator(seed uint64, file string, rules []rule.Rule, schemes ...string) *Generator {
	g := &Generator{OddHosts: 6, r: rand.New(rand.NewPCG(seed, 1)), rules: rules, schemes: schemes}
	g.readFile(file)
	for i := range rules {
		for _, host := range rules[i].Hosts {
			g.names = append(g.names, g.hostFor(host))
		}
		for _, w := range rules[i].When {
			g.readCondition(w)
		}
	}
	for _, list := range []*[]string{&g.hosts, &g.names, &g.fields, &g.cookies, &g.args, &g.paths} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return g
}

var (
	pathWord   = regexp.MustCompile(`[~^"'\s](\^?\\?/[^\s;"']*)`)
	hostWord   = regexp.MustCompile(`\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|example|test|de|fr)\b`)
	nameLine   = regexp.MustCompile(`(?m)(?:server_name|ServerName|ServerAlias)\s+([^;\n]*)`)
	fieldWord  = regexp.MustCompile(`\$http_([a-z_]+)|%\{HTTP:([A-Za-z-]+)\}|%\{HTTP_([A-Z_]+)\}`)
	cookieWord = regexp.MustCompile(`\$cookie_([A-Za-z0-9_]+)`)
	argWord    = regexp.MustCompile(`\$arg_([A-Za-z0-9_]+)|\b([a-z_]{1,12})=`)
)

// readFile gathers the words of the original file, so that what the importer
// left out is asked for too.
func (g *Generator) readFile(file string) {
	for _, m := range pathWord.FindAllStringSubmatch(file, -1) {
		g.paths = append(g.paths, strings.TrimRight(m[1], "{};"))
	}
	g.hosts = append(g.hosts, hostWord.FindAllString(file, -1)...)
	for _, m := range nameLine.FindAllStringSubmatch(file, -1) {
		g.names = append(g.names, hostWord.FindAllString(m[1], -1)...)
	}
	for _, m := range fieldWord.FindAllStringSubmatch(file, -1) {
		if name := strings.ReplaceAll(strings.ToLower(m[1]+m[2]+m[3]), "_", "-"); name != "host" && name != "cookie" {
			g.fields = append(g.fields, name)
		}
	}
	for _, m := range cookieWord.FindAllStringSubmatch(file, -1) {
		g.cookies = append(g.cookies, m[1])
	}
	for _, m := range argWord.FindAllStringSubmatch(file, -1) {
		g.args = append(g.args, m[1]+m[2])
	}
}

func (g *Generator) readCondition(w rule.Condition) {
	on, name, _ := strings.Cut(w.On, ":")
	switch on {
	case "header":
		if name = strings.ToLower(name); name != "host" && name != "cookie" {
			g.fields = append(g.fields, name)
		}
	case "cookie":
		g.cookies = append(g.cookies, name)
	case "query":
		if name != "" {
			g.args = append(g.args, name)
		}
	}
}

// Next makes a request.
func (g *Generator) Next() Request {
	req := Request{Method: "GET", Scheme: pick(g.r, g.schemes), Host: "unknown.example"}
	if len(g.hosts) > 0 {
		req.Host = pick(g.r, g.hosts)
	}
	if len(g.names) > 0 && g.r.IntN(40) > 0 {
		req.Host = pick(g.r, g.names)
	}
	switch n := g.r.IntN(10); {
	case len(g.rules) > 0 && n < 6:
		g.fromRule(&req, &g.rules[g.r.IntN(len(g.rules))])
	case len(g.paths) > 0:
		g.fromFile(&req)
	default:
		req.Target = "/" + pick(g.r, words)
	}
	req.Target = wireText(req.Target)
	g.change(&req)
	return req
}

// fromRule makes a request that the rule is for, as far as that is easy.
func (g *Generator) fromRule(req *Request, r *rule.Rule) {
	req.Target = g.pathFor(r)
	if r.Scheme != "" && slices.Contains(g.schemes, r.Scheme) && g.r.IntN(8) > 0 {
		req.Scheme = r.Scheme
	}
	if len(r.Hosts) > 0 && g.r.IntN(8) > 0 {
		req.Host = g.hostFor(pick(g.r, r.Hosts))
	}
	if len(r.Methods) > 0 && g.r.IntN(8) > 0 {
		req.Method = pick(g.r, r.Methods)
	}
	var query []string
	for _, name := range sortedKeys(r.Query) {
		value := r.Query[name]
		if value == "*" || strings.HasPrefix(value, "{") {
			value = pick(g.r, words)
		}
		query = append(query, escapeQuery(name)+"="+escapeQuery(value))
	}
	for _, w := range r.When {
		query = g.satisfy(req, w, query)
	}
	if len(query) > 0 {
		req.Target += "?" + strings.Join(query, "&")
	}
}

// satisfy lets a condition hold, mostly.
func (g *Generator) satisfy(req *Request, w rule.Condition, query []string) []string {
	if w.Not || w.Empty || g.r.IntN(8) == 0 {
		return query
	}
	value := w.Equals
	if w.Regexp != "" {
		value, _ = sample(g.r, w.Regexp)
	}
	on, name, _ := strings.Cut(w.On, ":")
	switch on {
	case "host":
		if value = hostText(value); value != "" {
			req.Host = value
		}
	case "method":
		if m := strings.Map(upperLetters, value); m != "" && m != "CONNECT" && m != "TRACE" {
			req.Method = m
		}
	case "scheme":
		if slices.Contains(g.schemes, value) {
			req.Scheme = value
		}
	case "path":
		if g.r.IntN(2) == 0 && strings.HasPrefix(value, "/") {
			req.Target = escapePath(value)
		}
	case "query":
		if name != "" {
			value = escapeQuery(name) + "=" + escapeQuery(value)
		}
		query = append(query, wireText(value))
	case "header":
		if !strings.EqualFold(name, "host") && !strings.EqualFold(name, "cookie") && !hasField(req, name) {
			req.Header = append(req.Header, Field{name, fieldText(value)})
		}
	case "cookie":
		req.Header = append(req.Header, Field{"Cookie", name + "=" + strings.Trim(fieldText(value), "; ,")})
	}
	return query
}

// pathFor is a path that the rule matches.
func (g *Generator) pathFor(r *rule.Rule) string {
	if r.Regexp != "" {
		text, _ := sample(g.r, r.Regexp)
		if !strings.HasPrefix(text, "/") {
			text = "/" + text
		}
		return escapePath(text)
	}
	if r.Path == "" {
		return "/" + escapePath(pick(g.r, words))
	}
	parts := strings.Split(r.Path, "/")
	for i, part := range parts {
		if part == "*" || strings.HasPrefix(part, "{") {
			parts[i] = escapePath(pick(g.r, words))
		}
	}
	return strings.Join(parts, "/")
}

// fromFile takes a path of the file as it is, or as an expression.
func (g *Generator) fromFile(req *Request) {
	text := pick(g.r, g.paths)
	if strings.ContainsAny(text, `^\([*+?$|`) {
		if s, ok := sample(g.r, text); ok {
			text = s
		} else {
			text = strings.Map(signs, text) // part of an expression
		}
	}
	path, query, found := strings.Cut(text, "?")
	req.Target = escapePath("/" + strings.TrimLeft(path, "/^"))
	if g.r.IntN(3) == 0 && !strings.HasSuffix(path, "/") {
		req.Target += "/" + escapePath(pick(g.r, words))
	}
	if found {
		req.Target += "?" + wireText(query)
	}
}

// signs takes out what is not plain in a path.
func signs(c rune) rune {
	if strings.ContainsRune("\\()[]<>?+*^$|{}", c) {
		return -1
	}
	return c
}

// hostFor is a host that the rule's host stands for.
func (g *Generator) hostFor(host string) string {
	if domain, ok := strings.CutPrefix(host, "*."); ok {
		return pick(g.r, []string{"www.", "a.b.", "shop."}) + domain
	}
	return host
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func upperLetters(c rune) rune {
	if c >= 'A' && c <= 'Z' {
		return c
	}
	return -1
}

// escapePath encodes what cannot stand in the path of a request line.
func escapePath(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`%?#"<>\^`+"`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escapeQuery(text string) string {
	return strings.NewReplacer("&", "%26", "+", "%2B", "=", "%3D").Replace(escapePath(text))
}

// wireText takes out what would end a request line.
func wireText(text string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c == 0x7f || c == '#' {
			return '-'
		}
		return c
	}, text)
}

// fieldText takes out what would end a field, and what is not ASCII.
func fieldText(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f {
			return -1
		}
		return c
	}, text)
}

// hostText is text with nothing but what a host may have.
func hostText(text string) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '.', c == '-':
			return c
		}
		return 'x'
	}, text)
	for strings.Contains(text, "..") {
		text = strings.ReplaceAll(text, "..", ".")
	}
	return strings.Trim(text, ".-")
}
