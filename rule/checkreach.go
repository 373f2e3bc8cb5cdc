package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// reach finds rules that never get a request: an example of theirs is answered
// by another rule, and that one takes all that they could.
func (c *checker) reach() {
	c.each(func(w *worker, n uint32) {
		if !w.skips(n) && !w.isNever(n) {
			w.reached(n)
		}
	})
}

// reached looks at all hosts of a rule: one that gets requests is enough.
func (w *worker) reached(n uint32) {
	if by, last := w.coversOf(n); len(by) > 0 {
		w.shadowed(last, by)
	}
}

// coversOf gives the entries that together take every request of a rule whose
// first entry is n, and the rule's last entry; none where it gets some.
func (w *worker) coversOf(n uint32) (by []uint32, last uint32) {
	t := w.t
	rule := t.entries.at(n).rule
	for ; int(n) < t.entries.n && t.entries.at(n).rule == rule; n++ {
		covers := w.covered(n)
		if len(covers) == 0 {
			return nil, n
		}
		by = append(by, covers...)
	}
	slices.Sort(by)
	return slices.Compact(by), n - 1
}

// covered gives the entries that together take every request of one, none
// where it gets some.
func (w *worker) covered(n uint32) []uint32 {
	a := w.t.attrs[w.t.entries.at(n).attr]
	if a.own || a.conditional {
		return w.coveredParts(n, a)
	}
	won, ok := w.act(w.plainOf(n))
	switch {
	case !ok || won == n:
	case w.covers(won, n, "", ""):
		return []uint32{won}
	case w.branched || a.c.space != 0:
		return w.coveredParts(n, a)
	}
	return nil
}

// coveredParts looks at each scheme and method alone, since they may be taken
// by different rules.
func (w *worker) coveredParts(n uint32, a *attrs) []uint32 {
	list := w.examples(n)
	if len(list) == 0 {
		return nil
	}
	schemes, methods := []string{"http", "https"}, a.c.methods
	if a.c.scheme != "" || !w.branched {
		schemes = []string{list[0].req.Scheme}
	}
	if len(methods) == 0 {
		methods = []string{list[0].req.Method}
	}
	var by []uint32
	for _, scheme := range schemes {
		for _, method := range methods {
			won, ok := w.coveredBy(n, list, scheme, method, len(a.c.methods) > 0)
			if !ok {
				return nil
			}
			by = append(by, won)
		}
	}
	for _, j := range by {
		if w.covers(j, n, "", "") { // one alone is easier to understand
			return []uint32{j}
		}
	}
	return by
}

// coveredBy is the entry that takes all requests of another that have this
// scheme, and this method where the rule is for it alone (one).
func (w *worker) coveredBy(n uint32, list []witness, scheme, method string, one bool) (uint32, bool) {
	only := ""
	if one {
		only = method
	}
	for i := range list {
		req := list[i].req
		req.Scheme, req.Method = scheme, method
		won, ok := w.act(req)
		if !ok || w.t.entries.at(won).rule == w.t.entries.at(n).rule {
			return 0, false
		}
		if w.covers(won, n, scheme, only) {
			return won, true
		}
	}
	req := list[0].req
	req.Scheme, req.Method = scheme, method
	w.act(req)
	e := w.t.entries.at(n)
	for _, j := range w.candidates() { // the winner has conditions, and behind it may be one without
		other := w.t.entries.at(j)
		if better(w.t.attrs[other.attr].rank, other.rule, w.t.attrs[e.attr].rank, e.rule) && w.covers(j, n, scheme, only) {
			return j, true
		}
	}
	return 0, false
}

// candidates are the entries that have host and path of the request that was
// looked at last, in no order.
func (w *worker) candidates() []uint32 {
	m := &w.m
	winner := m.entry
	m.entry, m.hosts = 0, m.hosts[:0]
	m.asks, m.all = true, m.all[:0]
	m.search()
	m.asks, m.entry = false, winner
	return m.all
}

// covers reports whether entry j takes every request that i takes. scheme and
// method, where they are given, are the only ones that count.
func (w *worker) covers(j, i uint32, scheme, method string) bool {
	t := w.t
	ej, ei := t.entries.at(j), t.entries.at(i)
	a, b := t.attrs[ej.attr], t.attrs[ei.attr]
	if a.proto.Stage != seeother.Enforce || !t.coversHost(a.host, b.host) || !w.coversPath(ej, a, ei, b) {
		return false
	}
	x, y := a.c, b.c
	switch {
	case x.scheme != "" && x.scheme != scheme && x.scheme != y.scheme:
	case len(x.methods) > 0 && (method == "" || !slices.Contains(x.methods, method)):
	case x.from != 0 && (y.from == 0 || y.from < x.from):
	case x.until != 0 && (y.until == 0 || y.until > x.until):
	case !w.coversQuery(ej, a, ei, b):
	default:
		return !slices.ContainsFunc(x.when, func(c condition) bool { return !slices.ContainsFunc(y.when, c.same) })
	}
	return false
}

func (c condition) same(d condition) bool {
	return c.on == d.on && c.name == d.name && c.test == d.test && c.not == d.not && c.value == d.value &&
		(c.re == nil) == (d.re == nil) && (c.re == nil || c.re.String() == d.re.String())
}

func (t *Table) coversHost(a, b uint32) bool {
	if a == 0 || a == b {
		return true
	}
	domain, ok := strings.CutPrefix(t.hosts.name(a), "*")
	return ok && strings.HasSuffix(t.hosts.name(b), domain)
}

func (w *worker) coversQuery(ej *entry, a *attrs, ei *entry, b *attrs) bool {
	has := w.t.parametersOf(ei, b)
	wants := w.t.parametersOf(ej, a)
	for _, p := range wants {
		if !slices.ContainsFunc(has, func(q parameter) bool { return q.name == p.name && (p.any || !q.any && q.value == p.value) }) {
			return false
		}
	}
	if !a.c.only {
		return true
	}
	return b.c.only && !slices.ContainsFunc(has, func(q parameter) bool {
		return !slices.ContainsFunc(wants, func(p parameter) bool { return p.name == q.name })
	})
}

// coversPath reports whether every path of b is one of a. It is false where
// that is not plain to see.
func (w *worker) coversPath(ej *entry, a *attrs, ei *entry, b *attrs) bool {
	x, y := a.c, b.c
	sees := x.space&spaceDecoded == 0 || y.space&spaceDecoded != 0 // a path that y takes is none that x refuses
	folds := y.space&spaceFold == 0 || x.space&spaceFold != 0 || x.kind == kindRegexp && a.proto.IgnoreCase
	isRoot := x.kind == kindPrefix && x.key == ""
	switch {
	case isRoot && sees:
		return true
	case y.kind <= kindExact && (y.space&spaceDecoded == 0 || x.space&spaceDecoded != 0) && (folds || x.kind != kindRegexp && !w.t.hasLetters(ej, a)):
		return w.takesText(ej, a, ei, b)
	case x.kind == kindRegexp:
		return y.kind == kindRegexp && x.re.String() == y.re.String() && x.space == y.space || isEverything(x) && x.space&spaceDecoded == 0
	case y.kind == kindRegexp || (x.space^y.space)&spaceDecoded != 0:
		return false
	}
	return (folds || !w.t.hasLetters(ej, a)) && coversSegments(w.t.segmentsOf(ej, a), w.t.segmentsOf(ei, b), x, y)
}

// takesText reports whether a takes the one path of b, with and without a slash
// at its end where that does not matter to b: the rule itself tells.
func (w *worker) takesText(ej *entry, a *attrs, ei *entry, b *attrs) bool {
	path := w.t.rawPath(ei, b)
	paths := []string{path, path + "/"}
	if b.c.space&spaceSlash == 0 {
		paths = paths[:1]
	}
	return !slices.ContainsFunc(paths, func(path string) bool {
		w.req = w.plain(path).req
		w.m.begin(w.t, &w.req)
		return !w.m.isPath(ej, a)
	})
}

// hasLetters reports whether the fixed parts of a path, which is no regular
// expression, have letters whose case could matter.
func (t *Table) hasLetters(e *entry, a *attrs) bool {
	return slices.ContainsFunc(t.segmentsOf(e, a), func(s segment) bool {
		for i := 0; i < len(s.text); i++ {
			switch c := s.text[i] | 0x20; {
			case s.text[i] == '%' && a.c.space&spaceDecoded == 0:
				i += 2 // hex digits
			case 'a' <= c && c <= 'z':
				return true
			}
		}
		return false
	})
}

func isEverything(c *compiled) bool {
	switch strings.TrimPrefix(c.re.String(), "(?i)") {
	case ".*", "^.*$", "^/.*$", "^/.*", "^/", "/", "^", "^(.*)$", "^/(.*)$", "(.*)", "/(.*)":
		return true
	}
	return false
}

// segmentsOf is the path of a rule that is no regular expression.
func (t *Table) segmentsOf(e *entry, a *attrs) []segment {
	switch a.c.kind {
	case kindPattern:
		return a.c.segments
	case kindPrefix:
		return prefixSegments(a.c.key)
	case kindQuery, kindExact, kindRegexp:
	}
	return prefixSegments(t.pathOf(e))
}

// coversSegments compares what two paths begin with and whether they go on. The
// case of letters matters to both, or not to x.
func coversSegments(a, b []segment, x, y *compiled) bool {
	goesOn, yGoesOn := x.below || x.kind == kindPrefix, y.below || y.kind == kindPrefix
	if n := len(b); !goesOn && n > 0 && n == len(a)+1 && !b[n-1].any && b[n-1].text == "" && x.space&spaceSlash != 0 {
		b = b[:n-1]
	}
	if len(a) > len(b) || !goesOn && (yGoesOn || len(a) != len(b) || y.space&^x.space&spaceSlash != 0) {
		return false
	}
	for i, s := range a {
		text := b[i].text
		if x.space&spaceFold != 0 {
			text = string(appendFolded(nil, text))
		}
		switch {
		case s.any && (b[i].any || text != ""):
		case !s.any && !b[i].any && s.text == text:
		default:
			return false
		}
	}
	return true
}

// shadowed tells of a rule that gets no request.
func (w *worker) shadowed(n uint32, by []uint32) {
	var names []string
	for _, j := range by {
		if name := w.t.place(j); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	answer := "another answer"
	same := len(by) == 1 && w.sameAnswer(by[0], n)
	if same {
		answer = "the same answer"
	}
	id, text := CheckShadowed, "every request for this rule is taken by %s, with %s"
	if len(by) == 1 && w.covers(n, by[0], "", "") {
		id, text = CheckDuplicate, "this rule is for the same requests as %s, which goes first, with %s"
	}
	f := w.t.finding(n, id, "path", fmt.Sprintf(text, strings.Join(names[:min(len(names), maxShown)], " and "), answer))
	if same {
		f.Fix = &Fix{Delete: true}
		f.Mend = "take this rule out"
	}
	w.find(f)
}

// sameAnswer reports whether two rules have the same answers to every request
// of the second, as far as that is plain: both are exact rules, or alike.
func (w *worker) sameAnswer(j, i uint32) bool {
	t := w.t
	ej, ei := t.entries.at(j), t.entries.at(i)
	p, q := &t.attrs[ej.attr].proto, &t.attrs[ei.attr].proto
	if p.Passes() != q.Passes() || p.Missing != q.Missing || p.TargetQuery != q.TargetQuery || !slices.Equal(p.Only, q.Only) ||
		!p.Deprecation.Equal(q.Deprecation) || !p.Sunset.Equal(q.Sunset) || p.MaxAge != q.MaxAge {
		return false
	}
	for _, method := range [...]string{"GET", "POST"} {
		if p.StatusFor(method) != q.StatusFor(method) {
			return false
		}
	}
	if p.Passes() || p.Gone() {
		return true
	}
	a, b := t.attrs[ej.attr], t.attrs[ei.attr]
	if a.own != b.own {
		return false
	}
	if !a.own {
		return t.targetOf(ej) == t.targetOf(ei)
	}
	return p.Target == q.Target && p.Path == q.Path && p.Regexp == q.Regexp && len(p.When)+len(q.When) == 0
}
