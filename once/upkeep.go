package once

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seeother/seeother/store"
)

// upkeepWriters is how many records upkeep writes at one time: enough for a
// store to sync them together, few enough to leave it to the requests.
const upkeepWriters = 64

// renew keeps what runs here from being taken for dead, and gives back what
// will not run.
func (g *Guard) renew(ctx context.Context) {
	g.extendAll(ctx)
	g.returnUnused(ctx)
}

// returnUnused releases the records of starts that were given up, so that
// other gateways, and requests after the lease, find the key free. A write
// that the store is still busy with may come late: an owner is kept in mind
// for two leases, and until the store could be asked.
func (g *Guard) returnUnused(ctx context.Context) {
	g.mu.Lock()
	all := maps.Clone(g.givenUp)
	g.mu.Unlock()
	var writers errgroup.Group
	writers.SetLimit(upkeepWriters)
	for owner, u := range all {
		writers.Go(func() error {
			if err := g.returnOne(ctx, owner, u.id); err == nil && time.Since(u.since) > 2*g.cfg.Lease {
				g.mu.Lock()
				delete(g.givenUp, owner)
				g.mu.Unlock()
			}
			return nil
		})
	}
	_ = writers.Wait()
}

// returnOne releases the record id if it is owner's start.
func (g *Guard) returnOne(ctx context.Context, owner, id string) error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.StoreTime)
	defer cancel()
	rec, _, err := g.store.Get(ctx, g.cfg.Tenant, Class, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e, err := g.decode(&rec)
	if err != nil || !finish(rec.State, e, e.Generation, owner) {
		return nil // not ours
	}
	e.Reason = "it was given up before it reached the app"
	if _, err = g.put(ctx, g.store.Apply, id, rec.Version, StateReleased, rec.Group, e); err == nil && rec.State == StateUncertain {
		g.doubt.add(rec.Group, -1)
	}
	if errors.Is(err, store.ErrConflict) {
		return nil // somebody took it over
	}
	return err
}

// extendAll renews the leases of all starts of this process. One that cannot
// be renewed is tried again at the next turn, and after that becomes uncertain.
func (g *Guard) extendAll(ctx context.Context) {
	var writers errgroup.Group
	writers.SetLimit(upkeepWriters)
	for _, r := range g.running() {
		writers.Go(func() error {
			_ = r.extend(ctx) // said above
			return nil
		})
	}
	_ = writers.Wait()
}

// sweep turns what is due into what comes next: a start without a lease is
// uncertain, an answer loses its cookies and, later, everything but the
// memory that the key was used.
func (g *Guard) sweep(ctx context.Context) {
	_ = g.eachDue(ctx, StateStarted, func(f finding) error {
		if f.verdict != lost {
			return nil // given up: returnUnused has it
		}
		_, err := g.expireLease(ctx, f)
		return err
	})
	_ = g.eachDue(ctx, StateCompleted, func(f finding) error { return g.age(ctx, f) })
	_ = g.recount(ctx)
}

// age drops from a completed record what its time is over for.
func (g *Guard) age(ctx context.Context, f finding) error {
	e, state := f.entry, StateCompleted
	e.Aged = true
	age := f.now.Sub(e.Ended)
	if age >= e.retention(g.cfg) || e.Result == nil {
		e.Result, e.body, state = nil, nil, StateExpired
	} else {
		e.Result.Cookies = nil
	}
	value, err := g.encode(f.record.Key, state, e)
	if err != nil {
		return err
	}
	p := store.Put{State: state, Group: f.record.Group, Value: value, TTL: max(e.tombstone(g.cfg)-age, time.Second)}
	if state == StateCompleted {
		p.DueIn = max(e.retention(g.cfg)-age, time.Second)
	}
	_, err = g.store.Apply(ctx, g.cfg.Tenant, store.PutIfVersion(Class, f.record.Key, f.record.Version, p))
	if errors.Is(err, store.ErrConflict) {
		return nil // somebody else did it
	}
	return err
}

// eachDue calls work for every record of state whose time has come.
func (g *Guard) eachDue(ctx context.Context, state string, work func(finding) error) error {
	q := store.Query{Partition: g.cfg.Tenant, Class: Class, State: state, DueBefore: time.Now()}
	return g.each(ctx, q, func(f finding) error {
		if f.record.Due.IsZero() || f.now.Before(f.record.Due) {
			return nil
		}
		return work(f)
	})
}

// recover makes uncertain whatever was running when the process before ended.
func (g *Guard) recover(ctx context.Context) error {
	q := store.Query{Partition: g.cfg.Tenant, Class: Class, State: StateStarted}
	return g.each(ctx, q, func(f finding) error {
		e := f.entry
		if e.Remote && f.verdict != lost {
			return nil // who has the lease may still be at it
		}
		e.Reason = "the process that ran it ended meanwhile"
		e.Ended = f.now
		_, err := g.put(ctx, g.store.Apply, f.record.Key, f.record.Version, StateUncertain, f.record.Group, e)
		return err
	})
}

// each lists records page by page and works on many at one time. A record that
// cannot be read is passed over, so that it does not hold up the others, and is
// the error at the end.
func (g *Guard) each(ctx context.Context, q store.Query, work func(finding) error) error {
	var unreadable atomic.Pointer[error]
	for {
		page, err := g.store.List(ctx, q)
		if err != nil {
			return err
		}
		var writers errgroup.Group
		writers.SetLimit(upkeepWriters)
		for _, rec := range page.Records {
			writers.Go(func() error {
				f, err := g.read(rec, page.Now)
				if err != nil {
					unreadable.Store(&err)
					return nil
				}
				return work(f)
			})
		}
		if err := writers.Wait(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if page.Cursor == "" {
			break
		}
		q.Cursor = page.Cursor
	}
	if err := unreadable.Load(); err != nil {
		return *err
	}
	return nil
}

// recount counts the uncertain records anew; other gateways on the same store
// make some, too.
func (g *Guard) recount(ctx context.Context) error {
	groups := make(map[string]int)
	q := store.Query{Partition: g.cfg.Tenant, Class: Class, State: StateUncertain}
	for {
		page, err := g.store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, rec := range page.Records {
			groups[rec.Group]++
		}
		if page.Cursor == "" {
			break
		}
		q.Cursor = page.Cursor
	}
	g.doubt.reset(groups)
	return nil
}
