package admin

import (
	"net/http"
	"slices"
)

// route is one method of one path: how it is served, and how /openapi.json
// describes it. There is no other table of routes.
type route struct {
	method, path string
	open         bool // without access: only what says nothing of the inside
	handle       func(http.ResponseWriter, *http.Request) error
	doc          operation
}

func (h *Handler) routes() []route {
	return append(slices.Concat(h.pages(), h.ruleRoutes(), h.maintenanceRoutes()), []route{
		{
			method: "GET", path: "/healthz", open: true, handle: h.alive,
			doc: operation{id: "alive", tag: "health", summary: "The process answers.", answers: answers{200: {"It is alive.", mediaJSON, "Alive"}}},
		},
		{
			method: "GET", path: "/readyz", open: true, handle: h.ready,
			doc: operation{
				id: "ready", tag: "health", summary: "Whether the gateway can work: every check, one by one. Why a check fails is told only with access.",
				answers: answers{200: {"All checks pass.", mediaJSON, "Readiness"}, 503: {"A check fails, or the gateway is stopping.", mediaJSON, "Readiness"}},
			},
		},
		{
			method: "GET", path: "/metrics",
			handle: func(w http.ResponseWriter, r *http.Request) error { h.metrics.ServeHTTP(w, r); return nil },
			doc:    operation{id: "metrics", tag: "health", summary: "Metrics for Prometheus.", answers: answers{200: {"All metrics.", "text/plain", ""}}},
		},
		{
			method: "GET", path: "/openapi.json", handle: h.description,
			doc: operation{id: "openapi", tag: "health", summary: "This description.", answers: answers{200: {"OpenAPI 3.1.", mediaJSON, "Any"}}},
		},
		{
			method: "GET", path: "/api/v1/status", handle: h.showStatus,
			doc: operation{id: "status", tag: "status", summary: "The gateway at this moment.", answers: answers{200: {"What runs, since when, and how it is.", mediaJSON, "Status"}}},
		},
		{
			method: "GET", path: "/api/v1/decisions", handle: h.decisions,
			doc: operation{
				id: "decisions", tag: "decisions", summary: "The last decisions, the newest first.",
				params:  []param{{name: "limit", in: "query", about: "How many; 100 where left out.", schema: integer(1, MaxEvents)}},
				answers: answers{200: {"Decisions.", mediaJSON, "Decisions"}},
			},
		},
		{
			method: "GET", path: "/api/v1/decisions/stream", handle: h.stream,
			doc: operation{
				id: "streamDecisions", tag: "decisions", summary: "Decisions as they are made, as server-sent events; data is a Decision.",
				params: []param{
					{name: "after", in: "query", about: "First send what came after the decision of this id.", schema: integer(1, -1)},
					{name: "Last-Event-ID", in: "header", about: "The same; browsers send it when they connect again.", schema: text()},
				},
				answers: answers{200: {"A stream that does not end.", "text/event-stream", ""}},
			},
		},
		{
			method: "GET", path: "/api/v1/once", handle: h.records,
			doc: operation{
				id: "listRecords", tag: "once", summary: "Run-once records, page by page. With a key, a page may be short or empty and not be the last: go on while there is a cursor.",
				params: []param{
					{name: "state", in: "query", about: "Only records in this state.", schema: enum(recordStates...)},
					{name: "key", in: "query", about: "Only records of this key, as the client sent it.", schema: text()},
					{name: "cursor", in: "query", about: "From the page before.", schema: text()},
					{name: "limit", in: "query", about: "How many; 100 where left out.", schema: integer(1, maxPage)},
				},
				answers: answers{200: {"One page.", mediaJSON, "Records"}},
			},
		},
		{
			method: "GET", path: "/api/v1/once/{id}", handle: h.record,
			doc: operation{
				id: "showRecord", tag: "once", summary: "One run-once record.", params: []param{recordID},
				answers: answers{200: {"The record.", mediaJSON, "Record"}, 404: {"There is none.", mediaProblem, "Problem"}},
			},
		},
		{
			method: "POST", path: "/api/v1/once/{id}/resolve", handle: h.resolve,
			doc: operation{
				id: "resolveRecord", tag: "once", params: []param{recordID}, body: "Resolution", bodyType: mediaJSON,
				summary: "Ends the doubt about an uncertain record.",
				answers: answers{
					200: {"The record as it is now.", mediaJSON, "Record"}, 404: {"There is none.", mediaProblem, "Problem"},
					409: {"It is not uncertain.", mediaProblem, "Problem"},
				},
			},
		},
		{
			method: "GET", path: "/api/v1/stages", handle: h.stages,
			doc: operation{id: "listStages", tag: "stages", summary: "The stage of every policy.", answers: answers{200: {"All stages.", mediaJSON, "Stages"}}},
		},
		{
			method: "POST", path: "/api/v1/stages", handle: h.setStage,
			doc: operation{
				id: "setStage", tag: "stages", summary: "Changes the stage of one policy. A stage rises only when the smoke requests pass.",
				body: "StageChange", bodyType: mediaJSON,
				answers: answers{
					200: {"All stages as they are now.", mediaJSON, "Stages"}, 404: {"There is no such policy.", mediaProblem, "Problem"},
					409: {"Smoke requests failed; the stage stays as it is.", mediaProblem, "SmokeProblem"},
				},
			},
		},
	}...)
}

var recordID = param{name: "id", in: "path", about: "The record's id.", schema: text()}

// pages are the routes for people.
func (h *Handler) pages() []route {
	return []route{
		{
			method: "GET", path: "/", handle: h.page,
			doc: operation{
				id: "page", tag: "page", summary: "The same for people.",
				params: []param{
					{name: "cursor", in: "query", about: "Further uncertain records.", schema: text()},
					{name: "resolved", in: "query", about: "Says that a record was resolved.", schema: text()},
				},
				answers: answers{200: {"A page.", "text/html", ""}},
			},
		},
		{
			method: "POST", path: "/once/{id}/resolve", handle: h.resolveForm,
			doc: operation{
				id: "resolveRecordForm", tag: "page", summary: "Ends the doubt about an uncertain record, for the page's form.",
				params: []param{recordID}, body: "Resolution", bodyType: "application/x-www-form-urlencoded",
				answers: answers{303: {"Back to the page.", "", ""}},
			},
		},
		h.asset("admin.css", "text/css; charset=utf-8"),
		h.asset("admin.js", "text/javascript; charset=utf-8"),
		h.asset("icon.svg", "image/svg+xml"),
	}
}
