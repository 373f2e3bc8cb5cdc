package rig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Stream sends requests at a constant rate, whatever the server does: a request
// that has to wait for a free connection, waits at the server's expense.
type Stream struct {
	Addr        string
	Paths       []string // asked for in turn
	Rate        float64  // requests per second
	Connections int
}

// Run is a stream that runs, or has run.
type Run struct {
	stop    chan struct{}
	ended   sync.WaitGroup
	mu      sync.Mutex
	answers []answer // guarded by mu
	err     error    // the first thing that went wrong; guarded by mu
}

// answer is what became of one request.
type answer struct {
	due  time.Time
	took time.Duration // from due, not from when it was sent
	lost bool
}

// waiting is how many requests may wait for a connection: seconds of them.
const waiting = 1 << 20

// Start begins to send.
func (s Stream) Start() *Run {
	r := &Run{stop: make(chan struct{})}
	due := make(chan ticket, waiting)
	r.ended.Go(func() { s.dispatch(r.stop, due) })
	for range s.Connections {
		r.ended.Go(func() { s.work(r, due) })
	}
	return r
}

type ticket struct {
	due  time.Time
	path string
}

// dispatch gives out a ticket when a request is due. It sleeps in the kernel:
// the timers of Go are only good for milliseconds where nothing else happens.
func (s Stream) dispatch(stop <-chan struct{}, due chan<- ticket) {
	runtime.LockOSThread()
	defer close(due)
	began := time.Now()
	for n := 0; ; n++ {
		at := began.Add(time.Duration(float64(n) / s.Rate * float64(time.Second)))
		if wait := time.Until(at); wait > 0 {
			sleep(wait)
		}
		select {
		case <-stop:
			return
		case due <- ticket{at, s.Paths[n%len(s.Paths)]}:
		}
	}
}

// work sends what is due over one connection, and opens another when it breaks.
func (s Stream) work(r *Run, due <-chan ticket) {
	var c *connection
	var own []answer
	var first error
	for t := range due {
		var err error
		if c == nil {
			c, err = connect(s.Addr)
		}
		if err == nil {
			err = c.ask(t.path)
		}
		own = append(own, answer{due: t.due, took: time.Since(t.due), lost: err != nil})
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		if c != nil {
			_ = c.conn.Close()
			c = nil
		}
	}
	if c != nil {
		_ = c.conn.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, own...)
	if r.err == nil {
		r.err = first
	}
}

// connection is kept alive.
type connection struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

const streamTimeout = 10 * time.Second

func connect(addr string) (*connection, error) {
	conn, err := net.DialTimeout("tcp", addr, streamTimeout)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, in: bufio.NewReader(conn)}, nil
}

var errNoRedirect = errors.New("the answer is no redirect")

// ask sends one GET and reads the answer, which must be a redirect.
func (c *connection) ask(path string) error {
	c.out = fmt.Appendf(c.out[:0], "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path)
	if err := c.conn.SetDeadline(time.Now().Add(streamTimeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	redirect := bytes.HasPrefix(line, []byte("HTTP/1.1 3"))
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		name, value, found := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		if !found {
			break
		}
		if bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if _, err := io.CopyN(io.Discard, c.in, int64(length)); err != nil {
		return err
	}
	if !redirect {
		return errNoRedirect
	}
	return nil
}

// Stop ends the stream and waits for what is under way. The error is the first
// thing that went wrong, of a stream that got no answer at all.
func (r *Run) Stop() error {
	close(r.stop)
	r.ended.Wait()
	if !slices.ContainsFunc(r.answers, func(a answer) bool { return !a.lost }) {
		return fmt.Errorf("no request was answered: %w", r.err)
	}
	return nil
}

// Why is the first thing that went wrong, or nil. The stream has been stopped.
func (r *Run) Why() error { return r.err }

// Span are the requests of a time.
type Span struct {
	Requests int
	Lost     int       // without an answer, or with a wrong one
	took     []float64 // of the others, in milliseconds, sorted
}

// Until is what was due before at. The stream has been stopped.
func (r *Run) Until(at time.Time) Span { return r.Between(time.Time{}, at) }

// After is what was due at and after at. The stream has been stopped.
func (r *Run) After(at time.Time) Span { return r.Between(at, time.Now()) }

// Between is what was due from begin until end. The stream has been stopped.
func (r *Run) Between(begin, end time.Time) Span {
	var s Span
	for _, a := range r.answers {
		switch {
		case a.due.Before(begin) || !a.due.Before(end):
			continue
		case a.lost:
			s.Lost++
		default:
			s.took = append(s.took, float64(a.took.Microseconds())/1e3)
		}
		s.Requests++
	}
	slices.Sort(s.took)
	return s
}

// Percentile is the time that p percent of the answers took at most, in
// milliseconds; 0 where there are none.
func (s Span) Percentile(p float64) float64 {
	if len(s.took) == 0 {
		return 0
	}
	return s.took[min(int(p/100*float64(len(s.took))), len(s.took)-1)]
}
