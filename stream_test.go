package seeother_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// What the handler flushes must arrive while the handler still runs.
func TestFlush(t *testing.T) {
	t.Parallel()
	flushes := map[string]func(http.ResponseWriter) error{
		"http.Flusher":            func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"http.ResponseController": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
	}
	for name, flush := range flushes {
		release := make(chan struct{})
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "first\n")
			if err := flush(w); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			select {
			case <-release:
			case <-time.After(patience):
			}
			_, _ = io.WriteString(w, "second\n")
		})
		for proto, server := range start(t, seeother.SeeOther(handler)) {
			resp, err := server.Client().Post(server.URL, "text/plain", nil)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(resp.Body)
			began := time.Now()
			if line, err := lines.ReadString('\n'); line != "first\n" || time.Since(began) > patience/2 {
				t.Errorf("%s, %s: got %q, %v after %v", name, proto, line, err, time.Since(began))
			}
			release <- struct{}{}
			if line, _ := lines.ReadString('\n'); line != "second\n" {
				t.Errorf("%s, %s: then got %q", name, proto, line)
			}
			resp.Body.Close()
		}
	}
}

func TestHijack(t *testing.T) {
	t.Parallel()
	hijacks := map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"http.Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"http.ResponseController": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	}
	for name, hijack := range hijacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := hijack(w)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 302 Mine\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")
			})))
			defer server.Close()
			// A hijacked connection is the handler's own, 302 and all.
			if resp := send(t, server.Client(), "POST", server.URL); resp.Status != "302 Mine" {
				t.Errorf("got %q", resp.Status)
			}
		})
	}
}

func TestUpgradeThroughReverseProxy(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	}))
	defer backend.Close()
	server := httptest.NewServer(seeother.SeeOther(proxyTo(t, backend.URL)))
	defer server.Close()

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 0\r\n\r\n")
	read := bufio.NewReader(conn)
	resp, err := http.ReadResponse(read, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := read.ReadString('\n'); line != "hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func proxyTo(t *testing.T, address string) http.Handler {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
}

func TestReverseProxyAnswersAreMended(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(redirects(302, "/users"))
	defer backend.Close()
	for proto, server := range start(t, seeother.SeeOther(proxyTo(t, backend.URL))) {
		if resp := send(t, server.Client(), "DELETE", server.URL+"/users/123"); resp.StatusCode != 303 {
			t.Errorf("%s: got %d", proto, resp.StatusCode)
		}
	}
}

func TestTrailers(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Announced")
		w.Header().Set("Location", "/users")
		w.WriteHeader(302)
		_, _ = io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set("Announced", "yes")
		w.Header().Set(http.TrailerPrefix+"Unannounced", "too")
	})
	for proto, server := range start(t, seeother.SeeOther(handler)) {
		resp := send(t, server.Client(), "DELETE", server.URL)
		if resp.StatusCode != 303 || resp.Trailer.Get("Announced") != "yes" || resp.Trailer.Get("Unannounced") != "too" {
			t.Errorf("%s: got %d with %v", proto, resp.StatusCode, resp.Trailer)
		}
	}
}

// 103 comes before the status that counts.
func TestInformational(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.Header().Set("Location", "/early") // as hints go, a wrong one
		w.WriteHeader(http.StatusEarlyHints)
		redirects(302, "/users")(w, r)
	})
	for proto, server := range start(t, seeother.SeeOther(handler)) {
		var hints atomic.Int32
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == 103 && h.Get("Link") != "" {
					hints.Add(1)
				}
				return nil
			},
		})
		r, err := http.NewRequestWithContext(ctx, "POST", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if hints.Load() != 1 || resp.StatusCode != 303 {
			t.Errorf("%s: got %d hints and %d", proto, hints.Load(), resp.StatusCode)
		}
	}
}

// Writers with some of the optional interfaces.
type (
	plainWriter  struct{ http.ResponseWriter }
	hijackOnly   struct{ plainWriter }
	filesOnly    struct{ plainWriter }
	unwrapWriter struct{ plainWriter }
)

var errHijack = errors.New("hijacked")

func (hijackOnly) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errHijack }
func (w filesOnly) ReadFrom(io.Reader) (int64, error)           { return 42, nil }
func (w unwrapWriter) Unwrap() http.ResponseWriter              { return w.ResponseWriter }

// A handler that asks what the writer can do gets the same answer as without
// SeeOther.
func TestCapabilitiesAreTrue(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	writers := map[string]http.ResponseWriter{
		"plain": plainWriter{recorder}, "flush": recorder, "hijack": hijackOnly{plainWriter{recorder}},
		"both": struct {
			http.ResponseWriter
			http.Flusher
			http.Hijacker
		}{recorder, recorder, hijackOnly{}},
	}
	for name, writer := range writers {
		_, flushes := writer.(http.Flusher)
		_, hijacks := writer.(http.Hijacker)
		seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if w == writer {
				t.Errorf("%s: not wrapped", name)
			}
			if _, ok := w.(http.Flusher); ok != flushes {
				t.Errorf("%s: Flusher is %v", name, ok)
			}
			if _, ok := w.(http.Hijacker); ok != hijacks {
				t.Errorf("%s: Hijacker is %v", name, ok)
			}
			if err := http.NewResponseController(w).Flush(); (err == nil) != flushes {
				t.Errorf("%s: flushing gives %v", name, err)
			}
			if _, _, err := http.NewResponseController(w).Hijack(); errors.Is(err, errHijack) != hijacks {
				t.Errorf("%s: hijacking gives %v", name, err)
			}
		})).ServeHTTP(writer, httptest.NewRequest("POST", "/", nil))
	}
}

func TestControllerSeesThroughOtherWrappers(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(unwrapWriter{plainWriter{recorder}}, httptest.NewRequest("POST", "/", nil))
	if !recorder.Flushed {
		t.Error("nothing was flushed")
	}
}

func TestDeadlinesAndFullDuplexThroughController(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		soon := time.Now().Add(patience)
		if err := errors.Join(control.SetReadDeadline(soon), control.SetWriteDeadline(soon), control.EnableFullDuplex()); err != nil {
			t.Error(err)
		}
	})))
	defer server.Close()
	send(t, server.Client(), "POST", server.URL)
}

// io.Copy finds the ReadFrom of the writer behind, which sends files by sendfile.
func TestReadFrom(t *testing.T) {
	t.Parallel()
	copied := func(w http.ResponseWriter) (n int64) {
		seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n, _ = io.Copy(w, io.LimitReader(strings.NewReader("file"), 4))
		})).ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		return n
	}
	recorder := httptest.NewRecorder()
	if n := copied(filesOnly{plainWriter{recorder}}); n != 42 {
		t.Errorf("io.Copy did not reach ReadFrom: %d bytes", n)
	}
	if n := copied(plainWriter{recorder}); n != 4 || recorder.Body.String() != "file" {
		t.Errorf("without ReadFrom: %d bytes, %q", n, recorder.Body)
	}
}

// A request that can never be mended costs nothing: its writer is its own.
func TestOtherMethodsAreNotWrapped(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "QUERY", "PROPFIND", "post"} {
		recorder := httptest.NewRecorder()
		seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if w != http.ResponseWriter(recorder) {
				t.Errorf("%s is wrapped", method)
			}
		})).ServeHTTP(recorder, httptest.NewRequest(method, "/", nil))
	}
}

func TestCloseNotify(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "POST", "/", nil)
	seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		gone := w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
		select {
		case <-gone:
			t.Error("gone before the client went")
		default:
		}
		cancel()
		select {
		case <-gone:
		case <-time.After(patience):
			t.Error("not told that the client went")
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

func TestPanicsPass(t *testing.T) {
	t.Parallel()
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("got %v", err)
		}
	}()
	seeother.SeeOther(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
}
