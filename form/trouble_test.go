package form

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// answering is a shop whose forms are answered by answer.
func answering(answer func(w http.ResponseWriter, r *http.Request, n int)) func(*shop, *once.Policy) {
	return func(s *shop, o *once.Policy) {
		o.Forms = &once.Forms{SameFor: time.Millisecond}
		s.answer = func(w http.ResponseWriter, r *http.Request, n int) {
			if r.Method != http.MethodPost {
				_, _ = io.WriteString(w, formPage)
				return
			}
			answer(w, r, n)
		}
	}
}

// asked is the action of the form that asks whether to send one again.
func (b *person) asked(action string) string {
	b.t.Helper()
	b.submit(action, "n=1")
	var a answer
	for a.body == "" || !strings.Contains(a.body, againParam) { // until the first answer is old enough
		a = b.follow(b.submit(action, "n=1"))
	}
	return a.action(b.t)
}

func TestWhatIsSentAgainRunsOnceAlsoWhereItLogsIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, answering(func(w http.ResponseWriter, _ *http.Request, n int) {
		if n > 1 {
			w.Header().Set("Set-Cookie", "sessionid=1")
		}
		_, _ = fmt.Fprintf(w, "order %d", n)
	}))
	b := newPerson(t, s)
	again := b.asked(b.get("/").action(t))
	before := s.nonceOf(b)
	b.submit(again, "")
	if s.mustHave(t, 2); s.nonceOf(b) == before {
		t.Fatal("no new nonce")
	}
	b.submit(again, "")
	s.mustHave(t, 2)
}

func TestAnEmptyFormIsNotSentWhereNothingGuardsItAnyMore(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, answering(func(w http.ResponseWriter, _ *http.Request, n int) { _, _ = fmt.Fprintf(w, "order %d", n) }))
	b := newPerson(t, s)
	again := b.asked(b.get("/").action(t))
	off := httptest.NewServer(s.forms.Clean(s.shop))
	t.Cleanup(off.Close)
	a := b.send(http.MethodPost, again, "", func(r *http.Request) {
		r.URL.Host = strings.TrimPrefix(off.URL, "http://") // a jar's cookies are for all ports
	})
	if s.mustHave(t, 1); a.StatusCode != http.StatusNotFound {
		t.Errorf("answer %d %q", a.StatusCode, a.body)
	}
}

// The attacker's cookie is in the other person's browser, as from a subdomain over
// plain http.
func TestAFormThatAnotherSiteMakesSomebodySendShowsNothingToIt(t *testing.T) {
	t.Parallel()
	for _, site := range []string{"same-site", "cross-site"} {
		s := newSite(t, Config{}, Policy{}, answering(func(w http.ResponseWriter, r *http.Request, _ int) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, r.Header.Get("Cookie"))
		}))
		attacker, other := newPerson(t, s), newPerson(t, s)
		action := attacker.get("/").action(t)
		other.keep(s.nonceOf(attacker))
		other.send(http.MethodPost, action, "n=1", func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", site)
			r.AddCookie(&http.Cookie{Name: "sid", Value: "secret"})
		})
		if a := attacker.submit(action, "n=1"); strings.Contains(a.body, "secret") {
			t.Errorf("%s: the attacker got %q", site, a.body)
		}
	}
}

func TestAnAnswerIsLetGoWhileItsAppChangesTheHeader(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{PageWait: time.Millisecond}, Policy{}, answering(func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("X-Before", "1")
		w.Header().Set("Trailer", "X-After")
		_, _ = io.WriteString(w, "order")
		for until := time.Now().Add(20 * time.Millisecond); time.Now().Before(until); {
			w.Header().Set("X-Between", time.Now().String())
		}
		w.Header().Set("X-After", "1")
	}))
	b := newPerson(t, s)
	a := b.submit(b.get("/").action(t), "n=0")
	for n := 1; a.StatusCode == http.StatusSeeOther && n < 100; n++ { // a busy machine was late to let go of it
		a = b.submit(b.get("/").action(t), fmt.Sprintf("n=%d", n))
	}
	if a.StatusCode != 200 || a.body != "order" || a.Header.Get("X-Before") != "1" || a.Header.Get("X-Between") != "" || a.Trailer.Get("X-After") != "1" {
		t.Errorf("answer %d %q %v, trailer %v", a.StatusCode, a.body, a.Header, a.Trailer)
	}
}

func TestAnAnswerThatDropsCookiesIsNoPage(t *testing.T) {
	t.Parallel()
	for said, status := range map[string]int{`"cookies"`: 200, `"cache", "cookies"`: 200, `"*"`: 200, `"cache"`: 303} {
		s := newSite(t, Config{}, Policy{}, answering(func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Clear-Site-Data", said)
			_, _ = io.WriteString(w, "bye")
		}))
		b := newPerson(t, s)
		if a := b.submit(b.get("/").action(t), "n=1"); a.StatusCode != status {
			t.Errorf("%s: %d %v, want %d", said, a.StatusCode, a.Header, status)
		}
	}
}

func TestNoSharedCacheKeepsANonce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{Renew: true}, func(s *shop, _ *once.Policy) {
		s.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Cache-Control", "public, s-maxage=60, max-age=60")
			w.Header().Set("Surrogate-Control", "max-age=60")
			_, _ = io.WriteString(w, "<p>bye")
		}
	})
	a := newPerson(t, s).get("/logout")
	if a.Header.Get("Set-Cookie") == "" || a.Header.Get("Cache-Control") != "private, max-age=60" || a.Header.Get("Surrogate-Control") != "" {
		t.Errorf("header %v", a.Header)
	}
}

func TestASlowLoginIsShownToWhoLoggedIn(t *testing.T) {
	t.Parallel()
	st, begun, goOn := memstore.New(), make(chan struct{}), make(chan struct{})
	s := newSite(t, Config{}, Policy{}, nil) // for its keys
	guard, err := once.New(t.Context(), st, once.Config{})
	if err != nil {
		t.Fatal(err)
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-goOn
		w.Header().Set("Set-Cookie", "sessionid=1")
		_, _ = io.WriteString(w, "welcome")
	})
	soon := func(*http.Request) (time.Duration, bool) { return time.Millisecond, true }
	forms := Policy{NoPages: true}
	policy := s.forms.Once(forms, once.Policy{StatusPath: "/status/", Later: &once.Later{After: soon}})
	mux := http.NewServeMux()
	mux.Handle("/", s.forms.Outer(forms, guard.Handler(policy, s.forms.Inner(forms, app))))
	mux.Handle("/status/", s.forms.Recognise(guard.Status("/status/", func(string) (once.Policy, bool) { return policy, true })))
	s.server.Config.Handler = mux
	b := newPerson(t, s)
	b.keep(strings.Repeat("A", nonceChars))
	told := b.submit(s.forgedFor(t, b), "n=1")
	<-begun
	close(goOn)
	if err := guard.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	where := told.Header.Get("Location")
	for range 2 { // the second comes with the nonce that the login gave
		if a := b.follow(b.get(where)); a.StatusCode != 200 || a.body != "welcome" {
			t.Errorf("answer %d %q", a.StatusCode, a.body)
		}
	}
	stranger := newPerson(t, s)
	stranger.keep(strings.Repeat("B", nonceChars))
	if a := stranger.get(where); a.StatusCode != http.StatusNotFound {
		t.Errorf("a stranger gets %d %q", a.StatusCode, a.body)
	}
}

func TestWhatIsOursIsTakenOffWhereNoFormsAreGuarded(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	b := newPerson(t, s)
	b.get("/")
	off := httptest.NewServer(s.forms.Clean(s.shop))
	t.Cleanup(off.Close)
	for _, target := range []string{"/search?q=1&seeother-form=x", "/plain"} {
		b.send(http.MethodPost, target, "", func(r *http.Request) {
			r.URL.Host = strings.TrimPrefix(off.URL, "http://")
			r.Header.Set("Referer", "http://a/b?seeother-page=x")
		})
	}
	if want := "/search?q=1 http://a/b "; s.seen[1] != want || s.seen[2] != "/plain http://a/b " {
		t.Errorf("the app got %q", s.seen[1:])
	}
}

func TestWhichRequestsAreFormsThatRunOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, nil)
	nonce := strings.Repeat("A", nonceChars)
	token := tokenParam + "=" + s.forms.newToken(nonce, time.Now())
	for _, c := range []struct {
		method, query string
		policy        Policy
		want          bool
	}{
		{"POST", token, Policy{}, true},
		{"POST", againParam + "=x", Policy{}, true},
		{"GET", token, Policy{}, false},
		{"POST", "a=b", Policy{}, false},
		{"POST", token + "x", Policy{}, false},
		{"POST", token, Policy{Stage: seeother.Off}, false},
		{"POST", token, Policy{NoTokens: true}, false},
	} {
		r := httptest.NewRequest(c.method, "/buy?"+c.query, nil)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Cookie", nonceCookie+"="+nonce)
		if got := s.forms.Guards(c.policy, r); got != c.want {
			t.Errorf("%s ?%s %+v: %v", c.method, c.query, c.policy, got)
		}
	}
}

func TestARecordOutlivesItsTokenByLittle(t *testing.T) {
	t.Parallel()
	for _, cookie := range []string{"", "a=1"} {
		s := newSite(t, Config{TokenAge: 30 * time.Hour}, Policy{}, answering(func(w http.ResponseWriter, _ *http.Request, _ int) {
			if cookie != "" {
				w.Header().Set("Set-Cookie", cookie)
			}
			_, _ = io.WriteString(w, "order")
		}))
		b := newPerson(t, s)
		b.submit(b.get("/").action(t), "n=1")
		page, err := s.store.List(t.Context(), store.Query{Partition: "default", Class: once.Class})
		if err != nil || len(page.Records) != 1 {
			t.Fatal(page.Records, err)
		}
		if kept := page.Records[0].Expires.Sub(page.Records[0].Updated); kept < 30*time.Hour || kept > 32*time.Hour {
			t.Errorf("cookie %q: it is kept for %s", cookie, kept)
		}
	}
}

func TestWhoIsAskedReadsThatTheAnswerWasAnError(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{200: "and was answered. Nothing", 429: "and was answered with an error (429). Nothing"} {
		s := newSite(t, Config{}, Policy{}, answering(func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(status) }))
		b := newPerson(t, s)
		action := b.get("/").action(t)
		b.submit(action, "n=1")
		time.Sleep(2 * time.Millisecond) // SameFor is a millisecond
		if a := b.follow(b.submit(action, "n=1")); !strings.Contains(a.body, want) {
			t.Errorf("%d: %q", status, a.body)
		}
	}
}
