package guide

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// repeatCards are about submissions that come more than once, and messages that come
// at the wrong time.
var repeatCards = []Card{
	{
		ID:        "double-click-two-orders",
		Title:     "A double click on Submit makes two orders",
		Signature: []string{"two POST lines within a second", "duplicate order", "duplicate application", "duplicate key value violates unique constraint"},
		Symptom:   "Some people have two orders, applications or payments, a second apart: a customer is charged twice. Slow pages have more of them.",
		Mechanism: "Browsers send a form again when its button is clicked again; no standard forbids it. The first request is cut off in the browser, and goes on at the server. Disabling the button helps only where scripts run, and not against a lost connection.",
		Fixes: []Fix{
			{"Put a token into each rendered form, and let a second submission with it wait for the first one's answer.", "the form may be sent many times on purpose, as a chat's is"},
			{"A unique index over what makes an order one, with an answer for the second that shows the first.", "two equal orders can be meant"},
			{"Disable the button in a script, besides.", "alone: it is no guarantee"},
		},
		Prevent:    "A test that sends the same form twice at a time, and counts.",
		Setting:    "forms: {stage: enforce}, or seeother run --protect: a second click gets the first one's answer",
		Docs:       "docs/forms.md",
		Affected:   "every HTML form",
		Sources:    []string{"https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#form-submission-algorithm"},
		Issues:     []string{"civiform/civiform#2469", "whatwg/html#5312"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Chromium", Run: acts(inChromium(clicksTwice(formApp{})), inChromium(clicksTwice(formApp{tokens: true}))),
			Mechanism: Compare(formSide(formApp{}), formSide(formApp{tokens: true}), clickedTwice),
		},
	},
	{
		ID:        "refresh-resubmits",
		Title:     "Refresh on the page that answers a form sends the form again",
		Signature: []string{"Confirm Form Resubmission", "ERR_CACHE_MISS", "To display this page, Firefox must send information that will repeat any action", "The page that you're looking for used information that you entered."},
		Symptom:   "The browser asks whether to send the form again; who says yes has two orders. A tab that the browser restores does it, too.",
		Mechanism: "A 200 in answer to a POST makes that POST the page. Refresh fetches the page again, and that is the POST.",
		Fixes: []Fix{
			{"Answer the POST with 303 to a page that shows the result (Post/Redirect/Get).", "the answer is an error of the form: 422 with the form in it is right"},
		},
		Prevent:    "A test that no successful POST of a form is answered with 200; seeother audit finds them (post-answered-page).",
		Setting:    "forms: {stage: enforce}, or seeother run --protect: the answer is kept as a page, and the browser is sent there with 303",
		Docs:       "docs/forms.md",
		Affected:   "every app that renders a page in answer to a POST",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc9110#section-15.4.4", "https://html.spec.whatwg.org/multipage/browsing-the-web.html#reloading-and-traversing"},
		Findings:   []string{"post-answered-page"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Chromium", Run: acts(inChromium(refreshes(formApp{})), inChromium(refreshes(formApp{redirects: true}))),
			Mechanism: Compare(formSide(formApp{}), formSide(formApp{redirects: true}), refreshed),
		},
	},
	{
		ID:        "back-resubmits",
		Title:     "Back, and Submit again: the same form runs twice, even with Post/Redirect/Get",
		Signature: []string{"duplicate order minutes apart", "same form sent twice", "same _token"},
		Symptom:   "Two equal orders some seconds or minutes apart, of people who went back to see whether it had worked.",
		Mechanism: "Post/Redirect/Get protects the page after the form, not the form. Back shows the form as it was, with what was typed in, and its button works.",
		Fixes: []Fix{
			{"A token for each rendered form, good for one submission; the second gets the first one's answer, or a question.", "the form is fetched anew on Back (no-store): then it is another form"},
			{"Let the server drop what is equal to the last order of the same person within some seconds.", "people do order twice"},
		},
		Prevent:    "A browser test: send, go back, send again, count.",
		Setting:    "forms: {stage: enforce}, or seeother run --protect: within forms.same_for (10s) the first answer, later a page that asks",
		Docs:       "docs/forms.md",
		Affected:   "every HTML form; a CSRF token does not help where it is one for a session",
		Sources:    []string{"https://html.spec.whatwg.org/multipage/browsing-the-web.html", "https://struts.apache.org/core-developers/token-session-interceptor"},
		Issues:     []string{"civiform/civiform#2469"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Chromium", Run: acts(inChromium(goesBack(formApp{redirects: true})), inChromium(goesBack(formApp{redirects: true, tokens: true}))),
			Mechanism: Compare(formSide(formApp{redirects: true}), formSide(formApp{redirects: true, tokens: true}), wentBack),
		},
	},
	{
		ID:        "flash-wrong-tab",
		Title:     "The message after a redirect is lost, or shows in another tab",
		Signature: []string{"flash message not showing", "flash message shown twice", "flash message on wrong page", "flash[:notice] is nil after redirect"},
		Symptom:   "\"Saved\" does not show where something was saved; it shows in another tab, or on the next page that is opened, minutes later.",
		Mechanism: "A flash lies in the session, and the session is one for all tabs. The next request of any tab takes it: a picture, a poll, a prefetch.",
		Fixes: []Fix{
			{"Bind the message to the address that the redirect leads to, and take it only when a page is shown there.", "the framework cannot: then keep it in the redirect's own record, by an id in the address"},
			{"Put into the target page what it can know by itself, such as the state of the order.", "nothing is stored that it could show"},
		},
		Prevent:    "A test with two tabs, of which the other one loads first.",
		Setting:    "forms: {flash: true}, which is the default with --protect: a header Seeother-Flash goes into one sealed cookie for the target alone",
		Docs:       "docs/forms.md",
		Affected:   "Rails, Laravel, Django, Flask, Express: every flash that lies in the session",
		Sources:    []string{"https://guides.rubyonrails.org/action_controller_overview.html#the-flash", "https://laravel.com/docs/session#flash-data"},
		Issues:     []string{"rails/rails#57217", "laracasts/flash#163"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Flask", Run: Compare(flaskFlash("session"), flaskFlash("address"), flashStray),
			Mechanism: Compare(Handler(func() http.Handler { return flashApp(false) }), Handler(func() http.Handler { return flashApp(true) }), flashStray),
		},
	},
}

// formApp is a shop with a form.
type formApp struct {
	redirects bool // Post/Redirect/Get
	tokens    bool // each rendered form works once
}

// formSide is a side with a formApp.
func formSide(a formApp) Side { return Handler(a.handler) }

// orderTime is how long an order takes, so that two can run at a time.
const orderTime = 30 * time.Millisecond

func (a formApp) handler() http.Handler {
	s := &bookshop{}
	var forms sync.Mutex // one submission at a time, where tokens are looked at
	rendered := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /order", func(w http.ResponseWriter, _ *http.Request) {
		forms.Lock()
		defer forms.Unlock()
		rendered++
		_, _ = fmt.Fprintf(w, `<form method=post><input name=token value=form%d>`, rendered) // the client is gone, if anything
	})
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, r *http.Request) {
		token := ""
		if a.tokens {
			token = r.PostFormValue("token")
			forms.Lock()
			defer forms.Unlock()
		}
		time.Sleep(orderTime)
		path := s.store(token)
		if a.redirects {
			seeOther(w, path)
			return
		}
		_, _ = fmt.Fprint(w, "thanks") // as above
	})
	mux.HandleFunc("GET /orders/{id}", text("your order"))
	mux.HandleFunc("GET "+count, s.tell)
	return mux
}

var tokenField = regexp.MustCompile(`name=token value=(\w+)`)

// form opens the form and returns what its submission will be.
func form(ctx context.Context, b *Browser, base string) (string, error) {
	page, err := b.Open(ctx, base+"/order")
	if err != nil {
		return "", err
	}
	m := tokenField.FindStringSubmatch(page.Body)
	if m == nil {
		return "", fmt.Errorf("the form is not as expected: %.80q", page.Body)
	}
	return "item=book&token=" + m[1], nil
}

func clickedTwice(ctx context.Context, b *Browser, base string) (bool, error) {
	body, err := form(ctx, b, base)
	if err != nil {
		return false, err
	}
	if err := b.Double(ctx, base+"/order", body); err != nil {
		return false, err
	}
	n, err := orders(ctx, b, base)
	return n > 1, err
}

func refreshed(ctx context.Context, b *Browser, base string) (bool, error) {
	body, err := form(ctx, b, base)
	if err != nil {
		return false, err
	}
	shown, err := b.Submit(ctx, base+"/order", body)
	if err != nil {
		return false, err
	}
	b.Note("refresh:")
	if shown.Method == http.MethodGet {
		body = ""
	}
	if _, err := b.Send(ctx, shown.Method, shown.URL, body); err != nil {
		return false, err
	}
	n, err := orders(ctx, b, base)
	return n > 1, err
}

func wentBack(ctx context.Context, b *Browser, base string) (bool, error) {
	body, err := form(ctx, b, base)
	if err != nil {
		return false, err
	}
	if _, err := b.Submit(ctx, base+"/order", body); err != nil {
		return false, err
	}
	b.Note("Back, and Submit again:")
	if _, err := b.Submit(ctx, base+"/order", body); err != nil {
		return false, err
	}
	n, err := orders(ctx, b, base)
	return n > 1, err
}

// flashApp saves something and says so on the next page; bound: only on the page
// that the redirect leads to.
func flashApp(bound bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /profile", func(w http.ResponseWriter, _ *http.Request) {
		path := "/"
		if bound {
			path = "/profile"
		}
		setFlash(w, "saved", path, 0)
		seeOther(w, "/profile")
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("flash")
		if err != nil {
			return
		}
		path := "/"
		if bound {
			path = r.URL.Path
		}
		setFlash(w, "", path, -1)
		_, _ = fmt.Fprint(w, html.EscapeString(c.Value)) // the client is gone, if anything
	})
	return mux
}

// flaskFlashApp keeps its message where the second argument says: in the session, as
// flash() does, or by the address that it is for.
const flaskFlashApp = `
import sys
from flask import Flask, flash, get_flashed_messages, redirect, request

app = Flask("shop")
app.secret_key = "of-the-lab"

@app.post("/profile")
def save():
    flash("saved", "/profile" if sys.argv[2] == "address" else "")
    return redirect("/profile", code=303)

@app.get("/<path:page>")
def show(page):
    if sys.argv[2] == "session":
        return " ".join(get_flashed_messages())
    from flask import session
    kept = session.pop("_flashes", [])
    here = [text for path, text in kept if path == request.path]
    session["_flashes"] = [(path, text) for path, text in kept if path != request.path]
    return " ".join(here)

app.run("127.0.0.1", int(sys.argv[1]))
`

func flaskFlash(kept string) Side { return pythonApp(flaskFlashApp, flaskPython, kept) }

// setFlash sets the message of the next page; maxAge is http.Cookie's.
func setFlash(w http.ResponseWriter, value, path string, maxAge int) {
	//nolint:gosec // not Secure: it is for plain http on loopback
	http.SetCookie(w, &http.Cookie{Name: "flash", Value: value, Path: path, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// flashStray has another tab load between the redirect and its page.
func flashStray(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	if _, err := b.Submit(ctx, base+"/profile", "name=Ada"); err != nil {
		return false, err
	}
	other, err := b.quiet().Open(ctx, base+"/inbox")
	if err != nil {
		return false, err
	}
	b.Note("another tab: GET /inbox shows %q", other.Body)
	own, err := b.quiet().Open(ctx, base+"/profile")
	if err != nil {
		return false, err
	}
	b.Note("this tab: GET /profile shows %q", own.Body)
	return other.Body != "" || own.Body == "", nil
}
