package once

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serve is a real server in front of the app.
func serve(t *testing.T, cfg Config, p Policy, a *app) (*Guard, *httptest.Server) {
	t.Helper()
	g := newGuard(t, newFaulty(), cfg)
	server := httptest.NewServer(g.Handler(p, a))
	t.Cleanup(server.Close)
	return g, server
}

// dial sends the beginning of a request by hand, so that it can break off.
func dial(t *testing.T, server *httptest.Server, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func head(key string, length int) string {
	return fmt.Sprintf("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n%s: %s\r\nContent-Length: %d\r\n\r\n", DefaultHeader, key, length)
}

// reply is an answer that was read to its end.
type reply struct {
	StatusCode      int
	Header, Trailer http.Header
}

// sendTo posts by a real client and returns the answer with its body.
func sendTo(t *testing.T, server *httptest.Server, key string, body io.Reader) (reply, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, server.URL+"/orders", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "h"
	req.Header.Set(DefaultHeader, key)
	req.Header.Set("Content-Type", "text/plain")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, res.Trailer}, string(text)
}

func TestAClientThatGoesAwayGetsItsAnswerLater(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-release
		if r.Context().Err() != nil {
			t.Error("the app's request was cancelled")
		}
		_, _ = io.WriteString(w, "first")
	}}
	g, server := serve(t, Config{}, Policy{}, a)
	conn := dial(t, server, head("k", 4)+"body")
	<-started
	conn.Close()
	close(release)
	eventually(t, "the record", func() bool { return only(t, g).State == StateCompleted })
	if res, text := sendTo(t, server, "k", strings.NewReader("body")); res.StatusCode != 200 || text != "first" {
		t.Errorf("got %d %q", res.StatusCode, text)
	}
	a.mustHaveRun(t, 1)
}

func TestAClientThatBreaksOffASmallBodyStartsNothing(t *testing.T) {
	a := &app{}
	g, server := serve(t, Config{}, Policy{}, a)
	dial(t, server, head("k", 4)+"bo").Close()
	eventually(t, "the refusal", func() bool { return g.Stats().Outcomes["cut-short"] == 1 })
	if page, err := g.List(t.Context(), Query{}); err != nil || len(page.Records) != 0 {
		t.Errorf("records %+v, %v", page.Records, err)
	}
	a.mustHaveRun(t, 0)
	if res, _ := sendTo(t, server, "k", strings.NewReader("body")); res.StatusCode != 201 {
		t.Errorf("the same key got %d", res.StatusCode)
	}
}

func TestAClientThatBreaksOffALargeBodyLeavesDoubt(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"an app that complains": func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				http.Error(w, "bad", 400)
			}
		},
		"an app that does not look": func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
	} {
		t.Run(name, func(t *testing.T) {
			started := make(chan struct{})
			a := &app{answer: func(w http.ResponseWriter, r *http.Request) { close(started); answer(w, r) }}
			g, server := serve(t, Config{Buffer: 10}, Policy{}, a)
			conn := dial(t, server, head("k", 100)+strings.Repeat("x", 50))
			<-started
			conn.Close()
			eventually(t, "the record", func() bool { return only(t, g).State != StateStarted })
			mustBeState(t, g, StateUncertain)
			if res, text := sendTo(t, server, "k", strings.NewReader(strings.Repeat("x", 100))); res.StatusCode != 409 {
				t.Errorf("got %d %s", res.StatusCode, text)
			}
			a.mustHaveRun(t, 1)
			eventually(t, "the end of it", func() bool { s := g.Stats(); return s.Memory == 0 && s.Active == 0 && s.Running == 0 })
		})
	}
}

func TestALargeBodyStreamsAndIsCompared(t *testing.T) {
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, _ := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x", n, h.Sum(nil))
	}}
	g, server := serve(t, Config{Buffer: 1000}, Policy{}, a)
	large := bytes.Repeat([]byte("0123456789"), 100_000)
	want := fmt.Sprintf("%d %x", len(large), sha256.Sum256(large))
	for range 2 {
		if res, text := sendTo(t, server, "k", bytes.NewReader(large)); res.StatusCode != 200 || text != want {
			t.Errorf("got %d %.200q", res.StatusCode, text)
		}
	}
	if res, text := sendTo(t, server, "k", io.MultiReader(bytes.NewReader(large))); res.StatusCode != 200 || text != want {
		t.Errorf("chunked: got %d %.200q", res.StatusCode, text)
	}
	large[len(large)-1]++
	if res, _ := sendTo(t, server, "k", bytes.NewReader(large)); res.StatusCode != 422 {
		t.Errorf("the last byte makes no difference: %d", res.StatusCode)
	}
	a.mustHaveRun(t, 1)
	eventually(t, "the end of it", func() bool { return g.Stats().Memory == 0 })
}

func TestADuplicateOfALargeBodyWaitsForItsFingerprint(t *testing.T) {
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "first")
	}}
	g, server := serve(t, Config{Buffer: 10}, Policy{}, a)
	first := dial(t, server, head("k", 20)+"0123456789")
	eventually(t, "the start", func() bool { return g.Stats().Running == 1 })
	second := dial(t, server, head("k", 20)+"01234567890123456789")
	other := dial(t, server, head("k", 20)+"0123456789012345678X")
	eventually(t, "the waiting", func() bool { return g.Stats().Active == 3 })
	_, _ = io.WriteString(first, "0123456789")
	for conn, want := range map[net.Conn]int{first: 200, second: 200, other: 422} {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("got %d, want %d", res.StatusCode, want)
		}
	}
	a.mustHaveRun(t, 1)
}

// An app that answers before it has the body must not wait for a client that
// waits for the answer.
func TestAnEarlyAnswerDoesNotWaitForTheBody(t *testing.T) {
	reading := make(chan struct{})
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		go func() { // as a Transport that sends the body while the answer comes
			_, _ = io.ReadFull(r.Body, make([]byte, 12))
			close(reading)
			_, _ = io.Copy(io.Discard, r.Body)
		}()
		<-reading
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = w.Write(make([]byte, 10_000)) // more than net/http holds back until the handler is done
	}}
	g, server := serve(t, Config{Buffer: 10}, Policy{}, a)
	conn := dial(t, server, head("k", 1<<20)+"0123456789ab")
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("got %d", res.StatusCode)
	}
	mustBeState(t, g, StateCompleted)
	eventually(t, "the end of it", func() bool { s := g.Stats(); return s.Memory == 0 && s.Active == 0 })
	if res, text := sendTo(t, server, "k", bytes.NewReader(make([]byte, 1<<20))); res.StatusCode != 409 || !strings.Contains(text, "before it had read the whole body") {
		t.Errorf("got %d %s", res.StatusCode, text)
	}
	a.mustHaveRun(t, 1)
}

func TestAnAnswerThatIsNotKeptIsOnRecordBeforeItsFirstByte(t *testing.T) {
	tests := []struct {
		name        string
		contentType string
		first       string
	}{
		{"larger than the limit", "text/plain", strings.Repeat("x", 11)},
		{"an event stream", "text/event-stream; charset=utf-8", "data: 1\n\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			more := make(chan struct{})
			a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				_, _ = io.WriteString(w, test.first)
				w.(http.Flusher).Flush()
				<-more
				_, _ = io.WriteString(w, "more")
			}}
			g, server := serve(t, Config{ResultLimit: 10}, Policy{}, a)
			conn := dial(t, server, head("k", 4)+"body")
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			begin := make([]byte, len(test.first))
			if _, err := io.ReadFull(res.Body, begin); err != nil || string(begin) != test.first {
				t.Fatalf("got %q, %v", begin, err)
			}
			if s := mustBeState(t, g, StateCompleted); s.BodyKept || s.Status != 200 {
				t.Errorf("record %+v", s)
			}
			again, text := sendTo(t, server, "k", strings.NewReader("body"))
			if again.StatusCode != 409 || !strings.Contains(text, "it was too large, or a stream") {
				t.Errorf("a duplicate gets %d %s", again.StatusCode, text)
			}
			close(more)
			if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "more" {
				t.Errorf("the rest is %q, %v", rest, err)
			}
			a.mustHaveRun(t, 1)
			eventually(t, "the end of it", func() bool { s := g.Stats(); return s.Memory == 0 && s.Active == 0 })
		})
	}
}

// counter is a client that takes whatever comes, and keeps nothing.
type counter struct {
	header http.Header
	status int
	n      int64
	most   int64 // bytes that the guard held meanwhile
	guard  *Guard
}

func (c *counter) Header() http.Header    { return c.header }
func (c *counter) WriteHeader(status int) { c.status = status }
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	c.most = max(c.most, c.guard.memory.Load())
	return len(p), nil
}

func TestAnAnswerOfFiveGigabytesIsNotHeld(t *testing.T) {
	const piece, all = 1 << 20, 5 << 30
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
		p := make([]byte, piece)
		for range all / piece {
			if _, err := w.Write(p); err != nil {
				t.Error(err)
				return
			}
		}
	}}
	g := newGuard(t, newFaulty(), Config{ResultLimit: 4 << 20})
	c := &counter{header: http.Header{}, guard: g}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	g.Handler(Policy{}, a).ServeHTTP(c, request("k", "body", nil))
	runtime.ReadMemStats(&after)
	if c.status != 200 || c.n != all {
		t.Errorf("the client got %d and %d bytes", c.status, c.n)
	}
	if took := after.TotalAlloc - before.TotalAlloc; c.most > 5<<20 || took > 64<<20 {
		t.Errorf("%d bytes were held, and %d taken in all", c.most, took)
	}
	if s := mustBeState(t, g, StateCompleted); s.BodyKept || g.Stats().Memory != 0 {
		t.Errorf("record %+v, %d bytes are held", s, g.Stats().Memory)
	}
	mustBe(t, post(g.Handler(Policy{}, a), "k", "body"), 409, "answer-not-kept")
	a.mustHaveRun(t, 1)
}

func TestAnAnswerOfExactlyTheLimitIsKept(t *testing.T) {
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "01234")
		_, _ = io.WriteString(w, "56789")
	}}
	g := newGuard(t, newFaulty(), Config{ResultLimit: 10})
	h := g.Handler(Policy{}, a)
	post(h, "k", "body")
	mustBe(t, post(h, "k", "body"), 200, "0123456789")
}

func TestWithoutMemoryAnswersAreNotKept(t *testing.T) {
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "0123456789") }}
	g := newGuard(t, newFaulty(), Config{Memory: 10})
	h := g.Handler(Policy{}, a)
	mustBe(t, post(h, "k", "b"), 200, "0123456789")
	mustBe(t, post(h, "k", "b"), 409, "answer-not-kept")
	mustBe(t, post(h, "l", ""), 200, "0123456789")
	mustBe(t, post(h, "l", ""), 200, "0123456789")
	if !g.hold(5) {
		t.Fatal("memory is left over")
	}
	mustBe(t, post(h, "l", ""), 503, "overloaded") // a slow reader of it would hold what is not there
	g.letGo(5)
	a.mustHaveRun(t, 2)
}

func TestASilentStreamWithoutAClientEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 1)
		a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			<-r.Context().Done()
			ended <- time.Since(start)
		}}
		g := newGuard(t, newFaulty(), Config{})
		ctx, leave := context.WithCancel(t.Context())
		go do(g.Handler(Policy{}, a), request("k", "body", nil).WithContext(ctx))
		synctest.Wait()
		time.Sleep(time.Hour) // a client that is there may stay
		leave()
		if got := <-ended; got != time.Hour+5*time.Minute {
			t.Errorf("ended after %s", got)
		}
		_ = g.Close(t.Context())
	})
}

func TestTrailers(t *testing.T) {
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Digest")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("Digest", "sha-256=x")
		w.Header().Set(http.TrailerPrefix+"Etag", `"e"`)
	}}
	for name, cfg := range map[string]Config{"held": {}, "passing": {ResultLimit: 1}} {
		t.Run(name, func(t *testing.T) {
			_, server := serve(t, cfg, Policy{}, a)
			res, text := sendTo(t, server, "k", strings.NewReader("body"))
			if text != "body" || fmt.Sprint(res.Trailer["Digest"], res.Trailer["Etag"]) != `[sha-256=x] ["e"]` {
				t.Errorf("got %q, trailer %v", text, res.Trailer)
			}
			if name == "held" {
				res, text = sendTo(t, server, "k", strings.NewReader("body"))
				if text != "body" || fmt.Sprint(res.Trailer["Digest"], res.Trailer["Etag"]) != `[sha-256=x] ["e"]` {
					t.Errorf("a duplicate got %q, trailer %v", text, res.Trailer)
				}
			}
		})
	}
}

func TestBodilessAnswersAndInterimOnes(t *testing.T) {
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNoContent)
		w.WriteHeader(http.StatusTeapot)
	}}
	_, server := serve(t, Config{}, Policy{}, a)
	for range 2 {
		if res, text := sendTo(t, server, "k", strings.NewReader("body")); res.StatusCode != 204 || text != "" {
			t.Errorf("got %d %q", res.StatusCode, text)
		}
	}
	a.mustHaveRun(t, 1)
}

func TestAHijackedConnectionIsOnRecordFirst(t *testing.T) {
	g := newGuard(t, newFaulty(), Config{})
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		mustBeState(t, g, StateCompleted)
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	}}
	server := httptest.NewServer(g.Handler(Policy{}, a))
	defer server.Close()
	conn := dial(t, server, head("k", 0))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 101 {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestFormsLeaveNoGoroutines(t *testing.T) {
	g := newGuard(t, newFaulty(), Config{Buffer: 100})
	a := &app{answer: func(http.ResponseWriter, *http.Request) {}} // reads nothing
	h := g.Handler(Policy{}, a)
	before := runtime.NumGoroutine()
	contentType, small := form("XX", part("a", "", "", "1"))
	_, large := form("XX", part("a", "", "", strings.Repeat("1", 1000)))
	for n, body := range []string{small, large, small[:20], large[:200], "", small, large} {
		key := fmt.Sprint(n % 5) // the last two are duplicates
		do(h, request(key, body, header("Content-Type", contentType)))
		r := request("broken"+key, body, header("Content-Type", contentType))
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), brokenReader{}))
		do(h, r)
	}
	eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
	if m := g.Stats().Memory; m != 0 {
		t.Errorf("%d bytes are held", m)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errDisk }

func TestABodyOverTheServersLimitIsRefused(t *testing.T) {
	a := &app{}
	h := newGuard(t, newFaulty(), Config{}).Handler(Policy{}, a)
	limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 3)
		h.ServeHTTP(w, r)
	})
	mustBe(t, do(limited, request("k", "body", nil)), 413, "At most 3 bytes")
	a.mustHaveRun(t, 0)
}
