package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// liar is a store with a fault.
type liar struct {
	Target

	apply func(ctx context.Context, partition string, ops []store.Op) (store.Reply, error)
	get   func(ctx context.Context, partition, class, key string) (store.Record, time.Time, error)
}

func (l *liar) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if l.apply != nil {
		return l.apply(ctx, partition, ops)
	}
	return l.Target.Apply(ctx, partition, ops...)
}

func (l *liar) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	if l.get != nil {
		return l.get(ctx, partition, class, key)
	}
	return l.Target.Get(ctx, partition, class, key)
}

// TestLinearFindsDecoys gives the check stores that are not linearizable.
func TestLinearFindsDecoys(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(m *memstore.Store) Target{
		"no fencing": func(m *memstore.Store) Target {
			return &liar{Target: m, apply: func(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
				for i := range ops {
					if r, _, err := m.Get(ctx, partition, ops[i].Class, ops[i].Key); err == nil && ops[i].Kind == store.OpPutIfVersion {
						ops[i].Version = r.Version
					}
				}
				return m.Apply(ctx, partition, ops...)
			}}
		},
		"check, then set": func(m *memstore.Store) Target {
			return &liar{Target: m, apply: func(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
				op := ops[0]
				if len(ops) > 1 || op.Kind != store.OpPutIfAbsent {
					return m.Apply(ctx, partition, ops...)
				}
				if _, _, err := m.Get(ctx, partition, op.Class, op.Key); err != nil {
					time.Sleep(time.Millisecond)
					if r, _, err := m.Get(ctx, partition, op.Class, op.Key); err == nil {
						return m.Apply(ctx, partition, store.PutIfVersion(op.Class, op.Key, r.Version, op.Put))
					}
				}
				return m.Apply(ctx, partition, op)
			}}
		},
		"a reader that is behind": func(m *memstore.Store) Target {
			var mu sync.Mutex
			old := map[string]store.Record{}
			return &liar{Target: m, get: func(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
				mu.Lock()
				defer mu.Unlock()
				if r, ok := old[key]; ok && rand.IntN(3) > 0 {
					return r, time.Now(), nil
				}
				r, now, err := m.Get(ctx, partition, class, key)
				if err == nil {
					old[key] = r
				}
				return r, now, err
			}}
		},
		"half of two": func(m *memstore.Store) Target {
			return &liar{Target: m, apply: func(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
				if len(ops) == 1 {
					return m.Apply(ctx, partition, ops...)
				}
				first, err := m.Apply(ctx, partition, ops[0])
				if err != nil {
					return first, err
				}
				second, err := m.Apply(ctx, partition, ops[1])
				if conflict, ok := errors.AsType[*store.ConflictError](err); ok {
					conflict.Op = 1
				}
				first.Records = append(first.Records, second.Records...)
				return first, err
			}}
		},
		"acknowledged, then lost": func(m *memstore.Store) Target {
			return &liar{Target: m, apply: func(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
				reply, err := m.Apply(ctx, partition, ops...)
				if err == nil && rand.IntN(50) == 0 {
					for _, r := range reply.Records {
						_, _ = m.Apply(ctx, partition, store.DeleteIfVersion(r.Class, r.Key, r.Version))
					}
				}
				return reply, err
			}}
		},
		"a version that comes again": func(m *memstore.Store) Target {
			return &liar{Target: m, apply: func(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
				reply, err := m.Apply(ctx, partition, ops...)
				for i := range reply.Records {
					reply.Records[i].Version = min(reply.Records[i].Version, 40)
				}
				return reply, err
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := memstore.New()
			defer m.Close()
			target := make(m)
			for n := range 10 {
				h := &history{target: func() Target { return target }, rng: rand.New(rand.NewPCG(uint64(n), 0)), name: name}
				h.run(t.Context(), Linear{Operations: 600, Clients: 12})
				if err := h.check(t); err != nil {
					return
				}
			}
			t.Error("nothing was found")
		})
	}
}

func TestMemoryIsLinear(t *testing.T) {
	t.Parallel()
	m := memstore.New()
	defer m.Close()
	RunLinear(t, Linear{}, func() Target { return m })
}

// TestADoubtfulWriteMayHaveHappenedOrNot loses replies, of writes that did happen
// and of others that did not.
func TestADoubtfulWriteMayHaveHappenedOrNot(t *testing.T) {
	t.Parallel()
	m := memstore.New()
	defer m.Close()
	lossy := &liar{Target: m, apply: func(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
		if rand.IntN(40) == 0 {
			return store.Reply{}, errors.New("lost on the way there")
		}
		reply, err := m.Apply(ctx, partition, ops...)
		if rand.IntN(40) == 0 {
			return store.Reply{}, errors.New("lost on the way back")
		}
		return reply, err
	}}
	RunLinear(t, Linear{}, func() Target { return lossy })
}
