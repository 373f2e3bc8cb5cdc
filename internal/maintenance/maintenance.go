package maintenance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/store"
)

// Class is the class of the record, and Key its key.
const (
	Class = "maintenance"
	Key   = "gateway"
)

const (
	poll      = time.Second     // a change is seen after this at the latest, also where Wait does not wake
	storeTime = 5 * time.Second // for one call of the store
	tries     = 5               // of a change that others change meanwhile
)

// Maintenance knows whether the site is down on purpose. It is safe for
// concurrent use, and must be closed.
type Maintenance struct {
	store     store.Store
	partition string
	log       *slog.Logger
	current   atomic.Pointer[snapshot]
	stop      context.CancelFunc
	done      sync.WaitGroup

	asking sync.Mutex // held while the store is asked, so that current is what was read last

	mu    sync.Mutex // guards what follows; taken after asking
	told  bool       // the log says that it is on
	blind bool       // the store could not be read last
}

// Status is what holds and what is planned. Now is the store's clock.
type Status struct {
	Now         time.Time
	Active      bool
	On, Planned *Window // nil: none
}

// New reads what holds, and follows it until Close. An error is of the store:
// a gateway that does not know must not open a site that is being worked on.
func New(ctx context.Context, st store.Store, partition string, log *slog.Logger) (*Maintenance, error) {
	m := &Maintenance{store: st, partition: partition, log: log}
	if _, _, err := m.read(ctx); err != nil {
		return nil, fmt.Errorf("maintenance: %w", err)
	}
	m.announce()
	background, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.done.Go(func() { m.follow(background) })
	return m, nil
}

// Close ends what New began. The store stays open.
func (m *Maintenance) Close() {
	m.stop()
	m.done.Wait()
}

// View is what holds now; false means nothing. It costs no look at the store.
func (m *Maintenance) View() (View, bool) {
	s := m.current.Load()
	if s.On == nil && s.Planned == nil {
		return View{}, false
	}
	return s.view(time.Now())
}

// Active reports whether the site is down on purpose now.
func (m *Maintenance) Active() bool {
	v, _ := m.View()
	return v.Active
}

// Status asks the store.
func (m *Maintenance) Status(ctx context.Context) (Status, error) {
	s, now, err := m.read(ctx)
	if err != nil {
		return Status{}, err
	}
	return s.status(now), nil
}

func (s *snapshot) status(now time.Time) Status {
	out := Status{Now: now, Active: s.On.at(now) || s.Planned.at(now)}
	for _, pair := range []struct {
		from *window
		to   **Window
	}{{s.On, &out.On}, {s.Planned, &out.Planned}} {
		if pair.from != nil && !pair.from.over(now) {
			*pair.to = pair.from.shown()
		}
	}
	return out
}

// On begins maintenance now, in place of one that was switched on before. The
// token is the secret that o asked for; it is not kept, and cannot be had again.
func (m *Maintenance) On(ctx context.Context, o Order) (_ Status, token string, err error) {
	status, err := m.change(ctx, func(s *state, now time.Time) error {
		s.On, token, err = o.window(now, false)
		return err
	})
	return status, token, err
}

// Off ends the maintenance that holds, planned or not. One that is planned for
// later stays.
func (m *Maintenance) Off(ctx context.Context) (Status, error) {
	return m.change(ctx, func(s *state, now time.Time) error {
		s.On = nil
		if s.Planned.at(now) {
			s.Planned = nil
		}
		return nil
	})
}

// Schedule plans maintenance, in place of what was planned. Errors and the
// token are as of On.
func (m *Maintenance) Schedule(ctx context.Context, o Order) (_ Status, token string, err error) {
	status, err := m.change(ctx, func(s *state, now time.Time) error {
		if s.Planned.at(now) {
			return fmt.Errorf("%w: the planned one runs now; end it first", ErrOrder)
		}
		s.Planned, token, err = o.window(now, true)
		return err
	})
	return status, token, err
}

// Cancel drops what is planned, and ends it if it has begun.
func (m *Maintenance) Cancel(ctx context.Context) (Status, error) {
	return m.change(ctx, func(s *state, _ time.Time) error {
		s.Planned = nil
		return nil
	})
}

// change reads the record, edits it and writes it, until nobody comes between.
func (m *Maintenance) change(ctx context.Context, edit func(*state, time.Time) error) (Status, error) {
	m.asking.Lock()
	defer m.asking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	for range tries {
		before, now, err := m.get(ctx)
		if err != nil {
			return Status{}, err
		}
		next := before.state
		next.drop(now)
		if err := edit(&next, now); err != nil {
			return Status{}, err
		}
		status, err := m.write(ctx, next, before.version)
		if !errors.Is(err, store.ErrConflict) {
			return status, err
		}
	}
	return Status{}, fmt.Errorf("maintenance: %w", store.ErrConflict)
}

// drop forgets what is over.
func (s *state) drop(now time.Time) {
	if s.On != nil && s.On.over(now) {
		s.On = nil
	}
	if s.Planned != nil && s.Planned.over(now) {
		s.Planned = nil
	}
}

func (m *Maintenance) write(ctx context.Context, next state, version uint64) (Status, error) {
	value, err := json.Marshal(next)
	if err != nil {
		return Status{}, err
	}
	put := store.Put{State: next.name(), Value: value}
	op := store.PutIfVersion(Class, Key, version, put)
	if version == 0 {
		op = store.PutIfAbsent(Class, Key, put)
	}
	reply, err := m.store.Apply(ctx, m.partition, op)
	if err != nil {
		return Status{}, err
	}
	s := newSnapshot(next, reply.Records[0].Version, reply.Now, time.Now())
	m.current.Store(s)
	m.announce()
	return s.status(reply.Now), nil
}

// read asks the store, and uses what it says from now on.
func (m *Maintenance) read(ctx context.Context) (*snapshot, time.Time, error) {
	m.asking.Lock()
	defer m.asking.Unlock()
	return m.get(ctx)
}

// get is read for who holds asking.
func (m *Maintenance) get(ctx context.Context) (*snapshot, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	begin := time.Now()
	rec, now, err := m.store.Get(ctx, m.partition, Class, Key)
	local := begin.Add(time.Since(begin) / 2) // the store looked at its clock somewhere in between
	var s state
	switch {
	case errors.Is(err, store.ErrNotFound):
		rec.Version = 0
	case err != nil:
		return nil, now, err
	default:
		if s, err = decode(rec.Value); err != nil {
			return nil, now, err
		}
	}
	out := newSnapshot(s, rec.Version, now, local)
	m.current.Store(out)
	return out, now, nil
}

// follow sees what other gateways change, and tells when a window begins or
// ends.
func (m *Maintenance) follow(ctx context.Context) {
	for ctx.Err() == nil {
		m.await(ctx)
		_, _, err := m.read(ctx)
		m.tell(ctx, err)
		m.announce()
	}
}

// await returns when the record changed, a window begins or ends, or it is time
// to look again.
func (m *Maintenance) await(ctx context.Context) {
	s := m.current.Load()
	ctx, cancel := context.WithTimeout(ctx, s.next(time.Now(), poll))
	defer cancel()
	_, _, err := m.store.Wait(ctx, m.partition, Class, Key, s.version)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		<-ctx.Done() // a store that is down is not asked in a tight loop
	}
}

// tell logs when the store cannot be read, once, and when it can again. What
// was known stays in force.
func (m *Maintenance) tell(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil && !m.blind:
		m.log.Warn("maintenance cannot be read from the store: what was known stays in force", "error", err)
	case err == nil && m.blind:
		m.log.Info("maintenance can be read from the store again")
	}
	m.blind = err != nil
}

// announce logs when maintenance began or ended.
func (m *Maintenance) announce() {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, _ := m.View()
	if v.Active == m.told {
		return
	}
	m.told = v.Active
	if !v.Active {
		m.log.Info("maintenance is over: requests go to the app again")
		return
	}
	until := "somebody ends it"
	if !v.Until.IsZero() {
		until = stamp(v.Until)
	}
	m.log.Warn("maintenance is on: requests do not reach the app", "until", until, "reason", v.Reason)
}
