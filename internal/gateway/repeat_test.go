package gateway

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother/once"
)

// forgetful answers a warm-up and keeps the connection; whatever comes next,
// on any connection, it carries out and closes without an answer.
func forgetful(t *testing.T, applied *atomic.Int64) string {
	return rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		for {
			req, err := readRequest(in)
			if err != nil {
				return
			}
			if strings.HasPrefix(req, "GET /warm ") || strings.HasPrefix(req, "POST /pay warm") {
				io.WriteString(conn, okAnswer)
				continue
			}
			applied.Add(1)
			return
		}
	})
}

// http.Transport sends a request with Idempotency-Key once more when a kept
// connection dies under it: the app would run twice.
func TestRequestThatMayHaveReachedTheAppIsNotRepeated(t *testing.T) {
	for _, tt := range []struct {
		name   string
		route  Route
		body   string
		method string
		header string
		doubt  bool
	}{
		{"guarded, a connection of its own, no body", Route{Once: &once.Policy{}}, "", "POST", "Idempotency-Key", true},
		{"guarded, a connection of its own, a body", Route{Once: &once.Policy{}}, "a=1", "POST", "Idempotency-Key", true},
		{"guarded, a kept connection, no body", Route{Once: &once.Policy{}, Reuse: true}, "", "POST", "Idempotency-Key", true},
		{"guarded, a kept connection, a body", Route{Once: &once.Policy{}, Reuse: true}, "a=1", "POST", "Idempotency-Key", true},
		{"guarded by another header, the usual one there too", Route{Once: &once.Policy{Key: once.KeySource{Header: "Webhook-Id"}}, Reuse: true}, "", "POST", "Webhook-Id", true},
		{"guarded route, method that is not guarded", Route{Once: &once.Policy{Methods: []string{"PATCH"}}}, "", "POST", "Idempotency-Key", false},
		{"route that is not guarded, no body", Route{}, "", "POST", "Idempotency-Key", false},
		{"route that is not guarded, a body", Route{}, "a=1", "POST", "Idempotency-Key", false},
		{"route that is not guarded, the other header", Route{}, "", "POST", "X-Idempotency-Key", false},
		{"route that is not guarded, DELETE", Route{}, "", "DELETE", "X-Idempotency-Key", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var applied atomic.Int64
			tt.route.Path = "/pay"
			s := newSite(t, forgetful(t, &applied), options{guarded: true, routes: []Route{tt.route}})
			check(t, s.do("GET", "/warm", ""), 200, "")
			if tt.route.Reuse {
				check(t, s.pay("warm", "warm"), 200, "")
			}
			header := []string{tt.header, "k1", "X-Idempotency-Key", "k2"}
			got := s.do(tt.method, "/pay", tt.body, header...)
			check(t, got, 502, "upstream-broken")
			equal(t, "runs of the app", applied.Load(), 1)
			if !tt.doubt {
				return
			}
			equal(t, "Once-Outcome", got.Header.Get("Once-Outcome"), "uncertain")
			check(t, s.do(tt.method, "/pay", tt.body, header...), 409, "outcome-uncertain")
			equal(t, "runs of the app", applied.Load(), 1)
			if states := s.states(); !strings.Contains(states, "uncertain") {
				t.Errorf("records are %s", states)
			}
		})
	}
}

// The trick that keeps Transport from repeating must not show on the wire.
func TestEmptyGuardedPostSaysItsLengthOnce(t *testing.T) {
	for name, reuse := range map[string]bool{"own connection": false, "kept connection": true} {
		t.Run(name, func(t *testing.T) {
			heads := make(chan string, 1)
			upstream := rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
				head, _ := readHead(in)
				heads <- head
				io.WriteString(conn, okAnswer)
			})
			s := newSite(t, upstream, options{guarded: true, routes: []Route{{Path: "/pay", Once: &once.Policy{}, Reuse: reuse}}})
			check(t, s.pay("k", ""), 200, "")
			head := strings.ToLower(within(t, "the request", heads))
			equal(t, "Content-Length: 0", strings.Count(head, "\r\ncontent-length: 0\r\n"), 1)
			equal(t, "Content-Length", strings.Count(head, "content-length"), 1)
			equal(t, "Transfer-Encoding", strings.Count(head, "transfer-encoding"), 0)
			equal(t, "Connection: close", strings.Contains(head, "\r\nconnection: close\r\n"), !reuse)
		})
	}
}

// Twenty clients with one key, and an app that dies under the first: it runs
// once.
func TestManyWithOneKeyReachTheAppOnce(t *testing.T) {
	var applied atomic.Int64
	s := guarded(t, forgetful(t, &applied))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := s.pay("k", "a=1"); got.StatusCode != 502 && got.StatusCode != 409 {
				t.Errorf("answered %d %s", got.StatusCode, got.body)
			}
		})
	}
	all.Wait()
	equal(t, "runs of the app", applied.Load(), 1)
}

// An app that asks for the body first (Expect) and then dies must not get the
// request again either, and neither must one that redirects.
func TestExpectationAndRedirectReachTheAppOnce(t *testing.T) {
	t.Run("100-continue", func(t *testing.T) {
		var applied atomic.Int64
		s := guarded(t, forgetful(t, &applied))
		got := s.do("POST", "/pay", "a=1", "Idempotency-Key", "k", "Expect", "100-continue")
		check(t, got, 502, "upstream-broken")
		equal(t, "runs of the app", applied.Load(), 1)
	})
	t.Run("redirect", func(t *testing.T) {
		var applied atomic.Int64
		s := guarded(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
			if _, err := readRequest(in); err == nil {
				applied.Add(1)
				io.WriteString(conn, "HTTP/1.1 307 Temporary Redirect\r\nLocation: /pay\r\nContent-Length: 0\r\n\r\n")
			}
		}))
		check(t, s.pay("k", "a=1"), 307, "")
		check(t, s.pay("k", "a=1"), 307, "")
		equal(t, "runs of the app", applied.Load(), 1)
	})
}
