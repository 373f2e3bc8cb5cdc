package simulation

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// The size of a world.
const (
	gateways = 3
	keys     = 4
	steps    = 60
)

// gateway is one process in front of the app.
type gateway struct {
	link    *link
	dice    *dice
	guard   *once.Guard
	handler http.Handler
}

// world is everything that one seed makes.
type world struct {
	dice   *dice // of the events; each gateway has its own
	seed   uint64
	born   uint64 // gateways so far
	store  store.Store
	jumped atomic.Int64 // the store's clock less the simulated one, in nanoseconds
	net    network
	app    app
	live   [gateways]*gateway
	old    []*gateway
	calls  sync.WaitGroup

	mu       sync.Mutex
	answered map[string]string // by key: the app's answer that a client got; guarded by mu
	wrong    []string          // what must not be; guarded by mu
	doubts   int               // keys that ended as uncertain
}

// run lives through the world of a seed, inside a bubble of synctest. decoy
// may replace the store. It returns what went wrong.
func run(seed uint64, decoy func(*world, store.Store) store.Store) *world {
	w := &world{seed: seed, dice: newDice(seed, 0), answered: map[string]string{}, app: app{executed: map[string]int{}}}
	w.store = memstore.NewWith(memstore.Options{Now: func() time.Time { return time.Now().Add(time.Duration(w.jumped.Load())) }})
	if decoy != nil {
		w.store = decoy(w, w.store)
	}
	w.net.lose.Store(3)
	w.net.repeat.Store(5)
	for i := range w.live {
		w.live[i] = w.open()
	}
	for range steps {
		w.step()
	}
	w.calm()
	for i := range keys {
		w.last(keyName(i))
	}
	w.end()
	return w
}

func keyName(i int) string { return "key-" + strconv.Itoa(i) }

// open starts a gateway. It tries until the store answers.
func (w *world) open() *gateway {
	w.born++
	d := newDice(w.seed, w.born)
	g := &gateway{dice: d, link: newLink(w.store, &w.net, d)}
	for g.guard == nil {
		g.guard, _ = once.New(context.Background(), g.link, once.Config{
			Lease: 3 * time.Second, Sweep: 5 * time.Second, StoreTime: time.Second, Wait: 2 * time.Second, MaxWait: time.Minute,
		})
	}
	g.handler = g.guard.Handler(once.Policy{}, w.app.behind(g))
	return g
}

// step is one event, or a burst of requests.
func (w *world) step() {
	g := w.dice.below(gateways)
	switch n := w.dice.below(20); {
	case n < 12:
		key := keyName(int(w.dice.below(keys)))
		for range 1 + w.dice.below(3) {
			w.send(w.live[w.dice.below(gateways)], key, w.dice.chance(20))
		}
	case n < 14:
		w.kill(int(g))
	case n < 16:
		w.jumped.Add(w.dice.below(int64(20*time.Second)) - int64(10*time.Second))
	case n < 17:
		w.net.lose.Store(w.dice.below(40))
	default:
		w.dice.pause(6 * time.Second)
	}
	w.dice.pause(300 * time.Millisecond)
}

// kill ends a gateway at once, and starts another one in its place.
func (w *world) kill(i int) {
	w.live[i].link.kill()
	w.old = append(w.old, w.live[i])
	w.live[i] = w.open()
}

// send sends a submission in the background. A client that leaves hears nothing.
func (w *world) send(g *gateway, key string, leaves bool) {
	ctx, cancel := context.WithCancel(context.Background())
	if leaves {
		patience := time.Duration(1 + g.dice.below(int64(time.Second)))
		time.AfterFunc(patience, cancel)
	}
	w.calls.Go(func() {
		defer cancel()
		a := ask(ctx, g, key)
		if ctx.Err() == nil && !g.link.dead.Load() {
			w.heard(key, a)
		}
	})
}

// reply is what a client got; 0: nothing.
type reply struct {
	status   int
	body     string
	replayed bool
}

func ask(ctx context.Context, g *gateway, key string) (out reply) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/orders", strings.NewReader("body of "+key))
	r.Header.Set(once.DefaultHeader, strconv.Quote(key))
	rec := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic's value, not a chain
			panic(p)
		}
	}()
	g.handler.ServeHTTP(rec, r)
	return reply{rec.Code, rec.Body.String(), rec.Header().Get(once.ReplayedHeader) == "true"}
}

// heard checks what a client was told against what was told before.
func (w *world) heard(key string, a reply) {
	if a.status != http.StatusCreated {
		return // a problem, or the app's own "not applied": nothing is promised
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if before, ok := w.answered[key]; ok && before != a.body {
		w.wrong = append(w.wrong, fmt.Sprintf("%s was answered %q, and before %q", key, a.body, before))
	}
	w.answered[key] = a.body
}

// calm ends all faults, and lets every lease run out.
func (w *world) calm() {
	w.net.lose.Store(0)
	w.net.repeat.Store(0)
	w.calls.Wait()
	time.Sleep(2 * time.Minute)
	synctest.Wait()
}

// last asks for a key when all is calm again.
func (w *world) last(key string) {
	ran := w.app.times(key)
	a := ask(context.Background(), w.live[0], key)
	w.heard(key, a)
	w.mu.Lock()
	defer w.mu.Unlock()
	_, acknowledged := w.answered[key]
	uncertain := a.status == http.StatusConflict && strings.Contains(a.body, "outcome-uncertain")
	switch {
	case w.app.times(key) > 1:
		w.wrong = append(w.wrong, fmt.Sprintf("%s was executed %d times", key, w.app.times(key)))
	case acknowledged && a.status != http.StatusCreated:
		w.wrong = append(w.wrong, fmt.Sprintf("%s was acknowledged, and now it is %d %s", key, a.status, a.body))
	case ran == 1 && !uncertain && !a.replayed:
		w.wrong = append(w.wrong, fmt.Sprintf("%s was executed, and now it is %d %s, which says neither that nor that it is in doubt", key, a.status, a.body))
	case strings.Contains(a.body, "in-flight"):
		w.wrong = append(w.wrong, key+" hangs: it is still in flight")
	}
	if uncertain {
		w.doubts++
	}
}

// end stops everything that the world started.
func (w *world) end() {
	for _, g := range append(w.old, w.live[:]...) {
		g.link.kill()
		_ = g.guard.Close(context.Background()) // its store is gone
	}
	time.Sleep(10 * time.Minute) // what is still on its way arrives
	synctest.Wait()
}
