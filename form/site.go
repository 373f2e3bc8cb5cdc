package form

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/seeother/seeother"
)

// siteOf is this site as the client of r sees it, "https://host": as of says, or
// from TLS and Host.
func siteOf(r *http.Request, of func(*http.Request) string) string {
	switch {
	case of != nil:
		return of(r)
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// isHTTPS reports whether browsers come to a site over https.
func isHTTPS(site string) bool { return strings.HasPrefix(site, "https:") }

// askedFor is the path and query that the client asked for. RequestURI stays what
// it was where http.StripPrefix or a router changed URL, and is what a client
// resolves a relative reference against.
func askedFor(r *http.Request) *url.URL {
	if strings.HasPrefix(r.RequestURI, "/") {
		if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
			return u
		}
	}
	return r.URL
}

// pathOf is the path that a reference in an answer to r leads to on site, in the
// form that two paths are compared in. It counts for both schemes: many an app
// behind a gateway does not know that browsers come over https.
func pathOf(r *http.Request, to, site string) (string, error) {
	_, host, _ := strings.Cut(site, "://")
	t, err := seeother.ParseTarget(strings.Trim(to, " \t"), askedFor(r), "https://"+host, "http://"+host)
	if err != nil {
		return "", err
	}
	path := strings.TrimPrefix(t.Location(), t.Origin())
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	return plainPath(path), nil
}

// plainPath is an escaped path in the form that two are compared in: browsers do
// not agree on what else than they must they escape.
func plainPath(escaped string) string {
	if plain, err := url.PathUnescape(escaped); err == nil {
		return plain
	}
	return escaped
}

// clientOf is who sent r, for canaries: as of says, or the peer's address.
func clientOf(r *http.Request, of func(*http.Request) string) string {
	if of != nil {
		return of(r)
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
