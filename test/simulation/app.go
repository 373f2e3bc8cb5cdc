package simulation

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seeother/seeother/once"
)

// app is what the gateways protect. It outlives them.
type app struct {
	mu       sync.Mutex
	executed map[string]int // by key; guarded by mu
}

func (a *app) execute(key string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.executed[key]++
	return a.executed[key]
}

func (a *app) times(key string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.executed[key]
}

// behind is the app as one gateway reaches it.
func (a *app) behind(g *gateway) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := strings.Trim(r.Header.Get(once.DefaultHeader), `"`)
		kind := g.dice.below(12)
		g.dice.pause(200 * time.Millisecond)
		switch {
		case g.link.dead.Load() && g.dice.chance(50):
			panic(http.ErrAbortHandler) // it was killed before it sent the request on
		case kind == 0:
			once.AttemptFrom(r.Context()).NotApplied("connection refused")
			w.WriteHeader(http.StatusBadGateway)
			return
		case kind == 1:
			w.Header().Set(once.OutcomeHeader, "not-applied")
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		n := a.execute(key)
		g.dice.pause(slowest(kind))
		switch kind {
		case 2:
			panic(http.ErrAbortHandler) // the connection broke in the middle of the answer
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable) // which says nothing
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, "%s, execution %d", key, n)
	})
}

// slowest is how long the app may take: now and then longer than a lease.
func slowest(kind int64) time.Duration {
	if kind == 4 {
		return 20 * time.Second
	}
	return time.Second
}
