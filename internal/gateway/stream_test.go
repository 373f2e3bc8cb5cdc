package gateway

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/seeother/seeother/once"
)

func TestBodyIsEchoedWhileItIsSent(t *testing.T) {
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.EnableFullDuplex()
		control.Flush()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			w.Write(bytes.ToUpper(buf[:n]))
			control.Flush()
			if err != nil {
				return
			}
		}
	}), options{})
	in, out := io.Pipe()
	req := s.request("POST", "/", "")
	req.Body = in
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, word := range []string{"one", "two", "three"} {
		io.WriteString(out, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != strings.ToUpper(word) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	out.Close()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("rest %q, %v", rest, err)
	}
}

// An app that answers and does not want the rest must be heard before the
// client has sent it; afterwards the connection cannot be used.
func TestAnswerBeforeTheEndOfTheBodyArrivesWhole(t *testing.T) {
	for name, length := range map[string]string{"length known": "Content-Length: 100000", "chunked": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
				readHead(in)
				io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
				io.Copy(io.Discard, in)
			}), options{})
			conn, in := s.dial()
			begin := time.Now()
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\n"+length+"\r\n\r\n")
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, res)
			check(t, got, 403, "")
			equal(t, "body", got.body, "no")
			equal(t, "Connection: close", res.Close, true)
			// What comes now is the body's rest, whatever it looks like.
			io.WriteString(conn, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
			closed(t, in)
			if took := time.Since(begin); took > patience/2 {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestEventsArriveOneByOne(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, key string
	}{
		{"GET", "GET", "/", ""},
		{"POST through see-other", "POST", "/", ""},
		{"POST through the guard", "POST", "/pay", "k"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next := make(chan struct{})
			s := newSite(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				for range 3 {
					io.WriteString(w, "data: x\n\n")
					w.(http.Flusher).Flush()
					<-next
				}
			}), options{guarded: true, routes: append(guardedRoute, Route{})})
			req := s.request(tt.method, tt.path, "")
			if tt.key != "" {
				req.Header.Set("Idempotency-Key", tt.key)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got := make([]byte, len("data: x\n\n"))
			for range 3 {
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "data: x\n\n" {
					t.Fatalf("event %q, %v", got, err)
				}
				next <- struct{}{}
			}
			if tt.key != "" {
				equal(t, "records", s.states(), "completed")
			}
		})
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	for name, path := range map[string]string{"plain": "/", "guarded": "/pay"} {
		t.Run(name, func(t *testing.T) {
			s := guarded(t, app(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Trailer", "Checksum")
				io.WriteString(w, "body")
				w.Header().Set("Checksum", r.Trailer.Get("Sum"))
				w.Header().Set(http.TrailerPrefix+"Unannounced", "yes")
			}))
			req := s.request("POST", path, "", "Idempotency-Key", "k")
			req.Body = io.NopCloser(strings.NewReader("a=1"))
			req.Trailer = http.Header{"Sum": {"42"}}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, res)
			equal(t, "body", got.body, "body")
			equal(t, "announced trailer", res.Trailer.Get("Checksum"), "42")
			equal(t, "other trailer", res.Trailer.Get("Unannounced"), "yes")
		})
	}
}

func TestWebSocketPasses(t *testing.T) {
	s := guarded(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		for {
			kind, text, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			conn.Write(r.Context(), kind, bytes.ToUpper(text))
		}
	}))
	for name, path := range map[string]string{"see-other": "/ws", "guarded route": "/pay"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn, _, err := websocket.Dial(ctx, "http://"+s.addr+path, &websocket.DialOptions{HTTPHeader: http.Header{"Idempotency-Key": {"k"}}})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			for _, text := range []string{"one", strings.Repeat("long ", 5000)} {
				if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
					t.Fatal(err)
				}
				if _, got, err := conn.Read(ctx); err != nil || string(got) != strings.ToUpper(text) {
					t.Fatalf("got %d bytes, %v", len(got), err)
				}
			}
			if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOtherUpgradesPass(t *testing.T) {
	s := guarded(t, rawApp(t, func(_ int, conn net.Conn, in *bufio.Reader) {
		head, _ := readHead(in)
		if !strings.Contains(head, "\r\nUpgrade: foo\r\n") {
			t.Errorf("the app got %q", head)
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\nX-App: yes\r\n\r\nhello ")
		line, _ := in.ReadString('\n')
		io.WriteString(conn, strings.ToUpper(line))
	}))
	for name, request := range map[string]string{
		"GET":          "GET /foo HTTP/1.1\r\nHost: a\r\n",
		"POST":         "POST /foo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n",
		"guarded POST": "POST /pay HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, in := s.dial()
			io.WriteString(conn, request+"Connection: upgrade\r\nUpgrade: foo\r\n\r\n")
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			equal(t, "status", res.StatusCode, 101)
			equal(t, "X-App", res.Header.Get("X-App"), "yes")
			io.WriteString(conn, "world\n")
			if line, err := in.ReadString('\n'); line != "hello WORLD\n" {
				t.Errorf("got %q, %v", line, err)
			}
		})
	}
}

func TestInterimAnswersPass(t *testing.T) {
	t.Run("103 Early Hints", func(t *testing.T) {
		m := &counter{}
		s := newSite(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.WriteHeader(http.StatusAccepted)
		}), options{config: func(c *Config) { c.Metrics = m }})
		hints := make(chan string, 2)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints <- http.StatusText(code) + " " + h.Get("Link")
			return nil
		}})
		res, err := client.Do(s.request("GET", "/", "").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		read(t, res)
		equal(t, "hint", within(t, "the hint", hints), "Early Hints </a.css>; rel=preload")
		equal(t, "status", res.StatusCode, 202)
		equal(t, "Link of the answer", res.Header.Get("Link"), "")
		eventually(t, "the request is counted", func() bool { return m.done.Load() == 1 })
		equal(t, "counted", m.last(), "GET 202")
	})
	t.Run("100 Continue, when the app reads", func(t *testing.T) {
		s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }), options{})
		got := s.do("POST", "/", "a=1", "Expect", "100-continue")
		equal(t, "body", got.body, "a=1")
	})
	t.Run("no 100 Continue, when the app does not want the body", func(t *testing.T) {
		s := newSite(t, app(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }), options{})
		conn, in := s.dial()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		equal(t, "status", res.StatusCode, 403)
		equal(t, "Connection: close", res.Close, true)
	})
}

// A client that takes nothing for a while and then goes on misses nothing.
func TestClientThatReadsSlowlyGetsAll(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<18)
	s := newSite(t, app(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, big) }), options{})
	conn, in := s.dial()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got bytes.Buffer
	for piece := int64(1); ; piece *= 2 {
		if _, err := io.CopyN(&got, res.Body, piece); err != nil {
			break
		}
		time.Sleep(time.Millisecond) // slow, not a synchronisation
	}
	if got.String() != big {
		t.Errorf("got %d bytes of %d", got.Len(), len(big))
	}
}

// The limit for one answer must not hit the next one on the connection.
func TestLargeAnswerLeavesNoDeadlineBehind(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			io.WriteString(w, big)
		}
	}), options{config: func(c *Config) { c.Timeouts.ClientWrite = 200 * time.Millisecond }})
	conn, in := s.dial()
	for _, path := range []string{"/big", "/small"} {
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		check(t, read(t, res), 200, "")
		time.Sleep(250 * time.Millisecond) // past the deadline of the first
	}
}

// The limit is for one piece, not for the whole answer.
func TestAnswerMayTakeLongerThanAPieceOfIt(t *testing.T) {
	s := newSite(t, app(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 6 {
			io.WriteString(w, strings.Repeat("x", 100<<10))
			http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond) // longer in all than the limit
		}
	}), options{config: func(c *Config) { c.Timeouts.ClientWrite = 400 * time.Millisecond }})
	equal(t, "length", len(s.do("GET", "/", "").body), 600<<10)
}

func TestClientThatTakesNothingIsGivenUp(t *testing.T) {
	gone := make(chan struct{})
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
				return
			}
		}
	}), options{config: func(c *Config) { c.Timeouts.ClientWrite = 50 * time.Millisecond }})
	conn, _ := s.dial()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	within(t, "the end", gone)
}

func TestClientThatGoesAway(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		canceled   bool
	}{
		{"cancels an unguarded request", "/", true},
		{"does not cancel a guarded one", "/pay", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var release sync.Once
			begun, finish, ended := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
			defer release.Do(func() { close(finish) })
			m := &counter{}
			s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				begun <- struct{}{}
				select {
				case <-r.Context().Done():
				case <-finish:
				}
				ended <- r.Context().Err()
				io.WriteString(w, "paid")
			}), options{guarded: true, routes: guardedRoute, config: func(c *Config) { c.Metrics = m }})
			conn, _ := s.dial()
			io.WriteString(conn, "POST "+tt.path+" HTTP/1.1\r\nHost: "+s.addr+"\r\nIdempotency-Key: k\r\nContent-Length: 3\r\n\r\na=1")
			within(t, "the request", begun)
			conn.Close()
			if tt.canceled {
				if err := within(t, "the end", ended); err == nil {
					t.Error("the app was not told")
				}
				eventually(t, "the request is counted", func() bool { return m.done.Load() == 1 })
				equal(t, "canceled", m.failed("canceled"), 1)
				return
			}
			equal(t, "records", s.states(), "started")
			release.Do(func() { close(finish) })
			if err := within(t, "the end", ended); err != nil {
				t.Errorf("the app was told: %v", err)
			}
			eventually(t, "the answer is recorded", func() bool { return s.states() == "completed" })
			got := s.do("POST", "/pay", "a=1", "Idempotency-Key", "k")
			equal(t, "body", got.body, "paid")
			equal(t, "Idempotent-Replayed", got.Header.Get("Idempotent-Replayed"), "true")
		})
	}
}

// A body that is too large for the guard's buffer streams to the app; a client
// that breaks it off leaves doubt.
func TestLargeGuardedBody(t *testing.T) {
	lengths := make(chan int64, 2)
	s := newSite(t, app(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		lengths <- n
		if err == nil {
			io.WriteString(w, "paid")
		}
	}), options{guarded: true, routes: guardedRoute, once: once.Config{Buffer: 1000}})
	body := strings.Repeat("x", 100_000)
	check(t, s.pay("k", body), 200, "")
	equal(t, "length", within(t, "the request", lengths), int64(len(body)))
	equal(t, "Idempotent-Replayed", s.pay("k", body).Header.Get("Idempotent-Replayed"), "true")

	conn, _ := s.dial()
	io.WriteString(conn, "POST /pay HTTP/1.1\r\nHost: "+s.addr+"\r\nIdempotency-Key: k2\r\nContent-Length: 100000\r\n\r\n"+body[:50_000])
	conn.Close()
	within(t, "the request", lengths)
	eventually(t, "doubt", func() bool { return strings.Contains(s.states(), "uncertain") })
	check(t, s.pay("k2", body), 409, "outcome-uncertain")
}
