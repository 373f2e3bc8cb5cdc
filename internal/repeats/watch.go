package repeats

import (
	"bytes"
	"slices"
	"strings"
)

// event is a request of a client that is watched.
type event struct {
	start, end int64 // in milliseconds; the same where the log has no duration
	hash       uint64
	key        uint64 // of the Idempotency-Key; 0: none
	sent       int64
	line       int
	source     *source
	target     string // at most Limits.Target bytes
	host       string
	location   string
	status     int16
	method     method
	scheme     scheme
	exact      bool // sent is of the body alone
	timed      bool // the log has a duration
	chained    bool // it is a part of a chain that was told
}

func (ev *event) text() int { return len(ev.target) + len(ev.location) }

func textOf(events []event) int {
	n := 0
	for i := range events {
		n += events[i].text()
	}
	return n
}

type scheme uint8

const (
	unknownScheme scheme = iota
	plain
	secure
)

func schemeOf(b []byte) scheme {
	switch string(b) {
	case "http":
		return plain
	case "https":
		return secure
	}
	return unknownScheme
}

// client is somebody who submitted something lately.
type client struct {
	key     uint64
	address *address
	shown   string // its address
	agent   kind
	named   bool // the log has a user or a session
	last    int64

	events []event // by start
	judged int     // so many of them were
	runs   []run

	older, newer *client
}

// address is where clients submit from at one time.
type address struct {
	key     uint64
	clients int
	most    int // at one time, as long as there are any
}

// kind is what a user agent says of a client.
type kind uint8

const (
	noAgent kind = iota
	browser
	program
	stripeHook
	githubHook
	standardHook
)

func kindOf(agent []byte) kind {
	switch {
	case len(agent) == 0:
		return noAgent
	case bytes.HasPrefix(agent, []byte("Stripe/")):
		return stripeHook
	case bytes.HasPrefix(agent, []byte("GitHub-Hookshot/")):
		return githubHook
	case bytes.HasPrefix(agent, []byte("Svix-Webhooks/")):
		return standardHook
	case isBrowser(agent):
		return browser
	}
	return program
}

// run is the same submission made again and again.
type run struct {
	hash  uint64
	last  int64
	n     int
	found []finding
	route string
}

// watcher knows what clients did within the window. It is for one goroutine.
type watcher struct {
	keys   keys
	within int64 // ms
	limits Limits
	tally  *tally

	clients        map[uint64]*client
	oldest, newest *client // by their last request
	requests       int     // held, of all clients
	text           int     // bytes of targets in them
	addresses      map[uint64]*address
	before         lookbackRing
	strings        map[string]string
}

func newWatcher(o Options, t *tally) *watcher {
	return &watcher{
		keys: newKeys(), within: o.Within.Milliseconds(), limits: o.Limits, tally: t,
		clients: make(map[uint64]*client), addresses: make(map[uint64]*address),
		strings: make(map[string]string),
	}
}

// hold is how long a request waits to be judged: what follows it must be there,
// and what came before it but is logged later.
func (w *watcher) hold() int64 { return max(w.within, following.Milliseconds()) + slack.Milliseconds() }

// see takes the entry that s has read.
func (w *watcher) see(s *source) {
	e := &s.entry
	w.expire(e.Time)
	m := methodOf(e.Method)
	if m == otherMethod || !m.unsafe() && isAsset(e.Target) {
		return
	}
	key := w.keys.client(e)
	c := w.clients[key]
	switch {
	case c == nil && !m.unsafe():
		w.before.put(key, s, m)
		return
	case c == nil && !counts(e.Status):
		return
	}
	if c == nil {
		c = w.watch(key, e)
	}
	w.touch(c, e.Time)
	w.add(c, w.event(s, m))
	w.bound(c, e.Time)
}

// counts reports whether a client is watched from a submission with this answer on:
// it worked, it was redirected, or it broke so that nobody knows.
func counts(status int) bool {
	return status >= 200 && status < 400 && status != 304 || broke(status)
}

// broke: the server failed, or (499, nginx's own) the client hung up. 503 says that
// nothing was done.
func broke(status int) bool {
	return status == 499 || status == 500 || status == 502 || status == 504
}

// worked: the app did what was asked. A redirect that asks for the same again did not.
func worked(status int16) bool {
	return status >= 200 && status < 300 || status == 302 || status == 303
}

func (w *watcher) event(s *source, m method) event {
	e := &s.entry
	ev := event{
		start: e.start(), end: e.Time, line: s.line, source: s, status: int16(e.Status), method: m, //nolint:gosec // at most 999
		scheme: schemeOf(e.Scheme), sent: e.Sent, exact: e.SentExact, timed: e.Took >= 0,
		target: string(e.Target[:min(len(e.Target), w.limits.Target)]),
		host:   w.intern(hostName(e.Host)), location: string(e.Location[:min(len(e.Location), w.limits.Target)]),
	}
	if m.unsafe() {
		ev.hash = w.keys.submission(e)
	}
	if len(e.Key) > 0 {
		ev.key = w.keys.of(e.Key)
	}
	return ev
}

// intern keeps one copy of a host's name.
func (w *watcher) intern(b []byte) string {
	if len(b) == 0 || len(b) > w.limits.Target {
		return ""
	}
	if s, ok := w.strings[string(b)]; ok {
		return s
	}
	if len(w.strings) >= lookback {
		clear(w.strings)
	}
	s := string(b)
	w.strings[s] = s
	return s
}

func (w *watcher) watch(key uint64, e *Entry) *client {
	for len(w.clients) >= w.limits.Clients {
		w.tally.dropped++
		w.leave(w.oldest)
	}
	c := &client{
		key: key, address: w.addressOf(e), shown: shownAddress(e),
		agent: kindOf(e.Agent), named: len(e.User) > 0 || len(e.Session) > 0, last: e.Time,
	}
	w.clients[key] = c
	w.link(c)
	w.before.take(key, func(ev event) { w.add(c, ev) })
	return c
}

// addressOf counts one more client at the address.
func (w *watcher) addressOf(e *Entry) *address {
	key := w.keys.of(e.Client, e.Forwarded)
	a := w.addresses[key]
	if a == nil {
		a = &address{key: key}
		w.addresses[key] = a
	}
	a.clients++
	a.most = max(a.most, a.clients)
	return a
}

// shownAddress is the client's own address, where a proxy stands between.
func shownAddress(e *Entry) string {
	addr := e.Client
	if len(e.Forwarded) > 0 {
		addr, _, _ = bytes.Cut(e.Forwarded, []byte(","))
	}
	return strings.TrimSpace(string(addr[:min(len(addr), 64)]))
}

func (w *watcher) link(c *client) {
	c.older, c.newer = w.newest, nil
	if w.newest != nil {
		w.newest.newer = c
	}
	w.newest = c
	if w.oldest == nil {
		w.oldest = c
	}
}

func (w *watcher) unlink(c *client) {
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		w.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		w.newest = c.older
	}
}

func (w *watcher) touch(c *client, now int64) {
	c.last = now
	if w.newest != c {
		w.unlink(c)
		w.link(c)
	}
}

// expire lets clients go that did nothing for the whole window. A clock that jumps
// only shortens what is known, once.
func (w *watcher) expire(now int64) {
	window := w.hold() + w.within
	for w.oldest != nil && (w.oldest.last < now-window || w.oldest.last > now+window) {
		w.leave(w.oldest)
	}
}

// leave judges what is left of a client, and forgets it.
func (w *watcher) leave(c *client) {
	w.judgeUntil(c, endOfTime)
	for i := range c.runs {
		w.endRun(&c.runs[i])
	}
	w.requests -= len(c.events)
	w.text -= textOf(c.events)
	w.unlink(c)
	delete(w.clients, c.key)
	if c.address.clients--; c.address.clients == 0 {
		delete(w.addresses, c.address.key)
	}
}

// end judges all that is left.
func (w *watcher) end() {
	for w.oldest != nil {
		w.leave(w.oldest)
	}
}

// add puts an event where it belongs by its start.
func (w *watcher) add(c *client, ev event) {
	at := len(c.events)
	for at > 0 && c.events[at-1].start > ev.start {
		at--
	}
	c.events = slices.Insert(c.events, at, ev)
	w.requests++
	w.text += ev.text()
	if at < c.judged { // later than the window allows
		w.tally.late++
		c.judged++
		w.judge(c, at)
	}
}

// bound keeps what is held within the limits.
func (w *watcher) bound(c *client, now int64) {
	w.judgeUntil(c, now-w.hold())
	w.endRunsBefore(c, now-w.hold()-w.within)
	if len(c.events)%32 == 0 {
		w.forget(c, now-w.hold()-w.within)
	}
	if len(c.events) >= w.limits.Each {
		middle := c.events[len(c.events)/2].start
		w.judgeUntil(c, middle)
		w.cut(c, len(c.events)/2)
		w.tally.crowded++
	}
	for (w.requests > w.limits.Requests || w.text > w.limits.Text) && w.oldest != nil {
		w.tally.dropped++
		w.leave(w.oldest)
	}
}

// endRunsBefore ends what nothing can follow any more, so that findings are not held
// for longer than requests.
func (w *watcher) endRunsBefore(c *client, before int64) {
	c.runs = slices.DeleteFunc(c.runs, func(r run) bool {
		if r.last >= before {
			return false
		}
		w.endRun(&r)
		return true
	})
}

// forget drops what was judged and is older than the window.
func (w *watcher) forget(c *client, before int64) {
	n := 0
	for n < c.judged && c.events[n].start < before {
		n++
	}
	w.cut(c, n)
}

// cut drops the first n events.
func (w *watcher) cut(c *client, n int) {
	n = min(n, c.judged)
	w.text -= textOf(c.events[:n])
	c.events = slices.Delete(c.events, 0, n)
	c.judged -= n
	w.requests -= n
}

// lookbackRing holds the last requests of clients that are not watched: the page
// behind a redirect can be logged before the submission.
type lookbackRing struct {
	keys  [lookback]uint64
	slots [lookback]heldEntry
	next  int
}

type heldEntry struct {
	event

	text []byte
}

// put holds the entry of s. It allocates only while the ring is filled.
func (r *lookbackRing) put(key uint64, s *source, m method) {
	e, slot := &s.entry, &r.slots[r.next]
	r.keys[r.next] = key
	slot.text = append(slot.text[:0], e.Target[:min(len(e.Target), 256)]...)
	slot.event = event{start: e.start(), end: e.Time, line: s.line, source: s, status: int16(e.Status), method: m, scheme: schemeOf(e.Scheme), sent: -1} //nolint:gosec // at most 999
	r.next = (r.next + 1) % lookback
}

// take gives what is held of a client, in order, and lets it go.
func (r *lookbackRing) take(key uint64, f func(ev event)) {
	for i := range lookback {
		at := (r.next + i) % lookback
		if r.keys[at] != key || r.slots[at].source == nil {
			continue
		}
		ev := r.slots[at].event
		ev.target = string(r.slots[at].text)
		r.keys[at], r.slots[at].source = 0, nil
		f(ev)
	}
}
