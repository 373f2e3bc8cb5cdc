package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seeother/seeother/test/internal/harness"
)

// slowGateway answers early what takes longer than half a second.
func slowGateway(t *testing.T, upstream string) *harness.Gateway {
	t.Helper()
	file := filepath.Join(t.TempDir(), "slow.yaml")
	text := "forms: {stage: enforce}\noperations: {enabled: true, after: 500ms}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return harness.RunGateway(t, upstream, "--config", file)
}

func TestASlowFormShowsAWaitingPage(t *testing.T) {
	t.Parallel()
	app := newCounter(t, 3*time.Second)
	app.reports = "40"
	g := slowGateway(t, app.URL)
	for _, where := range []string{"/", "/?moved"} {
		b := harness.Visit(t)
		b.Do(t, chromedp.Navigate(g.URL+where))
		harness.Evaluate[any](t, b, clickTwice)
		b.Await(t, `location.pathname.startsWith('/.well-known/seeother/once/') && document.querySelector('progress')?.value > 0`)
		b.Await(t, `document.querySelector('h1')?.textContent.startsWith('Order') && !location.pathname.startsWith('/.well-known')`)
		b.WantQuiet(t)
	}
	app.want(t, "two slow forms, each clicked twice", 2)
}

func TestAFaultAfterTheWaitingPageCanBeMended(t *testing.T) {
	t.Parallel()
	app := newCounter(t, time.Second)
	g := slowGateway(t, app.URL)
	b := harness.Visit(t)
	b.Do(t, chromedp.Navigate(g.URL+"/?faulty"))
	harness.Evaluate[any](t, b, clickTwice)
	b.Await(t, `document.querySelector('h1')?.textContent === 'Too many' && location.pathname === '/faulty'`)
	harness.Evaluate[any](t, b, `document.querySelector('button').click()`)
	b.Await(t, `document.querySelector('h1')?.textContent === 'Order 2'`)
	app.want(t, "a form with a fault, and mended", 2)
}

func TestAGatewayThatDiesLeavesNoSpinner(t *testing.T) {
	t.Parallel()
	app := newCounter(t, time.Minute)
	g := slowGateway(t, app.URL)
	b := harness.Visit(t)
	b.Do(t, chromedp.Navigate(g.URL))
	harness.Evaluate[any](t, b, `document.querySelector('button').click()`)
	b.Await(t, `location.pathname.startsWith('/.well-known/seeother/once/')`)
	waiting := harness.Evaluate[string](t, b, `location.href`)
	g.Kill()
	g.Again(t, "--protect")
	b.Do(t, chromedp.Navigate(waiting))
	b.Await(t, `document.body.textContent.includes('Nobody knows whether this submission happened') && !document.querySelector('progress')`)
	if list := g.Once(t, "list", "--state", "uncertain"); !strings.Contains(list, "POST /order") {
		t.Errorf("nothing is uncertain:\n%s", list)
	}
	b.WantQuiet(t, "Failed to load resource")
}

// report sends an interim answer that says how far it is.
func report(w http.ResponseWriter, percent string) {
	if percent == "" {
		return
	}
	w.Header().Set("Seeother-Progress", fmt.Sprintf("%s;text=%q", percent, "At work"))
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Del("Seeother-Progress")
}
