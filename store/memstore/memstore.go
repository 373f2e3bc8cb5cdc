// Package memstore is a store in this process's memory: for tests, and for
// `--store memory:` where forgetting everything at a restart is acceptable.
// Nothing in it is durable: when the process ends, however it ends, all records
// are gone, and a submission that already ran can run again. It keeps
// everything else that the store contract says, with one lock and one map.
package memstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// Defaults of Options.
const (
	DefaultMaxRecords = 1_000_000
	DefaultMaxBytes   = 1 << 30
)

// ErrFull means that a write would go over MaxRecords or MaxBytes. Nothing was
// changed, and nothing that is remembered is dropped to make room.
var ErrFull = errors.New("store full")

// Options bound a Store. The zero value means the defaults.
type Options struct {
	MaxRecords int              // records, expired ones that are not yet removed excepted
	MaxBytes   int              // bytes of values and names
	Now        func() time.Time // the store's clock; nil: time.Now
}

// Store is a store.Store in memory. Make it with New or NewWith.
type Store struct {
	opts   Options
	hub    wake.Hub
	closed chan struct{}

	mu      sync.RWMutex // guards what follows
	over    bool         // closed
	records map[id]store.Record
	version uint64 // the last one given
	bytes   int    // of all records
	sweepAt int    // sweep when there are so many records
	swept   time.Time
}

type id struct{ partition, class, key string }

// New returns an empty store with the default limits.
func New() *Store { return NewWith(Options{}) }

// NewWith returns an empty store.
func NewWith(o Options) *Store {
	o.MaxRecords = cmp.Or(o.MaxRecords, DefaultMaxRecords)
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{opts: o, closed: make(chan struct{}), records: make(map[id]store.Record), sweepAt: minSweep}
}

// A sweep is worth it from minSweep records on; a full store sweeps at most
// once in sweepPause, so that refusing stays cheap.
const (
	minSweep   = 1024
	sweepPause = time.Second
)

func (s *Store) now() time.Time { return contract.Instant(s.opts.Now()) }

// begin says whether a call may go on. Hold mu.
func (s *Store) begin(ctx context.Context) error {
	if s.over {
		return store.ErrClosed
	}
	return ctx.Err()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	if err := contract.CheckKey(partition, class, key); err != nil {
		return store.Record{}, s.now(), err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	if err := s.begin(ctx); err != nil {
		return store.Record{}, now, err
	}
	r, ok := s.records[id{partition, class, key}]
	if !ok || !contract.Live(&r, now) {
		return store.Record{}, now, store.ErrNotFound
	}
	return contract.Clone(r), now, nil
}

// Apply implements store.Store; nothing is durable.
func (s *Store) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if err := contract.CheckApply(partition, ops); err != nil {
		return store.Reply{Now: s.now()}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	reply := store.Reply{Now: now}
	if err := s.begin(ctx); err != nil {
		return reply, err
	}
	steps, err := contract.Plan(partition, ops, now, s.source(partition))
	if err != nil {
		return reply, err
	}
	if err := s.room(steps, now); err != nil {
		return reply, err
	}
	for _, step := range steps {
		s.do(step)
		reply.Records = append(reply.Records, contract.Clone(step.Record))
	}
	return reply, nil
}

// source lets Plan read the records. Hold mu.
func (s *Store) source(partition string) contract.Source {
	return contract.Source{
		Get: func(class, key string) (*store.Record, error) {
			if r, ok := s.records[id{partition, class, key}]; ok {
				return &r, nil
			}
			return nil, nil
		},
		Version: func() uint64 { s.version++; return s.version },
	}
}

// do carries out one step. Hold mu.
func (s *Store) do(step contract.Step) {
	r := step.Record
	k := id{r.Partition, r.Class, r.Key}
	s.drop(k)
	if !step.Delete {
		s.records[k] = contract.Clone(r)
		s.bytes += size(&r)
	}
	s.hub.Ring(wake.Key{Partition: r.Partition, Class: r.Class, Key: r.Key})
}

// drop removes a record, if it is there. Hold mu.
func (s *Store) drop(k id) {
	if old, ok := s.records[k]; ok {
		s.bytes -= size(&old)
		delete(s.records, k)
	}
}

// room returns ErrFull when steps do not fit, even without what has expired.
// Hold mu.
func (s *Store) room(steps []contract.Step, now time.Time) error {
	fits := s.fits(steps)
	if len(s.records) >= s.sweepAt || !fits && now.Sub(s.swept).Abs() >= sweepPause {
		s.sweep(now)
		fits = s.fits(steps)
	}
	if fits {
		return nil
	}
	return fmt.Errorf("%w: at most %d records and %d bytes", ErrFull, s.opts.MaxRecords, s.opts.MaxBytes)
}

// fits always lets through what does not make the store larger, so that a full
// one can still settle and delete what it has. Hold mu.
func (s *Store) fits(steps []contract.Step) bool {
	records, bytes := 0, 0
	for i := range steps {
		r := &steps[i].Record
		if old, ok := s.records[id{r.Partition, r.Class, r.Key}]; ok {
			records--
			bytes -= size(&old)
		}
		if !steps[i].Delete {
			records++
			bytes += size(r)
		}
	}
	return (records <= 0 || len(s.records)+records <= s.opts.MaxRecords) &&
		(bytes <= 0 || s.bytes+bytes <= s.opts.MaxBytes)
}

// sweep removes what has expired, and lets the store double before the next
// sweep, so that each write pays a constant share of it. Hold mu.
func (s *Store) sweep(now time.Time) {
	for k, r := range s.records {
		if !contract.Live(&r, now) {
			s.drop(k)
		}
	}
	s.sweepAt, s.swept = max(minSweep, 2*len(s.records)), now
}

func size(r *store.Record) int {
	return len(r.Partition) + len(r.Class) + len(r.Key) + len(r.State) + len(r.Group) + len(r.Value)
}

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	k := wake.Key{Partition: partition, Class: class, Key: key}
	return s.hub.Until(ctx, s.closed, k, version, func(ctx context.Context) (store.Record, time.Time, error) {
		return s.Get(ctx, partition, class, key)
	})
}

// List implements store.Store. It looks at every record: fit for what fits in
// memory.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	page := store.Page{Now: s.now()}
	if err := contract.CheckQuery(q); err != nil {
		return page, err
	}
	after, started, err := contract.After(&q)
	if err != nil {
		return page, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	page.Now = s.now()
	if err := s.begin(ctx); err != nil {
		return page, err
	}
	var found []store.Record
	for k, r := range s.records {
		if k.partition == q.Partition && k.class == q.Class && contract.Matches(&q, &r, page.Now) &&
			(!started || contract.PositionOf(&q, &r).Compare(after) > 0) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b store.Record) int {
		return contract.PositionOf(&q, &a).Compare(contract.PositionOf(&q, &b))
	})
	fillPage(&page, &q, found)
	return page, nil
}

func fillPage(page *store.Page, q *store.Query, found []store.Record) {
	bytes := 0
	for i := range found {
		bytes += len(found[i].Value)
		if i == contract.Limit(*q) || i > 0 && bytes > contract.MaxPageBytes {
			page.Cursor = contract.PositionOf(q, &found[i-1]).Cursor()
			return
		}
		page.Records = append(page.Records, contract.Clone(found[i]))
	}
}

// Exclusive is true: nobody else sees this memory.
func (s *Store) Exclusive() bool { return true }

// Ready returns ErrClosed after Close.
func (s *Store) Ready(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.begin(ctx)
}

// Close forgets everything.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	s.over = true
	s.records, s.bytes = nil, 0
	close(s.closed)
	return nil
}

var _ store.Store = (*Store)(nil)
