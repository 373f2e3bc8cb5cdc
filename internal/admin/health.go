package admin

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	checkTimeout = 3 * time.Second // for one check
	checkFresh   = time.Second     // for so long the last results are given again
)

// Check is the result of one check of readiness.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// Detail is what somebody should look at, although the check passes.
	Detail string `json:"detail,omitempty"`
}

// Probe is one thing to check: Run returns nil when it is ready.
type Probe struct {
	Name string
	Run  func(context.Context) error
	// Detail, asked after Run, is for Check.Detail. It may be nil.
	Detail func() string
}

// Checks returns a function for Sources.Ready that runs all probes at one
// time, each for at most three seconds.
func Checks(probes ...Probe) func(context.Context) []Check {
	return func(ctx context.Context) []Check {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		out := make([]Check, len(probes))
		var running sync.WaitGroup
		for i, p := range probes {
			running.Go(func() {
				out[i] = Check{Name: p.Name, OK: true}
				if err := p.Run(ctx); err != nil {
					out[i].OK, out[i].Error = false, err.Error()
				}
				if p.Detail != nil {
					out[i].Detail = p.Detail()
				}
			})
		}
		running.Wait()
		return out
	}
}

// health answers whether the gateway can work. However many ask, the checks
// run once a second at most.
type health struct {
	run func(context.Context) []Check

	mu   sync.Mutex // held while the checks run: who comes meanwhile gets their results
	last []Check
	at   time.Time
}

func (h *health) checks(ctx context.Context) []Check {
	if h.run == nil {
		return []Check{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil || time.Since(h.at) > checkFresh {
		// One client that goes away must not spoil the others' answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*checkTimeout)
		defer cancel()
		h.last = append([]Check{}, h.run(ctx)...)
		h.at = time.Now()
	}
	return h.last
}

// readiness is what /readyz answers.
type readiness struct {
	Ready    bool    `json:"ready"`
	Stopping bool    `json:"stopping"`
	Checks   []Check `json:"checks"`
}

func (h *Handler) readiness(ctx context.Context) readiness {
	out := readiness{Ready: true, Stopping: h.stopping.Load(), Checks: h.health.checks(ctx)}
	for _, c := range out.Checks {
		out.Ready = out.Ready && c.OK
	}
	out.Ready = out.Ready && !out.Stopping
	return out
}

// alive says that the process answers, and no more: who restarts what is not
// alive must not do so because the app is down.
func (h *Handler) alive(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]bool{"alive": true})
}

// ready is open to everyone, so what went wrong is told only to those who may
// see the rest: errors name addresses and files.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request) error {
	out := h.readiness(r.Context())
	if h.access.check(r) != nil {
		checks := make([]Check, len(out.Checks))
		for i, c := range out.Checks {
			checks[i] = Check{Name: c.Name, OK: c.OK} // nor Detail
		}
		out.Checks = checks
	}
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	return writeJSON(w, status, out)
}
