package waiting

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/operation"
	"github.com/seeother/seeother/store/memstore"
	"github.com/seeother/seeother/test/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// shop has a form, and takes its time over what is sent.
type shop struct {
	*httptest.Server
	guard  *once.Guard
	runs   atomic.Int64
	report chan string // what it is doing
	end    chan string // where it leads in the end; empty: to a page with a fault in it
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{report: make(chan string), end: make(chan string)}
	records := memstore.New()
	var err error
	if s.guard, err = once.New(t.Context(), records, once.Config{}); err != nil {
		t.Fatal(err)
	}
	ops, err := operation.New(s.guard, records, operation.Config{After: 100 * time.Millisecond, Grace: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p := ops.Policy(once.Policy{Route: "shop", Forms: &once.Forms{
		Of: func(r *http.Request) string { return r.URL.Query().Get("token") },
		Browser: func(r *http.Request) once.Principal {
			if c, err := r.Cookie("browser"); err == nil {
				return once.NewBrowser(c.Value)
			}
			return once.Principal{}
		},
	}})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "browser", Value: "a", HttpOnly: true})
		write(w, 200, "Order", `<form method="post" action="/buy?token=`+r.URL.Query().Get("token")+`"><button id="buy">Buy</button></form>`)
	})
	mux.HandleFunc("GET /orders/1", func(w http.ResponseWriter, _ *http.Request) { write(w, 200, "Thank you", "") })
	mux.HandleFunc("GET /favicon.ico", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("POST /buy", s.guard.Handler(p, http.HandlerFunc(s.buy)))
	mux.Handle(operation.DefaultStatusPath, ops.Handler(func(string) (once.Policy, bool) { return p, true }))
	s.Server = httptest.NewServer(operation.Clean(mux))
	t.Cleanup(func() {
		s.Close()
		_ = s.guard.Close(context.Background())
	})
	return s
}

func (s *shop) buy(w http.ResponseWriter, r *http.Request) {
	s.runs.Add(1)
	for {
		select {
		case text := <-s.report:
			operation.Report(w, 40, text)
		case to := <-s.end:
			if to == "" {
				write(w, http.StatusUnprocessableEntity, "No such size", "")
				return
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func write(w http.ResponseWriter, status int, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>%s</title><h1>%s</h1>%s`, title, title, body)
}

// visit opens the form in a browser that runs no scripts.
func (s *shop) visit(t *testing.T, token string) *harness.Tab {
	t.Helper()
	tab := harness.Visit(t)
	off := emulation.SetScriptExecutionDisabledParams{Value: true}
	if _, err := chromedp.Call(tab.Ctx, emulation.SetScriptExecutionDisabled, off); err != nil {
		t.Fatal(err)
	}
	tab.Do(t, chromedp.Navigate(s.URL+"/?token="+token), chromedp.Click(chromedp.ID("buy")))
	tab.Await(t, `document.title === 'Still working'`)
	return tab
}

// back does not wait: a page that was only put aside does not load again.
func back(t *testing.T, tab *harness.Tab) {
	t.Helper()
	history, err := chromedp.Run(tab.Ctx, chromedp.NavigationEntries())
	if err != nil || history.CurrentIndex < 1 {
		t.Fatalf("history %+v, %v", history, err)
	}
	before := page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID}
	if _, err := chromedp.Call(tab.Ctx, page.NavigateToHistoryEntry, before); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, to chan<- string, text string) {
	t.Helper()
	select {
	case to <- text:
	case <-time.After(harness.Patience):
		t.Fatalf("the app does not take %q", text)
	}
}

// TestTheWaitingPageLeadsToTheResult waits, sees how far it is, and goes back.
func TestTheWaitingPageLeadsToTheResult(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tab := s.visit(t, "1")
	send(t, s.report, "Charging <b>the</b> card, größer")
	tab.Await(t, `document.title === '40 % - Still working' && document.querySelector('progress').value === 40`)
	tab.Await(t, `document.querySelector('bdi').textContent === 'Charging <b>the</b> card, größer'`)
	picture(t, tab)
	send(t, s.end, "/orders/1")
	tab.Await(t, `document.title === 'Thank you' && location.pathname === '/orders/1'`)
	back(t, tab)
	tab.Await(t, `document.title === 'Order'`) // the waiting page is not in between
	harness.Evaluate[bool](t, tab, `document.getElementById('buy').click() ?? true`)
	tab.Await(t, `document.title === 'Thank you'`)
	if n := s.runs.Load(); n != 1 {
		t.Errorf("the app ran %d times", n)
	}
	tab.WantQuiet(t)
}

// TestAFaultIsShownBelowTheStatus ends with a page of the app's own.
func TestAFaultIsShownBelowTheStatus(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tab := s.visit(t, "1")
	send(t, s.end, "")
	tab.Await(t, `document.title === 'No such size' && location.pathname.endsWith('/answer')`)
	tab.WantQuiet(t, "422")
}

// TestTheButtonCancels presses it, and sees what is known then.
func TestTheButtonCancels(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tab := s.visit(t, "1")
	tab.Do(t, chromedp.Click(chromedp.CSS("form button")))
	tab.Await(t, `document.title.startsWith('Nobody knows') && document.body.textContent.includes('its sender cancelled it') && !document.querySelector('progress')`)
	if n := s.runs.Load(); n != 1 {
		t.Errorf("the app ran %d times", n)
	}
	tab.WantQuiet(t, "409")
}

// picture keeps what the page looks like, in the folder that SEEOTHER_TEST_PICTURES
// names.
func picture(t *testing.T, tab *harness.Tab) {
	t.Helper()
	dir := os.Getenv("SEEOTHER_TEST_PICTURES")
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(tab.Ctx, emulation.SetEmulatedMedia, params); err != nil {
			t.Fatal(err)
		}
		png, err := chromedp.Run(tab.Ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/waiting-"+scheme+".png", png, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
