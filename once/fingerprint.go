package once

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
)

// early is what a request shows before its body: enough to refuse a key that
// is used for something else without reading on.
type early struct {
	sum    []byte
	length int64 // -1: unknown, or not comparable
}

// earlyOf hashes method, target and content type. The boundary of a multipart
// body differs from one sending to the next, so it and the length are left out.
func earlyOf(r *http.Request) early {
	contentType, length := r.Header.Get("Content-Type"), r.ContentLength
	if media, _, ok := boundaryOf(contentType); ok {
		contentType, length = media, -1
	}
	h := sha256.New()
	writeParts(h, r.Method, r.URL.RequestURI(), contentType)
	return early{sum: h.Sum(nil), length: length}
}

// conflicts reports whether two requests cannot be the same submission.
func (e early) conflicts(other early) bool {
	return !bytes.Equal(e.sum, other.sum) || (e.length >= 0 && other.length >= 0 && e.length != other.length)
}

func boundaryOf(contentType string) (media, boundary string, ok bool) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return "", "", false
	}
	boundary = params["boundary"]
	delete(params, "boundary")
	return mime.FormatMediaType(media, params), boundary, true
}

// fingerprint hashes a body as it passes. It is one goroutine's at a time;
// Close must be called.
type fingerprint struct {
	early early
	raw   hash.Hash
	size  int64
	parts *partHasher // nil when the body is not multipart/form-data
}

func newFingerprint(r *http.Request, e early) *fingerprint {
	f := &fingerprint{early: e, raw: sha256.New()}
	if _, boundary, ok := boundaryOf(r.Header.Get("Content-Type")); ok {
		f.parts = newPartHasher(boundary)
	}
	return f
}

func (f *fingerprint) Write(p []byte) (int, error) {
	f.raw.Write(p)
	f.size += int64(len(p))
	if f.parts != nil {
		f.parts.write(p)
	}
	return len(p), nil
}

// sum ends the body and returns its fingerprint.
func (f *fingerprint) sum() []byte {
	kind, digest := "raw", f.raw.Sum(nil)
	if f.parts != nil {
		if parts, ok := f.parts.finish(); ok {
			kind, digest = "parts", parts
		}
	}
	h := sha256.New()
	writeParts(h, string(f.early.sum), kind, string(digest))
	return h.Sum(nil)
}

// Close gives up what sum has not ended.
func (f *fingerprint) Close() {
	if f.parts != nil {
		f.parts.abort()
	}
}

// partHasher hashes the parts of a multipart/form-data body in order, without
// the boundary. mime/multipart wants to pull, and the body is pushed: a
// goroutine and a pipe stand between.
type partHasher struct {
	pipe *io.PipeWriter
	done chan struct{}
	sum  []byte
	err  error
}

var errAborted = errors.New("body did not end")

func newPartHasher(boundary string) *partHasher {
	reader, writer := io.Pipe()
	p := &partHasher{pipe: writer, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.sum, p.err = hashParts(reader, boundary)
		// What follows the last boundary, or a body that is no multipart, is
		// read to its end, so that the writer is never stuck.
		_, _ = io.Copy(io.Discard, reader)
	}()
	return p
}

func (p *partHasher) write(b []byte) { _, _ = p.pipe.Write(b) } // the reader reads to the end, always

func (p *partHasher) finish() ([]byte, bool) {
	_ = p.pipe.Close()
	<-p.done
	return p.sum, p.err == nil
}

func (p *partHasher) abort() {
	_ = p.pipe.CloseWithError(errAborted)
	<-p.done
}

// A part's header is held in memory while it is read, and mime/multipart
// takes 10 MiB of it. A body with a larger one than maxPartHeader is hashed as
// raw bytes; headSlack is what the reader may be ahead of it.
const (
	maxPartHeader = 32 << 10
	headSlack     = 32 << 10
)

var errPartHeader = errors.New("a part's header is too large")

// headBound ends the reading when a part's header goes on for too long. It
// belongs to the goroutine that reads.
type headBound struct {
	io.Reader
	inBody bool
	left   int
}

func (b *headBound) Read(p []byte) (int, error) {
	if !b.inBody && b.left <= 0 {
		return 0, errPartHeader
	}
	n, err := b.Reader.Read(p)
	b.left -= n
	return n, err
}

func hashParts(body io.Reader, boundary string) ([]byte, error) {
	bound := &headBound{Reader: body}
	reader := multipart.NewReader(bound, boundary)
	outer := sha256.New()
	for {
		bound.inBody, bound.left = false, maxPartHeader+headSlack
		part, err := reader.NextRawPart()
		if err == io.EOF { // not errors.Is: a body that is cut short wraps it
			return outer.Sum(nil), nil
		}
		if err != nil {
			return nil, err
		}
		header := partHeader(part)
		if headerSize(header) > maxPartHeader {
			return nil, errPartHeader
		}
		bound.inBody = true
		digest := sha256.New()
		size, err := io.Copy(digest, part)
		if err != nil {
			return nil, err
		}
		writeParts(outer, strconv.Itoa(len(header)))
		writeParts(outer, header...)
		writeParts(outer, strconv.FormatInt(size, 10), string(digest.Sum(nil)))
	}
}

// partHeader is the part's whole header in a fixed order, names and values in
// turn: name, file name and type are in it, and what else changes the meaning
// of the bytes.
func partHeader(part *multipart.Part) []string {
	out := make([]string, 0, 2*len(part.Header))
	for _, name := range slices.Sorted(maps.Keys(part.Header)) {
		for _, value := range part.Header[name] {
			out = append(out, name, value)
		}
	}
	return out
}

func headerSize(header []string) (n int) {
	for _, text := range header {
		n += len(text)
	}
	return n
}
