package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
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
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"), // names that are no loopback to a page
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
		timed, cancel := context.WithTimeout(ctx, Patience)
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

// Tab is a page in Chromium. What it says on its console is kept.
type Tab struct {
	Ctx context.Context

	mu       sync.Mutex
	messages []chromedp.ConsoleMessage // guarded by mu
	dialogs  []string                  // guarded by mu
}

// Messages are those that the pages wrote to the console so far.
func (b *Tab) Messages() []chromedp.ConsoleMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.messages)
}

// Dialogs are those that the pages opened so far, each as its type and text.
func (b *Tab) Dialogs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.dialogs)
}

// Browse opens url in a new tab. All such tabs are one person's: they share their
// cookies, and those of 127.0.0.1 are the same for all its ports.
func Browse(t *testing.T, url string) *Tab {
	t.Helper()
	b := open(t)
	b.Do(t, chromedp.Navigate(url))
	return b
}

// Visit opens a new tab of somebody who has not been here before: without the
// cookies and the cache of others.
func Visit(t *testing.T) *Tab {
	t.Helper()
	return open(t, chromedp.WithNewBrowserContext())
}

func open(t *testing.T, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	browser.once.Do(openBrowser)
	if errors.Is(browser.err, exec.ErrNotFound) {
		Need(t, "chromium", browser.err)
	}
	if browser.err != nil {
		t.Fatalf("chromium: %v", browser.err)
	}
	ctx, closeTab := chromedp.NewContext(browser.ctx, options...)
	t.Cleanup(closeTab)
	// The tab lives as long as the context of its first action.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: %v", err)
	}
	b := &Tab{Ctx: ctx}
	b.listen()
	return b
}

// listen keeps what the page says, and agrees to what it asks.
func (b *Tab) listen() {
	messages, dialogs := chromedp.Console(b.Ctx), chromedp.Events(b.Ctx, page.JavascriptDialogOpening)
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
		for d, err := range dialogs {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.dialogs = append(b.dialogs, string(d.Type)+" "+d.Message)
			b.mu.Unlock()
			yes := page.HandleJavaScriptDialogParams{Accept: true}
			if _, err := chromedp.Call(b.Ctx, page.HandleJavaScriptDialog, yes); err != nil {
				return // the tab is gone
			}
		}
	}()
}

// WantQuiet fails when the page wrote a warning or an error to its console:
// an exception, a request that failed, a breach of its Content-Security-Policy.
// One that contains a text of except is expected.
func (b *Tab) WantQuiet(t *testing.T, except ...string) {
	t.Helper()
	for _, complaint := range b.Complaints(except...) {
		t.Errorf("the page's console: %s", complaint)
	}
}

// Complaints are the warnings and errors that WantQuiet looks for.
func (b *Tab) Complaints(except ...string) []string {
	var found []string
	for _, m := range b.Messages() {
		switch m.Type {
		case chromedp.ConsoleError, chromedp.ConsoleWarning, chromedp.ConsoleException, "assert":
			if !containsAny(m.String()+" "+m.URL, except) {
				found = append(found, fmt.Sprintf("%s (%s:%d)", m, m.URL, m.Line))
			}
		}
	}
	return found
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// Do carries out what a person does, one step after the other.
func (b *Tab) Do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("chromium: %v", err)
	}
}

// Await waits until a JavaScript expression is true, also over the load of
// another page.
func (b *Tab) Await(t *testing.T, js string) {
	t.Helper()
	Eventually(t, js, func() bool {
		ctx, cancel := context.WithTimeout(b.Ctx, Patience)
		defer cancel()
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+js+")"))
		return err == nil && ok
	})
}

// Evaluate runs JavaScript in the page, awaits it when it is a promise, and
// returns its value.
func Evaluate[T any](t *testing.T, b *Tab, js string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("chromium: %s: %v", js, err)
	}
	return value
}
