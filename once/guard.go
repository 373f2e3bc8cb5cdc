package once

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

var (
	// ErrFenced means that a start was overtaken: its record is settled, or
	// belongs to a later start.
	ErrFenced = errors.New("this start no longer owns its record")
	errClosed = errors.New("guard closed")
)

// Guard makes submissions start at most once. It is safe for concurrent use
// and must be closed.
type Guard struct {
	store store.Store
	cfg   Config

	memory   atomic.Int64 // bytes of bodies and answers held
	spooled  atomic.Int64 // bytes of bodies that may be on disk
	load     load         // who runs and waits
	doubt    doubts       // how many uncertain records each principal has
	counts   counts
	stop     context.CancelFunc
	stopped  sync.WaitGroup
	mu       sync.Mutex
	runs     map[*run]struct{} // starts of this process, for their leases
	idle     chan struct{}     // closed when there are none any more; nil: nobody waits; guarded by mu
	givenUp  map[string]unused // by owner; guarded by mu, as runs and closed are
	closed   bool
	skew     atomic.Int64  // the store's clock less this one, in nanoseconds
	observed chan struct{} // bounds the look-ups of the report stage
	probes   probes
	looks    chan struct{}      // bounds how many who waited read the answer at one time
	statuses chan struct{}      // bounds how many status URLs are read at one time
	sleepers map[sleep]*sleeper // guarded by mu
}

// unused is a start that may stand in the store and that nobody will run.
type unused struct {
	id    string
	since time.Time
}

// New makes a Guard on st. Where st belongs to this process alone, whatever it
// holds as started was cut off by a crash and becomes uncertain now; so there
// must be one Guard at a time for each tenant of such a store. An error is of
// the configuration or of the store, and nothing is left running.
func New(ctx context.Context, st store.Store, cfg Config) (*Guard, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("once: %w", err)
	}
	g := &Guard{
		store: st, cfg: cfg.withDefaults(),
		runs: make(map[*run]struct{}), givenUp: make(map[string]unused),
		observed: make(chan struct{}, 64), looks: make(chan struct{}, 32), statuses: make(chan struct{}, 32), probes: probes{places: make(chan struct{}, maxProbes)},
		sleepers: make(map[sleep]*sleeper),
	}
	if st.Exclusive() {
		if err := g.recover(ctx); err != nil {
			return nil, fmt.Errorf("once: records of the last run: %w", err)
		}
	}
	if err := g.recount(ctx); err != nil {
		return nil, fmt.Errorf("once: uncertain records: %w", err)
	}
	background, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.stopped.Go(func() { g.every(background, g.cfg.Lease/3, g.renew) })
	g.stopped.Go(func() { g.every(background, g.cfg.Sweep, g.sweep) })
	g.stopped.Go(func() {
		g.every(background, counterRest/2, func(ctx context.Context) { _ = g.forgetCounters(ctx) }) // tried again
	})
	return g, nil
}

// Close ends the Guard's own work and gives up what still runs: those records
// become uncertain. Stop serving first: from here on nothing starts (503). The
// store stays open. The error is the store's, of one record that could not be
// written; such a record becomes uncertain when its lease ends. Each write
// takes Config.StoreTime at most, whatever ctx says. It may be called again.
func (g *Guard) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.stop()
	g.stopped.Wait()
	var writers errgroup.Group
	writers.SetLimit(upkeepWriters)
	for _, r := range g.running() {
		writers.Go(func() error {
			if err := r.doubt(ctx, "the process that ran it stopped meanwhile"); !errors.Is(err, ErrFenced) {
				return err
			}
			return nil
		})
	}
	return writers.Wait()
}

// background does work beside the requests, until Close waits for it; false
// means that it is too late.
func (g *Guard) background(work func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.stopped.Go(work)
	}
	return !g.closed
}

func (g *Guard) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

func (g *Guard) every(ctx context.Context, d time.Duration, work func(context.Context)) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			work(ctx)
		}
	}
}

func (g *Guard) running() []*run {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]*run, 0, len(g.runs))
	for r := range g.runs {
		out = append(out, r)
	}
	return out
}

// hold takes n bytes of the memory that bodies and answers may use, or says
// that there is not so much.
func (g *Guard) hold(n int64) bool {
	if g.memory.Add(n) <= g.cfg.Memory {
		return true
	}
	g.memory.Add(-n)
	return false
}

// holdBody is hold for what clients send. A quarter of the memory is left for
// answers, so that slow clients cannot take it from those who wait for one.
func (g *Guard) holdBody(n int64) bool {
	if g.memory.Add(n) <= g.cfg.Memory/4*3 {
		return true
	}
	g.memory.Add(-n)
	return false
}

func (g *Guard) letGo(n int64) { g.memory.Add(-n) }

// detached is a context for the store: what the client does must not decide
// whether a record is written.
func (g *Guard) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), g.cfg.StoreTime)
}

func (g *Guard) observe(ctx context.Context, d seeother.Decision) {
	d.Policy = "once"
	d.Time = time.Now()
	if g.cfg.Observe != nil {
		g.cfg.Observe(ctx, d)
	}
}

// finding is what a request found under its key.
type finding struct {
	verdict verdict
	record  store.Record // not for mayStart
	entry   entry
	now     time.Time
	run     *run // set when this request is the start
}

// start is what begin wants to write.
type start struct {
	id, group   string
	fresh       entry // what a new record holds; its generation is set by begin
	named       bool  // the owner is the caller's, who may come again with it
	onUncertain OnUncertain
	spends      []Spend
	audit       []byte
	input       []byte // what its fingerprint is made of; nil: not known yet
}

// begin starts the key or says what is there instead. With an error, the start
// may stand in the store all the same; a verdict beside it is what is known of
// the key.
func (g *Guard) begin(ctx context.Context, s start) (finding, error) {
	ctx, cancel := g.detached(ctx)
	defer cancel()
	fresh, onUncertain := s.fresh, s.onUncertain
	var before finding // what this start takes the place of; its version is 0 where there is nothing
	for {
		if g.isClosed() {
			return finding{}, errClosed
		}
		fresh.Generation, fresh.Started = before.entry.Generation+1, time.Now()
		var with []store.Op
		if before.verdict == uncertain { // what the try before has reserved is this one's
			fresh.Spent = before.entry.Spent
		} else {
			fresh.Spent, with = reserve(s.spends, g.now())
		}
		if before.verdict == uncertain && before.entry.Fingerprint != nil {
			fresh.Fingerprint = before.entry.Fingerprint // a retry is of the same body
		}
		reply, err := g.put(ctx, g.store.Apply, s.id, before.record.Version, StateStarted, s.group, fresh, append(with, g.audit(s.audit)...)...)
		if err == nil {
			return g.started(ctx, s, fresh, before, reply), nil
		}
		if conflict, ok := errors.AsType[*store.ConflictError](err); ok && conflict.Op > 0 {
			return finding{}, denied(s.spends, conflict.Op, conflict.Current)
		}
		found, err := g.found(err)
		if err != nil {
			return finding{}, err
		}
		if found.verdict == lost {
			known := found
			if found, err = g.expireLease(ctx, found); err != nil {
				return known, err
			}
		}
		if found.verdict != mayStart && (onUncertain != Retry || !g.retryable(found, s)) {
			return found, nil
		}
		before = found
	}
}

// started is the run whose record was just written in place of before.
func (g *Guard) started(ctx context.Context, s start, e entry, before finding, w written) finding {
	r := &run{guard: g, mu: newTurn(), id: s.id, group: s.group, entry: e, version: w.Version, ends: w.due, apply: g.store.Apply}
	if !e.Remote { // its lease is extended here
		g.mu.Lock()
		g.runs[r] = struct{}{}
		g.mu.Unlock()
	}
	if before.verdict == uncertain {
		g.doubt.add(before.record.Group, -1)
		g.counts.add("retried")
		g.observe(ctx, seeother.Decision{
			Action: "retried", Route: e.Route, Applied: true, Method: e.Method, Path: e.Path,
			Reason: "the outcome was uncertain, and the configuration says that the app drops repetitions", Record: s.id,
		})
	}
	return finding{verdict: mayStart, entry: e, now: w.now, run: r}
}

// retryable reports whether f is uncertain and the same submission as s, as
// far as that is known before the body's end.
func (g *Guard) retryable(f finding, s start) bool {
	if f.verdict != uncertain || f.record.State != StateUncertain {
		return false
	}
	old := early{sum: f.entry.Early, length: f.entry.Length}
	return !old.conflicts(early{sum: s.fresh.Early, length: s.fresh.Length}) &&
		(f.entry.Fingerprint == nil || s.input == nil || g.isPrint(f.entry.Fingerprint, s.input))
}

// written is what put returns.
type written struct {
	Version  uint64
	now, due time.Time
}

// put writes an entry, and does more in the same step; version 0 means that there
// must be no record.
func (g *Guard) put(ctx context.Context, apply Applier, id string, version uint64, state, group string, e entry, more ...store.Op) (written, error) {
	value, err := g.encode(id, state, e)
	if err != nil {
		return written{}, err
	}
	p := store.Put{State: state, Group: group, Value: value}
	p.DueIn, p.TTL = g.times(state, e)
	op := store.PutIfAbsent(Class, id, p)
	if version != 0 {
		op = store.PutIfVersion(Class, id, version, p)
	}
	reply, err := apply(ctx, g.cfg.Tenant, append([]store.Op{op}, more...)...)
	if err != nil {
		return written{}, err
	}
	g.tell(reply.Now)
	rec := reply.Records[0]
	return written{Version: rec.Version, now: reply.Now, due: rec.Due}, nil
}

// tell says what the store's clock showed a moment ago, and now what it shows.
func (g *Guard) tell(now time.Time) { g.skew.Store(int64(time.Until(now))) }
func (g *Guard) now() time.Time     { return time.Now().Add(time.Duration(g.skew.Load())) }

// ClassAudit is the class of the audit log, whose records are appended under
// the key AuditLog and never changed.
const (
	ClassAudit = "audit"
	AuditLog   = "log"
)

// audit is the operation that writes a line of the audit log; nil: none.
func (g *Guard) audit(line []byte) []store.Op {
	if line == nil {
		return nil
	}
	return []store.Op{store.Append(ClassAudit, AuditLog, store.Put{Value: line, TTL: g.cfg.AuditKept})}
}

// times says when a record is due and when it may be forgotten. What started
// and what is uncertain is never forgotten by itself.
func (g *Guard) times(state string, e entry) (due, ttl time.Duration) {
	switch state {
	case StateStarted:
		return e.lease(g.cfg), 0
	case StateCompleted:
		if e.Result != nil && len(e.Result.Cookies) > 0 && g.cfg.Cookies < g.cfg.Retention {
			return g.cfg.Cookies, e.tombstone(g.cfg)
		}
		return e.retention(g.cfg), e.tombstone(g.cfg)
	case StateReleased:
		return 0, e.tombstone(g.cfg)
	case StateUncertain:
		if e.Principal == kindBrowser { // its token is too old by then: nobody can send it again
			return 0, max(g.cfg.Tombstone, e.tombstone(g.cfg))
		}
	}
	return 0, 0
}

// found reads a conflict: what is there instead. Other errors are returned.
func (g *Guard) found(err error) (finding, error) {
	conflict, ok := errors.AsType[*store.ConflictError](err)
	if !ok {
		return finding{}, err
	}
	if conflict.Current == nil { // it was forgotten in between
		return finding{verdict: mayStart, now: conflict.Now}, nil
	}
	return g.read(*conflict.Current, conflict.Now)
}

func (g *Guard) read(rec store.Record, now time.Time) (finding, error) {
	e, err := g.decode(&rec)
	if err != nil {
		return finding{}, fmt.Errorf("record %s: %w", rec.Key, err)
	}
	e.Ended = e.ended(rec)
	return finding{verdict: arrive(&rec, now, g.wasGivenUp(e.Owner)), record: rec, entry: e, now: now}, nil
}

// expireLease turns a start whose lease is over into an uncertain one.
func (g *Guard) expireLease(ctx context.Context, f finding) (finding, error) {
	e := f.entry
	e.Reason = "the lease ended and nobody said how it went"
	e.Ended = f.now
	_, err := g.put(ctx, g.store.Apply, f.record.Key, f.record.Version, StateUncertain, f.record.Group, e)
	if err == nil {
		g.becameUncertain(ctx, f.record.Key, f.record.Group, e)
		rec, now, err := g.store.Get(ctx, g.cfg.Tenant, Class, f.record.Key)
		if err != nil {
			return finding{}, err
		}
		return g.read(rec, now)
	}
	again, err := g.found(err)
	if err == nil && again.verdict == lost { // extended, and over once more
		again.verdict = running
	}
	return again, err
}

// giveUp remembers that a start whose write may or may not have happened was
// never used, or was proved not to have reached the app, so that the key is
// not lost to it. The list is bounded: what does not fit becomes uncertain
// when its lease ends.
func (g *Guard) giveUp(owner, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.givenUp) < g.cfg.MaxActive {
		g.givenUp[owner] = unused{id: id, since: time.Now()}
	}
}

func (g *Guard) wasGivenUp(owner string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.givenUp[owner]
	return ok
}

func (g *Guard) becameUncertain(ctx context.Context, id, group string, e entry) {
	g.doubt.add(group, 1)
	g.counts.add("uncertain")
	g.observe(ctx, seeother.Decision{
		Action: "uncertain", Route: e.Route, Applied: true, Method: e.Method, Path: e.Path,
		Reason: e.Reason, Record: id,
	})
}
