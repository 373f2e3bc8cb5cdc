package once

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

// turn is a lock that is held while the store works. Simulated time (package
// testing/synctest) goes on while somebody waits for a channel, not for a Mutex.
type turn chan struct{}

func newTurn() turn    { return make(turn, 1) }
func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// run is one start of a key, in the hands of the request that made it. Its
// methods are safe for concurrent use; the first that settles wins.
type run struct {
	guard *Guard
	id    string
	group string

	mu      turn // held over the store's calls: one write at a time
	entry   entry
	version uint64
	settled bool
	lost    bool // refused once: its lease is not extended any more
	onLost  func()

	apply     Applier
	ends      time.Time  // of the lease
	uncertain bool       // it became so before this run came to settle it
	spends    []store.Op // what settling does to counters, in the same step
	audit     []byte     // and to the audit log
}

var errOtherBody = errors.New("the body differs from what came first with this key")

// setFingerprint puts the fingerprint on the record, when the body ended.
func (r *run) setFingerprint(ctx context.Context, sum []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.settled:
		return nil
	case r.entry.Fingerprint != nil: // of the try before, which this one repeats
		if !r.guard.isPrint(r.entry.Fingerprint, sum) {
			return errOtherBody
		}
		return nil
	}
	r.entry.Fingerprint = r.guard.print(sum)
	return r.write(ctx, StateStarted)
}

// extend renews the lease.
func (r *run) extend(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled || r.lost {
		return nil
	}
	err := r.write(ctx, StateStarted)
	if r.lost = errors.Is(err, ErrFenced); r.lost && r.onLost != nil {
		r.onLost()
	}
	return err
}

// complete records the app's answer.
func (r *run) complete(ctx context.Context, res result, body []byte, fingerprint []byte) error {
	return r.settle(ctx, StateCompleted, func(e *entry) {
		e.Result, e.body = &res, body
		if e.Fingerprint == nil {
			e.Fingerprint = r.guard.print(fingerprint)
		}
	})
}

// release records that the app did not run it.
func (r *run) release(ctx context.Context, reason string) error {
	return r.settle(ctx, StateReleased, func(e *entry) { e.Reason = reason })
}

// doubt records that nobody knows.
func (r *run) doubt(ctx context.Context, reason string) error {
	err := r.settle(ctx, StateUncertain, func(e *entry) { e.Reason = reason })
	if err == nil {
		r.guard.becameUncertain(ctx, r.id, r.group, r.entry)
	}
	return err
}

// settle ends the run in state. A store that fails leaves the record started:
// its lease ends, and it becomes uncertain. So no failure here turns into a
// second run.
func (r *run) settle(ctx context.Context, state string, change func(*entry)) error {
	defer r.forget()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled {
		return ErrFenced
	}
	r.settled = true
	r.entry.Ended = time.Now()
	change(&r.entry)
	err := r.write(ctx, state)
	if err == nil && state == StateCompleted { // the others are counted with their decision
		r.guard.counts.add(state)
	}
	return err
}

// write puts the entry in state, over the record as this run left it, or over
// what became of it without it: an extended lease, or an uncertain one.
func (r *run) write(ctx context.Context, state string) error {
	ctx, cancel := r.guard.detached(ctx)
	defer cancel()
	wasUncertain := r.uncertain
	if wasUncertain && state == StateStarted {
		return r.fenced(ctx, "the lease ended, and the record is uncertain")
	}
	for {
		done, err := r.guard.put(ctx, r.apply, r.id, r.version, state, r.group, r.entry, append(r.spends, r.guard.audit(r.audit)...)...)
		if err == nil {
			r.version, r.ends = done.Version, done.due
			if wasUncertain {
				r.guard.doubt.add(r.group, -1)
			}
			return nil
		}
		conflict, ok := errors.AsType[*store.ConflictError](err)
		if !ok {
			return err
		}
		if conflict.Op > 0 {
			r.spends = slices.Delete(r.spends, conflict.Op-1, conflict.Op) // the window is over, and its counter gone
			continue
		}
		if conflict.Current == nil {
			return r.fenced(ctx, "the record is gone")
		}
		current, err := r.guard.decode(conflict.Current)
		if err != nil {
			return err
		}
		if !finish(conflict.Current.State, current, r.entry.Generation, r.entry.Owner) {
			return r.fenced(ctx, "a later start or a settled record stands in its place")
		}
		wasUncertain = conflict.Current.State == StateUncertain
		if wasUncertain && state == StateStarted {
			return ErrFenced // a lease that was lost is not taken back; an outcome still may be
		}
		r.version = conflict.Current.Version
	}
}

// fenced records that an old start was refused.
func (r *run) fenced(ctx context.Context, reason string) error {
	r.guard.counts.add("fenced")
	r.guard.observe(ctx, seeother.Decision{
		Action: "fenced", Route: r.entry.Route, Applied: true, Method: r.entry.Method, Path: r.entry.Path,
		Reason: reason, Record: r.id,
	})
	return ErrFenced
}

func (r *run) forget() {
	r.guard.mu.Lock()
	defer r.guard.mu.Unlock()
	delete(r.guard.runs, r)
	if len(r.guard.runs) == 0 && r.guard.idle != nil {
		close(r.guard.idle)
		r.guard.idle = nil
	}
}
