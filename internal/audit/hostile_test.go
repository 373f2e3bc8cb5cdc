package audit

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server may lie and stall: the audit ends, and says what it met.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	start := show("<a href=/a>")
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a gzip bomb is read to the limit": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			zeros := make([]byte, 1<<20)
			for range 200 {
				_, _ = z.Write(zeros)
			}
			_ = z.Close()
		}, ""},
		"a page without end is read to the limit": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			line := bytes.Repeat([]byte("<a href=/>x</a>"), 4096)
			for r.Context().Err() == nil {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, ""},
		"a tag without end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<a "+strings.Repeat("a", 3<<20))
		}, ""},
		"a slow drip is cut off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			for {
				select {
				case <-r.Context().Done():
					return
				case <-time.After(10 * time.Millisecond):
					_, _ = io.WriteString(w, "x")
					_ = http.NewResponseController(w).Flush()
				}
			}
		}, "no-answer"},
		"no answer at all": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no-answer"},
		"a header of a megabyte": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		}, "no-answer"},
		"a connection that ends at once": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no-answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := site(t, map[string]http.HandlerFunc{"/": start, "/a": c.answer})
			r := run(t, srv.URL, func(o *Options) { o.Timeout, o.MaxBody = 500*time.Millisecond, 1<<20 })
			if got := strings.Join(ids(r), " "); got != c.want && (c.want != "" || got != "no-answer") {
				t.Errorf("%v, want %q", got, c.want)
			}
		})
	}
}

// What is behind MaxBody is not read, after decompression too.
func TestPagesAreReadToTheLimit(t *testing.T) {
	t.Parallel()
	long := "<a href=/a>" + strings.Repeat("x ", 1<<20) + "<a href=/b>"
	for name, answer := range map[string]http.HandlerFunc{
		"plain": show(long),
		"gzip": func(w http.ResponseWriter, _ *http.Request) {
			set(w, []string{"Content-Type: text/html", "Content-Encoding: gzip"})
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, long)
			_ = z.Close()
		},
	} {
		srv := site(t, map[string]http.HandlerFunc{"/": answer, "/a": show(""), "/b": show("")})
		if r := run(t, srv.URL, func(o *Options) { o.MaxBody = 1 << 20 }); r.Summary.Pages != 2 {
			t.Errorf("%s: %d pages, want 2", name, r.Summary.Pages)
		}
		if r := run(t, srv.URL); r.Summary.Pages != 3 {
			t.Errorf("%s: %d pages without the limit, want 3", name, r.Summary.Pages)
		}
	}
}

// An endless chain is followed as far as a browser does.
func TestHopsAreBounded(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	srv := site(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, _ *http.Request) {
		send(302, fmt.Sprintf("/?%d", asked.Add(1)))(w, nil)
	}})
	run(t, srv.URL)
	if asked.Load() != 21 {
		t.Errorf("%d requests, want the first and 20 hops", asked.Load())
	}
}

// A header may be a password: it goes to the origin that it was given for.
func TestHeadersStayAtHome(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	tell := func(w http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization"); show("")(w, r) }
	other := site(t, map[string]http.HandlerFunc{"/": tell})
	srv := site(t, map[string]http.HandlerFunc{"/": show("<a href=/own><a href=/away>"), "/own": tell, "/away": send(302, other.URL+"/")})
	run(t, srv.URL, func(o *Options) { o.Header, o.Concurrency = http.Header{"Authorization": {"secret"}}, 1 })
	if own, away := <-got, <-got; own != "secret" || away != "" {
		t.Errorf("own origin got %q, the other %q", own, away)
	}
}

// A submission that is under way when the audit is ended gets its answer.
func TestSubmissionsAreNotCutShort(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv := site(t, map[string]http.HandlerFunc{"/": show(buyForm), "POST /buy": func(w http.ResponseWriter, r *http.Request) {
		cancel()
		select {
		case <-r.Context().Done(): // cut short
		case <-time.After(100 * time.Millisecond):
			show("thanks")(w, r)
		}
	}})
	opts := Options{Start: mustParse(t, srv.URL), Rate: -1}
	submitting("forms: [{action: /buy}]")(&opts)
	r, err := Run(ctx, opts)
	if err != nil || strings.Join(ids(r), " ") != "post-answered-page" {
		t.Errorf("%v, %v", r, err)
	}
}

// A host that does not answer is asked for its robots.txt once.
func TestDeadHostsAreAskedOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	dead := site(t, map[string]http.HandlerFunc{"/robots.txt": func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}})
	srv := site(t, map[string]http.HandlerFunc{"/": show("<a href=/a><a href=/b>"), "/a": send(302, dead.URL+"/a"), "/b": send(302, dead.URL+"/b")})
	run(t, srv.URL, func(o *Options) { o.Concurrency = 1 })
	if n := asked.Load(); n > 2 { // http.Transport may ask again on a new connection
		t.Errorf("asked %d times", n)
	}
}

func TestWrongCertificate(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(show("here"))
	t.Cleanup(srv.Close)
	_, err := Run(t.Context(), Options{Start: mustParse(t, srv.URL), Rate: -1})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
}

// A calendar has a link to the next day, on each day.
func TestTrapsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		link func(n int) string
		most int // pages
	}{
		"by query":     {func(n int) string { return fmt.Sprintf("/cal?day=%d", n) }, 11},
		"by directory": {func(n int) string { return fmt.Sprintf("/cal/%d/x", n) }, 21},
		"by depth":     {func(n int) string { return strings.Repeat("/a", n) }, maxSegments},
		"by length":    {func(n int) string { return "/" + strings.Repeat("a", n*500) }, 12},
		"none":         {func(n int) string { return fmt.Sprintf("/%s/x", strings.Repeat("b", n)) }, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				show("<a href="+c.link(int(n.Add(1)))+">")(w, r)
			}))
			t.Cleanup(srv.Close)
			r := run(t, srv.URL, func(o *Options) {
				o.Max, o.PerQuery, o.PerDirectory, o.IgnoreRobots = 100, 10, 20, []string{"127.0.0.1"}
			})
			if r.Summary.Pages > c.most || r.Summary.Pages < min(c.most, 8) || (r.Summary.LeftOut == 0 && name != "by length") {
				t.Errorf("%d pages, %d left out; want at most %d", r.Summary.Pages, r.Summary.LeftOut, c.most)
			}
		})
	}
}

// A public site has no business to send visitors into a private network.
func TestPrivateTargetsAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "192.168.0.1": true, "172.16.0.1": true, "169.254.169.254": true, "100.64.0.1": true, "0.0.0.0": true,
		"::1": true, "fe80::1%eth0": true, "fd00::1": true, "::ffff:10.0.0.1": true, "64:ff9b::a00:1": true, "198.18.0.1": true, "8.8.8.8": false, "2001:4860:4860::8888": false,
	} {
		if got := publicOnly(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(text), 80).String(), nil) != nil; got != want {
			t.Errorf("%s is refused: %v", text, got)
		}
	}
	opts := Options{Start: mustParse(t, "https://93.184.216.34/")}.withDefaults()
	f := newFetcher(t.Context(), &opts)
	if !f.refuses(mustParse(t, "http://10.0.0.1/")) || f.refuses(mustParse(t, "http://8.8.8.8/")) {
		t.Error("a public site's redirect to 10.0.0.1 is to be refused, and only that")
	}
	srv := site(t, map[string]http.HandlerFunc{"/": show("")})
	// A name that resolves to a private address is found when it is dialed.
	if _, err := f.do(t.Context(), request{method: "GET", url: mustParse(t, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1))}); !errors.Is(err, errPrivate) {
		t.Errorf("localhost was dialed: %v", err)
	}
	judged := judge(&trail{
		hops:    []*answer{{url: mustParse(t, "https://a.example/"), Exchange: Exchange{Method: "GET", URL: "https://a.example/", Status: 302}}},
		targets: []*url.URL{mustParse(t, "http://10.0.0.1/")}, end: refused,
	}, "")
	if len(judged) == 0 || !slices.ContainsFunc(judged, func(f Finding) bool { return f.ID == "target-refused" }) {
		t.Errorf("%+v", judged)
	}
}

// What a server writes cannot move a terminal, nor hide.
func TestTextOfServersIsCleaned(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a\x1b[31mb": "a?[31mb", "a\r\nb": "a??b", "a\u202eb": "a?b", "a\ufeffb": "a?b", "a\u200bb": "a?b", "a\u009bb": "a?b", "é→": "é→", "a\xff": "a?"} {
		if got := Clean(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	srv := site(t, map[string]http.HandlerFunc{
		"/":  show(`<a href="/a?</script><script>alert(1)</script>">`),
		"/a": send(302, "/b\"><script>alert(1)</script>\u202e"),
	})
	r := run(t, srv.URL)
	var page, xml strings.Builder
	if err := errors.Join(r.WriteHTML(&page), r.WriteJUnit(&xml, true)); err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) == 0 || !strings.Contains(page.String(), "script") {
		t.Fatalf("nothing was found: %+v", r)
	}
	for _, bad := range []string{"<script", "\u202e", "javascript:"} {
		if strings.Contains(page.String(), bad) || strings.Contains(xml.String(), bad) {
			t.Errorf("a report holds %q", bad)
		}
	}
}

// A browser opens the form's page again before it sends the form: tokens are good
// with their cookies.
func TestSubmissionsCarryTheirTokens(t *testing.T) {
	t.Parallel()
	var n, good, bad atomic.Int64
	srv := site(t, map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, r *http.Request) {
			token := fmt.Sprint(n.Add(1))
			show("<a href=/?again><form method=post action=/buy?t="+token+"><input type=hidden name=csrf value="+token+"></form>",
				"Set-Cookie: token="+token, "Content-Security-Policy: script-src 'nonce-"+token+"'")(w, r)
		},
		"POST /buy": func(w http.ResponseWriter, r *http.Request) {
			if c, err := r.Cookie("token"); err != nil || c.Value != r.PostFormValue("csrf") || c.Value != r.URL.Query().Get("t") || r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Origin") == "" {
				bad.Add(1)
			}
			good.Add(1)
			send(303, "/")(w, r)
		},
	})
	run(t, srv.URL, submitting("forms: [{action: /buy}]"))
	if good.Load() != 1 || bad.Load() != 0 {
		t.Errorf("%d submissions, %d without their token; want 1 and 0", good.Load(), bad.Load())
	}
}

// An audit that is ended goes on where it was, and comes to the same report.
func TestStateGoesOn(t *testing.T) {
	t.Parallel()
	answers := map[string]http.HandlerFunc{"/hub": send(302, "/end"), "/end": show("")}
	body := buyForm
	for i := range 60 {
		body += fmt.Sprintf("<a href=/p%d>", i)
		answers[fmt.Sprintf("/p%d", i)] = send(302, "/hub")
	}
	var posts, asked atomic.Int64
	answers["/"] = show(body)
	answers["POST /buy"] = func(w http.ResponseWriter, r *http.Request) { posts.Add(1); show("thanks")(w, r) }
	inner := handler(answers)
	var end atomic.Pointer[context.CancelFunc]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); n%50 == 0 && end.Load() != nil {
			(*end.Load())()
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	opts := Options{Start: mustParse(t, srv.URL), Rate: -1}
	submitting("forms: [{action: /buy}]")(&opts)
	whole, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	posts.Store(0)
	opts.State = filepath.Join(t.TempDir(), "state")
	runs := 0
	var last *Report
	for ; runs < 50; runs++ {
		ctx, cancel := context.WithCancel(t.Context())
		end.Store(&cancel)
		if last, err = Run(ctx, opts); err != nil {
			t.Fatal(err)
		}
		cancel()
		if last.Summary.Complete {
			break
		}
	}
	if runs == 0 || posts.Load() != 1 {
		t.Errorf("ended %d times, %d submissions; want some, and 1", runs, posts.Load())
	}
	last.Summary.Requests = whole.Summary.Requests
	var a, b strings.Builder
	if err := errors.Join(whole.WriteJSON(&a), last.WriteJSON(&b)); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() {
		t.Errorf("another report:\n%s\nwant\n%s", b.String(), a.String())
	}
	if left, _ := filepath.Glob(opts.State + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A crash in the middle of a submission does not send it again: the state says
// that it is done before it is.
func TestCrashInASubmission(t *testing.T) {
	t.Parallel()
	var posts atomic.Int64
	state := filepath.Join(t.TempDir(), "state")
	crashed := filepath.Join(t.TempDir(), "state")
	srv := site(t, map[string]http.HandlerFunc{
		"/": show(buyForm + "<a href=/b>"), "/b": show(""),
		"POST /buy": func(w http.ResponseWriter, r *http.Request) {
			posts.Add(1)
			for _, suffix := range []string{"", queueSuffix} { // what a crash would leave
				if data, err := os.ReadFile(state + suffix); err == nil {
					_ = os.WriteFile(crashed+suffix, data, 0o600)
				}
			}
			send(303, "/")(w, r)
		},
	})
	opts := Options{Start: mustParse(t, srv.URL), Rate: -1, State: state}
	submitting("forms: [{action: /buy}]")(&opts)
	if _, err := Run(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(crashed); err != nil {
		t.Fatalf("nothing was on disk when the form was sent: %v", err)
	}
	opts.State = crashed
	r, err := Run(t.Context(), opts)
	if err != nil || !r.Summary.Complete || posts.Load() != 1 {
		t.Errorf("%d submissions, want 1 (%v)", posts.Load(), err)
	}
}

func TestStateThatIsNone(t *testing.T) {
	t.Parallel()
	srv := site(t, map[string]http.HandlerFunc{"/": show("")})
	for name, text := range map[string]string{
		"text": "hello", "another version": `{"version": 9}`, "another site": `{"version":1,"start":"http://other.example/"}`,
		"a queue that is gone": `{"version":1,"start":"` + srv.URL + `/","size":100,"offset":10}`, "an offset behind the end": `{"version":1,"size":1,"offset":2}`,
	} {
		file := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(t.Context(), Options{Start: mustParse(t, srv.URL), State: file, Rate: -1}); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
