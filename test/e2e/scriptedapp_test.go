package e2e

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"
)

const scripts = "apps/scripts"

// tasks is an app whose pages use a library of scripts, as its documentation
// says. What it answers to the library is the library's own; it knows of no key.
type tasks struct {
	*httptest.Server
	library string
	pages   *template.Template // nil: Inertia's pages are JSON
	takes   time.Duration      // a POST

	mu    sync.Mutex
	rows  []task   // guarded by mu
	next  int      // guarded by mu
	wiped int      // how often all tasks were deleted at once; guarded by mu
	asked []string // what scripts asked for; guarded by mu
}

type task struct {
	ID    int    `json:"id"`
	Title string `json:"title"`
}

func newTasks(t *testing.T, library string, takes time.Duration) *tasks {
	t.Helper()
	needScripts(t)
	a := &tasks{library: library, takes: takes}
	a.pages = template.Must(template.ParseFiles(filepath.Join(scripts, "pages", library+".html")))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tasks", func(w http.ResponseWriter, r *http.Request) { a.show(w, r, http.StatusOK, "", "") })
	mux.HandleFunc("POST /tasks", a.create)
	mux.HandleFunc("DELETE /tasks/{id}", a.remove)
	mux.HandleFunc("DELETE /tasks", a.wipe)
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) { a.part(w, "text/html; charset=utf-8", "count") })
	mux.HandleFunc("POST /rows", a.append)
	mux.HandleFunc("POST /plain", a.plain)
	mux.Handle("GET /modules/", http.StripPrefix("/modules/", http.FileServer(http.Dir(filepath.Join(scripts, "node_modules")))))
	mux.HandleFunc("GET /recorder.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(scripts, "recorder.js"))
	})
	mux.Handle("GET /docs/", http.StripPrefix("/docs/", http.FileServer(http.Dir(documented(t)))))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if library == "inertia" {
		mux.Handle("GET /bundle/", http.StripPrefix("/bundle/", http.FileServer(http.Dir(bundle(t)))))
	}
	a.Server = httptest.NewServer(a.log(mux))
	t.Cleanup(a.Close)
	return a
}

var installing sync.Mutex

// needScripts has the libraries. One test installs them, and the others wait.
func needScripts(t *testing.T) {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	harness.NeedNPM(t, "the libraries of "+scripts, scripts)
}

// log notes what scripts asked for, and gives each browser a session of its own.
func (a *tasks) log(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isAsset.MatchString(r.URL.Path) {
			a.mu.Lock()
			a.asked = append(a.asked, r.Method+" "+r.URL.RequestURI()+" "+headersOf(r.Header))
			a.mu.Unlock()
		}
		if _, err := r.Cookie("sid"); err != nil {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: fmt.Sprint(time.Now().UnixNano()), Path: "/", HttpOnly: true})
		}
		next.ServeHTTP(w, r)
	})
}

var isAsset = regexp.MustCompile(`^/(modules|docs|bundle|recorder\.js|favicon\.ico)`)

// headersOf are the headers that say what a script wants; empty for a browser that
// goes to a page.
func headersOf(h http.Header) string {
	if strings.Contains(h.Get("Accept"), "image/") {
		return ""
	}
	var out []string
	for _, name := range []string{"Accept", "Accept-Encoding", "Content-Type", "Hx-Request", "Hx-Boosted", "Turbo-Frame", "X-Inertia", "X-Inertia-Partial-Data", "X-Up-Target", "X-Up-Version", "If-None-Match"} {
		value, _, _ := strings.Cut(h.Get(name), "boundary=") // differs each time
		out = append(out, value)
	}
	return strings.Join(out, "|")
}

func (a *tasks) create(w http.ResponseWriter, r *http.Request) {
	title := a.title(r)
	if title == "" {
		a.show(w, r, http.StatusUnprocessableEntity, "A title is needed.", title)
		return
	}
	a.add(title)
	http.Redirect(w, r, "/tasks", http.StatusFound)
}

// title reads a form, or the JSON that Inertia sends.
func (a *tasks) title(r *http.Request) string {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var fields struct{ Title string }
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		_ = json.Unmarshal(body, &fields)
		return fields.Title
	}
	return r.FormValue("title")
}

func (a *tasks) add(title string) {
	a.mu.Lock()
	a.next++
	a.rows = append(a.rows, task{a.next, title})
	a.mu.Unlock()
	time.Sleep(a.takes)
}

func (a *tasks) append(w http.ResponseWriter, r *http.Request) {
	a.add(a.title(r))
	switch a.library {
	case "inertia":
		a.show(w, r, http.StatusOK, "", "")
	case "turbo":
		a.part(w, "text/vnd.turbo-stream.html; charset=utf-8", "added")
	default:
		a.part(w, "text/html; charset=utf-8", "added")
	}
}

func (a *tasks) plain(w http.ResponseWriter, r *http.Request) {
	a.add(a.title(r))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "<!doctype html><title>Thanks</title><h1>Thanks for task %d</h1>", len(a.titles()))
}

// remove answers as most apps do; wipe is what a browser makes of that.
func (a *tasks) remove(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	kept := a.rows[:0]
	for _, row := range a.rows {
		if fmt.Sprint(row.ID) != r.PathValue("id") {
			kept = append(kept, row)
		}
	}
	a.rows = kept
	a.mu.Unlock()
	http.Redirect(w, r, "/tasks", http.StatusFound)
}

func (a *tasks) wipe(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.rows = nil
	a.wiped++
	a.mu.Unlock()
	a.show(w, r, http.StatusOK, "", "")
}

// shown is what a template gets.
type shown struct {
	Tasks        []task
	Error, Title string
	Keys, Reload bool
	Inertia      template.JS
}

func (s shown) Last() task { return s.Tasks[len(s.Tasks)-1] }

func (a *tasks) show(w http.ResponseWriter, r *http.Request, status int, problem, title string) {
	data := shown{Tasks: a.list(), Error: problem, Title: title, Keys: r.URL.Query().Has("keys"), Reload: r.URL.Query().Has("reload")}
	if a.library == "inertia" {
		page := a.inertia(r, data)
		if r.Header.Get("X-Inertia") != "" {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Vary", "X-Inertia")
			w.Header().Set("X-Inertia", "true")
			w.WriteHeader(status)
			_, _ = w.Write(page)
			return
		}
		data.Inertia = template.JS(page)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(data.Tasks)))
	w.WriteHeader(status)
	_ = a.pages.ExecuteTemplate(w, "page", data)
}

// inertia is a page as Inertia's protocol has it.
func (a *tasks) inertia(r *http.Request, data shown) []byte {
	props := map[string]any{"tasks": data.Tasks, "errors": map[string]string{}}
	if data.Error != "" {
		props["errors"] = map[string]string{"title": data.Error}
	}
	if r.Header.Get("X-Inertia-Partial-Data") == "count" {
		props = map[string]any{"count": fmt.Sprintf("%d tasks ✓ <form method=post action=/tasks>", len(data.Tasks))}
	}
	page, _ := json.Marshal(map[string]any{"component": "Tasks", "props": props, "url": "/tasks", "version": ""})
	return page
}

func (a *tasks) part(w http.ResponseWriter, contentType, name string) {
	w.Header().Set("Content-Type", contentType)
	_ = a.pages.ExecuteTemplate(w, name, shown{Tasks: a.list()})
}

func (a *tasks) list() []task {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]task{}, a.rows...)
}

func (a *tasks) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// reset gives it other tasks.
func (a *tasks) reset(rows ...task) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows, a.next, a.wiped = rows, len(rows), 0
}

func (a *tasks) wipes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wiped
}

func (a *tasks) titles() []string {
	var out []string
	for _, row := range a.list() {
		out = append(out, row.Title)
	}
	return out
}

// documented is a folder with the files that docs/forms-scripts.md shows.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/forms-scripts.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blocks := regexp.MustCompile("(?m)^```[a-z]+ (\\S+)\n((?:.*\n)*?)```$").FindAllStringSubmatch(string(text), -1)
	for _, block := range blocks {
		if err := os.WriteFile(filepath.Join(dir, block[1]), []byte(block[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(blocks) != 2+len(libraries) {
		t.Fatalf("%d blocks with a name in docs/forms-scripts.md", len(blocks))
	}
	return dir
}

// bundle is a folder with Inertia's app for browsers, once with keys.
func bundle(t *testing.T) string {
	t.Helper()
	docs, dir, app := documented(t), t.TempDir(), harness.Absolute(t, scripts+"/inertia.js")
	for name, text := range map[string]string{
		"inertia.js":      fmt.Sprintf("import %q\n", app),
		"inertia-keys.js": fmt.Sprintf("import %q\nimport %q\n", docs+"/inertia-keys.js", app),
	} {
		entry := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(entry, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(scripts, "node_modules/.bin/esbuild"), entry, "--bundle", "--format=esm", "--outdir="+dir,
			"--define:process.env.NODE_ENV=\"production\"", "--define:__VUE_OPTIONS_API__=true", "--define:__VUE_PROD_DEVTOOLS__=false",
			"--define:__VUE_PROD_HYDRATION_MISMATCH_DETAILS__=false", "--external:axios", "--log-level=error")
		cmd.Env = append(os.Environ(), "NODE_PATH="+harness.Absolute(t, scripts+"/node_modules"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("esbuild: %v\n%s", err, out)
		}
	}
	return dir
}
