package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seeother/seeother/test/internal/harness"
)

// counter is an app as one meets them: each POST is an order, and it knows of no
// form that it was the same one.
type counter struct {
	*httptest.Server
	takes   time.Duration // a POST
	reports string        // how far it says that a POST is; empty: it says nothing

	mu     sync.Mutex
	orders []string // guarded by mu
}

func newCounter(t *testing.T, takes time.Duration) *counter {
	t.Helper()
	c := &counter{takes: takes}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		to := "/order"
		if r.URL.RawQuery != "" {
			to = "/" + r.URL.RawQuery
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>Form</title><h1>Form</h1><form method="post" action="%s"><input name="n" value="1"><button>Buy</button></form>`, to)
	})
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, r *http.Request) {
		n := c.add(w, r)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>Thanks</title><h1>Order %d</h1>`, n)
	})
	mux.HandleFunc("POST /moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/orders/"+strconv.Itoa(c.add(w, r)), http.StatusFound)
	})
	mux.HandleFunc("POST /faulty", func(w http.ResponseWriter, r *http.Request) {
		c.add(w, r)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `<!doctype html><title>Form</title><h1>Too many</h1><form method="post" action="order"><input name="n" value="1"><button>Buy</button></form>`)
	})
	mux.HandleFunc("GET /orders/{n}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>Thanks</title><h1>Order %s</h1>`, r.PathValue("n"))
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func (c *counter) add(w http.ResponseWriter, r *http.Request) int {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.orders = append(c.orders, string(body))
	n := len(c.orders)
	c.mu.Unlock()
	report(w, c.reports)
	select {
	case <-time.After(c.takes):
	case <-r.Context().Done(): // nobody waits for it any more
	}
	return n
}

func (c *counter) want(t *testing.T, when string, orders int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.orders) != orders {
		t.Errorf("%s: %d orders %q, want %d", when, len(c.orders), c.orders, orders)
	}
}

const clickTwice = `(() => { const b = document.querySelector('button'); b.click(); setTimeout(() => b.click(), 30); })()`

func TestFormsInABrowser(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"/", "/?moved"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			app := newCounter(t, 150*time.Millisecond)
			g := harness.Protect(t, app.URL)
			b := harness.Visit(t)
			b.Do(t, chromedp.Navigate(g.URL+where))
			harness.Evaluate[any](t, b, clickTwice)
			b.Await(t, `document.querySelector('h1')?.textContent === 'Order 1'`)
			app.want(t, "a double click", 1)

			b.Do(t, chromedp.Reload())
			b.Await(t, `document.querySelector('h1')?.textContent === 'Order 1'`)
			app.want(t, "a refresh", 1)

			harness.Evaluate[any](t, b, `history.back()`)
			b.Await(t, `document.querySelector('h1')?.textContent === 'Form'`)
			harness.Evaluate[any](t, b, `document.querySelector('button').click()`)
			b.Await(t, `document.querySelector('h1')?.textContent === 'Order 1'`)
			app.want(t, "Back, and the same form", 1)

			harness.Evaluate[any](t, b, `history.back()`)
			b.Await(t, `document.querySelector('h1')?.textContent === 'Form'`)
			harness.Evaluate[any](t, b, `document.querySelector('input').value = '2', document.querySelector('button').click()`)
			b.Await(t, `document.querySelector('h1')?.textContent === 'Order 2'`)
			app.want(t, "Back, and corrected", 2)
			if dialogs := b.Dialogs(); len(dialogs) > 0 {
				t.Errorf("the browser asked: %q", dialogs)
			}
			b.WantQuiet(t)
		})
	}
}

// Without the gateway each of these makes an order more: else the test above
// would show nothing.
func TestFormsOfTheAppAlone(t *testing.T) {
	t.Parallel()
	app := newCounter(t, 150*time.Millisecond)
	b := harness.Visit(t)
	b.Do(t, chromedp.Navigate(app.URL))
	harness.Evaluate[any](t, b, clickTwice)
	b.Await(t, `document.querySelector('h1')?.textContent === 'Order 2'`)
	b.Do(t, chromedp.Reload())
	b.Await(t, `document.querySelector('h1')?.textContent === 'Order 3'`)
	app.want(t, "a double click and a refresh", 3)
}

func TestAClickWhoseConnectionIsLost(t *testing.T) {
	t.Parallel()
	app := newCounter(t, 300*time.Millisecond)
	g := harness.Protect(t, app.URL)
	b := harness.Visit(t)
	b.Do(t, chromedp.Navigate(g.URL))
	harness.Evaluate[any](t, b, `document.querySelector('button').click(), setTimeout(() => window.stop(), 100)`)
	harness.Eventually(t, "the order", func() bool { app.mu.Lock(); defer app.mu.Unlock(); return len(app.orders) == 1 })
	time.Sleep(150 * time.Millisecond) // until the browser has stopped
	harness.Evaluate[any](t, b, `document.querySelector('button').click()`)
	b.Await(t, `document.querySelector('h1')?.textContent === 'Order 1'`)
	app.want(t, "the second click", 1)
}

// Many people click two to five times at random moments: 500 submissions here, and
// more with SEEOTHER_SUBMISSIONS.
func TestManyBrowsersClickAtRandom(t *testing.T) {
	t.Parallel()
	submissions := 500
	if text := os.Getenv("SEEOTHER_SUBMISSIONS"); text != "" {
		submissions, _ = strconv.Atoi(text)
	}
	const people = 50
	app := newCounter(t, 20*time.Millisecond)
	g := harness.Protect(t, app.URL)
	tabs := make([]*harness.Tab, people)
	for i := range tabs {
		tabs[i] = harness.Visit(t)
	}
	var all sync.WaitGroup
	for i, b := range tabs {
		all.Go(func() {
			for n := range submissions / people {
				b.Do(t, chromedp.Navigate(g.URL+"/"))
				harness.Evaluate[any](t, b, clicks(fmt.Sprintf("%d.%d", i, n)))
				b.Await(t, `document.querySelector('h1')?.textContent.startsWith('Order') && document.readyState === 'complete'`)
			}
		})
	}
	all.Wait()
	app.mu.Lock()
	defer app.mu.Unlock()
	seen := map[string]int{}
	for _, o := range app.orders {
		seen[o]++
	}
	for o, n := range seen {
		if n != 1 {
			t.Errorf("order %q was made %d times", o, n)
		}
	}
	want := submissions / people * people
	if len(seen) != want {
		t.Errorf("%d orders, want %d", len(seen), want)
	}
	twice := duplicates(t, g)
	t.Logf("%d submissions, each clicked two to five times; %d further clicks reached the gateway", want, twice)
	if twice < want/10 {
		t.Errorf("%d further clicks reached the gateway, of %d submissions: that shows little", twice, want)
	}
}

// duplicates are the requests that started nothing.
func duplicates(t *testing.T, g *harness.Gateway) int {
	t.Helper()
	metrics := send(t, request{method: "GET", url: g.Admin + "/metrics"}).body
	sum := 0
	for _, outcome := range []string{"waited", "replayed"} {
		if _, after, found := strings.Cut(metrics, fmt.Sprintf("seeother_once_requests_total{outcome=%q} ", outcome)); found {
			number, _, _ := strings.Cut(after, "\n")
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// clicks are two to five of the button, at random moments.
func clicks(n string) string {
	var js strings.Builder
	_, _ = fmt.Fprintf(&js, `(() => { document.querySelector('input').value = %q; const b = document.querySelector('button');`, n)
	for range 2 + rand.IntN(4) {
		_, _ = fmt.Fprintf(&js, "setTimeout(() => b.click(), %d);", rand.IntN(80))
	}
	js.WriteString("})()")
	return js.String()
}
