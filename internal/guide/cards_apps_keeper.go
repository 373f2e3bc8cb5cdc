package guide

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// till is the app of the reproductions of run-once: each POST makes an order. GET
// /runs says how many it made.
type till struct {
	lost    int  // so many first orders are made, and their answers lost: 502
	dead    int  // so many first orders are not made, since the app dies before: 502
	cookies bool // sets a session cookie

	mu   sync.Mutex
	runs int
}

func (t *till) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Method != http.MethodPost {
		_, _ = fmt.Fprint(w, t.runs) //nolint:gosec // it is a number
		return
	}
	if t.dead > 0 {
		t.dead--
		http.Error(w, "bad gateway", http.StatusBadGateway)
		return
	}
	t.runs++
	if t.lost > 0 {
		t.lost--
		http.Error(w, "bad gateway", http.StatusBadGateway)
		return
	}
	user := userOf(r)
	if t.cookies {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "of-" + user, HttpOnly: true}) //nolint:gosec // the lab has no https
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, "order %d of %s", t.runs, user) //nolint:gosec // nobody but the lab asks
}

// userOf is who sends a request: the bearer token is the name here.
func userOf(r *http.Request) string {
	if user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return user
	}
	return "nobody"
}

// lapse is what becomes of a start whose end nobody told, when its lease is over.
type lapse int

const (
	inDoubt   lapse = iota // 409 until somebody resolves it
	runsAgain              // as if it had never started
	stuck                  // 409, and there is no way out
)

// keeper is run-once in the small, in front of an app. A zero field is a protection;
// each field that is set leaves one out, as products do.
type keeper struct {
	app      http.Handler
	anyUser  bool                  // a key is the same for everybody
	bodies   int                   // only bodies up to this size are compared; -1: none; 0: all
	cookies  bool                  // Set-Cookie is repeated with the answer
	after    lapse                 // what a start without an end becomes
	forgets  bool                  // a duplicate that is refused deletes the record
	failOpen bool                  // while the store is down, requests pass
	claim    func()                // called between looking for a key and writing it down
	key      func(b []byte) string // where the key is; nil: in Idempotency-Key

	mu   sync.Mutex
	kept map[string]*keptRun
	down bool
}

// keptRun is what is known of a key.
type keptRun struct {
	print  string        // of the body
	ended  chan struct{} // closed when the run has ended
	answer *keptAnswer   // nil: nobody told how it ended
	lapsed bool          // its lease is over
}

// keptAnswer is a ResponseWriter that keeps what it is given.
type keptAnswer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *keptAnswer) Header() http.Header         { return a.header }
func (a *keptAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *keptAnswer) WriteHeader(status int)      { a.status = status }

// The paths with which a reproduction plays time and operators.
const (
	leaseOver = "/lease-over" // every lease that runs is over
	resolved  = "/resolve"    // an operator found out that what is in doubt never ran
	storeDown = "/store-down"
)

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostRead))
	if err != nil {
		http.Error(w, "the body broke off", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	key := k.keyOf(r, body)
	switch {
	case r.URL.Path == leaseOver || r.URL.Path == resolved || r.URL.Path == storeDown:
		k.play(r.URL.Path)
	case r.Method != http.MethodPost || key == "":
		k.app.ServeHTTP(w, r)
	case k.isDown() && !k.failOpen:
		http.Error(w, "the store cannot be reached; nothing was started", http.StatusServiceUnavailable)
	case k.isDown():
		k.app.ServeHTTP(w, r)
	default:
		k.guard(w, r, key, body)
	}
}

func (k *keeper) keyOf(r *http.Request, body []byte) string {
	key := r.Header.Get("Idempotency-Key")
	if k.key != nil {
		key = k.key(body)
	}
	if key == "" || k.anyUser {
		return key
	}
	return userOf(r) + " " + key
}

func (k *keeper) isDown() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.down
}

// play is time that passes, or what an operator does.
func (k *keeper) play(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = k.down || what == storeDown
	for key, run := range k.kept {
		switch {
		case run.answer != nil:
		case what == leaseOver:
			run.lapsed = true
		case what == resolved && k.after == inDoubt:
			delete(k.kept, key)
		}
	}
}

// guard runs a request that has a key, or answers from what is known of it.
func (k *keeper) guard(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	run, mine := k.start(key, k.printOf(body))
	switch {
	case mine:
		k.run(r, run)
	case run.print != k.printOf(body):
		if k.forgets {
			k.forget(key)
		}
		http.Error(w, "this key came with another body", http.StatusUnprocessableEntity)
		return
	default:
		select {
		case <-run.ended:
		case <-r.Context().Done():
			return
		}
	}
	k.tell(w, run, mine)
}

func (k *keeper) forget(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.kept, key)
}

// start looks for a key, and writes down that it starts if it is new.
func (k *keeper) start(key, fingerprint string) (run *keptRun, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	run, known := k.kept[key]
	if k.claim != nil { // what comes between is another request's turn
		k.mu.Unlock()
		k.claim()
		k.mu.Lock()
	}
	if known && (!run.lapsed || k.after != runsAgain) {
		return run, false
	}
	if k.kept == nil {
		k.kept = make(map[string]*keptRun)
	}
	run = &keptRun{print: fingerprint, ended: make(chan struct{})}
	k.kept[key] = run
	return run, true
}

// run lets the app work. That the client goes away does not end it.
func (k *keeper) run(r *http.Request, run *keptRun) {
	answer := &keptAnswer{status: http.StatusOK, header: make(http.Header)}
	k.app.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
	k.mu.Lock()
	defer k.mu.Unlock()
	if answer.status != http.StatusBadGateway {
		run.answer = answer
	}
	close(run.ended)
}

// tell sends what is known of a run that has ended.
func (k *keeper) tell(w http.ResponseWriter, run *keptRun, first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case run.answer == nil && first:
		http.Error(w, "nobody knows whether it happened", http.StatusBadGateway)
		return
	case run.answer == nil:
		http.Error(w, "nobody knows whether it happened", http.StatusConflict)
		return
	}
	for name, values := range run.answer.header {
		if name != "Set-Cookie" || first || k.cookies {
			w.Header()[name] = values
		}
	}
	if !first {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(run.answer.status)
	_, _ = w.Write(run.answer.body.Bytes()) //nolint:gosec // nobody but the lab asks
}

// printOf is the fingerprint of a body, as far as this keeper takes one.
func (k *keeper) printOf(body []byte) string {
	if k.bodies < 0 || k.bodies > 0 && len(body) > k.bodies {
		return ""
	}
	sum := sha256.Sum256(body)
	return string(sum[:])
}

// ran asks a till how many orders it made.
func ran(ctx context.Context, b *Browser, base string) (string, error) {
	quiet := &Browser{lab: b.lab, client: b.client}
	a, err := quiet.Open(ctx, base+"/runs")
	if err != nil {
		return "", err
	}
	b.Note("orders made: %s", a.Body)
	return a.Body, nil
}

const theKey = "Idempotency-Key: 8e03978e-40d5"

// sentAgain is a client that sends an order, waits for what happens in between, and
// sends the order again with the same key. It failed where two orders were made.
func sentAgain(between ...string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		if _, err := b.Send(ctx, http.MethodPost, base+"/orders", "item=book", theKey); err != nil {
			return false, err
		}
		for _, path := range between {
			if err := passes(ctx, b, base, path); err != nil {
				return false, err
			}
		}
		if _, err := b.Send(ctx, http.MethodPost, base+"/orders", "item=book", theKey); err != nil {
			return false, err
		}
		made, err := ran(ctx, b, base)
		return made == "2", err
	}
}

// passes is something that happens in a reproduction, by its path.
func passes(ctx context.Context, b *Browser, base, path string) error {
	quiet := &Browser{lab: b.lab, client: b.client}
	_, err := quiet.Open(ctx, base+path)
	b.Note("%s", map[string]string{
		leaseOver: "the lease of the first run is over",
		resolved:  "an operator finds out that it never ran, and resolves it",
		storeDown: "the store cannot be reached",
		"/finish": "the work of the first request comes to its end",
	}[path])
	return err
}
