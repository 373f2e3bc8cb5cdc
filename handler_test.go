package seeother_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seeother/seeother"
)

// send sends a request without following redirects and reads the whole answer.
func send(t *testing.T, client *http.Client, method, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

// decisions collects what a policy tells.
type decisions struct {
	mu  sync.Mutex
	all []seeother.Decision
}

func (d *decisions) observe(_ context.Context, got seeother.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, got)
}

func (d *decisions) list() []seeother.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all)
}

// redirects answers status with Location to.
func redirects(status int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	}
}

// start serves handler over HTTP/1.1, and over HTTP/2 with TLS.
func start(t *testing.T, handler http.Handler) map[string]*httptest.Server {
	t.Helper()
	one, two := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	two.EnableHTTP2 = true
	two.StartTLS()
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	return map[string]*httptest.Server{"HTTP/1.1": one, "HTTP/2.0": two}
}

func TestSeeOther(t *testing.T) {
	t.Parallel()
	servers := start(t, seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Set-Cookie"] = []string{"a=1", "b=2"}
		h.Set("Cache-Control", "max-age=5")
		h.Set("Location", "/users")
		status := http.StatusFound
		if r.URL.Path == "/moved" {
			status = http.StatusMovedPermanently
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "the app's own body")
	})))
	for proto, server := range servers {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "QUERY", "PROPFIND"} {
			want := http.StatusFound
			if strings.Contains("POST PUT PATCH DELETE", method) {
				want = http.StatusSeeOther
			}
			resp := send(t, server.Client(), method, server.URL+"/users/123")
			if resp.Proto != proto || resp.StatusCode != want {
				t.Errorf("%s %s: got %s %d, want %d", proto, method, resp.Proto, resp.StatusCode, want)
			}
			checkApp(t, resp, method)
			if resp := send(t, server.Client(), method, server.URL+"/moved"); resp.StatusCode != 301 {
				t.Errorf("%s %s: 301 became %d", proto, method, resp.StatusCode)
			}
		}
	}
}

// checkApp expects everything but the status as the app of TestSeeOther sent it.
func checkApp(t *testing.T, resp *http.Response, method string) {
	t.Helper()
	h := resp.Header
	if !slices.Equal(h["Set-Cookie"], []string{"a=1", "b=2"}) || h.Get("Cache-Control") != "max-age=5" || h.Get("Location") != "/users" || h.Get("Server-Timing") != "" {
		t.Errorf("%s: headers %v", method, h)
	}
	body, _ := io.ReadAll(resp.Body)
	if want := "the app's own body"; method != "HEAD" && string(body) != want {
		t.Errorf("%s: body %q", method, body)
	}
}

// A browser's DELETE that ends in GET /users is what this is all for.
func TestClientFollowsWithGet(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle("/users/", redirects(302, "/users"))
	mux.HandleFunc("/users", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method) })
	server := httptest.NewServer(seeother.SeeOther(mux))
	defer server.Close()
	resp := send(t, server.Client(), "DELETE", server.URL+"/users/123")
	next, ok := seeother.Follow(resp.StatusCode, "DELETE")
	if !ok || next.Method != "GET" {
		t.Errorf("a browser would send %+v", next)
	}
}

func TestStages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		policy  seeother.Policy
		status  int
		cache   string
		timing  string
		decided int
	}{
		{"off", seeother.Policy{Stage: seeother.Off, ServerTiming: true}, 302, "max-age=5", "", 0},
		{"report", seeother.Policy{Stage: seeother.Report, ServerTiming: true}, 302, "max-age=5", "", 1},
		{"a canary with this client", seeother.Policy{Stage: seeother.Canary(50), Client: named("a")}, 303, "private, no-store", "", 1},
		{"a canary without this client", seeother.Policy{Stage: seeother.Canary(50), Client: named("c"), ServerTiming: true}, 302, "max-age=5", "", 1},
		{"enforce", seeother.Policy{}, 303, "max-age=5", "", 1},
		{"enforce with Server-Timing", seeother.Policy{ServerTiming: true}, 303, "max-age=5", `seeother;desc="302 to 303"`, 1},
	}
	if !seeother.Canary(50).Acts("a") || seeother.Canary(50).Acts("c") {
		t.Fatal("the names of the clients must be chosen anew")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var seen decisions
			tt.policy.Observe = seen.observe
			tt.policy.Route = "users"
			server := httptest.NewServer(tt.policy.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=5")
				redirects(302, "/users?secret")(w, r)
			})))
			defer server.Close()
			resp := send(t, server.Client(), "DELETE", server.URL+"/users/1%2F2?secret")
			h := resp.Header
			if resp.StatusCode != tt.status || h.Get("Cache-Control") != tt.cache || h.Get("Server-Timing") != tt.timing {
				t.Errorf("got %d, %v", resp.StatusCode, h)
			}
			checkDecisions(t, seen.list(), tt.decided, tt.policy.Stage, tt.status == 303)
		})
	}
}

func named(name string) func(*http.Request) string {
	return func(*http.Request) string { return name }
}

func checkDecisions(t *testing.T, all []seeother.Decision, want int, stage seeother.Stage, applied bool) {
	t.Helper()
	if len(all) != want {
		t.Fatalf("%d decisions, want %d", len(all), want)
	}
	for _, d := range all {
		if d.Time.IsZero() || d.Stage != stage || d.Applied != applied || d.Route != "users" || d.Path != "/users/1%2F2" || d.Before != 302 || d.After != 303 {
			t.Errorf("decision %+v", d)
		}
		if !strings.HasSuffix(d.String(), " DELETE /users") || strings.Contains(d.String(), "secret") {
			t.Errorf("line %q", d)
		}
	}
}

func TestServerTimingJoinsTheAppsOwn(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Server-Timing", "db;dur=5")
	policy := seeother.Policy{ServerTiming: true, Credentials: true}
	policy.Handler(redirects(307, "/in")).ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	if got := w.Header()["Server-Timing"]; !slices.Equal(got, []string{"db;dur=5", `seeother;desc="307 to 303"`}) {
		t.Errorf("got %q", got)
	}
}

func TestObserverGetsTheRequestsContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	var got any
	policy := seeother.Policy{Observe: func(ctx context.Context, _ seeother.Decision) { got = ctx.Value(key{}) }}
	r := httptest.NewRequest("POST", "/", nil)
	r = r.WithContext(context.WithValue(r.Context(), key{}, "here"))
	policy.Handler(redirects(302, "/")).ServeHTTP(httptest.NewRecorder(), r)
	if got != "here" {
		t.Errorf("context holds %v", got)
	}
}

func TestOriginDecidesAboutUploads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		policy   seeother.Policy
		location string
		want     int
	}{
		{"the Host of the request", seeother.Policy{}, "http://site.example/up", 303},
		{"https when the proxy ends TLS and nobody says so", seeother.Policy{}, "https://site.example/up", 302},
		{"https when Origin says so", seeother.Policy{Origin: named("https://site.example")}, "https://site.example/up", 303},
		{"another origin", seeother.Policy{}, "http://s3.example/up", 302},
		{"another origin where the route allows", seeother.Policy{CrossOrigin: true}, "http://s3.example/up", 303},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			tt.policy.Handler(redirects(302, tt.location)).ServeHTTP(w, httptest.NewRequest("PUT", "http://site.example/x", nil))
			if w.Code != tt.want {
				t.Errorf("got %d, want %d", w.Code, tt.want)
			}
		})
	}
}

// Inside, a middleware may turn POST into DELETE in place, or cut the path.
func TestTheRequestCountsAsItCame(t *testing.T) {
	t.Parallel()
	var seen decisions
	handler := seeother.Policy{Observe: seen.observe}.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Method, r.URL.Path, r.URL.RawPath = "GET", "/other", ""
		redirects(302, "/users")(w, r)
	}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("DELETE", "/users/123", nil))
	all := seen.list()
	if w.Code != 303 || len(all) != 1 || all[0].Method != "DELETE" || all[0].Path != "/users/123" {
		t.Errorf("got %d, %v", w.Code, all)
	}
}

// What comes after the status is on the wire changes nothing and is no decision.
func TestOnlyTheFirstStatusCounts(t *testing.T) {
	t.Parallel()
	tests := map[string]func(http.ResponseWriter){
		"after WriteHeader": func(w http.ResponseWriter) { w.WriteHeader(200) },
		"after Write":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
		"after WriteString": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") },
		"after ReadFrom":    func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) },
		"after Flush":       func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"after FlushError":  func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	}
	for name, first := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen decisions
			handler := seeother.Policy{Observe: seen.observe}.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				first(w)
				redirects(302, "/users")(w, r)
			}))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("DELETE", "/users/123", nil))
			if all := seen.list(); w.Code != 200 || len(all) != 0 {
				t.Errorf("got %d, %v", w.Code, all)
			}
		})
	}
}

func TestMultipleLocationsAreLeftAlone(t *testing.T) {
	t.Parallel()
	for name, location := range map[string][]string{"two": {"/a", "/b"}, "empty": {""}, "none": nil} {
		w := httptest.NewRecorder()
		seeother.SeeOther(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Location"] = location
			w.WriteHeader(302)
		})).ServeHTTP(w, httptest.NewRequest("DELETE", "/", nil))
		if w.Code != 302 || !slices.Equal(w.Header()["Location"], location) {
			t.Errorf("%s: got %d to %q", name, w.Code, w.Header()["Location"])
		}
	}
}
