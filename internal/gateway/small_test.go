package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// One read of the app's gets header and body: they came in one piece.
func TestSmallBodyGoesOutWithItsHeader(t *testing.T) {
	pieces := make(chan string, 1)
	s := newSite(t, rawApp(t, func(_ int, conn net.Conn, _ *bufio.Reader) {
		buf := make([]byte, 64<<10)
		n, _ := conn.Read(buf)
		pieces <- string(buf[:n])
		io.WriteString(conn, okAnswer)
	}), options{})
	body := strings.Repeat("x", 1000)
	equal(t, "status", s.do("POST", "/", body).StatusCode, 200)
	if got := within(t, "the request", pieces); !strings.HasSuffix(got, "\r\n\r\n"+body) {
		t.Errorf("the first piece is %q, want header and body", got)
	}
}

func TestSmallBodyThatDoesNotComeWholeReachesNobody(t *testing.T) {
	var calls atomic.Int64
	s := newSite(t, rawApp(t, func(int, net.Conn, *bufio.Reader) { calls.Add(1) }), options{})
	conn, in := s.dial()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf of it")
	conn.(*net.TCPConn).CloseWrite()
	if res, err := http.ReadResponse(in, nil); err == nil { // it may be gone for the gateway
		equal(t, "a client's fault", res.StatusCode/100, 4)
		read(t, res)
	}
	closed(t, in)
	equal(t, "requests that reached the app", calls.Load(), 0)
}
