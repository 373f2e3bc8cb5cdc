// Package queue lets the callers of one process that want the same records in a
// shared store go one after the other. Without it they get into each other's way
// at the server: they take its connections to wait for a lock, or read in vain
// what another is just changing.
package queue

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/wake"
)

func compare(a, b wake.Key) int {
	return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Key, b.Key))
}

// Queue is where callers wait. Its zero value is ready to use, and it is safe
// for concurrent use. It holds nothing of keys that nobody wants.
type Queue struct {
	mu    sync.Mutex
	turns map[wake.Key]*turn
}

type turn struct {
	taken chan struct{} // of one place: who puts something in has the turn
	users int           // guarded by Queue.mu
}

// Enter waits until the caller has the turn of all keys, in an order of their
// own, so that no two callers wait for each other. Keys may come twice; they are
// sorted in place. Call leave when done. The error is the context's.
func (q *Queue) Enter(ctx context.Context, keys []wake.Key) (leave func(), err error) {
	slices.SortFunc(keys, compare)
	keys = slices.Compact(keys)
	for i, k := range keys {
		t := q.join(k)
		select {
		case t.taken <- struct{}{}:
		case <-ctx.Done():
			q.part(k, t)
			q.leave(keys[:i])
			return nil, ctx.Err()
		}
	}
	return func() { q.leave(keys) }, nil
}

// Keys are those that the operations of a call want: what is appended has a key of
// its own.
func Keys(partition string, ops []store.Op) []wake.Key {
	keys := make([]wake.Key, 0, len(ops))
	for i := range ops {
		if ops[i].Kind != store.OpAppend {
			keys = append(keys, wake.Key{Partition: partition, Class: ops[i].Class, Key: ops[i].Key})
		}
	}
	return keys
}

func (q *Queue) join(k wake.Key) *turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.turns[k]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		if q.turns == nil {
			q.turns = map[wake.Key]*turn{}
		}
		q.turns[k] = t
	}
	t.users++
	return t
}

// part forgets a turn that nobody wants any more.
func (q *Queue) part(k wake.Key, t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(q.turns, k)
	}
}

func (q *Queue) leave(keys []wake.Key) {
	for _, k := range keys {
		q.mu.Lock()
		t := q.turns[k]
		q.mu.Unlock()
		<-t.taken
		q.part(k, t)
	}
}
