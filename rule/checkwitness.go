package rule

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// witness is an example request for a rule. What a rule asked for stays; the
// rest may still be chosen so that another rule on the way takes it.
type witness struct {
	n                           uint32 // the entry that it is an example for
	req                         Request
	scheme, host, method, query bool // fixed
	whole                       bool // the query is, with nothing that may be added
	time                        bool
	twin                        bool            // a second thought: not how an ordinary request looks
	headers                     map[string]bool // fixed, by canonical name; a cookie's by "Cookie:" and its name
}

// plain is a request that no rule has asked anything of.
func (c *checker) plain(path string) witness {
	return witness{req: Request{Method: http.MethodGet, Scheme: c.scheme, Host: c.host, Path: path, Now: c.now}}
}

// examples are requests that a rule's path and conditions take, without regard
// to other rules. There may be none.
func (w *worker) examples(n uint32) []witness {
	e := w.t.entries.at(n)
	a := w.t.attrs[e.attr]
	var out []witness
	for _, path := range w.paths(e, a) {
		example, ok := w.exampleAt(n, path)
		if !ok {
			continue
		}
		if len(out) == 0 {
			out = w.toward(example, e, a)
		}
		out = append(out, example)
		if w.few && a.host == 0 {
			out = w.onHosts(out, example, n)
		}
	}
	return out
}

// exampleAt is an example for the rule of an entry with this path.
func (w *worker) exampleAt(n uint32, path string) (witness, bool) {
	x := w.plain(path)
	x.n = n
	return x, w.demand(&x, n) && w.matches(&x, n)
}

// allExamples are examples for the entries of a rule, as far as the bounds go.
func (w *worker) allExamples(n uint32) []witness {
	out := w.examples(n)
	rule := w.t.entries.at(n).rule
	for i := n + 1; int(i) < w.t.entries.n && i < n+maxHosts && w.t.entries.at(i).rule == rule; i++ {
		out = append(out, w.examples(i)...)
	}
	return out
}

// maxHosts is how many hosts of a rule are tried, and how many that other rules
// name for a rule that takes every host.
const maxHosts = 4

func (w *worker) onHosts(out []witness, example witness, n uint32) []witness {
	for host := 1; host < len(w.t.hosts.names) && host <= maxHosts; host++ {
		x := example
		if x.wantHost(w.t, uint32(host)) && w.matches(&x, n) {
			out = append(out, x)
		}
	}
	return out
}

// paths are examples for the path of a rule alone.
func (w *worker) paths(e *entry, a *attrs) []string {
	c := a.c
	switch c.kind {
	case kindQuery, kindExact:
		return []string{w.t.rawPath(e, a)}
	case kindRegexp:
		return w.regexpPaths(a, fewExamples)
	case kindPrefix, kindPattern:
	}
	segments := c.segments
	if c.kind == kindPrefix {
		segments = prefixSegments(c.key)
	}
	below := c.below || c.kind == kindPrefix
	out := []string{fill(segments, c.space, []string{"x"}, below, "/x")}
	if below {
		out = append(out, fill(segments, c.space, []string{"x"}, below, "/x/y"), fill(segments, c.space, []string{"x"}, below, ""))
	}
	for _, path := range w.seeded(segments, c.space, below) {
		if !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

// rawPath is the path of an exact rule as a client may send it.
func (t *Table) rawPath(e *entry, a *attrs) string {
	if a.own {
		return rawText(a.c.key, a.c.space)
	}
	return rawText(t.pathOf(e), a.c.space)
}

// rawText is text of a path as a client may send it, where s says how it is compared.
func rawText(text string, s space) string {
	if s&spaceDecoded == 0 {
		return text
	}
	return string(appendEncoded(nil, text, encPath, false))
}

// fill writes a path with values for its placeholders, in turn.
func fill(segments []segment, s space, values []string, below bool, rest string) string {
	var b strings.Builder
	n := 0
	for _, part := range segments {
		b.WriteByte('/')
		if part.any {
			b.WriteString(values[n%len(values)])
			n++
		} else {
			b.WriteString(rawText(part.text, s))
		}
	}
	if below {
		b.WriteString(rest)
	}
	return cmp.Or(b.String(), "/")
}

// maxSeeded bounds the examples of one rule that are made from texts of others.
const maxSeeded = 48

// seeded are examples with texts that other rules have in their paths.
func (w *worker) seeded(segments []segment, s space, below bool) []string {
	var out []string
	holes := 0
	for _, part := range segments {
		if part.any {
			holes++
		}
	}
	for _, seed := range w.seeds {
		rests := []string{""}
		if below {
			rests = []string{"/" + seed, "/x/" + seed, "/" + seed + "/x"}
		} else if holes == 0 {
			return nil
		}
		for _, rest := range rests {
			out = append(out, fill(segments, s, []string{seed}, below, rest))
		}
		for _, other := range w.seeds {
			if other == seed || len(out) >= maxSeeded {
				continue
			}
			if below {
				out = append(out, fill(segments, s, []string{seed}, below, "/"+other), fill(segments, s, []string{seed}, below, "/"+seed+"/"+other))
			}
			if holes > 1 {
				out = append(out, fill(segments, s, []string{seed, other}, below, rests[0]))
			}
		}
	}
	return out
}

// findSeeds takes the texts that stand most often in the paths of rules with
// placeholders and prefixes, and in a small table in all of them.
func (c *checker) findSeeds() {
	most := 2
	if c.few {
		most = 6
	}
	counts := map[string]int{}
	for _, a := range c.t.attrs {
		if a.own && a.c.kind >= kindExact && c.t.rules <= manyRules {
			for _, text := range literals(a.c) {
				counts[text]++
			}
		}
	}
	if c.few {
		for n := range uint32(c.t.entries.n) { //nolint:gosec // few
			e := c.t.entries.at(n)
			if a := c.t.attrs[e.attr]; !a.own {
				for _, s := range prefixSegments(c.t.pathOf(e)) {
					counts[rawText(s.text, a.c.space)]++
				}
			}
		}
	}
	delete(counts, "")
	c.seeds = slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	c.seeds = c.seeds[:min(most, len(c.seeds))]
}

func literals(c *compiled) (out []string) {
	segments := c.segments
	if c.kind == kindPrefix || c.kind == kindExact {
		segments = prefixSegments(c.key)
	}
	for _, s := range segments {
		if !s.any {
			out = append(out, rawText(s.text, c.space))
		}
	}
	return out
}

// regexpPaths are paths that a regular expression probably finds something in.
func (w *worker) regexpPaths(a *attrs, x exampler) []string {
	var out []string
	for _, text := range x.of(a.proto.Regexp, a.proto.IgnoreCase) {
		if !strings.HasPrefix(text, "/") {
			text = "/" + text
		}
		if a.c.space&spaceDecoded != 0 {
			text = string(appendEncoded(nil, text, encPath, false))
		}
		for _, path := range [...]string{text, text + "/x"} {
			if seen, ok := comparedPath(path, a.c.space); ok && a.c.re.MatchString(seen) && !slices.Contains(out, path) {
				out = append(out, path)
				break
			}
		}
	}
	return out
}

// comparedPath is a request's path as rules of a space see it.
func comparedPath(path string, s space) (string, bool) {
	if s&spaceDecoded != 0 {
		out, ok := appendDecoded(nil, path)
		return string(out), ok
	}
	return string(appendNative(nil, path)), true
}

// matches reports whether host, path and conditions of a rule take the example.
func (w *worker) matches(example *witness, n uint32) bool {
	e := w.t.entries.at(n)
	a := w.t.attrs[e.attr]
	w.req = example.req
	m := &w.m
	m.begin(w.t, &w.req)
	m.hosts = w.t.hosts.appendTo(m.hosts, m.hostName())
	return m.isHost(a.host) && m.isPath(e, a) && m.fails(e, a) == nothing
}

// isPath reports whether the path of a rule takes the request.
func (m *Match) isPath(e *entry, a *attrs) bool {
	c := a.c
	path, ok := m.path(c.space)
	if !ok {
		return false
	}
	switch c.kind {
	case kindQuery, kindExact:
		return path == m.t.pathOf(e)
	case kindPrefix:
		return strings.HasPrefix(path, c.key) && (len(path) == len(c.key) || path[len(c.key)] == '/')
	case kindPattern:
		return takes(c.segments, path, c.below)
	case kindRegexp:
		return c.re.MatchString(path)
	}
	return false
}

// takes reports whether segments are those of a path.
func takes(segments []segment, path string, below bool) bool {
	for _, s := range segments {
		if path == "" {
			return false
		}
		end := strings.IndexByte(path[1:], '/') + 1
		if end == 0 {
			end = len(path)
		}
		if s.any && end == 1 || !s.any && path[1:end] != s.text {
			return false
		}
		path = path[end:]
	}
	return path == "" || below
}

// demand changes the example until host and conditions of a rule take it. It is
// false where what is fixed does not allow that, or nothing comes to mind. The
// path stays.
func (w *worker) demand(x *witness, n uint32) bool {
	e := w.t.entries.at(n)
	a := w.t.attrs[e.attr]
	if !x.wantHost(w.t, a.host) {
		return false
	}
	for range 8 + len(a.c.when) {
		w.req = x.req
		w.m.begin(w.t, &w.req)
		switch w.m.fails(e, a) {
		case nothing:
			x.fix(a, e)
			return true
		case wrongScheme:
			if x.scheme {
				return false
			}
			x.req.Scheme, x.scheme = a.c.scheme, true
		case wrongMethod:
			if x.method {
				return false
			}
			x.req.Method, x.method = ordinaryMethod(a.c.methods), true
		case wrongQuery:
			if !w.wantQuery(x, e, a) {
				return false
			}
		case extraQuery:
			if x.query || !w.wantOnly(x, e, a) {
				return false
			}
		case wrongCondition:
			if !w.wantCondition(x, a.c) {
				return false
			}
		case tooEarly:
			if x.time {
				return false
			}
			x.req.Now, x.time = time.Unix(a.c.from, 0), true
		case tooLate, noMatch:
			return false
		}
	}
	return false
}

// fix makes what the rule looks at stay.
func (x *witness) fix(a *attrs, e *entry) {
	c := a.c
	x.scheme = x.scheme || c.scheme != ""
	x.method = x.method || len(c.methods) > 0
	x.query = x.query || len(c.query) > 0 || e.query > 0 || c.only
	x.whole = x.whole || c.only
	x.time = x.time || c.from != 0 || c.until != 0
	for i := range c.when {
		switch c.when[i].on {
		case "scheme":
			x.scheme = true
		case "host":
			x.host = true
		case "method":
			x.method = true
		case "query":
			x.query, x.whole = true, true
		case "parameter":
			x.query = true
		}
	}
}

func ordinaryMethod(methods []string) string {
	if slices.Contains(methods, http.MethodGet) {
		return http.MethodGet
	}
	return methods[0]
}

// wantHost makes the host one that a rule takes.
func (x *witness) wantHost(t *Table, host uint32) bool {
	name := t.hosts.name(host)
	if name == "" {
		return true
	}
	domain, below := strings.CutPrefix(name, "*")
	if below && strings.HasSuffix(x.req.Host, domain) || x.req.Host == name {
		x.host = true
		return true
	}
	if x.host {
		return false
	}
	if below {
		name = "www" + domain
		for _, named := t.hosts.exact[name]; named; _, named = t.hosts.exact[name] {
			name = "x" + name
		}
	}
	x.req.Host, x.host = name, true
	return true
}

// wantQuery adds the parameters that a rule asks for.
func (w *worker) wantQuery(x *witness, e *entry, a *attrs) bool {
	if x.whole {
		return false
	}
	for _, p := range w.t.parametersOf(e, a) {
		w.req = x.req
		w.m.begin(w.t, &w.req)
		if w.m.has(p) {
			continue
		}
		if p.any {
			p.value = "x"
		}
		// A value that another rule takes any of may change; matches tells whether
		// it was one.
		x.req.Query = joinQuery(withoutParameter(x.req.Query, p.name), p.name, p.value)
	}
	return true
}

func joinQuery(query, name, value string) string {
	b := []byte(query)
	if query != "" {
		b = append(b, '&')
	}
	b = appendEncoded(b, name, encComponent, true)
	b = append(b, '=')
	return string(appendEncoded(b, value, encComponent, true))
}

// wantOnly leaves nothing but the parameters that a rule asks for.
func (w *worker) wantOnly(x *witness, e *entry, a *attrs) bool {
	x.req.Query = ""
	return w.wantQuery(x, e, a)
}

// wantCondition makes the first condition hold that does not.
func (w *worker) wantCondition(x *witness, c *compiled) bool {
	for i := range c.when {
		cond := &c.when[i]
		if w.m.holds(cond) {
			continue
		}
		for _, value := range cond.values() {
			next := *x
			if !next.put(cond, value) {
				continue
			}
			w.req = next.req
			w.m.begin(w.t, &w.req)
			if w.m.holds(cond) {
				*x = next
				return true
			}
		}
		return false
	}
	return true
}

// values are what could make a condition hold.
func (c *condition) values() []string {
	switch {
	case c.on == "scheme":
		return []string{"https", "http"}
	case c.test == testEmpty && !c.not, c.test == testSet && c.not:
		return []string{""}
	case c.test == testEquals && !c.not:
		return []string{c.value}
	case c.test == testRegexp && !c.not:
		return fewExamples.of(c.re.String(), false)
	case c.on == "method":
		return []string{"GET", "POST", "PUT", "DELETE"}
	case c.on == "host":
		return []string{"x.example.com", "example.org"}
	}
	return []string{"x", "1", "y", ""}
}

// put gives what a condition looks at a value, where it is not fixed.
func (x *witness) put(c *condition, value string) bool {
	set := func(fixed *bool, field *string) bool {
		if *fixed {
			return false
		}
		*field, *fixed = value, true
		return true
	}
	switch c.on {
	case "scheme":
		return set(&x.scheme, &x.req.Scheme)
	case "host":
		return value != "" && set(&x.host, &x.req.Host)
	case "method":
		return set(&x.method, &x.req.Method)
	case "query":
		x.whole = x.whole || !x.query
		return set(&x.query, &x.req.Query)
	case "parameter":
		return x.putParameter(c.name, value)
	case "header", "cookie":
		return x.putHeader(c, value)
	}
	return false // the path stays
}

func (x *witness) putParameter(name, value string) bool {
	if x.whole {
		return false
	}
	if value != "" {
		if hasParameter(x.req.Query, name) {
			return false
		}
		x.req.Query, x.query = joinQuery(x.req.Query, name, value), true
		return true
	}
	x.req.Query, x.query = withoutParameter(x.req.Query, name), true
	return true
}

func withoutParameter(query, name string) string {
	if !hasParameter(query, name) {
		return query
	}
	kept := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool { return hasParameter(pair, name) })
	return strings.Join(kept, "&")
}

func (x *witness) putHeader(c *condition, value string) bool {
	name, key := c.name, c.name
	if c.on == "cookie" {
		name, key = "Cookie", "Cookie:"+c.name
		if value != "" {
			value = c.name + "=" + value
		}
	}
	if x.headers[key] || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	x.headers, x.req.Header = maps.Clone(x.headers), x.req.Header.Clone()
	if x.headers == nil {
		x.headers = map[string]bool{}
	}
	if x.req.Header == nil {
		x.req.Header = http.Header{}
	}
	x.headers[key] = true
	switch old := x.req.Header.Get(name); {
	case value == "" && c.on == "header":
		x.req.Header.Del(name)
	case c.on == "cookie" && old != "":
		x.req.Header.Set(name, old+"; "+value)
	case value != "":
		x.req.Header.Set(name, value)
	}
	return true
}
