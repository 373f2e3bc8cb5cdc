package repeats

import (
	"math"
	"slices"
	"strings"
)

const endOfTime = math.MaxInt64

// Class is a kind of what is found.
type Class string

// The classes. The first four are submissions that were probably made twice.
const (
	DoubleClick Class = "double-click" // a browser, less than 2 s apart
	Retry       Class = "retry"        // sent again with no page in between
	Resubmit    Class = "resubmit"     // sent again from a page that was looked at in between, or gone back to
	Rerun       Class = "rerun"        // sent again after an answer that leaves open whether it ran

	LostMethod Class = "lost-method"    // 301 or 302, and the client went on with GET
	MethodKept Class = "method-kept"    // 301 or 302, and the client did the same to another path
	Loop       Class = "redirect-loop"  // 307 or 308 that leads back
	Chain      Class = "redirect-chain" // 307 or 308 that leads to another
)

// finding is one of them.
type finding struct {
	class  Class
	client *client
	first  event
	second event
	score  int
	why    reasons
	turn   string // "301: POST to GET", of a redirect
	mend   mend
	hops   int
}

// runsEach is how many kinds of submissions of one client are told apart at one time.
const runsEach = 16

// judgeUntil judges what began until then, in order.
func (w *watcher) judgeUntil(c *client, until int64) {
	for c.judged < len(c.events) && c.events[c.judged].start <= until {
		c.judged++
		w.judge(c, c.judged-1)
	}
}

func (w *watcher) judge(c *client, i int) {
	ev := &c.events[i]
	if !ev.method.unsafe() {
		return
	}
	if worked(ev.status) {
		w.judgeRepeat(c, i)
	}
	switch ev.status {
	case 301, 302:
		w.judgeRedirect(c, i)
	case 307, 308:
		w.judgeChain(c, i)
	}
}

// judgeRepeat asks whether the submission was made before.
func (w *watcher) judgeRepeat(c *client, i int) {
	ev := &c.events[i]
	r := w.runOf(c, ev)
	again := r.n > 0 && ev.start-r.last <= w.within
	if !again {
		w.endRun(r)
		*r = run{hash: ev.hash, route: r.route}
	}
	r.n++
	r.last = ev.start
	w.tally.submitted(r.route)
	first, between := w.earlier(c, i, again)
	if first == nil {
		return
	}
	f, ok := w.repeat(c, first, ev, between)
	if !ok || r.n > runLimit {
		return
	}
	if f.why.has(corrected) { // and those before it were tries, too
		for i := range r.found {
			r.found[i].because(corrected)
		}
	}
	r.found = append(r.found, f)
}

// runOf is the run that a submission is of, or a new one.
func (w *watcher) runOf(c *client, ev *event) *run {
	for i := range c.runs {
		if c.runs[i].hash == ev.hash {
			return &c.runs[i]
		}
	}
	if len(c.runs) >= runsEach {
		oldest := 0
		for i := range c.runs {
			if c.runs[i].last < c.runs[oldest].last {
				oldest = i
			}
		}
		w.endRun(&c.runs[oldest])
		c.runs = slices.Delete(c.runs, oldest, oldest+1)
	}
	c.runs = append(c.runs, run{hash: ev.hash, route: w.tally.route(ev.target)})
	return &c.runs[len(c.runs)-1]
}

// endRun tells what was found in a run. A long one is a program at its work.
func (w *watcher) endRun(r *run) {
	if r.n > runLimit {
		w.tally.steady(r.route, r.n-1)
		return
	}
	for i := range r.found {
		w.tally.add(r.route, &r.found[i])
	}
}

// pages is what happened between two submissions.
type pages struct {
	any    bool // a page was fetched
	opened bool // the page that the form was sent to
	before int  // how often that was fetched before the first
}

// earlier is the submission that i repeats, within the window: the last one that
// worked; else one that broke.
func (w *watcher) earlier(c *client, i int, again bool) (*event, pages) {
	ev := &c.events[i]
	var between pages
	var broken *event
	var betweenBroken pages
	for j := i - 1; j >= 0 && ev.start-c.events[j].start <= w.within; j-- {
		x := &c.events[j]
		switch {
		case x.method == get:
			between.any = true
			between.opened = between.opened || samePath(pathOf(x.target), pathOf(ev.target))
		case x.hash != ev.hash:
		case worked(x.status):
			between.before = w.openings(c, j)
			return x, between
		case broken == nil && broke(int(x.status)):
			broken, betweenBroken = x, between
		}
	}
	if again { // its first is no longer held
		return nil, pages{}
	}
	return broken, betweenBroken
}

// openings is how often the client fetched the page of a form in the window before
// it was sent, as far as that is held.
func (w *watcher) openings(c *client, i int) int {
	n, ev := 0, &c.events[i]
	for j := i - 1; j >= 0 && ev.start-c.events[j].start <= w.within; j-- {
		if x := &c.events[j]; x.method == get && samePath(pathOf(x.target), pathOf(ev.target)) {
			n++
		}
	}
	return n
}

// repeat says what kind of repetition the second is, and how sure that is.
func (w *watcher) repeat(c *client, first, second *event, between pages) (finding, bool) {
	f := finding{client: c, first: *first, second: *second}
	if first.key != 0 && second.key != 0 && first.key != second.key {
		w.tally.otherKey++
		return f, false
	}
	if first.exact && second.exact && first.sent != second.sent {
		w.tally.otherBody++
		return f, false
	}
	if first.scheme != second.scheme && first.scheme != unknownScheme && second.scheme != unknownScheme {
		return f, false // a redirect to https was in between
	}
	soon := second.start-first.start < doubleClick.Milliseconds()
	human := c.agent == browser || c.agent == noAgent
	hungUp := first.status == 499
	switch {
	case soon && human && (worked(first.status) || hungUp):
		f.class, f.score = DoubleClick, 3
	case !worked(first.status):
		f.class, f.score = Rerun, 2
		if first.status == 500 {
			f.score, f.why = 1, f.why.with(failed)
		}
	case between.any && human:
		f.class, f.score = Resubmit, 2
	default:
		f.class, f.score = Retry, 2
	}
	f.weigh(between)
	f.weighAnswers(human)
	f.weighRoute()
	f.mend = repeatMend(c.agent, first.method, first.key != 0)
	return f, true
}

// weigh counts what speaks for and against a repetition.
func (f *finding) weigh(between pages) {
	a, b := &f.first, &f.second
	switch {
	case a.key != 0 && a.key == b.key:
		f.because(sameKey)
		f.because(keptKey)
	case a.sent >= 0 && a.sent == b.sent:
		f.because(sameLength)
	case a.sent >= 0 && b.sent >= 0:
		f.because(otherLength)
	default:
		f.because(noBody)
	}
	if a.status == 499 {
		f.because(hungUp)
	}
	if between.opened {
		f.because(reopened)
	} else if between.before > 1 {
		f.because(openedTwice)
	}
	if a.method == put || a.method == del {
		f.because(idempotent)
	}
	if f.client.agent >= program && f.class != Rerun { // programs do send again what broke
		f.because(ofProgram)
	}
	f.weighClient()
}

// weighAnswers: a second answer of another kind than the first says that the app did
// something else.
func (f *finding) weighAnswers(human bool) {
	a, b := &f.first, &f.second
	page, redirect := a.status < 300, b.status >= 300
	switch {
	case !worked(a.status):
		if a.status == 502 && a.timed && a.end-a.start < atOnce.Milliseconds() {
			f.because(refused)
		}
	case page && redirect && human && f.class != DoubleClick: // nobody corrects a form in 2 s
		f.because(corrected)
	case page != !redirect:
		f.because(otherAnswer)
	}
}

// weighRoute: what the name of a route says of it.
func (f *finding) weighRoute() {
	path := pathOf(f.first.target)
	switch {
	case f.client.agent > program && f.class == Rerun && f.first.key == 0:
		f.because(manyEvents)
	case hasName(path, callNames):
		f.because(manyCalls)
	case hasName(path, signInNames):
		f.because(signIn)
	}
}

func (f *finding) weighClient() {
	switch {
	case f.client.named:
		f.because(named)
	case f.client.agent == noAgent:
		f.because(agentless)
	case f.client.address.most >= manyBrowsers:
		f.because(shared)
	}
}

func (f *finding) because(r reason) {
	if f.why.has(r) {
		return
	}
	f.why = f.why.with(r)
	f.score += weights[r]
}

// judgeRedirect asks what the client made of a 301 or 302 after a submission.
func (w *watcher) judgeRedirect(c *client, i int) {
	ev := &c.events[i]
	next := follower(c, i)
	if next == nil || ev.location != "" && !leadsTo(ev.location, next.target) {
		return
	}
	f := finding{client: c, first: *ev, second: *next, turn: turn(ev.status, ev.method, next.method)}
	if next.method == get {
		f.class = LostMethod
		judgeLost(&f)
	} else if next.method == ev.method && ev.method != post {
		f.class = MethodKept
		judgeKept(&f)
	}
	if f.score == 0 {
		return
	}
	f.weighRedirect()
	w.tally.add(w.tally.route(ev.target), &f)
}

// follower is the request with which a client follows a redirect: the next one that
// is not the same submission again.
func follower(c *client, i int) *event {
	ev := &c.events[i]
	for j := i + 1; j < len(c.events); j++ {
		x := &c.events[j]
		if x.start-ev.end > following.Milliseconds() {
			return nil
		}
		if x.method != get && x.hash == ev.hash || x.method == head {
			continue
		}
		return x
	}
	return nil
}

// judgeLost: was it Post/Redirect/Get, as it should be, or did the redirect mean
// the same request at another address?
func judgeLost(f *finding) {
	a, b := &f.first, &f.second
	from, to := pathOf(a.target), pathOf(b.target)
	same := from == to
	slash := !same && samePath(from, to)
	switch {
	case slash:
		f.score, f.mend = 3, mendSlash(to)
		f.because(slashOnly)
	case same && (a.scheme == plain && b.scheme == secure || a.scheme == plain && strings.HasPrefix(a.location, "https://")):
		f.score, f.mend = 3, mendHTTPS
		f.because(toHTTPS)
	case same && a.host != "" && b.host != "" && a.host != b.host:
		f.score, f.mend = 3, mendHost
		f.because(otherHost)
	case same && a.status == 301:
		f.score, f.mend = 3, mendHTTPS
		f.because(movedCode)
	case same:
		f.score, f.mend = 1, mendHTTPS
		f.because(ownPage)
	case a.status == 301:
		f.score, f.mend = 2, mendMoved
		f.because(movedCode)
		if a.location != "" {
			f.because(ledThere)
		}
	}
}

// judgeKept: a 302 after DELETE /users/1 that means "look at /users" has clients
// send DELETE /users.
func judgeKept(f *finding) {
	a, b := &f.first, &f.second
	from, to := pathOf(a.target), pathOf(b.target)
	if samePath(from, to) || routeOf(from) == routeOf(to) || f.second.start-f.first.end > doubleClick.Milliseconds() {
		return
	}
	f.score, f.mend = 2, mendSeeOther
	if strings.HasPrefix(from, strings.TrimSuffix(to, "/")+"/") {
		f.score = 3
		f.because(parent)
	}
	if a.location != "" {
		f.because(ledThere)
	}
}

func (f *finding) weighRedirect() {
	if !f.client.named && f.client.address.most >= manyBrowsers {
		f.because(shared)
	}
}

// judgeChain follows 307 and 308, which keep the method, from hop to hop.
func (w *watcher) judgeChain(c *client, i int) {
	if c.events[i].chained {
		return
	}
	f := finding{class: Chain, client: c, first: c.events[i], score: 3, mend: mendChain}
	seen := map[uint64]int{f.first.hash: 1}
	at, hops, back := i, 1, false
	for {
		j := hopAfter(c, at)
		if j < 0 {
			break
		}
		x := &c.events[j]
		if n := seen[x.hash]; n >= 2 || n == 1 && len(seen) > 1 {
			back = true
		}
		seen[x.hash]++
		at, f.second = j, *x
		if x.status != 307 && x.status != 308 {
			back = false // it came to an end
			break
		}
		x.chained = true
		hops++
	}
	if hops < 2 {
		return
	}
	if back {
		f.class, f.mend = Loop, mendLoop
	}
	f.hops = hops
	f.turn = turn(f.first.status, f.first.method, f.first.method)
	f.weighRedirect()
	w.tally.add(w.tally.route(f.first.target), &f)
}

// hopAfter is the next request with the same method, soon after; -1: none.
func hopAfter(c *client, i int) int {
	ev := &c.events[i]
	for j := i + 1; j < len(c.events); j++ {
		x := &c.events[j]
		if x.start-ev.end > doubleClick.Milliseconds() {
			break
		}
		if x.method == ev.method {
			return j
		}
	}
	return -1
}

// samePath leaves a slash at the end out.
func samePath(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// leadsTo reports whether a Location may lead to the target: both have the same
// path, or the Location is relative in a way that is not worked out here.
func leadsTo(location, target string) bool {
	path := location
	if _, rest, ok := strings.Cut(path, "://"); ok {
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			return pathOf(target) == "/"
		}
		path = rest[i:]
	}
	if !strings.HasPrefix(path, "/") {
		return true
	}
	path, _, _ = strings.Cut(path, "#")
	return pathOf(path) == pathOf(target)
}
