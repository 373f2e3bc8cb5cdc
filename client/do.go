package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// DefaultWait is how long Do waits for somebody else who is doing it.
const DefaultWait = 30 * time.Second

const (
	waitSlice = 5 * time.Second        // the longest wait of one check: the service does not wake for a lease that runs out, and proxies cut what is long
	waitPause = 100 * time.Millisecond // between two of them
)

// Outcome is what Do found or did.
type Outcome struct {
	Result   json.RawMessage // of this run, or of the one time that it was done; nil: there is none
	Ran      bool            // the function was called, here and now
	Replayed bool            // it was done before, and this is the result of then
	Bypassed bool            // the function ran unguarded, since nobody could be asked and FailOpen is set
	Record   string          // its ID, for operators and logs; empty where it is Bypassed
	First    time.Time       // when it was begun; zero where it is not known
}

// Decode puts the result into a value, as json.Unmarshal does.
func (o Outcome) Decode(into any) error {
	if o.Result == nil {
		return ErrNotKept
	}
	return json.Unmarshal(o.Result, into)
}

// Do runs the function at most once for the key, on all machines that ask the same
// service, and gives everybody who asks the result of the one time. The result must
// become JSON.
//
// The lease is extended at every third of it while the function runs. The function's
// context ends when ctx does, and when the lease is lost: context.Cause then is
// ErrLeaseLost, or ErrDenied where the agent was switched off.
//
// An error that is or wraps NotApplied releases the key: the next who asks runs. Any
// other error, and a panic, is recorded as doubt, and is ErrUncertain for everybody
// who asks later, until somebody has found out and resolved the record.
//
// When nobody can be asked the function does not run, and the error is
// ErrUnavailable; Request.FailOpen changes that. What was asked may be settled for up
// to half a minute after ctx has ended.
//
// Errors before the function runs: ErrUnavailable, ErrInFlight, ErrUncertain,
// ErrNotKept, ErrMismatch, ErrDenied, ErrUnauthorized, ErrTooManyUncertain,
// ErrInvalid, or ctx's. After it ran (Outcome.Ran): its own, which is also
// ErrUncertain unless it was NotApplied; or ErrNotRecorded, with the Outcome's Result.
func (c *Client) Do(ctx context.Context, r Request, work func(context.Context) (any, error)) (Outcome, error) {
	r.Token = rand.Text() // two calls are two
	if r.Lease <= 0 {
		r.Lease = DefaultLease
	}
	if r.Wait == 0 {
		r.Wait = DefaultWait
	}
	r.Lease = time.Duration(seconds(r.Lease)) * time.Second
	found, since, err := c.begin(ctx, r)
	if err != nil && r.FailOpen && isAbsent(err) {
		return c.bypass(ctx, r, work, err)
	}
	if err == nil && found.Bypassed() {
		return c.bypass(ctx, r, work, &Error{Kind: ErrUnavailable, Op: "check", Detail: found.Reason})
	}
	if err == nil {
		err = found.Err()
	}
	out := Outcome{Record: found.Record, First: found.First}
	if err != nil {
		return out, err
	}
	if found.Status == Duplicate {
		out.Replayed, out.Result = true, found.Result
		if out.Result == nil {
			out.Result = json.RawMessage("null")
		}
		return out, nil
	}
	return c.run(ctx, r, found.Lease, since, out, work)
}

// begin asks until the answer is another than in flight, or Wait is over. since is a
// time before the lease began.
func (c *Client) begin(ctx context.Context, r Request) (found Answer, since time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, time.Time{}, fmt.Errorf("check: %w", err)
	}
	until := time.Now().Add(r.Wait)
	for {
		since = time.Now()
		r.Wait = min(until.Sub(since), waitSlice)
		found, err = c.check(ctx, r, 0)
		if err != nil && (isAbsent(err) && !r.FailOpen || ctx.Err() != nil) {
			c.abandon(ctx, r)
		}
		if err != nil || found.Status != InFlight || !time.Now().Before(until) || !sleep(ctx, waitPause) {
			return found, since, err
		}
	}
}

// abandon gives back a start that may stand although nobody heard of it, so that it
// does not become uncertain. It asks once: who cannot be reached is left alone.
func (c *Client) abandon(ctx context.Context, r Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
	defer cancel()
	r.Wait, r.FailOpen = 0, false
	found, err := c.check(ctx, r, 1)
	if err == nil && found.Status == Execute {
		_ = c.Release(ctx, found.Lease, "the caller went away before it began") // it becomes uncertain, if this fails
	}
}

// bypass runs the work unguarded, and says so.
func (c *Client) bypass(ctx context.Context, r Request, work func(context.Context) (any, error), why error) (Outcome, error) {
	c.cfg.Log.WarnContext(ctx, "run-once cannot be asked, and this goes on unguarded", "key", r.Key, "scope", r.Scope, "error", why)
	out := Outcome{Ran: true, Bypassed: true}
	value, err := work(ctx)
	if err != nil {
		return out, err
	}
	out.Result, err = json.Marshal(value)
	return out, err
}

// running is a run that has the lease.
type running struct {
	lease Lease

	mu    sync.Mutex
	spent []Money // guarded by mu
}

type runningKey struct{}

// LeaseOf is the lease of the function that Do runs with ctx. Its generation is a
// fencing token for systems that take one. False: Do runs it unguarded, or not at all.
func LeaseOf(ctx context.Context) (Lease, bool) {
	r, ok := ctx.Value(runningKey{}).(*running)
	if !ok {
		return Lease{}, false
	}
	return r.lease, true
}

// Spent says what the function that Do runs with ctx really cost. A currency that is
// missing cost what was reserved. The last call counts.
func Spent(ctx context.Context, amounts ...Money) {
	if r, ok := ctx.Value(runningKey{}).(*running); ok {
		r.mu.Lock()
		r.spent = amounts
		r.mu.Unlock()
	}
}

// run does the work under a lease, and says how it went.
func (c *Client) run(ctx context.Context, r Request, l Lease, since time.Time, out Outcome, work func(context.Context) (any, error)) (Outcome, error) {
	after := context.WithoutCancel(ctx) // to settle what has begun
	if time.Since(since) > r.Lease/3 {  // it may be older than it looks
		since = time.Now()
		if _, err := c.extend(ctx, l, 0, 0); err != nil {
			return out, errors.Join(err, c.Release(after, l, "the lease was not extended before it began"))
		}
	}
	own := &running{lease: l}
	inside, lose := context.WithCancelCause(context.WithValue(ctx, runningKey{}, own))
	defer lose(nil)
	k := c.keep(after, l, r.Lease, since, lose)
	ended := false
	defer func() {
		if !ended { // a panic, or the end of the goroutine
			k.stop()
			_ = c.Doubt(after, l, "the work ended without a result") // it becomes uncertain by itself, if this fails
		}
	}()
	out.Ran = true
	value, err := work(inside)
	ended = true
	k.stop()
	if err != nil {
		return out, c.failed(after, l, err)
	}
	return c.done(after, own, out, value)
}

// failed says that the work ended with an error.
func (c *Client) failed(ctx context.Context, l Lease, err error) error {
	if _, proved := errors.AsType[notAppliedError](err); proved {
		return errors.Join(releasedError{err}, c.Release(ctx, l, err.Error()))
	}
	_ = c.Doubt(ctx, l, err.Error()) // it becomes uncertain by itself, if this fails
	return fmt.Errorf("record %s: %w: %w", l.ID, ErrUncertain, err)
}

// done says that the work was done.
func (c *Client) done(ctx context.Context, own *running, out Outcome, value any) (Outcome, error) {
	text, err := json.Marshal(value)
	if err == nil {
		own.mu.Lock()
		spent := own.spent
		own.mu.Unlock()
		out.Result = text
		if err = c.Complete(ctx, own.lease, out.Result, spent...); err == nil {
			return out, nil
		}
	}
	if !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrLeaseLost) {
		_ = c.Doubt(ctx, own.lease, "it was done, and that could not be recorded: "+err.Error()) // it becomes uncertain by itself, if this fails
	}
	return out, fmt.Errorf("record %s: %w: %w", own.lease.ID, ErrNotRecorded, err)
}
