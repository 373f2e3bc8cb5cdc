package differential

import (
	"fmt"
	"net/http"
	"strings"
)

// Request is one request as it goes over the wire.
type Request struct {
	Scheme string // "http" or "https"
	Method string
	Target string // path and query, byte for byte
	Host   string // the Host field, as it is
	Header []Field
}

// Field is a header field.
type Field struct{ Name, Value string }

// String is the request for people.
func (r *Request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s://%s %q", r.Method, r.Scheme, r.Host, r.Target)
	for _, f := range r.Header {
		fmt.Fprintf(&b, " %s: %q", f.Name, f.Value)
	}
	return b.String()
}

// Path is the target up to its query.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.Target, "?")
	return path
}

// Query is what follows the question mark.
func (r *Request) Query() string {
	_, query, _ := strings.Cut(r.Target, "?")
	return query
}

func (r *Request) header() http.Header {
	h := make(http.Header, len(r.Header))
	for _, f := range r.Header {
		h.Add(f.Name, f.Value)
	}
	return h
}

// append writes the request in the form of HTTP/1.1.
func (r *Request) append(b []byte) []byte {
	b = fmt.Appendf(b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.Target, r.Host)
	for _, f := range r.Header {
		b = fmt.Appendf(b, "%s: %s\r\n", f.Name, f.Value)
	}
	if r.Method == "POST" || r.Method == "PUT" {
		b = append(b, "Content-Length: 0\r\n"...)
	}
	return append(b, "\r\n"...)
}

// Answer is what there is to compare. The zero Answer is no redirect: 200,
// 403, 404 and 400 are all the same here.
type Answer struct {
	Status   int
	Location string // as it was sent
}

// String is the answer for people.
func (a Answer) String() string {
	if a.Status == 0 {
		return "no redirect"
	}
	return fmt.Sprintf("%d %q", a.Status, a.Location)
}

// answerOf keeps what is a redirect, or 410.
func answerOf(status int, location string) Answer {
	switch status {
	case 301, 302, 303, 307, 308:
		if location != "" {
			return Answer{status, location}
		}
	case 410:
		return Answer{Status: 410}
	}
	return Answer{}
}
