package rule

import (
	"net/http"
	"time"
)

// Request is what rules look at. All of it is as the client sent it.
type Request struct {
	Method string
	Scheme string // "http" or "https", as the client saw it
	Host   string // may have a port
	Path   string // percent-encoded
	Query  string // raw, without the question mark
	Header http.Header
	Client string    // identifies the client for canaries
	Now    time.Time // zero: now, where a rule asks
}

// RequestOf is r as rules see it. Scheme and host come from the caller, who
// knows whom to trust.
func RequestOf(r *http.Request, scheme, host string) Request {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.EscapedPath()
	}
	if path == "" { // of "GET http://www.example.com", RFC 9112 section 3.2.2
		path = "/"
	}
	return Request{Method: r.Method, Scheme: scheme, Host: host, Path: path, Query: r.URL.RawQuery, Header: r.Header}
}
