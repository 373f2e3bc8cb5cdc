package once

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recorder holds the app's answer back until its outcome is durable. An answer
// that is too large to hold, or that never ends, is settled first (open) and
// then passes through.
type recorder struct {
	client http.ResponseWriter
	header http.Header
	limit  int64
	guard  *Guard
	// open settles the run as "answered, body not kept" before the first byte
	// goes to the client. Its error ends the answer.
	open func(status int, header http.Header) error
	// interim is told of interim answers; may be nil.
	interim func(header http.Header)

	status   int
	sent     http.Header // the header as it was at WriteHeader
	body     bytes.Buffer
	held     int64 // bytes taken from the Guard's memory
	passing  bool
	failed   error
	refused  error     // open failed: nothing went to the client
	goneAt   time.Time // when the client was found gone
	hijacked bool
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http, before it is on record
	}
	if w.status != 0 {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if w.interim != nil {
			w.interim(w.header)
		}
		return // an interim answer belongs to a client that may have gone
	}
	w.status = status
	w.sent = w.header.Clone()
	w.sent.Del(GuardHeader) // ours to say
	if media, _, _ := mime.ParseMediaType(w.sent.Get("Content-Type")); media == "text/event-stream" {
		w.pass()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.failed != nil {
		return 0, w.failed
	}
	if !w.passing && !w.keep(int64(len(p))) {
		w.pass()
	}
	if w.failed != nil {
		return 0, w.failed
	}
	if w.passing {
		return w.forward(p)
	}
	return w.body.Write(p)
}

// keep says whether n more bytes can be held.
func (w *recorder) keep(n int64) bool {
	if int64(w.body.Len())+n > w.limit || !w.guard.hold(n) {
		return false
	}
	w.held += n
	return true
}

// forward gives p to the client. One that is gone does not end the answer: the
// app may still be at work, so the rest is read and dropped, for a while.
func (w *recorder) forward(p []byte) (int, error) {
	if w.goneAt.IsZero() {
		if n, err := w.client.Write(p); err == nil {
			return n, nil
		}
		w.goneAt = time.Now()
	}
	if time.Since(w.goneAt) > w.guard.cfg.Linger {
		w.failed = errClientGone
		return 0, w.failed
	}
	return len(p), nil
}

// pass stops holding.
func (w *recorder) pass() {
	w.passing = true
	if !w.opened(w.sent) {
		return
	}
	maps.Copy(w.client.Header(), w.sent)
	w.client.WriteHeader(w.status)
	if w.body.Len() > 0 {
		_, _ = w.forward(w.body.Bytes())
	}
	w.letGo()
}

// opened settles the run before anything goes to the client.
func (w *recorder) opened(header http.Header) bool {
	w.refused = w.open(w.status, header)
	w.failed = w.refused
	return w.refused == nil
}

func (w *recorder) letGo() {
	w.guard.letGo(w.held)
	w.held = 0
	w.body = bytes.Buffer{}
}

// FlushError is for http.ResponseController. What is held stays held.
func (w *recorder) FlushError() error {
	if !w.passing || !w.goneAt.IsZero() || w.failed != nil {
		return nil
	}
	return http.NewResponseController(w.client).Flush()
}

// Flush implements http.Flusher.
func (w *recorder) Flush() { _ = w.FlushError() } // an error shows at the next Write

// Hijack gives the connection away: whatever comes now cannot be held.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.passing {
		w.passing = true
		if w.status == 0 {
			w.status = http.StatusSwitchingProtocols
		}
		if !w.opened(w.header) {
			return nil, nil, w.failed
		}
	}
	w.hijacked = true
	return http.NewResponseController(w.client).Hijack()
}

// finish completes the picture when the handler is done.
func (w *recorder) finish() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.passing && !w.hijacked {
		for name, values := range w.trailer() {
			w.client.Header()[http.TrailerPrefix+name] = values
		}
	}
}

// trailer is what the handler set after the header was written.
func (w *recorder) trailer() http.Header {
	var out http.Header
	add := func(name string, values []string) {
		if out == nil {
			out = make(http.Header)
		}
		if name = http.CanonicalHeaderKey(name); name != OutcomeHeader && name != GuardHeader { // ours to say
			out[name] = slices.Clone(values)
		}
	}
	for _, line := range w.sent.Values("Trailer") {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if values := w.header[name]; len(values) > 0 {
				add(name, values)
			}
		}
	}
	for name, values := range w.header {
		if rest, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			add(rest, values)
		}
	}
	return out
}

// result is the held answer as it is recorded.
func (w *recorder) result(p Policy, who Principal, replay bool) (result, []byte) {
	res := result{Status: w.status, Replay: replay}
	if !replay {
		return res, nil
	}
	res.Header = p.kept(w.sent)
	res.Trailer = p.kept(w.trailer())
	res.BodyKept = true
	if who.known() {
		res.Cookies = slices.Clone(w.sent.Values("Set-Cookie"))
	}
	return res, w.body.Bytes()
}

// deliver sends the held answer to the client that started it.
func (w *recorder) deliver() {
	h := w.client.Header()
	maps.Copy(h, w.sent)
	send(w.client, w.status, w.trailer(), w.body.Bytes())
}

// send writes an answer whose header is set already. The length is said, so
// that the first answer and its repetitions look alike.
func send(w http.ResponseWriter, status int, trailer http.Header, body []byte) {
	h := w.Header()
	switch {
	case status == http.StatusNoContent || status == http.StatusNotModified || status < 200:
		body = nil
	case len(trailer) > 0:
		h.Del("Content-Length")
	default:
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	for name, values := range trailer { // before the header, or net/http sends a short body with its length and without them
		h[http.TrailerPrefix+name] = values
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone comes again with its key
}
