package gateway

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// unwatched is how much of an answer may be written before a client that takes
// nothing is looked for: as much fits into the kernel's buffers.
const unwatched = 64 << 10

// recorder notes the status that a client gets, and gives up on a client that
// does not take a large answer.
type recorder struct {
	http.ResponseWriter
	body     *clientBody // nil: the request has none
	unread   bool        // it has one, and nobody reads it
	hsts     string      // Strict-Transport-Security; empty: what the app says
	status   int
	patience time.Duration // 0: without end
	written  int64
	deadline time.Time // set last on the connection; zero: none
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) begin(status int) {
	w.status = status
	h := w.Header()
	if _, said := h["Content-Type"]; !said {
		h["Content-Type"] = nil // or net/http guesses one that the app did not mean
	}
	if w.hsts != "" {
		h["Strict-Transport-Security"] = []string{w.hsts}
	}
	if w.unread { // net/http reads the rest of it before it sends the answer
		_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Now().Add(drainTime)) // not supported: no deadline
	}
}

// recorderOf is the recorder behind what the chain has put around it.
func recorderOf(w http.ResponseWriter) *recorder {
	for {
		if rec, ok := w.(*recorder); ok {
			return rec
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return &recorder{ResponseWriter: w}
		}
		w = u.Unwrap()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	if w.written += int64(len(p)); w.written > unwatched && w.patience > 0 {
		w.extend()
	}
	return w.ResponseWriter.Write(p)
}

// extend moves the deadline, though not for every piece. The server lifts it
// when the answer is done.
func (w *recorder) extend() {
	now := time.Now()
	if w.deadline.Sub(now) > w.patience*3/4 {
		return
	}
	w.deadline = now.Add(w.patience)
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(w.deadline) // not supported: no deadline
}

// Hijack implements http.Hijacker: what is answered from now on is not seen.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}
