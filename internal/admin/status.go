package admin

import (
	"net/http"
	"time"

	"github.com/seeother/seeother/once"
)

// status is the gateway at one moment.
type status struct {
	Version       string        `json:"version"`
	Started       time.Time     `json:"started"`
	UptimeSeconds float64       `json:"uptimeSeconds"`
	Listen        string        `json:"listen,omitempty"`
	Upstream      string        `json:"upstream,omitempty"`
	Health        readiness     `json:"health"`
	Decisions     uint64        `json:"decisions"` // made since the start
	Once          *once.Stats   `json:"once,omitempty"`
	Stages        []policyStage `json:"stages"`
}

func (h *Handler) status(r *http.Request) status {
	out := status{
		Version: h.cfg.Version, Started: h.started, UptimeSeconds: time.Since(h.started).Seconds(),
		Listen: h.cfg.Listen, Upstream: h.cfg.Upstream,
		Health: h.readiness(r.Context()), Stages: h.stageRows(),
	}
	if h.src.Events != nil {
		out.Decisions = h.src.Events.Total()
	}
	if h.src.Once != nil {
		stats := h.src.Once.Stats()
		out.Once = &stats
	}
	return out
}

func (h *Handler) showStatus(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, h.status(r))
}
