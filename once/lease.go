package once

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/seeother/seeother/store"
)

// Lease is the right to do a task, and to say how it went. It is a value that
// may be handed to another process: whoever has it can use it on any Guard of
// the same store and tenant. Its Token is a secret.
type Lease struct {
	ID         string    // of the record
	Generation uint64    // grows with each start of the key
	Token      string    // random, one for each start
	Ends       time.Time // by the store's clock
}

// Done is how a task ended.
type Done struct {
	Result []byte           // kept for duplicates, up to Config.ResultLimit; a larger one is not kept
	Spent  map[string]int64 // by account, in millionths: what it really cost; an account that is missing cost what was reserved
	Audit  []byte           // a line of the audit log, written in the same step; nil: none
}

// Applier is a store's Apply, or one that works inside a transaction of the
// application's own.
type Applier func(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error)

// Extend makes the lease last for d from now, or for as long as before where d
// is 0. Errors: ErrFenced when the lease does not hold the record any more, the
// record is uncertain included; or the store's.
func (g *Guard) Extend(ctx context.Context, l Lease, d time.Duration) (Lease, error) {
	if d != 0 && (d < minLease || d > maxLease) {
		return Lease{}, fmt.Errorf("%w: lease %s: want %s to %s", ErrTask, d, minLease, maxLease)
	}
	r, err := g.held(ctx, l)
	if err != nil {
		return Lease{}, err
	}
	if d != 0 {
		r.entry.Lease = d
	}
	if err := r.extend(ctx); err != nil {
		return Lease{}, err
	}
	l.Ends = r.ends
	return l, nil
}

// Complete records that the task was done, durably. A lease that ran out may
// still complete, for as long as nobody else settled the record. To complete
// again with the same result does nothing and is no error. Errors: ErrFenced,
// or the store's, which leave open whether it is recorded: call it again.
func (g *Guard) Complete(ctx context.Context, l Lease, d Done) error {
	return g.CompleteVia(ctx, l, d, g.store.Apply)
}

// Keeps reports whether a result is small enough to be kept for duplicates.
func (g *Guard) Keeps(result []byte) bool { return int64(len(result)) <= g.cfg.ResultLimit }

// CompleteVia is Complete by another Applier: with the ApplyTx of a store that
// shares a database with the application, the record is committed together with
// the application's own changes, or not at all. The caller commits.
func (g *Guard) CompleteVia(ctx context.Context, l Lease, d Done, via Applier) error {
	r, err := g.held(ctx, l)
	if errors.Is(err, ErrFenced) && g.isDone(ctx, l, d) {
		return nil
	}
	if err != nil {
		return err
	}
	r.apply, r.audit = via, d.Audit
	return r.settle(ctx, StateCompleted, func(e *entry) {
		e.Result = &result{Replay: true, BodyKept: g.Keeps(d.Result)}
		if e.Result.BodyKept {
			e.body = d.Result
		}
		r.spends = settleUp(e.Spent, d.Spent)
	})
}

// Release records that the task was not done, and that this is proved: the next
// who asks may start it. What was reserved is given back. To release again does
// nothing and is no error. Errors as of Complete.
func (g *Guard) Release(ctx context.Context, l Lease, reason string, audit []byte) error {
	r, err := g.held(ctx, l)
	if errors.Is(err, ErrFenced) {
		if _, ok := g.settledBy(ctx, l, StateReleased); ok {
			return nil
		}
	}
	if err != nil {
		return err
	}
	r.audit, r.spends = audit, giveBack(r.entry.Spent)
	return r.settle(ctx, StateReleased, func(e *entry) { e.Reason, e.Spent = cut(reason), nil })
}

// Doubt records that nobody knows whether the task was done. What was reserved
// stays so. Errors as of Complete.
func (g *Guard) Doubt(ctx context.Context, l Lease, reason string, audit []byte) error {
	r, err := g.held(ctx, l)
	if err != nil {
		return err
	}
	r.audit = audit
	return r.doubt(ctx, cut(reason))
}

// held is the run whose lease l is. A lease that was overtaken is ErrFenced, and
// is recorded.
func (g *Guard) held(ctx context.Context, l Lease) (*run, error) {
	ctx, cancel := g.detached(ctx)
	defer cancel()
	rec, _, err := g.store.Get(ctx, g.cfg.Tenant, Class, l.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("record %s: %w: there is none", l.ID, ErrFenced)
	}
	if err != nil {
		return nil, err
	}
	f, err := g.read(rec, rec.Updated)
	if err != nil {
		return nil, err
	}
	r := &run{
		guard: g, mu: newTurn(), id: l.ID, group: rec.Group, entry: f.entry, version: rec.Version, ends: rec.Due,
		uncertain: rec.State == StateUncertain, apply: g.store.Apply,
	}
	if !sameText(f.entry.Owner, l.Token) || !finish(rec.State, f.entry, l.Generation, f.entry.Owner) {
		return nil, fmt.Errorf("record %s: %w", l.ID, r.fenced(ctx, fmt.Sprintf("generation %d came late: the record is %s, of generation %d", l.Generation, rec.State, f.entry.Generation)))
	}
	return r, nil
}

// isDone reports whether this lease has completed its record in this way before.
func (g *Guard) isDone(ctx context.Context, l Lease, d Done) bool {
	e, ok := g.settledBy(ctx, l, StateCompleted)
	return ok && (e.Result == nil || !e.Result.BodyKept || bytes.Equal(e.body, d.Result))
}

// settledBy gives the record that this lease brought to a state.
func (g *Guard) settledBy(ctx context.Context, l Lease, state string) (entry, bool) {
	rec, _, err := g.store.Get(ctx, g.cfg.Tenant, Class, l.ID)
	if err != nil || rec.State != state {
		return entry{}, false
	}
	e, err := g.decode(&rec)
	return e, err == nil && e.Generation == l.Generation && sameText(e.Owner, l.Token) && e.ResolvedBy == ""
}

// sameText compares secrets.
func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// cut bounds a text that a record keeps.
func cut(reason string) string {
	return reason[:min(len(reason), maxNote)]
}
