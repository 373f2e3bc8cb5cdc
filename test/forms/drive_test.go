package forms

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// An app of the worst kind, which answers a form with 200, shows that what the other
// tests look for can be seen: in both browsers a refresh sends the form again, and so
// does a double click, and Back and the button.
func TestBothBrowsersShowTheFaults(t *testing.T) {
	t.Parallel()
	for _, b := range bothBrowsers(t) {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			app := &careless{}
			server := httptest.NewServer(app.handler())
			t.Cleanup(server.Close)
			p := &person{browser: b.visit(t, t.Name()), t: t, site: server.URL}
			p.open("/")
			p.fill("#item", "book")
			p.submit("#buy", "bought book")

			before := len(p.report().Navigations)
			p.leave(step{Do: "refresh"}, has("bought book"))
			if prompts := p.report().forms(before); len(prompts) != 1 || app.posts.Load() != 2 {
				t.Errorf("a refresh sent %q, and the app got %d forms, want 2", prompts, app.posts.Load())
			}

			p.leave(step{Do: "back"}, has("Buy"))
			if item := string(p.evaluate("document.querySelector('#item').value")); item != `"book"` {
				t.Errorf("Back shows a form with %s, want what was filled in", item)
			}
			app.gate = make(chan struct{})
			button := p.find("#buy")
			p.depart()
			for n := range int32(2) {
				p.press(button)
				harness.Eventually(t, "a click to arrive", func() bool { return app.posts.Load() == 3+n })
			}
			close(app.gate)
			p.arrive(has("bought book"))
			if said := p.report().Complaints; len(said) == 0 || !strings.Contains(said[0], "one") {
				t.Errorf("the console says %q, want what the page wrote", said)
			}
		})
	}
}

// careless is an app that answers forms with 200, once its gate is open.
type careless struct {
	posts atomic.Int32
	gate  chan struct{} // nil: it is open
}

func (c *careless) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><form method=post><input id=item name=item><button id=buy>Buy</button></form><script>console.error('one')</script>`)
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		item := r.FormValue("item")
		c.posts.Add(1)
		if c.gate != nil {
			select {
			case <-c.gate:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<!doctype html>bought %s", item)
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}
