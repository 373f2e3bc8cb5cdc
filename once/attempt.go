package once

import (
	"context"
	"net/http"
	"sync"
)

// Attempt is the one start of a guarded request. What carries the request to
// the app (a proxy's transport, say) reports on it how far the request came;
// the last word counts, but doubt is never taken back by a later proof.
// Methods are safe for concurrent use.
type Attempt struct {
	record string
	told   func() bool // whether the client was told to come back; nil: it waits

	mu        sync.Mutex
	outcome   outcome
	reason    string
	cancelled bool // its sender did, and the app's request was cut off
}

type attemptKey struct{}

// AttemptFrom returns the Attempt that ctx belongs to, or nil when the request
// is not guarded.
func AttemptFrom(ctx context.Context) *Attempt {
	a, _ := ctx.Value(attemptKey{}).(*Attempt)
	return a
}

// Record is the id of the run-once record that the start is kept under.
func (a *Attempt) Record() string { return a.record }

// Told reports whether the client was answered already, with where its own answer
// will be: what the app answers will be seen at another address than was asked for.
func (a *Attempt) Told() bool { return a.told != nil && a.told() }

// NotApplied says that it is proved that the app did not see the request: no
// connection could be opened, or not one byte was written. It is believed of
// answers from 400 on: one below that came from an app, whatever a try before
// it met. A handler that tries another app afterwards must not call it.
func (a *Attempt) NotApplied(reason string) { a.say(outcomeReleased, reason) }

// Doubt says that the app may have seen the request and did not answer whole.
func (a *Attempt) Doubt(reason string) { a.say(outcomeUncertain, reason) }

func (a *Attempt) say(o outcome, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.outcome != outcomeUncertain {
		a.outcome, a.reason = o, reason
	}
}

// said is the last word about an answer with this status; 0: there was none.
func (a *Attempt) said(status int) (outcome, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.outcome == outcomeReleased && status != 0 && status < http.StatusBadRequest {
		return outcomeCompleted, ""
	}
	return a.outcome, a.reason
}

func (a *Attempt) cancel() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancelled = true
}

// cutOff is true when the app was cut off, and has not answered with this status
// before; 0: not at all.
func (a *Attempt) cutOff(status int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cancelled && (status == 0 && a.outcome != outcomeReleased || a.outcome == outcomeUncertain)
}

// reasonFor is why nobody knows what came of it.
func (a *Attempt) reasonFor(doubt string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cancelled {
		return cancelledReason
	}
	return doubt
}
