// Package rewrite adds a query parameter to what the POST forms of a page
// submit to, while the page streams through, and touches no other byte.
//
// A page is read as the HTML standard says (section 13.2), but no tree is built:
// only what decides whether a tag makes a form for a browser is kept, such as
// raw text, foreign content, templates and the form that is open. Where that
// would take the whole tree, or where browsers differ, nothing is touched: a
// form without the parameter works as before.
//
// Every change is one insertion into one tag. It is only made when the tokenizer
// of golang.org/x/net/html reads the new tag like the old one, but for the value.
package rewrite

import "io"

// The limit of what is held of one tag; minMaxToken leaves room for its name.
const (
	defaultMaxToken = 1 << 20
	minMaxToken     = 2 * maxName
)

// Options of a Writer.
type Options struct {
	// Origin of the site as the browser knows it: "https://shop.example", in
	// lower case and without a default port.
	Origin string
	// Target is path and query of the document as the browser has it: what an
	// empty action means.
	Target string
	// ContentType of the answer, as it came.
	ContentType string
	// Param returns "name=value" in URL-safe ASCII. It is called once for each
	// action that is changed.
	Param func() string
	// MaxToken is how many bytes of one tag are held at most; 0: 1 MiB. A longer
	// one passes as it is.
	MaxToken int
}

// Writer rewrites what is written to it. Close writes what is still held; a
// Writer that is not needed any more, after an error, may be dropped without.
// It is for one goroutine at a time.
type Writer struct {
	dst    io.Writer
	err    error // of dst
	closed bool
	max    int

	encoding encoding
	scanner  scanner
	tree     tree
	site     site

	out     int    // so much of the piece at hand is in dst or in held
	held    []byte // the beginning of a tag that is not complete
	changed bool
	gaveUp  bool
}

// New makes a Writer that writes to dst.
func New(dst io.Writer, o Options) *Writer {
	w := &Writer{dst: dst, max: o.MaxToken, site: newSite(o), encoding: newEncoding(o.ContentType)}
	if w.max <= 0 {
		w.max = defaultMaxToken
	}
	w.max = max(w.max, minMaxToken)
	return w
}

// Write passes p on. What is complete is written to dst before Write returns:
// only the beginning of a tag that may have to be changed is held.
func (w *Writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, io.ErrClosedPipe
	}
	if w.err == nil {
		w.take(p)
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close writes what is held: the page ends here. It does not close dst.
func (w *Writer) Close() error {
	if !w.closed {
		w.release()
		w.closed, w.held = true, nil
	}
	return w.err
}

// Changed reports whether an action was changed so far.
func (w *Writer) Changed() bool { return w.changed }

// GaveUp reports whether the rest of the page passes as it is: its encoding
// cannot be read byte by byte, a tag that everything after it depends on was too
// long, or browsers read its markup in more than one way.
func (w *Writer) GaveUp() bool { return w.gaveUp }

func (w *Writer) giveUp() {
	w.gaveUp = true
	w.pass()
}

// pass lets the rest of the page through.
func (w *Writer) pass() {
	w.release()
	w.scanner.state = passing
}

// take decides how much of p can be read as ASCII, and reads it.
func (w *Writer) take(p []byte) {
	if w.encoding.open {
		p = w.begin(p)
	}
	for len(p) > 0 && w.scanner.state != passing {
		n := w.encoding.readable(p)
		w.scan(p[:n])
		p = p[n:]
		if len(p) > 0 && w.scanner.state != passing && w.encoding.stops() {
			w.giveUp()
		}
	}
	w.write(p)
}

// begin looks for a byte order mark. One that is not complete is held.
func (w *Writer) begin(p []byte) []byte {
	if len(w.held) > 0 {
		p = append(w.held, p...)
		w.held = nil
	}
	switch w.encoding.begin(p) {
	case unknown:
		w.held = append(w.held, p...)
		return nil
	case unreadable:
		w.giveUp()
	}
	return p
}

func (w *Writer) write(p []byte) {
	if len(p) == 0 || w.err != nil {
		return
	}
	n, err := w.dst.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	w.err = err
}

// release lets what is held pass.
func (w *Writer) release() {
	w.write(w.held)
	w.held = w.held[:0]
}
