package rule

import (
	"net/http"
	"strconv"

	"github.com/seeother/seeother"
)

// AppendResponse appends the whole answer as HTTP/1.1 has it on the wire (RFC
// 9112), but for Date and Connection, which are the server's. It is what
// Middleware sends, except that 410 has no body. The error is that of
// AppendLocation. A rule that passes, or that counts only where the app has
// nothing, has no answer of its own, and nothing is appended.
func (m *Match) AppendResponse(dst []byte, stage seeother.Stage) ([]byte, error) {
	a := m.attrs()
	status := m.Status(stage)
	if status == 0 || a.proto.Missing {
		return dst, nil
	}
	start := len(dst)
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(append(dst, ' '), http.StatusText(status)...)
	if status != http.StatusGone {
		var err error
		dst = append(dst, "\r\nLocation: "...)
		if dst, err = m.AppendLocation(dst); err != nil {
			return dst[:start], err
		}
	}
	dst = append(append(dst, "\r\nCache-Control: "...), m.CacheControl(stage)...)
	h := http.Header{}
	(&answer{vary: m.vary, announce: &a.proto}).mark(h)
	for _, name := range [...]string{"Vary", "Deprecation", "Sunset"} {
		for _, value := range h[name] {
			dst = append(append(append(append(dst, "\r\n"...), name...), ": "...), value...)
		}
	}
	return append(dst, "\r\nContent-Length: 0\r\n\r\n"...), nil
}
