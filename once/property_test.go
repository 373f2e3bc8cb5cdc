package once

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// world is one app behind gateways that come and go, on one store that fails
// now and then.
type world struct {
	t      *testing.T
	rt     *rapid.T
	st     *faulty
	guard  *Guard
	old    []*Guard
	policy Policy

	mu       sync.Mutex // the app is called from many goroutines
	running  []*appRun  // runs of the app that have not been told how to end
	all      []*appRun
	repeated []string // keys that ran again, and nothing freed them
}

type appRun struct {
	key   string
	end   chan func(http.ResponseWriter, *http.Request)
	freed bool // it was proved, or said by an operator, that this one did nothing
}

// app is what the guard protects.
func (w *world) app(rw http.ResponseWriter, r *http.Request) {
	run := &appRun{key: strings.Trim(r.Header.Get(DefaultHeader), `"`), end: make(chan func(http.ResponseWriter, *http.Request))}
	w.begin(run)
	(<-run.end)(rw, r)
}

func (w *world) begin(run *appRun) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range w.all {
		if other.key == run.key && !other.freed {
			w.repeated = append(w.repeated, run.key)
		}
	}
	w.all = append(w.all, run)
	w.running = append(w.running, run)
}

// take removes the run that rt chooses from those under way.
func (w *world) take(rt *rapid.T) *appRun {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.running) == 0 {
		return nil
	}
	i := rapid.IntRange(0, len(w.running)-1).Draw(rt, "run")
	run := w.running[i]
	w.running = slices.Delete(w.running, i, i+1)
	return run
}

func (w *world) free(run *appRun) {
	w.mu.Lock()
	defer w.mu.Unlock()
	run.freed = true
}

func (w *world) request(rt *rapid.T) {
	key := rapid.SampledFrom([]string{"small", "a large one"}).Draw(rt, "key")
	r := request(strconv.Quote(key), key, header("Prefer", "wait=3"))
	h := w.guard.Handler(w.policy, http.HandlerFunc(w.app))
	ctx, cancel := context.WithCancel(w.t.Context())
	if rapid.Bool().Draw(rt, "leaves") {
		cancel()
	}
	go func() {
		defer cancel()
		defer func() { _ = recover() }()
		do(h, r.WithContext(ctx))
	}()
	synctest.Wait()
}

// answer ends a run of the app, early or late.
func (w *world) answer(rt *rapid.T) {
	run := w.take(rt)
	if run == nil {
		return
	}
	status := rapid.SampledFrom([]int{200, 201, 303, 402, 500, 502, 504, 421, 0, 1, 2}).Draw(rt, "status")
	if status == 421 || status == 2 {
		w.free(run)
	}
	run.end <- func(rw http.ResponseWriter, r *http.Request) {
		switch status {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			rw.Header().Set("Content-Type", "text/event-stream")
			status = 200
		case 2:
			AttemptFrom(r.Context()).NotApplied("proved")
			status = 502
		}
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte("answer"))
	}
	synctest.Wait()
}

func (w *world) crash(*rapid.T) {
	// The process is gone for the store: what it still runs comes late.
	w.old = append(w.old, w.guard)
	w.st.set(func(f *faulty) { f.list = nil })
	g, err := New(context.Background(), w.st, w.config())
	if err != nil {
		return // the store is down: the old one stays
	}
	w.guard = g
}

func (w *world) config() Config {
	return Config{Buffer: 5, ResultLimit: 5, Lease: 3 * time.Second, Sweep: 20 * time.Second, MaxWait: time.Minute}
}

func (w *world) fail(rt *rapid.T) {
	state := rapid.SampledFrom([]string{"", StateStarted, StateCompleted, StateReleased, StateUncertain}).Draw(rt, "of")
	states := []string{state}
	if state == "" {
		states = nil
	}
	if rapid.Bool().Draw(rt, "after") {
		w.st.loseReplies(states...)
	} else {
		w.st.failWrites(states...)
	}
}

func (w *world) resolve(rt *rapid.T) {
	page, err := w.guard.List(context.Background(), Query{State: StateUncertain})
	if err != nil || len(page.Records) == 0 {
		return
	}
	rec := rapid.SampledFrom(page.Records).Draw(rt, "record")
	as := rapid.SampledFrom([]string{StateCompleted, StateReleased}).Draw(rt, "as")
	// A request that waits may run before this goes on: not before its key is freed.
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.guard.Resolve(context.Background(), rec.ID, Resolution{As: as})
	if as != StateReleased || err != nil && !isDisk(err) {
		return
	}
	// Released, or perhaps: whatever ran under the key so far is accounted for.
	for _, run := range w.all {
		if HashKey(run.key) == rec.KeyHash {
			run.freed = true
		}
	}
}

func isDisk(err error) bool { return err.Error() == errDisk.Error() }

func TestNothingFreesAKeyButAProofOrAnOperator(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, rt: rt, st: newFaulty()}
			w.st.shared = rapid.Bool().Draw(rt, "shared")
			g, err := New(context.Background(), w.st, w.config())
			if err != nil {
				t.Fatal(err)
			}
			w.guard = g
			defer w.close()
			rt.Repeat(map[string]func(*rapid.T){
				"request": w.request, "request again": w.request, "and again": w.request, "answer": w.answer, "crash": w.crash,
				"fail": w.fail, "heal": func(*rapid.T) { w.st.heal() }, "resolve": w.resolve,
				"time passes": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 8).Draw(rt, "seconds")) * time.Second)
					synctest.Wait()
				},
				"": func(rt *rapid.T) {
					w.mu.Lock()
					defer w.mu.Unlock()
					if w.repeated != nil {
						rt.Fatalf("%q ran again, and nothing freed them", w.repeated)
					}
				},
			})
		})
	})
}

func (w *world) close() {
	w.st.heal()
	for synctest.Wait(); ; synctest.Wait() { // one that ends may let another begin
		w.mu.Lock()
		running := w.running
		w.running = nil
		w.mu.Unlock()
		if running == nil {
			break
		}
		for _, run := range running {
			run.end <- func(http.ResponseWriter, *http.Request) {}
		}
	}
	for _, g := range append(w.old, w.guard) {
		_ = g.Close(context.Background())
	}
	time.Sleep(10 * time.Minute) // whoever waits gives up
	synctest.Wait()
	if s := w.guard.Stats(); s.Memory != 0 || s.Active != 0 || s.Running != 0 {
		w.rt.Errorf("left over: %+v", s)
	}
}
