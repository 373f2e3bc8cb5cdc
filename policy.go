package seeother

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// maxShown bounds the path in a Reason, in bytes.
const maxShown = 200

// Policy says how answers are mended. The zero value mends every answer and
// tells nobody. A Policy must not be changed once Handler was called.
type Policy struct {
	Stage Stage
	Route string // the route's name, for Decisions

	// CrossOrigin mends a 302 to another origin after PUT and PATCH too.
	// Without it such a 302 (an upload that is handed to a storage service)
	// is only reported, since the other side waits for the PUT.
	CrossOrigin bool
	// Credentials turns a 307 or 308 that answers a POST into 303, so that a
	// submitted password is not sent on (RFC 9700 section 4.12).
	Credentials bool
	// ServerTiming adds a Server-Timing header to changed answers.
	ServerTiming bool

	// Client identifies the client for a canary. Nil: the host of RemoteAddr.
	Client func(*http.Request) string
	// Origin is this site as the client sees it, "https://host". Nil: from
	// TLS and Host; behind a proxy that ends TLS it must be set.
	Origin func(*http.Request) string
	// Observe is told of every answer that was or would have been changed. Nil: nobody is.
	Observe Observer
}

// Answer is what Decide looks at.
type Answer struct {
	Method   string   // of the request
	Path     string   // of the request, escaped
	Status   int      // that the handler answered
	Location []string // the Location headers as they are
	Origin   string   // of this site, "https://host"; "": every absolute Location is another origin
	Client   string   // only a canary asks for it
}

// Decide tells whether an answer is one that p mends. If it is, the Decision
// holds the better status in After, and in Applied whether to send it. The
// Decision's Time is left zero. Decide is a pure function.
//
// It mends exactly 302, and with Credentials also 307 and 308 after POST, if
// there is exactly one Location and it is not empty: clients do not agree on
// what two of them mean.
func (p Policy) Decide(a Answer) (Decision, bool) {
	scheme, host, _ := strings.Cut(a.Origin, "://")
	return p.decide(a, scheme, host)
}

// decide is Decide with the origin in its two parts, which cost nothing to have.
func (p Policy) decide(a Answer, scheme, host string) (Decision, bool) {
	if p.Stage == Off || !p.mends(a.Method, a.Status) || !hasLocation(a.Location) {
		return Decision{}, false
	}
	to, foreign := destination(a.Location[0], a.Path, scheme, host)
	handoff := foreign && !p.CrossOrigin && (a.Method == http.MethodPut || a.Method == http.MethodPatch)
	applied := !handoff && p.Stage.Acts(a.Client)
	return Decision{
		Policy: "see-other", Action: "303", Route: p.Route, Stage: p.Stage, Applied: applied,
		Method: a.Method, Path: a.Path, Before: a.Status, After: http.StatusSeeOther,
		Reason: reason(a, to, handoff, applied),
	}, true
}

func (p Policy) mends(method string, status int) bool {
	switch status {
	case http.StatusFound:
		return submits(method)
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return p.Credentials && method == http.MethodPost
	}
	return false
}

// submits reports whether answers to method can ever be mended. GET, HEAD,
// QUERY, OPTIONS and the WebDAV methods are not ours.
func submits(method string) bool {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false
}

func hasLocation(values []string) bool {
	return len(values) == 1 && strings.TrimSpace(values[0]) != ""
}

func reason(a Answer, to string, handoff, applied bool) string {
	verb := "browsers send "
	if applied {
		verb = "browsers would have sent "
	}
	switch {
	case handoff:
		return "left alone, it leads to another origin: " + verb + a.Method + " " + to
	case a.Status != http.StatusFound:
		return verb + "POST " + to + " again, with the password"
	case a.Method == http.MethodPost:
		return "303 tells every client GET " + to
	}
	return verb + a.Method + " " + to
}

// destination is where a browser goes from path at scheme and host, and whether
// that is another origin. It leaves out userinfo, query and fragment, and the origin
// where it is this one. The result is printable ASCII of bounded length.
func destination(location, path, scheme, host string) (to string, foreign bool) {
	if i := strings.IndexAny(location, "?#"); i >= 0 {
		location = location[:i]
	}
	location = strings.ReplaceAll(strings.Trim(location, " \t"), `\`, "/") // the same to browsers
	ref := splitReference(location)
	if !ref.hasScheme && !ref.hasAuthority {
		return shown(resolvePath(ref.path, path)), false
	}
	if !ref.hasAuthority { // mailto:, or something broken
		return shown(ref.scheme + ":"), true
	}
	if !ref.hasScheme {
		ref.scheme = scheme
	}
	absolute := resolvePath(ref.path, "/")
	ref.authority = ref.authority[strings.LastIndexByte(ref.authority, '@')+1:]
	here, known := newOrigin(scheme, host)
	there, ok := newOrigin(ref.scheme, ref.authority)
	switch {
	case !ok:
		return shown(ref.scheme + "://" + ref.authority + absolute), true
	case known && there == here:
		return shown(absolute), false
	}
	return shown(there.String() + absolute), true
}

func shown(s string) string {
	if len(s) > maxShown {
		return encode(s[:maxShown]) + "..."
	}
	return encode(s)
}

// client and origin are the two functions with their defaults.
func (p *Policy) client(r *http.Request) string {
	if p.Client != nil {
		return p.Client(r)
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

func (p *Policy) origin(r *http.Request) (scheme, host string) {
	switch {
	case p.Origin != nil:
		scheme, host, _ = strings.Cut(p.Origin(r), "://")
		return scheme, host
	case r.TLS != nil:
		return "https", r.Host
	}
	return "http", r.Host
}

// serverTiming is one metric without a duration (W3C Server Timing).
func serverTiming(d Decision) string {
	return `seeother;desc="` + strconv.Itoa(d.Before) + " to " + strconv.Itoa(d.After) + `"`
}
