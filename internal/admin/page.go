package admin

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"

	"github.com/seeother/seeother/once"
)

const (
	pageDecisions = 50 // shown before the script adds to them
	pageRecords   = 25
)

//go:embed assets
var assets embed.FS

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"clock": func(t time.Time) string { return t.Format("15:04:05") },
	"day":   func(t time.Time) string { return t.Format("2006-01-02 15:04:05") },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
}).ParseFS(assets, "assets/page.html"))

// pageData is what the page shows.
type pageData struct {
	status
	Events    []Event
	LastEvent uint64 // what the script asks the stream to go on from
	Uncertain []once.Summary
	Cursor    string // of further uncertain records
	Paged     bool   // these are not the first
	ListError string
	Resolved  string
	NoEvents  bool
	Rules     *RulesSummary
}

func (h *Handler) page(w http.ResponseWriter, r *http.Request) error {
	data := pageData{status: h.status(r), NoEvents: h.src.Events == nil}
	if h.src.Events != nil {
		data.Events, data.LastEvent = h.src.Events.snapshot(pageDecisions)
	}
	if how := r.URL.Query().Get("resolved"); how == once.StateCompleted || how == once.StateReleased {
		data.Resolved = how
	}
	if h.src.Rules != nil {
		rules := h.src.Rules.Summary()
		data.Rules = &rules
	}
	h.addUncertain(r, &data)
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes()) // the client is gone, if anything
	return nil
}

// addUncertain lists uncertain records. A store that is down must not take the
// page along: then more than ever somebody wants to look at it.
func (h *Handler) addUncertain(r *http.Request, data *pageData) {
	if h.src.Once == nil {
		return
	}
	cursor := r.URL.Query().Get("cursor")
	page, err := h.src.Once.List(r.Context(), once.Query{State: once.StateUncertain, Cursor: cursor, Limit: pageRecords})
	if err != nil {
		h.cfg.Log.ErrorContext(r.Context(), "uncertain records cannot be listed", "error", err)
		data.ListError = "The records cannot be listed now. The gateway's log says why."
		return
	}
	data.Uncertain, data.Cursor, data.Paged = page.Records, page.Cursor, cursor != ""
}

// asset is the route of an embedded file.
func (h *Handler) asset(name, media string) route {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil { // it is embedded: a name that is wrong fails every test
		panic("admin: " + err.Error())
	}
	return route{
		method: "GET", path: "/assets/" + name,
		handle: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", media)
			_, _ = w.Write(content)
			return nil
		},
		doc: operation{id: "asset-" + name, tag: "page", summary: "Part of the page.", answers: answers{200: {"The file.", media, ""}}},
	}
}
