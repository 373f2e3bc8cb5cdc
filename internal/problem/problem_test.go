package problem

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func write(p Details, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if header != nil {
		r.Header = header
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Length", "999") // of the answer that this one replaces
	w.Header().Set("X-Callers", "own")
	Write(w, r, p)
	return w
}

func TestProgramsGetJSON(t *testing.T) {
	w := write(Details{
		Type: "key-reused", Title: "A title", Status: 422, Detail: `a "detail" <b>`,
		Extra: map[string]any{"record": "r", "status": 1, "type": "x"},
	}, nil)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	for name, want := range map[string]any{
		"type": Base + "key-reused", "title": "A title", "status": 422.0, "detail": `a "detail" <b>`, "record": "r",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for name, want := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"X-Callers": "own", "Content-Length": strconv.Itoa(w.Body.Len()), "Retry-After": "",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if w.Code != 422 {
		t.Errorf("status %d", w.Code)
	}
}

func TestAnEmptyDetailIsLeftOut(t *testing.T) {
	if body := write(Details{Type: "x", Status: 400}, nil).Body.String(); strings.Contains(body, "detail") {
		t.Errorf("got %s", body)
	}
}

func TestAnExtraThatIsNotJSONLeavesAProblem(t *testing.T) {
	w := write(Details{Type: "x", Status: 503, Extra: map[string]any{"n": math.Inf(1)}}, nil)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got["status"] != 503.0 || got["type"] != "about:blank" {
		t.Errorf("got %s, %v", w.Body, err)
	}
}

func TestNavigationsGetAPage(t *testing.T) {
	w := write(Details{Type: "a<b", Title: "<script>alert(1)</script>", Status: 409, Detail: `"><img src=x onerror=y>`},
		http.Header{"Sec-Fetch-Mode": {"navigate"}})
	body := w.Body.String()
	for _, bad := range []string{"<script", "<img", "a<b"} {
		if strings.Contains(body, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	if !strings.Contains(body, "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>") || w.Code != 409 {
		t.Errorf("got %d %s", w.Code, body)
	}
	h := w.Header()
	if h.Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") ||
		h.Get("Cache-Control") != "no-store" || h.Get("Content-Length") != "" {
		t.Errorf("header %v", h)
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	tests := []struct {
		name string
		in   time.Duration
		want string
	}{
		{"nothing is left out", 0, ""},
		{"the past is left out", -time.Second, ""},
		{"a moment is a second", 1, "1"},
		{"a second is a second", time.Second, "1"},
		{"a little more is two", time.Second + 1, "2"},
		{"a minute is sixty", time.Minute, "60"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := write(Details{Status: 503, RetryAfter: test.in}, nil).Header().Get("Retry-After"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestIsNavigation(t *testing.T) {
	html := []string{"text/html,application/xhtml+xml,*/*;q=0.8"}
	tests := []struct {
		name   string
		header http.Header
		want   bool
	}{
		{"a browser that says so", http.Header{"Sec-Fetch-Mode": {"navigate"}}, true},
		{"a script that accepts HTML", http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": html}, false},
		{"a script of the same origin", http.Header{"Sec-Fetch-Mode": {"same-origin"}, "Accept": html}, false},
		{"an image", http.Header{"Sec-Fetch-Mode": {"no-cors"}}, false},
		{"a browser on plain http", http.Header{"Accept": html}, true},
		{"HTML in capitals", http.Header{"Accept": {"TEXT/HTML"}}, true},
		{"HTML on a second line", http.Header{"Accept": {"image/png", "text/html"}}, true},
		{"a program", http.Header{"Accept": {"application/json"}}, false},
		{"curl", http.Header{"Accept": {"*/*"}}, false},
		{"nothing at all", http.Header{}, false},
		{"jQuery", http.Header{"Accept": html, "X-Requested-With": {"XMLHttpRequest"}}, false},
		{"htmx", http.Header{"Accept": html, "Hx-Request": {"true"}}, false},
		{"Turbo", http.Header{"Accept": html, "Turbo-Frame": {"f"}}, false},
		{"Turbo that fetches a whole page", http.Header{"Accept": html, "X-Turbo-Request-Id": {"3f0d"}}, false},
		{"Inertia", http.Header{"Accept": html, "X-Inertia": {"true"}}, false},
		{"Unpoly", http.Header{"Accept": html, "X-Up-Version": {"3"}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := IsNavigation(&http.Request{Header: test.header}); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
