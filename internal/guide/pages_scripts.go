package guide

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// script is a package of npm whose script a page has.
type script struct {
	name string // of the package
	file string // in its folder
	real string // the product, as the card names it
}

var (
	htmxScript  = script{"htmx.org", "dist/htmx.min.js", "htmx"}
	turboScript = script{"@hotwired/turbo", "dist/turbo.es2017-umd.js", "turbo"}
)

// read is the text of the script, and "htmx/2.0.10".
func (s script) read() (text, version string, err error) {
	dir, number, err := nodePackage(s.name)
	if err != nil {
		return "", "", err
	}
	file, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(s.file))) //nolint:gosec // of an installed package
	return string(file), s.real + "/" + number, err
}

// scripts serves a script at /lib.js, and everything else by next.
func scripts(text string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/lib.js" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = fmt.Fprint(w, text)
	})
}

// htmxForm is a page whose form htmx sends to an app that answers with this status.
func htmxForm(status int) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, _ *Lab, w *witness) (*page, error) {
		lib, version, err := htmxScript.read()
		if err != nil {
			return nil, err
		}
		app := http.NewServeMux()
		app.Handle("POST /orders", htmxApp(status)())
		app.HandleFunc("GET /orders/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, `<p>order 1</p><script>fetch("/told", {method: "POST", body: "order 1 is shown in the page " + location.pathname})</script>`)
		})
		return &page{
			html: `<script src="/lib.js"></script><form hx-post="/orders" hx-target="#shown"><button>Order</button></form><div id="shown"></div>
<script>addEventListener("load", () => setTimeout(() => document.querySelector("button").click()))</script>`,
			app:     scripts(lib, w.handler(app)),
			failed:  func(told string) bool { return strings.HasSuffix(told, "in the page /") },
			version: version,
		}, nil
	}
}

// turboForm is a page whose form Turbo sends to an app that answers mistakes with
// this status.
func turboForm(status int) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, _ *Lab, w *witness) (*page, error) {
		lib, version, err := turboScript.read()
		if err != nil {
			return nil, err
		}
		return &page{
			html: `<script>` + tellScript + `
const log = console.error
console.error = (...all) => { log(...all); tell("Turbo: " + all.join(" ")) }
addEventListener("turbo:render", () => tell("Turbo shows the answer: " + document.body.innerText.trim()))
addEventListener("load", () => setTimeout(() => document.querySelector("button").click()))
</script><script src="/lib.js"></script><body><form method="post" action="/posts"><input name="title"><button>Save</button></form>`,
			app: scripts(lib, w.handler(rendersErrors(status)())),
			failed: func(told string) bool {
				return strings.Contains(told, "Form responses must redirect to another location")
			},
			version: version,
		}, nil
	}
}

// inertiaSaves is a page whose router, Inertia's own, sends PATCH. Its app redirects
// with 302 to a page that has only GET; front is around it.
func inertiaSaves(front func(http.Handler) http.Handler) func(context.Context, *Lab, *witness) (*page, error) {
	return func(ctx context.Context, lab *Lab, w *witness) (*page, error) {
		lib, version, err := inertiaBundle(ctx, lab)
		if err != nil {
			return nil, err
		}
		app := http.NewServeMux()
		app.HandleFunc("PATCH /users/1", func(w http.ResponseWriter, _ *http.Request) { sendTo(w, http.StatusFound, "/users") })
		app.HandleFunc("GET /users", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Inertia", "true")
			_, _ = fmt.Fprint(w, `{"component": "Users", "props": {}, "url": "/users", "version": null}`)
		})
		return &page{
			html: `<div id="app"></div><script>` + tellScript + `</script><script src="/lib.js"></script><script>
router.init({initialPage: {component: "User", props: {}, url: "/", version: null}, resolveComponent: name => name,
  swapComponent: async ({component}) => { if (component === "Users") tell("Inertia shows the page Users") }})
const refused = e => { e.preventDefault(); tell("Inertia shows status " + e.detail.response.status + " in a dialog") }
document.addEventListener("inertia:invalid", refused)
document.addEventListener("inertia:httpException", refused)
addEventListener("load", () => setTimeout(() => router.patch("/users/1", {name: "ann"})))
</script>`,
			app:     scripts(lib, w.handler(front(app))),
			failed:  func(told string) bool { return strings.Contains(told, strconv.Itoa(http.StatusMethodNotAllowed)) },
			version: version,
		}, nil
	}
}

// inertiaBundle is Inertia's core as one script that sets the global router.
func inertiaBundle(ctx context.Context, lab *Lab) (text, version string, err error) {
	core, number, err := nodePackage("@inertiajs/core")
	if err != nil {
		return "", "", err
	}
	esbuild, _, err := nodePackage("esbuild")
	if err != nil {
		return "", "", err
	}
	dir, err := lab.TempDir()
	if err != nil {
		return "", "", err
	}
	entry, bundle := filepath.Join(dir, "entry.js"), filepath.Join(dir, "bundle.js")
	source := fmt.Sprintf("import { router } from %q\nwindow.router = router\n", filepath.Join(core, "dist", "index.js"))
	if err := os.WriteFile(entry, []byte(source), 0o600); err != nil {
		return "", "", err
	}
	said, err := lab.Output(ctx, filepath.Join(esbuild, "bin", "esbuild"), entry, "--bundle", "--format=iife", "--outfile="+bundle)
	if err != nil {
		return "", "", fmt.Errorf("esbuild: %w: %s", err, said)
	}
	made, err := os.ReadFile(bundle) //nolint:gosec // just made
	return string(made), "inertia/" + number, err
}
