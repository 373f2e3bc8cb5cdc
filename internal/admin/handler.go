package admin

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/internal/problem"
)

const (
	maxScrapes    = 4 // scrapes of /metrics at one time
	scrapeTimeout = 10 * time.Second
)

// Handler serves the admin side. Make it with New; it is safe for concurrent
// use.
type Handler struct {
	cfg     Config
	src     Sources
	access  access
	health  health
	mux     *http.ServeMux
	metrics http.Handler
	openapi []byte
	started time.Time

	stopping atomic.Bool
	origins  http.CrossOriginProtection
}

// New returns the handler of the admin side. Who opens a listener for it asks
// CheckListen first, and serves it with NewServer.
func New(cfg Config, src Sources) *Handler {
	h := &Handler{
		cfg: cfg.withDefaults(), src: src, access: newAccess(cfg.Token),
		health: health{run: src.Ready}, mux: http.NewServeMux(), started: time.Now(),
	}
	h.metrics = h.newMetricsHandler()
	routes := h.routes()
	h.openapi = describe(routes, h.cfg.Version)
	paths := make(map[string]map[string]route)
	for _, r := range routes {
		if paths[r.path] == nil {
			paths[r.path] = make(map[string]route)
		}
		paths[r.path][r.method] = r
	}
	for path, methods := range paths {
		h.mux.Handle(pattern(path), h.at(methods))
	}
	h.mux.Handle("/", h.at(nil))
	return h
}

// Stop makes /readyz answer 503 and ends the streams, so that a load balancer
// turns away and a server can shut down. It may be called more than once.
func (h *Handler) Stop() {
	h.stopping.Store(true)
	if h.src.Events != nil {
		h.src.Events.Stop()
	}
}

// ServeHTTP answers with headers that keep pages from being framed, sniffed,
// stored, or read by other sites.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	// Not no-referrer: a form would then be sent with "Origin: null", and that
	// is refused where the browser does not say Sec-Fetch-Site (plain http).
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	h.mux.ServeHTTP(w, r)
}

const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// pattern is the ServeMux pattern of a path: "/" is that page alone.
func pattern(path string) string {
	if path == "/" {
		return "/{$}"
	}
	return path
}

// at serves one path: access first, so that nobody without it learns what
// there is; then where the request comes from; then the method.
func (h *Handler) at(methods map[string]route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := methods[r.Method]
		if !ok && r.Method == http.MethodHead {
			found, ok = methods[http.MethodGet]
		}
		if !found.open {
			if err := h.access.check(r); err != nil {
				h.access.refuse(w, r, err)
				return
			}
		}
		if err := h.origins.Check(r); err != nil {
			problem.Write(w, r, problem.Details{
				Type: "cross-origin", Title: "Sent from another site", Status: http.StatusForbidden,
				Detail: "A page of another site may not change anything here.",
			})
			return
		}
		if !ok {
			h.noRoute(w, r, methods)
			return
		}
		if err := found.handle(w, r); err != nil {
			h.fail(w, r, err)
		}
	})
}
