package form

import (
	"net/http"
	"strings"

	"github.com/seeother/seeother/internal/problem"
)

// IsNavigation reports whether r comes from a browser that goes from one page
// to another, rather than from a script: Sec-Fetch-Mode says so (Fetch Metadata).
// Where it is missing, as over plain HTTP, r must ask for HTML, and no script
// may have named itself.
func IsNavigation(r *http.Request) bool { return problem.IsNavigation(r) }

// isPrefetch reports whether a browser fetches a page that nobody has asked to
// see yet (Sec-Purpose; the others are older names).
func isPrefetch(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		for _, v := range h.Values(name) {
			if v = strings.ToLower(v); strings.Contains(v, "prefetch") || strings.Contains(v, "prerender") {
				return true
			}
		}
	}
	return false
}

// isTop reports whether a page is for a tab of its own, and not for a frame.
func isTop(h http.Header) bool {
	dest := h.Get("Sec-Fetch-Dest")
	return dest == "" || dest == "document"
}
