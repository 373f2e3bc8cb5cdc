package once

import (
	"context"
	"errors"
	"net/http"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

// ClassSeen is the class of the keys that the report stage has seen.
const ClassSeen = "once-seen"

// report notes what the policy would have done, and changes nothing: the look
// into the store runs beside the request, and is left out when there are too
// many at one time.
func (h *handler) report(r *http.Request, key string, keyErr error) {
	d := seeother.Decision{
		Route: h.policy.Route, Stage: h.policy.Stage, Method: r.Method, Path: r.URL.EscapedPath(),
	}
	switch {
	case errors.Is(keyErr, errNoKey):
		d.Action, d.After, d.Reason = "missing", http.StatusBadRequest, "a key would have been required"
	case keyErr != nil:
		d.Action, d.After, d.Reason = "malformed", http.StatusBadRequest, keyErr.Error()
	default:
		d.Record = recordKey(h.guard.cfg.Tenant, h.policy.principal(r), r.Method, h.policy.host(r), h.policy.Scope, key)
		h.guard.reportSeen(r.Context(), d)
		return
	}
	h.guard.observe(r.Context(), d)
}

func (g *Guard) reportSeen(ctx context.Context, d seeother.Decision) {
	select {
	case g.observed <- struct{}{}:
	default:
		return
	}
	open := g.background(func() {
		defer func() { <-g.observed }()
		ctx, cancel := g.detached(ctx)
		defer cancel()
		_, err := g.store.Apply(ctx, g.cfg.Tenant, store.PutIfAbsent(ClassSeen, d.Record, store.Put{State: "seen", TTL: g.cfg.Retention}))
		if errors.Is(err, store.ErrConflict) {
			d.Action, d.Reason = "repeated", "this key came before; it would have got the first answer, without calling the app"
			g.observe(ctx, d)
		}
	})
	if !open {
		<-g.observed
	}
}
