package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// mirror answers with the request's header as it came.
func mirror(t testing.TB) string {
	return rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		for {
			head, err := readHead(in)
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(head), head)
		}
	})
}

func TestHopByHopHeadersStayOnTheirHop(t *testing.T) {
	t.Run("of the request", func(t *testing.T) {
		s := newSite(t, mirror(t), options{})
		got := s.raw("GET", "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, close\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"+
			"Proxy-Authorization: Basic x\r\nProxy-Authenticate: x\r\nTE: gzip, trailers\r\nUpgrade-Insecure-Requests: 1\r\nX-Stays: 1\r\n\r\n").body
		for _, name := range []string{"Connection", "X-Mine", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "User-Agent", "Accept-Encoding"} {
			if strings.Contains(got, "\r\n"+name+":") {
				t.Errorf("the app got %s in %q", name, got)
			}
		}
		for _, line := range []string{"Te: trailers", "Upgrade-Insecure-Requests: 1", "X-Stays: 1"} {
			if !strings.Contains(got, "\r\n"+line+"\r\n") {
				t.Errorf("the app did not get %s in %q", line, got)
			}
		}
	})
	t.Run("of the answer", func(t *testing.T) {
		s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
			readHead(in)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Authenticate: x\r\nX-Stays: 1\r\n\r\n")
		}), options{})
		res := s.do("GET", "/", "")
		for _, name := range []string{"Connection", "X-Mine", "Keep-Alive", "Proxy-Authenticate"} {
			if v := res.Header.Values(name); len(v) > 0 {
				t.Errorf("the client got %s: %q", name, v)
			}
		}
		equal(t, "X-Stays", res.Header.Get("X-Stays"), "1")
		equal(t, "Connection: close", res.Close, false)
	})
}

func TestWhatTheAppMayBelieve(t *testing.T) {
	claims := "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 1\r\nX-Real-Ip: 9.9.9.9\r\nX_Forwarded_For: 9.9.9.9\r\n"
	for _, tt := range []struct {
		name, claims string
		trusted      bool
		want         string
	}{
		{
			"a stranger's claims are replaced", claims + "Forwarded: for=9.9.9.9\r\n", false,
			"Host: Shop.example:1|X-Forwarded-For: 127.0.0.1|X-Forwarded-Host: Shop.example:1|X-Forwarded-Proto: http|Forwarded: for=127.0.0.1;host=\"Shop.example:1\";proto=http",
		},
		{
			"a proxy's are appended to", claims, true,
			"Host: Shop.example:1|X-Forwarded-For: 9.9.9.9, 127.0.0.1|X-Forwarded-Host: evil.example|X-Forwarded-Proto: https|" +
				"Forwarded: for=9.9.9.9;host=evil.example;proto=https, for=127.0.0.1;host=\"Shop.example:1\";proto=http",
		},
		{
			"a proxy's Forwarded is appended to", "Forwarded: for=9.9.9.9;proto=https\r\n", true,
			"X-Forwarded-For: 9.9.9.9, 127.0.0.1|X-Forwarded-Proto: https|Forwarded: for=9.9.9.9;proto=https, for=127.0.0.1;host=\"Shop.example:1\";proto=http",
		},
		{
			"a stranger cannot take them away with Connection", "Connection: X-Forwarded-For, Forwarded, X-Forwarded-Host, X-Forwarded-Proto\r\n", false,
			"X-Forwarded-For: 127.0.0.1|X-Forwarded-Host: Shop.example:1|X-Forwarded-Proto: http",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, mirror(t), options{config: func(c *Config) {
				if tt.trusted {
					c.Trust = loopback
				}
			}})
			got := s.raw("GET", "GET / HTTP/1.1\r\nHost: Shop.example:1\r\n"+tt.claims+"\r\n").body
			for line := range strings.SplitSeq(tt.want, "|") {
				if !strings.Contains(got, "\r\n"+line+"\r\n") {
					t.Errorf("no %q in %q", line, got)
				}
			}
			for _, bad := range []string{"X-Real-Ip", "X_forwarded_for", "X_Forwarded_For"} {
				if strings.Contains(got, bad) {
					t.Errorf("%s in %q", bad, got)
				}
			}
		})
	}
}

// The app gets the target byte for byte, in whatever way the routes read it.
func TestTargetPassesAsItCame(t *testing.T) {
	s := newSite(t, mirror(t), options{routes: []Route{{Path: "/a/*"}}})
	for _, target := range []string{
		"/", "/a%2Fb", "/a%2fb", "/%00", "//a//b", "/a/../b", "/a/./b/", "/a;x=1/b", "/%41", "/a%20b+c", "/ä", "/%C3%A4", "/a|b^c`{d}", `/a\b"c<d>`,
		"/?", "/?a;b=%zz", "/a?x=1&x=2&%41=%20+;", "/?a=b?c#d", "/a:b@c!$&'()*,=", "///", "//evil.example/%2e%2e", "/a%252fb", "/%", "/%zz",
	} {
		got := s.raw("GET", "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if strings.Contains(target, "%") && (strings.HasSuffix(target, "/%") || strings.HasSuffix(target, "/%zz")) {
			equal(t, "status of "+target, got.StatusCode, 400) // no server of net/http takes these
			continue
		}
		line, _, _ := strings.Cut(got.body, "\r\n")
		equal(t, "target", line, "GET "+target+" HTTP/1.1")
	}
}

func TestOtherFormsOfTargets(t *testing.T) {
	s := newSite(t, mirror(t), options{routes: []Route{{Path: "/*"}}})
	for request, want := range map[string]string{
		"GET http://other.example/a%2Fb?x;y HTTP/1.1\r\nHost: ignored\r\n\r\n": "GET /a%2Fb?x;y HTTP/1.1\r\nHost: other.example\r\n",
		"GET http://other.example HTTP/1.1\r\nHost: ignored\r\n\r\n":           "GET / HTTP/1.1\r\nHost: other.example\r\n",
		"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n":                                "OPTIONS / HTTP/1.1\r\nHost: a\r\n",
		"GET / HTTP/1.0\r\n\r\n":                                               "GET / HTTP/1.1\r\nHost: 127.0.0.1:",
		"QUERY /q HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":            "QUERY /q HTTP/1.1\r\nHost: a\r\n",
	} {
		if got := s.raw("GET", request); !strings.HasPrefix(got.body, want) {
			t.Errorf("%q: the app got %q, want %q", request, got.body, want)
		}
	}
	equal(t, "OPTIONS *", s.raw("OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").body, "")
	check(t, s.raw("CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"), 501, "method-not-supported")
}

func TestUpstreamPathComesFirst(t *testing.T) {
	s := newSite(t, mirror(t)+"/base", options{routes: []Route{{Path: "/a/*"}}})
	for target, want := range map[string]string{"/a%2Fb?x;y": "/base/a%2Fb?x;y", "/": "/base/", "/a/": "/base/a/", "/a?": "/base/a?"} {
		got := s.raw("GET", "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n").body
		if !strings.HasPrefix(got, "GET "+want+" HTTP/1.1\r\nHost: a\r\n") {
			t.Errorf("%s: the app got %q", target, got)
		}
	}
}

// Whatever a client writes, the app reads at most one request out of it, and
// the gateway and the app agree where it ends.
func TestSmuggledRequestsDoNotReachTheApp(t *testing.T) {
	const inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, text := range map[string]string{
		"both lengths, TE counts":     "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"both lengths, inner request": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(inner), inner),
		"two different lengths":       "Content-Length: 0\r\nContent-Length: 36\r\n\r\n" + inner,
		"two equal lengths":           "Content-Length: 36\r\nContent-Length: 36\r\n\r\n" + inner,
		"length with a sign":          "Content-Length: +0\r\n\r\n" + inner,
		"list of lengths":             "Content-Length: 0, 36\r\n\r\n" + inner,
		"name with a space":           "Content-Length : 0\r\n\r\n" + inner,
		"folded line":                 "X: a\r\n Content-Length: 36\r\n\r\n",
		"TE with a space before":      "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
		"TE that is not chunked":      "Transfer-Encoding: xchunked\r\nContent-Length: 36\r\n\r\n" + inner,
		"TE twice":                    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
		"TE with a tab":               "Transfer-Encoding:\tchunked\r\nContent-Length: 36\r\n\r\n0\r\n\r\n",
		"TE hidden by Connection":     "Connection: Transfer-Encoding, Content-Length\r\nContent-Length: 36\r\n\r\n" + inner,
		"chunk extension":             "Transfer-Encoding: chunked\r\n\r\n3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n",
		"chunk size overflow":         "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + inner,
		"bare LF in chunks":           "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
		"length in a trailer":         "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\nContent-Length: 36\r\n\r\n",
		"CR in a value":               "X: a\rContent-Length: 36\r\n\r\n",
		"NUL in a value":              "X: a\x00b\r\n\r\n",
	} {
		for _, path := range []string{"/", "/pay"} {
			t.Run(name+" "+path, func(t *testing.T) {
				t.Parallel()
				seen := make(chan string, 10)
				s := guarded(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
					for {
						req, err := readRequest(in)
						if err != nil {
							return
						}
						seen <- req
						io.WriteString(conn, okAnswer)
					}
				}))
				conn, in := s.dial()
				io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n"+text)
				conn.(*net.TCPConn).CloseWrite()
				res, err := http.ReadResponse(in, nil)
				if err == nil {
					read(t, res)
				}
				s.server.Shutdown(t.Context())
				for len(seen) > 0 {
					if req := <-seen; strings.HasPrefix(req, "GET") {
						t.Errorf("the app got %q", req)
					}
				}
			})
		}
	}
}

func TestLargeHeaderIsRefused(t *testing.T) {
	s := newSite(t, mirror(t), options{config: func(c *Config) { c.Limits.Header = 8 << 10 }})
	got := s.raw("GET", "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 20<<10)+"\r\n\r\n")
	equal(t, "status", got.StatusCode, http.StatusRequestHeaderFieldsTooLarge)
	equal(t, "status", s.raw("GET", "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 7<<10)+"\r\n\r\n").StatusCode, 200)
}

// Answers keep their shape: no type is guessed, no length is made up.
func TestAnswersKeepTheirShape(t *testing.T) {
	for _, tt := range []struct {
		name, method, answer string
		status               int
		header               string // "Name: value" that must be there, or "-Name"
		body                 string
	}{
		{"HEAD with a length", "HEAD", "200 OK\r\nContent-Length: 12345", 200, "Content-Length: 12345", ""},
		{"HEAD without a length", "HEAD", "200 OK", 200, "-Content-Length", ""},
		{"204", "POST", "204 No Content", 204, "-Content-Length", ""},
		{"304", "GET", "304 Not Modified\r\nEtag: \"x\"", 304, `Etag: "x"`, ""},
		{"304 without a type", "GET", "304 Not Modified", 304, "-Content-Type", ""},
		{"no type", "GET", "200 OK\r\nContent-Length: 6\r\n\r\n<html>", 200, "-Content-Type", "<html>"},
		{"no type, of the guard", "POST", "200 OK\r\nContent-Length: 6\r\n\r\n<html>", 200, "-Content-Type", "<html>"},
		{"a status of its own", "GET", "299 Odd\r\nContent-Length: 1\r\n\r\nx", 299, "-Content-Type", "x"},
		{"until the connection ends", "GET", "200 OK\r\nConnection: close\r\n\r\nabc", 200, "-Content-Length", "abc"},
		{"compressed", "GET", "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nzip", 200, "Content-Encoding: gzip", "zip"},
		{"two cookies", "GET", "200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0", 200, "Set-Cookie: a=1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := guarded(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
				readRequest(in)
				text := "HTTP/1.1 " + tt.answer
				if !strings.Contains(text, "\r\n\r\n") {
					text += "\r\n\r\n"
				}
				io.WriteString(conn, text)
			}))
			path := map[bool]string{true: "/pay"}[strings.Contains(tt.name, "guard")]
			got := s.raw(tt.method, tt.method+" /"+strings.TrimPrefix(path, "/")+" HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n\r\n")
			check(t, got, tt.status, "")
			equal(t, "body", got.body, tt.body)
			name, value, _ := strings.Cut(tt.header, ": ")
			name, absent := strings.CutPrefix(name, "-")
			if values := got.Header.Values(name); absent && values != nil || !absent && (len(values) == 0 || values[0] != value) {
				t.Errorf("want %s, got %q", tt.header, got.Header)
			}
		})
	}
}

// Nothing that a client sends forges a line of the log.
func TestLogIsNotForged(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1", options{})
	s.raw("GET", "GET /a%0Alevel=ERROR%22?secret=1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: b\r\nX-Secret: secret\r\n\r\n")
	log := s.log.String()
	if strings.Count(log, "\n") != 1 || strings.Contains(log, "secret") || !strings.Contains(log, "/a%0Alevel=ERROR%22") {
		t.Errorf("the log is %q", log)
	}
}
