package form

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/once"
)

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

func unzipped(t *testing.T, data string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pageOf is a site whose app answers GET with this.
func pageOf(t *testing.T, cfg Config, answer func(w http.ResponseWriter, r *http.Request)) (*site, *person) {
	t.Helper()
	s := newSite(t, cfg, Policy{}, func(s *shop, _ *once.Policy) {
		s.answer = func(w http.ResponseWriter, r *http.Request, _ int) { answer(w, r) }
	})
	return s, newPerson(t, s)
}

func TestAPageWithoutAFormComesOutAsItIs(t *testing.T) {
	t.Parallel()
	const text = `<!doctype html><p>no form</p><form method="get" action="/q"></form>`
	for name, c := range map[string]struct {
		encoding string
		body     []byte
	}{"plain": {body: []byte(text)}, "gzip": {encoding: "gzip", body: zipped(text)}, "broken gzip": {encoding: "gzip", body: zipped(text)[:20]}, "brotli": {encoding: "br", body: []byte("\x0b\x02\x80x\x03")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := pageOf(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h.Set("ETag", `"v1"`)
				h.Set("Cache-Control", "public, max-age=60")
				h.Set("Content-Length", fmt.Sprint(len(c.body)))
				if c.encoding != "" {
					h.Set("Content-Encoding", c.encoding)
				}
				_, _ = w.Write(c.body)
			})
			a := b.send(http.MethodGet, "/", "", func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip, br") })
			h := a.Header
			if a.body != string(c.body) || h.Get("ETag") != `"v1"` || h.Get("Cache-Control") != "public, max-age=60" || a.ContentLength != int64(len(c.body)) || h.Get("Set-Cookie") != "" {
				t.Errorf("%q %v", a.body, h)
			}
		})
	}
}

func TestARewrittenPageIsForOneBrowser(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"":                                     "private",
		"public, max-age=60, s-maxage=600":     "private, max-age=60",
		"no-store":                             "private, no-store",
		`private="Set-Cookie, X", max-age=1`:   "private, max-age=1",
		"max-age=0, must-revalidate, no-cache": "private, max-age=0, must-revalidate, no-cache",
	} {
		t.Run(said, func(t *testing.T) {
			t.Parallel()
			_, b := pageOf(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h.Set("ETag", `"v1"`)
				h.Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
				h.Set("Accept-Ranges", "bytes")
				h.Set("Cdn-Cache-Control", "max-age=60")
				h.Set("Content-Security-Policy", "form-action 'self'")
				if said != "" {
					h.Set("Cache-Control", said)
				}
				h.Set("Content-Length", fmt.Sprint(len(formPage)))
				_, _ = io.WriteString(w, formPage)
			})
			a := b.get("/")
			h := a.Header
			for _, gone := range []string{"ETag", "Last-Modified", "Accept-Ranges", "Cdn-Cache-Control"} {
				if h.Get(gone) != "" {
					t.Errorf("%s: %q", gone, h.Get(gone))
				}
			}
			if h.Get("Cache-Control") != want || h.Get("Content-Security-Policy") != "form-action 'self'" || h.Get("Set-Cookie") == "" {
				t.Errorf("%v, want Cache-Control %q", h, want)
			}
			if !strings.Contains(a.action(t), tokenParam) || strings.Count(a.body, tokenParam) != 1 {
				t.Errorf("body %q", a.body)
			}
			if again := b.get("/"); again.Header.Get("Set-Cookie") != "" {
				t.Errorf("a browser with a nonce gets another: %v", again.Header)
			}
		})
	}
}

func TestAGzipPageIsRewrittenAndGzipAgain(t *testing.T) {
	t.Parallel()
	_, b := pageOf(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "gzip" {
			t.Errorf("the app was asked for %q", got)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zipped(formPage))
	})
	a := b.send(http.MethodGet, "/", "", func(r *http.Request) { r.Header.Set("Accept-Encoding", "br, gzip;q=0.5") })
	if text := unzipped(t, a.body); a.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(text, tokenParam) || len(text) < len(formPage) {
		t.Errorf("%v %q", a.Header, text)
	}
}

func TestGzipThatNobodyAskedForIsTakenOff(t *testing.T) {
	t.Parallel()
	_, b := pageOf(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("the app was asked for %q", got)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zipped(formPage))
	})
	a := b.send(http.MethodGet, "/", "", func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip;q=0, br") })
	if a.Header.Get("Content-Encoding") != "" || !strings.Contains(a.body, tokenParam) {
		t.Errorf("%v %q", a.Header, a.body)
	}
}

// Gzip that breaks in the middle goes out as it came, and nothing is added to it.
func TestBrokenGzipGoesOutAsItCame(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = io.WriteString(zip, "<p>text</p><form method=po")
	_ = zip.Flush()
	body := append(b.Bytes(), 0xff, 0xff, 0xff, 0xff)
	_, p := pageOf(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(body)
		_, _ = io.WriteString(w, "more")
	})
	if a := p.get("/"); a.body != string(body)+"more" || a.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%q %v, want %q", a.body, a.Header, string(body)+"more")
	}
}

// What is cut short must not look whole.
func TestAPageThatBreaksOffBreaksOff(t *testing.T) {
	t.Parallel()
	for name, body := range map[string][]byte{"in plain": []byte(formPage), "in gzip": zipped(formPage + strings.Repeat("<p>and more</p>", 9000))[:400]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := pageOf(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
				if name == "in gzip" {
					w.Header().Set("Content-Encoding", "gzip")
				}
				_, _ = w.Write(body)
				_ = http.NewResponseController(w).Flush()
				if name == "in plain" {
					panic(http.ErrAbortHandler)
				}
			})
			r, _ := http.NewRequest(http.MethodGet, s.server.URL+"/", nil)
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Accept-Encoding", "identity")
			res, err := s.server.Client().Transport.RoundTrip(r)
			if err != nil {
				return // so early that there was no header
			}
			defer func() { _ = res.Body.Close() }()
			if text, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("it looks whole: %d %q", res.StatusCode, text)
			}
		})
	}
}

func TestWhatIsFlushedIsNotHeld(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"identity", "gzip"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			goOn := make(chan struct{})
			s, _ := pageOf(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
				var to io.Writer = w
				flush := func() { _ = http.NewResponseController(w).Flush() }
				if encoding == "gzip" {
					w.Header().Set("Content-Encoding", "gzip")
					zip := gzip.NewWriter(w)
					to = zip
					flush = func() { _ = zip.Flush(); _ = http.NewResponseController(w).Flush() }
				}
				_, _ = io.WriteString(to, "<p>first</p>\n")
				flush()
				<-goOn
				_, _ = io.WriteString(to, formPage)
				if zip, ok := to.(*gzip.Writer); ok {
					_ = zip.Close()
				}
			})
			r, _ := http.NewRequest(http.MethodGet, s.server.URL+"/", nil)
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Accept-Encoding", encoding)
			res, err := s.server.Client().Transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			var body io.Reader = res.Body
			if encoding == "gzip" {
				if body, err = gzip.NewReader(res.Body); err != nil {
					t.Fatal(err)
				}
			}
			lines := bufio.NewReader(body)
			if line, err := lines.ReadString('\n'); line != "<p>first</p>\n" || err != nil {
				t.Fatalf("%q, %v", line, err)
			}
			close(goOn)
			rest, err := io.ReadAll(lines)
			if err != nil || !strings.Contains(string(rest), tokenParam) {
				t.Errorf("%q, %v", rest, err)
			}
		})
	}
}

func TestRequestsThatAskForAPart(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("<p>no form</p>", 100)
	_, b := pageOf(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Type", "text/html")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	})
	part := func(r *http.Request) { r.Header.Set("Range", "bytes=0-9") }
	if a := b.send(http.MethodGet, "/", "", part); a.StatusCode != 200 || a.body != content {
		t.Errorf("a navigation: %d %q", a.StatusCode, a.body)
	}
	if a := b.send(http.MethodGet, "/", "", func(r *http.Request) { part(r); r.Header.Set("Sec-Fetch-Mode", "cors") }); a.StatusCode != 206 || a.body != content[:10] {
		t.Errorf("a script: %d %q", a.StatusCode, a.body)
	}
	if a := b.send(http.MethodGet, "/", "", func(r *http.Request) { r.Header.Set("If-None-Match", `"v1"`) }); a.StatusCode != 304 {
		t.Errorf("a page that has not changed: %d", a.StatusCode)
	}
	if a := b.send(http.MethodHead, "/", "", nil); a.StatusCode != 200 || a.body != "" || a.Header.Get("ETag") != "" || a.ContentLength > 0 || a.Header.Get("Cache-Control") != "private" {
		t.Errorf("HEAD: %d %q %v", a.StatusCode, a.body, a.Header)
	}
}

func TestAnErrorPageHasTokensToo(t *testing.T) {
	t.Parallel()
	s, b := pageOf(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		_, _ = io.WriteString(w, `<form method="post"><input name="n"></form>`)
	})
	first := b.get("/new?a=1&b=%3C").action(t)
	a := b.submit(first, "n=bad")
	second := a.action(t)
	if a.StatusCode != 422 || second == first || !strings.HasPrefix(second, "/new?a=1&b=%3C&seeother-form=") {
		t.Fatalf("%d: action %q after %q", a.StatusCode, second, first)
	}
	b.submit(second, "n=1")
	b.submit(second, "n=1")
	s.mustHave(t, 2)
}
