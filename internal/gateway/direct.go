package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"syscall"
	"time"
)

// maxAnswerHeader is how long the header of an answer may be, in bytes.
const maxAnswerHeader = 256 << 10

// direct is a path to an app that speaks plain HTTP/1.1: it writes a request
// and reads the answer in the goroutine that asks, where http.Transport has two
// more for each connection. Writing and parsing are net/http's. It takes only
// what cannot go wrong in an interesting way (see takes); http.Transport does
// the rest.
type direct struct {
	dial     dialFunc
	address  string
	patience time.Duration // for the header of an answer; 0: without end
	idle     time.Duration // for a connection that nobody uses
	most     int           // connections that nobody uses

	mu     sync.Mutex
	unused []*directConn // the last is the one that was used last; guarded by mu
	closer *time.Timer   // runs while there are unused ones; guarded by mu
	closed bool          // guarded by mu
}

// takes reports whether r may go this way: a body is in memory or there is
// none, nobody expects anything before the answer, and no other protocol is
// asked for.
func (d *direct) takes(r *http.Request, inMemory bool) bool {
	return (inMemory || r.Body == nil || r.Body == http.NoBody) &&
		len(r.Trailer) == 0 && len(r.TransferEncoding) == 0 && r.Header["Upgrade"] == nil && r.Header["Expect"] == nil
}

// errStale means that a connection that was used before took a request and gave
// not one byte back: most often the app closed it at that moment.
var errStale = errors.New("the connection was closed by the app")

// RoundTrip sends r at most once. A connection that was used before is looked
// at first; what is sent on it and gets no answer is not sent again, here.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	c, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: c.conn, Reused: c.reused})
	}
	c.watch(ctx)
	res, err := c.exchange(r, d.patience)
	if err != nil {
		stale := c.reused && c.limit.N == maxAnswerHeader && !isTimeout(err)
		c.drop()
		switch gone := ctx.Err(); {
		case gone != nil:
			err = gone
		case stale:
			err = fmt.Errorf("%w: %w", errStale, err)
		}
		return nil, err
	}
	return res, nil
}

// get takes the connection that was used last and still works, or a new one.
func (d *direct) get(ctx context.Context) (*directConn, error) {
	for {
		c := d.pop()
		if c == nil {
			break
		}
		if c.quiet() {
			c.reused = true
			return c, nil
		}
		_ = c.conn.Close() // it was closed by the app, or holds what nobody asked for
	}
	conn, err := d.dial(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	return d.open(conn)
}

func (d *direct) open(conn net.Conn) (*directConn, error) {
	c := &directConn{pool: d, conn: conn}
	c.limit = io.LimitedReader{R: conn}
	c.in, c.out = bufio.NewReaderSize(&c.limit, 4<<10), bufio.NewWriterSize(conn, 4<<10)
	raw, err := rawOf(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c.raw = raw
	return c, nil
}

// rawOf is the system's side of a connection, under what is wrapped around it.
func rawOf(conn net.Conn) (syscall.RawConn, error) {
	if watched, ok := conn.(*watchedConn); ok {
		conn = watched.Conn
	}
	if patient, ok := conn.(*patientConn); ok {
		conn = patient.Conn
	}
	system, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection %T: not of the system", conn)
	}
	return system.SyscallConn()
}

func (d *direct) pop() *directConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.unused)
	if n == 0 {
		return nil
	}
	c := d.unused[n-1]
	d.unused[n-1] = nil
	d.unused = d.unused[:n-1]
	return c
}

// put keeps a connection for the next request, or closes it.
func (d *direct) put(c *directConn) {
	c.since = time.Now()
	d.mu.Lock()
	keep := !d.closed && len(d.unused) < d.most
	if keep {
		d.unused = append(d.unused, c)
		if d.closer == nil {
			d.closer = time.AfterFunc(d.idle, d.closeIdle)
		}
	}
	d.mu.Unlock()
	if !keep {
		_ = c.conn.Close() // nothing is under way on it
	}
}

// closeIdle closes the connections that nobody has used for long enough. The
// oldest stand first.
func (d *direct) closeIdle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closer = nil
	old := 0
	for old < len(d.unused) && time.Since(d.unused[old].since) >= d.idle {
		_ = d.unused[old].conn.Close() // as above
		old++
	}
	d.unused = append(d.unused[:0], d.unused[old:]...)
	if len(d.unused) > 0 && !d.closed {
		d.closer = time.AfterFunc(max(d.idle-time.Since(d.unused[0].since), time.Millisecond), d.closeIdle)
	}
}

// close closes what nobody uses, and from then on each connection after its use.
func (d *direct) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, c := range d.unused {
		_ = c.conn.Close() // as above
	}
	d.unused = nil
	if d.closer != nil {
		d.closer.Stop()
	}
}

// directConn is one connection, in the hands of one request at a time.
type directConn struct {
	pool     *direct
	conn     net.Conn
	raw      syscall.RawConn
	limit    io.LimitedReader // between conn and in
	in       *bufio.Reader
	out      *bufio.Writer
	reused   bool
	since    time.Time // nobody uses it
	deadline time.Time // for reading, set last; zero: none

	unwatch func() bool // ends the watch over the request's context
}

// quiet reports whether the connection waits for a request: open, and without
// anything to read. Bytes that come unasked would be taken for the next answer.
func (c *directConn) quiet() bool {
	if c.in.Buffered() > 0 {
		return false
	}
	quiet := false
	err := c.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, err := syscall.Read(int(fd), one[:])
		quiet = errors.Is(err, syscall.EAGAIN)
		return true // not to be called again
	})
	return err == nil && quiet
}

// watch ends reads and writes when the request's client goes away.
func (c *directConn) watch(ctx context.Context) {
	c.unwatch = context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) }) // it is closed, if anything
}

// exchange writes a request and reads the header of its answer.
func (c *directConn) exchange(r *http.Request, patience time.Duration) (*http.Response, error) {
	if err := c.expect(r.Context(), patience); err != nil {
		return nil, err
	}
	if err := r.Write(c.out); err != nil {
		return nil, err
	}
	if err := c.out.Flush(); err != nil {
		return nil, err
	}
	res, err := c.header(r)
	if err != nil {
		return nil, err
	}
	return c.answer(r.Context(), res)
}

// expect sets how long the header may take, though not for every request.
func (c *directConn) expect(ctx context.Context, patience time.Duration) error {
	now := time.Now()
	if patience == 0 || c.deadline.Sub(now) > patience*3/4 {
		return nil
	}
	return c.until(ctx, now.Add(patience))
}

// until sets the deadline for reading. It may just have replaced the one by
// which watch ends a request, so it looks whether that is to end.
func (c *directConn) until(ctx context.Context, deadline time.Time) error {
	c.deadline = deadline
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	return ctx.Err()
}

// max1xx is how many interim answers there may be, as in http.Transport.
const max1xx = 5

// header reads the header of the final answer, and passes interim ones on.
func (c *directConn) header(r *http.Request) (*http.Response, error) {
	for range max1xx + 1 {
		c.limit.N = maxAnswerHeader
		res, err := http.ReadResponse(c.in, r)
		switch {
		case err != nil && c.limit.N <= 0:
			return nil, fmt.Errorf("answer's header: longer than %d bytes", maxAnswerHeader)
		case err != nil:
			return nil, err
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("answer 101 to a request that asked for no other protocol")
		case res.StatusCode >= http.StatusOK:
			return res, nil
		}
		trace := httptrace.ContextClientTrace(r.Context())
		if trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
		}
	}
	return nil, errors.New("too many interim answers")
}

// answer readies the body, which gives the connection back at its end.
func (c *directConn) answer(ctx context.Context, res *http.Response) (*http.Response, error) {
	c.limit.N = 1<<63 - 1
	if res.Body == http.NoBody {
		c.done(res)
		return res, nil
	}
	if inside := int64(c.in.Buffered()); res.ContentLength < 0 || res.ContentLength > inside {
		if err := c.until(ctx, time.Time{}); err != nil { // a body may take its time
			return nil, err
		}
	}
	res.Body = &directBody{conn: c, res: res, in: res.Body}
	return res, nil
}

// done ends an exchange whose answer was read to its end.
func (c *directConn) done(res *http.Response) {
	if !c.unwatch() || res.Close || c.in.Buffered() > 0 {
		_ = c.conn.Close() // the client is gone, or one of the two does not go on
		return
	}
	c.pool.put(c)
}

// drop ends an exchange that did not come to its end.
func (c *directConn) drop() {
	c.unwatch()
	_ = c.conn.Close() // it has failed
}

// directBody is an answer's body. Read and Close may come from two goroutines,
// as ReverseProxy's do when a connection is given up.
type directBody struct {
	conn *directConn
	res  *http.Response
	in   io.ReadCloser
	over sync.Once
}

func (b *directBody) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // Readers return io.EOF itself
		b.over.Do(func() { b.conn.done(b.res) })
	case err != nil:
		b.over.Do(b.conn.drop)
	}
	return n, err
}

// Close gives up what was not read.
func (b *directBody) Close() error {
	b.over.Do(b.conn.drop)
	return nil
}
