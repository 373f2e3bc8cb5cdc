package rule

import (
	"cmp"
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

// Bounds of a table.
const (
	MaxRules = 1 << 26 // with their hosts
	maxText  = 1<<32 - 1<<arenaBits
)

// ErrFull is what Add returns when the table takes no more rules or text.
var ErrFull = errors.New("the table is full")

// Options say what holds for a whole table.
type Options struct {
	Canonical Canonical
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
	b := &Builder{opts: opts, shared: map[sharedKey]uint32{}, t: &Table{names: map[uint32]string{}, notes: map[uint32]string{}}}
	b.t.exact.seed = maphash.MakeSeed()
	b.addCanonical(opts.Canonical.before())
	return b
}

// Begin says that the rules that follow are of this file. All Specific files
// are one set, each other file is its own, and sets are tried in the order in
// which they began. Without it, rules are Specific and of no file.
func (b *Builder) Begin(file string, mode Mode) {
	b.t.files = append(b.t.files, file)
	b.file = uint32(len(b.t.files) - 1) //nolint:gosec // files are fewer than rules
	b.mode, b.begun = mode, true
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
	if b.t.entries.n+max(len(r.Hosts), 1) > MaxRules || len(b.t.text.pieces)<<arenaBits > maxText {
		return ErrFull
	}
	c, err := b.compiler.compile(r)
	if err != nil {
		return err
	}
	if c.isSimple(r) {
		b.addSimple(r, c)
	} else {
		b.addOwn(r, c)
	}
	b.t.rules++
	return nil
}

// isSimple reports whether the rule is but an exact path and a fixed target.
func (c *compiled) isSimple(r *Rule) bool {
	return (c.kind == kindExact || c.kind == kindQuery && !slices.ContainsFunc(c.query, func(p parameter) bool { return p.any })) &&
		len(r.Hosts) <= 1 && len(r.When) == 0 && len(r.Only) == 0 &&
		(c.target == nil || c.target.isFixed && len(c.target.origins) == 0) &&
		r.Deprecation.IsZero() && r.Sunset.IsZero() && len(r.Origins) == 0 && r.TargetQuery != QueryMerge && r.TargetQuery != QueryAppend
}

func (b *Builder) addSimple(r *Rule, c *compiled) {
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
	b.t.attrs[n].conditional = b.t.attrs[n].conditional || len(c.query) > 0
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
	if c.kind > kindExact {
		key = ""
	}
	for _, host := range hostNames {
		a := &attrs{proto: proto, own: true, c: c, rank: c.rank(r, b.set, b.mode, host)}
		b.entry(r, b.addAttrs(a, host), key, "", "")
	}
}

func (b *Builder) addAttrs(a *attrs, host string) uint32 {
	a.file, a.mode, a.host = b.file, b.mode, b.t.hosts.number(host)
	c := a.c
	a.conditional = c.scheme != "" || len(c.methods) > 0 || len(c.query) > 0 || c.only || len(c.when) > 0 || c.from != 0 || c.until != 0
	for _, w := range c.when {
		switch w.on {
		case "header":
			a.headers = append(a.headers, w.name)
		case "cookie":
			a.headers = append(a.headers, "Cookie")
		}
	}
	b.t.staged = b.t.staged || a.proto.Stage != seeother.Enforce
	b.t.attrs = append(b.t.attrs, a)
	return uint32(len(b.t.attrs) - 1) //nolint:gosec // MaxRules bounds it
}

func (b *Builder) entry(r *Rule, attr uint32, path, query, target string) {
	piece, off := b.t.text.room(len(path) + len(query) + len(target))
	*piece = append(append(append(*piece, path...), query...), target...)
	b.t.entries.add(entry{
		off: off, path: uint16(len(path)), query: uint16(len(query)), target: uint16(len(target)), //nolint:gosec // MaxPath bounds each
		attr: attr, line: uint32(r.Pos.Line), rule: uint32(b.t.rules), //nolint:gosec // lines of a file, MaxRules
	})
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
	b.index()
	t.tree.build(t)
	t.regexps.build(t)
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

// index makes the hash index of the exact rules.
func (b *Builder) index() {
	t := b.t
	n := 0
	used := [spaces]bool{}
	for i := range uint32(t.entries.n) { //nolint:gosec // MaxRules bounds it
		if a := t.attrs[t.entries.at(i).attr]; a.c.kind <= kindExact {
			used[a.c.space] = true
			n++
		}
	}
	for s, has := range used {
		if has {
			t.spaces = append(t.spaces, space(s)) //nolint:gosec // less than spaces
		}
	}
	if n == 0 {
		return
	}
	t.exact.slots = make([]uint64, n+n/2+1)
	counts := b.countParameters()
	var long []int
	for i := range uint32(t.entries.n) { //nolint:gosec // as above
		e := t.entries.at(i)
		if a := t.attrs[e.attr]; a.c.kind <= kindExact {
			long = b.insert(long, i, t.exactHash(e, a, counts))
		}
	}
	slices.Sort(long)
	for _, slot := range slices.Compact(long) {
		t.sortChain(slot)
	}
}

// insert adds an entry to the index, before those with the same key.
func (b *Builder) insert(long []int, i uint32, hash uint64) []int {
	x, t := &b.t.exact, b.t
	e := t.entries.at(i)
	slot := x.start(hash)
	for ; x.slots[slot] != 0; slot = (slot + 1) % len(x.slots) {
		if s := x.slots[slot]; s&^0xffffffff == hash<<32 && t.sameKey(e, t.entries.at(uint32(s)-1)) {
			e.next = uint32(s)
			long = append(long, slot)
			break
		}
	}
	x.slots[slot] = hash<<32 | uint64(i+1)
	return long
}

// sameKey reports whether one lookup finds both. Rules that want the same
// parameter, but differ in others, share a key.
func (t *Table) sameKey(a, b *entry) bool {
	x, y := t.attrs[a.attr], t.attrs[b.attr]
	return x.host == y.host && x.c.space == y.c.space && t.pathOf(a) == t.pathOf(b)
}

// sortChain orders the entries of a slot by rank.
func (t *Table) sortChain(slot int) {
	x := &t.exact
	var chain []uint32
	for n := uint32(x.slots[slot]); n != 0; n = t.entries.at(n - 1).next {
		chain = append(chain, n-1)
	}
	t.sortByRank(chain)
	for i, n := range chain {
		next := uint32(0)
		if i+1 < len(chain) {
			next = chain[i+1] + 1
		}
		t.entries.at(n).next = next
	}
	x.slots[slot] = x.slots[slot]&^0xffffffff | uint64(chain[0]+1)
}

func (t *Table) sortByRank(list []uint32) {
	slices.SortFunc(list, func(a, b uint32) int {
		x, y := t.entries.at(a), t.entries.at(b)
		return cmp.Or(cmp.Compare(t.attrs[x.attr].rank, t.attrs[y.attr].rank), cmp.Compare(x.rule, y.rule))
	})
}

// exactHash is the key under which an exact rule is found: host and path, and
// for one with parameters the parameter that the fewest others want.
func (t *Table) exactHash(e *entry, a *attrs, counts map[uint64]uint32) uint64 {
	path := t.exact.hashOf(a.c.space, a.host, t.pathOf(e))
	if raw := a.c.rawQuery(); raw != "" && a.own {
		t.byRaw = true
		return t.exact.withQuery(path, raw)
	}
	best, rarest := path, uint32(0)
	for _, p := range t.parametersOf(e, a) {
		t.byQuery = true
		h := t.exact.withParameter(path, p)
		if n := counts[h]; best == path || n < rarest {
			best, rarest = h, n
		}
	}
	return best
}

func (x *index) withQuery(path uint64, raw string) uint64 {
	return mix(path + 2*maphash.String(x.seed, raw) + 1)
}

func (x *index) withParameter(path uint64, p parameter) uint64 {
	h := maphash.String(x.seed, p.name)
	if !p.any {
		h += 3 * maphash.String(x.seed, p.value)
	}
	return mix(path + 4*h + 3)
}

// parametersOf is what an exact rule wants in the query.
func (t *Table) parametersOf(e *entry, a *attrs) []parameter {
	if a.own {
		return a.c.query
	}
	var out []parameter
	for name, value := range parseQueryText(t.queryOf(e)) {
		out = append(out, parameter{name: name, value: value})
	}
	return out
}

// countParameters counts how many rules want each parameter, where there is a choice.
func (b *Builder) countParameters() map[uint64]uint32 {
	counts := map[uint64]uint32{}
	t := b.t
	for i := range uint32(t.entries.n) { //nolint:gosec // MaxRules bounds it
		e := t.entries.at(i)
		a := t.attrs[e.attr]
		if a.c.kind != kindQuery {
			continue
		}
		params := t.parametersOf(e, a)
		if len(params) < 2 {
			continue
		}
		path := t.exact.hashOf(a.c.space, a.host, t.pathOf(e))
		for _, p := range params {
			counts[t.exact.withParameter(path, p)]++
		}
	}
	return counts
}
