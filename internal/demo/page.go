package demo

import (
	"embed"
	"html/template"
	"net"
	"net/http"
	"net/url"
)

//go:embed page
var files embed.FS

var pages = template.Must(template.ParseFS(files, "page/*.html"))

// column is one of the two sides, as the page names it.
type column struct{ ID, Title, Origin string }

func columns(shopURL string) []column {
	return []column{{"without", "Without seeother", shopURL}, {"with", "With seeother", ""}}
}

// pageHandler serves the page that shows both sides, and what it needs, under
// /demo/. It is the home page of the shop behind the gateway: the page reaches
// that shop at its own origin and the other one at shopURL.
func pageHandler(b *board, shopURL string) http.Handler {
	both := "'self' " + onAnyName(shopURL)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		secure(w, "connect-src "+both+"; frame-src "+both)
		_ = pages.ExecuteTemplate(w, "board.html", map[string]any{"Shop": shopURL, "Sides": columns(shopURL)}) // the client is gone, if anything
	})
	mux.HandleFunc("GET /demo/events", b.events)
	mux.HandleFunc("GET /demo/state", b.state)
	mux.HandleFunc("POST /demo/reset", func(w http.ResponseWriter, _ *http.Request) {
		b.reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.Handle("GET /demo/", staticHandler())
	return mux
}

// aloneHandler is the home page of the shop without the gateway.
func aloneHandler(gatewayURL string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		secure(w, "connect-src 'none'")
		_ = pages.ExecuteTemplate(w, "alone.html", map[string]string{"Gateway": gatewayURL}) // as above
	})
	mux.Handle("GET /demo/", staticHandler())
	return mux
}

// static are the files of the folder that anybody may have.
var static = []string{"page.css", "board.js", "requests.js", "forms.js", "tab.js", "shop.css", "drive.js"}

// staticHandler serves styles and scripts, and nothing else of the folder.
func staticHandler() http.Handler {
	mux := http.NewServeMux()
	for _, name := range static {
		mux.HandleFunc("GET /demo/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			http.ServeFileFS(w, r, files, "page/"+name)
		})
	}
	return mux
}

// secure writes the header of a page of the demo's own: it holds no form, and is
// in nobody's frame.
func secure(w http.ResponseWriter, sources string) {
	policy(w, sources+"; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}

// policy lets a page use what is served with it and what directives say, and
// nothing else.
func policy(w http.ResponseWriter, directives string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'; "+directives)
	h.Set("X-Content-Type-Options", "nosniff")
}

// onAnyName lists the origins under which a browser on this machine may reach
// a loopback address.
func onAnyName(origin string) string {
	u, err := url.Parse(origin)
	if err != nil || u.Port() == "" {
		return origin
	}
	return origin + " http://" + net.JoinHostPort("localhost", u.Port())
}
