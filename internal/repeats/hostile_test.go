package repeats

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"testing"
)

// hostileLog is a log that is made while it is read, of lines that nobody's visitors
// would send.
type hostileLog struct {
	size int64
	line func(b []byte, n int64) []byte
	n    int64
	left bytes.Buffer
}

func (h *hostileLog) Read(b []byte) (int, error) {
	for h.left.Len() < len(b) && h.size > 0 {
		line := h.line(h.left.AvailableBuffer(), h.n)
		h.n++
		h.size -= int64(len(line))
		h.left.Write(line)
	}
	return h.left.Read(b)
}

func hostileLine(b []byte, ms, client int64, target string) []byte {
	return fmt.Appendf(b, `{"msec":%d.%03d,"remote_addr":"10.%d.%d.%d","http_user_agent":"Mozilla/5.0","request":"POST /%s HTTP/1.1","status":200}`+"\n",
		began+ms/1000, ms%1000, client>>16&255, client>>8&255, client&255, target)
}

var longTail = strings.Repeat("/a-path-that-is-as-long-as-it-gets", 14)

var hostileLogs = map[string]func(b []byte, n int64) []byte{
	"each line another client at another path": func(b []byte, n int64) []byte { return hostileLine(b, n/100_000, n, fmt.Sprint("x", n, longTail)) },
	"one client, each line another path":       func(b []byte, n int64) []byte { return hostileLine(b, n/1000, 1, fmt.Sprint("x", n, longTail)) },
	"one client, the same for ever":            func(b []byte, n int64) []byte { return hostileLine(b, n/1000, 1, "a") },
	// 25,000 clients send twice to a path of their own, and to another one in the next window.
	"pairs at long paths": func(b []byte, n int64) []byte {
		return hostileLine(b, n/2, n%25_000, fmt.Sprint("x", n%25_000, "-", n/50_000, longTail))
	},
	// 10,000 routes, on each of which the gap is another one each time.
	"gaps of all lengths": func(b []byte, n int64) []byte {
		round, pair, route := n/20_000, n/10_000%2, n%10_000
		return hostileLine(b, round*100_000+pair*(1+round*10), route, fmt.Sprintf("%c%c%c%c%s", 'a'+route/1000, 'a'+route/100%10, 'a'+route/10%10, 'a'+route%10, longTail))
	},
}

// BenchmarkHostile reads logs that are made to fill memory: -size bytes of each. Run
// one at a time: the memory is that of the whole process.
func BenchmarkHostile(b *testing.B) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(192 << 20))
	for name, line := range hostileLogs {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(*logSize)
			before, _ := used()
			for b.Loop() {
				r, err := Read(context.Background(), []File{Stream("-", &hostileLog{size: *logSize, line: line})}, Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.Summary.Requests), "requests")
			}
			reportUse(b, before)
		})
	}
}

// What such logs do is told, and nothing of it is taken for a person.
func TestHostileLogsAreRead(t *testing.T) {
	t.Parallel()
	for name, line := range hostileLogs {
		h := &hostileLog{size: 4 << 20, line: line}
		r := mustRead(t, Options{Limits: Limits{Clients: 500, Requests: 1000, Routes: 20}}, File{"-", func() (io.ReadCloser, error) {
			return io.NopCloser(&hostileLog{size: h.size, line: h.line}), nil
		}})
		if r.Summary.Malformed > 0 || r.Summary.Requests < 1000 || len(r.Repeats) > 20 {
			t.Errorf("%s: %d groups, %+v", name, len(r.Repeats), r.Summary)
		}
	}
}
