package rule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// Bounds of one rule. A rule that is over is an error.
const (
	MaxPath       = 8 << 10 // bytes of Path, Regexp, Target, and of any other text
	MaxList       = 1000    // entries of Hosts, Methods, Query, When, Only or Origins
	MaxPriority   = 100
	maxSegments   = 256
	maxRegexpSize = 1000 // as regexp/syntax counts repetitions
)

type kind uint8

const (
	kindQuery  kind = iota // exact path, with query parameters
	kindExact              // exact path
	kindPrefix             // path and all below
	kindPattern
	kindRegexp
)

// compiled is a rule, ready for requests.
type compiled struct {
	kind     kind
	space    space
	key      string    // exact, prefix: the path in its space; "" is the root of a prefix
	segments []segment // pattern
	below    bool      // pattern: everything below counts too
	names    []string  // of the path's captures
	re       *regexp.Regexp

	scheme  string
	methods []string
	query   []parameter
	only    bool // no other parameters
	when    []condition
	from    int64 // seconds since the epoch; 0: none
	until   int64
	target  *template // nil: passes or gone
}

// segment is one of a pattern's: text, or any.
type segment struct {
	text string
	any  bool
}

// parameter is one that a query must have.
type parameter struct {
	name, value string
	any         bool
}

type condition struct {
	on    string // "host", "header:X-Name" without the name
	name  string
	value string
	re    *regexp.Regexp
	test  test
	not   bool
}

type test uint8

const (
	testSet test = iota
	testEmpty
	testEquals
	testRegexp
)

// compile checks a rule and makes it ready.
func compile(r *Rule) (*compiled, error) { return (&compiler{}).compile(r) }

// compiler keeps what speeds up the next rule.
type compiler struct {
	origins originCache
}

func (c *compiler) compile(r *Rule) (*compiled, error) {
	out := &compiled{space: spaceOf(r), scheme: r.Scheme}
	var errs []error
	note := func(field string, err error) {
		if err != nil {
			errs = append(errs, &FieldError{field, err})
		}
	}
	checkFields(r, note)
	if r.Regexp != "" {
		note("regexp", out.expression(r))
	} else {
		note("path", out.path(r))
	}
	out.conditions(r, note)
	if r.Passes() || r.Gone() {
		if r.Target != "" {
			note("target", errors.New("there is none where the rule passes or answers 410"))
		}
		return out, errors.Join(errs...)
	}
	t, err := parseTemplate(r.Target, r, out.find, &c.origins)
	if r.Target == "" {
		err = errors.New("missing: where to?")
	}
	note("target", err)
	out.target = t
	return out, errors.Join(errs...)
}

// checkFields looks at what needs no more than the rule itself.
func checkFields(r *Rule, note func(string, error)) {
	if r.Scheme != "" && r.Scheme != "http" && r.Scheme != "https" {
		note("scheme", fmt.Errorf("scheme %q: want http or https", r.Scheme))
	}
	for _, host := range r.Hosts {
		note("hosts", checkHost(host))
	}
	if r.Path != "" && r.Regexp != "" {
		note("regexp", errors.New("want path or regexp, not both"))
	}
	if _, known := intents[r.Intent]; !known && r.Intent != Pass && (r.Intent != "" || r.Status == 0) {
		if r.Intent == "" {
			note("intent", errors.New("missing: say result, temporary, moved, gone or pass, or a status"))
		} else {
			note("intent", fmt.Errorf("intent %q: want result, temporary, moved, gone or pass", r.Intent))
		}
	}
	if r.Status != 0 && !validStatus(r.Status) {
		note("status", fmt.Errorf("status %d: want 301, 302, 303, 307, 308 or 410", r.Status))
	}
	switch r.TargetQuery {
	case "", QueryKeep, QueryDrop, QueryAppend, QueryMerge:
	default:
		note("target_query", fmt.Errorf("%q: want keep, drop, append or merge", r.TargetQuery))
	}
	if len(r.Only) > 0 && r.TargetQuery != "" && r.TargetQuery != QueryMerge {
		note("only", errors.New("want only or target_query, not both"))
	}
	for _, origin := range r.Origins {
		_, err := seeother.ParseOrigin(origin)
		note("origins", err)
	}
	if r.Priority < -MaxPriority || r.Priority > MaxPriority {
		note("priority", fmt.Errorf("%d: want -100 to 100", r.Priority))
	}
	if r.MaxAge < 0 {
		note("max_age", errors.New("want 0 or more"))
	}
	if !r.From.IsZero() && !r.Until.IsZero() && !r.From.Before(r.Until) {
		note("until", errors.New("want a time after from"))
	}
	checkSizes(r, note)
}

func checkSizes(r *Rule, note func(string, error)) {
	for _, f := range [...]struct{ name, text string }{
		{"path", r.Path}, {"regexp", r.Regexp}, {"target", r.Target}, {"name", r.Name}, {"note", r.Note},
	} {
		if len(f.text) > MaxPath {
			note(f.name, fmt.Errorf("want at most %d bytes", MaxPath))
		}
	}
	size := 0
	for name, value := range r.Query {
		size += len(name) + len(value)
	}
	if size > MaxPath {
		note("query", fmt.Errorf("want at most %d bytes", MaxPath))
	}
	for _, f := range [...]struct {
		name string
		n    int
	}{
		{"hosts", len(r.Hosts)},
		{"methods", len(r.Methods)},
		{"query", len(r.Query)},
		{"when", len(r.When)},
		{"only", len(r.Only)},
		{"origins", len(r.Origins)},
	} {
		if f.n > MaxList {
			note(f.name, fmt.Errorf("want at most %d entries", MaxList))
		}
	}
}

func checkHost(host string) error {
	name := strings.TrimPrefix(host, "*.")
	switch {
	case strings.Contains(name, "*"):
		return fmt.Errorf("host %q: want a star only as *. at the start", host)
	case strings.Contains(name, ":") && !strings.HasPrefix(name, "["):
		return fmt.Errorf("host %q: want it without a port", host)
	}
	if _, err := seeother.ParseOrigin("http://" + name); err != nil {
		return fmt.Errorf("host %q: want letters, digits, dots and dashes, or an IPv6 address in brackets; an international name in its xn-- form", host)
	}
	return nil
}

// path reads Path and says of which kind it is.
func (c *compiled) path(r *Rule) error {
	text := r.Path
	if text == "" {
		text = "/*"
	}
	if text[0] != '/' {
		return fmt.Errorf("path %q: want a slash at its start", r.Path)
	}
	if i := strings.IndexAny(text, "?#"); i >= 0 {
		return fmt.Errorf("path %q: want it without %q; parameters go to query", r.Path, text[i])
	}
	head, below := strings.CutSuffix(text, "/*")
	if strings.ContainsAny(head, "*{}") {
		c.kind, c.below = kindPattern, below
		return c.pattern(head)
	}
	c.kind = kindExact
	if below {
		c.kind, c.names = kindPrefix, []string{"*"}
	}
	if c.key = c.normal(head); hasDots(c.key) {
		c.key = never + c.key
	}
	if c.space&spaceSlash != 0 && !below {
		c.key = trimSlash(c.key)
	}
	return nil
}

// never begins a key that no path has. A rule with dot segments, which are
// resolved before paths are compared, can never match, and a check says so.
const never = "\x00"

func hasDots(path string) bool {
	return strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..") || strings.Contains(path, "/./") || strings.Contains(path, "/../")
}

// normal is literal text of a path as it is compared.
func (c *compiled) normal(text string) string {
	if !isPlain(text) && text != "" {
		if c.space&spaceDecoded != 0 {
			text = string(appendUnescaped(nil, text))
		} else {
			text = string(appendNormal(nil, text))
		}
	}
	if c.space&spaceFold != 0 && hasUpper(text) {
		text = string(appendFolded(nil, text))
	}
	return text
}

func (c *compiled) pattern(text string) error {
	if c.space&spaceSlash != 0 && !c.below {
		text = trimSlash(text)
	}
	for part := range strings.SplitSeq(text[1:], "/") {
		name, isName := strings.CutPrefix(part, "{")
		name, closed := strings.CutSuffix(name, "}")
		switch {
		case part == "*":
			c.segments = append(c.segments, segment{any: true})
			c.names = append(c.names, "")
		case isName && closed && isName == (name != "") && !strings.ContainsAny(name, "{}*|"):
			if slices.Contains(c.names, name) {
				return fmt.Errorf("placeholder {%s} stands there twice", name)
			}
			c.segments = append(c.segments, segment{any: true})
			c.names = append(c.names, name)
		case strings.ContainsAny(part, "{}*"):
			return fmt.Errorf("segment %q: want a placeholder or a star as a whole segment; for more, use regexp", part)
		default:
			c.segments = append(c.segments, segment{text: c.normal(part)})
		}
	}
	if len(c.segments) > maxSegments {
		return fmt.Errorf("want at most %d segments", maxSegments)
	}
	if c.below {
		c.names = append(c.names, "*")
	}
	return nil
}

func (c *compiled) expression(r *Rule) (err error) {
	c.kind = kindRegexp
	if r.IgnoreSlash {
		return errors.New("ignore_slash does not go with regexp: write /?$ at its end")
	}
	if c.re, err = expression(r.Regexp, r.IgnoreCase); err != nil {
		return err
	}
	c.names = c.re.SubexpNames()[1:]
	c.space &^= spaceFold // the expression itself is compiled so
	return nil
}

// expression compiles RE2, with the reason alone for an error.
func expression(text string, fold bool) (*regexp.Regexp, error) {
	if len(text) > MaxPath {
		return nil, fmt.Errorf("want at most %d bytes", MaxPath)
	}
	if fold {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%s (RE2 has no lookaround and no backreferences)", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

func (c *compiled) conditions(r *Rule, note func(string, error)) {
	for _, m := range r.Methods {
		upper := strings.ToUpper(m)
		if upper == "" || strings.Trim(upper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
			note("methods", fmt.Errorf("method %q: want letters, such as POST", m))
		}
		c.methods = append(c.methods, upper)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		value := r.Query[name]
		p := parameter{name: name, value: value}
		if value == "*" || captureName(value) != "" {
			p.any = true
		}
		c.query = append(c.query, p)
	}
	c.only = r.QueryExact
	for _, w := range r.When {
		cond, err := newCondition(w)
		note("when", err)
		c.when = append(c.when, cond)
	}
	if !r.From.IsZero() {
		c.from = r.From.Unix()
	}
	if !r.Until.IsZero() {
		c.until = r.Until.Unix()
	}
	if c.kind == kindExact && (len(c.query) > 0 || c.rawQuery() != "") {
		c.kind = kindQuery
	}
}

// rawQuery is the whole query that the rule wants, "" if it does not say so.
func (c *compiled) rawQuery() string {
	for _, w := range c.when {
		if w.on == "query" && w.test == testEquals && !w.not {
			return w.value
		}
	}
	return ""
}

// captureName is the name in "{name}", or "".
func captureName(value string) string {
	if len(value) > 2 && value[0] == '{' && value[len(value)-1] == '}' {
		return value[1 : len(value)-1]
	}
	return ""
}

func newCondition(w Condition) (c condition, err error) {
	c.not, c.value = w.Not, w.Equals
	c.on, c.name, _ = strings.Cut(w.On, ":")
	switch c.on {
	case "host", "scheme", "method", "path":
		if c.name != "" {
			return c, fmt.Errorf("on %q: want no name", w.On)
		}
	case "query":
	case "header", "cookie":
		if c.name == "" {
			return c, fmt.Errorf("on %q: want a name after the colon", w.On)
		}
		if c.on == "header" {
			c.name = textproto.CanonicalMIMEHeaderKey(c.name)
		}
	default:
		return c, fmt.Errorf("on %q: want host, scheme, method, path, query, query:NAME, header:NAME or cookie:NAME", w.On)
	}
	switch {
	case w.Empty && (w.Equals != "" || w.Regexp != ""), w.Equals != "" && w.Regexp != "":
		return c, fmt.Errorf("on %q: want one of equals, regexp and empty", w.On)
	case w.Regexp != "":
		c.test = testRegexp
		c.re, err = expression(w.Regexp, false)
	case w.Equals != "":
		c.test = testEquals
	case w.Empty:
		c.test = testEmpty
	}
	if c.on == "query" && c.name != "" {
		c.on = "parameter"
	}
	return c, err
}

// find gives the piece that a name stands for.
func (c *compiled) find(name string) (piece, bool) {
	if c.re != nil {
		if n, ok := captureIndex(name, c.re.NumSubexp()); ok {
			return piece{source: fromPath, index: n}, true
		}
	} else if n, ok := captureIndex(name, len(c.names)); ok && n > 0 {
		return piece{source: fromPath, index: n}, true
	}
	if i := slices.Index(c.names, name); i >= 0 && name != "" {
		return piece{source: fromPath, index: i + 1}, true
	}
	for _, p := range c.query {
		if p.any && captureName(p.value) == name {
			return piece{source: fromParameter, text: p.name, captured: true}, true
		}
	}
	for i, w := range c.when {
		if w.re == nil {
			continue
		}
		if g := w.re.SubexpIndex(name); g > 0 {
			return piece{source: fromCondition, index: i, group: g}, true
		}
	}
	return piece{}, false
}

// rank is what goes before a rule's place in the file: lower is better.
func (c *compiled) rank(r *Rule, set int, mode Mode, host string) uint64 {
	hi := uint64(min(set, 0xffff))<<48 | uint64(MaxPriority-r.Priority)<<40 //nolint:gosec // checkFields bounds the priority
	if mode == FileOrder {
		return hi
	}
	return hi | hostRank(host)<<32 | uint64(c.kind)<<28 | c.specificity()<<8 | uint64(255-min(c.constraints(), 255))
}

// hostRank puts exact hosts before wildcards, those with the longest domain first.
func hostRank(host string) uint64 {
	switch {
	case host == "":
		return 255
	case strings.HasPrefix(host, "*."):
		return uint64(200 - min(strings.Count(host, "."), 199))
	}
	return 0
}

// specificity is lower for longer prefixes and for patterns with more text.
func (c *compiled) specificity() uint64 {
	const most = 0xfffff
	switch c.kind {
	case kindPrefix:
		return uint64(most - min(len(c.key), most))
	case kindPattern:
		text := 0
		for _, s := range c.segments {
			text += len(s.text) + 1
		}
		if !c.below {
			text += most / 2
		}
		return uint64(most - min(text, most))
	case kindQuery, kindExact, kindRegexp:
	}
	return 0
}

// constraints counts the conditions.
func (c *compiled) constraints() int {
	n := 2*len(c.query) + len(c.when)
	for _, has := range [...]bool{len(c.methods) > 0, c.scheme != "", c.only, c.from != 0, c.until != 0} {
		if has {
			n++
		}
	}
	return n
}

// better compares ranks; order is the place among all rules.
func better(hiA uint64, orderA uint32, hiB uint64, orderB uint32) bool {
	return cmp.Or(cmp.Compare(hiA, hiB), cmp.Compare(orderA, orderB)) < 0
}
