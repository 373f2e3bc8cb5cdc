package form

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/keyring"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

func TestAPageWhoseTypeIsSaidTwiceIsNotTouched(t *testing.T) {
	t.Parallel()
	for name, said := range map[string][]string{
		"in two lines":             {"text/html; charset=utf-8", "text/html; charset=iso-2022-jp"},
		"in one line":              {"text/html; charset=utf-8, text/html; charset=iso-2022-jp"},
		"with another type behind": {"text/html", "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := pageOf(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = said
				_, _ = io.WriteString(w, formPage)
			})
			if a := b.get("/"); a.body != formPage || !slices.Equal(a.Header["Content-Type"], said) {
				t.Errorf("%v %q", a.Header, a.body)
			}
		})
	}
}

func TestATrailerThatNamesTheBytesOfAPageGoesWithThem(t *testing.T) {
	t.Parallel()
	for _, announced := range []bool{false, true} {
		prefix := http.TrailerPrefix
		_, b := pageOf(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			if announced {
				h.Set("Trailer", "Repr-Digest, X-Took")
				prefix = ""
			}
			if r.URL.Path == "/plain" { // held to its end, and then passed on as it is
				_, _ = io.WriteString(w, "<p>no form")
			} else {
				_, _ = io.WriteString(w, formPage)
				w.(http.Flusher).Flush()
			}
			h.Set(prefix+"Repr-Digest", "sha-256=:AAAA:")
			h.Set(prefix+"X-Took", "1 ms")
		})
		a := b.get("/")
		if !strings.Contains(a.body, tokenParam) || a.Trailer.Get("Repr-Digest") != "" || a.Trailer.Get("X-Took") != "1 ms" {
			t.Errorf("announced %v: trailer %v of %q", announced, a.Trailer, a.body)
		}
		a = b.get("/plain")
		if a.body != "<p>no form" || a.Trailer.Get("Repr-Digest") != "sha-256=:AAAA:" || a.Trailer.Get("X-Took") != "1 ms" {
			t.Errorf("announced %v, no form: trailer %v of %q", announced, a.Trailer, a.body)
		}
	}
}

// TestAPageThatUnfoldsIsNotHeld: what is held of a page is bounded by what it becomes,
// too, and not by its compressed bytes alone.
func TestAPageThatUnfoldsIsNotHeld(t *testing.T) {
	t.Parallel()
	const size = 16 << 20 // in 16 KiB of gzip
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for range size >> 20 {
		_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	}
	_ = z.Close()
	s := newSite(t, Config{Hold: 1 << 20}, Policy{}, nil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	out := &counting{ResponseRecorder: httptest.NewRecorder()}
	s.forms.Outer(Policy{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})).ServeHTTP(out, r)
	if out.bytes != size || out.largest > 4<<20 {
		t.Errorf("%d bytes came out, %d in one piece", out.bytes, out.largest)
	}
}

// counting is a client that keeps no body.
type counting struct {
	*httptest.ResponseRecorder
	bytes, largest int
}

func (c *counting) Write(p []byte) (int, error) {
	c.bytes += len(p)
	c.largest = max(c.largest, len(p))
	return len(p), nil
}

func TestGzipInPartsAndWithSomethingBehindItIsOnePage(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<p>text</p>", 20_000)
	for name, body := range map[string][]byte{
		"two members":                        slices.Concat(zipped(long), zipped(formPage)),
		"an empty member between":            slices.Concat(zipped(long), zipped(""), zipped(formPage)),
		"zeros behind it, as of a tape":      slices.Concat(zipped(long+formPage), make([]byte, 512)),
		"what is no gzip behind it":          slices.Concat(zipped(long+formPage), []byte("<!-- 12 ms -->")),
		"the beginning of another behind it": slices.Concat(zipped(long+formPage), zipped("x")[:5]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := pageOf(t, Config{Hold: 1 << 10}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				for _, c := range body { // the worst that a network does
					_, _ = w.Write([]byte{c})
				}
			})
			if a := b.get("/"); !strings.HasPrefix(a.body, long) || strings.Count(a.body, tokenParam) != 1 || !strings.HasSuffix(a.body, "</form>") {
				t.Errorf("%d bytes, with %d tokens", len(a.body), strings.Count(a.body, tokenParam))
			}
		})
	}
}

func TestWhatAClientSendsUnderTheNameOfMessagesReachesNoApp(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	seen := make(chan http.Header, 1)
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	for name, h := range map[string]http.Handler{
		"a route with forms and without messages": s.forms.Outer(Policy{}, app),
		"a route without forms":                   s.forms.Clean(app),
		"a route where forms are off":             s.forms.Outer(Policy{Stage: seeother.Off}, app),
	} {
		for _, as := range []string{"Seeother-Flash", "Seeother_flash"} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header[as] = []string{`"forged"`}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got := <-seen; len(got[as]) > 0 {
				t.Errorf("%s: the app got %s: %q", name, as, got[as])
			}
			if len(r.Header[as]) == 0 {
				t.Errorf("%s: the header of the request itself was changed", name)
			}
		}
	}
	flashes, err := NewFlashes(s.forms.keys, FlashConfig{Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	var cookie string
	browser := func(target string, set bool) {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Cookie", cookie)
		flashes.Handler(s.forms.Outer(Policy{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if set {
				w.Header().Set(FlashHeader, `"Saved";to="/next"`)
			}
			seen <- r.Header
		}))).ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			cookie += c.Name + "=" + c.Value + "; "
		}
	}
	browser("/", true)
	<-seen
	if browser("/next", false); !strings.Contains((<-seen).Get(FlashHeader), "Saved") {
		t.Error("a message of ours does not reach the app")
	}
}

func TestASubdomainCannotSendAFormOfThisSite(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"same-site", "cross-site", "something new"} {
		s := newSite(t, Config{}, Policy{}, nil)
		b := newPerson(t, s)
		action := b.get("/").action(t)
		for range 2 {
			a := b.send(http.MethodPost, action, "n=1", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", from) })
			if a.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %v: what another host's page sends is not kept as a page", from, a.StatusCode, a.Header)
			}
		}
		s.mustHave(t, 2)
	}
}

func TestACookieOfPlainHTTPCountsForNothingOverHTTPS(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{Origin: func(*http.Request) string { return "https://shop.example" }}, Policy{}, nil)
	nonce := strings.Repeat("B", nonceChars)
	token := tokenParam + "=" + s.forms.newToken(nonce, time.Now())
	for cookie, want := range map[string]bool{
		nonceCookie + "=" + nonce:              false,
		hostPrefix + nonceCookie + "=" + nonce: true,
		"__host-" + nonceCookie + "=" + nonce:  false, // some servers fold the case of names
		hostPrefix + nonceCookie + "=" + nonce + "; " + hostPrefix + nonceCookie + "=" + nonce: false,
	} {
		r := httptest.NewRequest(http.MethodPost, "/buy?"+token, nil)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Cookie", cookie)
		if got := s.forms.Guards(Policy{}, r); got != want {
			t.Errorf("%s: %v", cookie, got)
		}
	}
}

// TestGatewaysOfOneStore: a token and a page of one count at the other, also where
// their clocks differ by less than a minute, and after the keys were changed.
func TestGatewaysOfOneStoreKnowEachOthersTokensAndPages(t *testing.T) {
	t.Parallel()
	a := newSite(t, Config{}, Policy{}, nil)
	keys, err := OpenKeys(t.Context(), a.store, KeyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	b, err := New(a.store, keys, Config{})
	if err != nil {
		t.Fatal(err)
	}
	nonce, other := newNonce(), newNonce()
	now := time.Now()
	for ahead, want := range map[time.Duration]bool{0: true, 50 * time.Second: true, -50 * time.Second: true, 2 * time.Minute: false, -25 * time.Hour: false} {
		name, _, ok := b.checkToken(a.forms.newToken(nonce, now.Add(ahead)), []string{nonce}, now)
		if ok != want || ok == (name == "") {
			t.Errorf("made by a clock that is %s ahead: %v", ahead, ok)
		}
	}
	page, err := a.forms.keep(t.Context(), kindPage, nonce, kept{Status: 200, body: []byte("secret")}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := b.find(t.Context(), kindPage, page, []string{nonce}); err != nil || string(got.body) != "secret" {
		t.Errorf("its browser at the other gateway: %q, %v", got.body, err)
	}
	for name, try := range map[string]struct{ kind, name, nonce string }{
		"another browser":          {kindPage, page, other},
		"no browser":               {kindPage, page, ""},
		"as a form to send again":  {kindAgain, page, nonce},
		"the page's name as nonce": {kindPage, page, page},
		"a name that is cut":       {kindPage, page[:25], nonce},
		"a path":                   {kindPage, "../page/" + page, nonce},
	} {
		if got, _, err := b.find(t.Context(), try.kind, try.name, []string{try.nonce, ""}); err == nil {
			t.Errorf("%s: %q", name, got.body)
		}
	}
}

func TestWhatIsKeptIsForgottenInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys, err := RandomKeys()
		if err != nil {
			t.Fatal(err)
		}
		f, err := New(memstore.New(), keys, Config{})
		if err != nil {
			t.Fatal(err)
		}
		nonce := newNonce()
		names := map[string]string{}
		for _, kind := range []string{kindPage, kindAgain} {
			if names[kind], err = f.keep(t.Context(), kind, nonce, kept{Status: 200}, f.ageOf(kind)); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range []struct {
			pause       time.Duration
			page, again bool
		}{{0, true, true}, {9 * time.Minute, true, true}, {2 * time.Minute, true, false}, {48 * time.Minute, true, false}, {2 * time.Minute, false, false}} {
			time.Sleep(at.pause)
			for kind, want := range map[string]bool{kindPage: at.page, kindAgain: at.again} {
				if _, _, err := f.find(t.Context(), kind, names[kind], []string{nonce}); (err == nil) != want {
					t.Errorf("%s after %s more: %v", kind, at.pause, err)
				}
			}
		}
	})
}

// ageOf is how long what is of a kind is kept.
func (f *Forms) ageOf(kind string) time.Duration {
	if kind == kindAgain {
		return f.cfg.AgainAge
	}
	return f.cfg.PageAge
}

func TestEachBitOfATokenCounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	nonce, now := newNonce(), time.Now()
	token := s.forms.newToken(nonce, now)
	if _, _, ok := s.forms.checkToken(token, []string{nonce}, now); !ok {
		t.Fatal("the token itself does not count")
	}
	raw, err := encoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(raw) {
		forged := bytes.Clone(raw)
		forged[i/8] ^= 1 << (i % 8)
		if _, _, ok := s.forms.checkToken(encoding.EncodeToString(forged), []string{nonce}, now); ok {
			t.Errorf("with bit %d of byte %d the other way it counts", i%8, i/8)
		}
	}
	for name, other := range map[string]string{"none": "", "cut": nonce[:25], "with more": nonce + "A", "in lower case": strings.ToLower(nonce)} {
		if _, _, ok := s.forms.checkToken(token, []string{other}, now); ok {
			t.Errorf("it counts for a nonce that is %s", name)
		}
	}
}

func TestWhoIsAskedReadsWhereTheFirstAnswerLed(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, answering(func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Location", "/login?next=%2Fbuy&a=<b>")
		w.WriteHeader(http.StatusFound)
	}))
	b := newPerson(t, s)
	action := b.get("/").action(t)
	b.submit(action, "n=1")
	time.Sleep(2 * time.Millisecond) // SameFor is a millisecond
	a := b.follow(b.submit(action, "n=1"))
	if want := "and was answered by leading on to /login. Nothing"; !strings.Contains(a.body, want) {
		t.Errorf("%q, want %q", a.body, want)
	}
	for to, want := range map[string]string{
		"/login":                        " by leading on to /login",
		"https://sso.example/a?b=c#d":   " by leading on to https://sso.example/a",
		"?page=2":                       " by leading on to another page",
		"":                              "",
		"/" + strings.Repeat("x", 2000): " by leading on to another page",
	} {
		sent := once.Sent{Status: http.StatusSeeOther, Header: http.Header{"Location": {to}}}
		if got := howAnswered(sent); got != want {
			t.Errorf("%.40q: %q, want %q", to, got, want)
		}
	}
	if got := howAnswered(once.Sent{Status: 500}); got != " with an error (500)" {
		t.Error(got)
	}
}

func TestKeysAreKeptForAsLongAsTokensCount(t *testing.T) {
	t.Parallel()
	for _, age := range []time.Duration{time.Second, 24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour} {
		c := KeyConfig{}.For(age)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", age, err)
		}
		if c.withDefaults().Keep < age {
			t.Errorf("%s: keys are kept for %s", age, c.Keep)
		}
	}
	if c := (KeyConfig{Rotate: time.Hour}).For(24 * time.Hour); c.Rotate < time.Hour || c.Validate() != nil {
		t.Errorf("%+v", c)
	}
}

func TestWhatIsKeptIsSealedForItsPlace(t *testing.T) {
	t.Parallel()
	ring, err := keyring.New(bytes.Repeat([]byte{1}, keyring.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, Config{Seal: ring}, Policy{}, nil)
	mine, other := newNonce(), newNonce()
	name, err := s.forms.keep(t.Context(), kindPage, mine, kept{Status: 200, body: []byte("secret")}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	rec, _, err := s.store.Get(t.Context(), "default", classKept, kindPage+name)
	if err != nil || bytes.Contains(rec.Value, []byte("secret")) {
		t.Fatalf("%q, %v", rec.Value, err)
	}
	if got, err := s.forms.open(rec); err != nil || string(got.body) != "secret" {
		t.Fatalf("%q, %v", got.body, err)
	}
	for what, moved := range map[string]store.Record{
		"another browser": {Key: rec.Key, Group: hashNonce(other), Value: rec.Value},
		"another name":    {Key: kindPage + newNonce(), Group: rec.Group, Value: rec.Value},
		"another kind":    {Key: kindAgain + name, Group: rec.Group, Value: rec.Value},
		"no key":          {Key: rec.Key, Group: rec.Group, Value: append([]byte{keptPlain}, rec.Value[1:]...)},
	} {
		if got, err := s.forms.open(moved); err == nil {
			t.Errorf("who may write to the store moves a page to %s: %q", what, got.body)
		}
	}
}

// TestOnlyALogoutEndsASession: a site that clears a cookie which nobody had, as login
// pages do, has logged nobody out.
func TestOnlyALogoutEndsASession(t *testing.T) {
	t.Parallel()
	f := &Forms{cfg: Config{}.withDefaults()}
	for _, c := range []struct {
		name, method, had, set string
		want                   change
	}{
		{"cleared", "GET", "sessionid=a", "sessionid=", logout},
		{"cleared with Max-Age", "GET", "sessionid=a", "sessionid=gone; Max-Age=0", logout},
		{"cleared with Expires", "GET", "sessionid=a", "sessionid=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT", logout},
		{"cleared where there was none", "GET", "a=1", "sessionid=; Max-Age=0", sameUser},
		{"another cookie cleared", "GET", "sessionid=a; cart=1", "cart=; Max-Age=0", sameUser},
		{"set by a form", "POST", "", "sessionid=b", login},
		{"set by a page", "GET", "", "sessionid=b", sameUser},
		{"set anew", "POST", "sessionid=a", "sessionid=b", sameUser},
		{"one of a family", "POST", "", "wordpress_logged_in_0a=b", login},
		{"no name of a cookie", "POST", "", "=b", sameUser},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Header.Set("Cookie", c.had)
		if got := f.changeOf(r, http.Header{"Set-Cookie": {c.set}}); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAnAnswerThatItsHandlerDidNotFinishIsNoPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	h := s.forms.Outer(Policy{}, s.forms.Inner(Policy{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})))
	r := httptest.NewRequest(http.MethodPost, "/buy", nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Cookie", nonceCookie+"="+newNonce())
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		h.ServeHTTP(w, r)
	}()
	if w.Code == http.StatusSeeOther || w.Header().Get("Location") != "" {
		t.Errorf("%d %v: it was kept as if it were whole", w.Code, w.Header())
	}
}

func TestAPartOfAPageIsNotTouched(t *testing.T) {
	t.Parallel()
	_, b := pageOf(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-99/1000")
		w.Header().Set("ETag", `"v1"`)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, formPage)
	})
	a := b.send(http.MethodGet, "/", "", func(r *http.Request) { r.Header.Set("If-Range", `"v1"`); r.Header.Set("Range", "bytes=0-99") })
	if a.body != formPage || a.Header.Get("ETag") != `"v1"` || a.Header.Get("Content-Range") == "" {
		t.Errorf("%v %q", a.Header, a.body)
	}
}

func TestAnUnchangedPageStaysUnchanged(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{`"v1"`, `W/"v1"`} {
		_, b := pageOf(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", tag)
			if r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = io.WriteString(w, "<p>no form")
		})
		first := b.get("/")
		again := b.send(http.MethodGet, "/", "", func(r *http.Request) { r.Header.Set("If-None-Match", first.Header.Get("ETag")) })
		if again.StatusCode != http.StatusNotModified || again.Header.Get("ETag") != tag || again.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", tag, again.StatusCode, again.Header)
		}
	}
}

func TestTheAppSeesNothingOfOursInTheTargetAsItWasSent(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	for sent, want := range map[string]string{
		"/a?seeother-form=x":                       "/a",
		"/a?b=1&seeother-form=x&c=%20":             "/a?b=1&c=%20",
		"/a?seeother-page=x&seeother-again=y&=":    "/a?=",
		"/a?seeother-form":                         "/a",
		"/a?seeother-former=x&b=seeother-form=1":   "/a?seeother-former=x&b=seeother-form=1",
		"/a?b=1&&seeother-form=x&&":                "/a?b=1&&&",
		"http://example.com/a?b=1&seeother-form=x": "http://example.com/a?b=1",
	} {
		r := httptest.NewRequest(http.MethodPut, sent, nil)
		s.forms.Outer(Policy{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.RequestURI != want || strings.Contains(r.URL.RawQuery, tokenParam+"=") && !strings.Contains(want, tokenParam+"=") {
				t.Errorf("%s: the app got %s, and the query %q, want %s", sent, r.RequestURI, r.URL.RawQuery, want)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}

func TestWhatIsFetchedAheadIsNotShown(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "Sec-Purpose: Prerender", "Purpose: prefetch", "X-Moz: prefetch"} {
		name, value, _ := strings.Cut(line, ": ")
		if !isPrefetch(http.Header{name: {value}}) {
			t.Errorf("%s is taken for somebody who looks", line)
		}
	}
	if isPrefetch(http.Header{"Purpose": {"view"}}) {
		t.Error("somebody who looks is taken for a prefetch")
	}
}

func TestOurOwnPagesRunNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, func(_ *shop, o *once.Policy) { o.Forms = &once.Forms{SameFor: time.Nanosecond} })
	b := newPerson(t, s)
	action := b.get("/").action(t)
	b.submit(action, "n=1")
	for name, a := range map[string]answer{
		"a page that is not kept":    b.get(`/"><script>alert(1)</script>?a='"><b>&seeother-page=` + newNonce()),
		"a form that was sent twice": b.follow(b.submit(action, "n=1")),
	} {
		h := a.Header
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "script") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "private, no-store" || h.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %v", name, h)
		}
		if strings.Contains(a.body, "<script") || strings.Contains(a.body, "<b>") {
			t.Errorf("%s: %q", name, a.body)
		}
	}
}

func TestTheWayToAPageBringsWhatIsForTheOneAnswer(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Set-Cookie": {"a=1", "b=2"}, "Once-Outcome": {"not-applied"}, FlashHeader: {`"Saved"`}, "Clear-Site-Data": {`"cache"`},
		"Content-Type": {"text/html"}, "Etag": {"1"}, "Content-Encoding": {"gzip"}, "Content-Security-Policy": {"default-src 'none'"}, "Location": {"//evil.example"},
	}
	shown := pageHeader(h)
	redirectToPage(h, "/buy?seeother-page=x")
	for name, want := range map[string]string{
		"Set-Cookie": "a=1", "Once-Outcome": "not-applied", FlashHeader: `"Saved"`, "Clear-Site-Data": `"cache"`,
		"Location": "/buy?seeother-page=x", "Cache-Control": "no-store", "Content-Length": "0",
		"Content-Type": "", "Etag": "", "Content-Encoding": "", "Content-Security-Policy": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("on the way: %s %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"Set-Cookie": "", "Once-Outcome": "", FlashHeader: "", "Clear-Site-Data": "", "Location": "", "Etag": "",
		"Content-Type": "text/html", "Content-Encoding": "gzip", "Content-Security-Policy": "default-src 'none'",
	} {
		if got := shown.Get(name); got != want {
			t.Errorf("on the page: %s %q, want %q", name, got, want)
		}
	}
}
