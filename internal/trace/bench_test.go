package trace

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkTrace is a whole trace, with a connection of its own, of a form that
// is answered with 302. BenchmarkPlain is the same by an http.Client, with a
// connection of its own too. The difference is what a trace adds.
func BenchmarkTrace(b *testing.B) {
	eachScheme(b, func(b *testing.B, url string, roots *x509.CertPool) {
		for b.Loop() {
			if seen := run(b, Config{URL: url, Body: []byte("a=1"), Roots: roots}); seen.End.Kind != Arrived {
				b.Fatal(seen.End)
			}
		}
	})
}

func BenchmarkPlain(b *testing.B) {
	eachScheme(b, func(b *testing.B, url string, roots *x509.CertPool) {
		for b.Loop() {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
			res, err := client.Post(url, "text/plain", strings.NewReader("a=1"))
			if err != nil {
				b.Fatal(err)
			}
			_ = res.Body.Close()
			client.CloseIdleConnections()
		}
	})
}

func eachScheme(b *testing.B, run func(*testing.B, string, *x509.CertPool)) {
	b.Run("http", func(b *testing.B) { run(b, serve(b, afterForm)+"/form", nil) })
	b.Run("https", func(b *testing.B) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(afterForm))
		s.EnableHTTP2 = true
		s.StartTLS()
		b.Cleanup(s.Close)
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		run(b, s.URL+"/form", roots)
	})
}

func afterForm(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == "/form" {
		redirect(w, 302, "/done")
	}
}
