package rule

import (
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"
)

// maxDropped is how much of the body of a replaced 404 is taken before the app
// is cut off, in bytes. A short one is taken whole, so that a proxy can keep its
// connection.
const maxDropped = 64 << 10

// errReplaced ends the copying of a 404 that nobody gets.
var errReplaced = errors.New("the answer was replaced by a redirect")

// watch lets next answer, adds to the answer what is to be said of it, and
// replaces a 404 where the rule says so.
func (a *answer) watch(mw Middleware, w http.ResponseWriter, r *http.Request, next http.Handler) {
	out := &watcher{ResponseWriter: w, answer: a, middleware: mw, request: r}
	if a.missing {
		out.before = maps.Clone(w.Header())
	}
	defer func() {
		out.stop()
		// A reverse proxy gives up so when it cannot copy; the client has its
		// whole answer by then.
		if fault := recover(); fault != nil && (!out.replaced || fault != http.ErrAbortHandler) { //nolint:errorlint // what is thrown is this value
			panic(fault)
		}
	}()
	next.ServeHTTP(out, r)
	if !out.wrote { // net/http sends 200 now
		a.mark(w.Header())
	}
}

// watcher looks at the one status that is sent. What is not a 404 streams
// through.
type watcher struct {
	http.ResponseWriter

	answer     *answer
	middleware Middleware
	request    *http.Request
	before     http.Header // what the header held before next was asked

	wrote    bool // the status is decided
	replaced bool
	dropped  int

	mu   sync.Mutex // held by Flush of a redirect
	done bool       // the ResponseWriter is the server's again; guarded by mu
	late *time.Timer
}

// WriteHeader decides about the first final status.
func (w *watcher) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.replaced {
		return
	}
	if !w.wrote {
		w.wrote = true
		if status == http.StatusNotFound && w.replace() {
			return
		}
		w.answer.mark(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// replace tells of the rules that are for what the app does not have, and sends
// the redirect if there is one.
func (w *watcher) replace() bool {
	if keep := w.middleware.Keep; keep != nil && keep(w.request) {
		return false
	}
	for i := range w.answer.later {
		e := &w.answer.later[i]
		e.decision.Before = http.StatusNotFound
		w.middleware.tell(w.request, e)
	}
	if !w.answer.missing {
		return false
	}
	w.replaced = true
	h := w.Header()
	clear(h)
	maps.Copy(h, w.before)
	w.answer.write(w.middleware, w.ResponseWriter, w.request)
	w.late = time.AfterFunc(patience, w.send)
	return true
}

// patience is how long the end of a 404 that nobody gets is waited for before
// its redirect is sent.
const patience = 50 * time.Millisecond

// send sends the redirect while next is still busy. Nothing else is written any
// more.
func (w *watcher) send() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // then it is sent at the end
	}
}

// stop waits for send, or keeps it from beginning.
func (w *watcher) stop() {
	if w.late == nil {
		return
	}
	w.late.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
}

// Write drops the body of a replaced 404, as far as it is short.
func (w *watcher) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if !w.replaced {
		return w.ResponseWriter.Write(b)
	}
	if w.dropped += len(b); w.dropped > maxDropped {
		return 0, errReplaced
	}
	return len(b), nil
}

// FlushError is what http.ResponseController calls.
func (w *watcher) FlushError() error {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.replaced {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is http.Flusher.
func (w *watcher) Flush() { _ = w.FlushError() } // it has no way to tell

// Unwrap is for http.ResponseController.
func (w *watcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }
