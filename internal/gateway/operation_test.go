package gateway

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/form"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/operation"
	"github.com/seeother/seeother/store/memstore"
)

// slowSite is a gateway with all that is for forms, in front of an app with a slow
// one, at /order.
func slowSite(t *testing.T, upstream string) *httptest.Server {
	t.Helper()
	records := memstore.New()
	guard, err := once.New(t.Context(), records, once.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { guard.Close(t.Context()) })
	keys, err := form.RandomKeys()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Log: slog.New(slog.DiscardHandler)}
	if cfg.Upstream, err = url.Parse(upstream); err != nil {
		t.Fatal(err)
	}
	if cfg.Forms, err = form.New(records, keys, form.Config{}); err != nil {
		t.Fatal(err)
	}
	if cfg.Flashes, err = form.NewFlashes(keys, form.FlashConfig{Forward: true}); err != nil {
		t.Fatal(err)
	}
	if cfg.Operations, err = operation.New(guard, records, operation.Config{After: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	g, err := New(cfg, guard, []Route{{Name: "shop", Once: &once.Policy{}, Form: &form.Policy{}, Flash: true, Operation: true}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(func() { server.Close(); g.Close() })
	return server
}

// TestASlowFormComesToItsResultWithItsCookiesAndMessage goes from the form over the
// waiting page to the page that the app leads to.
func TestASlowFormComesToItsResultWithItsCookiesAndMessage(t *testing.T) {
	t.Parallel()
	var orders atomic.Int64
	end := make(chan struct{})
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			orders.Add(1)
			<-end
			http.SetCookie(w, &http.Cookie{Name: "basket", Value: "empty"})
			w.Header().Set("Seeother-Flash", `"Thank you"`)
			w.Header().Set("Location", "orders/1")
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/shop/orders/1":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<p>"+r.Header.Get("Seeother-Flash")+" "+r.Header.Get("Cookie"))
		default:
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `<form method=post action=/shop/order><button>Buy</button></form>`)
		}
	})
	site := slowSite(t, upstream)
	cookies := map[string]string{}
	ask := func(method, path string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, site.URL+path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range res.Cookies() {
			cookies[c.Name] = c.Value
		}
		return read(t, res)
	}
	page := ask("GET", "/shop/")
	action := regexp.MustCompile(`action="?([^ ">]+)`).FindStringSubmatch(page.body)
	if action == nil || !strings.Contains(action[1], "?") {
		t.Fatalf("no token in %q", page.body)
	}
	told := ask("POST", action[1])
	check(t, told, http.StatusSeeOther, "")
	at := told.Header.Get("Location")
	check(t, ask("POST", action[1]), http.StatusSeeOther, "")
	if waiting := ask("GET", at); waiting.StatusCode != http.StatusOK || waiting.Header.Get("Refresh") == "" {
		t.Fatalf("%d %v", waiting.StatusCode, waiting.Header)
	}
	close(end)
	var over answer
	for deadline := time.Now().Add(patience); over.Response == nil || over.StatusCode == http.StatusOK; {
		if over = ask("GET", at); time.Now().After(deadline) {
			t.Fatal("no end")
		}
	}
	check(t, over, http.StatusSeeOther, "")
	if to := over.Header.Get("Location"); to != "/shop/orders/1" || over.Header.Get("Seeother-Flash") != "" {
		t.Errorf("header %v", over.Header)
	}
	result := ask("GET", over.Header.Get("Location"))
	if !strings.Contains(result.body, `Thank you`) || !strings.Contains(result.body, "basket=empty") {
		t.Errorf("the result is %q", result.body)
	}
	equal(t, "orders", orders.Load(), 1)
}
