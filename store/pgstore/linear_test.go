package pgstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seeother/seeother/store/storetest"
)

// TestLinearWhileKilled crashes the server, and ends its backends, while
// histories run on two stores.
func TestLinearWhileKilled(t *testing.T) {
	t.Parallel()
	p := own(t)
	url := fresh(p)
	stores := []*Store{open(t, url), open(t, url)}
	var mu sync.RWMutex // held while the server is down, so that clients wait for it
	cut := func(ctx context.Context) {
		conn, err := pgx.Connect(ctx, p.URL())
		if err != nil {
			return
		}
		defer conn.Close(context.Background())
		_, _ = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
	}
	disturb := func(ctx context.Context, rng *rand.Rand) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(storetest.Pause(rng, 300*time.Millisecond)):
			}
			if rng.IntN(4) > 0 {
				cut(ctx)
				continue
			}
			mu.Lock()
			p.Crash()
			if err := p.Start(); err != nil {
				t.Error(err)
			}
			mu.Unlock()
		}
	}
	storetest.RunLinear(t, storetest.Linear{Disturb: disturb}, func() storetest.Target {
		mu.RLock()
		defer mu.RUnlock()
		return stores[rand.IntN(2)]
	})
}
