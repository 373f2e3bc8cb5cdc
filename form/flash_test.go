package form

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

func newFlashes(t testing.TB, c FlashConfig) *Flashes {
	t.Helper()
	f, err := NewFlashes(FixedKeys(newRing(t, 1)), c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func writePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, m := range FlashesOf(r.Context()) {
		fmt.Fprintf(w, "[%s: %s]", m.Kind, html.EscapeString(m.Text))
	}
	fmt.Fprint(w, "page")
}

// flashApp sets what the query says and shows what there is.
func flashApp(f *Flashes) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /save", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		for _, text := range q["text"] {
			if err := f.Set(w, r, "", Flash{Text: text}); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		seeother.Result(w, r, q.Get("to"))
	})
	mux.HandleFunc("/", writePage)
	mux.HandleFunc("/silent", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<p>page") })
	mux.HandleFunc("/answer", func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.URL.Query() {
			if name != "status" {
				w.Header()[name] = values
			}
		}
		FlashesOf(r.Context())
		status := http.StatusOK
		fmt.Sscan(r.URL.Query().Get("status"), &status)
		w.WriteHeader(status)
	})
	return f.Handler(mux)
}

func TestAMessageIsShownOnceOnItsPage(t *testing.T) {
	t.Parallel()
	app := flashApp(newFlashes(t, FlashConfig{}))
	plain, secure := serve(t, app), httptest.NewTLSServer(app)
	t.Cleanup(secure.Close)
	for _, server := range []*httptest.Server{plain, secure} {
		b := newBrowser(t, server)
		resp, _ := b.send("POST", "/save?text=Saved+%3Cb%3E&to=/orders?id=1%23top")
		if resp.StatusCode != 303 || resp.Header.Get(FlashHeader) != "" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
		line := resp.Header.Get("Set-Cookie")
		for _, want := range []string{"seeother-flash-", "Path=/", "Max-Age=300", "HttpOnly", "SameSite=Lax"} {
			if !strings.Contains(line, want) {
				t.Errorf("cookie %q without %q", line, want)
			}
		}
		if https := server == secure; strings.HasPrefix(line, "__Host-") != https || strings.Contains(line, "Secure") != https {
			t.Errorf("cookie %q, over https: %v", line, https)
		}
		if strings.Contains(line, "Saved") || resp.Header.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("%q can be read, or %q", line, resp.Header.Get("Cache-Control"))
		}
		if got := b.get("/elsewhere"); got != "page" {
			t.Errorf("another page shows %q", got)
		}
		if got := b.get("/orders?id=2"); got != "[notice: Saved &lt;b&gt;]page" {
			t.Errorf("its page shows %q", got)
		}
		if got := b.get("/orders?id=1"); got != "page" || len(b.cookies()) != 0 {
			t.Errorf("again: %q, with %v", got, b.cookies())
		}
	}
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, serve(t, flashApp(newFlashes(t, FlashConfig{}))))
	b.send("POST", "/save?text=1&text=2&text=3&text=4&text=5&to=/a")
	time.Sleep(2 * time.Millisecond) // their clock is in milliseconds
	b.send("POST", "/save?text=6&text=7&text=8&to=/a")
	want := ""
	for i := range 8 {
		want += fmt.Sprintf("[notice: %d]", i+1)
	}
	if got := b.get("/a"); got != want+"page" {
		t.Errorf("%q", got)
	}
}

func TestTwoTabsGetTheirOwnMessages(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, serve(t, flashApp(newFlashes(t, FlashConfig{}))))
	b.send("POST", "/save?text=one&to=/a")
	b.send("POST", "/save?text=two&to=/b")
	if got := b.get("/b"); got != "[notice: two]page" {
		t.Errorf("%q", got)
	}
	if got := b.get("/a"); got != "[notice: one]page" {
		t.Errorf("%q", got)
	}
}

func TestWhatShowsNoPageTakesNoMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path string
		headers      []string
	}{
		"a prefetch":          {"GET", "/answer", []string{"Sec-Purpose", "prefetch"}},
		"a prerender":         {"GET", "/answer", []string{"Sec-Purpose", "prefetch;prerender"}},
		"an older prefetch":   {"GET", "/answer", []string{"Purpose", "prefetch"}},
		"a frame":             {"GET", "/answer", []string{"Sec-Fetch-Dest", "iframe"}},
		"a script":            {"GET", "/answer", []string{"Sec-Fetch-Mode", "cors"}},
		"an image":            {"GET", "/answer", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		"HEAD":                {"HEAD", "/answer", nil},
		"POST":                {"POST", "/answer", nil},
		"a page not found":    {"GET", "/answer?status=404&Content-Type=text/html", nil},
		"an error":            {"GET", "/answer?status=500&Content-Type=text/html", nil},
		"a redirect":          {"GET", "/answer?status=302&Location=/elsewhere", nil},
		"not modified":        {"GET", "/answer?status=304", nil},
		"JSON":                {"GET", "/answer?Content-Type=application/json", nil},
		"text":                {"GET", "/answer?Content-Type=text/plain", nil},
		"what only names it":  {"GET", "/answer?Content-Type=text/plain%3Ba=text/html", nil},
		"a download":          {"GET", "/answer?Content-Type=text/html&Content-Disposition=attachment", nil},
		"a page that is kept": {"GET", "/answer?Content-Type=text/html&seeother-page=x", nil},
		"a page without them": {"GET", "/silent", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t, serve(t, flashApp(newFlashes(t, FlashConfig{}))))
			path, _, _ := strings.Cut(c.path, "?")
			b.send("POST", "/save?text=x&to="+path)
			resp, _ := b.send(c.method, c.path, c.headers...)
			if len(b.cookies()) != 1 || resp.Header.Get("Set-Cookie") != "" {
				t.Fatalf("the message is gone: %v", resp.Header)
			}
			if path == "/silent" {
				return
			}
			resp, _ = b.send("GET", "/answer?Content-Type=text/HTML%3Bcharset=utf-8")
			if len(b.cookies()) != 0 || resp.Header.Get("Cache-Control") != "private, no-cache" {
				t.Errorf("a page does not take it: %v", resp.Header)
			}
		})
	}
}

func TestAPageOfAnyMakingTakesItsMessages(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(http.ResponseWriter){
		"nothing at all":          func(http.ResponseWriter) {},
		"a header without a type": func(w http.ResponseWriter) { w.WriteHeader(200) },
		"a body without a type":   func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<!DOCTYPE html>") },
		"bytes without a type":    func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
		"a flush":                 func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"XHTML":                   func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/xhtml+xml") },
		"a file": func(w http.ResponseWriter) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("<html>"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlashes(t, FlashConfig{})
			b := newBrowser(t, serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					_ = f.Set(w, r, "", Flash{Text: "x"})
					seeother.Result(w, r, "/")
					return
				}
				if FlashesOf(r.Context()) != nil {
					write(w)
				}
			}))))
			b.send("POST", "/")
			if b.get("/"); len(b.cookies()) != 0 {
				t.Error("the message is still there")
			}
		})
	}
	if isPage(200, http.Header{}, []byte("just text")) {
		t.Error("text counts as a page")
	}
}

func TestAPageWithMessagesIsNotKeptOrCompared(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	b := newBrowser(t, serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Cache-Control", "no-store")
			_ = f.Set(w, r, "/page", Flash{Text: "x"})
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		w.Header().Set("Expires", "Mon, 02 Jan 2096 15:04:05 GMT")
		w.Header().Set("Cache-Control", "public, max-age=600")
		if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		writePage(w, r)
	}))))
	conditions := []string{"If-None-Match", `"1"`, "If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}
	if resp, _ := b.send("GET", "/page", conditions...); resp.StatusCode != 304 || resp.Header.Get("ETag") == "" {
		t.Errorf("without a message: %d %v", resp.StatusCode, resp.Header)
	}
	if resp, _ := b.send("POST", "/page"); resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
	resp, body := b.send("GET", "/page", conditions...)
	if resp.StatusCode != 200 || body != "[notice: x]page" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	for _, name := range []string{"ETag", "Last-Modified", "Expires"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("%s: %s", name, resp.Header.Get(name))
		}
	}
	if got := resp.Header.Get("Cache-Control"); got != "private, no-cache" {
		t.Errorf("Cache-Control: %s", got)
	}
}

func TestMessagesAreForOneBrowserOnly(t *testing.T) {
	t.Parallel()
	mine, other := newNonce(), newNonce()
	server := serve(t, flashApp(newFlashes(t, FlashConfig{})))
	for name, c := range map[string]struct {
		set, show string // the nonce cookie
		shown     bool
	}{
		"the same browser":           {mine, mine, true},
		"one without a nonce":        {"", "", true},
		"another browser":            {mine, other, false},
		"the nonce is gone":          {mine, "", false},
		"it came after the message":  {"", mine, false},
		"after a login":              {mine, other + "." + mine, true},
		"set after a login":          {mine + "." + other, mine + "." + other, true},
		"from before another person": {mine, other + "." + newNonce(), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBrowser(t, server)
			if c.set != "" {
				b.setCookies(&http.Cookie{Name: nonceCookie, Value: c.set})
			}
			b.send("POST", "/save?text=x&to=/a")
			if c.show != "" {
				b.setCookies(&http.Cookie{Name: nonceCookie, Value: c.show})
			} else {
				b.setCookies(&http.Cookie{Name: nonceCookie, MaxAge: -1})
			}
			if got := b.get("/a"); (got == "[notice: x]page") != c.shown {
				t.Errorf("%q, want it shown: %v", got, c.shown)
			}
		})
	}
}

func TestAMessageIsBoundToTheNonceThatItsAnswerGives(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	b := newBrowser(t, serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" { // a logout
			_ = f.Set(w, r, "/", Flash{Text: "bye"})
			setCookie(w.Header(), nonceCookie, newNonce(), false, 0)
			return
		}
		writePage(w, r)
	}))))
	b.setCookies(&http.Cookie{Name: nonceCookie, Value: newNonce()})
	b.send("POST", "/")
	if got := b.get("/"); got != "[notice: bye]page" {
		t.Errorf("%q", got)
	}
}

func TestForgedMessagesAreNone(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	foreign, err := NewFlashes(FixedKeys(newRing(t, 2)), FlashConfig{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	m := readyFlash{Flash: Flash{Kind: "notice", Text: "x"}, made: now}
	good := f.sealFlash(m, "/a", "N")
	if got, ok := f.openFlash(good, "/a", []string{"M", "N"}, now); !ok || got.Text != "x" || got.Kind != "notice" {
		t.Fatalf("%v %v", got, ok)
	}
	old, late := m, m
	old.made, late.made = now.Add(-5*time.Minute), now.Add(6*time.Minute)
	for name, c := range map[string]struct {
		cookie flashCookie
		path   string
		nonce  string
	}{
		"another key":     {foreign.sealFlash(m, "/a", "N"), "/a", "N"},
		"another page":    {good, "/b", "N"},
		"another browser": {good, "/a", "M"},
		"no nonce":        {good, "/a", ""},
		"another name":    {flashCookie{flashName + strings.Repeat("A", flashChars), good.value}, "/a", "N"},
		"swapped parts":   {good, "/aN", ""},
		"old":             {f.sealFlash(old, "/a", "N"), "/a", "N"},
		"of the future":   {f.sealFlash(late, "/a", "N"), "/a", "N"},
		"padded":          {flashCookie{good.name, good.value + "="}, "/a", "N"},
		"longer":          {flashCookie{good.name, good.value + "A"}, "/a", "N"},
		"huge":            {flashCookie{good.name, strings.Repeat("A", 1<<20)}, "/a", "N"},
		"quoted":          {flashCookie{good.name, `"` + good.value + `"`}, "/a", "N"},
	} {
		if got, ok := f.openFlash(c.cookie, c.path, []string{c.nonce}, now); ok {
			t.Errorf("%s: it counts: %v", name, got)
		}
	}
	for i := range len(good.value) {
		cut, changed := good, good
		cut.value = good.value[:i]
		b := []byte(good.value)
		b[i] = map[bool]byte{true: 'B', false: 'A'}[b[i] == 'A']
		changed.value = string(b)
		for _, c := range []flashCookie{cut, changed} {
			if _, ok := f.openFlash(c, "/a", []string{"N"}, now); ok {
				t.Errorf("%q counts", c.value)
			}
		}
	}
}

func TestATextOfAnotherVersionIsNone(t *testing.T) {
	t.Parallel()
	head := "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	if m, ok := decodeFlash([]byte(head + "\x03abctext")); !ok || m.Kind != "abc" || m.Text != "text" {
		t.Fatalf("%v %v", m, ok)
	}
	for _, plain := range []string{"", head, head + "\x03", head + "\x03abc", head + "\xffabctext", "\x02" + head[1:] + "\x03abctext", head + "\x01\x00text"} {
		if m, ok := decodeFlash([]byte(plain)); ok {
			t.Errorf("%q is %v", plain, m)
		}
	}
}

func TestACookieThatIsTooLongCostsNothing(t *testing.T) {
	f := newFlashes(t, FlashConfig{})
	c := flashCookie{flashName + strings.Repeat("A", flashChars), strings.Repeat("A", maxFlashValue+1)}
	if n := testing.AllocsPerRun(100, func() { f.openFlash(c, "/", []string{""}, time.Now()) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCookiesOfOursAreTakenOutOfARequest(t *testing.T) {
	t.Parallel()
	a, b, c := flashName+"AAAAAAAAAAAAAAAA", flashName+"BBBBBBBBBBBBBBBB", flashName+"CCCCCCCCCCCCCCCC"
	for name, x := range map[string]struct {
		lines  []string
		secure bool
		found  []flashCookie
		rest   []string
	}{
		"none":                      {[]string{"a=1;b=2"}, false, nil, []string{"a=1;b=2"}},
		"among others":              {[]string{"a=1; " + a + "=x; b=\"2\";" + b + "=y=z"}, false, []flashCookie{{a, "x"}, {b, "y=z"}}, []string{"a=1; b=\"2\""}},
		"in two lines":              {[]string{a + "=x", "a=1; " + b + "=y"}, false, []flashCookie{{a, "x"}, {b, "y"}}, []string{"a=1"}},
		"over https":                {[]string{a + "=x; " + hostPrefix + b + "=y"}, true, []flashCookie{{b, "y"}}, nil},
		"with the prefix, in clear": {[]string{a + "=x; " + hostPrefix + b + "=y"}, false, []flashCookie{{a, "x"}}, nil},
		"one that comes twice":      {[]string{a + "=x; " + b + "=y; " + a + "=z"}, false, []flashCookie{{b, "y"}}, nil},
		"names that are not ours":   {[]string{"x" + a + "=x; " + flashName + "=1; " + flashName + "aaaaaaaaaaaaaaaa=2; " + c + "=z"}, false, []flashCookie{{c, "z"}}, []string{"x" + a + "=x"}},
	} {
		found, rest, ours := takeFlashes(x.lines, x.secure)
		if !slices.Equal(found, x.found) || !slices.Equal(rest, x.rest) || ours != (name != "none") {
			t.Errorf("%s: %q, %q, %v", name, found, rest, ours)
		}
	}
	var many []string
	for i := range 26 * 26 {
		many = append(many, flashName+strings.Repeat(string(rune('A'+i%26)), 8)+strings.Repeat(string(rune('A'+i/26)), 8)+"=x")
	}
	if found, _, _ := takeFlashes([]string{strings.Join(many, ";")}, false); len(found) != maxFlashReads {
		t.Errorf("%d cookies are looked at", len(found))
	}
}

func TestACookieSetTwiceShowsNothingAndTheAppSeesNone(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	server := serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(FlashesOf(r.Context())), r.Header["Cookie"])
	})))
	c := f.sealFlash(readyFlash{Flash: Flash{Kind: "notice", Text: "x"}, made: time.Now()}, "/", "")
	pair := c.name + "=" + c.value
	b := newBrowser(t, server)
	if got := b.get("/", "Cookie", "a=1; "+pair); got != "1 [a=1]" {
		t.Errorf("once: %q", got)
	}
	if got := b.get("/", "Cookie", "a=1; "+pair+"; "+pair); got != "0 [a=1]" {
		t.Errorf("twice: %q", got)
	}
}

func TestPathsAreComparedAsBrowsersMeanThem(t *testing.T) {
	t.Parallel()
	app := flashApp(newFlashes(t, FlashConfig{}))
	server := serve(t, app)
	host := strings.TrimPrefix(server.URL, "http://")
	for to, path := range map[string]string{
		"/a/../b":               "/b",
		"/%C3%BC":               "/%c3%bc",
		"/ü":                    "/%C3%BC",
		"/a b":                  "/a%20b",
		"/a|b^c":                "/a%7Cb%5Ec",
		"?q=1":                  "/save",
		"orders":                "/orders",
		"http://" + host + "/x": "/x",
		"https://" + host:       "/",
	} {
		b := newBrowser(t, server)
		f := newFlashes(t, FlashConfig{})
		set := f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = f.Set(w, r, "", Flash{Text: "x"})
			w.Header().Set("Location", to)
			w.WriteHeader(302)
		}))
		rec := httptest.NewRecorder()
		set.ServeHTTP(rec, httptest.NewRequest("POST", server.URL+"/save?x", nil))
		b.setCookies(rec.Result().Cookies()...)
		if got := b.get(path); got != "[notice: x]page" {
			t.Errorf("%q to %q: %q", to, path, got)
		}
	}
}

func TestSetRefusesWhatCannotBeAMessage(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	long := strings.Repeat("x", MaxFlashText)
	h := f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, c := range map[string]struct {
			to string
			m  Flash
		}{
			"no text":             {"", Flash{}},
			"a long text":         {"", Flash{Text: long + "x"}},
			"no UTF-8":            {"", Flash{Text: "\xff"}},
			"a control character": {"", Flash{Text: "a\x00"}},
			"a line end of HTTP":  {"", Flash{Text: "a\r\nSet-Cookie: x"}},
			"a kind with a space": {"", Flash{Kind: "a b", Text: "x"}},
			"a kind with a quote": {"", Flash{Kind: `a"`, Text: "x"}},
			"a kind of a digit":   {"", Flash{Kind: "1", Text: "x"}},
			"a long kind":         {"", Flash{Kind: strings.Repeat("k", MaxFlashKind+1), Text: "x"}},
			"another site":        {"https://evil.example/", Flash{Text: "x"}},
			"two slashes":         {"//evil.example/", Flash{Text: "x"}},
		} {
			if err := f.Set(w, r, c.to, c.m); !errors.Is(err, ErrFlash) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(w.Header()[FlashHeader]) != 0 {
			t.Errorf("%q", w.Header())
		}
		for i := range 2 {
			if err := f.Set(w, r, "/a", Flash{Kind: strings.Repeat("k", MaxFlashKind), Text: long}); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if err := f.Set(w, r, "/a", Flash{Text: long}); !errors.Is(err, ErrFlash) {
			t.Errorf("more than fits: %v", err)
		}
		w.Header().Del(FlashHeader)
		for i := range 8 {
			if err := f.Set(w, r, "/a", Flash{Text: "line\n\tü"}); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if err := f.Set(w, r, "/a", Flash{Text: "x"}); !errors.Is(err, ErrFlash) {
			t.Errorf("a ninth: %v", err)
		}
		w.WriteHeader(200)
		if err := f.Set(w, r, "/a", Flash{Text: "x"}); !errors.Is(err, ErrFlash) {
			t.Errorf("too late: %v", err)
		}
	}))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("POST", "/", nil))
	if n := len(rec.Result().Cookies()); n != 8 {
		t.Errorf("%d cookies", n)
	}
	if err := f.Set(rec, httptest.NewRequest("POST", "/", nil), "/a", Flash{Text: "x"}); !errors.Is(err, ErrFlash) {
		t.Errorf("outside of Handler: %v", err)
	}
	if FlashesOf(t.Context()) != nil {
		t.Error("messages of nowhere")
	}
}

func TestMessagesThatNobodyFetchesMakeRoom(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, serve(t, flashApp(newFlashes(t, FlashConfig{}))))
	text := strings.Repeat("x", 1000)
	for i := range 10 {
		b.send("POST", fmt.Sprintf("/save?text=%s&to=/%d", text, i))
		size := 0
		for _, c := range b.cookies() {
			size += len(c.Name) + len(c.Value) + 3
		}
		if size > maxFlashBytes {
			t.Fatalf("%d bytes of cookies", size)
		}
	}
	for i, want := range map[int]bool{0: false, 7: false, 8: true, 9: true} {
		if got := b.get(fmt.Sprintf("/%d", i)); (got != "page") != want {
			t.Errorf("/%d: shown %v", i, got != "page")
		}
	}
}

func TestTheAppBehindAGatewaySetsAndGetsMessagesByHeader(t *testing.T) {
	t.Parallel()
	var seen decisions
	f := newFlashes(t, FlashConfig{Forward: true, Observe: seen.observe})
	server := serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Add(FlashHeader, `"Saved";kind=notice, %"Gr%c3%bc%c3%9fe %22%25";kind=error`)
			w.Header().Add(FlashHeader, `:R3LDvMOfZQ==:;later=1,"a\"b,c";to="/elsewhere"`)
			w.Header().Set("Location", "/page")
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, strings.Join(r.Header[FlashHeader], "|")+strings.Join(r.Header["Seeother_flash"], "|"))
	})))
	b := newBrowser(t, server)
	if got := b.get("/page", FlashHeader, `"mine"`, "Seeother_flash", `"mine"`); got != "" {
		t.Errorf("a client's own header reaches the app: %q", got)
	}
	resp, _ := b.send("POST", "/")
	if resp.Header.Get(FlashHeader) != "" || len(resp.Cookies()) != 4 {
		t.Errorf("%v", resp.Header)
	}
	want := `%"Saved";kind=notice, %"Gr%c3%bc%c3%9fe %22%25";kind=error, %"Gr%c3%bc%c3%9fe";kind=notice`
	if got := b.get("/page", FlashHeader, `"mine"`); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if got := b.get("/page"); got != "" {
		t.Errorf("again: %q", got)
	}
	if got := b.get("/elsewhere"); got != `%"a%22b,c";kind=notice` {
		t.Errorf("%q", got)
	}
	if got := seen.actions(); got != "set shown shown" {
		t.Errorf("observed %q", got)
	}
	if d := seen.all[0]; d.Policy != "flash" || d.Reason != "4 messages" || d.Before != 303 || !d.Applied {
		t.Errorf("%+v", d)
	}
}

func TestAHeaderThatIsWrongIsDroppedAndTold(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxFlashText)
	for name, c := range map[string]struct {
		lines    []string
		location string
		cookies  int
	}{
		"no string":        {[]string{"Saved"}, "/a", 0},
		"a number":         {[]string{"1"}, "/a", 0},
		"a list in a list": {[]string{`("a" "b")`}, "/a", 0},
		"not closed":       {[]string{`"a`}, "/a", 0},
		"not ASCII":        {[]string{`"ü"`}, "/a", 0},
		"no UTF-8":         {[]string{`:/w==:`}, "/a", 0},
		"one of two wrong": {[]string{`"a", b`}, "/a", 0},
		"a bad kind":       {[]string{`"a";kind="b c"`}, "/a", 0},
		"a kind of a list": {[]string{`"a";kind=1`}, "/a", 0},
		"a bad to":         {[]string{`"a";to=1`}, "/a", 0},
		"empty":            {[]string{`""`}, "/a", 0},
		"a long text":      {[]string{`"` + long + `x"`}, "/a", 0},
		"a long header":    {[]string{`"a"` + strings.Repeat(" ", maxFlashHeader)}, "/a", 0},
		"no Location":      {[]string{`"a"`}, "", 0},
		"another site":     {[]string{`"a"`}, "https://evil.example/", 0},
		"to another site":  {[]string{`"a";to="//evil.example/", "b"`}, "/a", 1},
		"nine":             {[]string{`"1","2","3","4","5","6","7","8","9"`}, "/a", 8},
		"more than fits":   {[]string{`"` + long + `","` + long + `","` + long + `"`}, "/a", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen decisions
			f := newFlashes(t, FlashConfig{Observe: seen.observe})
			h := f.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()[FlashHeader] = c.lines
				if c.location != "" {
					w.Header().Set("Location", c.location)
				}
				w.WriteHeader(http.StatusFound)
			}))
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest("POST", "/", nil))
			if got := rec.Result(); got.Header.Get(FlashHeader) != "" || len(got.Cookies()) != c.cookies || got.StatusCode != 302 {
				t.Errorf("%d cookies, %v", len(got.Cookies()), got.Header)
			}
			if got := seen.actions(); !strings.HasPrefix(got, "dropped") {
				t.Errorf("observed %q", got)
			}
			for _, d := range seen.all {
				if strings.Contains(d.Reason, "xxx") {
					t.Errorf("the text is in the log: %s", d.Reason)
				}
			}
		})
	}
}

func TestTheHeaderIsInNoAnswerWhateverItsForm(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	server := serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(FlashHeader, `"x"`)
		w.Header().Set("Location", "/page")
		w.Header().Set("Link", "</a.css>; rel=preload")
		switch r.URL.Path {
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusSeeOther)
		case "/trailer":
			w.Header().Set("Trailer", FlashHeader+", X-Other")
			w.WriteHeader(http.StatusSeeOther)
			w.(http.Flusher).Flush()
			w.Header().Set(FlashHeader, `"x"`)
			w.Header().Set(http.TrailerPrefix+FlashHeader, `"x"`)
			w.Header().Set("X-Other", "y")
		case "/error":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})))
	b := newBrowser(t, server)
	for _, path := range []string{"/early", "/trailer", "/error", "/nothing"} {
		resp, _ := b.send("POST", path)
		if resp.Header.Get(FlashHeader) != "" || resp.Trailer.Get(FlashHeader) != "" || len(resp.Cookies()) != 1 {
			t.Errorf("%s: %v %v", path, resp.Header, resp.Trailer)
		}
		if path == "/trailer" && resp.Trailer.Get("X-Other") != "y" {
			t.Errorf("another trailer is lost: %v", resp.Trailer)
		}
	}
	raw := rawAnswer(t, server, "POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.Contains(raw, "103 Early Hints") || strings.Contains(raw, FlashHeader) || strings.Count(raw, "Set-Cookie") != 1 {
		t.Errorf("%s", raw)
	}
}

func rawAnswer(t *testing.T, server *httptest.Server, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, request)
	raw, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestAPageMayShowMessagesAndSetNewOnes(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	text := strings.Repeat("x", MaxFlashText)
	b := newBrowser(t, serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 2 {
			if err := f.Set(w, r, "/", Flash{Text: text}); err != nil {
				t.Error(err)
			}
		}
		writePage(w, r)
	}))))
	b.get("/other")
	resp, body := b.send("GET", "/")
	if lines := resp.Header["Set-Cookie"]; len(lines) != 4 || strings.Count(body, text) != 2 {
		t.Errorf("%d cookies, %d bytes", len(lines), len(body))
	}
	if got := len(b.cookies()); got != 2 {
		t.Errorf("%d cookies wait", got)
	}
}

func TestAskedTooLateThereAreNone(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	b := newBrowser(t, serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			_ = f.Set(w, r, "/", Flash{Text: "x"})
			return
		}
		if r.URL.RawQuery == "late" {
			fmt.Fprint(w, "<p>")
		}
		fmt.Fprint(w, "<p>", len(FlashesOf(r.Context())), len(FlashesOf(r.Context())))
	}))))
	b.send("POST", "/")
	if got := b.get("/?late"); got != "<p><p>0 0" || len(b.cookies()) != 1 {
		t.Errorf("%q", got)
	}
	if got := b.get("/"); got != "<p>1 1" {
		t.Errorf("asked twice: %q", got)
	}
}

func TestOneHandlerInsideAnotherIsOne(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	b := newBrowser(t, serve(t, f.Handler(flashApp(f))))
	b.send("POST", "/save?text=x&to=/a")
	if got := b.get("/a"); got != "[notice: x]page" || len(b.cookies()) != 0 {
		t.Errorf("%q", got)
	}
}

func TestAHandlerMayStreamAndHijack(t *testing.T) {
	t.Parallel()
	f := newFlashes(t, FlashConfig{})
	server := serve(t, f.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hijack" {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\nmine")
			_ = conn.Close()
			return
		}
		_, _ = io.WriteString(w, "one\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})))
	if raw := rawAnswer(t, server, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n"); raw != "HTTP/1.0 200 OK\r\n\r\nmine" {
		t.Errorf("%q", raw)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "one\n" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestAWriterShowsOnlyWhatTheOneBehindItCan(t *testing.T) {
	t.Parallel()
	type plain struct{ http.ResponseWriter }
	type flusher struct {
		http.ResponseWriter
		http.Flusher
	}
	type hijacker struct {
		http.ResponseWriter
		http.Hijacker
	}
	type both struct {
		http.ResponseWriter
		http.Flusher
		http.Hijacker
	}
	for _, c := range []struct {
		w               http.ResponseWriter
		flushes, hijack bool
	}{{plain{}, false, false}, {flusher{}, true, false}, {hijacker{}, false, true}, {both{}, true, true}} {
		w := (&watcher{ResponseWriter: c.w}).watch()
		_, flushes := w.(http.Flusher)
		_, hijacks := w.(http.Hijacker)
		if flushes != c.flushes || hijacks != c.hijack {
			t.Errorf("%T: flushes %v, hijacks %v", c.w, flushes, hijacks)
		}
	}
}

func TestAFlashConfigThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []FlashConfig{{MaxAge: time.Hour}, {MaxAge: 1}, {Most: -1}, {Most: 17}} {
		if _, err := NewFlashes(FixedKeys(newRing(t, 1)), c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func FuzzFlashCookie(f *testing.F) {
	flashes := newFlashes(f, FlashConfig{})
	now := time.Now()
	c := flashes.sealFlash(readyFlash{Flash: Flash{Kind: "notice", Text: "x"}, made: now}, "/", "")
	f.Add(c.name+"="+c.value, []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06noticex"))
	f.Add("a=1; "+hostPrefix+c.name+"="+c.value+";;=; "+flashName, []byte{1})
	f.Fuzz(func(t *testing.T, line string, plain []byte) {
		for _, secure := range []bool{true, false} {
			found, rest, _ := takeFlashes([]string{line}, secure)
			if len(found) > maxFlashReads || len(rest) > 1 {
				t.Errorf("%q: %q, %q", line, found, rest)
			}
			if len(rest) > 0 && strings.Contains(rest[0], "; "+flashName) {
				t.Errorf("%q: %q goes to the app", line, rest)
			}
			for _, one := range found {
				if m, ok := flashes.openFlash(one, "/", []string{""}, now); ok && m.Flash != (Flash{Kind: "notice", Text: "x"}) { // each process that fuzzes has its own
					t.Errorf("%q is forged: %q", one, m.Text)
				}
			}
		}
		m, ok := decodeFlash(plain)
		if !ok {
			return
		}
		if _, err := m.checked(); err != nil {
			t.Errorf("%q: %v", plain, err)
		}
	})
}

func FuzzFlashHeader(f *testing.F) {
	f.Add(`"Saved";kind=notice, %"Gr%c3%bc%c3%9fe";to="/a", :R3LDvMOfZQ==:`, "a\r\nSet-Cookie: x=y\x00ü\"\\%,;", "/a\r\nb", "error")
	f.Add(`("a" "b"), 1, ?1, tok;kind`, "\xff", "\"", "a b")
	f.Fuzz(func(t *testing.T, line, text, to, kind string) {
		if items, err := parseFlashes([]string{line}); err == nil {
			again, err := formatFlashes(items)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if twice, err := parseFlashes([]string{again}); len(again) <= maxFlashHeader && (err != nil || !slices.Equal(items, twice)) {
				t.Errorf("%q is %q: %v", line, again, err)
			}
		}
		m, err := Flash{Kind: kind, Text: text}.checked()
		if err != nil {
			return
		}
		out, err := formatFlashes([]flashItem{{Flash: m, to: to}})
		if err != nil {
			t.Fatalf("%q, %q: %v", text, kind, err)
		}
		for i := range len(out) {
			if out[i] < ' ' || out[i] >= 0x7f {
				t.Fatalf("%q has a byte that no header may have", out)
			}
		}
	})
}
