package form

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seeother/seeother"
)

// Creation sends a browser to what it has just made: a 201 with a Location on this
// site, in answer to a navigation, becomes 303. A browser does not follow the
// Location of a 201 (RFC 9110 section 10.2.2), so it would show whatever stands in
// the body. Other clients keep their 201. The zero value acts on every such answer
// and tells nobody. It must not be changed once Handler was called.
type Creation struct {
	Stage seeother.Stage
	Route string // the route's name, for Decisions

	// Client identifies the client for a canary. Nil: the host of RemoteAddr.
	Client func(*http.Request) string
	// Origin is this site as the client sees it, "https://host". Nil: from TLS and
	// Host; behind a proxy that ends TLS it must be set.
	Origin func(*http.Request) string
	// Observe is told of every answer that was or would have been changed, and of
	// those whose Location is not followed. Nil: nobody is.
	Observe seeother.Observer
}

// Handler acts on what next answers, as c says. Only requests of browsers that go
// from page to page (see IsNavigation) get another ResponseWriter than theirs.
func (c Creation) Handler(next http.Handler) http.Handler {
	if c.Stage == seeother.Off {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsNavigation(r) {
			next.ServeHTTP(w, r)
			return
		}
		base := *askedFor(r) // handlers may change theirs
		method := r.Method
		watched := &watcher{ResponseWriter: w}
		watched.look = func(status int, _ []byte) int {
			if status != http.StatusCreated {
				return status
			}
			return c.act(r, w.Header(), method, &base)
		}
		next.ServeHTTP(watched.watch(), r)
		watched.done()
	})
}

// act changes the header of a 201 and returns the status to send.
func (c *Creation) act(r *http.Request, h http.Header, method string, base *url.URL) int {
	a := seeother.Answer{Method: method, Status: http.StatusCreated, Location: h["Location"], Origin: siteOf(r, c.Origin)}
	if c.Stage.IsCanary() {
		a.Client = clientOf(r, c.Client)
	}
	d, location, found := c.decide(a, base)
	if !found {
		return a.Status
	}
	if c.Observe != nil {
		d.Time = time.Now()
		c.Observe(r.Context(), d)
	}
	if !d.Applied {
		return a.Status
	}
	h.Set("Location", location)
	if c.Stage.IsCanary() {
		h.Set("Cache-Control", "private, no-store")
	}
	return d.After
}

// decide tells whether the answer to a navigation at base is one to act on, and
// where it leads. It is a pure function.
func (c *Creation) decide(a seeother.Answer, base *url.URL) (d seeother.Decision, location string, found bool) {
	if c.Stage == seeother.Off || a.Status != http.StatusCreated || len(a.Location) != 1 || strings.TrimSpace(a.Location[0]) == "" {
		return seeother.Decision{}, "", false
	}
	d = seeother.Decision{
		Policy: "creation", Action: "303", Route: c.Route, Stage: c.Stage, Applied: c.Stage.Acts(a.Client),
		Method: a.Method, Path: base.EscapedPath(), Before: a.Status, After: http.StatusSeeOther,
		Reason: "a browser does not follow the Location of a 201",
	}
	target, err := seeother.ParseTarget(strings.Trim(a.Location[0], " \t"), base, a.Origin)
	if err != nil {
		d.Applied, d.Reason = false, "left alone: "+err.Error()
		return d, "", true
	}
	return d, target.Location(), true
}
