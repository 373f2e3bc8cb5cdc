package trace

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

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
	eachThatRuns(t, func(t *testing.T, p *profile) {
		send := clientOf(t, p.name, nil)
		s := newSite(t)
		for status, row := range p.cells {
			for at, method := range methods {
				if cell(row[at]) != never {
					tryCell(t, s, send, status, method, cell(row[at]))
				}
			}
		}
		tryLimits(t, s, send, p)
		tryRest(t, s, send, p)
	})
}

func tryCell(t *testing.T, s *site, send client, status int, method string, is cell) {
	t.Helper()
	body := bodyOf(method)
	if err := send(message{method: method, url: fmt.Sprintf("%s/status/%d", s.url, status), body: body}); err != nil {
		t.Errorf("%d after %s: %v", status, method, err)
	}
	want := fmt.Sprintf("%s %q", method, body)
	switch is {
	case gets:
		want = `GET ""`
	case loses:
		want = method + ` ""`
	case stops:
		want = ""
	case keeps, never:
	}
	if got := s.got(); got != want {
		t.Errorf("%d after %s: sent %s, and the table says %s", status, method, got, want)
	}
}

func tryLimits(t *testing.T, s *site, send client, p *profile) {
	t.Helper()
	if err := send(message{method: http.MethodGet, url: s.url + "/cookie"}); err != nil {
		t.Error(err)
	}
	if got := s.got(); strings.HasSuffix(got, "a=1") != p.cookies {
		t.Errorf("sent %s, and the table says that cookies are sent: %v", got, p.cookies)
	}
	_ = send(message{method: http.MethodGet, url: s.url + "/hops/0"}) // it gives up
	if s.hops != p.most {
		t.Errorf("%d redirects were followed, and the table says %d", s.hops, p.most)
	}
}

// All of 3xx is tried: what has no row is not followed.
func tryRest(t *testing.T, s *site, send client, p *profile) {
	t.Helper()
	for _, status := range []int{300, 304, 305, 306, 309, 399} {
		_ = send(message{method: http.MethodGet, url: fmt.Sprintf("%s/status/%d", s.url, status)})
		want := map[bool]string{true: `GET ""`}[p.cell(status, http.MethodGet) == keeps]
		if got := s.got(); got != want {
			t.Errorf("%d after GET: sent %q, and the table says %q", status, got, want)
		}
	}
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
				"okhttp 3: 1 sends GET to " + s.url + "/end, without the body\n" +
				"okhttp 4.6+: 1 sends GET to " + s.url + "/end, without the body",
		},
		"DELETE without a body, and 302": {
			Config{URL: s.url + "/status/302", Method: "DELETE"},
			"Go net/http: 1 sends GET to " + s.url + "/end\n" +
				"python-requests: 1 sends GET to " + s.url + "/end\n" +
				"okhttp 3: 1 sends GET to " + s.url + "/end\n" +
				"okhttp 4.6+: 1 sends GET to " + s.url + "/end",
		},
		"308 is the same for all but an old okhttp": {Config{URL: s.url + "/status/308", Body: []byte("a=1")}, "okhttp 3: 1 does not follow a 308 after POST"},
		"300 with a Location": {
			Config{URL: s.url + "/status/300"},
			"curl -L: 1 follows it: sends GET to /end\n" +
				"curl -X GET -L: 1 follows it: sends GET to /end\n" +
				"okhttp 3: 1 follows it: sends GET to /end\n" +
				"okhttp 4.6+: 1 follows it: sends GET to /end",
		},
		"a cookie on the way": {
			Config{URL: s.url + "/cookie"},
			"curl -L: 1 sends no cookie to " + s.url + "/end: it keeps none by itself\n" +
				"curl -X GET -L: 1 sends no cookie to " + s.url + "/end: it keeps none by itself\n" +
				"Go net/http: 1 sends no cookie to " + s.url + "/end: it keeps none by itself\n" +
				"okhttp 3: 1 sends no cookie to " + s.url + "/end: it keeps none by itself\n" +
				"okhttp 4.6+: 1 sends no cookie to " + s.url + "/end: it keeps none by itself",
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
