package form

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seeother/seeother"
)

// created answers 201 with what the query says.
func created(w http.ResponseWriter, r *http.Request) {
	w.Header()["Location"] = r.URL.Query()["to"]
	w.Header().Set("Content-Type", "text/html")
	http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, "made")
}

func TestABrowserIsSentToWhatItMade(t *testing.T) {
	t.Parallel()
	var seen decisions
	server := serve(t, Creation{Route: "orders", Observe: seen.observe}.Handler(http.HandlerFunc(created)))
	b := newBrowser(t, server)
	host := url.QueryEscape(server.URL)
	for to, want := range map[string]string{
		"/orders/7?a=%2525%23top": "/orders/7?a=%25#top",
		"7":                       "/orders/7",
		"?page=2":                 "/orders/new?page=2",
		"/a/../%C3%BC+%2Fx":       "/%C3%BC%20/x",
		host + "/orders/7":        server.URL + "/orders/7",
	} {
		resp, body := b.send("POST", "/orders/new?to="+to)
		if resp.StatusCode != 303 || resp.Header.Get("Location") != want || body != "made" || len(resp.Cookies()) != 1 {
			t.Errorf("%s: %d %q, want 303 %q; %v", to, resp.StatusCode, resp.Header.Get("Location"), want, resp.Header)
		}
	}
	if d := seen.all[0]; d.Policy != "creation" || d.Action != "303" || d.Route != "orders" || !d.Applied || d.Before != 201 || d.After != 303 || d.Path != "/orders/new" || d.Time.IsZero() {
		t.Errorf("%+v", d)
	}
}

func TestA201StaysWhereNobodyIsToBeSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query    string
		headers  []string
		observed string
	}{
		"a script":          {"to=/a", []string{"Sec-Fetch-Mode", "cors"}, ""},
		"an API client":     {"to=/a", []string{"Sec-Fetch-Mode", "", "Accept", "application/json"}, ""},
		"no Location":       {"", nil, ""},
		"an empty one":      {"to=", nil, ""},
		"two of them":       {"to=/a&to=/b", nil, ""},
		"another site":      {"to=https://evil.example/", nil, "303"},
		"two slashes":       {"to=//evil.example/", nil, "303"},
		"hidden slashes":    {"to=%20//evil.example/", nil, "303"},
		"a backslash":       {"to=/%5Cevil.example/", nil, "303"},
		"dots and slashes":  {"to=/a/..//evil.example/", nil, "303"},
		"another scheme":    {"to=javascript:alert(1)", nil, "303"},
		"an encoded LF":     {"to=/a%250Ab", nil, "303"},
		"userinfo":          {"to=http://a@b/", nil, "303"},
		"a scheme and path": {"to=https:/a", nil, "303"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen decisions
			b := newBrowser(t, serve(t, Creation{Observe: seen.observe}.Handler(http.HandlerFunc(created))))
			resp, body := b.send("POST", "/?"+c.query, c.headers...)
			want, _ := url.ParseQuery(c.query)
			if resp.StatusCode != 201 || strings.Join(resp.Header["Location"], " ") != strings.TrimSpace(strings.Join(want["to"], " ")) || body != "made" {
				t.Errorf("%d %q %q", resp.StatusCode, resp.Header["Location"], body)
			}
			if got := seen.actions(); got != c.observed {
				t.Errorf("observed %q", got)
			}
			for _, d := range seen.all {
				if d.Applied || !strings.HasPrefix(d.Reason, "left alone") {
					t.Errorf("%+v", d)
				}
			}
		})
	}
}

func TestARelativeLocationIsReadAsTheBrowserReadsIt(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, serve(t, http.StripPrefix("/shop", Creation{}.Handler(http.HandlerFunc(created)))))
	if resp, _ := b.send("POST", "/shop/orders/new?to=7"); resp.Header.Get("Location") != "/shop/orders/7" {
		t.Errorf("%q", resp.Header.Get("Location"))
	}
}

func TestOtherAnswersToABrowserStay(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 202, 204, 302, 404, 500} {
		b := newBrowser(t, serve(t, Creation{}.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/a")
			w.WriteHeader(status)
		}))))
		if resp, _ := b.send("POST", "/"); resp.StatusCode != status || resp.Header.Get("Location") != "/a" {
			t.Errorf("%d is %d", status, resp.StatusCode)
		}
	}
}

func TestCreationIsRolledOutByStage(t *testing.T) {
	t.Parallel()
	for stage, want := range map[seeother.Stage]struct {
		status   int
		observed string
	}{
		seeother.Off:        {201, ""},
		seeother.Report:     {201, "303"},
		seeother.Canary(1):  {201, "303"},
		seeother.Canary(99): {303, "303"},
		seeother.Enforce:    {303, "303"},
	} {
		var seen decisions
		c := Creation{Stage: stage, Observe: seen.observe, Client: func(*http.Request) string { return "somebody" }}
		b := newBrowser(t, serve(t, c.Handler(http.HandlerFunc(created))))
		resp, _ := b.send("POST", "/?to=/a")
		if resp.StatusCode != want.status || seen.actions() != want.observed {
			t.Errorf("%s: %d, observed %q", stage, resp.StatusCode, seen.actions())
		}
		if private := resp.Header.Get("Cache-Control") == "private, no-store"; private != (stage.IsCanary() && want.status == 303) {
			t.Errorf("%s: %v", stage, resp.Header)
		}
	}
}

func TestTheSiteIsAsConfiguredNotAsTheHostSays(t *testing.T) {
	t.Parallel()
	c := Creation{Origin: func(*http.Request) string { return "https://shop.example" }}
	h := c.Handler(http.HandlerFunc(created))
	for to, want := range map[string]int{"https://shop.example/a": 303, "http://evil.example/a": 201} {
		r := httptest.NewRequest("POST", "http://evil.example/?to="+to, nil)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d, want %d", to, w.Code, want)
		}
	}
}

func FuzzCreation(f *testing.F) {
	f.Add("/orders/7", "/orders")
	f.Add(" //evil.example", "/")
	f.Add("/\\evil.example", "//x")
	f.Add("https://shop.example:443/a", "*")
	f.Fuzz(func(t *testing.T, location, path string) {
		c := Creation{}
		a := seeother.Answer{Method: "POST", Status: 201, Location: []string{location}, Origin: "https://shop.example"}
		d, to, found := c.decide(a, &url.URL{Path: path})
		if !found || !d.Applied {
			return
		}
		u, err := url.Parse(to)
		if err != nil || u.Host != "" && u.Scheme+"://"+u.Host != a.Origin || u.Host == "" && !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
			t.Errorf("%q at %q leads to %q", location, path, to)
		}
	})
}
