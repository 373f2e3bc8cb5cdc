package form

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// watcher shows the one final status of an answer, while its header can still be
// changed, and may put another in its place. What streams, flushes or is hijacked
// behind it goes on doing so.
type watcher struct {
	http.ResponseWriter
	// look gets the status, and what the body begins with where that is known.
	look  func(status int, first []byte) int
	hides string // a header that no informational answer may show; empty: none
	wrote bool   // look was called, or the connection is the handler's
}

// watch returns what a handler writes to: it shows http.Flusher and http.Hijacker
// only where the one behind has them, since handlers ask by type assertion. After
// the handler call done.
func (w *watcher) watch() http.ResponseWriter {
	_, flushes := w.ResponseWriter.(http.Flusher)
	_, hijacks := w.ResponseWriter.(http.Hijacker)
	switch {
	case flushes && hijacks:
		return flushHijackWatcher{w}
	case flushes:
		return flushWatcher{w}
	case hijacks:
		return hijackWatcher{w}
	}
	return w
}

type (
	flushWatcher       struct{ *watcher }
	hijackWatcher      struct{ *watcher }
	flushHijackWatcher struct{ *watcher }
)

// Flush and Hijack are http.Flusher and http.Hijacker.
func (w flushWatcher) Flush()                                             { _ = w.FlushError() } // Flush has no way to tell
func (w flushHijackWatcher) Flush()                                       { _ = w.FlushError() } // likewise
func (w hijackWatcher) Hijack() (net.Conn, *bufio.ReadWriter, error)      { return w.hijack() }
func (w flushHijackWatcher) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

// Unwrap is for http.ResponseController.
func (w *watcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes informational answers on, and shows the first final one.
func (w *watcher) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.inform(status)
		return
	}
	w.ResponseWriter.WriteHeader(w.final(status, nil))
}

func (w *watcher) inform(status int) {
	h := w.Header()
	held, found := h[w.hides]
	delete(h, w.hides)
	w.ResponseWriter.WriteHeader(status)
	if found {
		h[w.hides] = held
	}
}

// final is the status to send in place of one.
func (w *watcher) final(status int, first []byte) int {
	if w.wrote {
		return status
	}
	w.wrote = true
	return w.look(status, first)
}

// begin is for what writes a body without a status: that is 200.
func (w *watcher) begin(first []byte) {
	if w.wrote {
		return
	}
	if status := w.final(http.StatusOK, first); status != http.StatusOK {
		w.ResponseWriter.WriteHeader(status)
	}
}

// done shows the status of a handler that wrote nothing at all.
func (w *watcher) done() { w.begin(nil) }

func (w *watcher) Write(p []byte) (int, error) {
	w.begin(p)
	return w.ResponseWriter.Write(p)
}

// sniffed is how much of a body tells its type (the MIME Sniffing standard, as
// http.DetectContentType has it).
const sniffed = 512

// WriteString is io.StringWriter.
func (w *watcher) WriteString(s string) (int, error) {
	w.begin([]byte(s[:min(len(s), sniffed)]))
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom is io.ReaderFrom: a file goes out by sendfile where it did before.
func (w *watcher) ReadFrom(src io.Reader) (int64, error) {
	w.begin(nil)
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, src)
}

// FlushError is what http.ResponseController calls first.
func (w *watcher) FlushError() error {
	w.begin(nil)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *watcher) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.wrote = true
	}
	return conn, buffered, err
}
