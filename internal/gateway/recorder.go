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
