package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// rewrite follows a rewrite that stays within Apache.
func (w *apWalker) rewrite(i int, r *apRule, h *apHit, st *apState) {
	if st.depth >= maxApacheForks {
		return
	}
	if h.negated() {
		ways, err := w.ways(h)
		if err != nil {
			w.drop(r.at, err)
			return
		}
		h = &apHit{cases: ways, vars: h.vars, match: h.match}
	}
	for _, c := range h.cases {
		c.when = slices.Clone(c.when)
		one := &apHit{matcher: h.matcher, cases: []apCase{c}, vars: h.vars, match: h.match}
		next, err := w.rewritten(i, r, one, &c, st)
		switch {
		case r.flags.proxy && w.dir != "":
			w.stops(r, one, softStop, "")
			continue
		case r.flags.proxy:
			w.stops(r, one, hardStop, "")
			continue
		case err != nil && (w.redirectsBelow(i) || w.dir != ""):
			w.drop(r.at, fmt.Errorf("what it rewrites to is not followed: %w", err))
		case err == nil && !c.exists:
			one.cases[0] = c
			w.follow(i, r, next)
		}
		switch {
		case c.exists:
			w.letGo(r, one)
		case w.dir == "" && r.flags.through:
			w.through(r, one, next)
		case w.dir == "":
			w.stops(r, one, hardStop, "")
		default:
			if next != nil && next.unknownArgs() && len(w.imp.folderAliases(w.server)) > 0 {
				w.changeOnce(r.at, "the Redirects see the query that it makes: they are taken with that of the request")
			}
			from := len(w.items)
			w.stops(r, one, softStop, "")
			for n := range w.items[from:] {
				w.items[from+n].args = next.args()
			}
		}
	}
}

func (h *apHit) negated() bool { return h.matcher != nil && h.matcher.not }

func (w *apWalker) redirectsBelow(i int) bool {
	return slices.ContainsFunc(w.rules[i+1:], w.mayRedirect)
}

// through is a rewrite whose result the Redirects see.
func (w *apWalker) through(r *apRule, h *apHit, next *apState) {
	reason := ""
	if next != nil {
		if text, ok := literal(next.url); ok {
			for _, a := range w.server.aliases {
				if items := a.on(text); items != nil {
					items.at, items.matcher, items.c = a.at, h.matcher, h.cases[0]
					w.items = append(w.items, *items)
					return
				}
			}
		} else if len(w.server.aliases) > 0 {
			reason = "the Redirects see what it rewrites to (PT): that is not taken over"
		}
	}
	w.stops(r, h, hardStop, reason)
}

// rewritten is the state after a rewrite.
func (w *apWalker) rewritten(i int, r *apRule, h *apHit, c *apCase, st *apState) (*apState, error) {
	pieces, err := w.fill(h, c).expand(r.subst)
	if err != nil {
		return nil, err
	}
	next := &apState{matcher: h.matcher, conds: *c, at: r.at, depth: st.depth + 1, vars: st.vars, origin: st.origin, seen: st.seen}
	if st.local == nil {
		next.origin = i
	}
	next.conds.back = apBack{}
	next.vars.rewritten = true
	next.local = pieces
	for n, p := range pieces {
		if at := strings.IndexByte(p.text, '?'); p.hole == "" && at >= 0 {
			query := slices.Clone(pieces[n:])
			query[0].text = p.text[at+1:]
			next.local = append(slices.Clone(pieces[:n]), apPiece{text: p.text[:at]})
			next.setQuery(mergeText(query), r)
			break
		}
	}
	if r.flags.qsd && next.vars.query == nil {
		next.vars.query = new(string)
	}
	if len(next.local) == 0 {
		next.local = []apPiece{{}}
	}
	next.url = next.local
	first := next.local[0]
	if isPath := first.hole == "decoded_path" || first.hole == "" && strings.HasPrefix(first.text, "/"); w.dir != "" && !isPath {
		base := w.base
		if base == "" {
			base = w.dir
		}
		next.url = mergeText(append([]apPiece{{text: base}}, next.local...))
	}
	return next, nil
}

func (st *apState) setQuery(query []apPiece, r *apRule) {
	text, known := literal(query)
	switch {
	case known && !r.flags.qsa:
		st.vars.query = &text
	case known && text == "":
	default:
		st.vars.query, st.vars.changed, st.newArgs = nil, true, true
	}
}

// follow lets the rules below, and in a folder's context all rules again, see
// what a path was rewritten to.
func (w *apWalker) follow(i int, r *apRule, next *apState) {
	if !r.flags.last {
		if w.dir != "" && !r.flags.discard && next.deep() && w.changesBelow(i) {
			w.changeOnce(r.at, "without L and DPI Apache adds the rest of the path once more for the rules below, where there is no such folder: they are taken without it")
		}
		w.walk(i+1, next)
	}
	if w.dir == "" || r.flags.end {
		return
	}
	again := *next
	again.vars.restarted = true
	again.local = w.strip(next.url)
	if text, ok := literal(next.url); ok {
		if slices.Contains(next.seen, text) {
			return // Apache stops here, or never does
		}
		again.seen = append(slices.Clone(next.seen), text)
		again.vars.uri = &text
		for _, a := range w.imp.folderAliases(w.server) {
			w.steps++
			if a.on(text) != nil {
				w.changeOnce(next.at, fmt.Sprintf("what it rewrites to is redirected by line %d: that is not taken over", a.at.line))
			}
		}
	} else {
		again.vars.changed = true
		w.noteAliases(next)
	}
	before := len(w.items)
	w.walk(0, &again)
	answers := func(it apItem) bool { return it.stop == noStop || it.stop == hardStop }
	if slices.ContainsFunc(w.items[before:], answers) && len(w.imp.folderAliases(w.server)) > 0 {
		// The Redirects see the path before it begins again.
		through := apItem{at: next.at, matcher: next.matcher, c: next.conds, stop: goThrough, args: next.args()}
		w.items = slices.Insert(w.items, before, through)
	}
}

// strip takes the folder's URL off a path.
func (w *apWalker) strip(url []apPiece) []apPiece {
	if len(url) == 0 {
		return url
	}
	out := slices.Clone(url)
	switch {
	case out[0].hole == "" && strings.HasPrefix(out[0].text, w.dir):
		out[0].text = out[0].text[len(w.dir):]
	case out[0].hole == "decoded_path" && w.dir == "/":
		out[0].hole = "*"
	}
	return out
}

// matchLocal matches a rule against what a path was rewritten to.
func (w *apWalker) matchLocal(m *apMatcher, st *apState, h *apHit) (bool, error) {
	if text, ok := literal(st.local); ok {
		if m.expr.matches(text) == m.not {
			return false, nil
		}
		groups := m.expr.find(text)
		if groups == nil {
			groups = []string{}
		}
		h.vars.groups = groups
		h.match = func(n int) ([]apPiece, error) {
			if n < len(groups) {
				return []apPiece{{text: groups[n]}}, nil
			}
			return nil, nil
		}
		return true, nil
	}
	head := ""
	if st.local[0].hole == "" {
		head = st.local[0].text
	}
	none := func(int) ([]apPiece, error) { return nil, nil }
	switch {
	case !m.expr.mayMatch(head):
		h.match = none
		return m.not, nil
	case m.not || len(m.expr.ahead) > 0:
		return false, errUnknownMatch
	case m.expr.isSet() && m.expr.groups == 0 && head != "":
		h.match = none
		return true, nil
	}
	prefix, n := "", -1
	for g := 0; g <= m.expr.groups && n < 0; g++ {
		local := apMatcher{expr: m.expr, always: m.always}
		if text, ok := local.tail(g); ok && strings.HasPrefix(head, text) {
			prefix, n = text, g
		}
	}
	if n < 0 {
		return w.matchTail(m, st, h)
	}
	h.match = func(g int) ([]apPiece, error) {
		if g != n && g != 0 {
			return nil, fmt.Errorf("$%d is not known here", g)
		}
		out := slices.Clone(st.local)
		if g == n {
			out[0].text = strings.TrimPrefix(out[0].text, prefix)
		}
		return out, nil
	}
	return true, nil
}

// matchTail matches a rule against text and the end of the path, where the text
// can be put back to what the path has there.
func (w *apWalker) matchTail(m *apMatcher, st *apState, h *apHit) (bool, error) {
	if len(st.local) != 2 || st.local[0].hole != "" || st.matcher == nil || st.matcher.not {
		return false, errUnknownMatch
	}
	n := -1
	for g := 0; g <= st.matcher.expr.groups && n < 0; g++ {
		if pieces, err := st.matcher.group(g, st.matcher.root()); err == nil && len(pieces) == 1 && pieces[0].hole == st.local[1].hole {
			n = g
		}
	}
	if n < 0 {
		return false, errUnknownMatch
	}
	if rest, ok := strings.CutPrefix(m.expr.text, "^"+regexp.QuoteMeta(st.local[0].text)); ok && n > 0 && m.expr.groups == 1 {
		from, to, simple := apGroupAt(st.matcher.expr.text, n)
		if inner := "(" + st.matcher.expr.text[from:to] + ")"; simple && (rest == inner+"$" || rest == inner) {
			h.match = func(g int) ([]apPiece, error) {
				if g == 1 {
					return st.local[1:], nil
				}
				return slices.Clone(st.local), nil
			}
			return true, nil
		}
	}
	prefix, ok := st.matcher.tail(n)
	rest, found := strings.CutPrefix(m.expr.text, "^"+regexp.QuoteMeta(st.local[0].text))
	if !ok || !found || hasTopBar(rest) {
		return false, errUnknownMatch
	}
	e, err := newApExpr("^"+regexp.QuoteMeta(prefix)+rest, m.expr.fold)
	if err != nil {
		return false, errUnknownMatch
	}
	h.matcher = e.pathMatcher()
	h.match = func(g int) ([]apPiece, error) { return h.matcher.group(g, -1) }
	return true, nil
}

// noteAliases notes that a Redirect may be for what a path was rewritten to.
func (w *apWalker) noteAliases(next *apState) {
	head := ""
	if next.url[0].hole == "" {
		head = next.url[0].text
	}
	for _, a := range w.imp.folderAliases(w.server) {
		w.steps++
		if a.mayTake(head) {
			w.changeOnce(next.at, fmt.Sprintf("what it rewrites to may be redirected by line %d: that is not taken over", a.at.line))
			return
		}
	}
}

// mayTake reports whether the alias could be for a path that begins with head.
func (a *apAlias) mayTake(head string) bool {
	if a.expr != nil {
		return a.expr.pathMatcher().mayMatch(head)
	}
	n := min(len(head), len(a.path))
	return head[:n] == a.path[:n]
}

// args is the query that a rewrite put in the place of the request's, as the
// Redirects see it; nil where it did not.
func (st *apState) args() *string {
	if st == nil || st.vars.query == nil {
		return nil
	}
	return st.vars.query
}

// unknownArgs reports whether the query was replaced by one that is not known.
func (st *apState) unknownArgs() bool { return st.vars.query == nil && st.newArgs }

// deep reports whether paths of more than one segment may have been rewritten.
func (st *apState) deep() bool {
	m := st.matcher
	return m == nil || !m.isExact || m.expr.optSlash || strings.Contains(strings.TrimPrefix(m.exact, m.prefix), "/")
}

// changesBelow reports whether a rule below i may change or answer a request.
func (w *apWalker) changesBelow(i int) bool {
	return slices.ContainsFunc(w.rules[i+1:], func(r *apRule) bool { return r.subst != "-" || r.flags.answer != 0 })
}
