package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

// need leaves a test out, or fails it where SEEOTHER_TEST_ALL wants every test.
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

// site redirects /STATUS and /hops/N, and keeps what else it was asked. /cookie
// sets one.
type site struct {
	url string

	mu    sync.Mutex
	asked []string
	hops  int
}

func newSite(t *testing.T) *site {
	s := &site{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	switch _, err := fmt.Sscanf(r.URL.Path, "/status/%d", &n); {
	case err == nil:
		redirect(w, n, "/end")
	case strings.HasPrefix(r.URL.Path, "/hops/"):
		_, _ = fmt.Sscanf(r.URL.Path, "/hops/%d", &s.hops)
		redirect(w, 302, fmt.Sprintf("/hops/%d", s.hops+1))
	case r.URL.Path == "/cookie":
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		redirect(w, 302, "/end")
	default:
		s.asked = append(s.asked, fmt.Sprintf("%s %q %s", r.Method, body, r.Header.Get("Cookie")))
	}
}

// got is what was asked since the last time.
func (s *site) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := strings.TrimSpace(strings.Join(s.asked, "; "))
	s.asked = nil
	return out
}

// client sends one request, with a body where it is not "". An error may be
// that it gave up.
type client func(ctx context.Context, method, url, body string) error

const sentBody = "a=1"

func bodyOf(method string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return ""
	}
	return sentBody
}

// Each cell of the table that a client here can be run for is what it does.
func TestTheTableIsTrue(t *testing.T) {
	t.Parallel()
	for i := range profiles {
		p := &profiles[i]
		if p.basis != Ran {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			send := clientOf(t, p.name)
			s := newSite(t)
			for status, row := range p.cells {
				for at, method := range methods {
					if cell(row[at]) != never {
						tryCell(t, s, send, status, method, cell(row[at]))
					}
				}
			}
			tryLimits(t, s, send, p)
		})
	}
}

func tryCell(t *testing.T, s *site, send client, status int, method string, is cell) {
	t.Helper()
	body := bodyOf(method)
	if err := send(t.Context(), method, fmt.Sprintf("%s/status/%d", s.url, status), body); err != nil {
		t.Errorf("%d after %s: %v", status, method, err)
	}
	want := fmt.Sprintf("%s %q", method, body)
	switch is {
	case gets:
		want = `GET ""`
	case loses:
		want = method + ` ""`
	case keeps, never:
	}
	if got := s.got(); got != want {
		t.Errorf("%d after %s: sent %s, and the table says %s", status, method, got, want)
	}
}

func tryLimits(t *testing.T, s *site, send client, p *profile) {
	t.Helper()
	if err := send(t.Context(), http.MethodGet, s.url+"/cookie", ""); err != nil {
		t.Error(err)
	}
	if got := s.got(); strings.HasSuffix(got, "a=1") != p.cookies {
		t.Errorf("sent %s, and the table says that cookies are sent: %v", got, p.cookies)
	}
	_ = send(t.Context(), http.MethodGet, s.url+"/hops/0", "") // it gives up
	if s.hops != p.most {
		t.Errorf("%d redirects were followed, and the table says %d", s.hops, p.most)
	}
}

func clientOf(t *testing.T, name string) client {
	t.Helper()
	switch name {
	case "curl -L":
		return curl(t, false)
	case "curl -X METHOD -L":
		return curl(t, true)
	case "Go net/http":
		return goClient
	case "python-requests":
		return requests(t)
	}
	t.Fatalf("nobody knows how to run %s", name)
	return nil
}

func goClient(ctx context.Context, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// curl with the options that choose a method, or with -X.
func curl(t *testing.T, pinned bool) client {
	_, err := exec.LookPath("curl")
	need(t, "curl", err)
	options := map[string][]string{"GET": {}, "HEAD": {"-I"}, "POST": {"-d", sentBody}, "PUT": {"-T", "-"}}
	return func(ctx context.Context, method, url, body string) error {
		args := []string{"-q", "-sS", "-L", "-m", "10", "--noproxy", "*", "-o", os.DevNull}
		switch {
		case !pinned:
			args = append(args, options[method]...)
		case body != "":
			args = append(args, "-X", method, "-d", body)
		default:
			args = append(args, "-X", method)
		}
		cmd := exec.CommandContext(ctx, "curl", append(args, url)...)
		cmd.Stdin = strings.NewReader(body)
		if method == http.MethodPut && !pinned { // a file, so that it can be read again
			name := t.TempDir() + "/body"
			if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
				return err
			}
			cmd = exec.CommandContext(ctx, "curl", append(append(args[:len(args)-1:len(args)-1], name), url)...)
		}
		return said(cmd.CombinedOutput())
	}
}

func said(out []byte, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// requests is python-requests, of the first Python that has it.
func requests(t *testing.T) client {
	const script = "import sys, requests; requests.request(sys.argv[1], sys.argv[2], data=sys.argv[3] or None, timeout=10)"
	missing := errors.New("no python3")
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if missing = exec.Command(python, "-c", "import requests").Run(); missing != nil {
			continue
		}
		return func(ctx context.Context, method, url, body string) error {
			return said(exec.CommandContext(ctx, python, "-c", script, method, url, body).CombinedOutput())
		}
	}
	need(t, "python3-requests", missing)
	return nil
}

// The browser's row is Follow, which is tried against browsers elsewhere.
func TestTheBrowserIsTheStandard(t *testing.T) {
	t.Parallel()
	p := &profiles[0]
	for status, row := range p.cells {
		for at, method := range methods {
			next, ok := seeother.Follow(status, method)
			want := keeps
			if !next.KeepsBody {
				want = gets
			}
			if !ok || cell(row[at]) != want {
				t.Errorf("%d after %s: %c, want %c", status, method, row[at], want)
			}
		}
	}
	if p.most != seeother.MaxHops {
		t.Error(p.most)
	}
}

func TestOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"a form, and 302": {
			Config{URL: s.url + "/status/302", Body: []byte("a=1")},
			"curl -X POST -L: 1 sends POST to " + s.url + "/end, without the body",
		},
		"PUT, and 301": {
			Config{URL: s.url + "/status/301", Method: "PUT", Body: []byte("a=1")},
			"curl -X PUT -L: 1 sends PUT to " + s.url + "/end, without the body\n" +
				"Go net/http: 1 sends GET to " + s.url + "/end, without the body\n" +
				"python-requests: 1 sends PUT to " + s.url + "/end, without the body\n" +
				"okhttp: 1 sends GET to " + s.url + "/end, without the body",
		},
		"DELETE without a body, and 302": {
			Config{URL: s.url + "/status/302", Method: "DELETE"},
			"Go net/http: 1 sends GET to " + s.url + "/end\n" +
				"python-requests: 1 sends GET to " + s.url + "/end\n" +
				"okhttp: 1 sends GET to " + s.url + "/end",
		},
		"308 is the same for all": {Config{URL: s.url + "/status/308", Body: []byte("a=1")}, ""},
		"a cookie on the way": {
			Config{URL: s.url + "/cookie"},
			"curl -L: 1 sends no cookie to " + s.url + "/end: it keeps none by itself\n" +
				"curl -X GET -L: 1 sends no cookie to " + s.url + "/end: it keeps none by itself\n" +
				"Go net/http: 1 sends no cookie to " + s.url + "/end: it keeps none by itself\n" +
				"okhttp: 1 sends no cookie to " + s.url + "/end: it keeps none by itself",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, o := range run(t, c.config).Others {
				if o.Differs {
					got = append(got, fmt.Sprintf("%s: %d %s", o.Client, o.Hop, o.Text))
				}
			}
			if text := strings.Join(got, "\n"); text != c.want {
				t.Errorf("got\n%s\nwant\n%s", text, c.want)
			}
		})
	}
}

func TestLongChainsEndEarlierElsewhere(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) < 15 {
			redirect(w, 302, r.URL.Path+"x")
		}
	})
	seen := run(t, Config{URL: base + "/"})
	for _, o := range seen.Others {
		if o.Differs != (o.Client == "Go net/http") {
			t.Errorf("%+v", o)
		}
		if o.Differs && (o.Text != "gives up after 9 redirects" || o.Hop != 10) {
			t.Errorf("%+v", o)
		}
	}
}

// A method that is in no column is one of the others; curl needs -X for it.
func TestMethodsThatFewSend(t *testing.T) {
	t.Parallel()
	if (&profiles[1]).cell(302, "PURGE") != never || (&profiles[3]).cell(302, "PURGE") != gets || (&profiles[3]).cell(200, "GET") != never {
		t.Error("PURGE")
	}
}
