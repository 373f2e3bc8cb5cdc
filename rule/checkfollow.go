package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// Words of checker.targets where no entry answers at the target.
const (
	nextEnds int32 = -1 // the redirect ends there
	nextOpen int32 = -2 // it depends on the request: a walk tells
)

// follow finds loops, chains and refused targets. Exact rules with fixed
// targets are most of a large table: who answers at their targets does not
// depend on the request, and the whole makes a graph. The rest takes walks.
func (c *checker) follow() {
	c.targets = make([]int32, c.t.entries.n)
	c.each(func(w *worker, n uint32) { c.targets[n] = w.target(n) })
	if !slices.ContainsFunc(c.targets, func(n int32) bool { return n != nextEnds }) {
		return // as it is in most tables
	}
	g := newGraph(c.targets)
	c.each(func(w *worker, n uint32) {
		ends := g.depth[n] > 0 && c.targets[g.last[n]] == nextEnds
		if ends && (g.depth[n] == 1 || c.o.Quick && g.depth[n] <= seeother.MaxHops) || w.skips(n) {
			return
		}
		switch {
		case g.depth[n] < 0:
			w.circle(n, g)
		case ends && g.depth[n] > longWalk:
			w.tooFar(n, g)
		default:
			w.followed(n)
		}
	})
}

// skips reports whether nothing is to be said of an entry: it is of a canonical
// rule or an idle one, or the rule had its turn with another host.
func (w *worker) skips(n uint32) bool {
	e := w.t.entries.at(n)
	a := w.t.attrs[e.attr]
	return n > 0 && w.t.entries.at(n-1).rule == e.rule || w.t.isCanonical(a) || a.proto.Stage == seeother.Off
}

// target is the entry that answers at the target of another, or a word.
func (w *worker) target(n uint32) int32 {
	t := w.t
	e := t.entries.at(n)
	a := t.attrs[e.attr]
	if !a.own && (e.target == 0 || a.proto.Stage == seeother.Off) {
		return nextEnds
	}
	host, ok := w.hostOf(a)
	if a.own || a.conditional || !ok || w.few && len(t.hosts.names) > 0 {
		return nextOpen
	}
	if target := t.targetOf(e); target[0] != '/' && !w.isNear(target) {
		if w.lastPort {
			return nextOpen
		}
		return nextEnds
	}
	req, ok := w.fixedRequest(host, t.targetOf(e))
	if !ok {
		return nextOpen
	}
	return w.answers(req)
}

// fixedNext is the request that follows an exact rule with a fixed target.
func (w *worker) fixedNext(n uint32) Request {
	e := w.t.entries.at(n)
	host, _ := w.hostOf(w.t.attrs[e.attr])
	req, _ := w.fixedRequest(host, w.t.targetOf(e))
	return req
}

// fixedRequest is the request for a target of a rule for a host. It is false
// where the target is an origin alone.
func (w *worker) fixedRequest(host, target string) (Request, bool) {
	req := Request{Method: "GET", Scheme: w.scheme, Host: host, Path: target, Now: w.now}
	if target[0] != '/' {
		scheme, rest, _ := strings.Cut(target, "://")
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			return req, false
		}
		req.Scheme, req.Host, req.Path = scheme, rest[:i], rest[i:]
	}
	if i := strings.IndexByte(req.Path, '#'); i >= 0 {
		req.Path = req.Path[:i]
	}
	if i := strings.IndexByte(req.Path, '?'); i >= 0 {
		req.Path, req.Query = req.Path[:i], req.Path[i+1:]
	}
	return req, true
}

// answers is the entry that answers req, whatever else it might hold, or a word.
func (w *worker) answers(req Request) int32 {
	n, found := w.act(req)
	if w.branches() {
		return nextOpen
	}
	if !found {
		return nextEnds
	}
	a := w.t.attrs[w.t.entries.at(n).attr]
	switch {
	case a.own && !a.conditional && a.proto.Passes():
		return nextEnds
	case a.own || a.conditional || a.proto.Missing:
		return nextOpen
	}
	return int32(n) //nolint:gosec // MaxRules bounds it
}

// branches reports whether another request for the same path could meet
// another rule.
func (w *worker) branches() bool {
	if !w.branched {
		return false
	}
	if slices.ContainsFunc(w.m.failed, func(n uint32) bool { return !w.t.isCanonical(w.t.attrs[w.t.entries.at(n).attr]) }) {
		return true
	}
	found := false
	w.eachQuery(func(uint32) { found = true })
	return found
}

// hostOf is the host that a rule's example has.
func (c *checker) hostOf(a *attrs) (string, bool) {
	name := c.t.hosts.name(a.host)
	if name == "" {
		return c.host, true
	}
	return name, name[0] != '*'
}

// isNear reports whether an absolute target is on this site. It remembers the
// last origin, since the targets of a table seldom have many.
func (w *worker) isNear(target string) bool {
	if o := w.lastOrigin; o != "" && strings.HasPrefix(target, o) && (len(target) == len(o) || strings.IndexByte("/?#", target[len(o)]) >= 0) {
		return w.lastNear
	}
	i := strings.Index(target, "://")
	if i < 0 {
		w.lastPort = false
		return false
	}
	end := len(target)
	if n := strings.IndexAny(target[i+3:], "/?#"); n >= 0 {
		end = i + 3 + n
	}
	host := target[i+3 : end]
	w.lastOrigin, w.lastNear, w.lastPort = target[:end], w.isOurs(host), w.isOtherPort(host)
	return w.lastNear
}

// graph says where the fixed targets lead in the end.
type graph struct {
	next  []int32
	depth []int32 // redirects until the end; -1: none comes
	last  []int32 // the last entry that is known; in a loop, the first entry of it
}

// Words of graph.depth.
const (
	onLoop   int32 = -1
	intoLoop int32 = -2
	onPath   int32 = -3
)

// newGraph goes along every edge once.
func newGraph(next []int32) *graph {
	g := &graph{next, make([]int32, len(next)), make([]int32, len(next))}
	var path []int32
	for i := range next {
		if next[i] < 0 && g.depth[i] == 0 {
			g.depth[i], g.last[i] = 1, int32(i)
			continue
		}
		at := int32(i)
		for path = path[:0]; g.depth[at] == 0 && next[at] >= 0; at = next[at] {
			g.depth[at] = onPath
			path = append(path, at)
		}
		switch g.depth[at] {
		case onPath:
			path = g.close(path, at)
		case 0:
			g.depth[at], g.last[at] = 1, at
		}
		for _, n := range slices.Backward(path) {
			g.depth[n], g.last[n] = intoLoop, g.last[at]
			if g.depth[at] > 0 {
				g.depth[n] = g.depth[at] + 1
			}
			at = n
		}
	}
	return g
}

// close marks the loop at the end of a path, and gives the path before it.
func (g *graph) close(path []int32, at int32) []int32 {
	begin := slices.Index(path, at)
	first := slices.Min(path[begin:])
	for _, n := range path[begin:] {
		g.depth[n], g.last[n] = onLoop, first
	}
	return path[:begin]
}

// circle tells of a fixed target that is in a loop, at the loop's first rule,
// or leads into one.
func (w *worker) circle(n uint32, g *graph) {
	first := g.last[n]
	req := w.plainOf(n)
	switch {
	case g.depth[n] == intoLoop:
		if won, ok := w.act(req); ok && won == n {
			w.find(w.t.finding(n, CheckLoop, "target", w.shown(req)+" leads into the loop of "+w.t.place(uint32(first))+" and never arrives")) //nolint:gosec // not negative
		} else {
			w.followed(n) // it may get its path in other letters
		}
	case int32(n) == first: //nolint:gosec // MaxRules bounds it
		var s steps
		req = w.entering(n, g)
		s.add(req)
		for at := n; ; {
			s.add(w.fixedNext(at))
			if at = uint32(g.next[at]); at == n { //nolint:gosec // not negative in a loop
				break
			}
		}
		w.find(w.t.finding(n, CheckLoop, "target", w.shown(req)+" never arrives: "+s.String()))
	}
}

// entering is a request that the first rule of a loop answers: the ordinary
// one, or else what the loop's last rule leads to.
func (w *worker) entering(n uint32, g *graph) Request {
	req := w.plainOf(n)
	if won, ok := w.act(req); ok && won == n {
		return req
	}
	at := n
	for g.next[at] != int32(n) { //nolint:gosec // MaxRules bounds it
		at = uint32(g.next[at]) //nolint:gosec // not negative in a loop
	}
	return w.fixedNext(at)
}

// plainOf is an ordinary request for an exact rule.
func (w *worker) plainOf(n uint32) Request {
	e := w.t.entries.at(n)
	a := w.t.attrs[e.attr]
	x := w.plain(w.t.rawPath(e, a))
	x.req.Host, _ = w.hostOf(a)
	return x.req
}

// tooFar tells of a long way of fixed targets.
func (w *worker) tooFar(n uint32, g *graph) {
	req := w.plainOf(n)
	if won, ok := w.act(req); !ok || won != n {
		return
	}
	last := w.t.targetOf(w.t.entries.at(uint32(g.last[n]))) //nolint:gosec // not negative
	f := w.t.finding(n, CheckTooManyHops, "target", fmt.Sprintf("%s takes %d hops to %s, and no client follows more than %d", w.shown(req), g.depth[n], last, seeother.MaxHops))
	f.Mend = "write " + last + " as the target"
	w.find(f)
}

// followed walks from a rule, and tells the worst of what it meets.
func (w *worker) followed(n uint32) {
	var chain, worst *Finding
	var key uint64
	refused, good := 0, 0
	var refusal error
	tried := w.walks(n, func(x *witness, out journey) bool {
		switch {
		case out.end == inLoop:
			f := w.looping(n, x, &out)
			if worst == nil || worst.ID != CheckLoop || f.Severity > worst.Severity {
				worst, key = &f, w.loopKey(n, &out)
			}
			return f.Severity < Error
		case len(w.hops) > seeother.MaxHops:
			f := w.endless(n, x, &out)
			if worst == nil || f.Severity > worst.Severity {
				worst, key = &f, 0
			}
			return f.Severity < Error
		case out.end == atRefusal && len(w.hops) == 0:
			refused, refusal = refused+1, out.err
			return true
		}
		good++
		if (!x.twin || good == 1) && (chain == nil || chain.Severity < Warning) && !w.o.Quick && min(len(w.hops), out.plain) > 1 {
			if f := w.chained(n, x, &out); chain == nil || f.Severity > chain.Severity {
				chain = &f
			}
		}
		return true
	})
	switch {
	case worst != nil:
		w.out = append(w.out, found{*worst, key})
	case refused > 0 && good == 0:
		f := w.t.finding(n, CheckTargetRefused, "target", fmt.Sprintf("the target is refused for every request that was tried: %v", refusal))
		a := w.t.attrs[w.t.entries.at(n).attr]
		if _, values, one := a.wanted(); len(a.proto.Origins) > 0 && (!one || len(values) > 0) {
			f.Severity = Warning // those that were tried need not be those that the listed origins are for
		}
		w.find(f)
	case chain != nil:
		w.find(*chain)
	case !tried && !w.o.Quick:
		w.untried(n)
	}
}

// looping is the finding of a walk that does not end.
func (w *worker) looping(n uint32, x *witness, out *journey) Finding {
	text := w.shown(x.req) + " never arrives: " + w.way(out)
	if !w.isIn(n, w.hops[out.loop:]) {
		text = w.shown(x.req) + " leads into the loop of " + w.t.place(w.hops[out.loop].n) + " and never arrives: " + w.way(out)
	}
	if out.grows {
		text += ", and so on"
	}
	f := w.t.finding(n, CheckLoop, "target", text)
	if out.port > 0 {
		f.Severity = Warning
		f.Message += " (where this site answers at that port)"
		return f
	}
	if out.maybe || w.t.attrs[w.t.entries.at(n).attr].proto.Missing {
		f.Severity = Warning
		f.Message += whereMissing
	}
	return f
}

// whereMissing is said of what only the app can tell.
const whereMissing = " (where the app answers 404)"

// endless is the finding of a walk that is too long for clients.
func (w *worker) endless(n uint32, x *witness, out *journey) Finding {
	f := w.t.finding(n, CheckTooManyHops, "target", fmt.Sprintf("%s takes more than %d hops: %s", w.shown(x.req), seeother.MaxHops, w.way(out)))
	if out.sure <= seeother.MaxHops {
		f.Severity = Warning
		f.Message += whereMissing
	}
	return f
}

// isIn reports whether the rule of an entry answers one of the hops.
func (w *worker) isIn(n uint32, hops []hop) bool {
	rule := w.t.entries.at(n).rule
	return slices.ContainsFunc(hops, func(h hop) bool { return w.t.entries.at(h.n).rule == rule })
}

// loopKey is the same for the same rules in a loop, and 0 for a way into one.
func (w *worker) loopKey(n uint32, out *journey) uint64 {
	if !w.isIn(n, w.hops[out.loop:]) {
		return 0
	}
	var rules []uint32
	for _, h := range w.hops[out.loop:] {
		rules = append(rules, w.t.entries.at(h.n).rule)
	}
	slices.Sort(rules)
	key := uint64(1)
	for _, r := range slices.Compact(rules) {
		key = mix(key + uint64(r))
	}
	return key | 1
}

// way is the hops of a walk for people.
func (w *worker) way(out *journey) string {
	var s steps
	for _, h := range w.hops {
		s.add(h.req)
	}
	switch {
	case len(w.hops) == 0:
	case out.end == inLoop || out.end == atNothing || out.end == atGone || out.end == atRefusal:
		s.add(out.last)
	default:
		s.put(w.hops[len(w.hops)-1].location)
	}
	return s.String()
}

// chained is the finding of a walk of two hops or more.
func (w *worker) chained(n uint32, x *witness, out *journey) Finding {
	text := fmt.Sprintf("%s takes %d hops: %s", w.shown(x.req), len(w.hops), w.way(out))
	if out.end == atGone {
		text += ", which is gone"
	}
	f := w.t.finding(n, CheckChain, "target", text)
	if a := w.t.attrs[w.t.entries.at(n).attr]; a.c.kind == kindPrefix && len(w.hops) == 2 && w.isSlash(w.hops[1].n) && w.isBare(a, x.req.Path) {
		f.Severity = Info // one path of all that the rule is for
	}
	if out.sure < len(w.hops) {
		f.Message += whereMissing
	}
	if out.sure < 2 {
		f.Severity = Info
		f.Mend = "nothing, if the app has " + w.hops[1].req.Path + "; else send it straight to where " + w.t.place(w.hops[len(w.hops)-1].n) + " leads"
		return f
	}
	switch target, ok := w.flattened(n, out); {
	case ok:
		f.Fix = &Fix{Field: "target", Value: target}
		f.Mend = "write " + target + " as the target"
	case out.end == atGone:
		f.Mend = "say intent gone (410)"
	default:
		f.Mend = "send it straight to where " + w.t.place(w.hops[len(w.hops)-1].n) + " leads"
		if target := w.composed(n); target != "" {
			f.Mend = "write " + target + " as the target, if no rule below it is meant"
		}
	}
	return f
}

// admit says when not everything was tried.
func (c *checker) admit() {
	if c.cut.Load() {
		f := Finding{ID: CheckNotTried, Severity: Info, Message: "there are so many long ways that rules with patterns were tried with one example each: a loop for certain requests only may be missed"}
		f.Mend = "mend what is found first, and check again"
		c.report(f)
	}
}

// isSlash reports whether an entry is of the canonical rule for slashes.
func (w *worker) isSlash(n uint32) bool {
	a := w.t.attrs[w.t.entries.at(n).attr]
	return w.t.isCanonical(a) && a.proto.Name == "slash"
}

// isBare reports whether a path is that of a prefix rule, with nothing below.
func (w *worker) isBare(a *attrs, path string) bool {
	seen, ok := comparedPath(path, a.c.space)
	return ok && len(trimSlash(seen)) <= len(a.c.key)
}

// untried tells that no example was found that the rule answers.
func (w *worker) untried(n uint32) {
	if w.isNever(n) {
		return
	}
	if len(w.examples(n)) == 0 {
		w.find(w.t.finding(n, CheckNotTried, "", "no example request was found for this rule, so it is not known where it leads"))
	} else if by, _ := w.coversOf(n); len(by) == 0 {
		w.find(w.t.finding(n, CheckNotTried, "", "better rules answer every example request that was tried, so it is not known where this rule leads"))
	}
}
