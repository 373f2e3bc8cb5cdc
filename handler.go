package seeother

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// SeeOther mends what next answers: a 302 with a Location that answers a POST,
// PUT, PATCH or DELETE becomes 303, with all headers as they were. It is
// Policy{}.Handler(next).
func SeeOther(next http.Handler) http.Handler { return Policy{}.Handler(next) }

// Handler mends what next answers, as p says; see [Policy.Decide]. Requests
// whose answers can never change go to next with their own ResponseWriter. The
// others get one that streams, flushes, hijacks, sends files and trailers as
// the one behind it does, and that http.ResponseController sees through.
func (p Policy) Handler(next http.Handler) http.Handler {
	if p.Stage == Off {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !submits(r.Method) {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(wrap(w, r, &p), r)
	})
}

// responseWriter looks at the one status that ends up on the wire.
type responseWriter struct {
	http.ResponseWriter
	policy  *Policy
	request *http.Request
	wrote   bool // the status is decided

	// As the request came: handlers may change theirs.
	method, path, rawPath string
}

// wrap shows a handler http.Flusher and http.Hijacker only where w has them:
// handlers ask by type assertion and act on the answer. The types hold one
// pointer, so that showing them allocates nothing.
func wrap(w http.ResponseWriter, r *http.Request, p *Policy) http.ResponseWriter {
	rw := &responseWriter{
		ResponseWriter: w, policy: p, request: r,
		method: r.Method, path: r.URL.Path, rawPath: r.URL.RawPath,
	}
	_, flushes := w.(http.Flusher)
	_, hijacks := w.(http.Hijacker)
	switch {
	case flushes && hijacks:
		return flushHijackWriter{rw}
	case flushes:
		return flushWriter{rw}
	case hijacks:
		return hijackWriter{rw}
	}
	return rw
}

type (
	flushWriter       struct{ *responseWriter }
	hijackWriter      struct{ *responseWriter }
	flushHijackWriter struct{ *responseWriter }
)

// Flush and Hijack are http.Flusher and http.Hijacker.
func (w flushWriter) Flush()                                             { _ = w.FlushError() } // Flush has no way to tell
func (w flushHijackWriter) Flush()                                       { _ = w.FlushError() } // likewise
func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error)      { return w.hijack() }
func (w flushHijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes informational answers on and decides about the first
// final one.
func (w *responseWriter) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if !informational && !w.wrote {
		w.wrote = true
		if w.policy.mends(w.method, status) && hasLocation(w.Header()["Location"]) {
			status = w.mend(status)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// mend acts on the policy's decision and returns the status to send.
func (w *responseWriter) mend(status int) int {
	p, h := w.policy, w.Header()
	a := Answer{
		Method: w.method, Status: status, Location: h["Location"],
		Path: (&url.URL{Path: w.path, RawPath: w.rawPath}).EscapedPath(),
	}
	var scheme, host string
	if location := a.Location[0]; !strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") {
		scheme, host = p.origin(w.request)
	}
	if p.Stage.IsCanary() {
		a.Client = p.client(w.request)
	}
	d, found := p.decide(a, scheme, host)
	if !found {
		return status
	}
	if p.Observe != nil {
		d.Time = time.Now()
		p.Observe(w.request.Context(), d)
	}
	if !d.Applied {
		return status
	}
	if p.Stage.IsCanary() {
		h.Set("Cache-Control", "private, no-store")
	}
	if p.ServerTiming {
		h.Add("Server-Timing", serverTiming(d))
	}
	return d.After
}

// Write, WriteString, ReadFrom and FlushError send 200 when no status was set.

func (w *responseWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// WriteString is io.StringWriter.
func (w *responseWriter) WriteString(s string) (int, error) {
	w.wrote = true
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom is io.ReaderFrom: a file goes out by sendfile where it did before.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	w.wrote = true
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, src)
}

// FlushError is what http.ResponseController calls first.
func (w *responseWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil {
		w.wrote = true
	}
	return err
}

func (w *responseWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.wrote = true
	}
	return conn, buffered, err
}

// CloseNotify keeps frameworks going that assert the deprecated
// http.CloseNotifier without asking whether it is there.
func (w *responseWriter) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(w.request.Context(), func() { gone <- true })
	return gone
}
