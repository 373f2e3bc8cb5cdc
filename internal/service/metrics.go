package service

import (
	"net/http"
	"sync/atomic"

	"github.com/seeother/seeother/once"
)

// kinds are what a check can come to, as they are counted.
var kinds = [...]string{"execute", "repeated", "duplicate", "in_flight", "uncertain", "denied", "bypassed"}

// checks counts them.
type checks [len(kinds)]atomic.Uint64

func (c *checks) count(r checkReply) {
	kind := r.Status
	switch {
	case r.Guard != "":
		kind = r.Guard
	case r.Repeated:
		kind = "repeated"
	}
	for i, name := range kinds {
		if name == kind {
			c[i].Add(1)
		}
	}
}

// Checks is how many checks came to what, since the start.
func (s *Service) Checks() map[string]uint64 {
	out := make(map[string]uint64, len(kinds))
	for i, name := range kinds {
		out[name] = s.asked[i].Load()
	}
	return out
}

// Stats are the numbers of all tenants together.
func (s *Service) Stats() once.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := once.Stats{Outcomes: map[string]uint64{}}
	for _, t := range s.tenants {
		one := t.guard.Stats()
		sum.Active += one.Active
		sum.Running += one.Running
		sum.Uncertain += one.Uncertain
		sum.Memory += one.Memory
		for name, n := range one.Outcomes {
			sum.Outcomes[name] += n
		}
	}
	return sum
}

// ServeMetrics answers GET /metrics with h, to whoever has a token. It is called
// before the first request.
func (s *Service) ServeMetrics(h http.Handler) { s.metrics = h }

func (s *Service) showMetrics(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.metrics == nil:
		s.nothing(w, r)
	case s.tenant(r) == nil:
		s.unknown(w, r)
	default:
		s.metrics.ServeHTTP(w, r)
	}
}
