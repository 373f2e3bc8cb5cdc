package once

import (
	"bufio"
	"context"
	"errors"
	"log"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

// Later lets a request whose app takes long be answered before the app has: with
// the address where the app's answer will be, which is a status URL (Guard.Status).
// Each function may be nil, and is called for many requests at one time.
//
// A request waits to the end, as without Later, where nobody could be shown the
// answer later: it comes with cookies, and without anything that names its sender.
type Later struct {
	// After is how long r waits, counted from when its body is whole; false: to the
	// end. It is asked where the sender is known, and does not say Prefer:
	// respond-async (RFC 7240): who says that waits as long as wait=N says, or not
	// at all.
	After func(r *http.Request) (time.Duration, bool)
	// Answer is what r gets then: 202 where it was preferred, else 202 or 303. Nil:
	// 202 and JSON.
	Answer func(w http.ResponseWriter, r *http.Request, s Submission)
	// Running answers GET and HEAD at the status URL while the app runs. Nil: 200 and
	// JSON.
	Running func(w http.ResponseWriter, r *http.Request, s Submission)
	// Cancel answers its sender's wish that it ends: DELETE at the status URL, or POST
	// at /cancel below it. It is asked while the app runs. Nil: neither is taken.
	Cancel func(w http.ResponseWriter, r *http.Request, s Submission)
	// Cancelled waits until the app's request is to be cut off, because its sender has
	// cancelled it; false: ctx ended before. It is called for what runs longer than
	// a second.
	Cancelled func(ctx context.Context, s Submission) bool
	// Prepare changes the header of the request that the app gets.
	Prepare func(r *http.Request, s Submission)
	// Interim is told of interim answers (1xx) of the app. It must not block, or keep
	// h. Ctx ends with the run.
	Interim func(ctx context.Context, s Submission, h http.Header)
}

// Submission is a guarded request that runs.
type Submission struct {
	Record     string // its id
	Generation uint64 // grows with each start of the record
	Started    time.Time
	URL        string // the path of its status
	Preferred  bool   // the client has said Prefer: respond-async
	Known      bool   // its sender can be told apart from others
}

// cancelAfter is how long a run takes before it is looked whether its sender has
// cancelled it: most are over by then, and cost the store nothing.
const cancelAfter = time.Second

// cancelledReason is on the record of what was cut off.
const cancelledReason = "its sender cancelled it while the app was at work, and the app did not say that it did nothing"

// submission is what x has started, or found.
func (x *exchange) submission(e entry) Submission {
	return Submission{
		Record: x.id, Generation: e.Generation, Started: e.Started, URL: x.policy.StatusPath + x.id,
		Preferred: prefersAsync(x.r.Header), Known: x.principal.known(),
	}
}

// soon is how long the request waits for its answer before it is told where that
// will be; false: to the end.
func (x *exchange) soon() (wait time.Duration, ok bool) {
	switch l := x.policy.Later; {
	case x.policy.StatusPath == "":
		return 0, false
	case prefersAsync(x.r.Header):
		seconds, _ := preferWait(x.r.Header)
		return min(time.Duration(seconds)*time.Second, x.guard.cfg.MaxWait), true
	case l == nil || l.After == nil || !x.principal.known():
		return 0, false
	default:
		return l.After(x.r)
	}
}

// respondAsync tells a duplicate of what still runs where its answer will be. False:
// it is to wait, or it is not known yet whether both are the same submission.
func (x *exchange) respondAsync(f finding) bool {
	_, ok := x.soon()
	if !ok || f.record.State != StateStarted || f.entry.Fingerprint == nil && x.form == nil {
		return false
	}
	x.comeBack(x.submission(f.entry))
	return true
}

// comeBack tells the client where its answer will be (RFC 7240 section 4.1).
func (x *exchange) comeBack(s Submission) {
	after, reason := 0, "still running; the client is told where its answer will be"
	if s.Preferred {
		after = http.StatusAccepted
		x.w.Header().Set("Preference-Applied", "respond-async")
	}
	x.decide("deferred", 0, after, reason)
	if l := x.policy.Later; l != nil && l.Answer != nil {
		l.Answer(x.w, x.r, s)
		return
	}
	x.w.Header().Set("Location", s.URL)
	s.WriteJSON(x.w, http.StatusAccepted, nil)
}

// start runs the app, and answers: with what the app says, or with where that will
// be.
func (x *exchange) start(own *run) {
	after, ok := x.soon()
	if !ok || x.policy.Later == nil || !x.mayReplay {
		x.carryOut(own, func() {})
		return
	}
	x.runBeside(own, after)
}

// runBeside lets the app run beside the request, which waits for it as long as it is
// to. A panic goes on to the server in either case.
func (x *exchange) runBeside(own *run, after time.Duration) {
	here, leave := context.WithCancel(x.r.Context())
	defer leave() // for the run the client is gone
	f := &floor{client: x.w, header: x.w.Header().Clone()}
	s, beside := x.submission(own.entry), *x // from here on x is the request's alone
	beside.w, beside.r, beside.told = f, x.r.WithContext(here), f.told
	x.lent = true

	var failure any = http.ErrAbortHandler // where the app ends its goroutine
	read, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer beside.leave()
		failure = beside.caught(own, sync.OnceFunc(func() { close(read) }))
		if isPanic(failure) && !f.take(byApp) {
			logPanic(here, failure, beside.stack)
		}
	}()
	if x.outwaits(read, ended, after) && f.take(byHandover) {
		x.comeBack(s)
		return
	}
	<-ended
	if failure != nil {
		panic(failure)
	}
}

// outwaits is true when the app is still at work so long after the body was read.
func (x *exchange) outwaits(read, ended <-chan struct{}, after time.Duration) bool {
	select {
	case <-ended:
		return false
	case <-read:
	}
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-ended:
		return false
	case <-timer.C:
		return true
	}
}

// caught is carryOut, and its panic.
func (x *exchange) caught(own *run, read func()) (failure any) {
	defer func() { failure = recover() }()
	x.carryOut(own, read)
	return nil
}

// isPanic says whether a recovered value is a fault, and not the way in which
// net/http's handlers break off.
func isPanic(failure any) bool {
	return failure != nil && failure != http.ErrAbortHandler //nolint:errorlint // a panic's value, not a chain
}

// logPanic does what the server does with a handler's panic, for one that has
// answered already.
func logPanic(ctx context.Context, failure any, stack []byte) {
	logf := log.Printf
	if s, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok && s.ErrorLog != nil {
		logf = s.ErrorLog.Printf
	}
	logf("once: panic in a guarded request whose client was answered: %v\n%s", failure, stack)
}

// prepare lets Later change the header of the app's request.
func (x *exchange) prepare(req *http.Request, s Submission) {
	if l := x.policy.Later; l != nil && l.Prepare != nil {
		l.Prepare(req, s)
	}
}

// interim tells Later of interim answers; nil: it does not want to know.
func (x *exchange) interim(ctx context.Context, s Submission) func(http.Header) {
	l := x.policy.Later
	if l == nil || l.Interim == nil {
		return nil
	}
	return func(h http.Header) { l.Interim(ctx, s, h) }
}

// heed cuts the app's request off when its sender has cancelled it. Stop must be
// called.
func (x *exchange) heed(ctx context.Context, cut context.CancelFunc, a *Attempt, s Submission) (stop func() bool) {
	l := x.policy.Later
	if l == nil || l.Cancelled == nil {
		return func() bool { return true }
	}
	return time.AfterFunc(cancelAfter, func() {
		if l.Cancelled(ctx, s) {
			a.cancel()
			cut()
		}
	}).Stop
}

// cutOff answers for an app that was cut off.
func (x *exchange) cutOff(own *run) {
	_ = own.doubt(x.r.Context(), cancelledReason) // else the lease ends, with the same result
	x.w.Header().Set(OutcomeHeader, "uncertain")
	x.refuse("cancelled", unknownOutcome(own.entry))
}

// floor is a client that is spoken to once: by the app, or by the handover that
// tells it to come back. It is the app's ResponseWriter, and lets what comes too
// late go nowhere. Its methods are for one goroutine, but for take.
type floor struct {
	client http.ResponseWriter
	header http.Header // until the app has the floor
	mine   bool        // the app has it

	mu     sync.Mutex
	holder speaker
}

type speaker uint8

const (
	byApp speaker = iota + 1
	byHandover
)

// take is true for who has the floor: the first that takes it.
func (f *floor) take(who speaker) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holder == 0 {
		f.holder = who
	}
	return f.holder == who
}

// told is whether the client was told to come back.
func (f *floor) told() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.holder == byHandover
}

// speak is take for the app. What it has said of the header counts from now on.
func (f *floor) speak() bool {
	if !f.mine && f.take(byApp) {
		f.mine = true
		h := f.client.Header()
		clear(h)
		maps.Copy(h, f.header)
	}
	return f.mine
}

func (f *floor) Header() http.Header {
	if f.mine {
		return f.client.Header()
	}
	return f.header
}

func (f *floor) WriteHeader(status int) {
	if f.speak() {
		f.client.WriteHeader(status)
	}
}

func (f *floor) Write(p []byte) (int, error) {
	if !f.speak() {
		return len(p), nil
	}
	return f.client.Write(p)
}

// FlushError is for http.ResponseController.
func (f *floor) FlushError() error {
	if !f.speak() {
		return nil
	}
	return http.NewResponseController(f.client).Flush()
}

var errTold = errors.New("the client was told to come back")

// Hijack is for http.ResponseController.
func (f *floor) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !f.speak() {
		return nil, nil, errTold
	}
	return http.NewResponseController(f.client).Hijack()
}

// SetReadDeadline is for http.ResponseController. Whoever was told to come back has
// sent its whole body.
func (f *floor) SetReadDeadline(at time.Time) error {
	if !f.speak() {
		return nil
	}
	return http.NewResponseController(f.client).SetReadDeadline(at)
}

// Drain waits until nothing runs here any more, or for ctx: what was answered before
// its app has answered runs without a client that a server could wait for. Call it
// between the server's Shutdown and Close. The error is ctx's.
func (g *Guard) Drain(ctx context.Context) error {
	for {
		g.mu.Lock()
		if len(g.runs) == 0 {
			g.mu.Unlock()
			return nil
		}
		if g.idle == nil {
			g.idle = make(chan struct{})
		}
		idle := g.idle
		g.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Tenant is the store's partition that the Guard's records are in.
func (g *Guard) Tenant() string { return g.cfg.Tenant }
