package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seeother/seeother/internal/problem"
)

// bodyError is a fault of the client's while it sent its body; no word about
// the app.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "request body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// takeBody prepares a request with a body, and answers one that is over the
// limit. The answer may begin before the body has ended. The caller must end
// the body.
func (g *Gateway) takeBody(w http.ResponseWriter, r *http.Request, limit int64) (*clientBody, bool) {
	if limit > 0 && r.ContentLength > limit {
		w.Header().Set("Connection", "close")
		problem.Write(w, r, bodyTooLarge.details())
		return nil, false
	}
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // HTTP/2 has it anyway
	body := &clientBody{ReadCloser: r.Body, writer: w, control: control, patience: g.cfg.Timeouts.ClientRead, limit: limit}
	r.Body = body
	return body, true
}

// clientBody marks errors as the client's, keeps to a limit, and gives up on a
// client that stops in the middle. It may be read, though by one at a time,
// after the request was answered: a transport does that.
type clientBody struct {
	io.ReadCloser
	writer   http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // 0: without end
	limit    int64         // 0: none

	reading sync.Mutex // held by Read; taken before mu
	taken   int64
	err     error // of the last Read

	mu       sync.Mutex // held while the connection's deadline is set, never while something is read
	deadline time.Time  // set last on the connection
	whole    bool       // read to its end
	failure  error      // why it was not
	ended    bool       // the connection is the server's again
}

func (b *clientBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	if !b.begin() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	if b.taken += int64(n); b.limit > 0 && b.taken > b.limit {
		n -= int(b.taken - b.limit)
		err = &http.MaxBytesError{Limit: b.limit}
	}
	if err != nil {
		b.err = b.finish(err)
	}
	return n, b.err
}

// begin moves the deadline, though not for every piece.
func (b *clientBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || b.patience == 0 {
		return !b.ended
	}
	if now := time.Now(); b.deadline.Sub(now) <= b.patience*3/4 {
		b.deadline = now.Add(b.patience)
		_ = b.control.SetReadDeadline(b.deadline) // not supported: no deadline
	}
	return true
}

// finish notes how the body ended. The server lifts the deadline itself, since
// from here on it reads in the background, to see the client go.
func (b *clientBody) finish(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole = err == io.EOF //nolint:errorlint // Readers return io.EOF itself
	if b.whole {
		return err
	}
	b.failure = &bodyError{err}
	return b.failure
}

// failed returns what went wrong with the body. When the connection fails, the
// server cancels the request before the Read that saw it has returned, so gone
// says to wait for that one.
func (b *clientBody) failed(gone bool) error {
	if gone {
		b.reading.Lock()
		defer b.reading.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
}

// end must be called when the request is answered. Of a body that was not read
// to its end, the rest may come later, and the server would take it for the
// next request: so the connection ends with this one.
func (b *clientBody) end() {
	b.mu.Lock()
	b.ended = true
	whole := b.whole
	if !whole {
		_ = b.control.SetReadDeadline(time.Unix(1, 0)) // whoever still reads ends at once
	}
	b.mu.Unlock()
	if whole {
		return
	}
	b.reading.Lock() // the server lifts the deadline when it finds somebody reading
	defer b.reading.Unlock()
	closeAfter(b.writer)
}

// closeAfter makes the server close the connection once the answer is sent. A
// header says that only as long as none was sent; what net/http does about a
// body over a limit it does at any time.
func closeAfter(w http.ResponseWriter) {
	over := http.MaxBytesReader(innermost(w), io.NopCloser(strings.NewReader("..")), 1)
	_, _ = io.ReadAll(over)
}

// innermost is the server's own writer.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}
