package clients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen.
const patience = 60 * time.Second

// binary is the seeother command under test.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv("SEEOTHER_TEST_CHILD") != "" {
		child() // of a test that kills it
	}
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func build(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "seeother-clients-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "seeother")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/seeother").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// token is a tenant's.
const token = "a-token-of-the-tests-0123456789"

// place is where the tests of a language find the service, and how it can be out of
// reach.
type place struct {
	url   string // the service
	lossy string // the same, but the first answer to each request is lost
	deaf  string // the same, but no lease can be extended
	down  string // nobody listens
}

// serve starts a service with the agent "bot", who may spend 100 of USD a day, and not
// use the tool "rm".
func serve(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	if err := os.WriteFile(tokens, []byte("tests:"+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "once", "serve", "--listen", "127.0.0.1:0", "--token-file", tokens, "--data", filepath.Join(dir, "data"))
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(logs)
	url := listening(t, lines)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("seeother once serve: %v", err)
		}
	})
	p := place{url: url, lossy: proxy(t, url, newLossy()), deaf: proxy(t, url, isExtension), down: "http://" + closedAddr(t)}
	put(t, p.url+"/v1/agents/bot", `{"deny":["rm"],"caps":[{"currency":"USD","limit_micros":100,"window_s":315360000}]}`)
	return p
}

var listen = regexp.MustCompile(`listen=(http://\S+)`)

// listening is the address that the log names.
func listening(t *testing.T, lines *bufio.Reader) string {
	t.Helper()
	var all strings.Builder
	for {
		line, err := lines.ReadString('\n')
		all.WriteString(line)
		if found := listen.FindStringSubmatch(line); found != nil {
			return found[1]
		}
		if err != nil {
			t.Fatalf("seeother once serve does not listen: %v\n%s", err, all.String())
		}
	}
}

func put(t *testing.T, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		t.Fatalf("PUT %s: %d %s", url, res.StatusCode, text)
	}
}

// closedAddr is one that nobody listens on: the socket is bound and does not listen,
// so that nobody else gets the port meanwhile.
func closedAddr(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(name.(*syscall.SockaddrInet4).Port))
}

// proxy forwards to the service, and cuts the connection in place of the answers
// that lose names.
func proxy(t *testing.T, to string, lose func(path string, body []byte) bool) string {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, r.Method, to+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		req.Header = r.Header.Clone()
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil || lose(r.URL.Path, body) {
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// newLossy loses the first answer to each request.
func newLossy() func(string, []byte) bool {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(path string, body []byte) bool {
		sum := sha256.Sum256(body)
		name := path + " " + hex.EncodeToString(sum[:])
		mu.Lock()
		defer mu.Unlock()
		first := !seen[name]
		seen[name] = true
		return first
	}
}

func isExtension(path string, _ []byte) bool { return path == "/v1/extend" }

// need leaves a test out that needs what this machine does not have; it fails where
// SEEOTHER_TEST_ALL is set.
func need(t *testing.T, what string, missing error) {
	t.Helper()
	switch {
	case missing == nil:
	case os.Getenv("SEEOTHER_TEST_ALL") != "":
		t.Fatalf("%s is missing, and SEEOTHER_TEST_ALL wants every test: %v", what, missing)
	default:
		t.Skipf("left out: needs %s: %v", what, missing)
	}
}
