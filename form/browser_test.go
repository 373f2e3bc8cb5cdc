package form

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

// decisions collects what is observed.
type decisions struct {
	mu  sync.Mutex
	all []seeother.Decision
}

func (d *decisions) observe(_ context.Context, one seeother.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, one)
}

func (d *decisions) actions() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, one := range d.all {
		out = append(out, one.Action)
	}
	return strings.Join(out, " ")
}

// browser keeps cookies, sends what browsers send, and does not follow.
type browser struct {
	t      testing.TB
	client *http.Client
	server *httptest.Server
}

func newBrowser(t testing.TB, server *httptest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{
		Transport: server.Client().Transport, Jar: jar, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &browser{t: t, client: client, server: server}
}

// send goes to path as a navigation does; headers come in pairs over that.
func (b *browser) send(method, path string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Dest", "document")
	for i := 0; i < len(headers); i += 2 {
		req.Header[headers[i]] = []string{headers[i+1]}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(body)
}

func (b *browser) get(path string, headers ...string) string {
	b.t.Helper()
	_, body := b.send("GET", path, headers...)
	return body
}

func (b *browser) cookies() []*http.Cookie {
	u, err := url.Parse(b.server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.client.Jar.Cookies(u)
}

func (b *browser) setCookies(cookies ...*http.Cookie) {
	u, err := url.Parse(b.server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range cookies {
		c.Path, c.Secure = "/", u.Scheme == "https"
	}
	b.client.Jar.SetCookies(u, cookies)
}

func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}
