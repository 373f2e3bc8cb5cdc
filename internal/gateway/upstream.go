package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"github.com/seeother/seeother/once"
)

// bufferSize is what an answer's body is copied with.
const bufferSize = 32 << 10

// buffers serves all proxies.
var buffers = &bufferPool{}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

func (b *bufferPool) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }

// upstream is the app, as unguarded requests reach it: over connections that
// are kept.
type upstream struct {
	metrics Metrics
	direct  *direct // nil: the app speaks TLS
	shared  *http.Transport
	reused  guardedWay // for guarded requests of routes with Reuse
	own     guardedWay // for all other guarded requests: one connection each
}

// guardedWay is how guarded requests reach the app: over watched connections.
type guardedWay struct {
	direct *direct // nil: the app speaks TLS
	shared *http.Transport
}

// newGuardedWay keeps at most so many connections that nobody uses.
func newGuardedWay(cfg Config, keep int) guardedWay {
	t := newTransport(cfg)
	t.DialContext = watchedDial(t.DialContext)
	// HTTP/2 shares connections and repeats by itself.
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.DisableKeepAlives = keep == 0
	return guardedWay{direct: newDirect(cfg, t.DialContext, keep), shared: t}
}

// newDirect is nil for an app that speaks TLS.
func newDirect(cfg Config, dial dialFunc, keep int) *direct {
	if cfg.Upstream.Scheme != "http" {
		return nil
	}
	return &direct{
		dial: dial, address: address(cfg.Upstream),
		patience: cfg.Timeouts.ResponseHeader, idle: cfg.Timeouts.Idle, most: keep,
	}
}

func newUpstream(cfg Config) *upstream {
	u := &upstream{metrics: cfg.Metrics, shared: newTransport(cfg), reused: newGuardedWay(cfg, cfg.Limits.Idle), own: newGuardedWay(cfg, 0)}
	u.shared.ForceAttemptHTTP2 = true // over TLS
	u.direct = newDirect(cfg, u.shared.DialContext, cfg.Limits.Idle)
	return u
}

func newTransport(cfg Config) *http.Transport {
	dialer := &net.Dialer{Timeout: cfg.Timeouts.Dial, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:           patientDial(dialer.DialContext, cfg.Timeouts.Send),
		TLSHandshakeTimeout:   cfg.Timeouts.TLSHandshake,
		ResponseHeaderTimeout: cfg.Timeouts.ResponseHeader,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       cfg.Timeouts.Idle,
		// Kept answers hold their headers, too.
		MaxResponseHeaderBytes: maxAnswerHeader,
		MaxIdleConns:           cfg.Limits.Idle,
		MaxIdleConnsPerHost:    cfg.Limits.Idle,
		DisableCompression:     true, // what the client accepts is between it and the app
	}
}

// patientConn gives up on an app that does not take what it is sent. One
// goroutine writes at a time.
type patientConn struct {
	net.Conn
	patience time.Duration
	deadline time.Time // set last
}

func patientDial(dial dialFunc, patience time.Duration) dialFunc {
	if patience == 0 {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: conn, patience: patience}, nil
	}
}

func (c *patientConn) Write(p []byte) (int, error) {
	if now := time.Now(); c.deadline.Sub(now) <= c.patience*3/4 {
		c.deadline = now.Add(c.patience)
		if err := c.SetWriteDeadline(c.deadline); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

func (u *upstream) close() {
	for _, t := range []*http.Transport{u.shared, u.reused.shared, u.own.shared} {
		t.CloseIdleConnections()
	}
	for _, d := range []*direct{u.direct, u.reused.direct, u.own.direct} {
		if d != nil {
			d.close()
		}
	}
}

// RoundTrip sends an unguarded request.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	small := isSmall(r)
	if small {
		var err error
		if r, err = inMemory(r); err != nil {
			return nil, err
		}
	}
	switch {
	case u.direct != nil && u.direct.takes(r, small):
		res, err := u.send(u.direct, r)
		if errors.Is(err, errStale) && harmless(r) {
			return u.send(u.shared, r)
		}
		return res, err
	case r.Body == nil && mayRepeat(r):
		r = unrepeatable(r)
	}
	return u.send(u.shared, r)
}

// harmless reports whether r may be sent twice: it only reads (RFC 9110 section
// 9.2.1).
func harmless(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return (r.Body == nil || r.Body == http.NoBody) && !mayRepeat(r)
	}
	return false
}

// smallBody is how large a body may be that is read whole before the app is
// asked, in bytes. Its header and itself then go out in one write; a body that
// streams costs one more.
const smallBody = 16 << 10

// isSmall is false for a body that waits for 100 Continue: the app says that.
func isSmall(r *http.Request) bool {
	return r.ContentLength > 0 && r.ContentLength <= smallBody && r.Header["Expect"] == nil
}

// inMemory is r with its body read. It fails when the body does not come whole:
// then the app has seen nothing.
func inMemory(r *http.Request) (*http.Request, error) {
	whole := bytes.NewBuffer(make([]byte, 0, r.ContentLength+bytes.MinRead))
	_, err := whole.ReadFrom(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	out := *r
	out.Body = io.NopCloser(bytes.NewReader(whole.Bytes())) // a kind that net/http knows to be in memory
	return &out, nil
}

func (u *upstream) send(t http.RoundTripper, r *http.Request) (*http.Response, error) {
	if u.metrics == nil {
		return t.RoundTrip(r)
	}
	begin := time.Now()
	res, err := t.RoundTrip(r)
	if err == nil {
		u.metrics.UpstreamAnswered(time.Since(begin))
	}
	return res, err
}

// mayRepeat reports whether http.Transport takes a header for leave to send a
// POST once more.
func mayRepeat(r *http.Request) bool {
	return len(r.Header["Idempotency-Key"]) > 0 || len(r.Header["X-Idempotency-Key"]) > 0
}

// unrepeatable is r in a form that http.Transport sends once at most: with a
// body that is there and cannot be had again. An empty body would go out
// chunked then, and there are apps that refuse that; so the length is written
// as a header, in a spelling that Transport leaves alone.
func unrepeatable(r *http.Request) *http.Request {
	out := *r
	out.GetBody = nil
	if r.Body != nil && r.Body != http.NoBody {
		return &out
	}
	out.Body = emptyBody{}
	out.ContentLength = 0
	out.TransferEncoding = []string{"identity"}
	out.Header = r.Header.Clone()
	out.Header["content-length"] = []string{"0"} // not the canonical form, see above
	return &out
}

type emptyBody struct{}

func (emptyBody) Read([]byte) (int, error) { return 0, io.EOF }
func (emptyBody) Close() error             { return nil }

// rewrite makes the app's request out of the client's: same target, same Host.
func (g *Gateway) rewrite(p *httputil.ProxyRequest) {
	to, from := g.cfg.Upstream, p.In.URL
	if to.Path == "" || to.Path == "/" {
		p.Out.URL.Scheme, p.Out.URL.Host = to.Scheme, to.Host
		// What url.URL would write differently ("|" as "%7C") goes on as it
		// came too: it may be signed.
		if path, _, _ := strings.Cut(p.In.RequestURI, "?"); path != from.EscapedPath() && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
			p.Out.URL.Opaque = path
		}
	} else {
		p.SetURL(to)
	}
	p.Out.Host = p.In.Host
	// The query goes on as it came. ReverseProxy drops what it cannot parse;
	// nothing here decides by it.
	p.Out.URL.RawQuery, p.Out.URL.ForceQuery = from.RawQuery, from.ForceQuery
	// The same map: trailers come into it when the body ends.
	p.Out.Trailer = p.In.Trailer
	g.cfg.Trust.Forward(p.In, p.Out.Header)
	if key := p.In.Header[once.DefaultHeader]; key != nil {
		p.Out.Header[once.DefaultHeader] = key // also where Connection names it: the app dedupes by it
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)
