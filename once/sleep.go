package once

import "context"

// sleep is what duplicates wait for: that a record changes.
type sleep struct {
	id      string
	version uint64
}

// sleeper waits for all of them: the store is asked once, and hands the record,
// which holds the whole answer, out once.
type sleeper struct {
	done    chan struct{} // closed when the record changed, or the store failed
	err     error         // set before done is closed
	cancel  context.CancelFunc
	waiting int // guarded by Guard.mu
}

// await returns when the record is not of this version any more, or with ctx's
// error, or with the store's.
func (g *Guard) await(ctx context.Context, k sleep) error {
	s := g.sleep(ctx, k)
	defer g.leave(k, s)
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *Guard) sleep(ctx context.Context, k sleep) *sleeper {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sleepers[k]
	if s == nil {
		s = &sleeper{done: make(chan struct{})}
		g.sleepers[k] = s
		// It is for others, too: the first who leaves must not end it.
		ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			_, _, s.err = g.store.Wait(ctx, g.cfg.Tenant, Class, k.id, k.version)
			g.forgetSleep(k, s)
			close(s.done)
		}()
	}
	s.waiting++
	return s
}

func (g *Guard) leave(k sleep, s *sleeper) {
	g.mu.Lock()
	s.waiting--
	last := s.waiting == 0
	g.mu.Unlock()
	if last {
		s.cancel()
		g.forgetSleep(k, s)
	}
}

func (g *Guard) forgetSleep(k sleep, s *sleeper) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sleepers[k] == s {
		delete(g.sleepers, k)
	}
}
