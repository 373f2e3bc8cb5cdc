package form

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// shop is an app that knows nothing of seeother: each POST is an order.
type shop struct {
	mu     sync.Mutex
	orders []string // guarded by mu
	seen   []string // the targets and referers that it got; guarded by mu
	answer func(w http.ResponseWriter, r *http.Request, n int)
}

const formPage = `<!doctype html><title>Shop</title><form method="post" action="/buy?c=1"><input name="n"><button>Buy</button></form>`

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, r.URL.RequestURI()+" "+r.Header.Get("Referer")+" "+r.Header.Get("Cookie"))
	n := len(s.orders)
	if r.Method == http.MethodPost {
		s.orders = append(s.orders, string(body))
		n++
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	switch {
	case s.answer != nil:
		s.answer(w, r, n)
	case r.Method == http.MethodPost:
		_, _ = fmt.Fprintf(w, "<p>order %d: %s</p>", n, body)
	default:
		w.Header().Set("ETag", `"v1"`)
		_, _ = io.WriteString(w, formPage)
	}
}

func (s *shop) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.orders)
}

// site is a shop behind Forms, and a store that a test can look into.
type site struct {
	*shop
	forms  *Forms
	store  store.Store
	server *httptest.Server
}

func newSite(t *testing.T, cfg Config, p Policy, change func(*shop, *once.Policy)) *site {
	t.Helper()
	st := memstore.New()
	s := &site{shop: &shop{}, store: st}
	keys, err := OpenKeys(t.Context(), st, KeyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	if s.forms, err = New(st, keys, cfg); err != nil {
		t.Fatal(err)
	}
	guard, err := once.New(t.Context(), st, once.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close(context.Background()) })
	var o once.Policy
	if change != nil {
		change(s.shop, &o)
	}
	s.server = httptest.NewServer(s.forms.Handler(p, guard, o, s.shop))
	t.Cleanup(s.server.Close)
	return s
}

// person is a client that says of itself what a browser does.
type person struct {
	t    *testing.T
	site *site
	http http.Client
}

func newPerson(t *testing.T, s *site) *person {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	return &person{t: t, site: s, http: http.Client{Transport: s.server.Client().Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is an HTTP answer with its body read.
type answer struct {
	*http.Response
	body string
}

func (b *person) send(method, target, body string, change func(*http.Request)) answer {
	b.t.Helper()
	r, err := http.NewRequest(method, b.site.server.URL+target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept-Encoding", "identity")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(r)
	}
	res, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res, string(text)}
}

// keep gives the person's browser a nonce.
func (b *person) keep(nonce string) {
	b.t.Helper()
	u, err := url.Parse(b.site.server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.http.Jar.SetCookies(u, []*http.Cookie{{Name: nonceCookie, Value: nonce, Path: "/"}})
}

func (b *person) get(target string) answer { return b.send(http.MethodGet, target, "", nil) }
func (b *person) submit(action, fields string) answer {
	return b.send(http.MethodPost, action, fields, nil)
}

// follow goes where an answer redirects to.
func (b *person) follow(a answer) answer {
	b.t.Helper()
	if a.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("answer %d %q, want 303", a.StatusCode, a.body)
	}
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.get(u.RequestURI())
}

var actions = regexp.MustCompile(`action="([^"]*)"`)

// action is the target of the only form on a page.
func (a answer) action(t *testing.T) string {
	t.Helper()
	found := actions.FindAllStringSubmatch(a.body, -1)
	if len(found) != 1 {
		t.Fatalf("%d forms on %q, want 1", len(found), a.body)
	}
	return strings.ReplaceAll(found[0][1], "&amp;", "&")
}

func (s *site) mustHave(t *testing.T, orders int) {
	t.Helper()
	if n := s.count(); n != orders {
		t.Fatalf("%d orders, want %d", n, orders)
	}
}

func TestAFormIsSubmittedOnceHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	b := newPerson(t, s)
	page := b.get("/")
	action := page.action(t)
	if !strings.HasPrefix(action, "/buy?c=1&seeother-form=") || page.Header.Get("ETag") != "" || page.Header.Get("Cache-Control") != "private" {
		t.Fatalf("action %q, header %v", action, page.Header)
	}
	var all sync.WaitGroup
	for range 5 { // clicked five times at once
		all.Go(func() {
			shown := b.follow(b.submit(action, "n=1"))
			if shown.StatusCode != 200 || shown.body != "<p>order 1: n=1</p>" || shown.Header.Get("Cache-Control") != "private, no-store" {
				t.Errorf("answer %d %q %v", shown.StatusCode, shown.body, shown.Header)
			}
		})
	}
	all.Wait()
	s.mustHave(t, 1)
	if next := b.follow(b.submit(action, "n=2")); next.body != "<p>order 2: n=2</p>" { // went back and corrected it
		t.Errorf("corrected: %q", next.body)
	}
	s.mustHave(t, 2)
}

func TestTheAppSeesNothingOfOurs(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	b := newPerson(t, s)
	action := b.get("/").action(t)
	a := b.submit(action, "n=1")
	referer := func(r *http.Request) {
		r.Header.Set("Referer", s.server.URL+a.Header.Get("Location")+"&x=1#f")
		r.AddCookie(&http.Cookie{Name: "sid", Value: "1"})
	}
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
		b.send(method, "/other?a=1&seeother-form=x&b=%20&seeother-again=y", "", referer)
		b.send(method, "/other?seeother-form=x", "", func(r *http.Request) { referer(r); r.Header.Set("Sec-Fetch-Mode", "cors") })
	}
	for _, seen := range s.seen {
		if strings.Contains(seen, "seeother") {
			t.Errorf("the app got %q", seen)
		}
	}
	if want := "/other?a=1&b=%20 " + s.server.URL + "/buy?c=1&x=1#f sid=1"; s.seen[2] != want {
		t.Errorf("got %q, want %q", s.seen[2], want)
	}
}

func TestTokensThatDoNotCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg    Config
		action func(t *testing.T, s *site, b *person, action string) string
		change func(*http.Request)
	}{
		"another browser's": {action: func(t *testing.T, s *site, _ *person, _ string) string {
			return newPerson(t, s).get("/").action(t)
		}},
		"swapped": {action: func(_ *testing.T, _ *site, _ *person, a string) string {
			return a[:len(a)-8] + a[len(a)-4:] + a[len(a)-8:len(a)-4]
		}},
		"cut short":  {action: func(_ *testing.T, _ *site, _ *person, a string) string { return a[:len(a)-1] }},
		"with more":  {action: func(_ *testing.T, _ *site, _ *person, a string) string { return a + "A" }},
		"empty":      {action: func(*testing.T, *site, *person, string) string { return "/buy?seeother-form=" }},
		"not base64": {action: func(_ *testing.T, _ *site, _ *person, a string) string { return a[:len(a)-1] + "*" }},
		"twice": {action: func(_ *testing.T, _ *site, _ *person, a string) string {
			return a + "&" + a[strings.Index(a, "seeother-form"):]
		}},
		"of another key": {action: func(t *testing.T, _ *site, b *person, _ string) string {
			return newSite(t, Config{}, Policy{}, nil).forgedFor(t, b)
		}},
		"old": {cfg: Config{TokenAge: time.Second}, action: func(_ *testing.T, s *site, b *person, _ string) string {
			return "/buy?seeother-form=" + s.forms.newToken(s.nonceOf(b), time.Now().Add(-time.Minute))
		}},
		"of the future": {action: func(_ *testing.T, s *site, b *person, _ string) string {
			return "/buy?seeother-form=" + s.forms.newToken(s.nonceOf(b), time.Now().Add(time.Hour))
		}},
		"sent by a script":      {change: func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") }},
		"with the cookie twice": {change: func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "seeother", Value: strings.Repeat("A", 26)}) }},
		"without Sec-Fetch and for a script": {change: func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Mode")
			r.Header.Set("X-Requested-With", "XMLHttpRequest")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.cfg, Policy{}, nil)
			b := newPerson(t, s)
			action := b.get("/").action(t)
			if c.action != nil {
				action = c.action(t, s, b, action)
			}
			for range 2 {
				b.send(http.MethodPost, action, "n=1", c.change)
			}
			s.mustHave(t, 2)
		})
	}
}

// awaitLate waits until an answer is no longer held, however busy the machine is.
func awaitLate(w http.ResponseWriter) {
	k := w.(*keeper)
	held := func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.status != 0 }
	for range 10_000 {
		if !held() {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// nonceOf is what a browser has in its cookie.
func (s *site) nonceOf(b *person) string {
	u, _ := url.Parse(s.server.URL)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == nonceCookie {
			return c.Value
		}
	}
	return ""
}

// forgedFor is an action with a token that this site made for another's browser.
func (s *site) forgedFor(t *testing.T, b *person) string {
	t.Helper()
	return "/buy?seeother-form=" + s.forms.newToken(b.site.nonceOf(b), time.Now())
}

func TestAPageIsForOneBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, func(s *shop, _ *once.Policy) {
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) {
			if r.Method != http.MethodPost {
				_, _ = io.WriteString(w, formPage)
				return
			}
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
			w.Header().Set("Set-Cookie", "cart="+strconv.Itoa(n))
			w.Header().Set("Cache-Control", "public, max-age=60")
			_, _ = io.WriteString(w, `<form method=post action="/pay"></form>secret`)
		}
	})
	b, other := newPerson(t, s), newPerson(t, s)
	other.get("/")
	first := b.submit(b.get("/").action(t), "n=1")
	where := first.Header.Get("Location")
	if first.StatusCode != 303 || first.Header.Get("Set-Cookie") != "cart=1" || !strings.HasPrefix(where, "/buy?c=1&seeother-page=") {
		t.Fatalf("%d %v", first.StatusCode, first.Header)
	}
	var tokens []string
	for range 3 {
		shown := b.get(where)
		if shown.StatusCode != 200 || !strings.Contains(shown.body, "secret") || shown.Header.Get("Content-Security-Policy") != "default-src 'self'" ||
			shown.Header.Get("Set-Cookie") != "" || shown.Header.Get("Cache-Control") != "private, no-store" {
			t.Fatalf("%d %q %v", shown.StatusCode, shown.body, shown.Header)
		}
		tokens = append(tokens, shown.action(t))
	}
	if tokens[0] != tokens[1] || tokens[1] != tokens[2] {
		t.Error("the form on a page that is shown again is another one")
	}
	for range 2 { // gone back to, and sent again
		if paid := b.submit(tokens[0], "n=2"); paid.StatusCode != 303 {
			t.Errorf("the form on the page: %d", paid.StatusCode)
		}
	}
	for name, at := range map[string]string{
		"another browser": where, "a name that is not there": "/buy?seeother-page=" + strings.Repeat("A", 26), "a bad name": "/buy?seeother-page=../x",
	} {
		if got := other.get(at); got.StatusCode != 404 || strings.Contains(got.body, "secret") || !strings.Contains(got.body, "no longer kept") {
			t.Errorf("%s: %d %q", name, got.StatusCode, got.body)
		}
	}
	if got := other.get("/buy?seeother-page="); got.StatusCode != 200 {
		t.Errorf("no name: %d", got.StatusCode)
	}
	s.mustHave(t, 2)
	if head := b.send(http.MethodHead, where, "", nil); head.StatusCode != 200 || head.body != "" {
		t.Errorf("HEAD: %d %q", head.StatusCode, head.body)
	}
}

func TestWhatIsNoPage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg    Config
		policy Policy
		change func(*http.Request)
		answer func(w http.ResponseWriter)
		status int
	}{
		"an error":            {answer: func(w http.ResponseWriter) { w.WriteHeader(422) }, status: 422},
		"a download":          {answer: func(w http.ResponseWriter) { w.Header().Set("Content-Disposition", "attachment; filename=x.html") }},
		"text":                {answer: func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/plain") }},
		"an event stream":     {answer: func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/event-stream") }},
		"to a script":         {change: func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") }},
		"from another site":   {change: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		"from another origin": {change: func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") }},
		"from nobody knows":   {change: func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") }},
		"large":               {cfg: Config{PageLimit: 10}},
		"slow":                {cfg: Config{PageWait: time.Millisecond}, answer: func(w http.ResponseWriter) { w.WriteHeader(200); awaitLate(w) }},
		"over the cap":        {cfg: Config{PagesOfBrowser: 1 << 10}, answer: func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("x", 2000)) }},
		"over all caps":       {cfg: Config{Pages: 1 << 10}, answer: func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("x", 2000)) }},
		"switched off":        {policy: Policy{NoPages: true}},
		"reported only":       {policy: Policy{Stage: seeother.Report}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.cfg, c.policy, func(s *shop, _ *once.Policy) {
				s.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
					if c.answer != nil {
						c.answer(w)
					}
					_, _ = io.WriteString(w, "<p>thanks</p>")
				}
			})
			if c.status == 0 {
				c.status = 200
			}
			b := newPerson(t, s)
			b.keep(newNonce())
			a := b.send(http.MethodPost, "/buy", "n=1", c.change)
			if a.StatusCode != c.status || !strings.HasSuffix(a.body, "<p>thanks</p>") {
				t.Errorf("%d %q, want %d and the app's own answer", a.StatusCode, a.body, c.status)
			}
		})
	}
}

func TestThePagesOfOneBrowserTakeNoRoomOfAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{PagesOfBrowser: 2 << 10}, Policy{}, func(s *shop, _ *once.Policy) {
		s.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
			_, _ = io.WriteString(w, strings.Repeat("x", 1200))
		}
	})
	greedy, other := newPerson(t, s), newPerson(t, s)
	greedy.keep(newNonce())
	other.keep(newNonce())
	for _, c := range []struct {
		by   *person
		want int
	}{{greedy, 303}, {greedy, 200}, {other, 303}, {greedy, 200}} {
		if got := c.by.submit("/buy", "n=1"); got.StatusCode != c.want {
			t.Errorf("status %d, want %d", got.StatusCode, c.want)
		}
	}
}

func TestABrowserWithoutCookiesGetsTheAnswerItself(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	b := newPerson(t, s)
	jar := b.http.Jar
	b.http.Jar = nil
	action := b.get("/").action(t)
	for n := 1; n <= 2; n++ {
		if got := b.submit(action, "n=1"); got.StatusCode != 200 || got.body != fmt.Sprintf("<p>order %d: n=1</p>", n) {
			t.Fatalf("%d %q", got.StatusCode, got.body)
		}
	}
	b.http.Jar = jar // a page that was open before the gateway was there
	b.submit("/buy", "n=1")
	if got := b.follow(b.submit("/buy", "n=1")); got.body != "<p>order 4: n=1</p>" {
		t.Errorf("%q", got.body)
	}
}

func TestAPostFromElsewhereTakesNoNonceAway(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, func(s *shop, _ *once.Policy) {
		s.answer = func(w http.ResponseWriter, r *http.Request, _ int) {
			if r.URL.Path == "/logout" {
				http.SetCookie(w, &http.Cookie{Name: "sessionid", Path: "/", MaxAge: -1})
			}
			_, _ = io.WriteString(w, formPage)
		}
	})
	b := newPerson(t, s)
	b.http.Jar = nil // SameSite=Lax
	for name, change := range map[string]func(*http.Request){
		"as the browser says": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"by its origin":       func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://idp.example") },
	} {
		got := b.send(http.MethodPost, "/acs", "SAMLResponse=x", change)
		if got.StatusCode != 200 || got.body != formPage || len(got.Cookies()) > 0 || got.Header.Get("Cache-Control") != "" {
			t.Errorf("%s: %d %q %v", name, got.StatusCode, got.body, got.Header)
		}
		out := b.send(http.MethodPost, "/logout", "SAMLRequest=x", func(r *http.Request) { change(r); r.Header.Set("Cookie", "sessionid=1") })
		if given(out.Header, false) == "" {
			t.Errorf("%s: a logout leaves the nonce: %v", name, out.Header)
		}
	}
}

func TestPartsAreForWhatHasAValidator(t *testing.T) {
	t.Parallel()
	var got http.Header
	s := newSite(t, Config{}, Policy{}, func(s *shop, _ *once.Policy) {
		s.answer = func(_ http.ResponseWriter, r *http.Request, _ int) { got = r.Header }
	})
	b := newPerson(t, s)
	for _, validator := range []string{"", `"v1"`} {
		b.send(http.MethodGet, "/", "", func(r *http.Request) {
			r.Header.Set("Range", "bytes=9-")
			if validator != "" {
				r.Header.Set("If-Range", validator)
			}
		})
		if asked := got.Get("Range") != ""; asked != (validator != "") || got.Get("If-Range") != validator {
			t.Errorf("with %q the app gets %v", validator, got)
		}
	}
}

func TestTheSameFormLaterIsAskedAbout(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, func(_ *shop, o *once.Policy) { o.Forms = &once.Forms{SameFor: time.Nanosecond} })
	b := newPerson(t, s)
	action := b.get("/").action(t)
	first := b.follow(b.submit(action, "n=1"))
	var asked answer
	for range 2 {
		asked = b.follow(b.submit(action, "n=1"))
		if asked.StatusCode != 200 || !strings.Contains(asked.body, "already sent") || asked.Header.Get("Cache-Control") != "private, no-store" {
			t.Fatalf("%d %q", asked.StatusCode, asked.body)
		}
	}
	s.mustHave(t, 1)
	link := regexp.MustCompile(`href="([^"]*)">See`).FindStringSubmatch(asked.body)
	if link == nil || b.get(strings.ReplaceAll(link[1], "&amp;", "&")).body != first.body {
		t.Errorf("the answer cannot be seen: %q", asked.body)
	}
	again := asked.action(t)
	var all sync.WaitGroup
	for range 3 { // clicked three times
		all.Go(func() {
			if got := b.follow(b.submit(again, "")); got.body != "<p>order 2: n=1</p>" && !strings.Contains(got.body, "already sent") {
				t.Errorf("sent again: %q", got.body)
			}
		})
	}
	all.Wait()
	s.mustHave(t, 2)
	other := newPerson(t, s)
	other.get("/")
	if got := other.submit(again, ""); got.StatusCode != 404 {
		t.Errorf("another browser sent it again: %d", got.StatusCode)
	}
	b.send(http.MethodPost, again, "", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if last := s.orders[len(s.orders)-1]; last != "" || s.count() != 3 {
		t.Errorf("another site sent it again: %q", s.orders)
	}
}

func TestWhoLogsInOrOutGetsANewNonce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, func(s *shop, _ *once.Policy) {
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) {
			switch r.URL.Path {
			case "/login":
				http.SetCookie(w, &http.Cookie{Name: "sessionid", Value: "s" + strconv.Itoa(n), Path: "/"})
			case "/logout":
				http.SetCookie(w, &http.Cookie{Name: "sessionid", Path: "/", MaxAge: -1})
			}
			if r.Method == http.MethodPost {
				_, _ = io.WriteString(w, "done")
				return
			}
			_, _ = io.WriteString(w, formPage)
		}
	})
	b := newPerson(t, s)
	action := b.get("/").action(t)
	before := s.nonceOf(b)
	b.submit(action, "n=1")
	if s.nonceOf(b) != before {
		t.Fatal("an answer without a session changes the nonce")
	}
	page := b.submit("/login", "")
	during := s.nonceOf(b)
	if during == before || !strings.HasSuffix(during, "."+before) {
		t.Fatalf("after the login: nonce %q, before %q", during, before)
	}
	if got := b.follow(page); got.StatusCode != 200 || got.body != "done" {
		t.Errorf("the page that answers the login: %d %q", got.StatusCode, got.body)
	}
	b.submit(action, "n=1") // the form that was open before is still known
	s.mustHave(t, 2)
	b.get("/logout")
	if after := s.nonceOf(b); strings.Contains(during, after) || strings.Contains(after, ".") {
		t.Errorf("after the logout: nonce %q, was %q", after, during)
	}
	if got := b.follow(page); got.StatusCode != 404 {
		t.Errorf("after the logout the page is still shown: %d", got.StatusCode)
	}
}

func TestAProgramPutsTokensIntoItsForms(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	s.answer = func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, "/done", http.StatusSeeOther)
			return
		}
		w.Header().Set("Cache-Control", "no-transform, private") // so that nobody else does
		_, _ = fmt.Fprintf(w, `<form method="post" action="/buy?%s">`, s.forms.Param(w, r))
	}
	b := newPerson(t, s)
	action := b.get("/").action(t)
	for range 2 {
		if a := b.submit(action, "n=1"); a.Header.Get("Location") != "/done" {
			t.Errorf("%d %v", a.StatusCode, a.Header)
		}
	}
	s.mustHave(t, 1)
}
