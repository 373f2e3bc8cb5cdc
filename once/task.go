package once

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/seeother/seeother/store"
)

var (
	// ErrTask means that a Task cannot be begun as it is: the text says why.
	ErrTask = errors.New("invalid task")
	// ErrInFlight means that somebody else does it at this moment.
	ErrInFlight = errors.New("somebody else is doing it")
	// ErrUncertain means that it was begun, and nobody knows what became of it.
	ErrUncertain = errors.New("nobody knows whether it was done")
	// ErrMismatch means that the key was used before, with another input.
	ErrMismatch = errors.New("the key was used for something else")
	// ErrNotKept means that it was done before, and the result is not kept.
	ErrNotKept = errors.New("it was done before, and its result is not kept")
	// ErrDoubtful means that too many tasks are uncertain, so that no other one
	// starts: resolve some.
	ErrDoubtful = errors.New("too much is uncertain")
	// ErrDenied means that a spend cap leaves no room for it. The error is a
	// *DeniedError.
	ErrDenied = errors.New("denied")
)

// Task is work that code wants to be done at most once. The zero value of each
// field but Key is fine.
type Task struct {
	Key       string // 1 to MaxKey bytes: what makes two attempts the same task
	Scope     string // a keyspace of its own, 200 bytes at most
	Principal string // on whose behalf; the same key of another principal is another task
	Name      string // what it is, for operators

	// Input is the fingerprint of what the task is given: the same key with
	// another one is ErrMismatch. Nil: not compared.
	Input []byte

	// Token becomes the Lease's: a caller whose Begin was answered to nobody asks
	// again with the same Token, and gets the same lease. It must be a new random
	// text for each attempt, of 16 to MaxScope bytes. Empty: Begin makes one.
	Token string

	Lease     time.Duration // Config.Lease where 0: how long it counts as under way after the last Extend
	Retention time.Duration // Config.Retention where 0: how long the result is kept
	Tombstone time.Duration // Config.Tombstone where 0: how long it is known that it was done
	Wait      time.Duration // how long Begin waits for somebody else who is doing it; not at all where 0

	OnUncertain OnUncertain
	Spend       []Spend // reserved in the same step as the start
	Audit       []byte  // a line of the audit log, written in the same step; nil: none
}

// Limits of a Task.
const (
	MaxScope  = 200                 // bytes of a scope, a principal, a name
	MaxInput  = 64                  // bytes of a fingerprint
	MaxSpends = 8                   // spend caps of one task
	minToken  = 16                  // bytes of a lease's token
	minLease  = time.Second         // a shorter one is over before anybody could extend it
	maxLease  = 30 * 24 * time.Hour // of a lease
	maxKept   = 10 * 365 * 24 * time.Hour
)

// Validate reports everything that is wrong with the task, joined into one
// error that is ErrTask.
func (t Task) Validate() error {
	var errs []error
	if len(t.Key) == 0 || len(t.Key) > MaxKey {
		errs = append(errs, fmt.Errorf("key of %d bytes: want 1 to %d", len(t.Key), MaxKey))
	}
	for _, f := range []struct{ name, text string }{{"scope", t.Scope}, {"principal", t.Principal}, {"name", t.Name}} {
		if len(f.text) > MaxScope {
			errs = append(errs, fmt.Errorf("%s of %d bytes: want at most %d", f.name, len(f.text), MaxScope))
		}
	}
	if t.Token != "" && (len(t.Token) < minToken || len(t.Token) > MaxScope) {
		errs = append(errs, fmt.Errorf("token of %d bytes: want %d to %d", len(t.Token), minToken, MaxScope))
	}
	if len(t.Input) > MaxInput {
		errs = append(errs, fmt.Errorf("input of %d bytes: want a hash of at most %d", len(t.Input), MaxInput))
	}
	for _, d := range []struct {
		name        string
		value       time.Duration
		least, most time.Duration
	}{
		{"lease", t.Lease, minLease, maxLease},
		{"retention", t.Retention, time.Second, maxKept},
		{"tombstone", t.Tombstone, time.Second, maxKept},
		{"wait", t.Wait, 0, time.Hour},
	} {
		if d.value != 0 && (d.value < d.least || d.value > d.most) {
			errs = append(errs, fmt.Errorf("%s %s: want %s to %s", d.name, d.value, d.least, d.most))
		}
	}
	errs = append(errs, checkSpends(t.Spend))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrTask, err)
	}
	return nil
}

// Status is what Begin found.
type Status uint8

// What a Found says.
const (
	Execute   Status = iota + 1 // the caller has the lease: it does the work
	Duplicate                   // it was done before
	InFlight                    // somebody else is doing it
	Uncertain                   // nobody knows
)

// String is the status as the service's API says it.
func (s Status) String() string {
	switch s {
	case Execute:
		return "execute"
	case Duplicate:
		return "duplicate"
	case InFlight:
		return "in-flight"
	}
	return "uncertain"
}

// Found is what Begin found under a task's key.
type Found struct {
	Status Status
	ID     string // of the record, for operators and logs
	Lease  Lease  // of Execute

	Result []byte    // of a Duplicate, when Kept
	Kept   bool      // false: the result was not kept, or no longer is
	First  time.Time // when it was begun
	Ends   time.Time // of InFlight and Execute: when the lease ends
	Reason string    // of Uncertain: what is known

	Repeated bool // of Execute: the caller's own start, whose answer was lost; see Task.Token
}

// Err is nil for Execute and for a Duplicate whose result is kept; else it is
// ErrInFlight, ErrUncertain or ErrNotKept.
func (f Found) Err() error {
	switch {
	case f.Status == Execute, f.Status == Duplicate && f.Kept:
		return nil
	case f.Status == Duplicate:
		return ErrNotKept
	case f.Status == InFlight:
		return fmt.Errorf("record %s: %w", f.ID, ErrInFlight)
	}
	return fmt.Errorf("record %s: %w: %s", f.ID, ErrUncertain, f.Reason)
}

// Begin starts a task, or says what is there instead. The start is durable
// before Begin returns; whoever gets Execute does the work and ends it with
// Complete, Release or Doubt. Nobody extends the lease but the caller. When it
// runs out, or this process ends, the task is uncertain until the same lease
// completes it after all, or an operator resolves it.
//
// Errors: ErrTask, ErrMismatch, ErrDenied, or the store's; with one of the
// store's, the start may stand all the same, and the key counts as in flight
// until its lease ends.
func (g *Guard) Begin(ctx context.Context, t Task) (Found, error) {
	found, _, err := g.beginTask(ctx, t, true)
	return found, err
}

// beginTask is Begin, and the run that it started, if it did. remote says that
// the lease is in the hands of somebody who may outlive this process.
func (g *Guard) beginTask(ctx context.Context, t Task, remote bool) (Found, *run, error) {
	if err := t.Validate(); err != nil {
		return Found{}, nil, err
	}
	want := g.startOf(t, remote)
	deadline := time.Now().Add(t.Wait)
	for {
		found, err := g.lookTask(ctx, want)
		if err != nil {
			return Found{ID: want.id}, nil, fmt.Errorf("record %s: %w", want.id, err)
		}
		out := g.foundTask(want.id, found)
		if out.Status == InFlight && t.Token != "" && sameText(found.entry.Owner, t.Token) {
			out.Status, out.Repeated = Execute, true
			out.Lease = Lease{ID: want.id, Generation: found.entry.Generation, Token: t.Token, Ends: out.Ends}
			return out, nil, nil
		}
		if out.Status != InFlight || !g.awaitUntil(ctx, found, deadline) {
			return out, found.run, nil
		}
	}
}

func (g *Guard) startOf(t Task, remote bool) start {
	group := taskGroup(t.Principal)
	return start{
		id: g.ID(t), group: group, named: t.Token != "", onUncertain: t.OnUncertain, spends: t.Spend, audit: t.Audit, input: t.Input,
		fresh: entry{
			Owner: cmp.Or(t.Token, randomOwner()), Length: -1, Fingerprint: g.print(t.Input), KeyHash: HashKey(t.Key), Path: t.Name, Route: t.Principal, Principal: "task",
			Task: true, Remote: remote, Lease: t.Lease, Retention: t.Retention, Tombstone: t.Tombstone,
		},
	}
}

// lookTask starts the task or finds what is there. Where too much is uncertain
// already, nothing starts that could become so.
func (g *Guard) lookTask(ctx context.Context, want start) (finding, error) {
	mine, all := g.doubt.get(want.group)
	if mine >= g.cfg.MaxUncertainPerPrincipal || all >= g.cfg.MaxUncertain {
		found, err := g.lookAt(ctx, want.id)
		if err == nil && (found.verdict == mayStart || want.onUncertain == Retry && found.verdict == uncertain) {
			err = ErrDoubtful
		}
		if err != nil {
			return finding{}, err
		}
		return found, g.sameInput(found, want)
	}
	found, err := g.begin(ctx, want)
	if err != nil {
		if !want.named && !errors.Is(err, ErrDenied) && !errors.Is(err, errClosed) { // it may stand in the store, and nobody can have the lease
			g.giveUp(want.fresh.Owner, want.id)
		}
		return finding{}, err
	}
	return found, g.sameInput(found, want)
}

// lookAt is what a record says, mayStart where there is none.
func (g *Guard) lookAt(ctx context.Context, id string) (finding, error) {
	ctx, cancel := g.detached(ctx)
	defer cancel()
	rec, now, err := g.store.Get(ctx, g.cfg.Tenant, Class, id)
	if errors.Is(err, store.ErrNotFound) {
		return finding{verdict: mayStart, now: now}, nil
	}
	if err != nil {
		return finding{}, err
	}
	found, err := g.read(rec, now)
	if err == nil && found.verdict == lost {
		return g.expireLease(ctx, found)
	}
	return found, err
}

// sameInput is ErrMismatch where the record is of another input.
func (g *Guard) sameInput(f finding, want start) error {
	if f.run == nil && f.entry.Fingerprint != nil && want.input != nil && !g.isPrint(f.entry.Fingerprint, want.input) {
		return ErrMismatch
	}
	return nil
}

// Look says what is known of a task without starting it. Its Status is 0 where
// nothing is, or where it was released: it may start.
func (g *Guard) Look(ctx context.Context, t Task) (Found, error) {
	if err := t.Validate(); err != nil {
		return Found{}, err
	}
	want := g.startOf(t, true)
	found, err := g.lookAt(ctx, want.id)
	if err == nil && found.verdict != mayStart {
		err = g.sameInput(found, want)
	}
	if err != nil {
		return Found{ID: want.id}, fmt.Errorf("record %s: %w", want.id, err)
	}
	return g.foundTask(want.id, found), nil
}

// ID is the record that a task has, or would have.
func (g *Guard) ID(t Task) string { return taskKey(g.cfg.Tenant, t) }

// taskKey is the name of a task's record; see recordKey.
func taskKey(tenant string, t Task) string {
	h := sha256.New()
	writeParts(h, "task", tenant, t.Principal, t.Scope, t.Key)
	return recordNames.EncodeToString(h.Sum(nil))
}

// taskGroup is whose caps count.
func taskGroup(principal string) string { return "task " + HashKey(principal) }

// Mark begins and completes a task in one step, without a result: it is what a
// lock does that is taken and never given back. Who is first gets Execute, without
// a lease, and everybody else Duplicate. A crash right after it looks like a
// duplicate to whoever asks again: where that matters, use Begin.
func (g *Guard) Mark(ctx context.Context, t Task) (Found, error) {
	if err := t.Validate(); err != nil {
		return Found{}, err
	}
	want := g.startOf(t, true)
	e := want.fresh
	e.Result = &result{Replay: true}
	version, generation := uint64(0), uint64(0)
	ctx, cancel := g.detached(ctx)
	defer cancel()
	for {
		e.Generation, e.Started, e.Ended = generation+1, time.Now(), time.Now()
		_, err := g.put(ctx, g.store.Apply, want.id, version, StateCompleted, want.group, e, g.audit(t.Audit)...)
		if err == nil {
			g.counts.add("marked")
			return Found{Status: Execute, ID: want.id, First: e.Started}, nil
		}
		found, err := g.found(err)
		if err != nil {
			return Found{ID: want.id}, fmt.Errorf("record %s: %w", want.id, err)
		}
		if found.verdict != mayStart {
			return Found{Status: Duplicate, ID: want.id, First: found.entry.Started}, nil
		}
		version, generation = found.record.Version, found.entry.Generation
	}
}

// awaitUntil is true when the record has changed before the deadline, or its lease
// is over.
func (g *Guard) awaitUntil(ctx context.Context, f finding, deadline time.Time) bool {
	if !time.Now().Before(deadline) {
		return false
	}
	short, cancel := context.WithDeadline(ctx, f.until(deadline))
	defer cancel()
	err := g.await(short, sleep{f.record.Key, f.record.Version})
	return err == nil || errors.Is(err, store.ErrNotFound) || short.Err() != nil && ctx.Err() == nil && time.Now().Before(deadline)
}

// until is when to look at what runs again, and the deadline at the latest: a lease
// that runs out changes nothing in the store, and wakes nobody.
func (f finding) until(deadline time.Time) time.Time {
	over := time.Now().Add(max(f.record.Due.Sub(f.now), 0) + leaseSlack)
	if f.record.Due.IsZero() || over.After(deadline) {
		return deadline
	}
	return over
}

// leaseSlack is how long after its end a lease is looked at.
const leaseSlack = 20 * time.Millisecond

func (g *Guard) foundTask(id string, f finding) Found {
	out := Found{ID: id, First: f.entry.Started}
	switch f.verdict {
	case mayStart:
		if f.run == nil {
			return Found{ID: id}
		}
		out.Status, out.Ends = Execute, f.run.ends
		out.Lease = Lease{ID: id, Generation: f.entry.Generation, Token: f.entry.Owner, Ends: f.run.ends}
	case running:
		out.Status, out.Ends = InFlight, f.record.Due
	case completed, expired:
		out.Status = Duplicate
		if res := f.entry.Result; res != nil && res.BodyKept && f.now.Sub(f.entry.Ended) < f.entry.retention(g.cfg) {
			out.Result, out.Kept = f.entry.body, true
		}
	default:
		out.Status, out.Reason = Uncertain, f.entry.Reason
	}
	return out
}
