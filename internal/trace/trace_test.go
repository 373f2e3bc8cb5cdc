package trace

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// serve is the URL of a server that ends with the test.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// run is a trace that no test waits long for.
func run(t testing.TB, c Config) *Trace {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	seen, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func redirect(w http.ResponseWriter, status int, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(status)
}

func hasNote(h *Hop, id string) bool {
	return slices.ContainsFunc(h.Notes, func(n Note) bool { return n.ID == id })
}

// A form that is answered with 302, and what becomes of its parts.
func TestAPostIsFollowed(t *testing.T) {
	t.Parallel()
	got := make(chan string, 8)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- fmt.Sprintf("%s %s %q %s cookie=%s", r.Method, r.URL, body, r.Header.Get("Content-Type"), r.Header.Get("Cookie"))
		if r.URL.Path == "/form" {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret", HttpOnly: true})
			redirect(w, 302, "/done?x=1")
		}
	})
	seen := run(t, Config{URL: base + "/form", Body: []byte("a=1"), Header: http.Header{"Content-Type": {"text/plain"}}})
	if a, b := <-got, <-got; a != `POST /form "a=1" text/plain cookie=` || b != `GET /done?x=1 ""  cookie=session=secret` {
		t.Errorf("the server got\n%s\n%s", a, b)
	}
	if len(seen.Hops) != 2 || seen.End.Kind != Arrived || seen.End.Status != 200 {
		t.Fatalf("%+v", seen)
	}
	first, second := seen.Hops[0], seen.Hops[1]
	if first.BodySent != 3 || first.Status != 302 || first.Location != "/done?x=1" || first.Next.Method != "GET" || first.Next.BodyKept || first.Next.BodyDropped != 3 {
		t.Errorf("%+v %+v", first, first.Next)
	}
	if !slices.Equal(first.Next.HeadersDropped, []string{"Content-Type"}) || first.Next.CrossOrigin || first.Next.URL != base+"/done?x=1" {
		t.Errorf("%+v", first.Next)
	}
	if c := first.CookiesSet; len(c) != 1 || c[0].Name != "session" || !c[0].HTTPOnly || c[0].Secure {
		t.Errorf("%+v", c)
	}
	if second.BodySent != 0 || !slices.Equal(second.CookiesSent, []string{"session"}) || second.Time.Total <= 0 || second.Address == "" {
		t.Errorf("%+v", second)
	}
}

// Another port is another origin.
func TestCredentialsStayAtTheirOrigin(t *testing.T) {
	t.Parallel()
	header := make(chan http.Header, 1)
	away := serve(t, func(_ http.ResponseWriter, r *http.Request) { header <- r.Header })
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { redirect(w, 307, away+"/x") })
	own := http.Header{"Authorization": {"Bearer x"}, "Cookie": {"a=1"}, "X-Own": {"y"}, "Host": {"shop.example"}}
	seen := run(t, Config{URL: base, Body: []byte("a=1"), Header: own})
	got := <-header
	if got.Get("Authorization") != "" || got.Get("Cookie") != "" || got.Get("X-Own") != "y" {
		t.Errorf("%v", got)
	}
	next := seen.Hops[0].Next
	if !next.CrossOrigin || !next.BodyKept || !slices.Equal(next.HeadersDropped, []string{"Authorization", "Cookie", "Host"}) || !hasNote(seen.Hops[0], "body-to-other-origin") {
		t.Errorf("%+v", next)
	}
	if own.Get("Host") == "" {
		t.Error("the header of the caller is changed")
	}
}

// Servers that lie, or mean no good.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		kind  Kind
		text  string
		hops  int
	}{
		"a page that leads to itself": {
			func(w http.ResponseWriter, r *http.Request) { redirect(w, 302, r.URL.Path) },
			Loop, "was asked already, by hop 1", 1,
		},
		"three pages in a circle": {
			func(w http.ResponseWriter, r *http.Request) {
				redirect(w, 302, map[string]string{"/": "/a", "/a": "/b", "/b": "/a"}[r.URL.Path])
			},
			Loop, "/a was asked already, by hop 2", 3,
		},
		"a way without end": {
			func(w http.ResponseWriter, r *http.Request) { redirect(w, 302, r.URL.Path+"x") },
			TooMany, "too many redirects", 21,
		},
		"a cookie that changes each time": {
			func(w http.ResponseWriter, _ *http.Request) {
				http.SetCookie(w, &http.Cookie{Name: "n", Value: fmt.Sprint(time.Now().UnixNano())})
				redirect(w, 302, "/")
			},
			TooMany, "was asked 21 times", 21,
		},
		"a cookie, and then the page": {
			func(w http.ResponseWriter, r *http.Request) {
				if _, err := r.Cookie("seen"); err != nil {
					http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
					redirect(w, 302, "/")
				}
			},
			Arrived, "200 OK", 2,
		},
		"no Location": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) },
			ErrorStatus, "302 Found without a Location", 1,
		},
		"two that differ": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Location"] = []string{"/a", "/b"}
				w.WriteHeader(302)
			},
			Refused, "several that differ", 1,
		},
		"a file": {
			func(w http.ResponseWriter, _ *http.Request) { redirect(w, 302, "file:///etc/passwd") },
			Refused, "scheme is not http or https", 1,
		},
		"a script": {
			func(w http.ResponseWriter, _ *http.Request) { redirect(w, 302, "javascript:alert(1)") },
			Refused, "scheme is not http or https", 1,
		},
		"a zone of an IPv6 address": {
			func(w http.ResponseWriter, _ *http.Request) { redirect(w, 302, "http://[fe80::1%25eth0]/") },
			Refused, "malformed Location: host or port", 1,
		},
		"a Location of 1 MiB": {
			func(w http.ResponseWriter, _ *http.Request) { redirect(w, 302, "/"+strings.Repeat("x", 1<<20)) },
			Refused, "longer than 65536 bytes", 1,
		},
		"a header of 10 MiB": {
			func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 10<<20)) },
			NoAnswer, "server response headers exceeded", 1,
		},
		"a header of 5 MiB": {
			func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 5<<20)) },
			NoAnswer, "server response headers exceeded", 1,
		},
		"not found": {http.NotFound, ErrorStatus, "404 Not Found", 1},
		"a server that hangs up": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			NoAnswer, "EOF", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := run(t, Config{URL: serve(t, c.serve) + "/"})
			if seen.End.Kind != c.kind || !strings.Contains(seen.End.Text, c.text) || len(seen.Hops) != c.hops {
				t.Errorf("%s %q after %d hops", seen.End.Kind, seen.End.Text, len(seen.Hops))
			}
			for _, hop := range seen.Hops {
				if len(hop.Location) > 3000 {
					t.Errorf("a Location of %d bytes is kept", len(hop.Location))
				}
			}
		})
	}
}

// raw answers each connection with the same bytes.
func raw(t *testing.T, answer string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	return "http://" + ln.Addr().String()
}

func TestControlCharactersInALocation(t *testing.T) {
	t.Parallel()
	for _, char := range []string{"\x1b", "\x00", "\x7f", "\t"} {
		seen := run(t, Config{URL: raw(t, "HTTP/1.1 302 Found\r\nLocation: /a"+char+"[2J\r\nContent-Length: 0\r\n\r\n")})
		if seen.End.Kind != Refused && seen.End.Kind != NoAnswer {
			t.Errorf("%q: %s %q", char, seen.End.Kind, seen.End.Text)
		}
	}
}

// A body is neither unpacked nor kept, however large it says that it is.
func TestABombIsNotRead(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", "100000000")
		if r.URL.Path == "/" {
			w.Header().Set("Location", "/end")
			w.WriteHeader(302)
		}
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 100 {
			if _, err := z.Write(zeros); err != nil {
				return
			}
		}
	})
	seen := run(t, Config{URL: base, Header: http.Header{"Accept-Encoding": {"gzip"}}})
	if seen.End.Kind != Arrived || len(seen.Hops) != 2 {
		t.Errorf("%+v", seen.End)
	}
}

// A header that never ends is a timeout; a body that drips does not matter.
func TestSlowServers(t *testing.T) {
	t.Parallel()
	drip := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Location", "/end")
			w.WriteHeader(302)
		}
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("."))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}
	if seen := run(t, Config{URL: serve(t, drip)}); seen.End.Kind != Arrived || len(seen.Hops) != 2 {
		t.Errorf("%+v", seen.End)
	}
	never := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if seen := run(t, Config{URL: never, Timeout: 200 * time.Millisecond}); seen.End.Kind != TimedOut || seen.Hops[0].Error == "" || len(seen.Others) > 0 {
		t.Errorf("%+v", seen.End)
	}
}

func TestRedirectsWithinThisMachineAreFollowed(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			redirect(w, 302, "http://localhost:"+hostPort(r.Host)+"/x")
		}
	})
	if seen := run(t, Config{URL: base}); seen.End.Kind != Arrived || !seen.Hops[0].Next.CrossOrigin {
		t.Errorf("%+v", seen.End)
	}
}

func hostPort(host string) string {
	_, port, _ := net.SplitHostPort(host)
	return port
}

// The first host is public by its name for the check of the URL, and the Dialer
// leads it here.
func TestAPrivateAddressIsRefused(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 4)
	private := serve(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path })
	for _, allowed := range []bool{false, true} {
		public := &seeming{answer: "HTTP/1.1 302 Found\r\nLocation: " + private + "/secret\r\nContent-Length: 0\r\n\r\n"}
		seen := runThrough(t, Config{URL: "http://203.0.113.7/", AllowPrivate: allowed}, public.dial)
		want := Refused
		if allowed {
			want = Arrived
		}
		if seen.End.Kind != want || len(asked) != map[bool]int{false: 0, true: 1}[allowed] {
			t.Errorf("allowed %v: %+v, %d asked", allowed, seen.End, len(asked))
		}
	}
}

// seeming is a connection that says it goes to 203.0.113.7.
type seeming struct{ answer string }

type seemingConn struct{ net.Conn }

func (seemingConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 80} }

func (s *seeming) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	if address != "203.0.113.7:80" {
		var d net.Dialer
		return d.DialContext(ctx, kind, address)
	}
	near, far := net.Pipe()
	go func() {
		_, _ = http.ReadRequest(bufio.NewReader(far))
		_, _ = io.WriteString(far, s.answer)
		_ = far.Close()
	}()
	return seemingConn{near}, nil
}

func runThrough(t *testing.T, c Config, dial func(context.Context, string, string) (net.Conn, error)) *Trace {
	t.Helper()
	c.dial = dial
	return run(t, c)
}

func TestHostsAreWrittenAsTheyAreSent(t *testing.T) {
	t.Parallel()
	hosts := make(chan string, 4)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hosts <- r.Host
		if r.URL.Path == "/" {
			redirect(w, 302, "http://bücher.example:"+hostPort(r.Host)+"/ü x")
		}
	})
	port := base[strings.LastIndexByte(base, ':')+1:]
	seen := run(t, Config{URL: "http://MÜNCHEN.example:" + port, Resolve: map[string]string{
		"xn--mnchen-3ya.example:" + port: "127.0.0.1",
		"xn--bcher-kva.example:" + port:  "127.0.0.1",
	}})
	if seen.End.Kind != Arrived || len(seen.Hops) != 2 {
		t.Fatalf("%+v", seen.End)
	}
	if a, b := <-hosts, <-hosts; a != "xn--mnchen-3ya.example:"+port || b != "xn--bcher-kva.example:"+port {
		t.Errorf("%s, %s", a, b)
	}
	if got := seen.Hops[1].URL; got != "http://xn--bcher-kva.example:"+port+"/%C3%BC%20x" {
		t.Error(got)
	}
}

// One server with a certificate that nobody trusts.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=60; includeSubDomains")
		switch r.URL.Path {
		case "/down":
			redirect(w, 302, "http://"+r.Host+"/x")
		case "/other":
			redirect(w, 302, "https://other.example:"+hostPort(r.Host)+"/")
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(s.Certificate())
	port := hostPort(s.Listener.Addr().String())
	named := map[string]string{"example.com:" + port: "127.0.0.1", "other.example:" + port: "127.0.0.1"}

	t.Run("nobody signed it", func(t *testing.T) {
		seen := run(t, Config{URL: s.URL})
		if seen.End.Kind != Untrusted || !strings.Contains(seen.End.Text, "nobody that this machine trusts") || len(seen.Hops[0].TLS.Problems) != 1 {
			t.Errorf("%+v", seen.End)
		}
	})
	t.Run("an address that it is not for", func(t *testing.T) {
		seen := run(t, Config{URL: "https://127.0.0.2:" + port, Resolve: map[string]string{"127.0.0.2:" + port: "127.0.0.1"}, Roots: trusted})
		if seen.End.Kind != Untrusted || !strings.Contains(seen.End.Text, `not for "127.0.0.2"`) {
			t.Errorf("%+v", seen.End)
		}
	})
	t.Run("it is for another host", func(t *testing.T) {
		seen := run(t, Config{URL: "https://other.example:" + port, Resolve: named, Roots: trusted})
		if seen.End.Kind != Untrusted || !strings.Contains(seen.End.Text, `not for "other.example" but for example.com`) {
			t.Errorf("%+v", seen.End)
		}
	})
	t.Run("insecure goes on and tells", func(t *testing.T) {
		seen := run(t, Config{URL: s.URL, Insecure: true})
		hop := seen.Hops[0]
		if seen.End.Kind != Arrived || !hasNote(hop, "tls") || hop.TLS.Version != "TLS 1.3" || hop.HSTS.Ignored != "the host is an address" {
			t.Errorf("%+v %+v", seen.End, hop)
		}
	})
	t.Run("a good one", func(t *testing.T) {
		seen := run(t, Config{URL: "https://example.com:" + port, Resolve: named, Roots: trusted})
		hop := seen.Hops[0]
		if seen.End.Kind != Arrived || len(hop.TLS.Problems) != 0 || hop.Protocol != "HTTP/2.0" || hop.HSTS.MaxAge != 60 || !hop.HSTS.Subdomains || hop.HSTS.Ignored != "" {
			t.Errorf("%+v %+v %+v", seen.End, hop.TLS, hop.HSTS)
		}
	})
	t.Run("a good one, and then for another host", func(t *testing.T) {
		seen := run(t, Config{URL: "https://example.com:" + port + "/other", Resolve: named, Roots: trusted})
		if seen.End.Kind != Untrusted || len(seen.Hops) != 2 || len(seen.Hops[1].TLS.Problems) != 1 {
			t.Errorf("%+v", seen.End)
		}
	})
	t.Run("down to http", func(t *testing.T) {
		seen := run(t, Config{URL: "https://example.com:" + port + "/down", Resolve: named, Roots: trusted})
		if hop := seen.Hops[0]; !hop.Next.Downgrade || !hop.Next.CrossOrigin || !hasNote(hop, "downgrade") {
			t.Errorf("%+v", hop)
		}
	})
}

func TestAnOldTLSIsNotTrusted(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	s.StartTLS()
	t.Cleanup(s.Close)
	if seen := run(t, Config{URL: s.URL}); seen.End.Kind != Untrusted {
		t.Errorf("%+v", seen.End)
	}
	seen := run(t, Config{URL: s.URL, Insecure: true})
	if seen.End.Kind != ErrorStatus || seen.Hops[0].TLS.Version != "TLS 1.1" || !strings.Contains(seen.Hops[0].TLS.Problems[0], "out of use") {
		t.Errorf("%+v %+v", seen.End, seen.Hops[0].TLS)
	}
}

// The examples of RFC 3986 section 5.4, with a host that a client can ask.
func TestRelativeLocations(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/b/c/d;p" && r.URL.RawQuery == "q" {
			redirect(w, 302, r.Header.Get("X-To"))
		}
	})
	for to, want := range map[string]string{
		"g": "/b/c/g", "./g": "/b/c/g", "g/": "/b/c/g/", "/g": "/g", "?y": "/b/c/d;p?y", "g?y": "/b/c/g?y",
		"g#s": "/b/c/g#s", "g?y#s": "/b/c/g?y#s", ";x": "/b/c/;x", "g;x": "/b/c/g;x", "g;x?y#s": "/b/c/g;x?y#s",
		".": "/b/c/", "./": "/b/c/", "..": "/b/", "../": "/b/", "../g": "/b/g", "../..": "/", "../../": "/", "../../g": "/g",
		"../../../g": "/g", "../../../../g": "/g", "/./g": "/g", "/../g": "/g", "g.": "/b/c/g.", ".g": "/b/c/.g", "g..": "/b/c/g..", "..g": "/b/c/..g",
		"./../g": "/b/g", "./g/.": "/b/c/g/", "g/./h": "/b/c/g/h", "g/../h": "/b/c/h", "g;x=1/./y": "/b/c/g;x=1/y", "g;x=1/../y": "/b/c/y",
		"g?y/./x": "/b/c/g?y/./x", "g?y/../x": "/b/c/g?y/../x", "g#s/./x": "/b/c/g#s/./x", "g#s/../x": "/b/c/g#s/../x",
		strings.TrimPrefix(base, "http:"): "/", base + "/abs": "/abs",
	} {
		seen := run(t, Config{URL: base + "/b/c/d;p?q", Header: http.Header{"X-To": {to}}})
		if len(seen.Hops) != 2 || strings.TrimSuffix(seen.Hops[1].URL, "/") != strings.TrimSuffix(base+want, "/") {
			t.Errorf("%q: %+v", to, seen.End)
		}
	}
}

func TestConfigsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no URL":                   {},
		"a file":                   {URL: "file:///etc/passwd"},
		"a script":                 {URL: "javascript:alert(1)"},
		"a port that is none":      {URL: "http://x.example:99999/"},
		"a host that is none":      {URL: "http://[::g]/"},
		"a host of odd characters": {URL: "http://a\u202eb.example/"},
		"a method with a space":    {URL: "http://127.0.0.1/", Method: "GE T"},
		"CONNECT":                  {URL: "http://127.0.0.1/", Method: "CONNECT"},
		"a length of its own":      {URL: "http://127.0.0.1/", Header: http.Header{"Content-Length": {"3"}}},
		"a header in a header":     {URL: "http://127.0.0.1/", Header: http.Header{"X": {"a\r\nY: b"}}},
		"a Host that is none":      {URL: "http://127.0.0.1/", Header: http.Header{"Host": {"a b"}}},
		"a Host with a path":       {URL: "http://127.0.0.1/", Header: http.Header{"Host": {"a/b"}}},
		"hops without end":         {URL: "http://127.0.0.1/", MaxHops: MaxHops + 1},
		"a time before now":        {URL: "http://127.0.0.1/", Timeout: -1},
		"a body without end":       {URL: "http://127.0.0.1/", Body: make([]byte, MaxBody+1)},
		"a name as an address":     {URL: "http://127.0.0.1/", Resolve: map[string]string{"a:1": "b"}},
	} {
		if seen, err := Run(t.Context(), c); err == nil {
			t.Errorf("%s: %+v", name, seen.End)
		}
	}
}

func TestAURLMayHaveAZone(t *testing.T) {
	t.Parallel()
	u, err := ParseURL("http://[fe80::1%25eth0]:8080/x")
	if err != nil || u.Hostname() != "fe80::1%eth0" {
		t.Errorf("%v, %v", u, err)
	}
}

func TestTheUserOfAURLIsNotShown(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization") })
	seen := run(t, Config{URL: strings.Replace(base, "://", "://me:secret@", 1)})
	if auth := <-got; auth == "" || strings.Contains(seen.Hops[0].URL, "secret") {
		t.Errorf("%q, %q", auth, seen.Hops[0].URL)
	}
}

func TestNotesOfALocation(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		`/\evil.example`: "backslash", `\\evil.example/`: "backslash", "///evil.example": "slashes", "http:///evil.example": "slashes", "/a//b": "", "/?u=\\": "",
		"https://a.example/?///": "",
	} {
		var hop Hop
		hop.locationNotes([]string{location})
		if want == "" && len(hop.Notes) > 0 || want != "" && !hasNote(&hop, want) {
			t.Errorf("%q: %v", location, hop.Notes)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"example.com", "http://[fe80::1%25eth0]:80/", "http://bücher.example/ü?x#y", "https://a:b@c:1/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err != nil {
			return
		}
		if u.Hostname() == "" || !isASCII(u.Host) || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("%q: %q", text, u)
		}
		if _, err := url.Parse(u.String()); err != nil {
			t.Errorf("%q: %v", u, err)
		}
	})
}
