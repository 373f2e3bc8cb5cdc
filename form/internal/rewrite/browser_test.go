package rewrite

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// comparedPage is one that a browser compares: see testdata/compare.html.
type comparedPage struct {
	Before, After string
	All           bool // each form that posts is to be changed
}

// What golang.org/x/net makes of a page is one thing. This is what a browser makes
// of it, with those that own buttons, and with templates.
func TestChromiumSeesTheSamePages(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("SEEOTHER_TEST_ALL") == "" {
		t.Skipf("left out: needs chromium: %v", err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pages" {
			_ = json.NewEncoder(w).Encode(comparedPages(t))
			return
		}
		http.ServeFile(w, r, "testdata/compare.html")
	}))
	defer server.Close()
	for _, fault := range faults(t, path, server.URL) {
		t.Error(fault)
	}
}

func comparedPages(t *testing.T) []comparedPage {
	const form = `<form method=post action=/x><button formaction=/y>`
	var pages []string
	for _, page := range append(html5lib(t), seeds()...) {
		pages = append(pages, page+form)
		for i := len(page) - 1; i >= 0; i-- {
			if page[i] == '<' {
				pages = append(pages, page[:i]+form+page[i:])
				break
			}
		}
	}
	compared := make([]comparedPage, len(pages))
	for i, page := range pages {
		out, w := rewritten(t, page, 0, testOptions())
		compared[i] = comparedPage{page, out, !w.GaveUp() && w.tree.doubts == 0 && w.site.base == documentBase}
	}
	return compared
}

func faults(t *testing.T, path, url string) []string {
	t.Helper()
	profile, err := os.MkdirTemp("", "seeother-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	// Its processes may still write while they end: what they leave then is no fault.
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-dev-shm-usage", true),
	}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	allocator, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	tab, closeTab := chromedp.NewContext(allocator)
	defer closeTab()
	if err := chromedp.Do(tab, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	found, err := chromedp.Run(tab, chromedp.Evaluate[[]string]("compare()", chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
