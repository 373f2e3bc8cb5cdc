package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/internal/openapitest"
)

// follower reads a stream of decisions.
type follower struct {
	t      *testing.T
	lines  *bufio.Reader
	header http.Header
	close  func() error
}

// follow opens a stream, and returns when it is subscribed.
func (w *world) follow(t *testing.T, query string, header ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/api/v1/decisions/stream"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	f := &follower{t: t, lines: bufio.NewReader(res.Body), header: res.Header, close: res.Body.Close}
	if media := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || media != "text/event-stream" {
		t.Fatalf("status %d, Content-Type %q", res.StatusCode, media)
	}
	if got := f.block(); got != "retry: 2000\n" {
		t.Fatalf("the stream begins with %q", got)
	}
	return f
}

// block reads to the next empty line; "" at the end of the stream.
func (f *follower) block() string {
	f.t.Helper()
	var out strings.Builder
	for {
		line, err := f.lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return ""
		}
		if err != nil {
			f.t.Fatalf("stream: %v after %q", err, out.String())
		}
		if line == "\n" {
			return out.String()
		}
		out.WriteString(line)
	}
}

var eventForm = regexp.MustCompile(`^id: ([0-9]+)\ndata: (.*)\n$`)

// next reads one decision.
func (f *follower) next() Event {
	f.t.Helper()
	block := f.block()
	parts := eventForm.FindStringSubmatch(block)
	if parts == nil {
		f.t.Fatalf("%q is no event", block)
	}
	var event Event
	if err := json.Unmarshal([]byte(parts[2]), &event); err != nil {
		f.t.Fatal(err)
	}
	if strconv.FormatUint(event.ID, 10) != parts[1] {
		f.t.Errorf("id %s, and in the data %d", parts[1], event.ID)
	}
	return event
}

func (w *world) decide(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		w.events.Observe(t.Context(), decision(path))
	}
}

func (f *follower) want(paths ...string) {
	f.t.Helper()
	for _, path := range paths {
		if got := f.next(); got.Decision != decision(path) {
			f.t.Fatalf("got %+v, want %s", got, path)
		}
	}
}

func TestStreamSendsDecisionsInTheirOrder(t *testing.T) {
	w := start(t, Config{})
	w.decide(t, "/before")
	f := w.follow(t, "")
	var last uint64
	for i := range 50 {
		w.decide(t, fmt.Sprint("/", i))
		got := f.next()
		if got.Decision != decision(fmt.Sprint("/", i)) || last != 0 && got.ID != last+1 {
			t.Fatalf("event %d is %+v after %d", i, got, last)
		}
		last = got.ID
	}
}

func TestWhatIsStreamedIsADecisionOfTheDescription(t *testing.T) {
	w := start(t, Config{})
	f := w.follow(t, "")
	w.decide(t, "/a\n\ndata: forged")
	parts := eventForm.FindStringSubmatch(f.block())
	if parts == nil {
		t.Fatal("a line break in a path broke the event")
	}
	var value any
	if err := json.Unmarshal([]byte(parts[2]), &value); err != nil {
		t.Fatal(err)
	}
	s := openapitest.Read(t, w.handler.openapi)
	for _, wrong := range s.Validate(s.Components.Schemas["Decision"], value, "$") {
		t.Error(wrong)
	}
}

func TestStreamGoesOnWhereAReaderLeftOff(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		header      []string
		want        []string
	}{
		{"in a header", "", []string{"Last-Event-ID", "SECOND"}, []string{"/3", "/4"}},
		{"in the query", "?after=THIRD", nil, []string{"/4"}},
		{"the header is newer than the query", "?after=SECOND", []string{"Last-Event-ID", "THIRD"}, []string{"/4"}},
		{"before all that is kept", "?after=1", nil, []string{"/1", "/2", "/3", "/4"}},
		{"nothing", "", nil, nil},
		{"a number that is none", "?after=x", nil, nil},
		{"an id that is yet to come", "?after=18446744073709551615", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, Config{})
			w.decide(t, "/1", "/2", "/3", "/4")
			newest := w.events.Last(4)
			ids := strings.NewReplacer("SECOND", strconv.FormatUint(newest[2].ID, 10), "THIRD", strconv.FormatUint(newest[1].ID, 10))
			for i := range tt.header {
				tt.header[i] = ids.Replace(tt.header[i])
			}
			f := w.follow(t, ids.Replace(tt.query), tt.header...)
			w.decide(t, "/live")
			f.want(append(tt.want, "/live")...)
		})
	}
}

// What happens between the page and its stream is neither lost nor shown twice.
func TestStreamGoesOnWhereThePageEnds(t *testing.T) {
	w := start(t, Config{})
	for _, before := range [][]string{nil, {"/on-the-page"}} {
		w.decide(t, before...)
		page := w.get(t, "/")
		w.decide(t, "/between")
		after := regexp.MustCompile(`data-after="([0-9]+)"`).FindStringSubmatch(page.body)
		if after == nil {
			t.Fatal("the page does not say where the stream goes on")
		}
		f := w.follow(t, "?after="+after[1])
		f.want("/between")
	}
}

func TestStopEndsStreams(t *testing.T) {
	w := start(t, Config{})
	f := w.follow(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		t.Fatalf("the server waits for its streams: %v", err)
	}
	if got := f.block(); got != "" {
		t.Errorf("got %q, want the end", got)
	}
}

func TestNoStreamBeginsWhileStopping(t *testing.T) {
	w := start(t, Config{})
	w.handler.Stop()
	got := w.get(t, "/api/v1/decisions/stream")
	if got.status != http.StatusServiceUnavailable || problemType(t, got) != "stopping" || got.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
}

func TestStreamsAreLimited(t *testing.T) {
	w := start(t, Config{})
	var open []*subscriber
	for range maxSubscribers {
		_, s, err := w.events.subscribe(0)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	got := w.get(t, "/api/v1/decisions/stream")
	if got.status != http.StatusServiceUnavailable || problemType(t, got) != "too-many-streams" || got.header.Get("Retry-After") != "15" {
		t.Errorf("status %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	w.events.unsubscribe(open[0])
	w.follow(t, "")
}

func TestHEADOfAStreamEnds(t *testing.T) {
	w := start(t, Config{})
	if got := w.do(t, http.MethodHead, "/api/v1/decisions/stream", ""); got.status != http.StatusOK {
		t.Errorf("status %d", got.status)
	}
	if n := w.events.streams(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

func (e *Events) streams() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.subscribers)
}

func TestStreamIsForThisSiteOnly(t *testing.T) {
	f := start(t, Config{}).follow(t, "", "Origin", "https://evil.example")
	if f.header.Get("Access-Control-Allow-Origin") != "" || f.header.Get("Cross-Origin-Resource-Policy") != "same-origin" ||
		f.header.Get("Cache-Control") != "no-store" || f.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("header %v", f.header)
	}
}

// piped serves handler on one connection without buffers, so that a client
// which does not read is felt at once, and fake time passes.
func piped(t *testing.T, handler *Handler) net.Conn {
	t.Helper()
	client, conn := net.Pipe()
	listener := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	listener.conn <- conn
	server := NewServer(handler)
	go func() { _ = server.Serve(listener) }() // ends with ErrServerClosed
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
		synctest.Wait()
	})
	return client
}

type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// openPiped asks for a stream and reads up to its beginning.
func openPiped(t *testing.T, events *Events) (net.Conn, *bufio.Reader) {
	t.Helper()
	client := piped(t, New(Config{Token: token, Log: slog.New(slog.DiscardHandler)}, Sources{Events: events}))
	_, err := io.WriteString(client, "GET /api/v1/decisions/stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(client)
	readUntil(t, lines, "retry: 2000\n")
	return client, lines
}

func readUntil(t *testing.T, lines *bufio.Reader, want string) {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%q did not come: %v", want, err)
		}
		if line == want {
			return
		}
	}
}

func TestAReaderWhoReadsNoMoreIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := NewEvents(0)
		openPiped(t, events)
		events.Observe(t.Context(), decision("/a"))
		time.Sleep(streamWrite - time.Second)
		synctest.Wait()
		if n := events.streams(); n != 1 {
			t.Fatalf("%d streams before the time is up, want 1", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := events.streams(); n != 0 {
			t.Errorf("%d streams are left, want none", n)
		}
	})
}

// The server's own limits on time are for short answers: a quiet stream lives
// longer, and says so every now and then.
func TestAQuietStreamShowsThatItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := NewEvents(0)
		client, lines := openPiped(t, events)
		begin := time.Now()
		for range 20 {
			readUntil(t, lines, ":\n")
		}
		if took := time.Since(begin); took != 20*heartbeat || took <= writeTimeout || took <= readTimeout {
			t.Errorf("20 signs of life took %v", took)
		}
		go events.Observe(t.Context(), decision("/late"))
		for line := ""; !strings.Contains(line, `"path":"/late"`); {
			var err error
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		_ = client.Close()
		synctest.Wait()
		if n := events.streams(); n != 0 {
			t.Errorf("%d streams are left after the client went away", n)
		}
	})
}

// FuzzLastEventID: whatever a client says it saw last, it gets what came after
// that and is kept, or nothing.
func FuzzLastEventID(f *testing.F) {
	for _, seed := range []string{"", "0", "1", "-1", "+5", " 7", "18446744073709551615", "18446744073709551616", "1e3", "0x10", "x", "1_000"} {
		f.Add(seed, "")
		f.Add("", seed)
	}
	f.Fuzz(func(t *testing.T, header, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Last-Event-ID", header)
		r.URL.RawQuery = url.Values{"after": {query}}.Encode()
		id := lastEventID(r)
		said := header
		if said == "" {
			said = query
		}
		if id != 0 && strings.TrimLeft(said, "0") != strconv.FormatUint(id, 10) {
			t.Errorf("header %q, query %q: id %d", header, query, id)
		}
		events := NewEvents(4)
		for range 6 {
			events.Observe(t.Context(), decision("/a"))
		}
		missed, s, err := events.subscribe(id)
		if err != nil {
			t.Fatal(err)
		}
		defer events.unsubscribe(s)
		for _, event := range missed {
			if id == 0 || event.ID <= id {
				t.Errorf("after %d came %d", id, event.ID)
			}
		}
	})
}
