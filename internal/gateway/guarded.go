package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/seeother/seeother/once"
)

var (
	// errSealed is what a write gets on a connection whose request was given up.
	errSealed  = errors.New("the request was given up before it was written")
	errStalled = errors.New("the app stopped in the middle of its answer")
)

// guardedUpstream is the app, as guarded requests reach it. It sends each at
// most once, and reports to its Attempt how far it came.
type guardedUpstream struct {
	*upstream
	reuse    bool
	patience time.Duration // between two pieces of an answer
	down     func() bool   // the app is unhealthy: nothing is sent
}

// RoundTrip sends r. Requests that turn out not to be guarded (no key, another
// method) go the usual way.
func (g *guardedUpstream) RoundTrip(r *http.Request) (*http.Response, error) {
	attempt := once.AttemptFrom(r.Context())
	if attempt == nil {
		return g.upstream.RoundTrip(r)
	}
	if g.down() {
		attempt.NotApplied("the app fails its health checks, and no connection was opened")
		return nil, &unsentError{errUnhealthy}
	}
	way := g.own
	if g.reuse {
		way = g.reused
	}
	seen := &sighting{}
	answer := &answerBody{attempt: attempt, patience: g.patience}
	ctx, cancel := context.WithCancelCause(r.Context())
	answer.cancel = cancel
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: seen.gotConn})
	res, err := way.send(g.upstream, r.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, seen.report(attempt, err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		answer.ReadCloser = res.Body
		res.Body = answer
	}
	return res, nil
}

// send sends r at most once. A small body is read before a connection is opened: a
// client that breaks off in the middle of it has started nothing.
func (w guardedWay) send(u *upstream, r *http.Request) (*http.Response, error) {
	small := isSmall(r)
	if small && w.direct != nil {
		var err error
		if r, err = inMemory(r); err != nil {
			return nil, err
		}
	}
	if w.direct == nil || !w.direct.takes(r, small) {
		return u.send(w.shared, unrepeatable(r))
	}
	r.Close = w.direct.most == 0 // r is the caller's own copy
	return u.send(w.direct, r)
}

// sighting is what is seen of a request's connection. Both ways call gotConn in the
// goroutine of RoundTrip.
type sighting struct {
	got  bool
	conn *watchedConn
	mark int64 // bytes written before the request
}

func (s *sighting) gotConn(info httptrace.GotConnInfo) {
	s.got = true
	conn := info.Conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if s.conn, _ = conn.(*watchedConn); s.conn != nil {
		s.mark = s.conn.count()
	}
}

// report says what a failed RoundTrip proves, and returns what to tell the
// client.
func (s *sighting) report(a *once.Attempt, err error) error {
	var body *bodyError
	switch {
	case !s.got:
		a.NotApplied("no connection to the app was opened")
		return &unsentError{err}
	case s.conn != nil && s.conn.seal() == s.mark:
		a.NotApplied("not one byte was sent to the app")
		return &unsentError{err}
	case errors.As(err, &body):
		a.Doubt(fmt.Sprintf("the client broke off while the app was getting the request (%s)", explain(err, false).kind))
	default:
		a.Doubt(fmt.Sprintf("the app got the request and did not answer (%s)", explain(err, false).kind))
	}
	return err
}

// unsentError is proof that the app saw nothing of a request.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// answerBody says so when an answer is cut short, and gives up on an app that
// stops in the middle of one: no client that goes away ends a guarded request.
type answerBody struct {
	io.ReadCloser
	attempt  *once.Attempt
	patience time.Duration // 0: without end
	cancel   context.CancelCauseFunc
	timer    *time.Timer
}

func (b *answerBody) Read(p []byte) (int, error) {
	b.wait()
	n, err := b.ReadCloser.Read(p)
	b.stop()
	if err != nil && err != io.EOF { //nolint:errorlint // Readers return io.EOF itself
		b.attempt.Doubt("the app's answer was cut short")
	}
	return n, err
}

func (b *answerBody) Close() error {
	b.stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

func (b *answerBody) wait() {
	switch {
	case b.patience == 0:
	case b.timer == nil:
		b.timer = time.AfterFunc(b.patience, func() { b.cancel(errStalled) })
	default:
		b.timer.Reset(b.patience)
	}
}

func (b *answerBody) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

// watchedConn counts what is written, and can be sealed: nothing is written
// any more, so that the count is the last word. Writes may come from another
// goroutine than the one that asks.
type watchedConn struct {
	net.Conn
	mu     sync.Mutex
	begun  int64 // bytes handed to the kernel, or tried to
	sealed bool
}

func watchedDial(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watchedConn{Conn: conn}, nil
	}
}

func (c *watchedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.sealed {
		c.mu.Unlock()
		return 0, errSealed
	}
	c.begun += int64(len(p))
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *watchedConn) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

func (c *watchedConn) seal() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.begun
}
