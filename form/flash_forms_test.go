package form

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seeother/seeother/once"
)

// newFlashSite is a site whose app sets a message with each order, and shows what
// it is given: flashes outside of forms outside of a guard.
func newFlashSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, Config{}, Policy{}, nil)
	s.answer = func(w http.ResponseWriter, r *http.Request, _ int) {
		switch {
		case r.Method == http.MethodPost:
			for _, session := range r.URL.Query()["session"] {
				w.Header().Add("Set-Cookie", "PHPSESSID="+session+map[bool]string{true: "; Max-Age=0"}[session == ""])
			}
			w.Header().Set(FlashHeader, `"thanks"`)
			w.Header().Set("Location", "/orders")
			w.WriteHeader(http.StatusSeeOther)
		case r.URL.Path == "/orders":
			_, _ = io.WriteString(w, "["+r.Header.Get(FlashHeader)+"]")
		default:
			_, _ = io.WriteString(w, strings.Replace(formPage, "/buy?c=1", r.URL.RequestURI(), 1))
		}
	}
	guard, err := once.New(t.Context(), s.store, once.Config{Tenant: "flash"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close(t.Context()) })
	policy := once.Policy{Replay: []string{FlashHeader}}
	flashes := newFlashes(t, FlashConfig{Forward: true})
	server := httptest.NewServer(flashes.Handler(s.forms.Handler(Policy{}, guard, policy, s.shop)))
	t.Cleanup(server.Close)
	s.server = server
	return s
}

const thanks = `[%"thanks";kind=notice]`

func TestASubmissionThatIsRepeatedGetsItsMessage(t *testing.T) {
	t.Parallel()
	s := newFlashSite(t)
	b := newPerson(t, s)
	action := b.get("/buy").action(t)
	if got := b.submit(action, "n=1"); got.StatusCode != 303 || got.Header.Get(FlashHeader) != "" {
		t.Fatalf("%d %v", got.StatusCode, got.Header)
	}
	if got := b.get("/orders"); got.body != thanks {
		t.Errorf("%q", got.body)
	}
	if got := b.submit(action, "n=1"); got.StatusCode != 303 || s.count() != 1 {
		t.Fatalf("%d, %d orders", got.StatusCode, s.count())
	}
	if got := b.get("/orders"); got.body != thanks {
		t.Errorf("after the second click: %q", got.body)
	}
	if got := b.get("/orders"); got.body != "[]" {
		t.Errorf("again: %q", got.body)
	}
}

func TestMessagesOutliveLoginAndLogout(t *testing.T) {
	t.Parallel()
	b := newPerson(t, newFlashSite(t))
	before := ""
	for _, session := range []string{"one", "", "two"} {
		got := b.submit(b.get("/login?session="+session).action(t), "n="+session)
		nonce := given(got.Header, false)
		if got.StatusCode != 303 || nonce == "" || nonce == before {
			t.Fatalf("session %q: %d, nonce %q", session, got.StatusCode, nonce)
		}
		before = nonce
		if got := b.get("/orders"); got.body != thanks {
			t.Errorf("session %q: %q", session, got.body)
		}
	}
}
