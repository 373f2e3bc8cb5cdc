package seeother

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// FollowMode is what a [Client] does with a redirect; the names are those of
// the Fetch standard's "redirect mode".
type FollowMode uint8

// The modes of the Fetch standard.
const (
	ModeFollow FollowMode = iota // go to the Location
	ModeError                    // a redirect is an error, ErrRedirected
	ModeManual                   // the redirect is the response
)

// Client sends requests and follows redirects exactly as the Fetch standard
// says ("HTTP-redirect fetch"): [Follow] is its table of methods and bodies,
// [ParseLocation] its reading of Location. The zero value is ready for use. A
// Client is safe for concurrent use when its fields are not changed any more.
//
// What crosses an origin: Authorization, Proxy-Authorization and a Cookie that
// was set by hand do not, nor as a Trailer. A Host that was set by hand stays within the origin.
// Cookies of the Jar go by URL. All other headers go along, as with browsers.
//
// Origin and Referer: none is added. An Origin set by hand becomes "null" once
// a redirect leads from one foreign origin to another. A Referer set by hand is
// cut down to its origin for another origin, and goes when it is https and the
// next URL is not; Referrer-Policy in answers is not read.
//
// There is no timeout: use the request's context.
type Client struct {
	Transport http.RoundTripper // nil: http.DefaultTransport
	Jar       http.CookieJar    // nil: no cookies but those set by hand
	Mode      FollowMode

	MaxHops     int // redirects that are followed; 0: the constant MaxHops
	MaxLocation int // bytes of a Location; 0: the constant MaxLocation

	// Policy, if set, is asked before each next request. Its error ends the
	// chain, wrapped in a RedirectError; http.ErrUseLastResponse makes the
	// redirect the response, with its body.
	Policy func(Hop) error

	// Observe, if set, is told of every answer, the last one included, before
	// anything else is done with it.
	Observe func(Hop)

	// Private allows redirects from a public address to a private one: loopback,
	// link-local, RFC 1918 and the like. They are refused otherwise: by the name
	// in the URL, and with Go's own Transport also by the address that was
	// connected to, before the request is written to it. What a proxy connects
	// to cannot be seen.
	Private bool

	// Once, if set, makes requests with unsafe methods safe to send again.
	Once *OnceOptions
}

// Limits of what is read of a redirect's body, so that its connection can be
// used again. What is longer or slower costs the connection.
const (
	maxDrain     = 16 << 10
	maxDrainTime = 250 * time.Millisecond
)

// Errors that a RedirectError wraps.
var (
	ErrRedirected  = errors.New("the answer is a redirect")
	ErrTooManyHops = errors.New("too many redirects")
	ErrBody        = errors.New("the body cannot be sent again: the request has no GetBody")
	ErrLocation    = errors.New("malformed Location")
	ErrPrivate     = errors.New("a redirect from a public to a private address")

	errNoResponse = errors.New("the Transport returned neither a response nor an error")
)

// RedirectError tells at which answer a chain of redirects ended, and why.
type RedirectError struct {
	Hop Hop
	Err error
}

// Error names the request without its password, and nothing of the Location.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s %q: %d: %v", e.Hop.Method, e.Hop.URL.Redacted(), e.Hop.Status, e.Err)
}

func (e *RedirectError) Unwrap() error { return e.Err }

// RoundTrip is Do: a Client is a Transport for an http.Client, which then sees
// no redirect that could be followed. Let only one of the two have a Jar.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) { return c.Do(r) }

// Do sends r and follows redirects. r is not changed, and its body is always
// closed. The response's Request is the last one that was sent; its body is to
// be closed by the caller. A response is never returned together with an error,
// which is a RedirectError or, for what the Transport says, an url.Error.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if err := checkRequest(r); err != nil {
		closeBody(r)
		return nil, err
	}
	chain := &chain{client: c, guard: &guard{allow: c.Private, first: r.URL}}
	return chain.run(first(r, c.Once))
}

func checkRequest(r *http.Request) error {
	switch {
	case r.URL == nil:
		return errors.New("request without a URL")
	case !isWeb(r.URL.Scheme) || r.URL.Host == "":
		return requestError(r, errors.New("want http or https, and a host"))
	}
	return nil
}

// chain is one call of Do.
type chain struct {
	client *Client
	guard  *guard
	hops   int // redirects that were followed
	tries  tries
}

func (c *chain) run(r *http.Request) (*http.Response, error) {
	for {
		resp, err := c.send(r)
		if err != nil {
			return nil, err
		}
		next, wait, err := c.after(r, resp)
		if err == nil && next == nil {
			return resp, nil
		}
		discard(resp)
		if err == nil && wait > 0 {
			err = sleep(r, wait)
		}
		if err != nil {
			return nil, err
		}
		r = next
	}
}

// send sends r, and again where that is safe.
func (c *chain) send(r *http.Request) (*http.Response, error) {
	for {
		resp, err := c.sendOnce(r)
		again, wait := c.tries.again(c.client.Once, r, resp, err)
		switch {
		case again == nil && err != nil:
			return nil, requestError(r, err)
		case again == nil:
			return resp, nil
		case err == nil:
			c.observe(newHop(c.hops, r, resp))
			discard(resp)
		}
		if err := sleep(again, wait); err != nil {
			return nil, err
		}
		r = again
	}
}

func (c *chain) sendOnce(r *http.Request) (*http.Response, error) {
	sent := withCookies(r, c.client.Jar)
	resp, err := c.guard.roundTrip(c.transport(), sent, c.hops == 0)
	if err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, errNoResponse
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	resp.Request = sent
	if cookies := resp.Cookies(); c.client.Jar != nil && len(cookies) > 0 {
		c.client.Jar.SetCookies(r.URL, cookies)
	}
	return resp, nil
}

func (c *chain) transport() http.RoundTripper {
	if c.client.Transport != nil {
		return c.client.Transport
	}
	return http.DefaultTransport
}

// after is the request that comes after resp, or nil if resp is the last.
func (c *chain) after(r *http.Request, resp *http.Response) (*http.Request, time.Duration, error) {
	hop := newHop(c.hops, r, resp)
	next, err := c.step(&hop, r)
	c.observe(hop)
	if err != nil {
		return nil, 0, &RedirectError{hop, err}
	}
	if next == nil {
		return c.poll(hop, r)
	}
	if c.client.Policy != nil {
		err = c.client.Policy(hop)
	}
	if err != nil {
		closeBody(next)
		if errors.Is(err, http.ErrUseLastResponse) {
			return nil, 0, nil
		}
		return nil, 0, &RedirectError{hop, err}
	}
	c.hops++
	return next, 0, nil
}

func (c *chain) observe(hop Hop) {
	if c.client.Observe != nil {
		c.client.Observe(hop)
	}
}

// step is the Fetch standard's "HTTP-redirect fetch" up to the next request.
// It completes hop. Without an error and a request, hop is the last one.
func (c *chain) step(hop *Hop, r *http.Request) (*http.Request, error) {
	rule, follows := Follow(hop.Status, r.Method)
	switch {
	case !follows:
		return c.monitor(hop, r)
	case c.client.Mode == ModeError:
		return nil, ErrRedirected
	case c.client.Mode == ModeManual:
		if to, err := c.location(hop, r.URL); to != nil && err == nil {
			hop.lead(to, c.drop(rule), r)
		}
		return nil, nil
	}
	next, err := c.lead(hop, r, rule)
	if hop.Status == http.StatusSeeOther {
		c.tries.monitoring = false
	}
	return next, err
}

// lead completes hop with where it leads, and makes the next request.
func (c *chain) lead(hop *Hop, r *http.Request, rule Next) (*http.Request, error) {
	to, err := c.location(hop, r.URL)
	if to == nil || err != nil {
		return nil, err
	}
	rule = c.drop(rule)
	hop.lead(to, rule, r)
	switch {
	case c.hops >= or(c.client.MaxHops, MaxHops):
		return nil, ErrTooManyHops
	case c.guard.refuses(to):
		return nil, ErrPrivate
	case hop.BodySent && r.GetBody == nil && (rule.KeepsBody || hop.Status == http.StatusMovedPermanently || hop.Status == http.StatusFound):
		// Also where POST becomes GET: "If internalResponse's status is not 303,
		// request's body is non-null, and request's body's source is null".
		return nil, ErrBody
	}
	return nextRequest(r, hop, rule)
}

// drop adds what else has no sense without the body.
func (c *chain) drop(rule Next) Next {
	if rule.KeepsBody {
		return rule
	}
	rule.Drops = append(rule.Drops, "Expect")
	if once := c.client.Once; once != nil {
		rule.Drops = append(rule.Drops, once.header())
	}
	return rule
}

// location is where hop leads, or nil if it has no Location.
func (c *chain) location(hop *Hop, base *url.URL) (*url.URL, error) {
	limit := or(c.client.MaxLocation, MaxLocation)
	for _, value := range hop.Response.Header["Location"] {
		switch {
		case len(value) > limit:
			return nil, fmt.Errorf("%w: longer than %d bytes", ErrLocation, limit)
		case hop.Location != "" && value != "" && value != hop.Location:
			return nil, fmt.Errorf("%w: several that differ", ErrLocation)
		case value != "":
			hop.Location = value
		}
	}
	if hop.Location == "" {
		return nil, nil
	}
	return ParseLocation(hop.Location, base)
}

func or(value, fallback int) int {
	if value == 0 {
		return fallback
	}
	return value
}

// discard reads what little is left of a redirect's body, and closes it.
func discard(resp *http.Response) {
	// A body that drips must not hold the chain up.
	late := time.AfterFunc(maxDrainTime, func() { _ = resp.Body.Close() })
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	late.Stop()
	_ = resp.Body.Close()
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// requestError says which request an error belongs to, as http.Client does.
func requestError(r *http.Request, err error) error {
	return &url.Error{Op: r.Method, URL: r.URL.Redacted(), Err: err}
}

// sleep waits, unless r's context ends first.
func sleep(r *http.Request, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		closeBody(r)
		return requestError(r, context.Cause(r.Context()))
	}
}
