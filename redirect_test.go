package seeother_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seeother/seeother"
)

func TestRedirectHelpers(t *testing.T) {
	t.Parallel()
	type answer func(http.ResponseWriter, *http.Request)
	to := func(f func(http.ResponseWriter, *http.Request, string, ...string), target string, origins ...string) answer {
		return func(w http.ResponseWriter, r *http.Request) { f(w, r, target, origins...) }
	}
	tests := []struct {
		name, method, url string
		answer            answer
		status            int
		location          string
	}{
		{"a result", "POST", "/orders", to(seeother.Result, "/orders/7"), 303, "/orders/7"},
		{"a result on the same page", "POST", "/orders?open=1", to(seeother.Result, ""), 303, "/orders?open=1"},
		{"a result beside the page", "POST", "/shop/cart?x=y", to(seeother.Result, "?done=1"), 303, "/shop/cart?done=1"},
		{"a temporary place", "PUT", "/a", to(seeother.Temporary, "b"), 307, "/b"},
		{"a new place", "GET", "/a", to(seeother.Moved, "/b"), 308, "/b"},
		{"nothing left", "GET", "/a", seeother.Gone, 410, ""},
		{"a listed origin", "POST", "/a", to(seeother.Result, "https://pay.example/x", "https://pay.example"), 303, "https://pay.example/x"},
		{"an origin that is not listed", "POST", "/a", to(seeother.Result, "https://evil.example/x", "https://pay.example"), 400, ""},
		{"the case of golang/go#71161", "POST", "/a", to(seeother.Result, `/a/../\evil.example`), 400, ""},
		{"a temporary place that is refused", "PUT", "/a", to(seeother.Temporary, "//evil.example"), 400, ""},
		{"a new place that is refused", "PUT", "/a", to(seeother.Moved, "javascript:alert(1)"), 400, ""},
		{"a page whose own URL is an escape", "POST", "//evil.example/x", to(seeother.Result, "?q=1"), 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tt.method, tt.url, nil)
			r.RequestURI = tt.url
			w := httptest.NewRecorder()
			tt.answer(w, r)
			if w.Code != tt.status || w.Header().Get("Location") != tt.location {
				t.Errorf("got %d to %q, want %d to %q", w.Code, w.Header().Get("Location"), tt.status, tt.location)
			}
		})
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		redirect seeother.Redirect
		method   string
		status   int
	}{
		{"the zero value is a result", seeother.Redirect{}, "POST", 303},
		{"legacy for GET", seeother.Redirect{Intent: seeother.IntentMoved, Legacy: true}, "GET", 301},
		{"legacy for HEAD as for GET", seeother.Redirect{Intent: seeother.IntentMoved, Legacy: true}, "HEAD", 301},
		{"legacy for POST", seeother.Redirect{Intent: seeother.IntentMoved, Legacy: true}, "POST", 308},
		{"a status wins over the intent", seeother.Redirect{Intent: seeother.IntentMoved, Status: 302}, "POST", 302},
		{"a status of 410", seeother.Redirect{Status: 410}, "GET", 410},
		{"a status that is no redirect", seeother.Redirect{Status: 200}, "GET", 500},
		{"an intent that does not exist", seeother.Redirect{Intent: 9}, "GET", 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.redirect.Target = "/x"
			w := httptest.NewRecorder()
			tt.redirect.ServeHTTP(w, httptest.NewRequest(tt.method, "/", nil))
			redirects := tt.status/100 == 3
			if w.Code != tt.status || (w.Header().Get("Location") == "/x") != redirects {
				t.Errorf("got %d to %q, want %d", w.Code, w.Header().Get("Location"), tt.status)
			}
		})
	}
}

func TestRedirectBody(t *testing.T) {
	t.Parallel()
	answer := func(method string, header http.Header) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		maps.Copy(w.Header(), header)
		seeother.Result(w, httptest.NewRequest(method, "/", nil), "/x?a='&b=c")
		return w
	}
	w := answer("POST", nil)
	if got, want := w.Body.String(), "<a href=\"/x?a=&#39;&amp;b=c\">See Other</a>\n"; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	if w := answer("HEAD", nil); w.Body.Len() != 0 || w.Header().Get("Content-Type") == "" {
		t.Errorf("HEAD got %q, %v", w.Body, w.Header())
	}
	w = answer("POST", http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"a=b"}})
	if w.Body.Len() != 0 || w.Header().Get("Set-Cookie") != "a=b" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers that were set did not stay: %v, body %q", w.Header(), w.Body)
	}
}

// A relative target is seen from the URL that the client knows.
func TestRedirectUnderStripPrefix(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.StripPrefix("/app", seeother.Redirect{Target: "?done=1"}))
	defer server.Close()
	resp := send(t, server.Client(), "POST", server.URL+"/app/dir/page?x=y")
	if got := resp.Header.Get("Location"); got != "/app/dir/page?done=1" {
		t.Errorf("Location %q", got)
	}
}

func TestRedirectOfRequestWithoutRequestURI(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequest("POST", "http://site.example/dir/page", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	seeother.Result(w, r, "?q")
	if got := w.Header().Get("Location"); got != "/dir/page?q" {
		t.Errorf("Location %q", got)
	}
}

func TestRedirectValidate(t *testing.T) {
	t.Parallel()
	good := seeother.Redirect{Intent: seeother.IntentMoved, Target: "https://a.example/", Origins: []string{"https://a.example"}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := seeother.Redirect{Status: 304, Target: "//x", Origins: []string{"a.example", "https://b/c"}}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"status 304: want", `origin "a.example": want`, `origin "https://b/c": want`, "redirect target refused: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
}
