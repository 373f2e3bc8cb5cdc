package admin

import (
	"context"
	"net/http"
	"time"
)

// Maintenance says whether the site is down on purpose, and changes it. Methods
// are called concurrently. An order that makes no sense is ErrInvalid; when
// others change it without end, ErrChanged.
type Maintenance interface {
	Status(ctx context.Context) (MaintenanceStatus, error)
	On(ctx context.Context, o MaintenanceOrder) (MaintenanceStatus, error)
	Off(ctx context.Context) (MaintenanceStatus, error)
	Schedule(ctx context.Context, o MaintenanceOrder) (MaintenanceStatus, error)
	Cancel(ctx context.Context) (MaintenanceStatus, error)
	Active() bool
}

// MaintenanceStatus is what holds and what is planned, by the store's clock.
type MaintenanceStatus struct {
	Now     time.Time          `json:"now"`
	Active  bool               `json:"active"`
	On      *MaintenanceWindow `json:"on,omitempty"`
	Planned *MaintenanceWindow `json:"planned,omitempty"`
	Token   string             `json:"token,omitempty"` // only in answer to the order that asked for it
}

// MaintenanceWindow is one time of maintenance.
type MaintenanceWindow struct {
	From              time.Time `json:"from"`
	Until             time.Time `json:"until,omitzero"` // zero: until somebody ends it
	RetryAfterSeconds int64     `json:"retryAfterSeconds,omitempty"`
	Reason            string    `json:"reason,omitempty"`
	Allow             []string  `json:"allow"`
	Token             bool      `json:"token"` // there is one
}

// MaintenanceOrder is what an operator asks for.
type MaintenanceOrder struct {
	From              time.Time `json:"from,omitzero"`
	Until             time.Time `json:"until,omitzero"`
	ForSeconds        int64     `json:"forSeconds,omitempty"`
	RetryAfterSeconds int64     `json:"retryAfterSeconds,omitempty"`
	Reason            string    `json:"reason,omitempty"`
	Allow             []string  `json:"allow,omitempty"`
	Token             bool      `json:"token,omitempty"`
}

func (h *Handler) maintenanceRoutes() []route {
	status := answers{200: {"What holds now.", mediaJSON, "Maintenance"}}
	plain := func(act func(Maintenance, context.Context) (MaintenanceStatus, error)) func(http.ResponseWriter, *http.Request) error {
		return func(w http.ResponseWriter, r *http.Request) error { return h.maintain(w, r, act) }
	}
	order := func(act func(Maintenance, context.Context, MaintenanceOrder) (MaintenanceStatus, error)) func(http.ResponseWriter, *http.Request) error {
		return func(w http.ResponseWriter, r *http.Request) error { return h.order(w, r, act) }
	}
	return []route{
		{
			method: "GET", path: "/api/v1/maintenance", handle: plain(Maintenance.Status),
			doc: operation{id: "showMaintenance", tag: "maintenance", summary: "Whether the site is down on purpose, and what is planned.", answers: status},
		},
		{
			method: "POST", path: "/api/v1/maintenance/on", handle: order(Maintenance.On),
			doc: operation{
				id: "beginMaintenance", tag: "maintenance", summary: "Begins maintenance now, in place of one that was switched on before.",
				body: "MaintenanceOrder", bodyType: mediaJSON, answers: status,
			},
		},
		{
			method: "DELETE", path: "/api/v1/maintenance/on", handle: plain(Maintenance.Off),
			doc: operation{id: "endMaintenance", tag: "maintenance", summary: "Ends the maintenance that holds, planned or not. One that is planned for later stays.", answers: status},
		},
		{
			method: "POST", path: "/api/v1/maintenance/planned", handle: order(Maintenance.Schedule),
			doc: operation{
				id: "planMaintenance", tag: "maintenance", summary: "Plans maintenance, in place of what was planned. It wants from, and until or forSeconds.",
				body: "MaintenanceOrder", bodyType: mediaJSON, answers: status,
			},
		},
		{
			method: "DELETE", path: "/api/v1/maintenance/planned", handle: plain(Maintenance.Cancel),
			doc: operation{id: "cancelMaintenance", tag: "maintenance", summary: "Drops what is planned, and ends it if it has begun.", answers: status},
		},
	}
}

func (h *Handler) maintain(w http.ResponseWriter, r *http.Request, act func(Maintenance, context.Context) (MaintenanceStatus, error)) error {
	if h.src.Maintenance == nil {
		return errNotConfigured
	}
	status, err := act(h.src.Maintenance, r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, status)
}

// maxSeconds is a year and a day; what is longer is refused further on. Numbers
// are cut here, so that none of them overflows as a time.Duration.
const maxSeconds = 366 * 24 * 60 * 60

func (h *Handler) order(w http.ResponseWriter, r *http.Request, act func(Maintenance, context.Context, MaintenanceOrder) (MaintenanceStatus, error)) error {
	if h.src.Maintenance == nil {
		return errNotConfigured
	}
	var o MaintenanceOrder
	if err := decodeJSON(w, r, &o); err != nil {
		return err
	}
	for _, n := range []int64{o.ForSeconds, o.RetryAfterSeconds} {
		if n < 0 || n > maxSeconds {
			return &inputError{"forSeconds, retryAfterSeconds: want at most a year"}
		}
	}
	return h.maintain(w, r, func(m Maintenance, ctx context.Context) (MaintenanceStatus, error) { return act(m, ctx, o) })
}

func maintenanceSchemas() map[string]schema {
	seconds := func() schema { return integer(0, maxSeconds) }
	return map[string]schema{
		"Maintenance": object(map[string]schema{
			"now": about(moment(), "The store's clock, by which all times are meant."), "active": boolean(),
			"on": ref("MaintenanceWindow"), "planned": ref("MaintenanceWindow"),
			"token": about(text(), "The secret that the order asked for. It is said once."),
		}, "now", "active"),
		"MaintenanceWindow": object(map[string]schema{
			"from": moment(), "until": about(moment(), "Absent: until somebody ends it."), "retryAfterSeconds": seconds(),
			"reason": text(), "allow": list(text()), "token": about(boolean(), "There is a secret that opens the site."),
		}, "from", "allow", "token"),
		"MaintenanceOrder": object(map[string]schema{
			"from": about(moment(), "When it begins; planned ones only."), "until": moment(), "forSeconds": about(seconds(), "Instead of until."),
			"retryAfterSeconds": about(seconds(), "What clients are told at most."), "reason": about(text(), "For the page: what people may read."),
			"allow": about(list(text()), "Addresses and networks of clients that pass."), "token": about(boolean(), "Make a secret that opens the site."),
		}),
	}
}
