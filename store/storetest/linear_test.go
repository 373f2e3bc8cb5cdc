package storetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// log is a memstore that writes down what it was asked; the next process asks the
// same again. Where it is hasty, it acknowledges first and writes a little later.
type log struct {
	*memstore.Store

	hasty bool
	mu    sync.Mutex // what was asked is in order in file
	file  *bufio.Writer
}

func openLog(dir string, hasty bool) (store.Store, error) {
	f, err := os.OpenFile(filepath.Join(dir, "asked"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	l := &log{Store: memstore.New(), hasty: hasty, file: bufio.NewWriterSize(f, 1<<20)}
	lines, whole := json.NewDecoder(f), int64(0)
	for {
		var ops []store.Op
		if err := lines.Decode(&ops); err != nil {
			break
		}
		whole = lines.InputOffset()
		_, _ = l.Store.Apply(context.Background(), part, ops...) // it conflicts again, where it did
	}
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			l.mu.Lock()
			l.file.Flush()
			l.mu.Unlock()
		}
	}()
	return l, f.Truncate(whole)
}

func (l *log) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reply, err := l.Store.Apply(ctx, partition, ops...)
	err = errors.Join(err, json.NewEncoder(l.file).Encode(ops))
	if !l.hasty {
		err = errors.Join(err, l.file.Flush())
	}
	return reply, err
}

// Get waits until what it shows is written.
func (l *log) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.Get(ctx, partition, class, key)
}

// openOnce makes a store that opens for the first process only.
func openOnce(dir string) (store.Store, error) {
	if err := os.Mkdir(filepath.Join(dir, "opened"), 0o700); err != nil {
		return nil, err
	}
	return memstore.New(), nil
}

func TestMain(m *testing.M) {
	Main(func(dir string) (store.Store, error) {
		switch name := filepath.Base(dir); name {
		case "once":
			return openOnce(dir)
		default:
			return openLog(dir, name == "hasty")
		}
	})
	os.Exit(m.Run())
}

// startMortal serves the store that TestMain picks for a folder of this name.
func startMortal(t *testing.T, name string) *mortal {
	t.Helper()
	m := &mortal{dir: filepath.Join(t.TempDir(), name), alive: make(chan struct{})}
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.now.kill() })
	return m
}

func TestAKillFindsAStoreThatAcknowledgesBeforeItWrites(t *testing.T) {
	t.Parallel()
	for name, histories := range map[string]int{"hasty": 10, "careful": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startMortal(t, name)
			found := false
			for n := 0; n < histories && !found; n++ {
				h := &history{target: m.target, rng: rand.New(rand.NewPCG(uint64(n), 0)), name: fmt.Sprintf("%d-", n)}
				Linear{Operations: 1500, Clients: 12, Disturb: func(ctx context.Context, rng *rand.Rand) {
					if err := m.disturb(ctx, t.Context(), rng); err != nil {
						t.Error(err)
					}
				}}.make(t.Context(), []*history{h})
				found = h.check(t) != nil
			}
			if lies := name == "hasty"; found != lies || m.kills == 0 {
				t.Errorf("after %d kills: found out: %v, want %v", m.kills, found, lies)
			}
		})
	}
}

func TestAStoreThatDoesNotOpenAfterAKillEndsTheHistory(t *testing.T) {
	t.Parallel()
	m := startMortal(t, "once")
	h := &history{target: m.target, rng: rand.New(rand.NewPCG(0, 0))}
	ended := make(chan error, 1)
	Linear{Operations: 100_000, Clients: 2, Disturb: func(ctx context.Context, rng *rand.Rand) {
		ended <- m.disturb(ctx, t.Context(), rng)
	}}.make(t.Context(), []*history{h})
	if err := <-ended; err == nil {
		t.Error("the store opened twice")
	}
}

func TestAnAnswerIsAboutItsOperation(t *testing.T) {
	t.Parallel()
	put := store.PutIfAbsent("c", "k", store.Put{Value: []byte("v")})
	gone := store.DeleteIfVersion("c", "k", 3)
	for name, c := range map[string]struct {
		op    store.Op
		r     store.Record
		sound bool
	}{
		"what was written":             {put, store.Record{Class: "c", Key: "k", Version: 1, Value: []byte("v")}, true},
		"another value":                {put, store.Record{Class: "c", Key: "k", Version: 1, Value: []byte("w")}, false},
		"no version":                   {put, store.Record{Class: "c", Key: "k", Value: []byte("v")}, false},
		"another key":                  {put, store.Record{Class: "c", Key: "l", Version: 1, Value: []byte("v")}, false},
		"another class":                {put, store.Record{Class: "d", Key: "k", Version: 1, Value: []byte("v")}, false},
		"what was deleted":             {gone, store.Record{Class: "c", Key: "k", Version: 3, Value: []byte("v")}, true},
		"another version than deleted": {gone, store.Record{Class: "c", Key: "k", Version: 4, Value: []byte("v")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := answers(&c.r, &c.op); (err == nil) != c.sound {
				t.Errorf("answer %+v: %v", c.r, err)
			}
		})
	}
}
