package simulation

import (
	"context"
	"time"

	"github.com/seeother/seeother/store"
)

// decoy is a store with a fault. The simulation must find it, or it could not
// find such a fault of ours.
type decoy struct {
	store.Store

	apply func(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error)
}

func (d *decoy) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	return d.apply(ctx, partition, ops...)
}

// withoutFencing writes over a record, whatever became of it meanwhile.
func withoutFencing(_ *world, st store.Store) store.Store {
	return &decoy{st, func(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
		for i := range ops {
			if r, _, err := st.Get(ctx, partition, ops[i].Class, ops[i].Key); err == nil && ops[i].Kind == store.OpPutIfVersion {
				ops[i].Version = r.Version
			}
		}
		return st.Apply(ctx, partition, ops...)
	}}
}

// checkThenSet looks whether there is a record, and writes a moment later.
func checkThenSet(_ *world, st store.Store) store.Store {
	return &decoy{st, func(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
		if len(ops) != 1 || ops[0].Kind != store.OpPutIfAbsent {
			return st.Apply(ctx, partition, ops...)
		}
		op := ops[0]
		if _, _, err := st.Get(ctx, partition, op.Class, op.Key); err != nil {
			time.Sleep(20 * time.Millisecond)
			if r, _, err := st.Get(ctx, partition, op.Class, op.Key); err == nil {
				return st.Apply(ctx, partition, store.PutIfVersion(op.Class, op.Key, r.Version, op.Put))
			}
		}
		return st.Apply(ctx, partition, op)
	}}
}

// beforeTheDisk acknowledges a write that a power cut then takes away.
func beforeTheDisk(w *world, st store.Store) store.Store {
	chance := newDice(w.seed, 1<<40)
	return &decoy{st, func(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
		reply, err := st.Apply(ctx, partition, ops...)
		if err != nil || !chance.chance(5) {
			return reply, err
		}
		for _, r := range reply.Records {
			_, _ = st.Apply(ctx, partition, store.DeleteIfVersion(r.Class, r.Key, r.Version))
		}
		return reply, nil
	}}
}
