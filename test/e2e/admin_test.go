package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"

	"github.com/chromedp/chromedp"
)

func TestAdminPage(t *testing.T) {
	t.Parallel()
	a := newWire(t)
	g := harness.RunGateway(t, a.url)
	b := harness.Browse(t, g.Admin+"/")
	b.Await(t, `document.getElementById('live').textContent === 'live'`)

	// What is decided while the page is open comes to it by itself.
	r := request{method: "POST", url: g.URL + "/drop", key: "page", body: "{}"}
	wantUncertain(t, g, send(t, r), r)
	b.Await(t, `document.querySelectorAll('#log tr').length === 2 && document.getElementById('log').textContent.includes('POST /drop')`)
	b.Await(t, `document.querySelector('#uncertain article').textContent.includes('POST /drop')`)
	if title := harness.Evaluate[string](t, b, `document.title`); !strings.Contains(title, "1 uncertain") {
		t.Errorf("the page's title is %q, want the number of uncertain ones in it", title)
	}

	// The form asks before it allows another run (the tab says yes).
	b.Do(t,
		chromedp.SendKeys(chromedp.CSS("#uncertain input[name=note]"), "Ada, from the shop's books"),
		chromedp.Click(chromedp.CSS("#uncertain button[value=released]")))
	b.Await(t, `document.querySelector('.notice')?.textContent.includes('resolved as released')`)
	b.Await(t, `document.querySelector('#uncertain .empty') !== null`)
	if out := g.Once(t, "list"); !strings.Contains(out, "released") || strings.Contains(out, "uncertain") {
		t.Errorf("the record is not released:\n%s", out)
	}
	send(t, r)
	if n := len(a.got("/drop")); n != 2 {
		t.Errorf("the app ran %d times, want a second time after the release", n)
	}

	// The other button ends it for good.
	b.Await(t, `document.querySelector('#uncertain article') !== null`)
	b.Do(t, chromedp.Click(chromedp.CSS("#uncertain button[value=completed]")))
	b.Await(t, `document.querySelector('.notice')?.textContent.includes('resolved as completed')`)
	wantProblem(t, send(t, r), http.StatusConflict, "answer-not-kept")
	if n := len(a.got("/drop")); n != 2 {
		t.Errorf("the app ran %d times, want no run after completed", n)
	}
	b.WantQuiet(t)
}

// TestAdminPolicyForbidsOtherScripts also proves that the tests of pages see a
// breach: a page that works against its own policy is not quiet.
func TestAdminPolicyForbidsOtherScripts(t *testing.T) {
	t.Parallel()
	g := harness.RunGateway(t, newLedger(t).url)
	b := harness.Browse(t, g.Admin+"/")
	harness.Evaluate[bool](t, b, `(() => {
		const script = document.createElement('script');
		script.textContent = 'window.ran = true';
		document.body.append(script);
		return true;
	})()`)
	harness.Eventually(t, "the console to name the policy", func() bool {
		for _, m := range b.Messages() {
			if m.Type == chromedp.ConsoleError && strings.Contains(m.Text, "Content Security Policy") {
				return true
			}
		}
		return false
	})
	if harness.Evaluate[bool](t, b, `window.ran === true`) {
		t.Error("a script in the page ran")
	}
}

func TestAdminAPI(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	g := harness.RunGateway(t, app.url)
	wantReady(t, g, true, "")
	if a := send(t, order(g.URL, "api", 0)); a.status != http.StatusCreated {
		t.Fatalf("an order = %d %s, want 201", a.status, a.body)
	}
	send(t, order(g.URL, "api", 0))
	send(t, request{method: "DELETE", url: g.URL + "/users/123"})

	if a := send(t, request{method: "GET", url: g.Admin + "/healthz"}); a.status != http.StatusOK || !strings.Contains(a.body, `"alive":true`) {
		t.Errorf("/healthz = %d %s", a.status, a.body)
	}
	metrics := send(t, request{method: "GET", url: g.Admin + "/metrics"})
	for _, line := range []string{
		`seeother_http_requests_total{code="303",method="DELETE"} 1`,
		`seeother_http_requests_total{code="201",method="POST"} 2`,
		`seeother_decisions_total{action="303",applied="true",policy="see-other",stage="enforce"} 1`,
		`seeother_decisions_total{action="replayed",applied="true",policy="once",stage="enforce"} 1`,
	} {
		if !strings.Contains(metrics.body, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}

	var list struct {
		Records []struct{ ID, State, Method, Path string }
		More    *bool
	}
	out := g.Once(t, "list", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.More == nil || len(list.Records) != 1 || list.Records[0].State != "completed" {
		t.Errorf("once list --json (%v):\n%s", err, out)
	}
	if strings.Contains(out, "key-api") {
		t.Error("once list shows a client's key")
	}
}

// TestAdminDescription asks for everything that /openapi.json promises to
// answer without more to say.
func TestAdminDescription(t *testing.T) {
	t.Parallel()
	g := harness.RunGateway(t, newLedger(t).url)
	wantReady(t, g, true, "")
	var description struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
	}
	a := send(t, request{method: "GET", url: g.Admin + "/openapi.json"})
	if err := json.Unmarshal([]byte(a.body), &description); err != nil || !strings.HasPrefix(description.OpenAPI, "3.1") {
		t.Fatalf("/openapi.json (%v): %.200s", err, a.body)
	}
	asked := 0
	for path, methods := range description.Paths {
		get, ok := methods["get"]
		if !ok || strings.Contains(path, "{") || strings.HasSuffix(path, "/stream") {
			continue
		}
		asked++
		got := send(t, request{method: "GET", url: g.Admin + path})
		media, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
		if _, ok := get.Responses["200"].Content[media]; got.status != http.StatusOK || !ok {
			t.Errorf("GET %s = %d %s, which is not described", path, got.status, media)
		}
	}
	if asked < 8 {
		t.Errorf("%d paths are described, want 8 or more", asked)
	}
}
