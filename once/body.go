package once

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
)

var errClientGone = errors.New("the client is gone")

// body is a request's body on its way to the app: read whole, or the beginning
// of one that streams.
type body struct {
	head  []byte
	rest  io.ReadCloser // nil when it was read to its end
	whole bool          // head is all of it
	held  int64
	print *fingerprint // of a body that streams; sum is not taken yet
	sum   []byte       // of a body that was read whole
	file  *os.File     // where the rest was spooled; nil: nowhere
	taken int64        // of what all may spool
}

// readBody reads up to the buffer. An error means that the client went away or
// sent too much; nothing has started then.
// varies are members of a JSON body that are no part of its fingerprint.
func (g *Guard) readBody(r *http.Request, e early, varies []string) (*body, error) {
	b := &body{print: newFingerprint(r, e), rest: r.Body}
	if r.ContentLength > g.cfg.Buffer {
		return b, nil
	}
	most := r.ContentLength
	if most < 0 {
		most = g.cfg.Buffer
	}
	whole, err := b.fill(g, most)
	if err != nil {
		b.close(g)
		return nil, err
	}
	if !whole {
		_, _ = b.print.Write(b.head)
		return b, nil
	}
	_, _ = b.print.Write(steady(b.head, varies))
	b.sum, b.rest, b.whole = b.print.sum(), nil, true
	b.trim(g)
	return b, nil
}

// trim gives back what a whole body did not need.
func (b *body) trim(g *Guard) {
	if need := int64(len(b.head)); b.held > need {
		b.head = bytes.Clone(b.head)
		g.letGo(b.held - need)
		b.held = need
	}
}

// firstRead is how much memory a body has before anything of it came, in bytes.
const firstRead = 4 << 10

// fill reads the body into head, and takes memory as it comes: what a client
// only announces costs nothing. It stops, with the body not whole, when there
// is more than most, or no memory to spare: then the rest streams.
func (b *body) fill(g *Guard, most int64) (whole bool, err error) {
	for {
		if len(b.head) == cap(b.head) && !b.grow(g, most+1) { // one more shows the end
			return false, nil
		}
		n, err := b.rest.Read(b.head[len(b.head):cap(b.head)])
		b.head = b.head[:len(b.head)+n]
		switch {
		case int64(len(b.head)) > most:
			return false, nil
		case err == io.EOF: //nolint:errorlint // Readers return io.EOF itself
			return true, nil
		case err != nil:
			return false, err
		}
	}
}

// grow doubles what head can hold, up to most.
func (b *body) grow(g *Guard, most int64) bool {
	size := min(max(2*int64(cap(b.head)), firstRead), most)
	more := size - b.held
	if more <= 0 || !g.holdBody(more) {
		return false
	}
	b.held = size
	b.head = append(make([]byte, 0, size), b.head...)
	return true
}

// close gives back the memory and ends the hashing. It must be called once.
func (b *body) close(g *Guard) {
	g.letGo(b.held)
	b.held, b.head = 0, nil
	b.print.Close()
	if b.file != nil {
		_ = b.file.Close() // it was only read, and has no name
	}
	g.spooled.Add(-b.taken)
	b.taken = 0
}

// drain hashes what has not come yet, without keeping it.
func (b *body) drain() error {
	if b.rest == nil {
		return nil
	}
	if _, err := io.Copy(b.print, b.rest); err != nil {
		return err
	}
	b.sum, b.rest = b.print.sum(), nil
	return nil
}

// sendable reports whether the body can still be sent to the app.
func (b *body) sendable() bool { return b.whole || b.rest != nil }

// streamed hashes while the app's side reads. A transport may still read when
// the answer is there already, so it has a lock, and Close does not wait.
type streamed struct {
	body   *body
	ended  func(sum []byte) error // told before the reader learns that this was the end
	closed atomic.Bool
	cut    atomic.Bool // the reader got an error instead of the end

	mu   sync.Mutex
	head []byte // hashed already
	err  error
}

func (s *streamed) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed.Load():
		return 0, http.ErrBodyReadAfterClose
	case s.err != nil:
		return 0, s.err
	case len(s.head) > 0:
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	n, err := s.body.rest.Read(p)
	_, _ = s.body.print.Write(p[:n])
	if err == io.EOF {
		if failed := s.ended(s.body.print.sum()); failed != nil {
			err = failed
		}
	}
	if err != nil && err != io.EOF && !s.closed.Load() {
		s.cut.Store(true)
	}
	s.err = err
	return n, err
}

// Close stops the reading: what is not hashed by now stays unknown.
func (s *streamed) Close() error {
	s.closed.Store(true)
	return nil
}

// end waits for a Read under way. unblock makes the client's connection give
// up a Read that would wait for more. It may be called again.
func (s *streamed) end(unblock func()) {
	s.closed.Store(true)
	if !s.mu.TryLock() {
		unblock()
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = http.ErrBodyReadAfterClose
	}
}
