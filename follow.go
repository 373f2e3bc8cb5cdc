package seeother

import "net/http"

// MaxHops is how many redirects a client follows before it gives up (Fetch
// standard, "HTTP-redirect fetch").
const MaxHops = 20

// Next is the request that a client sends to a Location.
type Next struct {
	Method    string
	KeepsBody bool     // the request is repeated as it was; a body that cannot be sent again ends the chain here
	Drops     []string // headers that go with the body, canonical names; none when it is kept
}

// Follow tells what a client that keeps to the Fetch standard ("HTTP-redirect
// fetch") and RFC 9110 section 15.4 does with this answer to its method. It is
// false for a status that no client follows.
//
// The rest of the rule does not depend on status or method: Authorization and
// Proxy-Authorization do not cross an origin, cookies come from the jar for
// each URL, and a Location without a fragment inherits that of the URL before.
//
// Real clients differ on 301 and 302: Go turns a PUT into GET, curl -X keeps
// POST even on 303. That is why 303, 307 and 308 exist.
func Follow(status int, method string) (Next, bool) {
	becomesGet := false
	switch status {
	case http.StatusMovedPermanently, http.StatusFound:
		becomesGet = method == http.MethodPost
	case http.StatusSeeOther:
		becomesGet = method != http.MethodGet && method != http.MethodHead
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return Next{}, false
	}
	if !becomesGet {
		return Next{Method: method, KeepsBody: true}, true
	}
	return Next{Method: http.MethodGet, Drops: bodyHeaders()}, true
}

// bodyHeaders are the Fetch standard's "request-body-header names", and
// Content-Length, which browsers keep for themselves.
func bodyHeaders() []string {
	return []string{"Content-Encoding", "Content-Language", "Content-Length", "Content-Location", "Content-Type"}
}
