package seeother_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seeother/seeother"
)

// script is a Transport that plays one answer after the other, and keeps what it
// was sent. The last answer is repeated.
type script struct {
	answers []answer
	sent    []*http.Request
	bodies  []string
	left    []*body // of the answers
}

type answer struct {
	status int
	header http.Header
	err    error
}

// to is an answer with headers in pairs.
func to(status int, headers ...string) answer {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return answer{status: status, header: h}
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		sent = string(b)
	}
	a := s.answers[min(len(s.sent), len(s.answers)-1)]
	s.sent, s.bodies = append(s.sent, r), append(s.bodies, sent)
	if a.err != nil {
		return nil, a.err
	}
	b := &body{Reader: strings.NewReader(fmt.Sprint("answer ", len(s.sent)))}
	s.left = append(s.left, b)
	return &http.Response{StatusCode: a.status, Header: a.header.Clone(), Body: b, Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// line is what was sent, each request as its method, URL and body.
func (s *script) line() string {
	var b strings.Builder
	for i, r := range s.sent {
		fmt.Fprintf(&b, "%s %s %s;", r.Method, r.URL, s.bodies[i])
	}
	return b.String()
}

type body struct {
	io.Reader
	closed int
}

func (b *body) Close() error {
	b.closed++
	return nil
}

func request(t testing.TB, method, url, text string, headers ...string) *http.Request {
	t.Helper()
	var content io.Reader
	if text != "" {
		content = strings.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestTheClientsWayThroughRedirects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		method  string
		answers []answer
		mode    seeother.FollowMode
		sent    string
		err     error
	}{
		{"POST becomes GET", "POST", []answer{to(302, "Location", "/b"), to(200)}, 0, "POST http://a.example/x text;GET http://a.example/b ;", nil},
		{"POST stays, with its body", "POST", []answer{to(307, "Location", "/b"), to(308, "Location", "c"), to(200)}, 0, "POST http://a.example/x text;POST http://a.example/b text;POST http://a.example/c text;", nil},
		{"a method in lower case is no POST", "post", []answer{to(302, "Location", "/b"), to(200)}, 0, "post http://a.example/x text;post http://a.example/b text;", nil},
		{"without a Location the redirect is the response", "POST", []answer{to(303)}, 0, "POST http://a.example/x text;", nil},
		{"an empty Location is none", "POST", []answer{to(303, "Location", "")}, 0, "POST http://a.example/x text;", nil},
		{"two Locations that agree are one", "GET", []answer{to(303, "Location", "/b", "Location", "/b"), to(200)}, 0, "GET http://a.example/x text;GET http://a.example/b text;", nil},
		{"two that do not are an error", "GET", []answer{to(303, "Location", "/b", "Location", "/c")}, 0, "GET http://a.example/x text;", seeother.ErrLocation},
		{"a Location of a mebibyte", "GET", []answer{to(303, "Location", "/"+strings.Repeat("b", 1<<20))}, 0, "GET http://a.example/x text;", seeother.ErrLocation},
		{"another scheme", "GET", []answer{to(303, "Location", "ftp://a.example/")}, 0, "GET http://a.example/x text;", seeother.ErrLocation},
		{"a control character", "GET", []answer{to(303, "Location", "/b\x01")}, 0, "GET http://a.example/x text;", seeother.ErrLocation},
		{"201 is not followed", "POST", []answer{to(201, "Location", "/b")}, 0, "POST http://a.example/x text;", nil},
		{"202 is not followed without Once", "POST", []answer{to(202, "Location", "/b")}, 0, "POST http://a.example/x text;", nil},
		{"manual", "POST", []answer{to(302, "Location", "/b")}, seeother.ModeManual, "POST http://a.example/x text;", nil},
		{"manual with a bad Location", "POST", []answer{to(302, "Location", "ftp:x")}, seeother.ModeManual, "POST http://a.example/x text;", nil},
		{"error", "POST", []answer{to(302, "Location", "/b")}, seeother.ModeError, "POST http://a.example/x text;", seeother.ErrRedirected},
		{"error without a redirect", "POST", []answer{to(304)}, seeother.ModeError, "POST http://a.example/x text;", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &script{answers: tt.answers}
			resp, err := (&seeother.Client{Transport: s, Mode: tt.mode}).Do(request(t, tt.method, "http://a.example/x", "text"))
			if !errors.Is(err, tt.err) || (err == nil) != (resp != nil) {
				t.Fatalf("got %v, %v, want error %v", resp, err, tt.err)
			}
			var typed *seeother.RedirectError
			if err != nil && (!errors.As(err, &typed) || typed.Hop.Status != tt.answers[0].status) {
				t.Errorf("error %v is not a RedirectError of the answer", err)
			}
			if err == nil {
				wantLast(t, s, resp)
			}
			if got := s.line(); got != tt.sent {
				t.Errorf("sent %s\nwant %s", got, tt.sent)
			}
			wantClosed(t, s, err == nil)
		})
	}
}

// wantLast wants the response whole: the last answer, and its request.
func wantLast(t *testing.T, s *script, resp *http.Response) {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != fmt.Sprint("answer ", len(s.sent)) {
		t.Errorf("the body is %q, %v", text, err)
	}
	if last := s.sent[len(s.sent)-1]; resp.Request.URL.String() != last.URL.String() || resp.Request.Method != last.Method {
		t.Errorf("the response is that of %s %s", resp.Request.Method, resp.Request.URL)
	}
}

// wantClosed wants every answer's body read and closed, but for the last one.
func wantClosed(t *testing.T, s *script, butLast bool) {
	t.Helper()
	for i, b := range s.left {
		last := butLast && i == len(s.left)-1
		if rest, _ := io.ReadAll(b); !last && (b.closed == 0 || len(rest) > 0) {
			t.Errorf("answer %d: %q left, closed %d times", i, rest, b.closed)
		}
		if last && b.closed > 0 {
			t.Error("the response's body is closed")
		}
	}
}

func TestTheClientFollowsTwentyRedirectsAndNoMore(t *testing.T) {
	t.Parallel()
	for limit, requests := range map[int]int{0: 21, 3: 4} {
		s := &script{answers: []answer{to(302, "Location", "/again")}}
		resp, err := (&seeother.Client{Transport: s, MaxHops: limit}).Do(request(t, "GET", "http://a.example/", ""))
		if resp != nil || !errors.Is(err, seeother.ErrTooManyHops) || len(s.sent) != requests {
			t.Errorf("limit %d: %v after %d requests", limit, err, len(s.sent))
		}
	}
}

func TestABodyThatCannotBeSentAgainIsNeverSentEmpty(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		method string
		err    error
		sent   int
	}{
		{301, "POST", seeother.ErrBody, 1}, // Fetch: only 303 is followed
		{302, "POST", seeother.ErrBody, 1},
		{302, "PUT", seeother.ErrBody, 1},
		{303, "POST", nil, 2},
		{303, "GET", seeother.ErrBody, 1},
		{307, "POST", seeother.ErrBody, 1},
		{308, "DELETE", seeother.ErrBody, 1},
	}
	for _, tt := range tests {
		s := &script{answers: []answer{to(tt.status, "Location", "/b"), to(200)}}
		r := request(t, tt.method, "http://a.example/", "text")
		r.GetBody = nil
		_, err := (&seeother.Client{Transport: s}).Do(r)
		if !errors.Is(err, tt.err) || len(s.sent) != tt.sent {
			t.Errorf("%d to %s: %v after %d requests", tt.status, tt.method, err, len(s.sent))
		}
	}
	broken := errors.New("the file is gone")
	r := request(t, "PUT", "http://a.example/", "text")
	r.GetBody = func() (io.ReadCloser, error) { return nil, broken }
	s := &script{answers: []answer{to(307, "Location", "/b"), to(200)}}
	if _, err := (&seeother.Client{Transport: s}).Do(r); !errors.Is(err, broken) || len(s.sent) != 1 {
		t.Errorf("a GetBody that fails: %v after %d requests", err, len(s.sent))
	}
}

func TestHeadersThatGoAndHeadersThatStay(t *testing.T) {
	t.Parallel()
	const from = "https://a.example/x"
	tests := []struct {
		name, location   string
		status           int
		before, after    []string // headers in pairs; "" is gone
		cross, downgrade bool
	}{
		{"what describes the body goes with it", "/b", 303, []string{"Content-Type", "a", "Content-Language", "b", "Content-Encoding", "c", "Content-Location", "d", "Expect", "100-continue", "Accept", "e"}, []string{"Content-Type", "", "Content-Language", "", "Content-Encoding", "", "Content-Location", "", "Expect", ""}, false, false},
		{"and stays with it", "/b", 307, []string{"Content-Type", "a", "Content-Language", "b"}, nil, false, false},
		{"credentials stay at the origin", "/b", 307, []string{"Authorization", "a", "Proxy-Authorization", "b", "Cookie", "c=d"}, nil, false, false},
		{"the scheme's own port is the same origin", "https://A.example:443/b", 307, []string{"Authorization", "a", "Cookie", "c=d"}, nil, false, false},
		{"credentials do not go to another host", "https://b.example/", 307, []string{"Authorization", "a", "Proxy-Authorization", "b", "Cookie", "c=d", "X-Other", "e"}, []string{"Authorization", "", "Proxy-Authorization", "", "Cookie", ""}, true, false},
		{"nor to a name below", "https://sub.a.example/", 307, []string{"Authorization", "a", "Cookie", "c=d"}, []string{"Authorization", "", "Cookie", ""}, true, false},
		{"nor to another port", "https://a.example:8443/", 303, []string{"Authorization", "a"}, []string{"Authorization", ""}, true, false},
		{"nor to another scheme", "http://a.example/", 307, []string{"Authorization", "a", "Cookie", "c=d"}, []string{"Authorization", "", "Cookie", ""}, true, true},
		{"a Referer stays within the origin", "/b", 303, []string{"Referer", "https://a.example/page?secret"}, nil, false, false},
		{"a Referer is its origin elsewhere", "https://b.example/", 303, []string{"Referer", "https://a.example/page?secret"}, []string{"Referer", "https://a.example/"}, true, false},
		{"a Referer goes on a downgrade", "http://a.example/", 303, []string{"Referer", "https://a.example/page"}, []string{"Referer", ""}, true, true},
		{"an Origin stays while it is the site's own", "https://b.example/", 307, []string{"Origin", "https://a.example"}, nil, true, false},
		{"an Origin is null after a foreign origin led to another", "https://b.example/", 307, []string{"Origin", "https://c.example"}, []string{"Origin", "null"}, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var hops []seeother.Hop
			s := &script{answers: []answer{to(tt.status, "Location", tt.location), to(200)}}
			client := &seeother.Client{Transport: s, Observe: func(h seeother.Hop) { hops = append(hops, h) }}
			if _, err := client.Do(request(t, "POST", from, "text", tt.before...)); err != nil {
				t.Fatal(err)
			}
			want := request(t, "POST", from, "", tt.before...).Header
			var drops []string
			for i := 0; i < len(tt.after); i += 2 {
				want.Set(tt.after[i], tt.after[i+1])
				drops = append(drops, tt.after[i])
				if tt.after[i+1] == "" {
					want.Del(tt.after[i])
				}
			}
			slices.Sort(drops)
			if got := s.sent[1].Header; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("sent %v\nwant %v", got, want)
			}
			if h := hops[0]; !slices.Equal(h.Drops, drops) || h.CrossOrigin != tt.cross || h.Downgrade != tt.downgrade {
				t.Errorf("hop says drops %v, cross origin %v, downgrade %v", h.Drops, h.CrossOrigin, h.Downgrade)
			}
		})
	}
}

func TestTrailersAndCodingsGoWithTheBody(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{to(303, "Location", "/b"), to(200)}}
	r := request(t, "POST", "http://a.example/", "text")
	r.TransferEncoding, r.Trailer = []string{"chunked"}, http.Header{"Checksum": nil}
	if _, err := (&seeother.Client{Transport: s}).Do(r); err != nil {
		t.Fatal(err)
	}
	if next := s.sent[1]; next.Body != nil || next.GetBody != nil || next.ContentLength != 0 || next.TransferEncoding != nil || next.Trailer != nil {
		t.Errorf("sent %+v", next)
	}
}

func TestABodyThatWasMadeForAPolicyThatRefusesIsClosed(t *testing.T) {
	t.Parallel()
	b := &body{Reader: strings.NewReader("text")}
	r := request(t, "PUT", "http://a.example/", "text")
	r.GetBody = func() (io.ReadCloser, error) { return b, nil }
	s := &script{answers: []answer{to(307, "Location", "/b")}}
	client := &seeother.Client{Transport: s, Policy: func(seeother.Hop) error { return errors.New("no") }}
	if _, err := client.Do(r); err == nil || b.closed != 1 {
		t.Errorf("got %v, closed %d times", err, b.closed)
	}
}

func TestAHostSetByHandStaysWithinTheOrigin(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{to(307, "Location", "/b"), to(307, "Location", "http://b.example/"), to(200)}}
	r := request(t, "GET", "http://a.example/", "")
	r.Host = "shop.example"
	if _, err := (&seeother.Client{Transport: s}).Do(r); err != nil {
		t.Fatal(err)
	}
	if s.sent[0].Host != "shop.example" || s.sent[1].Host != "shop.example" || s.sent[2].Host != "" {
		t.Errorf("hosts %q, %q, %q", s.sent[0].Host, s.sent[1].Host, s.sent[2].Host)
	}
}

func TestAUserInTheURLIsAuthorizationAtItsOriginOnly(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{to(307, "Location", "/b"), to(307, "Location", "//b.example/"), to(302, "Location", "ftp:x")}}
	_, err := (&seeother.Client{Transport: s}).Do(request(t, "GET", "http://me:secret@a.example/", ""))
	for i, want := range []string{"Basic bWU6c2VjcmV0", "Basic bWU6c2VjcmV0", ""} {
		if got := s.sent[i].Header.Get("Authorization"); got != want {
			t.Errorf("request %d: Authorization %q", i, got)
		}
	}
	if s.sent[2].URL.User != nil || err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("sent to %s, error %v", s.sent[2].URL, err)
	}
}

func TestCookiesComeFromTheJarForEachURL(t *testing.T) {
	t.Parallel()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{answers: []answer{
		to(303, "Location", "/b", "Set-Cookie", "session=new", "Set-Cookie", "old=; Max-Age=0"),
		to(307, "Location", "http://b.example/"), to(307, "Location", "http://a.example/"), to(200),
	}}
	r := request(t, "POST", "http://a.example/", "text", "Cookie", `old=1; kept="a b"; session=mine`)
	if _, err := (&seeother.Client{Transport: s, Jar: jar}).Do(r); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`old=1; kept="a b"; session=mine`, `kept="a b"; session=new`, "", "session=new"} {
		if got := s.sent[i].Header.Get("Cookie"); got != want {
			t.Errorf("request %d: Cookie %q, want %q", i, got, want)
		}
	}
}

func TestTheRequestIsNotChanged(t *testing.T) {
	t.Parallel()
	jar, _ := cookiejar.New(nil)
	s := &script{answers: []answer{to(303, "Location", "//b.example/", "Set-Cookie", "a=b"), to(200)}}
	r := request(t, "POST", "http://me:pw@a.example/x", "text", "Content-Type", "text/plain", "Cookie", "c=d")
	before, header := r.URL.String(), fmt.Sprint(r.Header)
	if _, err := (&seeother.Client{Transport: s, Jar: jar, Once: &seeother.OnceOptions{}}).Do(r); err != nil {
		t.Fatal(err)
	}
	if r.URL.String() != before || fmt.Sprint(r.Header) != header || r.Method != "POST" {
		t.Errorf("now %s %s %v", r.Method, r.URL, r.Header)
	}
}

func TestARequestThatCannotBeSentIsClosed(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"ftp://a.example/", "/only", "http:"} {
		b := &body{Reader: strings.NewReader("text")}
		r := request(t, "POST", u, "")
		r.Body = b
		if resp, err := new(seeother.Client).Do(r); err == nil || resp != nil || b.closed == 0 {
			t.Errorf("%s: %v, closed %d times", u, err, b.closed)
		}
	}
}

func TestThePolicyIsAskedBeforeEachNextRequest(t *testing.T) {
	t.Parallel()
	answers := []answer{to(307, "Location", "/b"), to(303, "Location", "//b.example/"), to(200)}
	stop := errors.New("not there")
	tests := []struct {
		name string
		err  error
		sent int
	}{
		{"it agrees", nil, 3},
		{"it does not", stop, 2},
		{"it wants the redirect itself", http.ErrUseLastResponse, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &script{answers: answers}
			asked := ""
			client := &seeother.Client{Transport: s, Policy: func(h seeother.Hop) error {
				asked += fmt.Sprintf("%d %s %d %s %s %v;", h.N, h.Method, h.Status, h.NextMethod, h.Next, h.BodyDropped)
				if h.CrossOrigin {
					return tt.err
				}
				return nil
			}}
			resp, err := client.Do(request(t, "POST", "http://a.example/", "text"))
			if tt.err == stop != errors.Is(err, stop) || len(s.sent) != tt.sent {
				t.Errorf("%v, %v after %d requests", resp, err, len(s.sent))
			}
			if want := "0 POST 307 POST http://a.example/b false;1 POST 303 GET http://b.example/ true;"; asked != want {
				t.Errorf("asked %s", asked)
			}
			if err == nil {
				wantLast(t, s, resp)
			}
			wantClosed(t, s, err == nil)
		})
	}
}

func TestTheObserverIsToldOfEveryAnswer(t *testing.T) {
	t.Parallel()
	got := ""
	s := &script{answers: []answer{to(302, "Location", "/b#top"), to(307, "Location", "/c"), to(302, "Location", "ftp:x")}}
	client := &seeother.Client{Transport: s, Observe: func(h seeother.Hop) {
		got += fmt.Sprintf("%d %s %s %d %q %v %v %v;", h.N, h.Method, h.URL, h.Status, h.Location, h.BodySent, h.BodyDropped, h.Next)
	}}
	_, err := client.Do(request(t, "POST", "http://a.example/", "text"))
	want := `0 POST http://a.example/ 302 "/b#top" true true http://a.example/b#top;` +
		`1 GET http://a.example/b#top 307 "/c" false false http://a.example/c#top;` +
		`2 GET http://a.example/c#top 302 "ftp:x" false false <nil>;`
	if got != want || !errors.Is(err, seeother.ErrLocation) {
		t.Errorf("told %s\nwant %s, %v", got, want, err)
	}
}

func TestTheClientIsATransportForAnHTTPClient(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{to(302, "Location", "/b"), to(200)}}
	resp, err := (&http.Client{Transport: &seeother.Client{Transport: s}}).Do(request(t, "PUT", "http://a.example/x", "text"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if want := "PUT http://a.example/x text;PUT http://a.example/b text;"; s.line() != want {
		t.Errorf("sent %s", s.line()) // net/http would have sent GET
	}
}

func TestAFailingTransportIsAURLError(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	s := &script{answers: []answer{to(302, "Location", "/b"), {err: gone}}}
	_, err := (&seeother.Client{Transport: s}).Do(request(t, "POST", "http://me:secret@a.example/", "text"))
	if !errors.Is(err, gone) || !strings.HasPrefix(err.Error(), `GET "http://me:xxxxx@a.example/b": `) {
		t.Errorf("got %v", err)
	}
}

// Servers that lie, byte by byte, through Go's own Transport.
func TestRedirectsOfServersThatLie(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, head string
		err        error // nil: any
	}{
		{"a control character", "Location: /b\x01", nil},
		{"a zero", "Location: /b\x00c", nil},
		{"a carriage return", "Location: /b\rSet-Cookie: a=b", nil},
		{"a tab", "Location: /b\tc", seeother.ErrLocation},
		{"a mebibyte", "Location: /" + strings.Repeat("b", 1<<20), seeother.ErrLocation},
		{"a header of 11 mebibytes", "X-Long: " + strings.Repeat("b", 11<<20) + "\r\nLocation: /b", nil},
		{"several", "Location: /b\r\nLocation: /c", seeother.ErrLocation},
		{"a file", "Location: file:///etc/passwd", seeother.ErrLocation},
		{"an IPv6 zone", "Location: http://[fe80::1%25lo]/", seeother.ErrLocation},
		{"itself, for ever", "Location: /", seeother.ErrTooManyHops},
		{"a body that unpacks for ever", "Content-Encoding: gzip\r\nLocation: ftp:x", seeother.ErrLocation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 303 See Other\r\n"+tt.head+"\r\nConnection: close\r\n\r\n")
				zip := gzip.NewWriter(conn)
				for range 1 << 10 * strings.Count(tt.head, "gzip") {
					if _, err := zip.Write(make([]byte, 1<<16)); err != nil {
						return
					}
				}
			}))
			defer server.Close()
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			resp, err := (&seeother.Client{Transport: transport}).Do(request(t, "GET", server.URL, ""))
			if err == nil || resp != nil || tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v, want error %v", resp, err, tt.err)
			}
		})
	}
}

// A redirect whose body drips does not hold the chain up, and one that is short
// leaves its connection for the next request.
func TestTheBodiesOfRedirects(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var remotes []string // guarded by mu
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		remotes = append(remotes, r.RemoteAddr)
		mu.Unlock()
		next := map[string]string{"/short": "/endless", "/endless": "/drip", "/drip": "/end"}[r.URL.Path]
		if next == "" {
			return
		}
		w.Header().Set("Location", next)
		w.WriteHeader(http.StatusFound)
		switch r.URL.Path {
		case "/short":
			_, _ = io.WriteString(w, "moved")
		case "/endless":
			for {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<10)); err != nil {
					return
				}
			}
		case "/drip":
			_, _ = io.WriteString(w, "m")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&seeother.Client{Transport: transport}).Do(request(t, "GET", server.URL+"/short", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	mu.Lock()
	defer mu.Unlock()
	if resp.Request.URL.Path != "/end" || len(remotes) != 4 || remotes[0] != remotes[1] {
		t.Errorf("at %s by %v", resp.Request.URL, remotes)
	}
}

func TestTheContextEndsAChain(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stuck" {
			cancel()
			<-r.Context().Done()
			return
		}
		http.Redirect(w, r, "/stuck", http.StatusFound)
	}))
	defer server.Close()
	r := request(t, "GET", server.URL, "").WithContext(ctx)
	if resp, err := new(seeother.Client).Do(r); !errors.Is(err, context.Canceled) || resp != nil {
		t.Errorf("got %v, %v", resp, err)
	}
}
