package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"

	"github.com/coder/websocket"
)

func serverSentEvents(t *testing.T, s site) {
	// The stream lasts for 30 s: events that arrive before are not held back.
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.gateway.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := plain.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, want := range []string{"data: 1", "", "data: 2", "", "data: 3"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("line %q (%v), want %q", lines.Text(), lines.Err(), want)
		}
	}

	first := harness.Evaluate[[]string](t, harness.Browse(t, s.gateway.URL), `new Promise((done, failed) => {
		const got = [], source = new EventSource('/events');
		setTimeout(() => failed('no events in time'), 15000);
		source.onmessage = (e) => { got.push(e.data); if (got.length === 2) { source.close(); done(got); } };
	})`)
	if strings.Join(first, " ") != "1 2" {
		t.Errorf("Chromium got %q, want 1 2", first)
	}
}

func webSocket(t *testing.T, s site) {
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, s.gateway.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	long := bytes.Repeat([]byte("x"), 300_000)
	for _, message := range [][]byte{[]byte("hello"), {}, long} {
		if err := conn.Write(ctx, websocket.MessageBinary, message); err != nil {
			t.Fatal(err)
		}
		kind, got, err := conn.Read(ctx)
		if err != nil || kind != websocket.MessageBinary || !bytes.Equal(got, message) {
			t.Fatalf("%d bytes came back as %d bytes of %v: %v", len(message), len(got), kind, err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}

	echoed := harness.Evaluate[string](t, harness.Browse(t, s.gateway.URL), `new Promise((done, failed) => {
		const socket = new WebSocket('ws://' + location.host + '/ws');
		socket.onopen = () => socket.send('from a browser');
		socket.onmessage = (e) => { done(e.data); socket.close(); };
		socket.onerror = () => failed('WebSocket error');
	})`)
	if echoed != "from a browser" {
		t.Errorf("Chromium got %q back", echoed)
	}
}

const (
	uploadSize  = 1 << 30
	memoryLimit = 64 << 10 // in KiB, as Linux counts it
)

// uploads sends 1 GiB without a key and with one. Each gateway is new, since
// Linux remembers the most memory that a process ever had.
func uploads(t *testing.T, a *app) {
	for _, key := range []string{"", "upload"} {
		g := harness.RunGateway(t, a.url)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/upload", newPattern(uploadSize))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = uploadSize
		req.Header.Set("Content-Type", "application/octet-stream")
		if key != "" {
			req.Header.Set("Idempotency-Key", key)
		}
		res, err := plain.Do(req)
		if err != nil {
			t.Fatalf("key %q: %v", key, err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		want := regexp.MustCompile(fmt.Sprintf(`"bytes": ?%d\b.*"sha256": ?"%s"`, uploadSize, uploadHash()))
		if err != nil || res.StatusCode != http.StatusOK || !want.Match(body) {
			t.Errorf("key %q: %d %s (%v), want something like %s", key, res.StatusCode, body, err, want)
		}
		if got := peakMemory(t, g.Process); got > memoryLimit {
			t.Errorf("key %q: the gateway took %d KiB, want at most %d", key, got, memoryLimit)
		} else {
			t.Logf("key %q: the gateway took %d KiB", key, got)
		}
		g.Kill()
	}
}

// pattern is a reader of bytes that repeat, but not within one megabyte.
type pattern struct {
	block []byte
	at    int64
	left  int64
}

func newPattern(size int64) *pattern {
	block := make([]byte, 0, 1<<20)
	sum := sha256.Sum256(nil)
	for len(block) < cap(block) {
		sum = sha256.Sum256(sum[:])
		block = append(block, sum[:]...)
	}
	return &pattern{block: block, left: size}
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.left)]
	n := copy(b, p.block[p.at:])
	p.at = (p.at + int64(n)) % int64(len(p.block))
	p.left -= int64(n)
	return n, nil
}

var uploadHash = sync.OnceValue(func() string {
	h := sha256.New()
	_, _ = io.Copy(h, newPattern(uploadSize)) // neither side fails
	return hex.EncodeToString(h.Sum(nil))
})

// peakMemory is the most memory that a process had so far, in KiB.
func peakMemory(t *testing.T, p *harness.Process) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		harness.Need(t, "Linux's /proc", err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no VmHWM in:\n%s", status)
	}
	kib, _ := strconv.Atoi(string(found[1])) // it is all digits
	return kib
}
