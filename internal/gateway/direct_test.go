package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func (d *direct) idleConnections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.unused)
}

// Bytes that come after an answer are nobody's: whoever asks next must not get
// them for an answer.
func TestBytesThatNobodyAskedForAnswerNobody(t *testing.T) {
	answered, said := make(chan struct{}), make(chan struct{})
	s := newSite(t, rawApp(t, func(nth int, conn net.Conn, in *bufio.Reader) {
		for {
			request, err := readRequest(in)
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(request), request)
			if nth == 0 {
				<-answered // so that it comes alone
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
				close(said)
			}
		}
	}), options{})
	for i := range 3 {
		path := fmt.Sprint("/", i)
		equal(t, path, s.do("GET", path, "").body, "GET "+path+" ")
		if i == 0 {
			close(answered)
		}
		within(t, "the poison", said)
	}
}

func TestConnectionThatTheAppClosedIsNotUsedAgain(t *testing.T) {
	var connections atomic.Int64
	closed := make(chan struct{}, 10)
	s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		connections.Add(1)
		if _, err := readRequest(in); err == nil {
			io.WriteString(conn, okAnswer)
		}
		conn.Close()
		closed <- struct{}{}
	}), options{})
	for i := range 5 {
		equal(t, "status", s.do("POST", "/", "small").StatusCode, 200)
		within(t, "the app to close", closed)
		equal(t, "connections", connections.Load(), int64(i+1))
	}
}

func TestConnectionsAreUsedAgainAndClosedWhenIdle(t *testing.T) {
	var connections atomic.Int64
	gone := make(chan struct{}, 1)
	s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		connections.Add(1)
		for {
			if _, err := readRequest(in); err != nil {
				gone <- struct{}{}
				return
			}
			io.WriteString(conn, okAnswer)
		}
	}), options{config: func(c *Config) { c.Timeouts.Idle = 300 * time.Millisecond }})
	for range 20 {
		equal(t, "status", s.do("POST", "/", "small").StatusCode, 200)
	}
	within(t, "the idle connection to be closed", gone)
	if got := connections.Load(); got > 3 { // a slow machine may let one become idle in between
		t.Errorf("%d connections for 20 requests one after the other", got)
	}
	eventually(t, "nothing is kept", func() bool { return s.gateway.upstream.direct.idleConnections() == 0 })
}

func TestAtMostSoManyConnectionsAreKept(t *testing.T) {
	const clients = 8
	arrived, release := make(chan struct{}, clients), make(chan struct{})
	s := newSite(t, app(t, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}), options{config: func(c *Config) { c.Limits.Idle = 2 }})
	answers := make(chan int, clients)
	for range clients {
		go func() { answers <- s.do("GET", "/", "").StatusCode }()
	}
	for range clients {
		within(t, "all requests to run", arrived)
	}
	close(release)
	for range clients {
		equal(t, "status", within(t, "the answers", answers), 200)
	}
	equal(t, "kept", s.gateway.upstream.direct.idleConnections(), 2)
	s.gateway.Close()
	equal(t, "kept after Close", s.gateway.upstream.direct.idleConnections(), 0)
}

func TestAnswersThatCannotBe(t *testing.T) {
	for name, answer := range map[string]string{
		"a header that does not end":              "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxAnswerHeader+1),
		"another protocol that nobody asked for":  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n",
		"interim answers without end":             strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100),
		"the answer to another version of itself": "HTTP/3 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
				if _, err := readRequest(in); err == nil {
					io.WriteString(conn, answer)
				}
				in.ReadByte() // until the gateway has had enough
			}), options{})
			check(t, s.do("GET", "/", ""), 502, "upstream-broken")
			equal(t, "kept", s.gateway.upstream.direct.idleConnections(), 0)
		})
	}
}

// Both ways to the app give clients the same, byte for byte but for the date.
func TestBothWaysToTheAppAreAlike(t *testing.T) {
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Saw", fmt.Sprint(r.Method, r.RequestURI, r.Host, r.ContentLength, r.TransferEncoding, r.Header))
		w.Header().Set("Date", "now")
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
			return
		case "/early":
			w.Header().Set("Link", "</a>")
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Write(body)
		http.NewResponseController(w).Flush()
		io.WriteString(w, "more")
		w.Header().Set("X-Sum", "6")
	})
	fast := newSite(t, upstream, options{})
	usual := newSite(t, upstream, options{})
	usual.gateway.upstream.direct = nil
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
		for _, target := range []string{"/", "/empty", "/early", "/a%2Fb?x=%zz&y"} {
			for _, body := range []string{"", "small"} {
				got, want := fast.do(method, target, body, "X-A", "1"), usual.do(method, target, body, "X-A", "1")
				name := method + " " + target + " " + body
				equal(t, name, got.StatusCode, want.StatusCode)
				equal(t, name, got.body, want.body)
				equal(t, name, ofAddress(got, fast), ofAddress(want, usual))
			}
		}
	}
}

// ofAddress is everything that an answer says beside its body, without the
// address of the gateway.
func ofAddress(a answer, s *site) string {
	return strings.ReplaceAll(fmt.Sprint(a.Header, a.Trailer, a.ContentLength, a.TransferEncoding, a.Close), s.addr, "ADDR")
}

// An app that closes a connection just when a request comes: one that only reads
// is sent again, any other is not.
func TestOnlyAHarmlessRequestIsSentAgain(t *testing.T) {
	var applied atomic.Int64
	s := newSite(t, forgetful(t, &applied), options{})
	for _, tt := range []struct {
		method, body string
		times        int64
	}{{"GET", "", 2}, {"HEAD", "", 2}, {"DELETE", "", 1}, {"POST", "small", 1}, {"PUT", "", 1}} {
		s.do("GET", "/warm", "") // so that there is a connection to use again
		applied.Store(0)
		equal(t, tt.method, s.do(tt.method, "/", tt.body).StatusCode, 502)
		equal(t, tt.method+" reached the app", applied.Load(), tt.times)
		s.gateway.upstream.direct.close()
		s.gateway.upstream.direct.closed = false
	}
}
