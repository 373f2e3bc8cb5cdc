package rule

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/seeother/seeother"
)

// Bounds of walks, in hops. No client follows more than seeother.MaxHops; what
// lies behind is only looked at to tell a loop from a long way.
const (
	maxWalk  = 200
	longWalk = 2*seeother.MaxHops + 1
	maxLong  = 200 // walks of a whole check that may be longer than longWalk
	maxForks = 24  // requests for one rule that differ in what rules on the way look at

	// When all walks together have so many hops, and so many for each rule, each
	// further rule gets one request only.
	maxHops, maxHopsEach = 1_000_000, 10
)

// hop is one redirect of a walk.
type hop struct {
	n        uint32 // the entry that answers
	req      Request
	status   int
	location string
}

// end is how a walk ended.
type end uint8

const (
	atNothing end = iota // no rule is there, or one that passes
	atGone               // 410
	elsewhere            // another site
	atRefusal            // 400
	inLoop
	tooLong
)

// journey is what became of a request.
type journey struct {
	end     end
	last    Request  // what is asked for at the end, on this site
	loop    int      // inLoop: the hop to which the last one leads back
	grows   bool     // inLoop: the URL is longer each time
	maybe   bool     // a rule on the way acts only where the app has nothing
	err     error    // atRefusal
	forks   []uint32 // rules that another request would meet
	winners []uint32 // rules with conditions that answered: another request could meet others
	port    int      // hops until the first that leads to another port of this site; 0: none does
	sure    int      // hops before the first that a rule with missing answers
	plain   int      // likewise, of rules for more than one path
}

// act is Table.Match as if every rule were rolled out. It is the entry that
// answers.
func (w *worker) act(req Request) (uint32, bool) {
	m := &w.m
	m.notes, m.failed = true, m.failed[:0]
	w.req = req
	w.t.Match(&w.req, m)
	if m.reported != 0 {
		e := w.t.entries.at(m.reported - 1)
		if m.entry == 0 || better(m.repRank, e.rule, m.rank, w.t.entries.at(m.entry-1).rule) {
			m.entry, m.rank = m.reported, m.repRank
		}
	}
	return m.entry - 1, m.entry != 0
}

// walk follows the redirects of a request until they end. It is false where
// another rule answers it than the one of the entry.
func (w *worker) walk(n uint32, req Request) (journey, bool) {
	w.hops = w.hops[:0]
	clear(w.seen)
	at, ok := w.act(req)
	if !ok {
		return journey{}, false
	}
	if w.t.entries.at(at).rule != w.t.entries.at(n).rule {
		return journey{winners: []uint32{at}}, false
	}
	out := journey{sure: maxWalk, plain: maxWalk}
	for {
		if out.end, ok = w.step(at, req, &out); !ok {
			break
		}
		req = out.last
		if at, ok = w.act(req); !ok {
			out.branch(w, nil)
			out.end = atNothing
			break
		}
		out.branch(w, w.t.attrs[w.t.entries.at(at).attr])
	}
	if out.port > 0 && out.end != inLoop { // nothing certain is behind it
		w.hops, out.end = w.hops[:out.port], elsewhere
	}
	return out, true
}

// step is one hop. It is false at the end of the walk.
func (w *worker) step(n uint32, req Request, out *journey) (end, bool) {
	a := w.t.attrs[w.t.entries.at(n).attr]
	r := &a.proto
	switch {
	case r.Passes():
		return atNothing, false
	case r.Gone():
		return atGone, false
	}
	if w.returns(req, out) {
		return inLoop, false
	}
	if r.Missing && len(w.hops) > 0 {
		out.maybe, out.sure = true, min(out.sure, len(w.hops))
		if a.c.kind > kindExact {
			out.plain = min(out.plain, len(w.hops))
		}
	}
	location, err := w.m.AppendLocation(w.buf[:0])
	w.buf = location[:0]
	if err != nil {
		out.err = err
		return atRefusal, false
	}
	h := hop{n: n, req: req, status: r.StatusFor(req.Method), location: string(location)}
	w.hops = append(w.hops, h)
	if out.last, err = w.next(h.req, h.status, h.location); err != nil {
		if !errors.Is(err, errOtherPort) {
			return elsewhere, false
		}
		out.port = cmp.Or(out.port, len(w.hops))
	}
	if len(w.hops) > seeother.MaxHops && len(w.hops) > w.farthest() {
		return tooLong, false
	}
	return 0, true
}

// farthest is how many hops a walk may have now.
func (c *checker) farthest() int {
	switch {
	case c.long.Load() <= maxLong:
		return maxWalk
	case c.isLate():
		return seeother.MaxHops
	}
	return longWalk
}

// isLate reports whether the walks took so long that the rest has to be short.
func (c *checker) isLate() bool { return c.hopped.Load() > maxHops+maxHopsEach*int64(c.t.rules) }

// returns reports whether the walk was at this request before, or comes by
// again and again with a longer one.
func (w *worker) returns(req Request, out *journey) bool {
	if len(w.hops) == longWalk+1 {
		w.long.Add(1)
	}
	key := req.Method + " " + req.Scheme + "://" + req.Host + req.Path + "?" + req.Query
	if before, ok := w.seen[key]; ok {
		out.loop = before
		return true
	}
	w.seen[key] = len(w.hops)
	if len(w.hops) <= seeother.MaxHops {
		return false
	}
	return w.grows(req, out)
}

// grows looks for the last two times that the same rule was at work.
func (w *worker) grows(req Request, out *journey) bool {
	n := w.m.entry - 1
	size := len(req.Path) + len(req.Query)
	times := 0
	for i, h := range slices.Backward(w.hops) {
		if h.n != n {
			continue
		}
		if len(h.req.Path)+len(h.req.Query) >= size {
			return false
		}
		size = len(h.req.Path) + len(h.req.Query)
		out.loop = i
		if times++; times == 3 {
			out.grows = true
			return true
		}
	}
	return false
}

// branch remembers rules at this place of the walk that another request would
// have met. a is of the rule that answers, nil for none.
func (o *journey) branch(w *worker, a *attrs) {
	if !w.branched {
		return
	}
	add := func(n uint32) {
		if len(o.forks) < maxForks && !slices.Contains(o.forks, n) && !w.t.isCanonical(w.t.attrs[w.t.entries.at(n).attr]) {
			o.forks = append(o.forks, n)
		}
	}
	for _, n := range w.m.failed {
		add(n)
	}
	w.eachQuery(add)
	if a == nil || !a.conditional || w.t.isCanonical(a) {
		return
	}
	if winner := w.m.entry - 1; len(o.winners) < maxForks && !slices.Contains(o.winners, winner) {
		o.winners = append(o.winners, winner)
	}
	for _, n := range w.candidates() {
		if n != w.m.entry-1 {
			add(n)
		}
	}
}

// queryEntry is an exact rule with a query, by what else it wants.
type queryEntry struct {
	hash uint64
	n    uint32
}

// findQueries makes the list of exact rules that want a query: the index knows
// them only with that query.
func (c *checker) findQueries() {
	t := c.t
	if !t.byQuery && !t.byRaw {
		return
	}
	for n := range uint32(t.entries.n) { //nolint:gosec // MaxRules bounds it
		e := t.entries.at(n)
		if a := t.attrs[e.attr]; a.c.kind == kindQuery {
			c.queries = append(c.queries, queryEntry{t.exact.hashOf(a.c.space, a.host, t.pathOf(e)), n})
		}
	}
	slices.SortFunc(c.queries, func(a, b queryEntry) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.n, b.n))
	})
}

// eachQuery calls f with rules for this path that want a query.
func (w *worker) eachQuery(f func(uint32)) {
	if len(w.queries) == 0 {
		return
	}
	for _, s := range w.t.spaces {
		path, ok := w.m.path(s)
		if !ok {
			continue
		}
		for _, host := range w.m.hosts {
			hash := w.t.exact.hashOf(s, host, path)
			i, _ := slices.BinarySearchFunc(w.queries, hash, func(q queryEntry, h uint64) int { return cmp.Compare(q.hash, h) })
			for k := 0; i < len(w.queries) && w.queries[i].hash == hash && k < maxForks; i, k = i+1, k+1 {
				f(w.queries[i].n)
			}
		}
	}
}

// walks follows every example of a rule, and for each rule on the way that
// another request would meet, one that does. each is false to stop. tried is
// false where other rules answer all of them.
func (w *worker) walks(n uint32, each func(x *witness, out journey) bool) (tried bool) {
	list := w.allExamples(n)
	end, twins := w.most(), false
	add := func(y witness) {
		if len(list) < end && w.matches(&y, y.n) && !slices.ContainsFunc(list, y.same) {
			list = append(list, y)
		}
	}
	for i := 0; ; i++ {
		if i == len(list) || i >= end && tried {
			if twins || w.isLate() {
				return tried
			}
			twins = true
			list = append(list[:i], w.twins(n, tried)...)
			if end = len(list) + w.most()/4; i == len(list) {
				return tried
			}
		}
		x := list[i]
		out, ok := w.walk(n, x.req)
		w.hopped.Add(int64(len(w.hops)) + 1)
		if ok {
			tried = true
			if !each(&x, out) {
				return true
			}
		}
		for _, fork := range out.forks {
			if len(list) >= end {
				break
			}
			if y := x; w.demand(&y, fork) {
				add(y)
			}
		}
		for _, winner := range out.winners {
			if len(list) >= end {
				break
			}
			for _, y := range w.dodges(&x, w.t.attrs[w.t.entries.at(winner).attr]) {
				add(y)
			}
		}
	}
}

// dodges are requests like x that a rule with conditions does not take.
func (w *worker) dodges(x *witness, a *attrs) (out []witness) {
	vary := func(fixed bool, change func(y *witness)) {
		if !fixed {
			y := *x
			change(&y)
			out = append(out, y)
		}
	}
	c := a.c
	if i := slices.IndexFunc(anyMethods, func(m string) bool { return !slices.Contains(c.methods, m) }); len(c.methods) > 0 && i >= 0 {
		vary(x.method, func(y *witness) { y.req.Method = anyMethods[i] })
	}
	if c.scheme != "" {
		vary(x.scheme, func(y *witness) { y.req.Scheme = map[string]string{"http": "https", "https": "http"}[c.scheme] })
	}
	if a.host != 0 {
		vary(x.host, func(y *witness) { y.req.Host = w.host })
	}
	if c.only {
		vary(x.whole, func(y *witness) { y.req.Query = joinQuery(y.req.Query, "x", "x") })
	}
	if c.until != 0 {
		vary(x.time, func(y *witness) { y.req.Now = time.Unix(c.until, 0) })
	}
	for i := range c.when {
		opposite := c.when[i]
		opposite.not = !opposite.not
		for _, value := range opposite.values() {
			if y := *x; opposite.takes(value) && y.put(&opposite, value) {
				out = append(out, y)
				break
			}
		}
	}
	return out
}

// anyMethods are tried where a rule must not take the method.
var anyMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch, "QUERY"}

// most is how many requests are tried for one rule.
func (c *checker) most() int {
	switch {
	case c.isLate():
		c.cut.Store(true)
		return 1
	case c.few:
		return 4 * maxForks
	case c.t.rules > manyRules:
		return maxForks / 4
	}
	return maxForks
}

func (x witness) same(y witness) bool {
	a, b := &x.req, &y.req
	return a.Method == b.Method && a.Scheme == b.Scheme && a.Host == b.Host && a.Path == b.Path && a.Query == b.Query &&
		a.Now.Equal(b.Now) && slices.Equal(headerLines(a.Header), headerLines(b.Header))
}

// headerLines are the fields of a header for people, in order.
func headerLines(h http.Header) (out []string) {
	for name, values := range h {
		for _, v := range values {
			out = append(out, name+": "+v)
		}
	}
	slices.Sort(out)
	return out
}
