package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// One Chromium serves all tests, with a tab for each.
var browser struct {
	once  sync.Once
	ctx   context.Context
	close func()
	err   error
}

func openBrowser() {
	path, err := exec.LookPath("chromium")
	if err != nil {
		browser.err = err
		return
	}
	profile, err := os.MkdirTemp("", "seeother-chromium-")
	if err != nil {
		browser.err = err
		return
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("ignore-certificate-errors", true), // of proxies that tests start
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("no-proxy-server", true),
		// Several tabs work at the same time: none of them is in the background.
		chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-renderer-backgrounding", true),
	}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeAll := chromedp.NewContext(allocator)
	browser.ctx = ctx
	browser.close = func() {
		timed, cancel := context.WithTimeout(ctx, patience)
		_ = chromedp.Cancel(timed) // it ends with its allocator, if not by itself
		cancel()
		closeAll()
		stop()
		_ = os.RemoveAll(profile)
	}
	browser.err = chromedp.Do(ctx)
}

func closeBrowser() {
	if browser.close != nil {
		browser.close()
	}
}

// tab is a page in Chromium. What it says on its console is kept.
type tab struct {
	ctx context.Context

	mu       sync.Mutex
	messages []chromedp.ConsoleMessage // guarded by mu
}

// browse opens url in a new tab.
func browse(t *testing.T, url string) *tab {
	t.Helper()
	browser.once.Do(openBrowser)
	if errors.Is(browser.err, exec.ErrNotFound) {
		need(t, "chromium", browser.err)
	}
	if browser.err != nil {
		t.Fatalf("chromium: %v", browser.err)
	}
	ctx, closeTab := chromedp.NewContext(browser.ctx)
	t.Cleanup(closeTab)
	// The tab lives as long as the context of its first action.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: %v", err)
	}
	b := &tab{ctx: ctx}
	b.listen()
	b.do(t, chromedp.Navigate(url))
	return b
}

// listen keeps what the page says, and agrees to what it asks.
func (b *tab) listen() {
	messages, dialogs := chromedp.Console(b.ctx), chromedp.Events(b.ctx, page.JavascriptDialogOpening)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.messages = append(b.messages, m)
			b.mu.Unlock()
		}
	}()
	go func() {
		for _, err := range dialogs {
			if err != nil {
				return
			}
			yes := page.HandleJavaScriptDialogParams{Accept: true}
			if _, err := chromedp.Call(b.ctx, page.HandleJavaScriptDialog, yes); err != nil {
				return // the tab is gone
			}
		}
	}()
}

// wantQuiet fails when the page wrote a warning or an error to its console:
// an exception, a request that failed, a breach of its Content-Security-Policy.
// One that contains a text of except is expected.
func (b *tab) wantQuiet(t *testing.T, except ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		switch m.Type {
		case chromedp.ConsoleError, chromedp.ConsoleWarning, chromedp.ConsoleException, "assert":
			if !containsAny(m.String()+" "+m.URL, except) {
				t.Errorf("the page's console: %s (%s:%d)", m, m.URL, m.Line)
			}
		}
	}
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// do carries out what a person does, one step after the other.
func (b *tab) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("chromium: %v", err)
	}
}

// await waits until a JavaScript expression is true, also over the load of
// another page.
func (b *tab) await(t *testing.T, js string) {
	t.Helper()
	eventually(t, js, func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+js+")"))
		return err == nil && ok
	})
}

// evaluate runs JavaScript in the page, awaits it when it is a promise, and
// returns its value.
func evaluate[T any](t *testing.T, b *tab, js string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("chromium: %s: %v", js, err)
	}
	return value
}
