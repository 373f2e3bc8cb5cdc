package seeother

import (
	"net/http"
	"net/url"
	"strings"
)

// Hop is one answer that a [Client] got, and where it leads. What it points to
// is not to be changed, and Response.Body not to be read.
type Hop struct {
	N        int // redirects that came before, of this call
	Method   string
	URL      *url.URL
	BodySent bool // the request had a body
	Status   int

	// Location is as the server wrote it; empty if nobody follows this status,
	// and in ModeError.
	Location string

	// These are set when Location leads somewhere, in ModeManual too.

	Next        *url.URL
	NextMethod  string
	BodyDropped bool     // the request had a body, the next one has none
	Drops       []string // headers of the request that the next one goes without, or that are cut down; canonical names
	CrossOrigin bool     // Next has another scheme, host or port than URL
	Downgrade   bool     // from https to http

	Request  *http.Request // as it was given to the Transport
	Response *http.Response
}

func newHop(n int, r *http.Request, resp *http.Response) Hop {
	return Hop{
		N: n, Method: r.Method, URL: r.URL, BodySent: hasBody(r), Status: resp.StatusCode,
		Request: resp.Request, Response: resp,
	}
}

// lead completes hop for a request that goes to next by rule.
func (hop *Hop) lead(next *url.URL, rule Next, r *http.Request) {
	hop.Next, hop.NextMethod = next, rule.Method
	hop.BodyDropped = hop.BodySent && !rule.KeepsBody
	hop.CrossOrigin = !sameOrigin(hop.URL, next)
	hop.Downgrade = hop.URL.Scheme == "https" && next.Scheme == "http"
	_, hop.Drops = nextHeader(hop, r, rule)
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// sameOrigin is by scheme, host and port (RFC 6454 section 5).
func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	default:
		return "80"
	}
}
