package redisstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/store/storetest"
)

// TestLinearWhileKilled kills the server, and cuts connections, while histories
// run on two stores. There is no failover: see docs/stores.md for what that loses.
func TestLinearWhileKilled(t *testing.T) {
	t.Parallel()
	r := own(t)
	url := fresh(r)
	stores := []*Store{open(t, url), open(t, url)}
	var mu sync.RWMutex // held while the server is down, so that clients wait for it
	disturb := func(ctx context.Context, rng *rand.Rand) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(storetest.Pause(rng, 200*time.Millisecond)):
			}
			if rng.IntN(4) > 0 {
				_ = stores[0].ears.Do(ctx, stores[0].ears.B().Arbitrary("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Build())
				continue
			}
			mu.Lock()
			r.Kill()
			if err := r.Start(); err != nil {
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
