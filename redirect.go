package seeother

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
)

// Result answers 303: the result of what r submitted is at target, and every
// client fetches it with GET (Post/Redirect/Get). A target that [ParseTarget]
// refuses is answered with 400. Headers that w already has are sent along.
func Result(w http.ResponseWriter, r *http.Request, target string, origins ...string) {
	Redirect{Intent: IntentResult, Target: target, Origins: origins}.ServeHTTP(w, r)
}

// Temporary answers 307: the same request, method and body included, is to be
// sent to target for now. A target that [ParseTarget] refuses is answered with 400.
func Temporary(w http.ResponseWriter, r *http.Request, target string, origins ...string) {
	Redirect{Intent: IntentTemporary, Target: target, Origins: origins}.ServeHTTP(w, r)
}

// Moved answers 308: like Temporary, but for good. Clients and caches may
// remember it for as long as they like, unless Cache-Control says otherwise.
func Moved(w http.ResponseWriter, r *http.Request, target string, origins ...string) {
	Redirect{Intent: IntentMoved, Target: target, Origins: origins}.ServeHTTP(w, r)
}

// Gone answers 410: nothing is there any more.
func Gone(w http.ResponseWriter, r *http.Request) {
	Redirect{Intent: IntentGone}.ServeHTTP(w, r)
}

// Redirect is a handler that answers every request with one redirect. The zero
// value answers 303 to the page itself. It is safe for concurrent use.
type Redirect struct {
	Intent  Intent
	Legacy  bool     // for old clients; see [Status]
	Status  int      // 301, 302, 303, 307, 308 or 410: wins over Intent; 0: by Intent
	Target  string   // see [ParseTarget]; relative to the URL that the client asked for
	Origins []string // where Target may lead apart from this site
}

// Validate reports everything that is wrong with d, joined.
func (d Redirect) Validate() error {
	var errs []error
	if status := d.status(http.MethodGet); !isRedirectStatus(status) {
		errs = append(errs, fmt.Errorf("status %d: want 301, 302, 303, 307, 308 or 410", status))
	}
	for _, origin := range d.Origins {
		if _, err := ParseOrigin(origin); err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := ParseTarget(d.Target, nil, d.Origins...); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ServeHTTP answers r. A target that is refused is answered with 400, and a
// Redirect whose status makes no sense with 500. A short HTML body is written
// unless w has a Content-Type already.
func (d Redirect) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := d.status(r.Method)
	switch {
	case !isRedirectStatus(status):
		http.Error(w, "the redirect is not set up right", http.StatusInternalServerError)
		return
	case status == http.StatusGone:
		http.Error(w, "gone", status)
		return
	}
	path, query := requested(r)
	target, err := parseTarget(d.Target, path, query, d.Origins)
	if err != nil {
		http.Error(w, "the redirect target is not allowed", http.StatusBadRequest)
		return
	}
	writeRedirect(w, r, status, target.Location())
}

func (d Redirect) status(method string) int {
	if d.Status != 0 {
		return d.Status
	}
	return Status(d.Intent, method, d.Legacy)
}

func isRedirectStatus(status int) bool {
	_, follows := Follow(status, http.MethodGet)
	return follows || status == http.StatusGone
}

// requested is the path and query that the client asked for. RequestURI stays
// what it was where http.StripPrefix or a router changed URL, and it is what
// the client resolves a relative target against.
func requested(r *http.Request) (path, query string) {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, query, _ = strings.Cut(r.RequestURI, "?")
		return path, query
	}
	return r.URL.EscapedPath(), r.URL.RawQuery
}

// writeRedirect writes Location as it is, where http.Redirect would clean it
// once more (golang/go#71161).
func writeRedirect(w http.ResponseWriter, r *http.Request, status int, location string) {
	h := w.Header()
	h.Set("Location", location)
	_, hasType := h["Content-Type"]
	if !hasType {
		h.Set("Content-Type", "text/html; charset=utf-8")
	}
	w.WriteHeader(status)
	if !hasType && r.Method != http.MethodHead {
		// The client is gone, if anything.
		_, _ = io.WriteString(w, "<a href=\""+html.EscapeString(location)+"\">"+http.StatusText(status)+"</a>\n") //nolint:gosec // escaped, and printable ASCII
	}
}
