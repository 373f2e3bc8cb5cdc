package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestBodyLimit(t *testing.T) {
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil && r.ContentLength > 0 {
			t.Errorf("the app got the header of a body of %d bytes", r.ContentLength)
		}
		fmt.Fprint(w, n)
	}), options{
		guarded: true, config: func(c *Config) { c.Limits.Body = 10 },
		routes: append(guardedRoute, Route{Path: "/large", MaxBody: 20}, Route{Path: "/small", MaxBody: 5}, Route{Path: "/any", MaxBody: -1}),
	})
	for _, tt := range []struct {
		path   string
		length int
		ok     bool
	}{
		{"/", 10, true},
		{"/", 11, false},
		{"/large", 20, true},
		{"/large", 21, false},
		{"/small", 5, true},
		{"/small", 6, false},
		{"/any", 100_000, true},
		{"/pay", 10, true},
		{"/pay", 11, false},
		{"/pay", 5000, false},
	} {
		body := strings.Repeat("x", tt.length)
		for name, text := range map[string]string{
			"length":  fmt.Sprintf("Content-Length: %d\r\n\r\n%s", tt.length, body),
			"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", tt.length, body),
		} {
			t.Run(fmt.Sprint(tt.path, " ", tt.length, " ", name), func(t *testing.T) {
				conn, in := s.dial()
				key := fmt.Sprint(tt.length, name)
				io.WriteString(conn, "POST "+tt.path+" HTTP/1.1\r\nHost: a\r\nIdempotency-Key: "+key+"\r\n"+text)
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				got := read(t, res)
				if tt.ok {
					equal(t, "length", got.body, fmt.Sprint(tt.length))
					return
				}
				check(t, got, 413, "body-too-large")
				equal(t, "Connection: close", res.Close, true)
				closed(t, in)
			})
		}
	}
	if strings.Contains(s.states(), "uncertain") {
		t.Errorf("records are %s", s.states())
	}
}

// An app that answers while the body is still over its limit: two goroutines
// touch the answer's header, and one of them must not.
func TestBodyOverTheLimitWhileTheAppAnswers(t *testing.T) {
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		for i := range 50 {
			w.Header().Set(fmt.Sprint("X-", i), "x")
		}
		w.WriteHeader(http.StatusForbidden)
		http.NewResponseController(w).Flush()
		io.Copy(io.Discard, r.Body)
	}), options{config: func(c *Config) { c.Limits.Body = 1000 }})
	for range 100 {
		conn, in := s.dial()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
		io.WriteString(conn, fmt.Sprintf("7d0\r\n%s\r\n0\r\n\r\n", strings.Repeat("x", 2000)))
		res, err := http.ReadResponse(in, nil)
		if err != nil { // cut short: the client broke the rules
			continue
		}
		if res.StatusCode != 403 && res.StatusCode != 413 {
			t.Fatalf("answered %d", res.StatusCode)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	check(t, s.do("GET", "/", ""), 403, "") // the gateway is alive
}

// What a client that was too slow sends later must not be taken for a request:
// a proxy in front may have mixed several clients on one connection.
func TestBodyThatComesTooLateIsNoRequest(t *testing.T) {
	var smuggled atomic.Int64
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			smuggled.Add(1)
		}
		io.Copy(w, r.Body)
	}), options{guarded: true, routes: guardedRoute, config: func(c *Config) { c.Timeouts.ClientRead = 50 * time.Millisecond }})
	for _, tt := range []struct {
		name, path, header string
		status             int
		kind               string
	}{
		{"length known", "/", "Content-Length: 1000\r\n\r\nhalf", 408, "body-timeout"},
		{"chunked", "/", "Transfer-Encoding: chunked\r\n\r\n3e8\r\nhalf", 408, "body-timeout"},
		{"guarded", "/pay", "Content-Length: 1000\r\n\r\nhalf", 400, "body-cut-short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, in := s.dial()
			io.WriteString(conn, "POST "+tt.path+" HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n"+tt.header)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			check(t, read(t, res), tt.status, tt.kind)
			equal(t, "Connection: close", res.Close, true)
			io.WriteString(conn, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
			closed(t, in)
		})
	}
	equal(t, "smuggled requests", smuggled.Load(), 0)
	equal(t, "records", s.states(), "")
}

// A client that is slow but keeps sending is waited for.
func TestSlowBodyArrivesWhole(t *testing.T) {
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }),
		options{config: func(c *Config) { c.Timeouts.ClientRead = 400 * time.Millisecond }})
	conn, in := s.dial()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
	for _, b := range "abcdef" {
		time.Sleep(100 * time.Millisecond) // longer in all than the limit between two pieces
		io.WriteString(conn, string(b))
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body", read(t, res).body, "abcdef")
}

// The limit is for the client, who is done when the body has ended.
func TestAppMayThinkLongerThanABodyMayTake(t *testing.T) {
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
		}
	}), options{config: func(c *Config) { c.Timeouts.ClientRead = 50 * time.Millisecond }})
	check(t, s.do("POST", "/", "a=1"), 200, "")
}

// The server cancels a request before the Read that failed has returned.
func TestFailureOfTheBodyIsKnownOnceItsReadReturned(t *testing.T) {
	in, out := io.Pipe()
	rec := httptest.NewRecorder()
	body := &clientBody{ReadCloser: in, writer: rec, control: http.NewResponseController(rec)}
	began := make(chan struct{})
	go func() {
		close(began)
		body.Read(make([]byte, 1))
	}()
	<-began
	eventually(t, "a Read", func() bool {
		if body.reading.TryLock() {
			body.reading.Unlock()
			return false
		}
		return true
	})
	failure := make(chan error)
	go func() { failure <- body.failed(true) }()
	select {
	case err := <-failure:
		t.Fatalf("it did not wait, and said %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	out.CloseWithError(os.ErrDeadlineExceeded)
	if err := within(t, "the failure", failure); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("failed with %v", err)
	}
}

func TestBodyThatIsBrokenIsTheClientsFault(t *testing.T) {
	m := &counter{}
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }),
		options{config: func(c *Config) { c.Metrics = m }})
	got := s.raw("POST", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")
	check(t, got, 400, "body-broken")
	equal(t, "failures of the app", len(m.failures), 0)
}
