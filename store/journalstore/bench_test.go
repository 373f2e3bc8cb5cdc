package journalstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/journalstore"
	"github.com/seeother/seeother/store/memstore"
)

// BenchmarkPair measures what one guarded submission costs its store: acquire
// and complete, both on disk before they return.
func BenchmarkPair(b *testing.B) {
	stores := map[string]func(b *testing.B) store.Store{
		"journal": func(b *testing.B) store.Store {
			s, err := journalstore.Open(b.TempDir(), journalstore.Options{})
			if err != nil {
				b.Fatal(err)
			}
			return s
		},
		"memory": func(*testing.B) store.Store {
			return memstore.NewWith(memstore.Options{MaxRecords: 1 << 30, MaxBytes: 1 << 40})
		},
	}
	for _, name := range []string{"journal", "memory"} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("store=%s/callers=%d", name, callers), func(b *testing.B) {
				s := stores[name](b)
				defer s.Close()
				pairs(b, s, callers)
			})
		}
	}
}

func pairs(b *testing.B, s store.Store, callers int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, callers)
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		go func() {
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = pair(b.Context(), s)
			}
			done <- err
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

func pair(ctx context.Context, s store.Store) error {
	key := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	reply, err := s.Apply(ctx, "tenant", store.PutIfAbsent("once", key,
		store.Put{State: "started", Group: "someone", Value: make([]byte, 128), DueIn: time.Minute}))
	if err != nil {
		return err
	}
	_, err = s.Apply(ctx, "tenant", store.PutIfVersion("once", key, reply.Records[0].Version,
		store.Put{State: "completed", Group: "someone", Value: make([]byte, 1024), TTL: 24 * time.Hour}))
	return err
}
