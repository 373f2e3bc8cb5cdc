package once

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seeother/seeother/store/memstore"
)

// nowhere is a client that costs nothing.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}

func benchmark(b *testing.B, key func(n int) string) {
	b.ReportAllocs()
	st := memstore.NewWith(memstore.Options{MaxRecords: 1 << 30, MaxBytes: 1 << 40})
	g := newGuard(b, st, Config{})
	h := g.Handler(Policy{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "/orders/1")
		w.WriteHeader(http.StatusSeeOther)
	}))
	post(h, "replayed", "amount=100")
	n := 0
	for b.Loop() {
		n++
		r := request(key(n), "amount=100", nil)
		h.ServeHTTP(&nowhere{http.Header{}}, r)
	}
}

// BenchmarkUnguarded is a request without a key: what the Guard costs everyone
// else, and the making of the request.
func BenchmarkUnguarded(b *testing.B) { benchmark(b, func(int) string { return "" }) }

// BenchmarkFirst is a new key each time: two writes to memstore.
func BenchmarkFirst(b *testing.B) { benchmark(b, func(n int) string { return fmt.Sprint(n) }) }

// BenchmarkReplay is the same key each time.
func BenchmarkReplay(b *testing.B) { benchmark(b, func(int) string { return "replayed" }) }

// BenchmarkFingerprintForm hashes a form of 1 MiB.
func BenchmarkFingerprintForm(b *testing.B) {
	b.ReportAllocs()
	contentType, body := form("XX", part("f", "x.bin", "", string(make([]byte, 1<<20))))
	b.SetBytes(int64(len(body)))
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Content-Type", contentType)
	text := []byte(body)
	for b.Loop() {
		f := newFingerprint(r, earlyOf(r))
		_, _ = f.Write(text)
		f.sum()
		f.Close()
	}
}
