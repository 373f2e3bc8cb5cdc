package importer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// Bounds of following rewrites that stay within Apache.
const (
	maxApacheForks = 10      // rewrites one after the other, as LimitInternalRecursion has it
	maxApacheSteps = 200_000 // rules looked at in one list
)

// apWalker reads one list of RewriteRules into items.
type apWalker struct {
	imp     *apImport
	server  *apServer
	dir     string // the folder's URL; "" in server context
	base    string // RewriteBase, or ""
	rules   []*apRule
	items   []apItem
	missing bool // files that exist were let go
	steps   int
	names   int
	dropped map[*apDirective]bool
	goesOn  []bool // by rule: it, or a later one, could match "http://..." and change it
	taken   []bool // by rule: it redirects whatever the path is
}

// apState is what has become of a request.
type apState struct {
	matcher *apMatcher // of the first rule that matched; nil: none did
	conds   apCase
	local   []apPiece // what patterns see; nil: that of the request
	url     []apPiece // the path that it would end in
	vars    apVars
	at      *apDirective
	depth   int
	origin  int      // the first rule that rewrote
	newArgs bool     // the query was replaced by one that is not known
	seen    []string // the paths that the list began with
}

func (w *apWalker) run() []apItem {
	w.dropped = map[*apDirective]bool{}
	w.rules = w.expandMaps(w.rules)
	w.goesOn, w.taken = make([]bool, len(w.rules)+1), make([]bool, len(w.rules))
	for i := len(w.rules) - 1; i >= 0; i-- {
		m, err := w.rules[i].compile(w.dir)
		changes := w.rules[i].subst != "-" || w.rules[i].flags.answer != 0
		w.goesOn[i] = w.goesOn[i+1] || changes && (err != nil || !m.never && m.mayMatch("http"))
	}
	w.walk(0, &apState{})
	return w.items
}

// apGuard holds for the rules up to one: of a skip or a chain.
type apGuard struct {
	until int
	cases []apCase
}

// apHit is how a rule comes to match.
type apHit struct {
	matcher *apMatcher
	cases   []apCase
	vars    apVars
	match   func(n int) ([]apPiece, error)
	root    bool // match may give {*} of the root
	sure    bool // every request in this state matches
}

func (w *apWalker) walk(from int, st *apState) {
	var guards []apGuard
	for i := from; i < len(w.rules); i++ {
		if w.steps++; w.steps > maxApacheSteps {
			if w.steps == maxApacheSteps+1 {
				w.drop(w.rules[i].at, errors.New("too many rewrites lead from rule to rule: not followed further"))
			}
			return
		}
		r := w.rules[i]
		if w.taken[i] && i < st.origin {
			continue // its requests have not come here
		}
		guards = slices.DeleteFunc(guards, func(g apGuard) bool { return g.until < i })
		hit, err := w.hit(r, st, guards)
		if errors.Is(err, errUnknownMatch) {
			steers := r.flags.last || r.flags.skip > 0 || r.flags.chain || r.subst != "-"
			if w.mayRedirect(r) || steers && w.redirectsBelow(i) {
				w.change(st.at, fmt.Sprintf("what it rewrites to may be redirected by line %d: that is not taken over", r.at.line))
			}
			continue
		}
		if err != nil {
			w.dropRule(r, err)
		}
		if hit == nil || len(hit.cases) == 0 {
			i = w.chainEnd(i)
			continue
		}
		guards = append(guards, w.apply(i, r, hit, st)...)
		if hit.sure && (r.flags.last || r.flags.answer != 0) {
			return
		}
	}
}

// mayRedirect reports whether r answers by itself.
func (w *apWalker) mayRedirect(r *apRule) bool {
	_, ok := r.redirects()
	return ok || r.flags.answer != 0
}

// chainEnd is the last rule of the chain that rule i is in.
func (w *apWalker) chainEnd(i int) int {
	for i < len(w.rules)-1 && w.rules[i].flags.chain {
		i++
	}
	return i
}

var errUnknownMatch = errors.New("whether it matches is not known")

// hit finds out how r comes to match in a state; nil where it never does.
func (w *apWalker) hit(r *apRule, st *apState, guards []apGuard) (*apHit, error) {
	m, err := r.compile(w.dir)
	if err != nil {
		return nil, err
	}
	h := &apHit{matcher: m, vars: st.vars}
	h.vars.dir, h.vars.maps = w.dir, w.imp.maps
	h.vars.back = strings.Contains(r.subst, "%") && usesBack(r)
	switch {
	case st.local == nil && m.never && !m.not:
		w.dropOnce(r.at, errors.New("it never matches: "+w.whyNever()))
		return nil, nil
	case st.local == nil:
		h.vars.matcher = m
		h.match, h.root = w.groups(m, r)
	default:
		h.matcher = st.matcher
		ok, err := w.matchLocal(m, st, h)
		if err != nil || !ok {
			return nil, err
		}
	}
	if h.cases, err = h.vars.cases(r.conds); err != nil {
		return nil, err
	}
	h.sure = st.local != nil && len(guards) == 0 && len(h.cases) == 1 && h.cases[0].isTrue()
	if h.cases, err = joinAll([]apCase{st.conds}, h.cases); err != nil {
		return nil, err
	}
	for _, g := range guards {
		if h.cases, err = joinAll(h.cases, g.cases); err != nil {
			return nil, err
		}
	}
	if w.server.scheme != "" {
		h.cases, err = joinAll(h.cases, []apCase{{scheme: w.server.scheme}})
	}
	return h, err
}

func (w *apWalker) whyNever() string {
	if w.dir == "" {
		return "in server context a path begins with a slash"
	}
	return "in a folder's context a path begins without a slash"
}

func usesBack(r *apRule) bool {
	for _, p := range apSplit(r.subst) {
		if p.kind == '%' {
			return true
		}
	}
	return false
}

// root is the group that is the whole path, or -1.
func (m *apMatcher) root() int {
	for n := 0; n <= m.expr.groups; n++ {
		if prefix, ok := m.tail(n); ok && (prefix == "/" || prefix == "") {
			return n
		}
	}
	return -1
}

// groups gives what $0 to $9 stand for in a rule that looks at the request's
// own path.
func (w *apWalker) groups(m *apMatcher, r *apRule) (func(n int) ([]apPiece, error), bool) {
	if m.not {
		return func(int) ([]apPiece, error) { return nil, nil }, false
	}
	root := m.root()
	whole := false
	for _, p := range apSplit(r.subst) {
		whole = whole || p.kind == '$' && p.n == 0
	}
	if whole && m.prefix != "" && !m.isExact && root != 0 && !m.whole {
		quoted := "^" + regexp.QuoteMeta(m.prefix)
		if strings.HasPrefix(m.text, quoted) && !hasTopBar(m.text) && !strings.HasPrefix(m.text, quoted+".*?") {
			m.text = quoted + "(" + m.text[len(quoted):] + ")"
			m.whole, m.shift = true, 1
		}
	}
	return func(n int) ([]apPiece, error) { return m.group(n, root) }, root >= 0 && !whole
}

// group is what $n stands for; root is the group that is the whole path, or -1.
func (m *apMatcher) group(n, root int) ([]apPiece, error) {
	switch {
	case n > m.expr.groups:
		return nil, nil
	case m.isExact && n == 0 && m.expr.optSlash, m.isExact && m.expr.consts == nil:
		if m.prefix == "" && n == 0 {
			return []apPiece{{hole: "decoded_path"}}, nil
		}
		return nil, errors.New("$0 of a path that is not one text")
	case m.isExact:
		return []apPiece{{text: m.expr.consts[n]}}, nil
	case n == root:
		if prefix, _ := m.tail(n); prefix == "/" {
			return []apPiece{{hole: "*"}}, nil
		}
		return []apPiece{{hole: "decoded_path"}}, nil
	case n == 0 && m.whole:
		return []apPiece{{hole: "1", text: "-"}}, nil
	case n == 0 && m.prefix != "":
		return nil, errors.New("$0 of an expression without ^")
	}
	return []apPiece{{hole: fmt.Sprint(n + m.shift), text: m.slash(n)}}, nil
}

// slash says how group n begins: "/" with a slash, "-" without, "" either.
func (m *apMatcher) slash(n int) string {
	open := 0
	for i := 0; i < len(m.expr.text); i++ {
		switch m.expr.text[i] {
		case '\\':
			i++
			continue
		case '[':
			i = classEnd(m.expr.text, i)
			continue
		case '(':
		default:
			continue
		}
		if strings.HasPrefix(m.expr.text[i:], "(?") {
			continue
		}
		if open++; open == n {
			return m.slashBefore(m.expr.text[:i])
		}
	}
	if n == 0 && m.expr.anchored && m.prefix == "" {
		return "/"
	}
	return ""
}

func (m *apMatcher) slashBefore(before string) string {
	switch {
	case before == "^" && m.prefix == "", before == "" && m.prefix == "" && strings.HasPrefix(m.expr.text, "(."):
		return "/"
	case before == "^", strings.HasSuffix(before, "/") && !strings.HasSuffix(before, `\/`), before == "^/?", before == "":
		if before == "" && m.prefix == "" {
			return ""
		}
		return "-"
	}
	return ""
}

// apply does what a rule says to the requests that match it, and gives the
// guards that it sets up for later rules.
func (w *apWalker) apply(i int, r *apRule, h *apHit, st *apState) []apGuard {
	status, redirects := r.redirects()
	for _, lost := range r.flags.lost {
		w.changeOnce(r.at, lost)
	}
	switch {
	case r.flags.answer == 410:
		w.add(r, h, apItem{status: 410})
	case r.flags.answer != 0:
		w.stops(r, h, hardStop, fmt.Sprintf("Apache answers %d itself: the request goes to the app", r.flags.answer))
	case redirects:
		w.taken[i] = w.taken[i] || st.local == nil && r.flags.last && h.matcher.always && !h.matcher.not && len(h.vars.dir) <= 1 && fixed(r.conds)
		w.redirect(r, h, status)
		if !r.flags.last && w.goesOn[i+1] {
			w.changeOnce(r.at, "it has no L, and a rule below may match what it leads to: taken as if it had L")
		}
	case r.subst != "-":
		w.rewrite(i, r, h, st)
	case r.flags.last:
		w.letGo(r, h)
	case r.flags.next:
		w.drop(r.at, errors.New("flag N begins the list again: not taken over"))
	case r.flags.skip > 0, r.flags.chain:
		return w.guard(i, r, h)
	}
	return nil
}

// fixed reports whether conditions look at nothing that a rewrite changes.
func fixed(conds []apCond) bool {
	for _, c := range conds {
		for _, p := range apSplit(c.test) {
			name := strings.ToUpper(p.text)
			if p.kind != 0 && p.kind != 'v' || p.kind == 'v' && subjects[name] != "host" && subjects[name] != "method" && name != "HTTPS" && name != "SERVER_PORT" && name != "REQUEST_SCHEME" {
				return false
			}
		}
	}
	return true
}

// guard is what S and C set up.
func (w *apWalker) guard(i int, r *apRule, h *apHit) []apGuard {
	ways, err := w.ways(h)
	if err == nil && r.flags.skip > 0 {
		ways, err = negate(ways)
	}
	if end := i + r.flags.skip; err == nil && r.flags.skip > 0 && end < len(w.rules) && w.rules[end].flags.chain {
		err = errors.New("flag S leads into the midst of a chain: not taken over")
	}
	if err != nil {
		w.drop(r.at, err)
		return nil
	}
	if r.flags.skip > 0 {
		return []apGuard{{i + r.flags.skip, ways}}
	}
	return []apGuard{{w.chainEnd(i), ways}}
}

// ways are the cases of a hit, the path with them.
func (w *apWalker) ways(h *apHit) ([]apCase, error) {
	if h.matcher == nil {
		return h.cases, nil
	}
	path, err := h.matcher.asCases()
	if err != nil {
		return nil, err
	}
	return joinAll(path, h.cases)
}

// letGo is a rule that ends the list and changes nothing.
func (w *apWalker) letGo(r *apRule, h *apHit) {
	rest := h.cases[:0:0]
	for _, c := range h.cases {
		if c.exists {
			if !w.missing {
				w.change(r.at, "files that exist go no further: the rules below redirect only where the app has nothing (missing)")
			}
			w.missing = true
			continue
		}
		rest = append(rest, c)
	}
	h.cases = rest
	stop := softStop
	if w.dir == "" && h.vars.rewritten {
		stop = hardStop // what was rewritten no Redirect sees
	}
	w.stops(r, h, stop, "")
}

// stops keeps requests from the rules below.
func (w *apWalker) stops(r *apRule, h *apHit, stop apStop, reason string) {
	if h.matcher != nil && h.matcher.not {
		ways, err := w.ways(h)
		if err != nil {
			w.drop(r.at, err)
			return
		}
		h = &apHit{cases: ways}
	}
	for n, c := range h.cases {
		item := apItem{at: r.at, matcher: h.matcher, c: c, stop: stop}
		if reason != "" && n == 0 {
			item.changed = []string{reason}
		}
		if c.missing {
			item.changed = append(item.changed, "it holds for files that do not exist: taken for all, so that rules below do not see those that do")
		}
		if c.exists {
			continue
		}
		w.items = append(w.items, item)
	}
}

// add makes an item for every case of a hit.
func (w *apWalker) add(r *apRule, h *apHit, item apItem) {
	for _, c := range h.cases {
		w.addCase(r, h, c, item)
	}
}

func (w *apWalker) addCase(r *apRule, h *apHit, c apCase, item apItem) {
	item.at, item.c, item.matcher = r.at, c, h.matcher
	if c.exists {
		w.drop(r.at, errors.New("it is for files that exist, which is not known here"))
		return
	}
	item.missing = c.missing || w.missing
	if c.missing {
		item.changed = append(item.changed, "the condition on a file became missing: the app is asked first, and the redirect is for what it does not have")
	}
	if c.inexact != "" {
		item.changed = append(item.changed, c.inexact)
	}
	if h.matcher == nil || !h.matcher.not {
		w.items = append(w.items, item)
		return
	}
	ways, err := w.ways(&apHit{matcher: h.matcher, cases: []apCase{c}})
	if err != nil {
		w.drop(r.at, err)
		return
	}
	item.matcher = nil
	for _, way := range ways {
		item.c = way
		w.items = append(w.items, item)
	}
}

// fill is what the substitution of a hit is filled with in one case. It names
// the groups of c that are used.
func (w *apWalker) fill(h *apHit, c *apCase) *apFill {
	return &apFill{vars: &h.vars, scheme: c.scheme, match: h.match, back: func(n int) ([]apPiece, error) {
		b := c.back
		switch {
		case !b.set:
			return nil, nil
		case b.consts != nil:
			if n < len(b.consts) {
				return []apPiece{{text: b.consts[n]}}, nil
			}
			return nil, nil
		case n > b.groups || b.when < 0 || b.when >= len(c.when) || c.when[b.when].Regexp == "":
			return nil, nil
		}
		when := &c.when[b.when]
		w.names++
		var name string
		when.Regexp, name = nameGroup(when.Regexp, n, fmt.Sprintf("c%d", w.names))
		return []apPiece{{hole: name, from: conditionOrigin(when.On)}}, nil
	}}
}

func conditionOrigin(on string) apOrigin {
	switch on {
	case "host":
		return fromHostName
	case "query":
		return fromRawQuery
	case "path":
		return fromDecodedPath
	}
	return fromHeader
}

// redirect makes redirects of a hit.
func (w *apWalker) redirect(r *apRule, h *apHit, status int) {
	cases := h.cases
	for len(cases) > 0 {
		c := cases[0]
		cases = cases[1:]
		c.when = slices.Clone(c.when)
		w.names = 0
		pieces, err := w.fill(h, &c).expand(r.subst)
		if errors.Is(err, errScheme) {
			for _, scheme := range [...]string{"https", "http"} {
				c.scheme = scheme
				cases = slices.Insert(cases, 0, c)
			}
			continue
		}
		if err == nil {
			err = w.redirectCase(r, h, c, pieces, status)
		}
		if err != nil {
			w.dropRule(r, err)
			return
		}
	}
}

func (w *apWalker) redirectCase(r *apRule, h *apHit, c apCase, pieces []apPiece, status int) error {
	f := r.flags
	base := "/"
	if w.dir != "" {
		base = w.base
		if base == "" {
			base = w.dir
		}
	}
	t, err := target(pieces, apTargetOptions{noescape: f.noescape, back: f.back, qsa: f.qsa, qsd: f.qsd, qsl: f.qsl, base: base})
	if err != nil {
		return err
	}
	item := apItem{status: status, target: t.text, query: t.query, rootTail: h.root && usesHole(pieces, "*")}
	if h.vars.changed && t.query != rule.QueryDrop && (t.query == rule.QueryAppend || !strings.Contains(t.text, "?")) {
		return errors.New("its query is what an earlier rule made of the request's")
	}
	item.withArgs(h.vars.query)
	if w.dir != "" && w.base == "" && w.relative(pieces) {
		item.changed = append(item.changed, "without RewriteBase Apache puts the folder's place on the disk into the URL: taken as relative to "+w.dir)
	}
	if _, open := literal(t.authority); !open {
		if item.origins, err = origins(&t, w.imp.hosts(w.server), &c, w.imp.opts.Origins); err != nil {
			return err
		}
		if others := w.imp.otherHosts(w.server, &c); others != "" {
			item.changed = append(item.changed, others+leadsOnlyTo(item.origins))
		}
	} else if strings.HasPrefix(t.text, "{scheme}") {
		text, _ := literal(t.authority)
		item.origins = []string{"http://" + text, "https://" + text}
	}
	w.addCase(r, h, c, item)
	return nil
}

func (w *apWalker) relative(pieces []apPiece) bool {
	if len(pieces) == 0 {
		return false
	}
	p := pieces[0]
	if p.hole != "" {
		return p.hole == "*" || p.text == "-"
	}
	_, absolute := isAbsolute(p.text)
	return !absolute && !strings.HasPrefix(p.text, "/")
}

func usesHole(pieces []apPiece, name string) bool {
	return slices.ContainsFunc(pieces, func(p apPiece) bool { return p.hole == name })
}

func (w *apWalker) drop(at *apDirective, err error)      { w.dropOnce(at, err) }
func (w *apWalker) change(at *apDirective, text string)  { w.changeOnce(at, text) }
func (w *apWalker) dropOnce(at *apDirective, err error)  { w.once(at, Dropped, err.Error()) }
func (w *apWalker) changeOnce(at *apDirective, t string) { w.once(at, Changed, t) }

func (w *apWalker) once(at *apDirective, kind NoteKind, reason string) {
	if at == nil || w.dropped[at] {
		return
	}
	w.dropped[at] = true
	w.imp.notes = append(w.imp.notes, at.note(kind, reason))
}

// dropRule notes why a rule is not taken over, at the condition where that is
// the reason.
func (w *apWalker) dropRule(r *apRule, err error) {
	reason := err.Error()
	if where, ok := errors.AsType[*apCondError](err); ok {
		reason = fmt.Sprintf("condition in line %d: %s", where.cond.at.line, reason)
	}
	if !w.mayRedirect(r) {
		reason += " (it is no redirect: rules below may take its requests)"
	}
	w.once(r.at, Dropped, reason)
}
