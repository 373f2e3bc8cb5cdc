package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seeother/seeother/test/internal/harness"
)

// resident is how much memory a process has, and the most that it had since
// forgetPeak, in bytes (proc_pid_status(5)).
func resident(t *testing.T, p *harness.Process) (now, peak int64) {
	t.Helper()
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	harness.Need(t, "/proc", err)
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	return now, peak
}

// forgetPeak lets the peak begin anew (proc_pid_clear_refs(5)).
func forgetPeak(t *testing.T, p *harness.Process) {
	t.Helper()
	err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.Cmd.Process.Pid), []byte("5"), 0o600)
	harness.Need(t, "/proc/PID/clear_refs", err)
}

// grows runs what a test does, and returns how far the gateway's memory rose over
// what it had before, at most.
func grows(t *testing.T, g *harness.Gateway, does func()) int64 {
	t.Helper()
	forgetPeak(t, g.Process)
	idle, _ := resident(t, g.Process)
	does()
	_, peak := resident(t, g.Process)
	t.Logf("idle %.1f MiB, peak %.1f MiB", float64(idle)/(1<<20), float64(peak)/(1<<20))
	return peak - idle
}

// films is an app that takes files, one row for each that came whole.
type films struct {
	*httptest.Server

	mu   sync.Mutex
	rows []string // guarded by mu
	cut  int      // uploads that broke off; guarded by mu
}

func newFilms(t *testing.T) *films {
	t.Helper()
	u := &films{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><title>Upload</title><form method="post" action="/upload" enctype="multipart/form-data">
<input name="name" value="n"><input type="file" name="file"><button>Send</button></form>`)
	})
	mux.HandleFunc("POST /upload", u.take)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	u.Server = httptest.NewServer(mux)
	t.Cleanup(u.Close)
	return u
}

func (u *films) take(w http.ResponseWriter, r *http.Request) {
	row, err := sizesOf(r)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.cut++
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u.rows = append(u.rows, row)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "<!doctype html><title>Thanks</title><h1>Upload %d: %s</h1>", len(u.rows), row)
}

// sizesOf reads an upload as it comes.
func sizesOf(r *http.Request) (string, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return "", err
	}
	var row []string
	for {
		part, err := parts.NextPart()
		if err == io.EOF { //nolint:errorlint // as MultipartReader returns it
			return strings.Join(row, ", "), nil
		}
		if err != nil {
			return "", err
		}
		n, err := io.Copy(io.Discard, part)
		if err != nil {
			return "", err
		}
		row = append(row, fmt.Sprintf("%s %d", part.FormName(), n))
	}
}

func TestAnUploadOf200MiBTakesNoMemoryAndMakesOneRow(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "film.bin")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const size = 200 << 20
	if err := os.Truncate(file, size); err != nil { // with holes: it takes no room
		t.Fatal(err)
	}
	app := newFilms(t)
	g := harness.Protect(t, app.URL)
	b := harness.Visit(t)
	b.Do(t, chromedp.Navigate(g.URL+"/"))
	thanks := fmt.Sprintf(`document.querySelector('h1')?.textContent === 'Upload 1: name 1, file %d'`, size)
	b.Do(t, chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{file}))
	for _, when := range []string{"the upload", "the same form again"} {
		began := time.Now()
		more := grows(t, g, func() {
			harness.Evaluate[any](t, b, `document.querySelector('button').click()`)
			b.Await(t, thanks)
		})
		t.Logf("%s: %v", when, time.Since(began))
		if more > 16<<20 {
			t.Errorf("%s: the gateway's memory rose by %d MiB", when, more>>20)
		}
		harness.Evaluate[any](t, b, `history.back()`)
		b.Await(t, `document.querySelector('input[type=file]')?.files.length === 1`) // the browser keeps it
	}
	g.AwaitLog(t, "once: replayed") // it was compared whole
	app.mu.Lock()
	defer app.mu.Unlock()
	if len(app.rows) != 1 || app.cut != 0 {
		t.Errorf("rows %q, %d cut short; want one row", app.rows, app.cut)
	}
	b.WantQuiet(t)
}

// A second click takes the connection of the first one away. What was read whole by
// then has its row, and what had not begun gets it now.
func TestADoubleClickOnAnUploadMakesOneRow(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{512 << 10, 50 << 20} {
		t.Run(strconv.FormatInt(size, 10), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "film.bin")
			if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, size)); err != nil {
				t.Fatal(err)
			}
			app := newFilms(t)
			g := harness.Protect(t, app.URL)
			b := harness.Visit(t)
			b.Do(t, chromedp.Navigate(g.URL+"/"), chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{file}))
			harness.Evaluate[any](t, b, clickTwice)
			b.Await(t, has("Upload 1"))
			app.mu.Lock()
			defer app.mu.Unlock()
			if len(app.rows) != 1 || app.cut != 0 {
				t.Errorf("rows %q, want one", app.rows)
			}
		})
	}
}

// large is a page of 30 MiB with forms from its beginning to its end.
func large(w io.Writer) error {
	row := "<tr><td>row</td><td>" + strings.Repeat("some text & more ", 58) + "</td></tr>\n"
	for i := range 31 << 10 {
		if i%(10<<10) == 0 {
			if _, err := io.WriteString(w, "<table>"+plainForm+"</table>"); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, row); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, plainForm)
	return err
}

func TestALargePageTakesNoMemory(t *testing.T) {
	t.Parallel()
	app := newAnswers(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch {
		case r.URL.Path == "/small":
			_, _ = io.WriteString(w, plainForm)
		case r.URL.Query().Has("length"):
			var b bytes.Buffer
			_ = large(&b)
			w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
			_, _ = b.WriteTo(w)
		case r.URL.Query().Has("zip"):
			w.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(w)
			_ = large(zip)
			_ = zip.Close()
		default:
			_ = large(w)
		}
	})
	g := harness.Protect(t, app.URL)
	for range 300 { // what it takes to work at all
		browserGets(t, g.URL+"/small", nil)
	}
	runtime.GC() // of this process, which shares the machine
	for _, how := range []string{"GET /large", "GET /large?length", "GET /large?zip", "POST /large"} {
		method, path, _ := strings.Cut(how, " ")
		more := grows(t, g, func() {
			tokens, size := fetchLarge(t, method, g.URL+path)
			if tokens != 5 || size < 30<<20 {
				t.Errorf("%s: %d tokens in %d bytes, want 5 in 30 MiB", how, tokens, size)
			}
		})
		if more > 8<<20 {
			t.Errorf("%s: the gateway's memory rose by %d KiB", how, more>>10)
		}
	}
}

// fetchLarge reads a page as a browser gets it, and counts the tokens in it.
func fetchLarge(t *testing.T, method, url string) (tokens int, size int64) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Accept": "text/html", "Accept-Encoding": "gzip", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Cookie": "seeother=" + strings.Repeat("A", 26)} {
		r.Header.Set(name, value)
	}
	res, err := plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		size += int64(len(line))
		tokens += strings.Count(line, "seeother-form=")
		if err != nil {
			if err != io.EOF { //nolint:errorlint // as ReadString returns it
				t.Error(err)
			}
			return tokens, size
		}
	}
}

// A page that is flushed is shown while the app works on: it goes on when the
// browser has asked for what stands in its beginning.
func TestAPageThatStreamsIsShownBeforeItsEnd(t *testing.T) {
	t.Parallel()
	for name, beginning := range map[string]string{
		"nothing but a head":         `<!doctype html><title>Stream</title><script src="/seen.js"></script>`,
		"nothing but a head, zipped": `<!doctype html><title>Stream</title><script src="/seen.js"></script>`,
		"a form in its beginning":    `<!doctype html><title>Stream</title>` + plainForm + `<script src="/seen.js"></script>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan struct{})
			app := newAnswers(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				switch r.URL.Path {
				case "/favicon.ico":
					w.WriteHeader(http.StatusNoContent)
				case "/seen.js":
					w.Header().Set("Content-Type", "text/javascript")
					close(seen)
				default:
					out := &flusher{w: w}
					if strings.Contains(name, "zipped") {
						w.Header().Set("Content-Encoding", "gzip")
						out.zip = gzip.NewWriter(w)
					}
					out.say(beginning)
					if isClosed(r.Context(), seen) {
						out.say("<h1>End</h1>" + plainForm)
					}
				}
			})
			g := harness.Protect(t, app.URL)
			b := harness.Visit(t)
			b.Do(t, chromedp.Navigate(g.URL+"/"))
			b.Await(t, `document.querySelector('h1')?.textContent === 'End'`)
			if harness.Evaluate[bool](t, b, `Array.from(document.forms).some((f) => !f.action.includes('seeother-form='))`) {
				t.Error("a form has no token")
			}
			b.WantQuiet(t)
		})
	}
}

// isClosed waits for c, for as long as a request lasts and a test has patience.
func isClosed(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
	case <-time.After(harness.Patience):
	}
	return false
}

// flusher writes a page as it comes, zipped or not.
type flusher struct {
	w   http.ResponseWriter
	zip *gzip.Writer // nil: not zipped
}

func (f *flusher) say(text string) {
	if f.zip == nil {
		_, _ = io.WriteString(f.w, text)
	} else {
		_, _ = io.WriteString(f.zip, text)
		_ = f.zip.Flush()
		if strings.Contains(text, "End") {
			_ = f.zip.Close()
		}
	}
	_ = http.NewResponseController(f.w).Flush()
}
