package seeother

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ScriptHeader is the request header by which a script asks for redirects as
// JSON: "Seeother-Redirect: manual".
const ScriptHeader = "Seeother-Redirect"

// Scripts lets scripts read where they are redirected to. A browser's fetch either
// follows a redirect or hides it ("manual" there gives an opaque answer, Fetch
// standard section 4.4), so a request with "Seeother-Redirect: manual" gets in
// place of a 3xx with a Location
//
//	HTTP/1.1 200 OK
//	Content-Type: application/json
//
//	{"status":303,"location":"/orders/7"}
//
// with the status and the reference that next gave, and with its other headers:
// cookies and what CORS needs among them. What is no redirect stays as it is, 304
// too. Next never sees the header. A script of another origin may send it only
// where next allows it (Access-Control-Allow-Headers), so nobody reads redirects
// whom next does not let.
//
// The answer is never stored. A redirect that a cache stored before, from a request
// without the header, is still what the script gets: one that fetches with GET
// says cache: "no-store".
func Scripts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values, asks := r.Header[ScriptHeader]
		if !asks {
			next.ServeHTTP(w, r)
			return
		}
		out := new(http.Request)
		*out = *r
		out.Header = r.Header.Clone()
		delete(out.Header, ScriptHeader)
		if len(values) == 1 && strings.EqualFold(strings.TrimSpace(values[0]), "manual") {
			w = &scriptWriter{ResponseWriter: w, head: r.Method == http.MethodHead}
		}
		next.ServeHTTP(w, out)
	})
}

// scriptAnswer is what a script gets.
type scriptAnswer struct {
	Status   int    `json:"status"`
	Location string `json:"location"`
}

// scriptWriter writes the JSON at once when the status is a redirect, and then
// drops the body.
type scriptWriter struct {
	http.ResponseWriter
	head  bool
	wrote bool // the status is decided
	told  bool // the JSON is written
}

// Unwrap is for http.ResponseController.
func (w *scriptWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes on what is informational or no redirect.
func (w *scriptWriter) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if informational || w.wrote {
		if !w.told {
			w.ResponseWriter.WriteHeader(status)
		}
		return
	}
	w.wrote = true
	location := w.Header()["Location"]
	if status < 300 || status > 399 || status == http.StatusNotModified || !hasLocation(location) {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.tell(scriptAnswer{Status: status, Location: text(location[0])})
}

// ofTheBody are headers that belong to the body, or to the redirect.
var ofTheBody = []string{
	"Location", "Content-Encoding", "Content-Disposition", "Content-Language", "Content-Range", "Accept-Ranges",
	"Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Etag", "Last-Modified", "Expires", "Trailer",
}

func (w *scriptWriter) tell(answer scriptAnswer) {
	body, err := json.Marshal(answer)
	if err != nil { // strings and numbers always marshal
		w.ResponseWriter.WriteHeader(answer.Status)
		return
	}
	w.told = true
	h := w.Header()
	for _, name := range ofTheBody {
		delete(h, name)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", ScriptHeader)
	w.ResponseWriter.WriteHeader(http.StatusOK)
	if !w.head {
		_, _ = w.ResponseWriter.Write(body) // the client is gone, if anything
	}
}

// text is a Location as JSON can hold it: bytes that are no UTF-8 are encoded.
func text(location string) string {
	location = strings.Trim(location, " \t")
	if !utf8.ValidString(location) {
		return encode(location)
	}
	return location
}

func (w *scriptWriter) Write(p []byte) (int, error) {
	if w.told {
		return len(p), nil
	}
	w.wrote = true
	return w.ResponseWriter.Write(p)
}

// WriteString is io.StringWriter.
func (w *scriptWriter) WriteString(s string) (int, error) {
	if w.told {
		return len(s), nil
	}
	w.wrote = true
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom is io.ReaderFrom: a file goes out by sendfile where it did before.
func (w *scriptWriter) ReadFrom(src io.Reader) (int64, error) {
	if w.told {
		return io.Copy(io.Discard, src)
	}
	w.wrote = true
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, src)
}

// Flush is http.Flusher. Where the one behind cannot, nothing happens.
func (w *scriptWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls first.
func (w *scriptWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil {
		w.wrote = true
	}
	return err
}

// Hijack is http.Hijacker. Where the one behind cannot, it says so.
func (w *scriptWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.wrote = true
	}
	return conn, buffered, err
}
