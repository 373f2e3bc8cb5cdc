package once

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

var errDisk = errors.New("disk on fire")

// faulty is a store that fails on command. Each hook may be nil; an error that
// it returns before is instead of the write, and after is beside it.
type faulty struct {
	store.Store
	mu        sync.Mutex
	before    func(ops []store.Op) error
	after     func(ops []store.Op) error
	wait      error
	get, list error
	shared    bool
}

func newFaulty() *faulty { return &faulty{Store: memstore.New()} }

func (f *faulty) set(change func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// failWrites fails every write to a state in states (all where none is given)
// before it happens.
func (f *faulty) failWrites(states ...string) {
	f.set(func(f *faulty) { f.before = failing(states) })
}

// loseReplies lets the writes happen and fails all the same.
func (f *faulty) loseReplies(states ...string) {
	f.set(func(f *faulty) { f.after = failing(states) })
}

func (f *faulty) heal() {
	f.set(func(f *faulty) { f.before, f.after, f.wait, f.get, f.list = nil, nil, nil, nil, nil })
}

func failing(states []string) func([]store.Op) error {
	return func(ops []store.Op) error {
		if len(states) == 0 || slices.Contains(states, ops[0].Put.State) {
			return errDisk
		}
		return nil
	}
}

func (f *faulty) hooks() (before, after func([]store.Op) error, wait, get, list error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.before, f.after, f.wait, f.get, f.list
}

func (f *faulty) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	before, after, _, _, _ := f.hooks()
	if before != nil {
		if err := before(ops); err != nil {
			return store.Reply{}, err
		}
	}
	reply, err := f.Store.Apply(ctx, partition, ops...)
	if err == nil && after != nil {
		if err := after(ops); err != nil {
			return store.Reply{}, err
		}
	}
	return reply, err
}

func (f *faulty) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	if _, _, _, err, _ := f.hooks(); err != nil {
		return store.Record{}, time.Time{}, err
	}
	return f.Store.Get(ctx, partition, class, key)
}

func (f *faulty) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	if _, _, err, _, _ := f.hooks(); err != nil {
		return store.Record{}, time.Time{}, err
	}
	return f.Store.Wait(ctx, partition, class, key, version)
}

func (f *faulty) List(ctx context.Context, q store.Query) (store.Page, error) {
	if _, _, _, _, err := f.hooks(); err != nil {
		return store.Page{}, err
	}
	return f.Store.List(ctx, q)
}

func (f *faulty) Exclusive() bool { return !f.shared && f.Store.Exclusive() }

// newGuard makes a Guard that the test closes.
func newGuard(t testing.TB, st store.Store, cfg Config) *Guard {
	t.Helper()
	g, err := New(context.Background(), st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close(context.Background()) })
	return g
}

// app counts its runs and answers with their number.
type app struct {
	runs   atomic.Int64
	answer http.HandlerFunc // after it was counted; nil: 201 "run N"
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := a.runs.Add(1)
	if a.answer != nil {
		a.answer(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Location", "/orders/1")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, "run "+string(rune('0'+n)))
}

func (a *app) mustHaveRun(t testing.TB, want int64) {
	t.Helper()
	if got := a.runs.Load(); got != want {
		t.Fatalf("the app ran %d times, want %d", got, want)
	}
}

// request is a POST with a key; change may be nil.
func request(key, body string, change func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set(DefaultHeader, key)
	}
	if change != nil {
		change(r)
	}
	return r
}

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func post(h http.Handler, key, body string) *httptest.ResponseRecorder {
	return do(h, request(key, body, nil))
}

func mustBe(t testing.TB, w *httptest.ResponseRecorder, status int, inBody string) {
	t.Helper()
	if w.Code != status || !strings.Contains(w.Body.String(), inBody) {
		t.Fatalf("got %d %v %q, want %d with %q", w.Code, w.Header(), w.Body, status, inBody)
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// only returns the one record of the store.
func only(t testing.TB, g *Guard) Summary {
	t.Helper()
	page, err := g.List(context.Background(), Query{})
	if err != nil || len(page.Records) != 1 {
		t.Fatalf("got records %+v, error %v; want one record", page.Records, err)
	}
	return page.Records[0]
}

func mustBeState(t testing.TB, g *Guard, want string) Summary {
	t.Helper()
	s := only(t, g)
	if s.State != want {
		t.Fatalf("record is %s (%s), want %s", s.State, s.Reason, want)
	}
	return s
}

// events collects Decisions.
type events struct {
	mu  sync.Mutex
	all []seeother.Decision
}

func (e *events) observe(_ context.Context, d seeother.Decision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, d)
}

func (e *events) count(action string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.all {
		if d.Action == action {
			n++
		}
	}
	return n
}

// eventually waits for a condition of a real server.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
		time.Sleep(time.Millisecond)
	}
}
