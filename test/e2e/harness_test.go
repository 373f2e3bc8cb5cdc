package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// plain is a client that shows redirects as they are, and whose connections
// are its own.
var plain = &http.Client{
	Timeout:       5 * harness.Patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 2 * time.Second},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// request is one that a test sends. A key that is not empty becomes the
// Idempotency-Key.
type request struct {
	method, url string
	key         string
	body        string
	header      map[string]string
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) replayed() bool { return a.header.Get("Idempotent-Replayed") == "true" }

func try(ctx context.Context, r request) (answer, error) {
	var body io.Reader = http.NoBody
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return answer{}, err
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
		req.GetBody = nil // or Go's client repeats one with a key, when its connection dies
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	res, err := plain.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}, err
}

func send(t *testing.T, r request) answer {
	t.Helper()
	a, err := try(t.Context(), r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.url, err)
	}
	return a
}

// wantProblem fails unless a is a problem with this status and type that a
// person can read.
func wantProblem(t *testing.T, a answer, status int, kind string) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.body, "/"+kind+`"`) {
		t.Errorf("got %d %s %s; want a problem %d %q", a.status, a.header.Get("Content-Type"), a.body, status, kind)
	}
}

// seeother runs the command to its end and returns its exit code and output.
func seeother(t *testing.T, user *syscall.Credential, args ...string) (int, string) {
	t.Helper()
	p := harness.Start(t, harness.Command{Path: harness.Binary, Args: args, User: user, Dir: os.TempDir()})
	code := p.Exit(t)
	return code, p.Out.String()
}
