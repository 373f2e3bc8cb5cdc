package once

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// OnUncertain is what happens to a request whose key is uncertain.
type OnUncertain uint8

const (
	// Block answers 409 until somebody resolved the record.
	Block OnUncertain = iota
	// Retry starts the key again. Only for an app that drops repetitions of
	// the key by itself.
	Retry
	// AskProbe asks Policy.Probe, and blocks where that does not know.
	AskProbe
)

// Policy is how a route is guarded. The zero value guards POST and PATCH
// requests that carry an Idempotency-Key. Its functions are called for many
// requests at one time.
type Policy struct {
	Stage        seeother.Stage
	Route        string   // its name in the configuration, for the log
	Required     bool     // a request without a key gets 400
	Methods      []string // POST and PATCH where empty
	Key          KeySource
	Scope        string // a keyspace of its own
	Site         string // the name of the site; empty: the Host of each request. Gateways of one store that are reached under different hosts must say the same
	NotApplied   []int  // statuses with which the app vouches that it did nothing
	FailOpen     bool   // a store that is down lets requests through, unguarded
	OnUncertain  OnUncertain
	Probe        Probe    // of AskProbe
	Replay       []string // headers of the first answer to repeat, beside the usual ones
	ServerTiming bool     // tell the browser's tools
	Forms        *Forms   // guards what browsers submit; nil: only keys count
	// StatusPath is where Guard.Status is served, such as /.well-known/seeother/once/.
	// With it a duplicate of what still runs may say Prefer: respond-async.
	StatusPath string
	// Later answers requests whose app takes long before it has; nil: they wait.
	Later *Later

	// Principal says on whose behalf a request comes; the zero PrincipalRule's
	// Of where nil.
	Principal func(*http.Request) Principal
	// Client names the client, for canaries and for the caps of those who
	// have no principal; the address of the peer where nil.
	Client func(*http.Request) string
}

// Validate reports everything that is wrong with the policy, joined into one
// error. Guard.Handler does not call it.
func (p Policy) Validate() error {
	var errs []error
	for _, m := range p.Methods {
		switch m {
		case http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete:
		default:
			errs = append(errs, fmt.Errorf("method %q: want POST, PATCH, PUT or DELETE", m))
		}
	}
	if err := p.Key.validate(); err != nil {
		errs = append(errs, err)
	}
	if (p.OnUncertain == AskProbe) != (p.Probe != nil) {
		errs = append(errs, errors.New("probe: wanted with AskProbe, and not without"))
	}
	if p.StatusPath != "" && (p.StatusPath[0] != '/' || !strings.HasSuffix(p.StatusPath, "/")) {
		errs = append(errs, fmt.Errorf("status path %q: want a slash at both ends", p.StatusPath))
	}
	if p.Later != nil && p.StatusPath == "" {
		errs = append(errs, errors.New("later: want a status path"))
	}
	for _, s := range p.NotApplied {
		if s < 400 || s > 599 {
			errs = append(errs, fmt.Errorf("not applied %d: want a status from 400 to 599", s))
		}
	}
	return errors.Join(errs...)
}

// Guards reports whether a Handler of p takes r as a submission: it is that of a
// form, or its method is one of the policy's, there is a key, malformed or not, and
// the stage acts for the client.
func (p Policy) Guards(r *http.Request) bool {
	p = p.withDefaults()
	if token, _ := p.formOf(r); token != "" {
		return true
	}
	has := p.Key.Pointer != "" || len(r.Header.Values(p.Key.Header)) > 0
	return p.keyed(r.Method) && has && p.Stage.Acts(p.Client(r))
}

func (p Policy) withDefaults() Policy {
	if len(p.Methods) == 0 {
		p.Methods = []string{http.MethodPost, http.MethodPatch}
	}
	if p.Key.Pointer == "" {
		setDefault(&p.Key.Header, DefaultHeader)
	} else {
		p.Required = true
	}
	if p.Principal == nil {
		p.Principal = PrincipalRule{}.Of
	}
	if p.Client == nil {
		p.Client = peer
	}
	p.Replay = canonical(p.Replay)
	if p.Forms != nil {
		forms := *p.Forms
		setDefault(&forms.SameFor, DefaultSameFor)
		p.Forms = &forms
	}
	return p
}

// keyed says whether a request with this method may have a key that counts.
func (p Policy) keyed(method string) bool {
	return slices.Contains(p.Methods, method) && (p.Forms == nil || !p.Forms.Only)
}

// host is the host that r's submission belongs to.
func (p Policy) host(r *http.Request) string { return cmp.Or(p.Site, r.Host) }

// principal is on whose behalf r comes, by the policy's rule.
func (p Policy) principal(r *http.Request) Principal {
	if who := p.Principal(r); who.known() {
		return who
	}
	return nobody
}

func notInName(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
}

func canonical(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = http.CanonicalHeaderKey(n)
	}
	return out
}

func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// outcome is what the app's answer says about its work.
type outcome uint8

const (
	outcomeCompleted outcome = iota
	outcomeReleased
	outcomeUncertain
)

// OutcomeHeader lets an app say that it did nothing ("not-applied"), and tells
// clients when that is proved or when the outcome is in doubt.
const OutcomeHeader = "Once-Outcome"

// judge decides what an answer with this status means.
func (p Policy) judge(status int, said string) (outcome, string) {
	switch {
	case said == "not-applied":
		return outcomeReleased, "the app said that it did nothing"
	case status == http.StatusMisdirectedRequest || status == http.StatusTooEarly:
		return outcomeReleased, fmt.Sprintf("%d says that the request was not taken", status)
	case slices.Contains(p.NotApplied, status):
		return outcomeReleased, fmt.Sprintf("the configuration vouches that %d changes nothing", status)
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return outcomeUncertain, fmt.Sprintf("the app answered %d, which does not say whether it did its work", status)
	}
	return outcomeCompleted, ""
}

// replayedHeaders are repeated to duplicates. Set-Cookie has its own rule;
// everything that belongs to one connection or one moment stays out.
var replayedHeaders = map[string]bool{
	"Accept-Ranges": true, "Access-Control-Allow-Credentials": true, "Access-Control-Allow-Headers": true,
	"Access-Control-Allow-Methods": true, "Access-Control-Allow-Origin": true, "Access-Control-Expose-Headers": true,
	"Access-Control-Max-Age": true, "Allow": true, "Cache-Control": true, "Content-Disposition": true,
	"Content-Encoding": true, "Content-Language": true, "Content-Location": true, "Content-Range": true,
	"Content-Security-Policy": true, "Content-Security-Policy-Report-Only": true, "Content-Type": true,
	"Cross-Origin-Embedder-Policy": true, "Cross-Origin-Opener-Policy": true, "Cross-Origin-Resource-Policy": true,
	"Deprecation": true, "Digest": true, "Content-Digest": true, "Repr-Digest": true, "Etag": true, "Expires": true,
	"Last-Modified": true, "Link": true, "Location": true, "Origin-Agent-Cluster": true, "Permissions-Policy": true,
	"Pragma": true, "Preference-Applied": true, "Referrer-Policy": true, "Retry-After": true, "Server": true,
	"Server-Timing": true, "Strict-Transport-Security": true, "Sunset": true, "Timing-Allow-Origin": true, "Vary": true, "Via": true,
	"Www-Authenticate": true, "X-Content-Type-Options": true, "X-Download-Options": true, "X-Dns-Prefetch-Control": true,
	"X-Frame-Options": true, "X-Permitted-Cross-Domain-Policies": true, "X-Powered-By": true, "X-Request-Id": true,
	"X-Correlation-Id": true, "X-Runtime": true, "X-Xss-Protection": true, "X-Robots-Tag": true, "Hx-Redirect": true,
	"Hx-Location": true, "Hx-Refresh": true, "Hx-Trigger": true, "Turbo-Location": true, "X-Inertia-Location": true,
	"X-Inertia": true, "X-Up-Location": true, "X-Up-Target": true,
}

// kept is the part of the app's header that a duplicate may see.
func (p Policy) kept(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		if name != "Set-Cookie" && (replayedHeaders[name] || slices.Contains(p.Replay, name)) {
			out[name] = slices.Clone(values)
		}
	}
	return out
}
