package storetest

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// The stores here break one promise each. The suite must say so, in the check
// that is for it.

type (
	sharing    struct{ *broken }
	reusing    struct{ *broken }
	halfway    struct{ *broken }
	sleepy     struct{ *broken }
	immortal   struct{ *broken }
	skipping   struct{ *broken }
	unsorted   struct{ *broken }
	generous   struct{ *broken }
	racing     struct{ *broken }
	undead     struct{ *broken }
	timeless   struct{ *broken }
	groupless  struct{ *broken }
	overwriter struct{ *broken }
)

type broken struct {
	store.Store
	mu     sync.Mutex
	values map[string][]byte
	offset map[string]uint64
}

func newBroken() *broken {
	return &broken{Store: memstore.New(), values: make(map[string][]byte), offset: make(map[string]uint64)}
}

// sharing hands out the same slice again and again.
func (s sharing) Get(ctx context.Context, p, c, key string) (store.Record, time.Time, error) {
	r, now, err := s.Store.Get(ctx, p, c, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[key]; ok && err == nil {
		r.Value = v
	}
	s.values[key] = r.Value
	return r, now, err
}

// reusing counts each life of a key from 1.
func (s reusing) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range ops {
		ops[i].Version += s.offset[ops[i].Key]
	}
	reply, err := s.Store.Apply(ctx, p, ops...)
	for i := range reply.Records {
		r := &reply.Records[i]
		if ops[i].Kind == store.OpPutIfAbsent {
			s.offset[r.Key] = r.Version - 1
		}
		r.Version -= s.offset[r.Key]
	}
	return reply, err
}

// halfway applies one operation after the other.
func (s halfway) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	var all store.Reply
	for _, op := range ops {
		reply, err := s.Store.Apply(ctx, p, op)
		if err != nil {
			return all, err
		}
		time.Sleep(time.Millisecond) // long enough for a reader to see it
		all.Now, all.Records = reply.Now, append(all.Records, reply.Records...)
	}
	return all, nil
}

// sleepy looks once and then waits for its context only.
func (s sleepy) Wait(ctx context.Context, p, c, key string, version uint64) (store.Record, time.Time, error) {
	r, now, err := s.Get(ctx, p, c, key)
	if err == nil && r.Version != version || errors.Is(err, store.ErrNotFound) && version != 0 {
		return r, now, err
	}
	<-ctx.Done()
	return store.Record{}, now, ctx.Err()
}

// immortal keeps what should expire.
func (s immortal) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	ttl := make([]time.Duration, len(ops))
	for i := range ops {
		ttl[i], ops[i].Put.TTL = ops[i].Put.TTL, 0
	}
	reply, err := s.Store.Apply(ctx, p, ops...)
	for i := range reply.Records {
		if ttl[i] > 0 {
			reply.Records[i].Expires = reply.Now.Add(ttl[i])
		}
	}
	return reply, err
}

// skipping loses a record between two pages.
func (s skipping) List(ctx context.Context, q store.Query) (store.Page, error) {
	page, err := s.Store.List(ctx, q)
	if page.Cursor != "" && len(page.Records) > 1 {
		page.Records = page.Records[:len(page.Records)-1]
	}
	return page, err
}

// unsorted lists backwards.
func (s unsorted) List(ctx context.Context, q store.Query) (store.Page, error) {
	page, err := s.Store.List(ctx, q)
	for i, j := 0, len(page.Records)-1; i < j; i, j = i+1, j-1 {
		page.Records[i], page.Records[j] = page.Records[j], page.Records[i]
	}
	return page, err
}

// groupless does not select by group.
func (s groupless) List(ctx context.Context, q store.Query) (store.Page, error) {
	q.Group = ""
	return s.Store.List(ctx, q)
}

// generous does not hold limits.
func (s generous) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	for i := range ops {
		ops[i].Limit = math.MaxInt64
	}
	return s.Store.Apply(ctx, p, ops...)
}

// racing looks first and writes later, so that two can win.
func (s racing) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	_, _, seen := s.Get(ctx, p, ops[0].Class, ops[0].Key)
	time.Sleep(2 * time.Millisecond) // long enough for all to have looked
	reply, err := s.Store.Apply(ctx, p, ops...)
	var conflict *store.ConflictError
	if errors.Is(seen, store.ErrNotFound) && errors.As(err, &conflict) && conflict.Current != nil {
		return s.Store.Apply(ctx, p, store.PutIfVersion(ops[0].Class, ops[0].Key, conflict.Current.Version, ops[0].Put))
	}
	return reply, err
}

// undead does not close.
func (s undead) Close() error { return nil }

// timeless forgets its clock where there is no record.
func (s timeless) Get(ctx context.Context, p, c, key string) (store.Record, time.Time, error) {
	r, now, err := s.Store.Get(ctx, p, c, key)
	if err != nil {
		now = time.Time{}
	}
	return r, now, err
}

// overwriter takes any version for the right one, and gives others time to
// come in between.
func (s overwriter) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	time.Sleep(time.Millisecond)
	for i := range ops {
		if r, _, err := s.Get(ctx, p, ops[i].Class, ops[i].Key); err == nil && ops[i].Kind == store.OpPutIfVersion {
			ops[i].Version = r.Version
		}
	}
	return s.Store.Apply(ctx, p, ops...)
}

func TestABrokenStoreIsCaught(t *testing.T) {
	t.Parallel()
	for check, s := range map[string]store.Store{
		"values are never shared":                           sharing{newBroken()},
		"versions grow, also across a delete":               reusing{newBroken()},
		"all operations happen or none":                     halfway{newBroken()},
		"a reader never sees half of an apply":              halfway{newBroken()},
		"wait ends when the record changes":                 sleepy{newBroken()},
		"one change wakes all who wait":                     sleepy{newBroken()},
		"wait ends when the record expires":                 sleepy{newBroken()},
		"close ends those who wait":                         sleepy{newBroken()},
		"a record is there until it expires and not after":  immortal{newBroken()},
		"pages of any length hold each record once":         skipping{newBroken()},
		"a list is in the order of the keys":                unsorted{newBroken()},
		"a list selects by state, group and prefix":         groupless{newBroken()},
		"a counter conflicts over its limit and under zero": generous{newBroken()},
		"a crowd fills a counter to its limit and not over": generous{newBroken()},
		"of many put if absent exactly one wins":            racing{newBroken()},
		"after close every call says so":                    undead{newBroken()},
		"put if absent writes where there is none":          timeless{newBroken()},
		"put if version replaces exactly that version":      overwriter{newBroken()},
		"no put if version is lost":                         overwriter{newBroken()},
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			if err := runCheck(t.Context(), named(t, checks(), check), s, 300*time.Millisecond); err == nil {
				t.Errorf("%T passed", s)
			}
		})
	}
}

func TestAStoreThatForgetsIsNotDurable(t *testing.T) {
	t.Parallel()
	for _, c := range durableChecks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			open := func() (store.Store, error) { return memstore.New(), nil }
			s, err := open()
			if err != nil {
				t.Fatal(err)
			}
			s, err = runDurable(t, c, s, open)
			s.Close()
			// A store that forgets everything keeps deleted what was deleted.
			if passed := err == nil; passed != (c.name == "what was deleted stays deleted") {
				t.Errorf("memstore passed: %v; %v", passed, err)
			}
		})
	}
}

// named finds a check, so that a check that was renamed is not lost here.
func named(t *testing.T, all []check, name string) check {
	t.Helper()
	for _, c := range all {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no check %q", name)
	return check{}
}

func TestSoundStoresPass(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) store.Store { return memstore.New() })
}
