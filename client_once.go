package seeother

import (
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// OnceOptions makes requests with unsafe methods (all but GET, HEAD, OPTIONS,
// TRACE and QUERY) safe to send again, for servers that know Idempotency-Key,
// such as those behind seeother. The zero value is ready for use.
//
// What is sent again, if there is no body or a GetBody: a request whose
// connection could not be made; one that is safe or has a key and is answered
// with 429 or 503 and Retry-After; and one with a key that is answered with 409
// and Retry-After, since the first one is still running. Nothing is sent again
// because an answer is missing: it may have been done. Go's own Transport does
// that, though, where a connection that was used before breaks, for safe methods
// and for all that has the header Idempotency-Key.
//
// 202 with a Location at its own origin is asked there, with GET, until the answer
// is not 202, and not 200 with Retry-After. A 303 is followed to the result, then.
// Any other 202 is the response.
type OnceOptions struct {
	// Key makes the key of a request that has none; nil: 128 random bits. "" sends none.
	Key func(*http.Request) string

	Header     string        // "": Idempotency-Key
	MaxRetries int           // 0: 3, negative: none; questions after a 202 do not count
	MaxWait    time.Duration // of all waiting in one call; 0: 30 s
}

// ErrStillRunning is what a RedirectError wraps when MaxWait is over and what a
// 202 started is not. Its Hop.URL can be asked later.
var ErrStillRunning = errors.New("accepted, and still running")

const (
	minWait         = 100 * time.Millisecond // between two requests, whatever Retry-After says
	pollWait        = time.Second            // between two questions after a 202 without Retry-After
	maxRetryAfter   = 1 << 31                // seconds
	defaultRetries  = 3
	defaultMaxWait  = 30 * time.Second
	defaultOnceName = "Idempotency-Key"
)

func (o *OnceOptions) header() string {
	if o.Header == "" {
		return defaultOnceName
	}
	return o.Header
}

func (o *OnceOptions) addKey(r *http.Request) {
	if o == nil || isSafe(r.Method) || r.Header.Get(o.header()) != "" {
		return
	}
	key := `"` + rand.Text() + `"` // a string as RFC 9651 section 3.3.3 writes it
	if o.Key != nil {
		key = o.Key(r)
	}
	if key != "" {
		r.Header.Set(o.header(), key)
	}
}

func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY":
		return true
	}
	return false
}

// tries counts for one call what OnceOptions bounds.
type tries struct {
	retries    int
	waited     time.Duration
	monitoring bool // the requests are questions after a 202
}

// spend is false when waiting for d would be too long.
func (t *tries) spend(o *OnceOptions, d time.Duration) (time.Duration, bool) {
	limit := o.MaxWait
	if limit == 0 {
		limit = defaultMaxWait
	}
	d = max(d, minWait)
	if d > limit-t.waited {
		return 0, false
	}
	t.waited += d
	return d, true
}

// again is r to be sent once more after a while, or nil if what came stands.
func (t *tries) again(o *OnceOptions, r *http.Request, resp *http.Response, err error) (*http.Request, time.Duration) {
	if o == nil || t.retries >= or(o.MaxRetries, defaultRetries) {
		return nil, 0
	}
	wait, safe := minWait<<t.retries, neverSent(err)
	if err == nil {
		wait, safe = o.mayRepeat(r, resp)
	}
	if !safe {
		return nil, 0
	}
	next := clone(r)
	if err := rewind(next, false); err != nil {
		return nil, 0
	}
	wait, ok := t.spend(o, wait)
	if !ok {
		closeBody(next)
		return nil, 0
	}
	t.retries++
	return next, wait
}

// neverSent is true where no connection was made, for now.
func neverSent(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	return errors.As(err, &op) && op.Op == "dial"
}

// mayRepeat says whether resp asks for r once more, and when.
func (o *OnceOptions) mayRepeat(r *http.Request, resp *http.Response) (time.Duration, bool) {
	hasKey := r.Header.Get(o.header()) != ""
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		hasKey = hasKey || isSafe(r.Method)
	case http.StatusConflict:
	default:
		return 0, false
	}
	if !hasKey {
		return 0, false
	}
	return retryAfter(resp.Header)
}

// retryAfter is RFC 9110 section 10.2.3. A date that is past is no wait.
func retryAfter(h http.Header) (time.Duration, bool) {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, maxRetryAfter)) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(date)), true
	}
	return 0, false
}

// monitor is the question after what a 202 started: its Location, with GET.
func (c *chain) monitor(hop *Hop, r *http.Request) (*http.Request, error) {
	if c.client.Once == nil || c.client.Mode != ModeFollow || hop.Status != http.StatusAccepted || isSafe(r.Method) {
		return nil, nil
	}
	to, err := c.location(hop, r.URL)
	if to == nil || err != nil || !sameOrigin(to, r.URL) || c.hops >= or(c.client.MaxHops, MaxHops) {
		hop.Location = ""
		return nil, nil // it was accepted all the same
	}
	c.tries.monitoring = true
	return c.lead(hop, r, Next{Method: http.MethodGet, Drops: bodyHeaders()})
}

// poll is the same question once more, or nil if resp is an answer.
func (c *chain) poll(hop Hop, r *http.Request) (*http.Request, time.Duration, error) {
	if !c.tries.monitoring {
		return nil, 0, nil
	}
	wait, said := retryAfter(hop.Response.Header)
	if running := hop.Status == http.StatusAccepted || hop.Status == http.StatusOK && said; !running {
		return nil, 0, nil
	}
	if !said {
		wait = pollWait
	}
	wait, ok := c.tries.spend(c.client.Once, wait)
	if !ok {
		return nil, 0, &RedirectError{hop, ErrStillRunning}
	}
	return clone(r), wait, nil
}
