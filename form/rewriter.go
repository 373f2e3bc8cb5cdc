package form

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/seeother/seeother/form/internal/rewrite"
)

// rewriter puts tokens into the forms of an answer. It holds the beginning back
// until it is known whether there is a form in it: what has none comes out byte
// for byte the same, its header too. What is flushed, or longer than is held, is
// taken for a page with a form.
type rewriter struct {
	http.ResponseWriter
	forms *Forms
	visit *visit
	head  bool // the request is HEAD

	state  rewriteState
	status int
	raw    bytes.Buffer    // what the app sent, while it is held
	out    bytes.Buffer    // and what it becomes
	html   *rewrite.Writer // from here on: what rewrites
	unzip  *push           // in front of html; nil: the app's answer is plain
	zip    *gzip.Writer    // behind html; nil: so is ours
	failed error
}

type rewriteState uint8

const (
	undecided rewriteState = iota // no header yet
	holding
	rewriting
	passing // not ours
)

// Unwrap is for http.ResponseController.
func (w *rewriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *rewriter) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.state != undecided {
		return
	}
	w.status = status
	switch {
	case !w.takes(status):
		w.state = passing
		w.ResponseWriter.WriteHeader(status)
	case w.head:
		w.state = passing
		w.commitHeader()
	default:
		w.state = holding
		w.begin()
	}
}

// takes says whether an answer is a page that can be rewritten.
func (w *rewriter) takes(status int) bool {
	switch {
	case status < 200 || status >= 300 && status < 400 || status == http.StatusNoContent ||
		status == http.StatusResetContent || status == http.StatusPartialContent:
		return false
	}
	h := w.Header()
	encoded := strings.Join(h.Values("Content-Encoding"), ",")
	return isSaidOnce(h["Content-Type"]) && (encoded == "" || isGzip(encoded) || strings.EqualFold(encoded, "identity")) &&
		!hasDirective(h, "no-transform") && !isAttachment(h) && rewrite.Rewritable(h.Get("Content-Type"))
}

// isSaidOnce reports whether an answer has one type. Of several, not all browsers take
// the same, and the encoding is that of one.
func isSaidOnce(types []string) bool {
	return len(types) == 1 && len(directives(types[0])) == 1
}

func isGzip(encoding string) bool {
	return strings.EqualFold(encoding, "gzip") || strings.EqualFold(encoding, "x-gzip")
}

func isAttachment(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Disposition"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "attachment")
}

func hasDirective(h http.Header, name string) bool {
	for _, line := range h.Values("Cache-Control") {
		for _, d := range directives(line) {
			if strings.EqualFold(d, name) {
				return true
			}
		}
	}
	return false
}

// begin sets up what an answer goes through.
func (w *rewriter) begin() {
	v, h := w.visit, w.Header()
	nonce := v.nonceAfter(h)
	if nonce == "" {
		nonce = newNonce()
		v.nonce = nonce
	}
	zipped := isGzip(h.Get("Content-Encoding"))
	var sink io.Writer = (*sink)(w)
	if zipped && v.gzip {
		w.zip = gzip.NewWriter(sink)
		sink = w.zip
	}
	w.html = rewrite.New(sink, rewrite.Options{
		Origin: v.origin, Target: v.target, ContentType: h.Get("Content-Type"),
		Param: func() string { return tokenParam + "=" + w.forms.tokenFor(v, nonce) },
	})
	if zipped {
		w.unzip = newPush(w.inflate)
	}
}

// inflate is the work of unzip.
func (w *rewriter) inflate(r io.Reader) error {
	from := bufio.NewReader(r) // one that gzip reads no further from than it must
	in, err := gzip.NewReader(from)
	for err == nil {
		in.Multistream(false)
		if _, err = io.Copy(struct{ io.Writer }{w.html}, in); err != nil { //nolint:gosec // it streams: nothing grows with it
			return err
		}
		if in.Reset(from) != nil { // the end, or what is no gzip: browsers leave that alone
			return nil
		}
	}
	return err
}

// sink takes what was rewritten.
type sink rewriter

func (s *sink) Write(p []byte) (int, error) {
	w := (*rewriter)(s)
	switch w.state {
	case holding:
		_, _ = w.out.Write(p)               // never fails
		if w.out.Len() > w.forms.cfg.Hold { // a little gzip may become much
			w.failed = w.commit()
		}
		return len(p), w.failed
	case passing: // given up: the app's own bytes go out
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

func (w *rewriter) Write(p []byte) (int, error) {
	if w.state == undecided {
		sniff(w.Header(), p)
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.failed != nil:
		return 0, w.failed
	case w.state == passing && w.head:
		return len(p), nil
	case w.state == passing:
		return w.ResponseWriter.Write(p)
	case w.state == holding:
		w.raw.Write(p)
	}
	if err := w.feed(p); err != nil {
		return 0, err
	}
	if w.state == holding && (w.html.Changed() || w.raw.Len() > w.forms.cfg.Hold) {
		w.failed = w.commit()
	}
	return len(p), w.failed
}

// sniff says what an answer is where its handler has not, as net/http does.
func sniff(h http.Header, p []byte) {
	if _, said := h["Content-Type"]; !said && h.Get("Content-Encoding") == "" {
		h.Set("Content-Type", http.DetectContentType(p))
	}
}

// feed gives p to what rewrites. An answer that cannot be read, such as broken
// gzip, passes as it is while that is possible.
func (w *rewriter) feed(p []byte) error {
	var err error
	if w.unzip != nil {
		_, err = w.unzip.Write(p)
	} else {
		_, err = w.html.Write(p)
	}
	if err == nil {
		return nil
	}
	if w.state == holding {
		w.failed = w.giveUp()
		return w.failed
	}
	w.failed = err
	return err
}

// giveUp sends what was held as the app sent it, and from here on the rest.
func (w *rewriter) giveUp() error {
	w.state = passing
	w.ResponseWriter.WriteHeader(w.status)
	_, err := w.ResponseWriter.Write(w.raw.Bytes())
	w.raw, w.out = bytes.Buffer{}, bytes.Buffer{}
	return err
}

// commit sends the header of a page that is, or may be, rewritten, and what was
// held.
func (w *rewriter) commit() error {
	w.commitHeader()
	w.state = rewriting
	_, err := w.ResponseWriter.Write(w.out.Bytes())
	w.raw, w.out = bytes.Buffer{}, bytes.Buffer{}
	return err
}

func (w *rewriter) commitHeader() {
	h := w.Header()
	makePrivate(h)
	if w.zip == nil && !w.head && isGzip(h.Get("Content-Encoding")) {
		h.Del("Content-Encoding")
	}
	w.introduce()
	w.ResponseWriter.WriteHeader(w.status)
}

// introduce gives the browser the nonce that the tokens are for, where it has
// another one or none.
func (w *rewriter) introduce() {
	v, h := w.visit, w.Header()
	if w.head || given(h, v.secure) != "" || v.nonce == v.had {
		return
	}
	giveNonce(h, v.nonce, v.secure)
}

// FlushError is for http.ResponseController.
func (w *rewriter) FlushError() error {
	if w.state == undecided {
		w.WriteHeader(http.StatusOK)
	}
	if w.failed != nil {
		return w.failed
	}
	if w.state == holding {
		if w.failed = w.commit(); w.failed != nil {
			return w.failed
		}
	}
	if w.zip != nil && w.state == rewriting {
		if err := w.zip.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *rewriter) Flush() { _ = w.FlushError() } // an error shows at the next Write

// Hijack gives the connection away.
func (w *rewriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.state = passing
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// end finishes an answer; whole is false where the handler has panicked, so that
// nothing may look like an end.
func (w *rewriter) end(whole bool) {
	if w.html == nil {
		return
	}
	defer w.endTrailer()
	var err error
	if w.unzip != nil {
		err = w.unzip.Close()
	}
	if closed := w.html.Close(); err == nil {
		err = closed
	}
	switch {
	case !whole || w.failed != nil || w.state == passing:
		return
	case w.state == holding && (err != nil || !w.html.Changed()):
		_ = w.giveUp() // the client is gone, if anything
		return
	case err != nil: // a page that is cut short must not look whole
		panic(http.ErrAbortHandler)
	}
	if w.zip != nil {
		_ = w.zip.Close() // as above
	}
	if w.state == holding {
		_ = w.commit() // as above
	}
}

// endTrailer takes off what comes behind a page and names the app's bytes, where they
// are not what went out.
func (w *rewriter) endTrailer() {
	if w.state != rewriting {
		return
	}
	h := w.Header()
	for name := range h {
		if isOfBytes(strings.TrimPrefix(name, http.TrailerPrefix)) {
			delete(h, name)
		}
	}
}
