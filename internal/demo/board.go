package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seeother/seeother"
)

const (
	maxSeen      = 12 // requests that the page shows for each shop
	maxDecisions = 20
	maxWatchers  = 64 // open pages
	heartbeat    = 15 * time.Second
)

// board holds all that the page shows, and tells open pages when it changes.
type board struct {
	closed chan struct{} // closed when the demo ends
	once   sync.Once

	mu        sync.Mutex // guards what follows, the two sides included
	with      side
	without   side
	version   int // of all that is shown; it grows with each change
	decisions []decision
	watchers  map[chan struct{}]bool
}

// side is one of the two columns: what clients submitted, and the shop's own
// books.
type side struct {
	Up          bool      `json:"up"`
	Submissions int       `json:"submissions"` // checkouts and forms that clients sent
	Orders      int       `json:"orders"`
	Cart        int       `json:"cart"`
	Users       []user    `json:"users"` // replaced, never changed in place
	CrashNext   bool      `json:"crashNext"`
	Seen        []request `json:"seen"` // newest first
	next        int       // number of the next request
}

// request is one that the shop got. Status is 0 until it is answered.
type request struct {
	N      int    `json:"n"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status"`
}

type decision struct {
	Time string `json:"time"`
	Text string `json:"text"`
}

func newBoard() *board {
	b := &board{closed: make(chan struct{}), watchers: make(map[chan struct{}]bool)}
	b.reset()
	return b
}

// reset starts the books again. It keeps whether a shop is up.
func (b *board) reset() {
	b.change(func() {
		for _, s := range []*side{&b.with, &b.without} {
			*s = side{Up: s.Up, Users: firstUsers(), Seen: []request{}, next: s.next}
		}
		b.decisions = []decision{}
	})
}

// close ends all streams to pages.
func (b *board) close() { b.once.Do(func() { close(b.closed) }) }

// read runs f while nothing changes.
func (b *board) read(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// change runs f alone and tells every page.
func (b *board) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	b.version++
	for w := range b.watchers {
		select {
		case w <- struct{}{}:
		default: // it knows already that something changed
		}
	}
}

// countSubmissions counts the checkouts and the forms that clients send, as an
// access log would. It changes nothing.
func (b *board) countSubmissions(s *side, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && (r.URL.Path == "/checkout" || r.URL.Path == "/buy") {
			b.change(func() { s.Submissions++ })
		}
		next.ServeHTTP(w, r)
	})
}

// saw writes down a request that the shop got; the function that it returns
// adds how it was answered.
func (b *board) saw(s *side, method, path string) func(status int) {
	var n int
	b.change(func() {
		n, s.next = s.next, s.next+1
		s.Seen = slices.Insert(s.Seen, 0, request{N: n, Method: method, Path: path})
		s.Seen = s.Seen[:min(len(s.Seen), maxSeen)]
	})
	return func(status int) {
		b.change(func() {
			for i := range s.Seen {
				if s.Seen[i].N == n {
					s.Seen[i].Status = status
				}
			}
		})
	}
}

// observe is the gateway's seeother.Observer.
func (b *board) observe(_ context.Context, d seeother.Decision) {
	b.change(func() {
		line := decision{Time: d.Time.Local().Format(time.TimeOnly), Text: d.String()}
		b.decisions = slices.Insert(b.decisions, 0, line)
		b.decisions = b.decisions[:min(len(b.decisions), maxDecisions)]
	})
}

// snapshot is the board as the page gets it.
func (b *board) snapshot() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return json.Marshal(map[string]any{"version": b.version, "with": &b.with, "without": &b.without, "decisions": b.decisions})
}

// state answers with the board as it is now.
func (b *board) state(w http.ResponseWriter, _ *http.Request) {
	state, err := b.snapshot()
	if err != nil {
		http.Error(w, "the board cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(state) // the client is gone, if anything
}

// watch returns a channel that gets a value after each change, or false when
// too many watch already. It must be given back to unwatch.
func (b *board) watch() (chan struct{}, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.watchers) >= maxWatchers {
		return nil, false
	}
	w := make(chan struct{}, 1)
	w <- struct{}{} // the first state
	b.watchers[w] = true
	return w, true
}

func (b *board) unwatch(w chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watchers, w)
}

// events streams the board, whole, each time it changes (server-sent events).
func (b *board) events(w http.ResponseWriter, r *http.Request) {
	changed, ok := b.watch()
	if !ok {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer b.unwatch(changed)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	_, err := fmt.Fprint(w, "retry: 500\n\n")
	for err == nil {
		if err = http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-b.closed:
			return
		case <-r.Context().Done():
			return
		case <-beat.C:
			_, err = fmt.Fprint(w, ": still here\n\n")
		case <-changed:
			var state []byte
			if state, err = b.snapshot(); err == nil {
				_, err = fmt.Fprintf(w, "data: %s\n\n", state)
			}
		}
	}
}
