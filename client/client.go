package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Defaults of a Config.
const (
	DefaultTimeout  = 10 * time.Second
	DefaultAttempts = 5
)

// Bounds of what the client waits for and reads.
const (
	firstPause = 200 * time.Millisecond // before the second attempt; it doubles from there
	longPause  = 5 * time.Second        // the longest between two attempts; a later Retry-After is not waited for
	patience   = 30 * time.Second       // for all attempts of one request together
	maxAnswer  = 16 << 20               // bytes of an answer
)

// Config is what may be changed of a Client. Zero fields have the defaults that
// stand beside them.
type Config struct {
	HTTPClient *http.Client  // http.DefaultClient; redirects are never followed
	Timeout    time.Duration // DefaultTimeout: for one attempt, beside what a check asks to wait
	Attempts   int           // DefaultAttempts: of one request
	Log        *slog.Logger  // slog.Default(): hears of what went on unguarded, and of leases that are lost
}

// Client asks one service. It is safe for concurrent use.
type Client struct {
	base, token string
	http        http.Client
	cfg         Config
}

// New makes a client of the service at baseURL, such as http://127.0.0.1:8305. An
// empty token is for a service that has none. It does not connect yet.
func New(baseURL, token string, cfg Config) (*Client, error) {
	u, err := url.Parse(baseURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("service: want a URL such as http://127.0.0.1:8305: %w", errors.Unwrap(err)) // without the URL, which may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("service %q: want http or https, a host, and no user, query or fragment", u.Redacted())
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return nil, errors.New("token: want visible ASCII without spaces")
	}
	c := &Client{base: strings.TrimRight(baseURL, "/"), token: token, cfg: cfg}
	if cfg.HTTPClient != nil {
		c.http = *cfg.HTTPClient
	}
	// The token is for this service and nobody else.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	c.cfg.Attempts = cmp.Or(cfg.Attempts, DefaultAttempts)
	c.cfg.Log = cmp.Or(cfg.Log, slog.Default())
	return c, nil
}

// call is one request, which may be sent several times.
type call struct {
	op       string // for errors
	method   string
	path     string
	in       any           // what is sent as JSON; nil: nothing
	wait     time.Duration // how long the service was asked to wait before it answers
	attempts int           // Config.Attempts where 0
}

// do sends a request until it is answered, and decodes the answer into out. Every
// request of the API may be sent again as it is. It says how often it was sent.
func (c *Client) do(ctx context.Context, q call, out any) (sent int, err error) {
	var body []byte
	if q.in != nil {
		if body, err = json.Marshal(q.in); err != nil {
			return 0, &Error{Kind: ErrInvalid, Op: q.op, Detail: err.Error()}
		}
	}
	all, cancel := context.WithTimeout(ctx, q.wait+patience)
	defer cancel()
	pause := firstPause
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return n - 1, fmt.Errorf("%s: %w", q.op, ctx.Err())
		}
		failed := c.attempt(all, q, body, out)
		if failed == nil {
			return n, nil
		}
		if ctx.Err() != nil { // that is why, and not the service
			return n, fmt.Errorf("%s: %w", q.op, ctx.Err())
		}
		if !failed.passes() || n >= cmp.Or(q.attempts, c.cfg.Attempts) || !sleep(all, max(failed.RetryAfter, jitter(pause))) {
			return n, failed
		}
		pause = min(2*pause, longPause)
	}
}

// passes reports whether the same request may fare better in a moment.
func (e *Error) passes() bool {
	asked := e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0 && e.RetryAfter <= longPause
	return e.absent || asked || e.Type == "record-changed"
}

// jitter is between a half of d and d, so that many clients do not come at once.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // nothing secret hangs on it
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// attempt sends a request once.
func (c *Client) attempt(ctx context.Context, q call, body []byte, out any) *Error {
	ctx, cancel := context.WithTimeout(ctx, q.wait+c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, c.base+q.path, bytes.NewReader(body))
	if err != nil {
		return &Error{Kind: ErrInvalid, Op: q.op, Detail: err.Error()}
	}
	req.Header.Set("Accept", "application/json")
	if q.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return &Error{Kind: ErrUnavailable, Op: q.op, Cause: err, absent: true}
	}
	defer func() { _ = res.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return &Error{Kind: ErrUnavailable, Op: q.op, Cause: err, absent: true}
	}
	if res.StatusCode != http.StatusOK {
		return problemOf(q.op, res, text)
	}
	if len(text) > maxAnswer {
		return &Error{Kind: ErrInvalid, Op: q.op, Status: res.StatusCode, Detail: fmt.Sprintf("the answer is over %d bytes", maxAnswer)}
	}
	if err := json.Unmarshal(text, out); err != nil {
		return &Error{Kind: ErrInvalid, Op: q.op, Status: res.StatusCode, Detail: "the answer is not the service's: " + err.Error()}
	}
	return nil
}

// problemOf is what an answer says that is not 200.
func problemOf(op string, res *http.Response, text []byte) *Error {
	e := &Error{Op: op, Status: res.StatusCode}
	if s, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 31); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind == "application/problem+json" { // an error leaves it empty
		var p struct{ Type, Title, Detail, Record string }
		if json.Unmarshal(text, &p) == nil && p.Type != "" {
			e.Type, e.Detail, e.Record = p.Type[strings.LastIndexByte(p.Type, '/')+1:], cmp.Or(p.Detail, p.Title), p.Record
		}
	}
	e.Kind = kinds[e.Type]
	switch {
	case e.Kind != nil:
		return e
	case e.Type == "" && (e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout):
		e.Kind, e.absent = ErrUnavailable, true // of a proxy in between
	case e.Status >= http.StatusInternalServerError:
		e.Kind = ErrUnavailable
	default:
		e.Kind = ErrInvalid
	}
	if e.Detail == "" {
		e.Detail = "answered with " + strconv.Itoa(e.Status)
	}
	return e
}
