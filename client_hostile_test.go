package seeother_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

// Hosts that are numbers are IPv4 addresses, as the URL standard reads them. So
// they are private by their name, whatever the Transport is.
func TestHostsThatAreNumbers(t *testing.T) {
	t.Parallel()
	base := mustURL(t, "http://a.example/")
	for host, want := range map[string]string{
		"127.0.0.1": "127.0.0.1", "2130706433": "127.0.0.1", "0x7f000001": "127.0.0.1", "0X7F.1": "127.0.0.1", "017700000001": "127.0.0.1",
		"127.1": "127.0.0.1", "127.0.1": "127.0.0.1", "0177.0.0.1": "127.0.0.1", "127.0.0.1.": "127.0.0.1", "0": "0.0.0.0", "0x": "0.0.0.0", "10.0.0.010:8080": "10.0.0.8:8080",
		"4294967296": "refused", "256.0.0.1": "refused", "1.2.3.4.5": "refused", "1.2.3.256": "refused", "08": "refused", "a.1": "refused", "a.0x1f": "refused", "1..2": "refused",
		"1.example": "1.example", "0x7g": "0x7g", "a.example.": "a.example.", "1a": "1a",
	} {
		if want != "refused" {
			want = "http://" + want + "/"
		}
		checkLocation(t, base, "//"+host+"/", want)
	}
}

// A proxy looks a name up by itself; what it is asked for is known all the same.
func TestNamesThatMeanAPrivateAddressBehindAProxy(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"2130706433", "0x7f.1", "127.0.0.1.", "１２７.0.0.1", "127。0。0。1", "①27.0.0.1", "ⓛocalhost", "LOCALHOST", "x.ｌocalhost"} {
		var asked atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) == 1 {
				w.Header()["Location"] = []string{"http://" + host + "/"}
				w.WriteHeader(http.StatusFound)
			}
		}))
		for name, proxied := range map[string]func(*http.Request) bool{
			"all that is asked":          func(*http.Request) bool { return true },
			"what is asked first, alone": func(r *http.Request) bool { return r.URL.Host == "public.example" },
		} {
			asked.Store(0)
			transport := internet(t, server)
			transport.Proxy = func(r *http.Request) (*url.URL, error) {
				if proxied(r) {
					return mustURL(t, "http://proxy.example"), nil
				}
				return nil, nil
			}
			resp, err := (&seeother.Client{Transport: transport}).Do(request(t, "GET", "http://public.example/", ""))
			if !errors.Is(err, seeother.ErrPrivate) && !errors.Is(err, seeother.ErrLocation) || asked.Load() != 1 {
				t.Errorf("%s, by a proxy for %s: %v, %v, %d asked", host, name, resp, err, asked.Load())
			}
		}
		server.Close()
	}
}

func TestPrivateAddressesWithinOthers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"64:ff9b:1::a00:1": true, "64:ff9b:1:ffff::1": true, "2002:7f00:1::": true, "2002:a00:1:2::3": true, "2002:808:808::1": false,
		"::127.0.0.1": true, "::10.0.0.1": true, "::ffff:127.0.0.1": true, "5f00::1": true, "fe80::1%eth0": true, "2606:4700::1111": false, "64:ff9b::808:808": false,
	} {
		if got := seeother.IsPrivateAddr(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// What a caller learns only while its body is read goes along: net/http says
// that Trailer may be changed until then.
func TestTrailersThatAreKnownLateArrive(t *testing.T) {
	t.Parallel()
	var sums []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sums = append(sums, r.Trailer.Get("Checksum"))
		if r.URL.Path == "/" {
			w.Header().Set("Location", "/b")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	r := request(t, "POST", server.URL+"/", "")
	r.Trailer, r.ContentLength = http.Header{"Checksum": nil}, -1
	n := 0
	r.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("text"), readFunc(func([]byte) (int, error) {
			n++
			r.Trailer.Set("Checksum", fmt.Sprint(n))
			return 0, io.EOF
		}))), nil
	}
	r.Body, _ = r.GetBody()
	resp, err := (&seeother.Client{Transport: server.Client().Transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if fmt.Sprint(sums) != "[1 2]" {
		t.Errorf("trailers %q", sums)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// As with http.Client, a Transport that breaks its contract is an error, or an
// answer without a body.
func TestATransportThatReturnsNothing(t *testing.T) {
	t.Parallel()
	nothing := transportFunc(func(*http.Request) (*http.Response, error) { return nil, nil })
	if resp, err := (&seeother.Client{Transport: nothing}).Do(request(t, "GET", "http://a.example/", "")); err == nil || resp != nil {
		t.Errorf("%v, %v", resp, err)
	}
	bare := transportFunc(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/" {
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/b"}}}, nil
		}
		return &http.Response{StatusCode: 200}, nil
	})
	resp, err := (&seeother.Client{Transport: bare}).Do(request(t, "GET", "http://a.example/", ""))
	if err != nil || resp.Body == nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestWithoutAKeyAnUnsafeRequestIsNotSentAgainForAStatus(t *testing.T) {
	t.Parallel()
	none := func(*http.Request) string { return "" }
	for method, sent := range map[string]int{"POST": 1, "DELETE": 1, "GET": 2, "QUERY": 2} {
		for _, status := range []int{429, 503} {
			s := &script{answers: []answer{to(status, "Retry-After", "0"), to(200)}}
			if _, err := (&seeother.Client{Transport: s, Once: &seeother.OnceOptions{Key: none}}).Do(request(t, method, "http://a.example/", "")); err != nil || len(s.sent) != sent {
				t.Errorf("%d to %s: %d requests, %v", status, method, len(s.sent), err)
			}
		}
	}
}

// It was accepted: whatever is wrong with where to ask, this is the answer.
func TestA202IsTheAnswerWhereItsStatusIsNotToBeAsked(t *testing.T) {
	t.Parallel()
	for name, location := range map[string]string{"another origin": "http://b.example/status", "another port": "//a.example:81/", "a private address": "http://127.0.0.1/", "a script": "javascript:x"} {
		s := &script{answers: []answer{to(202, "Location", location), to(200)}}
		resp, err := (&seeother.Client{Transport: s, Once: &seeother.OnceOptions{}}).Do(request(t, "POST", "http://a.example/", "text"))
		if err != nil || resp.StatusCode != 202 || len(s.sent) != 1 {
			t.Errorf("%s: %v, %v after %d requests", name, resp, err, len(s.sent))
			continue
		}
		wantLast(t, s, resp)
	}
}

func TestARefererThatNamesNoHostStaysBehind(t *testing.T) {
	t.Parallel()
	for _, referer := range []string{"about:blank", "/page?secret", "secret", "://", "data:text/html,secret"} {
		s := &script{answers: []answer{to(302, "Location", "http://b.example/"), to(200)}}
		if _, err := (&seeother.Client{Transport: s}).Do(request(t, "GET", "http://a.example/", "", "Referer", referer)); err != nil {
			t.Fatal(err)
		}
		if got, ok := s.sent[1].Header["Referer"]; ok {
			t.Errorf("%q: sent %q", referer, got)
		}
	}
}

// One Client, its jar and its options for many at once; for the race detector.
// All connections are used again: no body is left open.
func TestAClientIsForManyAtOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "at", Value: strings.Trim(r.URL.Path, "/")})
		if len(r.URL.Path) < 6 {
			w.Header().Set("Location", r.URL.Path+"x")
			w.WriteHeader([]int{307, 302, 303}[len(r.URL.Path)%3])
			_, _ = io.WriteString(w, "moved")
		}
	}))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var dialed, hops atomic.Int64
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.MaxConnsPerHost = 4
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed.Add(1)
		return dial(ctx, network, addr)
	}
	defer transport.CloseIdleConnections()
	client := &seeother.Client{Transport: transport, Jar: jar, Once: &seeother.OnceOptions{}, Observe: func(seeother.Hop) { hops.Add(1) }}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 4 {
				resp, err := client.Do(request(t, "POST", server.URL+"/", "text"))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	all.Wait()
	if hops.Load() != 16*4*6 || dialed.Load() > 32 {
		t.Errorf("%d answers by %d connections", hops.Load(), dialed.Load())
	}
}

// A body that is unpacked while it drips is closed while it is read.
func TestAPackedBodyThatDrips(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			return
		}
		w.Header().Set("Location", "/b")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusFound)
		z := gzip.NewWriter(w)
		for r.Context().Err() == nil {
			_, _ = z.Write([]byte("."))
			_ = z.Flush()
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&seeother.Client{Transport: transport}).Do(request(t, "GET", server.URL+"/", ""))
	if err != nil || resp.Request.URL.Path != "/b" {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

// Go's own Transport takes a key for leave to send again where a connection that
// was used before breaks. The documentation of OnceOptions says so.
func TestGosTransportSendsAgainByTheKey(t *testing.T) {
	t.Parallel()
	var posts atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == "POST" && posts.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	for once, want := range map[*seeother.OnceOptions]int64{nil: 1, {}: 2} {
		posts.Store(0)
		transport := &http.Transport{}
		client := &seeother.Client{Transport: transport, Once: once}
		for _, method := range []string{"GET", "POST"} { // the second by the connection of the first
			resp, err := client.Do(request(t, method, server.URL+"/", "text"))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}
		if posts.Load() != want {
			t.Errorf("once %v: %d POST arrived", once != nil, posts.Load())
		}
		transport.CloseIdleConnections()
	}
}

// With Expect the first body is not sent at all, the second is; informational
// answers on the way are none.
func TestExpectAndEarlyHints(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		var bodies []string
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				w.Header().Set("Location", "http://127.0.0.1:1/not-here")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Set("Location", "/b")
				w.WriteHeader(http.StatusTemporaryRedirect)
				return
			}
			text, err := io.ReadAll(r.Body)
			bodies = append(bodies, fmt.Sprint(r.Proto, " ", string(text), " ", err))
		}))
		server.EnableHTTP2 = http2
		server.StartTLS()
		transport := server.Client().Transport.(*http.Transport)
		transport.ExpectContinueTimeout = time.Minute
		made := 0
		r := request(t, "POST", server.URL+"/", "", "Expect", "100-continue")
		r.ContentLength = 4
		r.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(readFunc(func([]byte) (int, error) { made++; return 0, io.EOF }), strings.NewReader("text"))), nil
		}
		r.Body, _ = r.GetBody()
		resp, err := (&seeother.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2] + " text <nil>"; len(bodies) != 1 || bodies[0] != want || made != 1 {
			t.Errorf("http2 %v: %q, and %d bodies were begun", http2, bodies, made)
		}
		server.Close()
	}
}
