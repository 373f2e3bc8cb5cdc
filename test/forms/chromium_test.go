package forms

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/seeother/seeother/test/internal/harness"
)

// chromium is a page of somebody who was never here before.
type chromium struct {
	tab *harness.Tab

	mu          sync.Mutex
	navigations []string // guarded by mu
}

func newChromium(t *testing.T) browser {
	t.Helper()
	c := &chromium{tab: harness.Visit(t)}
	requests := chromedp.Events(c.tab.Ctx, network.RequestWillBeSent)
	go func() {
		for r, err := range requests {
			if err != nil {
				return
			}
			c.note(r)
		}
	}()
	return c
}

// note keeps a request for a page; those of frames in it are not of interest.
func (c *chromium) note(r network.EventRequestWillBeSent) {
	if r.Type != network.ResourceTypeDocument || r.Request == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.navigations = append(c.navigations, r.Request.Method+" "+r.Request.URL)
}

func (c *chromium) take(s step) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(c.tab.Ctx, harness.Patience)
	defer cancel()
	switch s.Do {
	case "goto":
		return nil, chromedp.Do(ctx, chromedp.Navigate(s.URL))
	case "press":
		return nil, chromedp.Do(ctx, chromedp.MouseClickXY(s.At.X, s.At.Y))
	case "upload":
		return nil, chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS(s.Selector), s.Files))
	case "refresh":
		_, err := chromedp.Call(ctx, page.Reload, page.ReloadParams{})
		return nil, err
	case "back":
		return nil, back(ctx)
	case "evaluate":
		return chromedp.Run(ctx, chromedp.Evaluate[json.RawMessage](s.Script, chromedp.EvalAwaitPromise))
	case "screenshot":
		return nil, screenshot(ctx, s.Text)
	case "report":
		return json.Marshal(c.report())
	}
	return nil, fmt.Errorf("step %q: not known", s.Do)
}

func (c *chromium) report() report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return report{Complaints: c.tab.Complaints(), Dialogs: c.tab.Dialogs(), Navigations: append([]string{}, c.navigations...)}
}

// back does not wait: a page that was only put aside does not load again.
func back(ctx context.Context) error {
	history, err := chromedp.Run(ctx, chromedp.NavigationEntries())
	if err != nil {
		return err
	}
	if history.CurrentIndex < 1 {
		return fmt.Errorf("no page before this one")
	}
	entry := history.Entries[history.CurrentIndex-1]
	_, err = chromedp.Call(ctx, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry.ID})
	return err
}

func screenshot(ctx context.Context, file string) error {
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	return os.WriteFile(file, picture, 0o600)
}
