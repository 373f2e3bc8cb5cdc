package once

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

// Handler guards next. Requests without a key, and with other methods than the
// policy's, pass untouched.
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
	if h.policy.Stage == seeother.Off || !slices.Contains(h.policy.Methods, r.Method) {
		h.next.ServeHTTP(w, r)
		return
	}
	key, err := clientKey(r.Header, h.policy.Header)
	if errors.Is(err, errNoKey) && !h.policy.Required {
		h.next.ServeHTTP(w, r)
		return
	}
	client := h.policy.Client(r)
	if !h.policy.Stage.Acts(client) {
		h.report(r, key, err)
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

// exchange is one guarded request.
type exchange struct {
	*handler
	w      http.ResponseWriter
	r      *http.Request
	client string

	principal Principal
	id        string // of the record
	group     string // whose caps count
	early     early
	body      *body
	fresh     entry
	waited    bool
}

func (x *exchange) serve(key string) {
	x.principal = x.policy.Principal(x.r)
	x.id = recordKey(x.guard.cfg.Tenant, x.principal, x.r.Method, x.r.Host, x.policy.Scope, key)
	if x.group = x.principal.Hash; x.group == "" {
		x.group = "client " + HashKey(x.client)
	}
	if !x.enter() {
		return
	}
	defer x.guard.load.leave(x.group)

	x.early = earlyOf(x.r)
	var err error
	if x.body, err = x.guard.readBody(x.r, x.early); err != nil {
		x.refuseBody(err)
		return
	}
	defer func() { x.body.close(x.guard) }()
	x.fresh = entry{
		Early: x.early.sum, Length: x.early.length, Fingerprint: x.body.sum, KeyHash: HashKey(key),
		Method: x.r.Method, Host: x.r.Host, Path: x.r.URL.EscapedPath(), Route: x.policy.Route, Principal: x.principal.Kind,
	}
	x.resolve()
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
	own = mine >= x.guard.cfg.MaxUncertainPerPrincipal
	return own || all >= x.guard.cfg.MaxUncertain, own
}

// resolve finds out what the key means for this request, and answers. Each
// turn either ends it or waits for the record to change.
func (x *exchange) resolve() {
	deadline := time.Now().Add(x.patience())
	for {
		found, err := x.look()
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
		if !x.same(found) {
			return
		}
		if found.verdict != running {
			x.answer(found)
			return
		}
		if !x.wait(found, deadline) {
			x.inFlight()
			return
		}
	}
}

// look starts the key or finds what is there. A finding without a verdict
// means that the request was answered here.
func (x *exchange) look() (finding, error) {
	if full, _ := x.tooDoubtful(); full || !x.body.sendable() {
		return x.lookOnly()
	}
	return x.guard.begin(x.r.Context(), x.id, x.group, x.fresh, x.policy.OnUncertain)
}

// lookOnly finds what is there for a request that may not start.
func (x *exchange) lookOnly() (finding, error) {
	ctx, cancel := x.guard.detached(x.r.Context())
	defer cancel()
	rec, now, err := x.guard.store.Get(ctx, x.guard.cfg.Tenant, Class, x.id)
	found := finding{verdict: mayStart, now: now}
	if err == nil {
		if found, err = x.guard.read(rec, now); err == nil && found.verdict == lost {
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
	if !bytes.Equal(x.body.sum, f.entry.Fingerprint) {
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
	_, _, err := x.guard.store.Wait(ctx, x.guard.cfg.Tenant, Class, x.id, f.record.Version)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return true
	}
	return x.r.Context().Err() == nil && time.Now().Before(deadline) // the next look says what is wrong with the store
}

// patience is how long this request waits for the first answer (RFC 7240
// section 4.3).
func (x *exchange) patience() time.Duration {
	for _, line := range x.r.Header.Values("Prefer") {
		for item := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			if n, err := strconv.Atoi(strings.Trim(value, `" `)); err == nil && n >= 0 {
				return min(time.Duration(min(n, 1<<20))*time.Second, x.guard.cfg.MaxWait)
			}
		}
	}
	return x.guard.cfg.Wait
}

// start runs the app. Everything that can go wrong from here on ends in a
// record that says so.
func (x *exchange) start(own *run) {
	attempt := &Attempt{}
	ctx := context.WithValue(context.WithoutCancel(x.r.Context()), attemptKey{}, attempt)
	req := x.r.WithContext(ctx)
	req.Body = x.forApp(func(sum []byte) error { return own.setFingerprint(ctx, sum) })
	if stream, ok := req.Body.(*streamed); ok {
		defer stream.end(x.unblock)
	}
	rec := &recorder{client: x.w, header: make(http.Header), limit: x.guard.cfg.ResultLimit, guard: x.guard}
	settled := false
	rec.open = func(status int, header http.Header) error {
		settled = true
		return x.settle(own, attempt, status, header, func(ctx context.Context) error {
			return own.complete(ctx, result{Status: status}, nil, x.body.sum)
		})
	}
	defer rec.letGo()
	if failure := x.run(rec, req); failure != nil {
		x.broken(own, attempt, settled, failure)
		return
	}
	rec.finish()
	if settled {
		return
	}
	err := x.settle(own, attempt, rec.status, rec.sent, func(ctx context.Context) error {
		res, kept := rec.result(x.policy, x.principal, replayable(x.principal, x.r))
		return own.complete(ctx, res, kept, x.body.sum)
	})
	if err != nil {
		x.notRecorded(err)
		return
	}
	rec.deliver()
}

// forApp is the body as the app reads it; ended is told the fingerprint of one
// that streams.
func (x *exchange) forApp(ended func(sum []byte) error) io.ReadCloser {
	if x.body.whole {
		return io.NopCloser(bytes.NewReader(x.body.head))
	}
	return &streamed{body: x.body, head: x.body.head, ended: ended}
}

// unblock makes the server give up reading a body that the app did not wait
// for.
func (x *exchange) unblock() {
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now()) // where it is not supported, the client ends it
}

// run calls the app and catches its panic, so that the record can say it.
func (x *exchange) run(w http.ResponseWriter, r *http.Request) (failure any) {
	defer func() { failure = recover() }()
	r.Header.Del(OutcomeHeader)
	x.next.ServeHTTP(w, r)
	return nil
}

// settle records what the answer means; done records a completed one.
func (x *exchange) settle(own *run, a *Attempt, status int, header http.Header, done func(context.Context) error) error {
	ctx := x.r.Context()
	said := header.Get(OutcomeHeader)
	header.Del(OutcomeHeader)
	meaning, reason := a.said()
	if meaning == outcomeCompleted {
		meaning, reason = x.policy.judge(status, said)
	}
	switch meaning {
	case outcomeReleased:
		header.Set(OutcomeHeader, "not-applied")
		x.decide("released", status, status, reason)
		if err := own.release(ctx, reason); err != nil {
			x.guard.giveUp(own.entry.Owner) // proved all the same
		}
		return nil
	case outcomeUncertain:
		header.Set(OutcomeHeader, "uncertain")
		return own.doubt(ctx, reason)
	}
	return done(ctx)
}

// broken records an answer that was cut short.
func (x *exchange) broken(own *run, a *Attempt, settled bool, failure any) {
	if !settled {
		if meaning, reason := a.said(); meaning == outcomeReleased {
			if err := own.release(x.r.Context(), reason); err != nil {
				x.guard.giveUp(own.entry.Owner)
			}
		} else {
			_ = own.doubt(x.r.Context(), "the app's answer was cut short") // else the lease ends, with the same result
		}
	}
	if failure != http.ErrAbortHandler || settled { //nolint:errorlint // a panic's value, not a chain
		panic(failure)
	}
	x.cutShort()
}
