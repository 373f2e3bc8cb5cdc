package seeother_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seeother/seeother"
)

// sink is a ResponseWriter that costs nothing. It can flush and hijack, as
// that of net/http can.
type sink struct {
	http.Hijacker
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Flush()                      {}

func BenchmarkSeeOther(b *testing.B) {
	body := []byte("ok")
	answer := func(status int, location []string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if location != nil {
				w.Header()["Location"] = location
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		})
	}
	observed := seeother.Policy{Observe: func(context.Context, seeother.Decision) {}}
	path, absolute := []string{"/users"}, []string{"http://example.com/users"}
	for _, bench := range []struct {
		name, method string
		handler      http.Handler
		with         func(http.Handler) http.Handler
		want         int
	}{
		{"GET 200", "GET", answer(200, nil), seeother.SeeOther, 200},
		{"POST 200", "POST", answer(200, nil), seeother.SeeOther, 200},
		{"POST 302", "POST", answer(302, path), seeother.SeeOther, 303},
		{"POST 302 observed", "POST", answer(302, path), observed.Handler, 303},
		{"DELETE 302 absolute", "DELETE", answer(302, absolute), seeother.SeeOther, 303},
		{"POST 302 report", "POST", answer(302, path), seeother.Policy{Stage: seeother.Report}.Handler, 302},
		{"POST 302 canary", "POST", answer(302, path), seeother.Policy{Stage: seeother.Canary(5)}.Handler, 302},
	} {
		b.Run(bench.name+"/handler alone", func(b *testing.B) { serve(b, bench.handler, bench.method, 0) })
		b.Run(bench.name+"/with SeeOther", func(b *testing.B) { serve(b, bench.with(bench.handler), bench.method, bench.want) })
	}
}

func serve(b *testing.B, handler http.Handler, method string, want int) {
	b.ReportAllocs()
	w := &sink{header: make(http.Header)}
	r := httptest.NewRequest(method, "/users/123?q=1", nil)
	for b.Loop() {
		handler.ServeHTTP(w, r)
	}
	if want != 0 && w.status != want {
		b.Fatalf("answered %d, want %d", w.status, want)
	}
}

func BenchmarkParseTarget(b *testing.B) {
	base := httptest.NewRequest("POST", "/dir/page", nil).URL
	for name, target := range map[string]string{"path": "/orders/7", "query": "?q=1", "origin": "https://shop.example/x?y"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := seeother.ParseTarget(target, base, "https://shop.example"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The promise about allocations is held here; the one about time is for
// benchmarks alone.
func TestSeeOtherAllocatesTwiceAtMost(t *testing.T) {
	for name, c := range map[string]struct {
		location []string
		most     float64
	}{
		"no redirect": {nil, 1}, "a path": {[]string{"/users"}, 2}, "an absolute target": {[]string{"http://example.com/users"}, 2},
	} {
		handler := seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Location"] = c.location
			w.WriteHeader(http.StatusFound)
		}))
		w, r := &sink{header: make(http.Header)}, httptest.NewRequest(http.MethodDelete, "/users/123", nil)
		if got := testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) }); got > c.most {
			t.Errorf("%s: %v allocations, want at most %v", name, got, c.most)
		}
	}
}
