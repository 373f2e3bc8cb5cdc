package once

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime/debug"
	"time"
)

// carryOut runs the app. Everything that can go wrong from here on ends in a
// record that says so. Read is told that nothing more comes from the client.
func (x *exchange) carryOut(own *run, read func()) {
	attempt, s := &Attempt{record: x.id, told: x.told}, x.submission(own.entry)
	ctx := context.WithValue(context.WithoutCancel(x.r.Context()), attemptKey{}, attempt)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A goroutine that the app ended, or a panic of an observer: nothing else
	// would settle it, and its lease would be extended for ever.
	defer func() { _ = own.doubt(ctx, "the app ended without an answer") }()
	req := x.forApp(ctx, func(sum []byte) error {
		err := own.setFingerprint(ctx, sum)
		if err == nil {
			read()
		}
		return err
	})
	if x.body.sum != nil { // it is in memory, or on disk
		read()
	}
	x.prepare(req, s)
	defer x.endStream()
	rec := &recorder{client: x.w, header: make(http.Header), limit: x.guard.cfg.ResultLimit, guard: x.guard, interim: x.interim(ctx, s)}
	defer rec.letGo()
	defer x.heed(ctx, cancel, attempt, s)()
	settled := false
	rec.open = func(status int, header http.Header) error {
		settled = true
		x.cancelLate(ctx, cancel)
		return x.settle(own, attempt, status, header, func(ctx context.Context) error {
			return own.complete(ctx, result{Status: status, Replay: x.mayReplay}, nil, x.body.sum)
		})
	}
	failure := x.run(rec, req)
	// Nobody reads on, and a Read under way would hold up what is sent: in
	// HTTP/1.1 net/http looks at the body before it writes the header.
	x.endStream()
	switch {
	case failure == nil && !settled && attempt.cutOff(rec.status):
		x.cutOff(own)
	case rec.refused != nil && !isPanic(failure):
		x.notRecorded(rec.refused)
	case failure != nil:
		x.broken(own, attempt, settled, failure)
	default:
		x.finish(own, attempt, rec, &settled)
	}
}

// finish records a whole answer and sends it.
func (x *exchange) finish(own *run, a *Attempt, rec *recorder, settled *bool) {
	rec.finish() // may settle it: an event stream without an event
	if rec.refused != nil {
		x.notRecorded(rec.refused)
		return
	}
	if *settled {
		return
	}
	err := x.settle(own, a, rec.status, rec.sent, func(ctx context.Context) error {
		res, kept := rec.result(x.policy, x.principal, x.mayReplay)
		return own.complete(ctx, res, kept, x.body.sum)
	})
	if err != nil {
		x.notRecorded(err)
		return
	}
	rec.deliver()
}

// forApp is the request as the app gets it: its header is the app's to change.
// ended is told the fingerprint of a body that streams.
func (x *exchange) forApp(ctx context.Context, ended func(sum []byte) error) *http.Request {
	req := x.r.WithContext(ctx)
	req.Header = x.r.Header.Clone()
	if x.body.whole {
		req.Body = io.NopCloser(bytes.NewReader(x.body.head))
		return req
	}
	if x.body.file != nil {
		req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(x.body.head), x.body.file))
		return req
	}
	x.stream = &streamed{body: x.body, head: x.body.head, ended: ended}
	req.Body = x.stream
	return req
}

// endStream ends the reading of a body that streams. The server gives up a
// Read that the app did not wait for.
func (x *exchange) endStream() {
	if x.stream == nil {
		return
	}
	x.stream.end(func() {
		_ = http.NewResponseController(x.w).SetReadDeadline(time.Now()) // where it is not supported, the client ends it
	})
}

// cancelLate ends an answer that is not kept, some time after its client went
// away: nobody can get it any more, and an app that goes silent in the middle
// of a stream would never let go of it.
func (x *exchange) cancelLate(ctx context.Context, cancel context.CancelFunc) {
	context.AfterFunc(x.r.Context(), func() {
		linger := time.NewTimer(x.guard.cfg.Linger)
		defer linger.Stop()
		select {
		case <-linger.C:
			cancel()
		case <-ctx.Done():
		}
	})
}

// run calls the app and catches its panic, so that the record can say it.
func (x *exchange) run(w http.ResponseWriter, r *http.Request) (failure any) {
	defer func() {
		if failure = recover(); isPanic(failure) {
			x.stack = debug.Stack()
		}
	}()
	x.next.ServeHTTP(w, r)
	return nil
}

// settle records what the answer means; done records a completed one.
func (x *exchange) settle(own *run, a *Attempt, status int, header http.Header, done func(context.Context) error) error {
	ctx := x.r.Context()
	meaning, reason := x.meaning(a, status, header.Get(OutcomeHeader))
	header.Del(OutcomeHeader)
	switch meaning {
	case outcomeReleased:
		header.Set(OutcomeHeader, "not-applied")
		x.decide("released", status, status, reason)
		x.release(own, reason)
		return nil
	case outcomeUncertain:
		header.Set(OutcomeHeader, "uncertain")
		return own.doubt(ctx, reason)
	}
	return done(ctx)
}

// meaning is what an answer says about the app's work: first what is known of
// the way there, then what the app says, then how its request ended.
func (x *exchange) meaning(a *Attempt, status int, said string) (outcome, string) {
	if meaning, reason := a.said(status); meaning != outcomeCompleted {
		return meaning, reason
	}
	meaning, reason := x.policy.judge(status, said)
	if meaning == outcomeCompleted && x.stream != nil && x.stream.cut.Load() {
		return outcomeUncertain, "the app got only a part of the request's body"
	}
	return meaning, reason
}

// release frees the key. A store that fails does not change what is proved.
func (x *exchange) release(own *run, reason string) {
	if err := own.release(x.r.Context(), reason); err != nil {
		x.guard.giveUp(own.entry.Owner, x.id)
	}
}

// broken records an answer that was cut short. Where nothing was sent, the
// client is told; a panic that is not net/http's own goes on to the server, so
// that somebody sees it.
func (x *exchange) broken(own *run, a *Attempt, settled bool, failure any) {
	if settled {
		panic(failure)
	}
	if meaning, reason := a.said(0); meaning == outcomeReleased {
		x.release(own, reason)
		panic(failure)
	}
	_ = own.doubt(x.r.Context(), a.reasonFor("the app's answer was cut short")) // else the lease ends, with the same result
	if isPanic(failure) {
		panic(failure)
	}
	x.cutShort()
}
