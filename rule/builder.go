package rule

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother"
)

// Mode says how the rules of a file are tried.
type Mode uint8

// The modes.
const (
	Specific  Mode = iota // the most specific first
	FileOrder             // the first in the file first
)

// String is "specific" or "file-order".
func (m Mode) String() string {
	if m == FileOrder {
		return "file-order"
	}
	return "specific"
}

// MarshalText and UnmarshalText make a Mode usable in JSON and YAML.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what String writes.
func (m *Mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "specific":
		*m = Specific
	case "file-order":
		*m = FileOrder
	default:
		return fmt.Errorf("mode %q: want specific or file-order", text)
	}
	return nil
}

// MaxRules is how many rules a table takes; one with several hosts counts as
// often as it has hosts.
const MaxRules = 1 << 26

// How many bytes the regular expressions of a table may look at for one request,
// together: enough that each sees a path of the usual length, and that a request
// of 64 KiB that nearly matches all of them costs no seconds.
const (
	baseWork = 256 << 10
	workEach = 128
)

// ErrFull is what Add returns when the table takes no more rules or text.
var ErrFull = errors.New("the table is full")

// Options say what holds for a whole table.
type Options struct {
	Canonical Canonical
	// Gentle lets other goroutines run now and then while a table is made: for a
	// program that answers requests meanwhile. It takes a little longer.
	Gentle bool
}

// Builder collects rules for a Table. It must not be used by two goroutines at
// a time.
type Builder struct {
	opts     Options
	t        *Table
	compiler compiler
	file     uint32
	mode     Mode
	set      int
	specific int // the set of all Specific files; 0: none yet
	begun    bool
	shared   map[sharedKey]uint32
	lastKey  sharedKey
	last     uint32
	bulk     bulks
	breath   breather
	kinds    kinds
}

// sharedKey is all of a rule that makes up its attrs, where it is simple.
type sharedKey struct {
	scheme, host, intent, targetQuery, methods string
	file                                       uint32
	set, status, priority                      int
	space                                      space
	stage                                      seeother.Stage
	maxAge                                     Duration
	from, until                                time.Time
	legacy, only, missing, query               bool
}

// NewBuilder makes an empty Builder.
func NewBuilder(opts Options) *Builder {
	b := &Builder{opts: opts, breath: breather{gentle: opts.Gentle}, shared: map[sharedKey]uint32{}, t: &Table{names: map[uint32]string{}, notes: map[uint32]string{}}}
	b.t.exact.seed = maphash.MakeSeed()
	b.t.prefixes.seed = b.t.exact.seed
	b.addCanonical(opts.Canonical.before())
	return b
}

// Begin says that the rules that follow are of this file. All Specific files
// are one set, each other file is its own, and sets are tried in the order in
// which they began. Without it, rules are Specific and of no file.
func (b *Builder) Begin(file string, mode Mode) {
	b.t.files, b.t.counts = append(b.t.files, file), append(b.t.counts, 0)
	b.t.modes = append(b.t.modes, mode)
	b.file = uint32(len(b.t.files) - 1) //nolint:gosec // files are fewer than rules
	b.mode, b.begun, b.bulk = mode, true, bulks{}
	b.set = b.nextSet(mode)
}

func (b *Builder) nextSet(mode Mode) int {
	if mode == Specific && b.specific > 0 {
		return b.specific
	}
	next := len(b.t.files)
	if mode == Specific {
		b.specific = next
	}
	return next
}

// Add takes a rule; r may be used again. The error joins a *FieldError for each
// thing that is wrong with r, and then r is not in the table; or it is ErrFull.
func (b *Builder) Add(r *Rule) error {
	if !b.begun {
		b.Begin("", Specific)
	}
	return b.add(r)
}

func (b *Builder) add(r *Rule) error {
	if b.t.entries.full(max(len(r.Hosts), 1)) {
		return ErrFull
	}
	b.breath.breathe()
	kind, isBulk := b.bulkOf(r)
	if attr, ok := b.bulk.find(kind); ok && isBulk {
		b.entry(r, attr, r.Path, "", r.Target)
		b.count()
		return nil
	}
	c, err := b.compiler.compile(r)
	if err != nil {
		return err
	}
	if c.isSimple(r) {
		attr := b.addSimple(r, c)
		if isBulk {
			b.bulk.keep(kind, attr)
		}
	} else {
		b.addOwn(r, c)
	}
	b.count()
	return nil
}

// bulk is all that a rule of a large file says beside a path and a target that
// need no work. Such files have few different ones, and rules that are like an
// earlier one need not be compiled.
type bulk struct {
	scheme, host, intent, targetQuery   string
	status, priority                    int
	stage                               seeother.Stage
	maxAge                              Duration
	decoded, legacy, queryExact, misses bool
	ignoreSlash                         bool
}

// bulkOf is false for a rule that says more.
func (b *Builder) bulkOf(r *Rule) (bulk, bool) {
	if len(r.Hosts) > 1 || len(r.Query) > 0 || len(r.Methods) > 0 || len(r.When) > 0 || len(r.Only) > 0 || len(r.Origins) > 0 ||
		r.Name != "" || r.Note != "" || r.Regexp != "" || r.IgnoreCase || r.IgnoreSlash && trimSlash(r.Path) != r.Path ||
		!r.From.IsZero() || !r.Until.IsZero() || !r.Deprecation.IsZero() || !r.Sunset.IsZero() ||
		len(r.Path) > MaxPath || len(r.Target) > MaxPath || !isPlain(r.Path) || !isPlain(b.compiler.origins.cut(r.Target)) {
		return bulk{}, false
	}
	kind := bulk{
		scheme: r.Scheme, intent: r.Intent, targetQuery: r.TargetQuery, status: r.Status, priority: r.Priority, stage: r.Stage,
		maxAge: r.MaxAge, decoded: r.Decoded, legacy: r.Legacy, queryExact: r.QueryExact, misses: r.Missing,
		ignoreSlash: r.IgnoreSlash,
	}
	if len(r.Hosts) == 1 {
		kind.host = r.Hosts[0]
	}
	return kind, true
}

// bulks are those of one file that were seen last, with their attrs.
type bulks struct {
	kinds [8]bulk
	attrs [8]uint32
	n     int // also counts those that were overwritten
}

func (b *bulks) find(kind bulk) (uint32, bool) {
	for i := range min(b.n, len(b.kinds)) {
		if b.kinds[i] == kind {
			return b.attrs[i], true
		}
	}
	return 0, false
}

func (b *bulks) keep(kind bulk, attr uint32) {
	for _, s := range []*string{&kind.scheme, &kind.host, &kind.intent, &kind.targetQuery} {
		*s = strings.Clone(*s) // the caller may use the rule again
	}
	i := b.n % len(b.kinds)
	b.kinds[i], b.attrs[i] = kind, attr
	b.n++
}

// count counts a rule that was added.
func (b *Builder) count() {
	b.t.rules++
	b.t.counts[b.file]++
}

// isSimple reports whether the rule is but an exact path and a fixed target.
func (c *compiled) isSimple(r *Rule) bool {
	return (c.kind == kindExact || c.kind == kindQuery && !slices.ContainsFunc(c.query, func(p parameter) bool { return p.any })) &&
		len(r.Hosts) <= 1 && !strings.HasPrefix(c.key, never) && len(r.When) == 0 && len(r.Only) == 0 &&
		(c.target == nil || c.target.isFixed && len(c.target.origins) == 0) &&
		r.Deprecation.IsZero() && r.Sunset.IsZero() && len(r.Origins) == 0 && r.TargetQuery != QueryMerge && r.TargetQuery != QueryAppend
}

func (b *Builder) addSimple(r *Rule, c *compiled) (attr uint32) {
	key := sharedKey{
		scheme: r.Scheme, intent: r.Intent, targetQuery: r.TargetQuery, file: b.file, set: b.set,
		status: r.Status, priority: r.Priority, space: c.space, stage: r.Stage, maxAge: r.MaxAge, from: r.From, until: r.Until,
		legacy: r.Legacy, only: r.QueryExact, missing: r.Missing, query: len(c.query) > 0,
	}
	if len(r.Hosts) == 1 {
		key.host = r.Hosts[0]
	}
	if len(c.methods) > 0 {
		key.methods = strings.Join(c.methods, ",")
	}
	if key != b.lastKey || len(b.t.attrs) == 0 {
		b.last, b.lastKey = b.sharedAttrs(key, r, c), key
	}
	n := uint32(b.t.rules) //nolint:gosec // MaxRules bounds it
	if r.Name != "" {
		b.t.names[n] = strings.Clone(r.Name)
	}
	if r.Note != "" {
		b.t.notes[n] = strings.Clone(r.Note)
	}
	target := ""
	if c.target != nil {
		target = c.target.literal + c.target.fragment
	}
	b.entry(r, b.last, c.key, queryText(c.query), target)
	return b.last
}

// sharedAttrs finds or makes the attrs of a simple rule.
func (b *Builder) sharedAttrs(key sharedKey, r *Rule, c *compiled) uint32 {
	if n, ok := b.shared[key]; ok {
		return n
	}
	proto := cloneRule(r)
	proto.Path, proto.Target, proto.Name, proto.Note, proto.Query = "", "", "", "", nil
	shared := *c
	shared.key, shared.target, shared.query = "", nil, nil
	n := b.addAttrs(&attrs{proto: proto, c: &shared, rank: c.rank(r, b.set, b.mode, key.host)}, key.host)
	if len(c.query) > 0 {
		b.t.attrs[n].conditional, b.t.heads[n].plain = true, false
	}
	// The key keeps strings of a rule that the caller may use again.
	key.scheme, key.host, key.intent, key.targetQuery = strings.Clone(key.scheme), strings.Clone(key.host), strings.Clone(key.intent), strings.Clone(key.targetQuery)
	b.shared[key] = n
	return n
}

func (b *Builder) addOwn(r *Rule, c *compiled) {
	hostNames := r.Hosts
	if len(hostNames) == 0 {
		hostNames = []string{""}
	}
	proto := cloneRule(r)
	key := c.key
	if c.kind > kindPrefix {
		key = ""
	}
	for _, host := range hostNames {
		a := &attrs{proto: proto, own: true, c: c, rank: c.rank(r, b.set, b.mode, host)}
		b.entry(r, b.addAttrs(a, host), key, "", "")
	}
}

func (b *Builder) addAttrs(a *attrs, host string) uint32 {
	a.file, a.mode, a.host = b.file, b.mode, b.t.hosts.number(host)
	a.cacheControl = maxAge(a.proto.maxAge())
	c := a.c
	a.conditional = c.scheme != "" || len(c.methods) > 0 || len(c.query) > 0 || c.only || len(c.when) > 0 || c.from != 0 || c.until != 0
	for _, w := range c.when {
		if w.re != nil {
			b.t.work += workEach
		}
		switch w.on {
		case "header":
			a.headers = append(a.headers, w.name)
		case "cookie":
			a.headers = append(a.headers, "Cookie")
		}
	}
	enforced := a.proto.Stage == seeother.Enforce
	b.t.staged = b.t.staged || !enforced
	b.t.attrs = append(b.t.attrs, a)
	b.t.heads = append(b.t.heads, head{a.rank, a.host, c.space, enforced && !a.conditional && a.headers == nil})
	return uint32(len(b.t.attrs) - 1) //nolint:gosec // MaxRules bounds it
}

func (b *Builder) entry(r *Rule, attr uint32, path, query, target string) {
	b.kinds[b.t.attrs[attr].c.kind]++
	b.t.entries.add(entry{attr: attr, line: uint32(r.Pos.Line), rule: uint32(b.t.rules)}, path, query, target) //nolint:gosec // lines of a file, MaxRules
}

// cloneRule copies all that r points to.
func cloneRule(r *Rule) Rule {
	out := *r
	for _, s := range []*string{&out.Name, &out.Scheme, &out.Path, &out.Regexp, &out.Intent, &out.Target, &out.TargetQuery, &out.Note, &out.Pos.File} {
		*s = strings.Clone(*s)
	}
	for _, list := range []*[]string{&out.Hosts, &out.Methods, &out.Only, &out.Origins} {
		*list = slices.Clone(*list)
		for i, s := range *list {
			(*list)[i] = strings.Clone(s)
		}
	}
	out.Query, out.When = maps.Clone(out.Query), slices.Clone(out.When)
	return out
}

// queryText is how a simple rule keeps its parameters.
func queryText(params []parameter) string {
	if len(params) == 0 {
		return ""
	}
	var b []byte
	for i, p := range params {
		if i > 0 {
			b = append(b, '&')
		}
		b = appendEncoded(b, p.name, encComponent, true)
		b = append(b, '=')
		b = appendEncoded(b, p.value, encComponent, true)
	}
	return string(b)
}

func parseQueryText(text string) map[string]string {
	if text == "" {
		return nil
	}
	values, err := url.ParseQuery(text)
	if err != nil { // queryText wrote it
		return nil
	}
	out := make(map[string]string, len(values))
	for name, v := range values {
		out[name] = v[0]
	}
	return out
}

// Build makes the table. The Builder must not be used afterwards.
func (b *Builder) Build() *Table {
	b.addCanonical(b.opts.Canonical.after())
	t := b.t
	t.canonical = b.opts.Canonical.ready()
	t.work += baseWork + workEach*b.kinds[kindRegexp]
	if b.kinds[kindExact]+b.kinds[kindQuery]+b.kinds[kindPrefix] > 0 {
		t.index(&b.kinds, &b.breath)
	}
	if b.kinds[kindPattern] > 0 {
		t.tree.build(t, &b.breath)
	}
	if b.kinds[kindRegexp] > 0 {
		t.regexps.build(t, &b.breath)
	}
	return t
}

func (b *Builder) addCanonical(rules []Rule) {
	if len(rules) == 0 {
		return
	}
	b.Begin("canonical", FileOrder)
	for i := range rules {
		if err := b.add(&rules[i]); err != nil {
			// Canonical.Validate refuses what could lead here.
			panic("rule: canonical: " + err.Error())
		}
	}
	b.begun = false
}
