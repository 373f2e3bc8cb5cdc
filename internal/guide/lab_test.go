package guide

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The browser must do as the Fetch standard says, or every card shows nothing.
func TestABrowserFollowsAsTheFetchStandardSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method string
		status       int
		want         string // the second request: method, body, type
	}{
		{"302 turns POST into GET, without its body", http.MethodPost, 302, "GET  "},
		{"302 leaves DELETE as it is", http.MethodDelete, 302, "DELETE a=b application/x-www-form-urlencoded"},
		{"303 turns PUT into GET", http.MethodPut, 303, "GET  "},
		{"307 keeps POST and its body", http.MethodPost, 307, "POST a=b application/x-www-form-urlencoded"},
		{"308 keeps POST and its body", http.MethodPost, 308, "POST a=b application/x-www-form-urlencoded"},
		{"300 is not followed", http.MethodPost, 300, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lab := &Lab{}
			defer lab.Close()
			seen := ""
			base, err := lab.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					sendTo(w, c.status, "/next")
					return
				}
				_ = r.ParseForm()
				body := ""
				if r.Method != http.MethodDelete {
					body = r.PostForm.Encode()
				} else if r.ContentLength > 0 {
					body = "a=b"
				}
				seen = r.Method + " " + body + " " + r.Header.Get("Content-Type")
			}))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lab.Browser().Send(t.Context(), c.method, base+"/", "a=b"); err != nil {
				t.Fatal(err)
			}
			if seen != c.want {
				t.Errorf("the second request is %q, want %q", seen, c.want)
			}
		})
	}
}

func TestABrowserCarriesNoCredentialAcrossOrigins(t *testing.T) {
	t.Parallel()
	lab := &Lab{}
	defer lab.Close()
	var got string
	other, err := lab.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	if err != nil {
		t.Fatal(err)
	}
	lab.Name(other, "https://other.example")
	base, err := lab.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { sendTo(w, 307, other+"/x") }))
	if err != nil {
		t.Fatal(err)
	}
	b := lab.Browser()
	if _, err := b.Send(t.Context(), http.MethodGet, base+"/", "", "Authorization: Bearer secret"); err != nil || got != "" {
		t.Errorf("the other origin got %q, %v", got, err)
	}
	if want := "GET / -> 307 https://other.example/x"; b.Steps[0].Text != want {
		t.Errorf("step %q, want %q", b.Steps[0].Text, want)
	}
}

func TestABrowserGivesUpAndKeepsWhatItSawSmall(t *testing.T) {
	t.Parallel()
	lab := &Lab{}
	defer lab.Close()
	base, err := lab.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sendTo(w, 302, r.URL.Path+strings.Repeat("x", 2000))
	}))
	if err != nil {
		t.Fatal(err)
	}
	b := lab.Browser()
	if _, err := b.Open(t.Context(), base+"/"); !errors.Is(err, ErrTooManyRedirects) {
		t.Errorf("%v, want %v", err, ErrTooManyRedirects)
	}
	if n := len(b.Steps); n != 22 { // 21 requests (20 redirects are followed), and the note
		t.Errorf("%d steps", n)
	}
	for _, s := range b.Steps {
		if len(s.Text) > mostStep+3 {
			t.Errorf("a step of %d bytes", len(s.Text))
		}
	}
}

func TestClosingALabLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	lab := &Lab{}
	dir, err := lab.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	base, err := lab.Serve(http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	lab.Close()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://")); err == nil {
		_ = conn.Close()
		t.Error("the server still listens")
	}
}

// A program is killed with those that it started.
func TestClosingALabEndsProgramsAndTheirChildren(t *testing.T) {
	t.Parallel()
	lab := &Lab{}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := lab.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "child")
	port, err := lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)) // in the program's place
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cmd := exec.Command(shell, "-c", "sleep 300 & echo $! > "+file+"; wait")
	cmd.Dir = dir
	if err := lab.Start(t.Context(), port, cmd); err != nil {
		t.Fatal(err)
	}
	child := ""
	for range 500 { // the shell is not at its echo yet
		text, _ := os.ReadFile(file)
		if child = strings.TrimSpace(string(text)); child != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	lab.Close()
	for range 500 { // its new parent must take notice
		if state, err := os.ReadFile("/proc/" + child + "/stat"); child == "" || err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %s lives", child)
}

func TestAProgramThatEndsSaysWhy(t *testing.T) {
	t.Parallel()
	lab := &Lab{}
	defer lab.Close()
	port, err := lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	err = lab.Start(t.Context(), port, exec.Command("sh", "-c", "echo no such module >&2"))
	if err == nil || !strings.Contains(err.Error(), "no such module") {
		t.Errorf("%v", err)
	}
}

func TestAMissingProgramIsNamedWithWhatHasIt(t *testing.T) {
	t.Parallel()
	_, err := (&Lab{}).Need("no-such-program-here", "some-package")
	missing, ok := errors.AsType[*MissingError](err)
	if !ok || missing.Error() != "no-such-program-here is not installed" || missing.Hint() != "on Debian: apt-get install some-package" {
		t.Errorf("%v", err)
	}
}

func TestPortsOfTwoLabsDiffer(t *testing.T) {
	t.Parallel()
	a, b := &Lab{}, &Lab{}
	defer a.Close()
	defer b.Close()
	seen := make(map[int]bool)
	for range 20 {
		for _, lab := range []*Lab{a, b} {
			port, err := lab.Port()
			if err != nil || seen[port] {
				t.Fatalf("port %d again, %v", port, err)
			}
			seen[port] = true
		}
	}
}

// Asking a server must tell one that fails from one that does not, as the
// reproduction does.
func TestAServerIsAskedWhetherItDoesIt(t *testing.T) {
	t.Parallel()
	header := func(status int, pairs ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				w.Header().Set(pairs[i], strings.NewReplacer("{host}", r.Host, "{query}", r.URL.RawQuery, "{path}", r.URL.Path).Replace(pairs[i+1]))
			}
			w.WriteHeader(status)
		}
	}
	table := []struct {
		card         string
		secure       bool
		faulty, good http.HandlerFunc
	}{
		{"hsts-missing", true, header(200), header(200, "Strict-Transport-Security", "max-age=300")},
		{"slash-redirect-downgrades", true, header(301, "Location", "http://shop.example/"), header(301, "Location", "/x/")},
		{"permanent-cached-forever", false, header(308, "Location", "/x"), header(308, "Location", "/x", "Cache-Control", "max-age=60")},
		{"cacheable-redirect-cookie", false, header(301, "Location", "/x", "Set-Cookie", "a=b"), header(301, "Location", "/x", "Set-Cookie", "a=b", "Cache-Control", "private")},
		{"host-header-redirect", false, header(301, "Location", "https://{host}/"), header(301, "Location", "https://shop.example/")},
		{"nginx-query-doubled", false, header(301, "Location", "/x?{query}&{query}"), header(301, "Location", "/x?{query}")},
		{"apache-query-lost", false, header(301, "Location", "/x?from=sale"), header(301, "Location", "/x?{query}")},
		{"redirect-loop", false, header(302, "Location", "/"), header(200)},
		{"slash-redirect-loses-post", false, header(301, "Location", "{path}/"), header(308, "Location", "{path}/")},
		{"slash-redirect-loses-post", false, header(302, "Location", "{path}/"), header(302, "Location", "/elsewhere/")},
		{"django-append-slash", false, header(301, "Location", "{path}/"), header(200)},
		{"method-lost-301", false, header(302, "Location", "/x"), header(303, "Location", "/x")},
		{"https-301-loses-post", false, header(301, "Location", "https://shop.example{path}"), header(308, "Location", "https://shop.example{path}")},
		{"https-301-loses-post", false, header(301, "Location", "https://shop.example{path}"), header(301, "Location", "http://shop.example{path}")},
		{"status-308-old-clients", false, header(308, "Location", "/x"), header(301, "Location", "/x")},
		{"htaccess-leading-slash", false, header(404), header(301, "Location", "/x")},
		{"import-drops-rules", false, header(404), header(301, "Location", "/x")},
		{"nginx-prefix-twice", false, header(308, "Location", "/v2{path}"), header(308, "Location", "/v2/users")},
		{"nginx-prefix-twice", false, header(308, "Location", "/v2//users"), header(308, "Location", "/v2/users")},
		{"acme-challenge-redirected", false, header(301, "Location", "https://shop.example{path}"), header(404)},
		{"redirect-to-nothing", false, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				http.NotFound(w, r)
				return
			}
			sendTo(w, 302, "/gone")
		}, header(404)},
		{"x-forwarded-proto-loop", false, header(301, "Location", "{path}"), header(200)},
		{"nginx-uri-crlf", false, func(w http.ResponseWriter, r *http.Request) {
			if _, added, ok := strings.Cut(r.URL.Path, "\r\nX-Added: "); ok {
				w.Header().Set("X-Added", added)
			}
		}, header(301, "Location", "/x")},
		{"cors-preflight-redirected", false, header(308, "Location", "/x"), header(204)},
		{"head-redirects-otherwise", false, func(w http.ResponseWriter, r *http.Request) {
			sendTo(w, map[string]int{http.MethodGet: 301, http.MethodHead: 308}[r.Method], "/x")
		}, header(301, "Location", "/x")},
		{"redirect-chain", false, func(w http.ResponseWriter, r *http.Request) {
			if len(r.URL.Path) < 4 {
				sendTo(w, 302, r.URL.Path+"a")
			}
		}, header(200)},
	}
	tried := make(map[string]bool)
	for _, c := range table {
		tried[c.card] = true
		t.Run(c.card, func(t *testing.T) {
			t.Parallel()
			for want, h := range map[bool]http.Handler{true: c.faulty, false: c.good} {
				out, err := asked(t.Context(), c.card, c.secure, h)
				if err != nil || out.Shown != want {
					t.Errorf("shown %t, %v, want %t: %q", out.Shown, err, want, out.Faulty)
				}
			}
		})
	}
	for _, c := range All() {
		if c.Repro.Ask != nil && !tried[c.ID] {
			t.Errorf("%s can be asked, and is not tried", c.ID)
		}
	}
}

// Who breaks off gets an error, whatever was being asked at that moment.
func TestABrokenOffRequestIsAnError(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	lab := &Lab{}
	t.Cleanup(lab.Close)
	base, err := lab.Serve(http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	trials := map[string]func(context.Context, *Lab, string) (Outcome, error){"header-too-big": Asked(endsIn502)}
	for _, c := range All() {
		if c.Repro.Ask != nil {
			trials[c.ID] = c.Repro.Ask
		}
		trials[c.ID+", run"] = func(ctx context.Context, lab *Lab, _ string) (Outcome, error) { return c.Repro.Try(ctx, lab) }
	}
	for name, try := range trials {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := &Lab{}
			defer own.Close()
			if out, err := try(over, own, base); err == nil || out.Shown {
				t.Errorf("shown %t, %v", out.Shown, err)
			}
		})
	}
}

// A browser that sends a third form, or gives up, neither breaks the lab nor keeps it
// waiting.
func TestAThirdFormDoesNotBreakTheWaitForTheSecond(t *testing.T) {
	t.Parallel()
	var made atomic.Int32
	shop := untilSecond(t.Context(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { made.Add(1) }))
	send := func(ctx context.Context, method, path string) {
		shop.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, method, path, strings.NewReader("item=book")))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	send(over, http.MethodGet, "/first-has-come")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { send(t.Context(), http.MethodPost, "/order") })
	}
	all.Wait()
	send(t.Context(), http.MethodGet, "/first-has-come")
	if made.Load() != 4 {
		t.Errorf("%d orders were made", made.Load())
	}
}

func TestAFirstFormWithoutASecondEndsWithTheRun(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	shop := untilSecond(over, http.NotFoundHandler())
	shop.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/order", strings.NewReader("item=book")))
}

func asked(ctx context.Context, id string, secure bool, h http.Handler) (Outcome, error) {
	lab := &Lab{}
	defer lab.Close()
	serve := lab.Serve
	if secure {
		serve = lab.ServeTLS
	}
	base, err := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, r.Method) {
			panic("a server of the user's was sent " + r.Method)
		}
		h.ServeHTTP(w, r)
	}))
	if err != nil {
		return Outcome{}, err
	}
	for _, c := range All() {
		if c.ID == id {
			path := "/"
			if slices.Contains([]string{"slash-redirect-loses-post", "django-append-slash", "nginx-prefix-twice", "https-301-loses-post"}, id) {
				path = "/items"
			}
			return c.Repro.Ask(ctx, lab, base+path)
		}
	}
	return Outcome{}, errors.New("no such card")
}

// Each card can be asked of a server, or says why not and what to do instead.
func TestACardThatCannotBeAskedSaysWhy(t *testing.T) {
	t.Parallel()
	asks, products := 0, 0
	known := make(map[string]bool)
	for _, c := range All() {
		known[c.ID] = true
		refusal, refused := Refused(c.ID)
		if c.Repro.Ask != nil {
			asks++
		}
		if c.Repro.Real != "" {
			products++
		}
		if refused == (c.Repro.Ask != nil) || refused && (refusal.Why == "" || refusal.Next == "") {
			t.Errorf("%s: asks %t, refusal %+v: want one of the two, whole", c.ID, c.Repro.Ask != nil, refusal)
		}
	}
	for id := range refusals {
		if !known[id] {
			t.Errorf("%s is refused, and there is no such card", id)
		}
	}
	page, err := os.ReadFile("../../docs/explain.md")
	for _, want := range []string{
		fmt.Sprintf("%d of the %d cards can ask", asks, len(known)),
		fmt.Sprintf("%d of the %d cards run on the product itself. These %d show", products, len(known), len(known)-products),
	} {
		if err != nil || !strings.Contains(string(page), want) {
			t.Errorf("docs/explain.md does not say %q, %v", want, err)
		}
	}
}

// Without the product, its mechanism is shown, and what is missing is said.
func TestTheMechanismStandsInForWhatIsNotInstalled(t *testing.T) {
	t.Parallel()
	missing := &MissingError{"haproxy", "haproxy"}
	absent := func(context.Context, *Lab) (Outcome, error) {
		return Outcome{}, fmt.Errorf("the faulty side: %w", missing)
	}
	shown := func(context.Context, *Lab) (Outcome, error) { return Outcome{Shown: true}, nil }
	out, err := Reproduction{Real: "HAProxy", Run: absent, Mechanism: shown}.Try(t.Context(), &Lab{})
	if err != nil || !out.Shown || out.Missing != missing || out.Version != "" {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := (Reproduction{Real: "HAProxy", Run: absent}).Try(t.Context(), &Lab{}); !errors.Is(err, missing) {
		t.Errorf("without a mechanism: %v", err)
	}
	broken := errors.New("it does not start")
	failing := func(context.Context, *Lab) (Outcome, error) { return Outcome{}, broken }
	if _, err := (Reproduction{Run: failing, Mechanism: shown}).Try(t.Context(), &Lab{}); !errors.Is(err, broken) {
		t.Errorf("a product that is there and fails: %v", err)
	}
}

func TestAPackageOfNpmIsFoundWithItsVersion(t *testing.T) {
	t.Parallel()
	_, _, err := nodePackage("no-such-package-here")
	missing, ok := errors.AsType[*MissingError](err)
	if !ok || missing.Hint() != "in this folder: npm install no-such-package-here" {
		t.Errorf("%v", err)
	}
}
