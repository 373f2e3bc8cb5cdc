package form

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seeother/seeother/once"
)

func TestNothingOfOursLeadsToAnotherSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{}, Policy{}, func(s *shop, _ *once.Policy) {
		s.answer = func(w http.ResponseWriter, _ *http.Request, _ int) {
			_, _ = io.WriteString(w, `<form method="post"></form>`)
		}
	})
	base, _ := url.Parse("http://shop.example/")
	for _, target := range []string{
		"//evil.example/x", "//evil.example", `/\evil.example`, `/\\evil.example/`, "/a/..//evil.example", "/%2F/evil.example", "/%09/evil.example", "/./%5cevil.example",
		"/.//evil.example/", "///evil.example", "/x?to=//evil.example", "/x#", "/ä|b?c=ä|\"<>", `/"><script>`, "/@evil.example", "/a;b/c,d?e&&f=?",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequest(method, "/", nil)
			r.Host, r.RequestURI = "shop.example", target
			u, err := url.ParseRequestURI(target)
			if err != nil {
				continue // net/http refuses it
			}
			r.URL = u
			r.Header.Set("Sec-Fetch-Mode", "navigate")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Cookie", nonceCookie+"="+newNonce())
			w := httptest.NewRecorder()
			s.server.Config.Handler.ServeHTTP(w, r)
			to := w.Header().Get("Location")
			if found := actions.FindStringSubmatch(w.Body.String()); found != nil {
				to = strings.ReplaceAll(found[1], "&amp;", "&")
			}
			if strings.Contains(w.Body.String(), "<script") {
				t.Errorf("%s %s: markup of a request in %q", method, target, w.Body)
			}
			if to == "" {
				continue
			}
			led, err := base.Parse(strings.ReplaceAll(to, `\`, "/"))
			if err != nil || led.Host != base.Host {
				t.Errorf("%s %s leads to %q (%v)", method, target, to, err)
			}
		}
	}
}
