package operation

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// sameOrigin refuses what another site's page makes a browser send.
var sameOrigin = http.NewCrossOriginProtection()

// cancel writes down that the sender wants it to end. The process that runs it sees
// that, and the app, when it reports.
func (o *Operations) cancel(w http.ResponseWriter, r *http.Request, s once.Submission) {
	if err := sameOrigin.Check(r); err != nil {
		problem.Write(w, r, problem.Details{
			Type: "cross-origin", Title: "Not from this site", Status: http.StatusForbidden,
			Detail: "A page of another site has sent this. Nothing was cancelled.",
		})
		return
	}
	now := time.Now()
	err := o.change(r.Context(), runOf(s), func(n *note) {
		if n.Cancelled.IsZero() {
			n.Cancelled = now
		}
	})
	if err != nil {
		problem.Write(w, r, problem.Details{
			Type: "store-unavailable", Title: "It cannot be cancelled now", Status: http.StatusServiceUnavailable, RetryAfter: 5 * time.Second,
			Detail: "It goes on. Try again later.",
		})
		return
	}
	o.observe(r, s)
	if r.Method == http.MethodPost { // of the waiting page
		w.Header().Set("Location", s.URL)
		w.Header().Set("Cache-Control", "private, no-store")
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	s.WriteJSON(w, http.StatusAccepted, note{Cancelled: now}.members())
}

func (o *Operations) observe(r *http.Request, s once.Submission) {
	if o.cfg.Observe != nil {
		o.cfg.Observe(r.Context(), seeother.Decision{
			Time: time.Now(), Policy: "operation", Action: "cancel", Applied: true, Method: r.Method, Path: r.URL.EscapedPath(),
			Reason: "its sender wants it to end; the app is told when it reports, and is cut off after a while", Record: s.Record,
		})
	}
}

// awaitCancel waits until the sender has cancelled a run, and its app had time to end
// by itself.
func (o *Operations) awaitCancel(ctx context.Context, s once.Submission) bool {
	return o.awaitWish(ctx, runOf(s)) && pause(ctx, o.cfg.Grace)
}

// awaitWish waits for the wish alone.
func (o *Operations) awaitWish(ctx context.Context, of run) bool {
	version := uint64(0)
	for ctx.Err() == nil {
		rec, _, err := o.store.Wait(ctx, o.guard.Tenant(), Class, of.id, version)
		switch {
		case err == nil:
			version = rec.Version
			if n, _ := o.noteOf(rec, of); !n.Cancelled.IsZero() {
				return true
			}
		case errors.Is(err, store.ErrNotFound):
			version = 0
		default:
			pause(ctx, waitPause)
		}
	}
	return false
}

// waitPause is how long a store that cannot wait is left alone.
const waitPause = time.Second

// pause is true when so much time has gone by before ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
