package once

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

// Handler guards next. Requests without a key, and with other methods than the
// policy's, pass untouched, but for a Once-Guard or Once-Outcome header that
// the client made up. It is safe for concurrent use, and so must next be.
//
// A guarded request is not cancelled when its client goes away. next should
// bound its own time, and report through AttemptFrom what it knows when it
// cannot reach the app.
func (g *Guard) Handler(p Policy, next http.Handler) http.Handler {
	return &handler{guard: g, policy: p.withDefaults(), next: next}
}

type handler struct {
	guard  *Guard
	policy Policy
	next   http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if token, who := h.policy.formOf(r); token != "" {
		x := &exchange{handler: h, w: w, r: withoutOurs(r), client: h.policy.Client(r), principal: who, form: &rendered{token: token}}
		x.serve(formKey(token, r))
		return
	}
	if h.policy.Stage == seeother.Off || !h.policy.keyed(r.Method) {
		h.next.ServeHTTP(w, r)
		return
	}
	r = withoutOurs(r)
	key, err := "", error(nil)
	if h.policy.Key.Pointer == "" {
		key, err = clientKey(r.Header, h.policy.Key.Header)
	}
	if errors.Is(err, errNoKey) && !h.policy.Required {
		h.next.ServeHTTP(w, r)
		return
	}
	client := h.policy.Client(r)
	if !h.policy.Stage.Acts(client) {
		if h.policy.Key.Pointer == "" { // a body is not read for a report
			h.report(r, key, err)
		}
		h.next.ServeHTTP(w, r)
		return
	}
	x := &exchange{handler: h, w: w, r: r, client: client}
	if err != nil {
		x.refuseKey(err)
		return
	}
	x.serve(key)
}

// withoutOurs drops the headers that are the Guard's to say: a client could
// make the app believe them. The client's own request is left as it is.
func withoutOurs(r *http.Request) *http.Request {
	if r.Header[GuardHeader] == nil && r.Header[OutcomeHeader] == nil {
		return r
	}
	out := *r
	out.Header = r.Header.Clone()
	out.Header.Del(GuardHeader)
	out.Header.Del(OutcomeHeader)
	return &out
}

// exchange is one guarded request.
type exchange struct {
	*handler
	w      http.ResponseWriter
	r      *http.Request
	client string

	form      *rendered // nil: it has a key of its own
	principal Principal
	mayReplay bool   // what r said before the app had it in its hands
	id        string // of the record
	group     string // whose caps count
	early     early
	body      *body
	stream    *streamed // the body on its way to the app, when it is not whole
	fresh     entry
	tried     bool // begin was called
	known     bool // a record was seen that forbids another run
	waited    bool
	probed    bool
	lent      bool        // the app runs beside the request, and what it holds is given back there
	stack     []byte      // of a panic of the app
	told      func() bool // see Attempt
}

func (x *exchange) serve(key string) {
	if x.form == nil {
		x.principal = x.policy.principal(x.r)
	}
	x.mayReplay = replayable(x.principal, x.r)
	if key != "" {
		x.name(key)
	}
	if x.group = groupOf(x.principal); x.group == "" {
		x.group = clientGroup + HashKey(x.client)
	}
	if !x.enter() {
		return
	}
	defer x.leave()

	x.early = earlyOf(x.r)
	if len(x.policy.Key.Varies) > 0 {
		x.early.length = -1
	}
	var err error
	if x.body, err = x.guard.readBody(x.r, x.early, x.policy.Key.Varies); err != nil {
		x.refuseBody(err)
		return
	}
	if !x.spoolForm() {
		return
	}
	if key == "" {
		if key, err = x.keyInBody(); err != nil {
			x.refuseKey(err)
			return
		}
		x.name(key)
	}
	x.fresh = entry{
		Owner: randomOwner(), Early: x.early.sum, Length: x.early.length, Fingerprint: x.guard.print(x.body.sum), KeyHash: HashKey(key),
		Method: x.r.Method, Host: x.policy.host(x.r), Path: x.r.URL.EscapedPath(), Route: x.policy.Route, Principal: x.principal.Kind,
	}
	if x.form != nil {
		x.fresh.Tombstone = x.policy.Forms.Known
	}
	x.resolve()
}

// leave gives back the place and the body's memory.
func (x *exchange) leave() {
	if x.lent {
		return
	}
	if x.body != nil {
		x.body.close(x.guard)
	}
	x.guard.load.leave(x.group)
}

// clientGroup begins the group of those who have no principal: the address of
// their client stands for them.
const clientGroup = "client "

// browserGroup begins the group of a browser.
const browserGroup = "browser "

// groupOf is whose caps count for a principal; empty: it is nobody.
func groupOf(p Principal) string {
	if p.Kind == kindBrowser && p.known() {
		return browserGroup + p.Hash
	}
	return p.Hash
}

// name gives the submission the name of its record.
func (x *exchange) name(key string) {
	x.id = recordKey(x.guard.cfg.Tenant, x.principal, x.r.Method, x.policy.host(x.r), x.policy.Scope, key)
}

// keyInBody reads the key at the policy's pointer.
func (x *exchange) keyInBody() (string, error) {
	if !x.body.whole {
		return "", fmt.Errorf("%w: it is in the body, and that is larger than %d bytes", errBadKey, x.guard.cfg.Buffer)
	}
	return keyAt(x.body.head, x.policy.Key.Pointer)
}

// enter takes a place among the requests that run or wait.
func (x *exchange) enter() bool {
	cfg := x.guard.cfg
	ok, own := x.guard.load.enter(x.group, cfg.MaxActivePerPrincipal, cfg.MaxActive)
	if !ok {
		x.refuseLoad(own)
	}
	return ok
}

// tooDoubtful says whether too many submissions before are unresolved, and
// whether it is this principal's own that are too many.
func (x *exchange) tooDoubtful() (full, own bool) {
	mine, all := x.guard.doubt.get(x.group)
	most := x.guard.cfg.MaxUncertain
	if x.form != nil {
		most = x.guard.cfg.MaxUncertainForms
	}
	own = mine >= x.guard.cfg.MaxUncertainPerPrincipal
	return own || all >= most, own
}

// resolve finds out what the key means for this request, and answers. Each
// turn either ends it or waits for the record to change.
func (x *exchange) resolve() {
	deadline := time.Now().Add(x.patience())
	for {
		found, err := x.lookInTurn()
		x.known = x.known || found.verdict > mayStart
		if err != nil {
			x.storeDown(err)
			return
		}
		if found.run != nil {
			x.start(found.run)
			return
		}
		if found.verdict == 0 {
			return // look has answered
		}
		if x.form != nil {
			ok, again := x.sameForm(found)
			if again {
				continue
			}
			if !ok {
				return
			}
		} else if !x.same(found) {
			return
		}
		if found.verdict == uncertain && x.policy.Probe != nil && !x.probed && found.record.State == StateUncertain {
			x.probed = true
			if x.probe(found) {
				continue
			}
		}
		if found.verdict != running {
			x.answer(found)
			return
		}
		if !x.wait(found, deadline) {
			if !x.respondAsync(found) {
				x.inFlight()
			}
			return
		}
	}
}

// lookInTurn is look. Those who waited for one answer all wake at once: they
// read it a few at a time, so that memory holds a few copies of it.
func (x *exchange) lookInTurn() (finding, error) {
	if x.waited {
		x.guard.looks <- struct{}{}
		defer func() { <-x.guard.looks }()
	}
	return x.look()
}

// look starts the key or finds what is there. A finding without a verdict
// means that the request was answered here.
func (x *exchange) look() (finding, error) {
	if full, _ := x.tooDoubtful(); full || !x.body.sendable() {
		found, err := x.lookOnly()
		// A retry adds no doubt, and may be the only thing that ends it.
		if err != nil || x.policy.OnUncertain != Retry || !x.body.sendable() || !x.guard.retryable(found, x.begins()) {
			return found, err
		}
	}
	x.tried = true
	return x.guard.begin(x.r.Context(), x.begins())
}

// begins is what this request would start.
func (x *exchange) begins() start {
	return start{id: x.id, group: x.group, fresh: x.fresh, onUncertain: x.policy.OnUncertain, input: x.body.sum}
}

// lookOnly finds what is there for a request that may not start.
func (x *exchange) lookOnly() (finding, error) {
	ctx, cancel := x.guard.detached(x.r.Context())
	defer cancel()
	rec, now, err := x.guard.store.Get(ctx, x.guard.cfg.Tenant, Class, x.id)
	found := finding{verdict: mayStart, now: now}
	if err == nil {
		if found, err = x.guard.read(rec, now); err == nil && found.verdict == lost {
			x.known = true
			found, err = x.guard.expireLease(ctx, found)
		}
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return finding{}, err
	}
	if found.verdict != mayStart {
		return found, nil
	}
	if !x.body.sendable() { // the first try failed without effect, and this body is gone
		x.again()
	} else {
		_, own := x.tooDoubtful()
		x.refuseDoubt(own)
	}
	return finding{}, nil
}

// same answers and returns false unless this request may be the one on record.
func (x *exchange) same(f finding) bool {
	recorded := early{sum: f.entry.Early, length: f.entry.Length}
	if recorded.conflicts(x.early) {
		x.mismatch()
		return false
	}
	if f.entry.Fingerprint == nil {
		return true // not known yet; answer looks again
	}
	if x.body.sum == nil {
		if err := x.body.drain(); err != nil {
			x.refuseBody(err)
			return false
		}
	}
	if !x.guard.isPrint(f.entry.Fingerprint, x.body.sum) {
		x.mismatch()
		return false
	}
	return true
}

// wait returns true when the record changed in time.
func (x *exchange) wait(f finding, deadline time.Time) bool {
	if !time.Now().Before(deadline) {
		return false
	}
	x.waited = true
	// A duplicate whose client went away waits for nobody.
	ctx, cancel := context.WithDeadline(x.r.Context(), deadline)
	defer cancel()
	if x.guard.awaitUntil(ctx, f, deadline) {
		return true
	}
	// The next look says what is wrong with the store; a pause, so that one that
	// only cannot wait is not asked in a tight loop.
	pause := time.NewTimer(waitPause)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-ctx.Done():
		return false
	}
}

const waitPause = 50 * time.Millisecond

// patience is how long this request waits for the first answer.
func (x *exchange) patience() time.Duration {
	if wait, ok := x.soon(); ok {
		return wait
	}
	if seconds, ok := preferWait(x.r.Header); ok {
		return min(time.Duration(seconds)*time.Second, x.guard.cfg.MaxWait)
	}
	return x.guard.cfg.Wait
}

// preferWait reads the wait preference, in seconds (RFC 7240 section 4.3); the
// first that can be read counts. More than a week is a week.
func preferWait(h http.Header) (seconds int, ok bool) {
	const most = 7 * 24 * 60 * 60
	for name, value := range preferences(h) {
		if !strings.EqualFold(name, "wait") {
			continue
		}
		n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 64)
		if err == nil || errors.Is(err, strconv.ErrRange) {
			return int(min(n, most)), true
		}
	}
	return 0, false
}

// preferences are the names and values in Prefer, without parameters (RFC 7240
// section 2).
func preferences(h http.Header) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, line := range h.Values("Prefer") {
			for item := range strings.SplitSeq(line, ",") {
				item, _, _ = strings.Cut(item, ";")
				name, value, _ := strings.Cut(item, "=")
				if !yield(strings.Trim(name, " \t"), strings.Trim(value, " \t")) {
					return
				}
			}
		}
	}
}
