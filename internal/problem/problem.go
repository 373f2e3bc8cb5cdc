// Package problem writes problem details for HTTP APIs (RFC 9457), as HTML
// where a person's browser navigates.
package problem

import (
	"cmp"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Base is what the type of every problem begins with; each names a section of
// docs/problems.md.
const Base = "https://seeother.dev/problems/"

// Details is one problem. Type is the last part of the type URI. Extra
// members must not take the standard names.
type Details struct {
	Type       string // "key-reused"; Base is put before it
	Title      string // short, the same for each occurrence
	Status     int
	Detail     string // this occurrence, and what to do next
	RetryAfter time.Duration
	// CacheControl says how long the answer may be kept; empty: "no-store".
	CacheControl string
	Extra        map[string]any
}

// Write answers r with the problem. It sets Content-Type, Cache-Control
// and Retry-After; other headers are the caller's.
func Write(w http.ResponseWriter, r *http.Request, p Details) {
	h := w.Header()
	p.stamp(h)
	if IsNavigation(r) {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
		w.WriteHeader(p.Status)
		_ = page.Execute(w, p) // the client is gone, if anything
		return
	}
	members := make(map[string]any, len(p.Extra)+4)
	maps.Copy(members, p.Extra)
	members["type"] = Base + p.Type
	members["title"] = p.Title
	members["status"] = p.Status
	if p.Detail != "" {
		members["detail"] = p.Detail
	}
	body, err := json.Marshal(members)
	if err != nil { // an Extra that is not JSON is a fault of ours
		body = []byte(`{"type":"about:blank","status":` + strconv.Itoa(p.Status) + `}`)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the client is gone, if anything
}

// stamp sets what every answer to p has.
func (p Details) stamp(h http.Header) {
	h.Set("Cache-Control", cmp.Or(p.CacheControl, "no-store"))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Content-Length")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10))
	}
}

// pagePolicy lets a page use its own styles and the pictures in it, and nothing
// else.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// WritePage answers as Write does, with an HTML page of the site's own.
func WritePage(w http.ResponseWriter, p Details, page []byte) {
	h := w.Header()
	p.stamp(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	w.WriteHeader(p.Status)
	_, _ = w.Write(page) // the client is gone, if anything
}

// IsNavigation reports whether a person's browser is going to show the answer
// as a page: Sec-Fetch-Mode is navigate, or, where the browser does not send
// that, text/html is accepted and no script library announces itself.
func IsNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	for _, name := range []string{"X-Requested-With", "HX-Request", "Turbo-Frame", "X-Turbo-Request-Id", "X-Inertia", "X-Up-Version"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	for _, accept := range r.Header.Values("Accept") {
		if strings.Contains(strings.ToLower(accept), "text/html") {
			return true
		}
	}
	return false
}

var page = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#1c2733;background:#fff}h1{font-size:1.4rem}small{color:#5b6773}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#12181f}small{color:#9aa7b4}}</style>
<h1>{{.Title}}</h1><p>{{.Detail}}</p><p><small>{{.Status}} {{.Type}}</small></p>
`))
