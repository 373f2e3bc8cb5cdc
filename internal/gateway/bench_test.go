package gateway

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// canned is an app without a network, so that what is counted is the proxy's.
type canned struct{}

func (canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: 11,
		Header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {"11"}, "Server": {"app"}},
		Body:   io.NopCloser(strings.NewReader(`{"ok":true}`)),
	}, nil
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkChain is the cost of the chain without listener and connection,
// beside httputil.ReverseProxy as its documentation shows it.
func BenchmarkChain(b *testing.B) {
	u := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	g, err := New(Config{Upstream: u, Metrics: &nobody{}}, nil, []Route{{Path: "/admin/*"}, {}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range g.chain.Load().links {
		g.chain.Load().links[i].handler = g.seeOther(Route{}).Handler(proxyTo(g, canned{}))
	}
	for name, handler := range map[string]http.Handler{"gateway": g, "httputil": plainProxy(u, canned{})} {
		for _, method := range []string{"GET", "POST"} {
			b.Run(name+" "+method, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r, _ := http.NewRequestWithContext(b.Context(), method, "/a/b?c=d", nil)
					r.RequestURI, r.RemoteAddr = "/a/b?c=d", "127.0.0.1:5"
					r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}, "Cookie": {"a=b"}}
					handler.ServeHTTP(discard{make(http.Header, 8)}, r)
				}
			})
		}
	}
}

// BenchmarkRoundTrip is one request from client to app and back over loopback.
func BenchmarkRoundTrip(b *testing.B) {
	upstream := app(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	u, _ := url.Parse(upstream)
	plain := &http.Server{Handler: plainProxy(u, &http.Transport{MaxIdleConnsPerHost: 512})}
	defer plain.Close()
	for name, addr := range map[string]string{
		"gateway":  newSite(b, upstream, options{routes: []Route{{}}, config: func(c *Config) { c.Metrics = &nobody{} }}).addr,
		"httputil": serve(b, plain),
	} {
		for _, body := range []string{"", `{"amount":100}`} {
			b.Run(name+" "+map[bool]string{true: "GET", false: "POST"}[body == ""], func(b *testing.B) { roundTrips(b, addr, body) })
		}
	}
}

func roundTrips(b *testing.B, addr, body string) {
	b.ReportAllocs()
	for b.Loop() {
		method, reader := "GET", io.Reader(nil)
		if body != "" {
			method, reader = "POST", strings.NewReader(body)
		}
		req, _ := http.NewRequestWithContext(b.Context(), method, "http://"+addr+"/", reader)
		res, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

func plainProxy(u *url.URL, transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{Transport: transport, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(u)
		p.Out.Host = p.In.Host
		p.SetXForwarded()
	}}
}

func proxyTo(g *Gateway, transport http.RoundTripper) *httputil.ReverseProxy {
	p := g.proxy(false, false).(*httputil.ReverseProxy)
	p.Transport = transport
	return p
}
