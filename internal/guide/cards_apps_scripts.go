package guide

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother"
)

var scriptCards = []Card{
	{
		ID:        "fetch-opaqueredirect",
		Title:     "A browser's fetch cannot read a redirect",
		Signature: []string{"opaqueredirect", `type: "opaqueredirect", status: 0`},
		Symptom:   `With redirect: "manual" a script gets status 0, no Location and no headers; without it, the script gets the page at the end and does not learn what came before.`,
		Mechanism: `The Fetch standard hides a redirect from scripts, since its target may hold what the script must not see: redirect: "manual" gives an opaque-redirect answer. XMLHttpRequest has no such mode, and follows. ` +
			"Node's fetch is no browser's: it shows the 3xx as it is, so that a test with Node passes.",
		Fixes: []Fix{
			{Text: "Follow, and read response.url and response.redirected.", NotWhen: "The status of the redirect, or a header that came with it, is what counts."},
			{Text: "Answer scripts with 200 and the address in JSON.", NotWhen: "Forms without a script use the same route: they need the redirect. Tell the two apart by a header of the request."},
		},
		Prevent: "Tests of such scripts run in a browser.",
		Setting: "Nothing to switch on: through the gateway, a request with the header Seeother-Redirect: manual gets 200 and {\"status\": 303, \"location\": …} in place of a redirect. In a Go program: seeother.Scripts(mux)", Docs: "docs/forms.md",
		Affected: "All browsers, by the standard",
		Sources:  []string{"https://fetch.spec.whatwg.org/#concept-filtered-response-opaque-redirect", fetchRedirect},
		Issues:   []string{"whatwg/fetch#601", "bigskysoftware/htmx#2052"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "Chromium", Run: acts(inChromium(readsRedirect(plain)), inChromium(readsRedirect(seeother.Scripts)))},
	},
	{
		ID:        "htmx-cannot-see-redirect",
		Title:     "htmx does not see a 3xx, nor the HX- headers that came with it",
		Signature: []string{"HX-Redirect", "HX-Trigger", "HTMX stops the browser from redirecting `302` responses"},
		Symptom:   "After a form is saved, the whole page of the target is put into the element; HX-Redirect, HX-Trigger and HX-Push-Url of the redirect do nothing.",
		Mechanism: "htmx sends with XMLHttpRequest. The browser follows redirects within it and hands over the last answer only, with the last answer's headers.",
		Fixes: []Fix{
			{Text: "To requests with HX-Request: true, answer 200 or 204 with HX-Redirect (a new page) or HX-Location (without a reload).", NotWhen: "The request did not come from htmx: it needs the real redirect."},
			{Text: "Keep the redirect, and let its target answer with a part of a page, and with the HX- headers.", NotWhen: "The target is a page that people also open."},
		},
		Prevent: "A test that sends HX-Request: true to each route that redirects, and looks for 2xx.",
		Setting: "None for HX- headers: the app writes them. That a DELETE or PUT behind the redirect stays GET: see_other: {stage: enforce}, the default", Docs: "docs/forms-scripts.md",
		Affected: "htmx 1 and 2, and all that is built on XMLHttpRequest",
		Sources:  []string{"https://htmx.org/docs/#response-headers", "https://htmx.org/headers/hx-redirect/", "https://xhr.spec.whatwg.org/#the-send()-method"},
		Issues:   []string{"bigskysoftware/htmx#2052", "bigskysoftware/htmx#2879", "bigskysoftware/htmx#2563", "bigskysoftware/htmx#83"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "htmx", Run: acts(inChromium(htmxForm(http.StatusFound)), inChromium(htmxForm(http.StatusOK))),
			Mechanism: Compare(Handler(htmxApp(http.StatusFound)), Handler(htmxApp(http.StatusOK)), htmxSubmits),
		},
	},
	{
		ID:    "csp-form-action-redirect",
		Title: "Content-Security-Policy's form-action stops the redirect after a form",
		Signature: []string{
			"Refused to send form data to", "because it violates the following Content Security Policy directive: \"form-action 'self'\"",
			"violates the following Content Security Policy directive: \"form-action", "Sending form data to",
		},
		Symptom:   "The button does nothing. The form was sent and its work is done, but the page stays; the console has the error. It is seen with payment pages, OAuth consent and log in elsewhere, in Chromium and Safari, and not in Firefox.",
		Mechanism: "Chromium checks form-action for each hop of a form's navigation, though only 307 and 308 carry the fields on. 'self' does not cover another host, nor http where the page is https.",
		Fixes: []Fix{
			{Text: "List the origins where the form may lead: form-action 'self' https://pay.example.", NotWhen: "They are not known before, as with OAuth clients."},
			{Text: "Answer the form with a page of this site that goes on by itself (a link, and meta refresh), for targets that were checked.", NotWhen: "The target comes from the request: that is an open redirect."},
			{Text: "Leave form-action out.", NotWhen: "Pages show what others wrote: an injected form could then send passwords away."},
		},
		Prevent: "A test in Chromium for each form that ends on another site.",
		Setting: "None mends the policy of the page: the app sends it. canonical: {https: true} and canonical.origin keep a site's own redirects on the origin that 'self' means", Docs: "docs/configuration.md",
		Affected: "Chromium and browsers on it; WebKit. Firefox does not check redirects",
		Sources:  []string{"https://www.w3.org/TR/CSP3/#directive-form-action", "https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy/form-action"},
		Issues:   []string{"w3c/webappsec-csp#8", "w3c/webappsec#482", "liberapay/liberapay.com#952", "spatie/laravel-csp#55"},
		Findings: []string{"form-action-csp"}, Checked: verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "Chromium", Run: acts(inChromium(formAction(false)), inChromium(formAction(true)))},
	},
	{
		ID:    "cors-preflight-redirected",
		Title: "A CORS preflight that is redirected fails",
		Signature: []string{
			"Response to preflight request doesn't pass access control check: Redirect is not allowed for a preflight request.",
			"has been blocked by CORS policy", "CORS request external redirect not allowed", "TypeError: Failed to fetch",
		},
		Symptom:   "A PUT, a DELETE or a JSON POST to another origin fails before it is sent, after a host, a slash or https was added by a redirect. curl and Postman succeed.",
		Mechanism: "Before such a request a browser asks with OPTIONS. The Fetch standard takes any answer to it that is not 2xx, and so every redirect, for a network error. The request itself may be redirected, if the target allows the origin too.",
		Fixes: []Fix{
			{Text: "Call the final URL: https, the right host, the slash as the server wants it.", NotWhen: "Clients out there cannot be changed."},
			{Text: "Answer OPTIONS where it comes in, and redirect only the other methods, with 307 or 308.", NotWhen: "Everybody can be told the final URL: that saves a preflight at each hop."},
		},
		Prevent: "seeother trace -X OPTIONS -H 'Origin: https://app.example' -H 'Access-Control-Request-Method: PUT' URL: no hop.",
		Setting: "methods: [GET, HEAD, POST, PUT, PATCH, DELETE] in the rule leaves OPTIONS to the app. canonical and slash redirect OPTIONS as well: call the canonical URL", Docs: "docs/rules.md",
		Affected: "All browsers, by the standard",
		Findings: []string{"preflight"},
		Sources:  []string{"https://fetch.spec.whatwg.org/#cors-preflight-fetch-0", "https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CORS/Errors/CORSExternalRedirectNotAllowed"},
		Issues:   []string{"whatwg/fetch#601"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "Chromium", Run: acts(inChromium(preflight(true)), inChromium(preflight(false))),
			Ask: Asked(asksPreflight),
		},
	},
}

func plain(h http.Handler) http.Handler { return h }

// htmxApp saves a form and sends whoever did so to /orders/1, by a redirect or by
// htmx's header.
func htmxApp(code int) func() http.Handler {
	return func() http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("HX-Redirect", "/orders/1")
			if code != http.StatusOK {
				w.Header().Set("Location", "/orders/1")
			}
			w.WriteHeader(code)
		})
		mux.HandleFunc("GET /orders/1", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>order 1") })
		return mux
	}
}

// htmxSubmits reads what htmx gets: the last answer of a chain.
func htmxSubmits(ctx context.Context, b *Browser, base string) (bool, error) {
	a, err := b.Send(ctx, http.MethodPost, base+"/orders", "item=book", "HX-Request: true")
	if err != nil {
		return false, err
	}
	to := a.Header.Get("HX-Redirect")
	b.Note("htmx sees status %d, HX-Redirect %q, body %q", a.Status, to, a.Body)
	return to == "", nil
}

// asksPreflight asks as a browser does before a PUT from another origin. It failed
// where the answer is a redirect.
func asksPreflight(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	a, err := b.Send(ctx, http.MethodOptions, base, "", "Origin: https://app.example", "Access-Control-Request-Method: PUT")
	if err != nil {
		return false, err
	}
	return a.Status >= 300 && a.Status < 400, nil
}

// page is what a reproduction shows in Chromium. Its script says to /told what it saw.
type page struct {
	html   string
	policy string                     // Content-Security-Policy
	app    http.Handler               // for every other path; nil: none
	failed func(told string) bool     // whether that is the failure
	before func(p *page, base string) // called when the page's own base URL is known; may be nil
	args   []string                   // more arguments for Chromium
	// version is of the library that the page is about, "htmx/2.0.10"; empty: the
	// product is Chromium itself.
	version string
	told    chan string
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/told":
		text, _ := io.ReadAll(io.LimitReader(r.Body, mostSaid)) // what came is what it told
		select {
		case p.told <- string(text):
		default: // the first counts
		}
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if p.policy != "" {
			w.Header().Set("Content-Security-Policy", p.policy)
		}
		_, _ = fmt.Fprint(w, "<!doctype html><title>card</title><link rel=icon href=data:,>", p.html) //nolint:gosec // it is a page of a card
	case p.app != nil:
		p.app.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// tellScript is how a page tells what it saw.
const tellScript = `const tell = text => fetch("/told", {method: "POST", body: text});`

// chromiumWait is how long Chromium may take from its start to what the page tells.
const chromiumWait = 60 * time.Second

// inChromium is an act that shows a page in Chromium until it has told what it saw.
func inChromium(newPage func(ctx context.Context, lab *Lab, w *witness) (*page, error)) act {
	return func(ctx context.Context, lab *Lab) (bool, []Step, string, error) {
		path, err := lab.Need("chromium", "chromium")
		if err != nil {
			return false, nil, "", err
		}
		said, err := lab.Output(ctx, path, "--version")
		if err != nil {
			return false, nil, "", err
		}
		version := chromiumVersion(said)
		w := &witness{}
		p, err := newPage(ctx, lab, w)
		if err != nil {
			return false, nil, "", err
		}
		told, err := p.show(ctx, lab, path)
		if err != nil {
			return false, nil, "", err
		}
		w.note("the page: %s", told)
		steps := w.all()
		for i := range steps {
			steps[i].Text = lab.called(steps[i].Text)
		}
		if p.version != "" {
			version = p.version
		}
		return p.failed(told), steps, version, nil
	}
}

// chromiumVersion makes "chromium/120.0.6099.224" of what it says, warnings included.
func chromiumVersion(said string) string {
	_, rest, _ := strings.Cut(said, "Chromium ")
	version, _, _ := strings.Cut(rest, " ")
	return "chromium/" + strings.TrimSpace(version)
}

func (p *page) show(ctx context.Context, lab *Lab, chromium string) (told string, err error) {
	p.told = make(chan string, 1)
	base, err := lab.Serve(p)
	if err != nil {
		return "", err
	}
	if p.before != nil {
		p.before(p, base)
	}
	dir, err := lab.TempDir()
	if err != nil {
		return "", err
	}
	args := []string{
		"--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir=" + dir,
	}
	args = append(args, p.args...)
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // it will not start otherwise; it shows only our own page
	}
	said := &output{}
	cmd := exec.Command(chromium, append(args, base+"/")...) //nolint:gosec // the program that PATH has
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = time.Second // as in Lab.Start
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is told by what it said
		close(ended)
	}()
	defer func() {
		killGroup(cmd)
		<-ended
	}()
	select {
	case told := <-p.told:
		return told, nil
	case <-ended:
		return "", fmt.Errorf("chromium ended: %s", said)
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(chromiumWait):
		return "", errors.New("chromium: the page did not tell what it saw")
	}
}

// readsRedirect is a page whose script asks for an order and reads where it is.
func readsRedirect(front func(http.Handler) http.Handler) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, _ *Lab, w *witness) (*page, error) {
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seeother.Result(w, r, "/orders/1") })
		return &page{
			html: `<script>` + tellScript + `
fetch("/orders", {method: "POST", redirect: "manual", headers: {"Seeother-Redirect": "manual"}}).then(async r =>
  tell(` + "`type ${r.type}, status ${r.status}, Location ${r.headers.get(\"Location\")}, body ${await r.text()}`" + `))
</script>`,
			app:    w.handler(front(app)),
			failed: func(told string) bool { return strings.Contains(told, "type opaqueredirect, status 0") },
		}, nil
	}
}

// formAction is a page with a form that ends on another site, which its policy lists
// or not.
func formAction(lists bool) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, lab *Lab, w *witness) (*page, error) {
		var home atomic.Pointer[string] // set before the browser comes
		shop := w.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprintf(w, `<link rel=icon href=data:,><script>fetch(%q, {method: "POST", mode: "no-cors", body: "the other site is shown"})</script>`, *home.Load()+"/told")
		}))
		pay, err := lab.Serve(shop)
		if err != nil {
			return nil, err
		}
		lab.Name(pay, "https://pay.example")
		p := &page{
			policy: "form-action 'self'",
			html: `<form method="post" action="/orders"><input name="item" value="book"></form><script>` + tellScript + `
addEventListener("securitypolicyviolation", e => tell("stopped by " + e.effectiveDirective))
addEventListener("load", () => document.forms[0].submit())
</script>`,
			app:    w.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seeother.Result(w, r, pay+"/pay", pay) })),
			before: func(_ *page, base string) { home.Store(&base) },
			failed: func(told string) bool { return strings.Contains(told, "form-action") },
		}
		if lists {
			p.policy += " " + pay
		}
		return p, nil
	}
}

// preflight is a page whose script saves to another origin, where each request is
// redirected, or each but OPTIONS.
func preflight(redirectsAll bool) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, lab *Lab, w *witness) (*page, error) {
		api, err := lab.Serve(w.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Allow-Methods", "PUT")
			switch {
			case r.URL.Path == "/items" && (redirectsAll || r.Method != http.MethodOptions):
				seeother.Temporary(w, r, "/items/")
			case r.Method == http.MethodOptions:
				w.WriteHeader(http.StatusNoContent)
			default:
				_, _ = fmt.Fprint(w, "saved")
			}
		})))
		if err != nil {
			return nil, err
		}
		return &page{
			html: `<script>` + tellScript + `
fetch("` + api + `/items", {method: "PUT", body: "book"}).then(r => r.text()).then(tell, e => tell(String(e)))
</script>`,
			failed: func(told string) bool { return strings.Contains(told, "Failed to fetch") },
		}, nil
	}
}
