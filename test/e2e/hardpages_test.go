package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/chromedp/chromedp"

	"github.com/seeother/seeother/test/internal/harness"
)

// Words in Shift_JIS. The second byte of some is a backslash.
const (
	sjisShop  = "\x93X"                // 店
	sjisTokyo = "\x93\x8c\x8b\x9e"     // 東京
	sjisShow  = "\x95\\\x8e\xa6\x83\\" // 表示ソ
)

// A page in Shift_JIS has its words in the action and in the fields.
func TestAFormInShiftJISWorksAsAtTheApp(t *testing.T) {
	t.Parallel()
	for _, declared := range []string{"text/html; charset=Shift_JIS", "text/html"} {
		t.Run(declared, func(t *testing.T) {
			t.Parallel()
			var (
				mu   sync.Mutex
				rows []string
			)
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", declared)
				const head = `<!doctype html><meta charset="shift_jis"><title>` + sjisShop + `</title>`
				switch {
				case r.URL.Path == "/favicon.ico":
					w.WriteHeader(http.StatusNoContent)
				case r.Method == http.MethodPost:
					body, _ := io.ReadAll(r.Body)
					mu.Lock()
					rows = append(rows, r.URL.RawQuery+" "+string(body))
					mu.Unlock()
					time.Sleep(200 * time.Millisecond)
					_, _ = io.WriteString(w, head+`<h1>`+sjisShow+`</h1>`)
				default:
					_, _ = io.WriteString(w, head+`<form method="post" action="/order?`+sjisShop+`=`+sjisTokyo+`"><input name="`+sjisTokyo+`" value="`+sjisShow+`"><button>`+sjisShop+`</button></form>`)
				}
			}))
			t.Cleanup(app.Close)
			g := harness.Protect(t, app.URL)
			for _, url := range []string{app.URL, g.URL} {
				b := harness.Visit(t)
				b.Do(t, chromedp.Navigate(url+"/"))
				b.Await(t, `document.title === '店'`)
				harness.Evaluate[any](t, b, clickTwice)
				b.Await(t, `document.querySelector('h1')?.textContent === '表示ソ' && document.title === '店'`)
				b.WantQuiet(t)
			}
			const row = "%93X=%93%8C%8B%9E %93%8C%8B%9E=%95%5C%8E%A6%83%5C"
			mu.Lock()
			defer mu.Unlock()
			wantSame(t, "rows, two of which come without the gateway", rows, []string{row, row, row})
		})
	}
}

// answers is an app that answers with what a test wants, and notes what it is asked.
type answers struct {
	*httptest.Server

	mu    sync.Mutex
	asked []http.Header // guarded by mu
}

func newAnswers(t *testing.T, answer http.HandlerFunc) *answers {
	t.Helper()
	a := &answers{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.asked = append(a.asked, r.Header.Clone())
		a.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// browserGets sends what a browser does that goes to a page.
func browserGets(t *testing.T, url string, header map[string]string) answer {
	t.Helper()
	return browserSends(t, http.MethodGet, url, header)
}

func browserSends(t *testing.T, method, url string, header map[string]string) answer {
	t.Helper()
	all := map[string]string{
		"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "Accept-Encoding": "gzip, deflate, br, zstd",
		"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none",
	}
	maps.Copy(all, header)
	return send(t, request{method: method, url: url, header: all})
}

const plainForm = `<form method="post" action="/order"><button>Order</button></form>`

func TestPagesThatPassByteForByte(t *testing.T) {
	t.Parallel()
	wide := utf16.Encode([]rune("\ufeff<!doctype html><p>\u8868</p>" + plainForm))
	var little, big []byte
	for _, unit := range wide {
		little, big = append(little, byte(unit), byte(unit>>8)), append(big, byte(unit>>8), byte(unit))
	}
	const jis = `<!doctype html><meta charset="iso-2022-jp"><p>` + "\x1b$B<(\x1b(B" + `</p>` + plainForm
	for name, page := range map[string]struct {
		header map[string]string
		body   string
	}{
		"UTF-16 by its mark":           {map[string]string{"Content-Type": "text/html"}, string(little)},
		"UTF-16 in its header":         {map[string]string{"Content-Type": "text/html; charset=utf-16be"}, string(big[2:])},
		"ISO-2022-JP in its header":    {map[string]string{"Content-Type": "text/html; charset=ISO-2022-JP"}, jis},
		"ISO-2022-JP in its page":      {map[string]string{"Content-Type": "text/html"}, jis},
		"a page without a form":        {map[string]string{"Content-Type": "text/html; charset=utf-8"}, "<!doctype html><p>\xff broken </p" + strings.Repeat("<!-- <form method=post> -->", 1000)},
		"a page that says so":          {map[string]string{"Content-Type": "text/html", "Cache-Control": "no-transform"}, plainForm},
		"a form that leads elsewhere":  {map[string]string{"Content-Type": "text/html"}, `<form method="post" action="https://pay.example/">`},
		"a download":                   {map[string]string{"Content-Type": "text/html", "Content-Disposition": "attachment"}, plainForm},
		"text":                         {map[string]string{"Content-Type": "text/plain"}, plainForm},
		"in an encoding unknown to us": {map[string]string{"Content-Type": "text/html", "Content-Encoding": "br"}, "\x0b\x02\x80not really\x03"},
	} {
		for _, zipped := range []bool{false, true} {
			if zipped && page.header["Content-Encoding"] != "" {
				continue
			}
			t.Run(fmt.Sprintf("%s, zipped %t", name, zipped), func(t *testing.T) {
				t.Parallel()
				body := page.body
				if zipped {
					body = zip(body)
				}
				app := newAnswers(t, func(w http.ResponseWriter, _ *http.Request) {
					for name, value := range page.header {
						w.Header().Set(name, value)
					}
					if zipped {
						w.Header().Set("Content-Encoding", "gzip")
					}
					w.Header().Set("ETag", `"v1"`)
					w.Header().Set("Content-Length", strconv.Itoa(len(body)))
					_, _ = io.WriteString(w, body)
				})
				g := harness.Protect(t, app.URL)
				want, got := browserGets(t, app.URL, nil), browserGets(t, g.URL, nil)
				if got.status != want.status || got.body != want.body || got.body != body {
					t.Errorf("got %d %q, and at the app %d %q", got.status, got.body, want.status, want.body)
				}
				want.header.Del("Date")
				got.header.Del("Date")
				if fmt.Sprint(got.header) != fmt.Sprint(want.header) {
					t.Errorf("header %v, and at the app %v", got.header, want.header)
				}
			})
		}
	}
}

func zip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// pages is an app with a page that has a form, one that has none, and a file; each
// can be asked for again, and for a part.
func newPages(t *testing.T) *answers {
	t.Helper()
	return newAnswers(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		content := map[string]string{"/form": "<!doctype html>" + plainForm, "/bare": "<!doctype html><p>No form</p>", "/file": strings.Repeat("0123456789", 100)}[r.URL.Path]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/file" {
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && r.URL.Query().Has("zip") {
			w.Header().Set("Content-Encoding", "gzip")
			content = zip(content)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	})
}

func TestPagesAreAskedForAgainAndInParts(t *testing.T) {
	t.Parallel()
	app := newPages(t)
	g := harness.Protect(t, app.URL)
	for _, test := range []struct {
		name, method, path string
		header             map[string]string
		status             int
		etag               string
		length             int // -1: not looked at
		body               string
	}{
		{"a page without a form, again", "GET", "/bare", map[string]string{"If-None-Match": `"v1"`}, 304, `"v1"`, -1, ""},
		{"a page with a form, that a cache has from before", "GET", "/form", map[string]string{"If-None-Match": `"v1"`}, 304, `"v1"`, -1, ""},
		{"a page without a form", "GET", "/bare", nil, 200, `"v1"`, 29, "<!doctype html><p>No form</p>"},
		{"HEAD of a page", "HEAD", "/form", nil, 200, "", -1, ""},
		{"HEAD of a file", "HEAD", "/file", nil, 200, `"v1"`, 1000, ""},
		{"a part of a page", "GET", "/form", map[string]string{"Range": "bytes=0-14"}, 200, "", -1, "seeother-form="},
		{"a part of a file", "GET", "/file", map[string]string{"Range": "bytes=990-", "If-Range": `"v1"`}, 206, `"v1"`, 10, "0123456789"},
		{"a part of a file that has changed", "GET", "/file", map[string]string{"Range": "bytes=990-", "If-Range": `"v0"`}, 200, `"v1"`, 1000, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := browserSends(t, test.method, g.URL+test.path, test.header)
			if a.status != test.status || a.header.Get("ETag") != test.etag || !strings.Contains(a.body, test.body) {
				t.Errorf("got %d %v %q", a.status, a.header, a.body)
			}
			if length := a.header.Get("Content-Length"); test.length >= 0 && length != strconv.Itoa(test.length) {
				t.Errorf("Content-Length %q, want %d", length, test.length)
			}
		})
	}
}

func TestAZippedPageIsStillOne(t *testing.T) {
	t.Parallel()
	app := newPages(t)
	g := harness.Protect(t, app.URL)
	for accepts, encoded := range map[string]string{"gzip, br": "gzip", "br": "", "gzip;q=0": ""} {
		a := browserGets(t, g.URL+"/form?zip", map[string]string{"Accept-Encoding": accepts})
		body := a.body
		if encoded == "gzip" {
			r, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			body = string(text)
		}
		if a.header.Get("Content-Encoding") != encoded || !strings.Contains(body, `action="/order?seeother-form=`) || !strings.HasSuffix(body, "</form>") {
			t.Errorf("%s: %v %q", accepts, a.header, body)
		}
		if length := a.header.Get("Content-Length"); length != "" && length != strconv.Itoa(len(a.body)) {
			t.Errorf("%s: Content-Length %s of %d bytes", accepts, length, len(a.body))
		}
	}
}

// What a page's Content-Security-Policy says of forms holds for what comes of them.
func TestAFormUnderAContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	var orders atomic.Int32
	app := newAnswers(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-src 'self'; frame-ancestors 'self'; form-action 'self'")
		w.Header().Set("X-Frame-Options", "SAMEORIGIN")
		switch r.Method + r.URL.Path {
		case "GET/favicon.ico":
			w.WriteHeader(http.StatusNoContent)
		case "GET/outer":
			_, _ = io.WriteString(w, `<!doctype html><title>Outer</title><iframe src="/"></iframe>`)
		case "POST/order":
			n := orders.Add(1)
			time.Sleep(200 * time.Millisecond)
			_, _ = fmt.Fprintf(w, "<!doctype html><title>Thanks</title><h1>Order %d</h1>", n)
		default:
			_, _ = io.WriteString(w, "<!doctype html><title>Form</title>"+plainForm)
		}
	})
	g := harness.Protect(t, app.URL)
	b := harness.Visit(t)
	for n, page := range []string{"document", "document.querySelector('iframe').contentDocument"} {
		b.Do(t, chromedp.Navigate(g.URL+map[int]string{0: "/", 1: "/outer"}[n]))
		b.Await(t, page+`.querySelector('button')`)
		harness.Evaluate[any](t, b, strings.ReplaceAll(clickTwice, "document", page))
		b.Await(t, fmt.Sprintf(`%s.querySelector('h1')?.textContent === 'Order %d'`, page, n+1))
		harness.Evaluate[any](t, b, page+`.location.reload()`)
		b.Await(t, fmt.Sprintf(`%s.readyState === 'complete' && %s.querySelector('h1')?.textContent === 'Order %d'`, page, page, n+1))
	}
	if n := orders.Load(); n != 2 {
		t.Errorf("%d orders, want 2", n)
	}
	b.WantQuiet(t)
}
