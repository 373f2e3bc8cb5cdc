package gateway

import (
	"bufio"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/trust"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// site is a gateway with its listener in front of an app.
type site struct {
	t       testing.TB
	gateway *Gateway
	server  *http.Server
	addr    string
	store   store.Store // nil without a guard
	log     *locked
}

// options say what differs from a gateway without routes.
type options struct {
	config  func(*Config)
	guarded bool
	once    once.Config
	routes  []Route
}

var guardedRoute = []Route{{Name: "pay", Path: "/pay", Once: &once.Policy{}}}

func newSite(t testing.TB, upstream string, o options) *site {
	t.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, log: &locked{}}
	cfg := Config{Upstream: u, Log: slog.New(slog.NewTextHandler(s.log, nil))}
	if o.config != nil {
		o.config(&cfg)
	}
	var guard *once.Guard
	if o.guarded {
		s.store = memstore.New()
		t.Cleanup(func() { s.store.Close() })
		if guard, err = once.New(t.Context(), s.store, o.once); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { guard.Close(t.Context()) })
	}
	if s.gateway, err = New(cfg, guard, o.routes); err != nil {
		t.Fatal(err)
	}
	s.server = NewServer(cfg, s.gateway)
	s.addr = listen(t, func(ln net.Listener) { s.server.Serve(ln) }).Addr().String()
	t.Cleanup(func() { s.server.Close(); s.gateway.Close() })
	return s
}

// guarded is a site with one guarded route, /pay.
func guarded(t testing.TB, upstream string) *site {
	return newSite(t, upstream, options{guarded: true, routes: guardedRoute})
}

func listen(t testing.TB, serve func(net.Listener)) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() { serve(ln) })
	t.Cleanup(func() { ln.Close(); done.Wait() })
	return ln
}

// app is an app in net/http.
func app(t testing.TB, handler http.HandlerFunc) string {
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL
}

// rawApp is an app that gets its connections bare; nth counts them from 0.
func rawApp(t testing.TB, serve func(nth int, conn net.Conn, in *bufio.Reader)) string {
	t.Helper()
	ln := listen(t, func(ln net.Listener) { serveRaw(ln, serve) })
	return "http://" + ln.Addr().String()
}

func serveRaw(ln net.Listener, serve func(int, net.Conn, *bufio.Reader)) {
	var running sync.WaitGroup
	var open []net.Conn
	for {
		conn, err := ln.Accept()
		if err != nil {
			break
		}
		nth := len(open)
		open = append(open, conn)
		running.Go(func() {
			defer conn.Close()
			serve(nth, conn, bufio.NewReader(conn))
		})
	}
	for _, conn := range open {
		conn.Close()
	}
	running.Wait()
}

// readHead reads a request's header as it is on the wire, without the empty
// line.
func readHead(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return b.String(), err
		}
		if line == "\r\n" {
			return b.String(), nil
		}
		b.WriteString(line)
	}
}

// readRequest reads a whole request.
func readRequest(in *bufio.Reader) (string, error) {
	req, err := http.ReadRequest(in)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(req.Body)
	return req.Method + " " + req.RequestURI + " " + string(body), err
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// answer is what a client got.
type answer struct {
	*http.Response
	body string
}

// client keeps its connections and follows no redirects.
var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, ExpectContinueTimeout: patience},
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (s *site) request(method, target, body string, header ...string) *http.Request {
	s.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+target, r)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

func (s *site) do(method, target, body string, header ...string) answer {
	s.t.Helper()
	res, err := client.Do(s.request(method, target, body, header...))
	if err != nil {
		s.t.Fatal(err)
	}
	return read(s.t, res)
}

func read(t testing.TB, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("body of the answer: %v", err)
	}
	return answer{res, string(body)}
}

// pay submits to the guarded route.
func (s *site) pay(key, body string) answer {
	s.t.Helper()
	return s.do("POST", "/pay", body, "Idempotency-Key", key)
}

// dial opens a bare connection to the gateway.
func (s *site) dial() (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn, bufio.NewReader(conn)
}

// raw sends text and reads one answer to a request by method.
func (s *site) raw(method, text string) answer {
	s.t.Helper()
	conn, in := s.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	res, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		s.t.Fatal(err)
	}
	return read(s.t, res)
}

// states are the states of all records.
func (s *site) states() string {
	s.t.Helper()
	page, err := s.store.List(s.t.Context(), store.Query{Partition: "default", Class: once.Class})
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, r := range page.Records {
		out = append(out, r.State)
	}
	return strings.Join(out, " ")
}

// check compares an answer's status and the type of its problem; an empty
// problem means that there is none.
func check(t testing.TB, got answer, status int, kind string) {
	t.Helper()
	if got.StatusCode != status {
		t.Errorf("answered %d %q, want %d", got.StatusCode, got.body, status)
	}
	isProblem := got.Header.Get("Content-Type") == "application/problem+json"
	if kind == "" && isProblem || kind != "" && (!isProblem || !strings.Contains(got.body, "problems/"+kind+`"`)) {
		t.Errorf("answered %q, want problem %q", got.body, kind)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// within fails the test when nothing comes from ch in time.
func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come in time", what)
		panic("unreachable")
	}
}

// eventually waits for a condition that nobody announces.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// closed fails the test unless the other side has closed the connection.
func closed(t testing.TB, in *bufio.Reader) {
	t.Helper()
	var timeout net.Error
	if b, err := in.ReadByte(); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection is open: byte %q, error %v", b, err)
	}
}

// quiet is the log of servers that are treated badly.
var quiet = log.New(io.Discard, "", 0)

// locked is a buffer for a log.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var loopback = trust.Proxies{netip.MustParsePrefix("127.0.0.0/8")}

// serve starts srv and returns its address.
func serve(t testing.TB, srv *http.Server) string {
	return listen(t, func(ln net.Listener) { srv.Serve(ln) }).Addr().String()
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
