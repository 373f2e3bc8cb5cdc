package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counter is a Metrics that remembers.
type counter struct {
	started, done, answered atomic.Int64

	mu       sync.Mutex
	codes    []string
	failures []string
}

func (c *counter) RequestStarted() { c.started.Add(1) }

func (c *counter) RequestDone(method string, code int, _ time.Duration) {
	c.mu.Lock()
	c.codes = append(c.codes, fmt.Sprint(method, " ", code))
	c.mu.Unlock()
	c.done.Add(1)
}

func (c *counter) UpstreamAnswered(time.Duration) { c.answered.Add(1) }

func (c *counter) UpstreamFailed(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, kind)
}

// last is the last request's method and code.
func (c *counter) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.codes[len(c.codes)-1]
}

func (c *counter) failed(kind string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.failures {
		if k == kind {
			n++
		}
	}
	return n
}

func TestMetricsAreInBalance(t *testing.T) {
	m := &counter{}
	s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		switch req.URL.Path {
		case "/reset":
		case "/half":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
		case "/garbage":
			io.WriteString(conn, "garbage\r\n\r\n")
		case "/slow":
			in.ReadByte()
		case "/upgrade":
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n")
		default:
			io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	}), options{routes: []Route{{}}, config: func(c *Config) {
		c.Metrics = m
		c.Timeouts.ResponseHeader = 50 * time.Millisecond
		c.Limits.Body = 10
	}})
	for _, step := range []struct{ method, path, body, want, failure string }{
		{"GET", "/", "", "GET 302", ""},
		{"POST", "/", "", "POST 303", ""},
		{"POST", "/", "more than ten bytes", "POST 413", ""},
		{"POST", "/reset", "", "POST 502", "reset"},
		{"POST", "/garbage", "", "POST 502", "protocol"},
		{"POST", "/slow", "", "POST 504", "timeout"},
	} {
		s.do(step.method, step.path, step.body)
		eventually(t, "the request is counted", func() bool { return m.started.Load() == m.done.Load() })
		equal(t, step.path, m.last(), step.want)
		if step.failure != "" {
			equal(t, step.path+" "+step.failure, m.failed(step.failure), 1)
		}
	}
	for _, step := range []struct{ method, text, want string }{
		{"GET", "GET /half HTTP/1.1\r\nHost: a\r\n\r\n", "GET 200"},
		{"GET", "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n", "GET 101"},
		{"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "CONNECT 501"},
	} {
		conn, in := s.dial()
		io.WriteString(conn, step.text)
		in.ReadByte()
		conn.Close()
		eventually(t, "the request is counted", func() bool { return m.started.Load() == m.done.Load() })
		equal(t, "status", m.last(), step.want)
	}
	equal(t, "requests", m.done.Load(), 9)
	equal(t, "answers", m.answered.Load(), 4)

	nowhere := newSite(t, "http://127.0.0.1:1", options{config: func(c *Config) { c.Metrics = m }})
	check(t, nowhere.do("GET", "/", ""), 502, "upstream-unreachable")
	equal(t, "connect", m.failed("connect"), 1)
}

// nobody is a Metrics that costs nothing.
type nobody struct{ counter }

func (*nobody) RequestDone(string, int, time.Duration) {}
