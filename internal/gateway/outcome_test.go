package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seeother/seeother/once"
)

// reserved is an address that is taken, and where nobody listens before listen
// is called.
func reserved(t *testing.T) (addr string, listen func() net.Listener) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(err)
	file := os.NewFile(uintptr(fd), "reserved")
	t.Cleanup(func() { file.Close() })
	must(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(fd)
	must(err)
	addr = fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	return addr, func() net.Listener {
		must(syscall.Listen(fd, 16))
		ln, err := net.FileListener(file)
		must(err)
		return ln
	}
}

// Once an app that cannot be reached is there, the same key works.
func TestUnreachableAppReleasesTheKey(t *testing.T) {
	addr, listen := reserved(t)
	s := guarded(t, "http://"+addr)
	got := s.pay("k", "a=1")
	check(t, got, 502, "upstream-unreachable")
	equal(t, "Once-Outcome", got.Header.Get("Once-Outcome"), "not-applied")
	equal(t, "records", s.states(), "released")
	check(t, s.do("POST", "/other", "a=1"), 502, "upstream-unreachable")

	srv := &httptest.Server{Listener: listen(), Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "paid") })}}
	srv.Start()
	defer srv.Close()
	check(t, s.pay("k", "a=1"), 200, "")
	got = s.pay("k", "a=1")
	equal(t, "body", got.body, "paid")
	equal(t, "Idempotent-Replayed", got.Header.Get("Idempotent-Replayed"), "true")
}

// brittle fails at the first write, as a connection does that was closed
// before.
type brittle struct{ net.Conn }

func (brittle) Write([]byte) (int, error) { return 0, errors.New("broken") }

func (b brittle) SyscallConn() (syscall.RawConn, error) { return b.Conn.(syscall.Conn).SyscallConn() }

// dialWith opens the connections of both kinds of guarded requests, small ones and
// those that stream.
func (w *guardedWay) dialWith(dial dialFunc) {
	w.shared.DialContext, w.direct.dial = dial, dial
}

// payments are bodies that go out in the two ways.
var payments = map[string]string{"a small body": "a=1", "a large body": "a=" + strings.Repeat("1", smallBody)}

func TestRequestOfWhichNoByteWasWrittenIsReleased(t *testing.T) {
	for name, reuse := range map[string]bool{"own connection": false, "kept connection": true} {
		for size, body := range payments {
			t.Run(name+", "+size, func(t *testing.T) {
				s := newSite(t, app(t, func(http.ResponseWriter, *http.Request) { t.Error("the app was called") }),
					options{guarded: true, routes: []Route{{Path: "/pay", Once: &once.Policy{}, Reuse: reuse}}})
				for _, way := range []*guardedWay{&s.gateway.upstream.own, &s.gateway.upstream.reused} {
					way.dialWith(func(ctx context.Context, network, address string) (net.Conn, error) {
						conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
						w := &watchedConn{Conn: brittle{conn}}
						w.sealed = true // nothing passes
						return w, err
					})
				}
				got := s.pay("k", body)
				check(t, got, 502, "upstream-unreachable")
				equal(t, "Once-Outcome", got.Header.Get("Once-Outcome"), "not-applied")
				equal(t, "records", s.states(), "released")
			})
		}
	}
}

func TestWriteThatFailsHalfWayIsInDoubt(t *testing.T) {
	for size, body := range payments {
		t.Run(size, func(t *testing.T) {
			s := guarded(t, app(t, func(http.ResponseWriter, *http.Request) { t.Error("the app was called") }))
			s.gateway.upstream.own.dialWith(watchedDial(func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
				return brittle{conn}, err
			}))
			check(t, s.pay("k", body), 502, "upstream-broken")
			equal(t, "records", s.states(), "uncertain")
		})
	}
}

// Whatever a connection carried before, a handshake or other requests, is no
// word about this one.
func TestOnlyTheRequestsOwnBytesCount(t *testing.T) {
	for _, overTLS := range []bool{false, true} {
		for _, wrote := range []bool{false, true} {
			t.Run(fmt.Sprint("TLS ", overTLS, ", wrote ", wrote), func(t *testing.T) { sightingOf(t, overTLS, wrote) })
		}
	}
}

func sightingOf(t *testing.T, overTLS, wrote bool) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go io.Copy(io.Discard, theirs)
	watched := &watchedConn{Conn: ours}
	watched.Write([]byte("before"))
	seen := &sighting{}
	info := httptrace.GotConnInfo{Conn: watched}
	if overTLS {
		info.Conn = tls.Client(watched, &tls.Config{})
	}
	seen.gotConn(info)
	if wrote {
		watched.Write([]byte("x"))
	}
	var unsent *unsentError
	err := seen.report(&once.Attempt{}, io.EOF)
	equal(t, "not sent", errors.As(err, &unsent), !wrote)
	if _, err := watched.Write([]byte("x")); !errors.Is(err, errSealed) {
		t.Errorf("a write afterwards: error %v", err)
	}
}

func TestTLSThatDoesNotComeAboutReleasesTheKey(t *testing.T) {
	untrusted := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the app was called") }))
	untrusted.Config.ErrorLog = quiet
	untrusted.StartTLS()
	defer untrusted.Close()
	hangsUp := strings.Replace(rawApp(t, func(_ int, _ net.Conn, in *bufio.Reader) { in.ReadByte() }), "http:", "https:", 1)
	plain := strings.Replace(app(t, func(http.ResponseWriter, *http.Request) {}), "http:", "https:", 1)
	for name, upstream := range map[string]string{"unknown certificate": untrusted.URL, "closed in the handshake": hangsUp, "no TLS": plain} {
		t.Run(name, func(t *testing.T) {
			s := guarded(t, upstream)
			check(t, s.pay("k", "a=1"), 502, "upstream-unreachable")
			equal(t, "records", s.states(), "released")
		})
	}
}

// Over TLS the bytes of the handshake must not count as the request's.
func TestGuardedRequestOverTLS(t *testing.T) {
	var applied atomic.Int64
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if applied.Add(1); r.ProtoMajor != 1 {
			t.Errorf("a guarded request came by %s", r.Proto)
		}
		if r.URL.Query().Has("die") {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "paid")
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	defer upstream.Close()
	s := guarded(t, upstream.URL)
	s.gateway.upstream.own.shared.TLSClientConfig = &tls.Config{RootCAs: upstream.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	equal(t, "body", s.pay("k", "").body, "paid")
	check(t, s.do("POST", "/pay?die", "", "Idempotency-Key", "k2"), 502, "upstream-broken")
	equal(t, "runs of the app", applied.Load(), 2)
	equal(t, "records", len(strings.Fields(s.states())), 2)
	if !strings.Contains(s.states(), "uncertain") {
		t.Errorf("records are %s", s.states())
	}
}

// The app got the request, and how far it came is not known.
func TestAppThatDoesNotAnswerWholeIsInDoubt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string
		status int
		kind   string
	}{
		{"closes without an answer", "", 502, "upstream-broken"},
		{"garbage", "card-4242\r\n\r\n", 502, "upstream-broken"},
		{"header cut short", "HTTP/1.1 200 OK\r\nContent-Le", 502, "upstream-broken"},
		{"body cut short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 502, "outcome-uncertain"},
		{"chunks cut short", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 502, "outcome-uncertain"},
		{"chunks that are none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxx\r\n", 502, "outcome-uncertain"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 4\r\n\r\nhalf", 502, "upstream-broken"},
		{"interim answer only", "HTTP/1.1 103 Early Hints\r\n\r\n", 502, "upstream-broken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var applied atomic.Int64
			s := guarded(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
				readRequest(in)
				applied.Add(1)
				io.WriteString(conn, tt.answer)
			}))
			got := s.pay("k", "a=1")
			check(t, got, tt.status, tt.kind)
			if strings.Contains(got.body, "half") {
				t.Errorf("half an answer came through: %q", got.body)
			}
			equal(t, "Once-Outcome", got.Header.Get("Once-Outcome"), "uncertain")
			equal(t, "records", s.states(), "uncertain")
			check(t, s.pay("k", "a=1"), 409, "outcome-uncertain")
			equal(t, "runs of the app", applied.Load(), 1)
			if log := s.log.String(); strings.Contains(log, "4242") || strings.Contains(log, "half") {
				t.Errorf("the answer is in the log: %s", log)
			}
		})
	}
}

func TestUnguardedAnswerThatIsCutShortEndsTheConnection(t *testing.T) {
	s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		readRequest(in)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	}), options{})
	res, err := client.Do(s.request("GET", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("body %q, error %v, want one that says it is not whole", body, err)
	}
}

func TestAppThatIsTooSlowIsInDoubt(t *testing.T) {
	s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		readRequest(in)
		in.ReadByte() // until the gateway gives up
	}), options{guarded: true, routes: guardedRoute, config: func(c *Config) { c.Timeouts.ResponseHeader = 50 * time.Millisecond }})
	got := s.pay("k", "a=1")
	check(t, got, 504, "upstream-timeout")
	equal(t, "Once-Outcome", got.Header.Get("Once-Outcome"), "uncertain")
	equal(t, "records", s.states(), "uncertain")
	check(t, s.do("GET", "/other", ""), 504, "upstream-timeout")
}

// Nobody may be waiting for the rest of a guarded answer, so its app cannot
// keep it running for ever.
func TestGuardedAnswerThatStopsInTheMiddleIsInDoubt(t *testing.T) {
	s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		readRequest(in)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		in.ReadByte() // until the gateway gives up
	}), options{guarded: true, routes: guardedRoute, config: func(c *Config) { c.Timeouts.Answer = 50 * time.Millisecond }})
	check(t, s.pay("k", "a=1"), 502, "outcome-uncertain")
	equal(t, "records", s.states(), "uncertain")
}

// An app that stops reading a request does not keep it for ever.
func TestAppThatDoesNotTakeTheRequestTimesOut(t *testing.T) {
	release := make(chan struct{})
	s := newSite(t, rawApp(t, func(int, net.Conn, *bufio.Reader) { <-release }),
		options{config: func(c *Config) { c.Timeouts.Send = 50 * time.Millisecond }})
	defer close(release)
	got := s.do("POST", "/upload", strings.Repeat("x", 32<<20))
	check(t, got, 504, "upstream-timeout")
}

// The answers of the app's own, as the guard reads them through the gateway.
func TestWholeAnswersAreKept(t *testing.T) {
	var applied atomic.Int64
	s := guarded(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		applied.Add(1)
		w.Header().Set("X-Request-Id", "7")
		w.WriteHeader(map[string]int{"fails": 500, "none": 204}[r.Header.Get("Accept")])
	}))

	for _, accept := range []string{"fails", "none"} {
		first := s.do("POST", "/pay", "a=1", "Idempotency-Key", accept, "Accept", accept)
		second := s.do("POST", "/pay", "a=1", "Idempotency-Key", accept, "Accept", accept)
		equal(t, "status", second.StatusCode, first.StatusCode)
		equal(t, "X-Request-Id", second.Header.Get("X-Request-Id"), "7")
		equal(t, "Idempotent-Replayed", second.Header.Get("Idempotent-Replayed"), "true")
	}
	equal(t, "runs of the app", applied.Load(), 2)
}
