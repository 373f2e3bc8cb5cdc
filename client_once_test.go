package seeother_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother"
)

var (
	errRefused  = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	errNoSuch   = &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}
	errNoAnswer = &net.OpError{Op: "read", Err: syscall.ECONNRESET}
)

func TestWhatOnceSendsAgain(t *testing.T) {
	t.Parallel()
	ok := to(200)
	tests := []struct {
		name    string
		method  string
		once    seeother.OnceOptions
		answers []answer
		sent    int
		status  int // 0: an error
		waited  time.Duration
	}{
		{"a connection that was refused", "POST", seeother.OnceOptions{}, []answer{{err: errRefused}, {err: errRefused}, ok}, 3, 200, 300 * time.Millisecond},
		{"a name that there is not", "POST", seeother.OnceOptions{}, []answer{{err: errNoSuch}, ok}, 1, 0, 0},
		{"an answer that did not come: it may have been done", "POST", seeother.OnceOptions{}, []answer{{err: errNoAnswer}, ok}, 1, 0, 0},
		{"503 with Retry-After", "POST", seeother.OnceOptions{}, []answer{to(503, "Retry-After", "2"), ok}, 2, 200, 2 * time.Second},
		{"503 without", "POST", seeother.OnceOptions{}, []answer{to(503), ok}, 1, 503, 0},
		{"429 with a date", "GET", seeother.OnceOptions{}, []answer{to(429, "Retry-After", "Sat, 01 Jan 2000 00:00:05 GMT"), ok}, 2, 200, 5 * time.Second},
		{"a date that is past", "GET", seeother.OnceOptions{}, []answer{to(429, "Retry-After", "Sat, 01 Jan 1990 00:00:05 GMT"), ok}, 2, 200, 100 * time.Millisecond},
		{"409 while the first one runs", "POST", seeother.OnceOptions{}, []answer{to(409, "Retry-After", "1"), ok}, 2, 200, time.Second},
		{"409 that is final", "POST", seeother.OnceOptions{}, []answer{to(409), ok}, 1, 409, 0},
		{"409 without a key", "GET", seeother.OnceOptions{}, []answer{to(409, "Retry-After", "1"), ok}, 1, 409, 0},
		{"500 with Retry-After", "POST", seeother.OnceOptions{}, []answer{to(500, "Retry-After", "1"), ok}, 1, 500, 0},
		{"three times and no more", "POST", seeother.OnceOptions{}, []answer{to(503, "Retry-After", "0")}, 4, 503, 300 * time.Millisecond},
		{"as often as is said", "POST", seeother.OnceOptions{MaxRetries: 1}, []answer{to(503, "Retry-After", "1")}, 2, 503, time.Second},
		{"never", "POST", seeother.OnceOptions{MaxRetries: -1}, []answer{to(503, "Retry-After", "1")}, 1, 503, 0},
		{"a wait that is too long", "POST", seeother.OnceOptions{}, []answer{to(503, "Retry-After", "31")}, 1, 503, 0},
		{"a wait without end", "POST", seeother.OnceOptions{}, []answer{to(503, "Retry-After", "99999999999999999999")}, 1, 503, 0},
		{"waits that are too long together", "POST", seeother.OnceOptions{MaxWait: 5 * time.Second}, []answer{to(503, "Retry-After", "3")}, 2, 503, 3 * time.Second},
		{"a Retry-After that is nothing", "POST", seeother.OnceOptions{}, []answer{to(503, "Retry-After", "soon")}, 1, 503, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s := &script{answers: tt.answers}
				resp, err := (&seeother.Client{Transport: s, Once: &tt.once}).Do(request(t, tt.method, "http://a.example/", "text"))
				if (tt.status == 0) != (err != nil) || err == nil && resp.StatusCode != tt.status {
					t.Errorf("got %v, %v", resp, err)
				}
				if len(s.sent) != tt.sent || time.Since(begin) != tt.waited {
					t.Errorf("%d requests in %v", len(s.sent), time.Since(begin))
				}
				for i, b := range s.bodies {
					if b != "text" {
						t.Errorf("request %d: body %q", i, b)
					}
				}
				wantClosed(t, s, err == nil)
			})
		})
	}
}

func TestABodyThatCannotBeSentAgainIsNotRetried(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{to(503, "Retry-After", "0"), to(200)}}
	r := request(t, "POST", "http://a.example/", "text")
	r.GetBody = nil
	resp, err := (&seeother.Client{Transport: s, Once: &seeother.OnceOptions{}}).Do(r)
	if err != nil || resp.StatusCode != 503 || len(s.sent) != 1 {
		t.Errorf("%v, %v after %d requests", resp, err, len(s.sent))
	}
}

func TestTheKeyOfARequest(t *testing.T) {
	t.Parallel()
	random := regexp.MustCompile(`^"[A-Z2-7]{26}"$`)
	fixed := func(*http.Request) string { return "mine" }
	tests := []struct {
		name, method, given string
		once                *seeother.OnceOptions
		header              string
		want                *regexp.Regexp
	}{
		{"is random", "POST", "", &seeother.OnceOptions{}, "Idempotency-Key", random},
		{"is there for DELETE too", "DELETE", "", &seeother.OnceOptions{}, "Idempotency-Key", random},
		{"is not there for GET", "GET", "", &seeother.OnceOptions{}, "Idempotency-Key", regexp.MustCompile("^$")},
		{"is not there for QUERY", "QUERY", "", &seeother.OnceOptions{}, "Idempotency-Key", regexp.MustCompile("^$")},
		{"is not there without Once", "POST", "", nil, "Idempotency-Key", regexp.MustCompile("^$")},
		{"stays as it was given", "POST", "given", &seeother.OnceOptions{Key: fixed}, "Idempotency-Key", regexp.MustCompile("^given$")},
		{"is what the function says", "POST", "", &seeother.OnceOptions{Key: fixed, Header: "X-Key"}, "X-Key", regexp.MustCompile("^mine$")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []answer{to(503, "Retry-After", "1"), to(307, "Location", "/b"), to(303, "Location", "/c"), to(200)}}
				r := request(t, tt.method, "http://a.example/", "text")
				if tt.given != "" {
					r.Header.Set(tt.header, tt.given)
				}
				if _, err := (&seeother.Client{Transport: s, Once: tt.once}).Do(r); err != nil {
					t.Fatal(err)
				}
				key := s.sent[0].Header.Get(tt.header)
				if !tt.want.MatchString(key) {
					t.Errorf("key %q", key)
				}
				for i, sent := range s.sent {
					if want := map[bool]string{true: key}[sent.Method == tt.method]; sent.Header.Get(tt.header) != want {
						t.Errorf("request %d has key %q, want %q", i, sent.Header.Get(tt.header), want)
					}
				}
			})
		})
	}
}

func TestOnceFollows202ToTheResult(t *testing.T) {
	t.Parallel()
	accepted, running := to(202, "Location", "/status"), to(200, "Retry-After", "2")
	tests := []struct {
		name    string
		method  string
		answers []answer
		sent    string
		status  int
		waited  time.Duration
		err     error
	}{
		{"200 with Retry-After while it runs, and 303", "POST", []answer{accepted, running, running, to(303, "Location", "/result"), to(200)}, "POST http://a.example/ text;GET http://a.example/status ;GET http://a.example/status ;GET http://a.example/status ;GET http://a.example/result ;", 200, 4 * time.Second, nil},
		{"202 while it runs, and 200", "POST", []answer{accepted, to(202), to(200)}, "POST http://a.example/ text;GET http://a.example/status ;GET http://a.example/status ;", 200, time.Second, nil},
		{"the result may have a Retry-After", "POST", []answer{accepted, to(303, "Location", "/result"), running}, "POST http://a.example/ text;GET http://a.example/status ;GET http://a.example/result ;", 200, 0, nil},
		{"a status that is gone", "POST", []answer{accepted, to(410)}, "POST http://a.example/ text;GET http://a.example/status ;", 410, 0, nil},
		{"without a Location", "POST", []answer{to(202)}, "POST http://a.example/ text;", 202, 0, nil},
		{"with a bad one, it was accepted all the same", "POST", []answer{to(202, "Location", "ftp:x")}, "POST http://a.example/ text;", 202, 0, nil},
		{"a GET did not start anything", "GET", []answer{accepted}, "GET http://a.example/ text;", 202, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s := &script{answers: tt.answers}
				resp, err := (&seeother.Client{Transport: s, Once: &seeother.OnceOptions{}}).Do(request(t, tt.method, "http://a.example/", "text"))
				if !errors.Is(err, tt.err) || err == nil && resp.StatusCode != tt.status {
					t.Errorf("got %v, %v", resp, err)
				}
				if s.line() != tt.sent || time.Since(begin) != tt.waited {
					t.Errorf("in %v sent %s", time.Since(begin), s.line())
				}
				wantClosed(t, s, err == nil)
			})
		})
	}
}

func TestWhatRunsTooLongIsAnErrorThatSaysWhereToAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{to(202, "Location", "/status"), to(200, "Retry-After", "0")}}
		r := request(t, "POST", "http://a.example/", "text")
		r.Body, r.GetBody = io.NopCloser(r.Body), nil // it need not be sent again
		_, err := (&seeother.Client{Transport: s, Once: &seeother.OnceOptions{MaxWait: time.Second}}).Do(r)
		var typed *seeother.RedirectError
		if !errors.Is(err, seeother.ErrStillRunning) || !errors.As(err, &typed) || typed.Hop.URL.Path != "/status" || len(s.sent) != 12 {
			t.Errorf("got %v after %d requests", err, len(s.sent))
		}
	})
}

func TestTheContextEndsAWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, first := range []answer{to(503, "Retry-After", "5"), to(202, "Location", "/status")} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			begin := time.Now()
			s := &script{answers: []answer{first, to(200, "Retry-After", "5")}}
			_, err := (&seeother.Client{Transport: s, Once: &seeother.OnceOptions{}}).Do(request(t, "POST", "http://a.example/", "text").WithContext(ctx))
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 2*time.Second {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
			wantClosed(t, s, false)
		}
	})
}

// A server that really is not there, then is.
func TestARefusedConnectionOfARealServerIsTriedAgain(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	server := &http.Server{Handler: http.NotFoundHandler()}
	defer server.Close()
	tries := 0
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if tries++; tries == 2 {
			again, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			addr = again.Addr().String()
			go func() { _ = server.Serve(again) }()
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&seeother.Client{Transport: transport, Once: &seeother.OnceOptions{}}).Do(request(t, "POST", "http://a.example/", "text"))
	if err != nil || resp.StatusCode != http.StatusNotFound || tries != 2 {
		t.Fatalf("%v, %v after %d tries", resp, err, tries)
	}
	_ = resp.Body.Close()
}
