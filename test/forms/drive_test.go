package forms

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
			var posts atomic.Int32
			app := httptest.NewServer(carelessly(&posts))
			t.Cleanup(app.Close)
			p := &person{browser: b.visit(t, t.Name()), t: t, site: app.URL}
			p.open("/")
			p.fill("#item", "book")
			p.submit("#buy", "bought book")

			before := len(p.report().Navigations)
			p.leave(step{Do: "refresh"}, has("bought book"))
			if prompts := p.report().forms(before); len(prompts) != 1 || posts.Load() != 2 {
				t.Errorf("a refresh sent %q, and the app got %d forms, want 2", prompts, posts.Load())
			}

			p.leave(step{Do: "back"}, has("Buy"))
			if item := string(p.evaluate("document.querySelector('#item').value")); item != `"book"` {
				t.Errorf("Back shows a form with %s, want what was filled in", item)
			}
			p.leave(step{Do: "click", Selector: "#buy", Times: 2, Pause: 100}, has("bought book"))
			harness.Eventually(t, "both clicks to arrive", func() bool { return posts.Load() == 4 })
			if said := p.report().Complaints; len(said) == 0 || !strings.Contains(said[0], "one") {
				t.Errorf("the console says %q, want what the page wrote", said)
			}
		})
	}
}

func carelessly(posts *atomic.Int32) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><form method=post><input id=item name=item><button id=buy>Buy</button></form><script>console.error('one')</script>`)
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		posts.Add(1)
		time.Sleep(500 * time.Millisecond) // the second click comes meanwhile
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<!doctype html>bought %s", r.FormValue("item"))
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}
