package guide

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/seeother/seeother"
)

const (
	// mendRedirects is the setting that most cards of frameworks name.
	mendRedirects = "see_other: {stage: enforce}, which is the default: a 302 that answers a POST, PUT, PATCH or DELETE goes out as 303. In a Go program: seeother.SeeOther(mux)"
	fetchRedirect = "https://fetch.spec.whatwg.org/#http-redirect-fetch"
	seeOtherRFC   = "https://www.rfc-editor.org/rfc/rfc9110#name-303-see-other"
	// whyKept is what every 302 after PUT, PATCH and DELETE comes down to.
	whyKept = "After a 301 or 302 the Fetch standard turns only POST into GET. PUT, PATCH and DELETE stay what they were, " +
		"so that a browser, through fetch or XMLHttpRequest, sends the same method once more, to where the redirect leads."
	// prevent302 is how a test finds them.
	prevent302 = "A test for each route that changes something: the status of its redirect is 303. seeother trace -X DELETE URL shows it by hand."
)

var frameworkCards = []Card{
	{
		ID:    "flask-default-302",
		Title: "Flask's redirect() answers 302 before Flask 3.2 (Werkzeug 3.2) and 303 from then on",
		Signature: []string{
			"change default redirect code to 303", "`redirect` defaults to 303",
			"assert 303 == 302", "assert 302 == 303", "AssertionError: 303 != 302",
		},
		Symptom: "Before: DELETE /items/7 with a redirect to /items goes on as DELETE /items, and the list is gone, or the answer is 405. " +
			"After the update: tests that expect 302 fail, and so do clients that expect a POST again behind a redirect.",
		Mechanism: whyKept + " redirect() had 302 as its default code; Flask 3.2 and Werkzeug 3.2 each made it 303, with which every method but HEAD becomes GET. Where an older Flask is installed, the mended side of the reproduction names code=303, which is what 3.2 does by itself.",
		Fixes: []Fix{
			{Text: `Say the code: redirect(url_for("items"), code=303). It is right in every version.`, NotWhen: "The same request is to be sent to another address: that is code=307, or 308 for good."},
			{Text: "Update to Flask and Werkzeug 3.2, and look through what relies on the default.", NotWhen: "Clients look for exactly 302, such as some for OAuth and some health checks: name code=302 for them."},
			{Text: "In tests, expect status 303, or follow the redirect and look at the page.", NotWhen: "The test is there to see the code that an old client needs."},
		},
		Prevent: `No redirect() without a code in routes that change something; a search for redirect( finds them. ` + prevent302,
		Setting: mendRedirects, Docs: "docs/configuration.md",
		Affected: "Flask before 3.2 and Werkzeug before 3.2: 302. Flask 3.2 and Werkzeug 3.2 and later: 303, as their change logs say. Flask-RESTful, Flask-Admin and others that call redirect() go with it.",
		Sources:  []string{"https://flask.palletsprojects.com/en/stable/api/#flask.redirect", "https://github.com/pallets/flask/blob/main/CHANGES.rst", "https://werkzeug.palletsprojects.com/en/stable/utils/#werkzeug.utils.redirect", fetchRedirect, seeOtherRFC},
		Issues:   []string{"pallets/flask#5895", "pallets/werkzeug#3092", "pallets/werkzeug#2351", "bigskysoftware/htmx#322"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "Flask", Run: Compare(flask("before"), flask("since"), deletesOne)},
	},
	{
		ID:        "django-redirect-302",
		Title:     "Django's redirect() and HttpResponseRedirect answer 302, and there is no 303",
		Signature: []string{"<HttpResponseRedirect status_code=302", "Method Not Allowed (DELETE):", "Method Not Allowed (PUT):", "Method Not Allowed (PATCH):"},
		Symptom:   "A script, htmx or Unpoly sends DELETE or PUT, the view redirects to the list, and the list gets a DELETE: 405, or all of it is deleted.",
		Mechanism: whyKept + " Django has classes for 301, 302 and, with preserve_request of Django 5.2, 307 and 308. None is 303.",
		Fixes: []Fix{
			{Text: "A class of your own: class SeeOther(HttpResponseRedirect): status_code = 303. Return it from views that change something.", NotWhen: "The redirect answers only GET and HEAD: 302 is right there."},
			{Text: "A middleware that turns 302 into 303 where request.method is not GET or HEAD.", NotWhen: "A view hands an upload on with 302 and PUT, and the storage service waits for the PUT."},
		},
		Prevent: prevent302,
		Setting: mendRedirects, Docs: "docs/forms-apps.md",
		Affected: "Django, all versions to 5.2 and later",
		Sources:  []string{"https://docs.djangoproject.com/en/5.2/ref/request-response/#django.http.HttpResponseRedirect", fetchRedirect, seeOtherRFC},
		Issues:   []string{"bigskysoftware/htmx#322"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "Django", Run: Compare(django, mended(django), deletesOne)},
	},
	{
		ID:        "rails-redirect-to-302",
		Title:     "Rails' redirect_to answers 302, and a DELETE goes on to delete the parent",
		Signature: []string{"Completed 302 Found", `No route matches [DELETE]`, "ActionController::RoutingError (No route matches [DELETE]"},
		Symptom:   "With Turbo or fetch, destroying one record sends DELETE to the page that it redirects to. That is a routing error at best; where the target is a resource of its own, it is destroyed too.",
		Mechanism: whyKept + " redirect_to has 302 as its status unless the call names another one. Only the scaffold's destroy, since Rails 7, says status: :see_other.",
		Fixes: []Fix{
			{Text: "redirect_to items_path, status: :see_other, in every action that is not GET.", NotWhen: "The same request is to go elsewhere: :temporary_redirect."},
			{Text: "button_to with its hidden _method field, and no script: the browser then sends POST, which 302 turns into GET.", NotWhen: "Turbo or another script sends the form with the real method."},
		},
		Prevent: prevent302 + " In controller tests: assert_response :see_other.",
		Setting: mendRedirects, Docs: "docs/forms-scripts.md",
		Affected: "Rails, all versions; with Turbo, rails-ujs or fetch",
		Sources:  []string{"https://api.rubyonrails.org/classes/ActionController/Redirecting.html#method-i-redirect_to", "https://turbo.hotwired.dev/handbook/drive#redirecting-after-a-form-submission", fetchRedirect},
		Issues:   []string{"rails/rails#45292", "hotwired/turbo-rails#259", "heartcombo/responders#227"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "Rails", Run: Compare(rails, mended(rails), deletesOne)},
	},
	{
		ID:        "express-redirect-302",
		Title:     "Express' res.redirect() answers 302 after PUT and DELETE",
		Signature: []string{"Found. Redirecting to", "Cannot DELETE /", "Cannot PUT /", "Cannot PATCH /"},
		Symptom:   "fetch(url, {method: \"DELETE\"}) ends with 404 \"Cannot DELETE /items\", though the item was deleted; or a route for DELETE /items runs that nobody called.",
		Mechanism: whyKept + " res.redirect(url) sets 302 where no status is given.",
		Fixes: []Fix{
			{Text: `res.redirect(303, "/items")`, NotWhen: "The same request is to go elsewhere: res.redirect(307, url)."},
			{Text: "For an API: 204, or 200 with what the client needs, and no redirect.", NotWhen: "Forms without a script use the route too."},
		},
		Prevent: prevent302,
		Setting: mendRedirects, Docs: "docs/configuration.md",
		Affected: "Express 3, 4 and 5; NestJS and others on top of it",
		Sources:  []string{"https://expressjs.com/en/5x/api.html#res.redirect", fetchRedirect},
		Issues:   []string{"bigskysoftware/htmx#322"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "Express", Run: Compare(express, mended(express), deletesOne),
			Mechanism: Compare(Handler(newShelf(http.StatusFound)), mended(Handler(newShelf(http.StatusFound))), deletesOne),
		},
	},
	{
		ID:    "inertia-302-after-put",
		Title: "Inertia: a 302 after PUT, PATCH or DELETE is followed with the same method",
		Signature: []string{
			"The PATCH method is not supported for route users. Supported methods: GET, HEAD, POST.",
			"The PUT method is not supported for this route. Supported methods: GET, HEAD.",
		},
		Symptom:   "The record is saved, and then Inertia shows a modal with the framework's page for 405.",
		Mechanism: whyKept + " Inertia's own server adapters turn 302 into 303 for these methods. A redirect that does not pass through the adapter (another middleware, a login guard, a framework without an adapter) stays 302.",
		Fixes: []Fix{
			{Text: "Answer 303: in Laravel, to_route('users.index', [], 303), or redirect()->setStatusCode(303).", NotWhen: "The adapter's middleware already wraps this route: it does so by itself."},
			{Text: "Put Inertia's middleware around what redirects, so that it sees the redirect.", NotWhen: "The redirect leads to another site: that is 409 with X-Inertia-Location."},
		},
		Prevent: prevent302,
		Setting: mendRedirects, Docs: "docs/forms-scripts.md",
		Affected: "Inertia 1, 2 and 3, where the redirect does not pass through its adapter",
		Sources:  []string{"https://inertiajs.com/redirects", fetchRedirect},
		Issues:   []string{"laravel/jetstream#456"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "Inertia", Run: acts(inChromium(inertiaSaves(plain)), inChromium(inertiaSaves(seeother.SeeOther))),
			Mechanism: Compare(Handler(redirects(http.MethodPatch, http.StatusFound)), mended(Handler(redirects(http.MethodPatch, http.StatusFound))), saves(http.MethodPatch)),
		},
	},
	{
		ID:        "fastapi-307-after-post",
		Title:     "FastAPI's RedirectResponse answers 307, so that Post/Redirect/Get ends in 405",
		Signature: []string{`{"detail":"Method Not Allowed"}`, "HTTP/1.1\" 307 Temporary Redirect"},
		Symptom:   `A form is posted, what it asks for is done, and the browser shows {"detail":"Method Not Allowed"}.`,
		Mechanism: "RedirectResponse of Starlette has 307 as its default. After 307 a client repeats the request as it was, body and all; the page of the result has only a route for GET.",
		Fixes: []Fix{
			{Text: "RedirectResponse(url, status_code=303)", NotWhen: "The request is to be repeated at another address."},
			{Text: "A route for POST at the target, too.", NotWhen: "Always but for a handover: it hides the mistake, and the data travels twice."},
		},
		Prevent: "A test that posts the form with a client that follows redirects, and looks for 200 and GET at the end.",
		Setting: "see_other: {credentials: true} on the route: a 307 or 308 that answers a POST goes out as 303", Docs: "docs/configuration.md",
		Affected: "Starlette and FastAPI, all versions",
		Sources:  []string{"https://www.starlette.io/responses/#redirectresponse", "https://www.rfc-editor.org/rfc/rfc9110#name-307-temporary-redirect", fetchRedirect},
		Issues:   []string{"fastapi/fastapi#1498", "fastapi/fastapi#863", "Kludex/starlette#632"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "FastAPI", Run: Compare(fastapi, behind(fastapi, seeother.Policy{Credentials: true}.Handler), saves(http.MethodPost)),
			Mechanism: Compare(
				Handler(redirects(http.MethodPost, http.StatusTemporaryRedirect)),
				behind(Handler(redirects(http.MethodPost, http.StatusTemporaryRedirect)), seeother.Policy{Credentials: true}.Handler),
				saves(http.MethodPost)),
		},
	},
	{
		ID:        "nextjs-redirect-307",
		Title:     "Next.js: redirect() in a route handler and NextResponse.redirect() answer 307, and the POST goes on",
		Signature: []string{"NEXT_REDIRECT", "POST /api/orders 307"},
		Symptom:   "A form posts to a route handler, and the page it redirects to gets a POST with the form's fields: 405, or the order is made again behind a rewrite.",
		Mechanism: "redirect() answers 303 within a server action, and 307 everywhere else; NextResponse.redirect(url) answers 307 unless a status is given. After 307 the client repeats method and body.",
		Fixes: []Fix{
			{Text: "NextResponse.redirect(url, 303), or a Response with status 303 and Location, in route handlers that answer POST.", NotWhen: "A proxy or middleware moves a request elsewhere: 307 is right."},
			{Text: "Use a server action: its redirect is 303 where no script runs.", NotWhen: "Other sites or apps post there."},
		},
		Prevent: "A test that posts with redirect: \"manual\" in Node, and looks for 303.",
		Setting: "see_other: {credentials: true} on the route: a 307 or 308 that answers a POST goes out as 303", Docs: "docs/configuration.md",
		Affected: "Next.js 13 to 16, route handlers and middleware",
		Sources:  []string{"https://nextjs.org/docs/app/api-reference/functions/redirect", fetchRedirect},
		Issues:   []string{"vercel/next.js#96310"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "Next.js", Run: Compare(nextjs, behind(nextjs, seeother.Policy{Credentials: true}.Handler), saves(http.MethodPost)),
			Mechanism: Compare(
				Handler(redirects(http.MethodPost, http.StatusTemporaryRedirect)),
				behind(Handler(redirects(http.MethodPost, http.StatusTemporaryRedirect)), seeother.Policy{Credentials: true}.Handler),
				saves(http.MethodPost)),
		},
	},
	{
		ID:        "turbo-form-must-redirect",
		Title:     "Turbo shows nothing when a form is answered with 200",
		Signature: []string{"Error: Form responses must redirect to another location"},
		Symptom:   "The form is sent, the server renders it again with its errors, and the page does not change. The console has the error.",
		Mechanism: "Turbo takes a redirect for success and 4xx or 5xx for a form with errors. 200 without a redirect could be sent again by a reload, so that Turbo refuses to show it.",
		Fixes: []Fix{
			{Text: "Errors: render with 422 (status: :unprocessable_entity).", NotWhen: "The form was accepted."},
			{Text: "Success: redirect with 303.", NotWhen: "The answer is a Turbo Stream: that is 200 with its own content type."},
			{Text: `data-turbo="false" on the form.`, NotWhen: "Only that one form is the problem, and it can be given the right status: a refresh submits it again otherwise."},
		},
		Prevent: "A test that sends the form with a mistake in it, and looks for 422.",
		Setting: "None: only the app knows that its 200 is a form with errors. Turbo's requests pass untouched. Where Turbo is off, forms: {stage: enforce} keeps the page of a 200 and shows it by a 303", Docs: "docs/forms-scripts.md",
		Affected: "Turbo 7 and 8, with apps written before it; Rails before 7 renders errors with 200",
		Sources:  []string{"https://turbo.hotwired.dev/handbook/drive#redirecting-after-a-form-submission"},
		Issues:   []string{"hotwired/turbo#22", "hotwired/turbo#73", "hotwired/turbo-rails#12"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "Turbo", Run: acts(inChromium(turboForm(http.StatusOK)), inChromium(turboForm(http.StatusUnprocessableEntity))),
			Mechanism: Compare(Handler(rendersErrors(http.StatusOK)), Handler(rendersErrors(http.StatusUnprocessableEntity)), turboSubmits),
		},
	},
}

// deletesOne deletes one of three items by a script. It failed where all are gone.
func deletesOne(ctx context.Context, b *Browser, base string) (bool, error) {
	if _, err := b.Send(ctx, http.MethodDelete, base+"/items/7", ""); err != nil {
		return false, err
	}
	quiet := &Browser{lab: b.lab, client: b.client}
	left, err := quiet.Open(ctx, base+"/items")
	if err != nil {
		return false, err
	}
	count := strings.TrimSpace(left.Body)
	b.Note("of 3 items, there are left: %s", count)
	return count == "0", nil
}

// shelf holds three items. DELETE /items/7 takes one away and redirects to the list;
// DELETE /items takes all.
type shelf struct {
	code int // of the redirect

	mu    sync.Mutex
	items int
}

func newShelf(code int) func() http.Handler {
	return func() http.Handler { return &shelf{code: code, items: 3} }
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodDelete && r.URL.Path == "/items":
		s.items = 0
	case r.Method == http.MethodDelete:
		s.items--
		w.Header().Set("Location", "/items")
		w.WriteHeader(s.code)
		return
	}
	_, _ = fmt.Fprint(w, s.items) //nolint:gosec // it is a number
}

// redirects is an app that saves what is sent with method, and redirects to a page
// that has only GET.
func redirects(method string, code int) func() http.Handler {
	return func() http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc(method+" /users/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/users")
			w.WriteHeader(code)
		})
		mux.HandleFunc("GET /users", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "saved") })
		return mux
	}
}

// saves sends a form with method. It failed where the end is 405.
func saves(method string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		a, err := b.Send(ctx, method, base+"/users/1", "name=ann")
		if err != nil {
			return false, err
		}
		return a.Status == http.StatusMethodNotAllowed, nil
	}
}

// rendersErrors is an app that does not accept a form without a title.
func rendersErrors(code int) func() http.Handler {
	return func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			_, _ = fmt.Fprint(w, "<p>Title can't be blank</p>")
		})
	}
}

// turboSubmits judges the answer to a form as Turbo does.
func turboSubmits(ctx context.Context, b *Browser, base string) (bool, error) {
	a, err := b.Submit(ctx, base+"/posts", "title=")
	if err != nil {
		return false, err
	}
	redirected := a.Method == http.MethodGet
	if !redirected && a.Status < 400 {
		b.Note("Turbo: Form responses must redirect to another location")
		return true, nil
	}
	b.Note("Turbo shows the answer: %s", a.Body)
	return false, nil
}

// flaskApp has a third argument that tells which default to show. Where Flask has the
// new one, the old one is named.
const flaskApp = `
import inspect, sys
from flask import Flask, redirect

default = inspect.signature(redirect).parameters["code"].default
code = {"before": 302, "since": 303}[sys.argv[2]]
app, items = Flask("shop"), {7, 8, 9}

@app.route("/items", methods=["GET", "DELETE"])
def all_items():
    from flask import request
    if request.method == "DELETE":
        items.clear()
    return str(len(items))

@app.route("/items/<int:n>", methods=["DELETE"])
def one_item(n):
    items.discard(n)
    return redirect("/items") if default == code else redirect("/items", code=code)

app.run("127.0.0.1", int(sys.argv[1]))
`

func flaskPython(ctx context.Context, lab *Lab) (path, version string, err error) {
	return python(ctx, lab, "flask", "python3-flask")
}

// flask is a side that runs Flask with the default "before" or "since" 3.2.
func flask(which string) Side { return pythonApp(flaskApp, flaskPython, which) }

const djangoApp = `
import sys
from wsgiref.simple_server import make_server
from django.conf import settings

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", SECRET_KEY="of-the-lab", MIDDLEWARE=[])
import django
django.setup()
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

items = {7, 8, 9}

def all_items(request):
    if request.method == "DELETE":
        items.clear()
    return HttpResponse(str(len(items)))

def one_item(request, n):
    items.discard(n)
    return HttpResponseRedirect("/items")

urlpatterns = [path("items", all_items), path("items/<int:n>", one_item)]
make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
`

func djangoPython(ctx context.Context, lab *Lab) (path, version string, err error) {
	return python(ctx, lab, "django", "python3-django")
}

var django = pythonApp(djangoApp, djangoPython)

const fastapiApp = `
import sys, uvicorn
from fastapi import FastAPI
from fastapi.responses import RedirectResponse

app = FastAPI()

@app.post("/users/1")
def save():
    return RedirectResponse("/users")

@app.get("/users")
def users():
    return "saved"

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
`

func fastapiPython(ctx context.Context, lab *Lab) (path, version string, err error) {
	return python(ctx, lab, "fastapi", "apt-get install python3-fastapi uvicorn", "uvicorn")
}

var fastapi = pythonApp(fastapiApp, fastapiPython)

var rails = railsOf(`    get "/items" => "items#index"
    delete "/items" => "items#clear"
    delete "/items/:id" => "items#destroy"
`, `class ItemsController < ActionController::API
  ITEMS = [7, 8, 9]
  def index = render(plain: ITEMS.size.to_s)
  def clear
    ITEMS.clear
    index
  end
  def destroy
    ITEMS.delete(params[:id].to_i)
    redirect_to "/items"
  end
end
`)

// railsOf is a Side that serves these routes and controllers with Rails, on the port
// that is the program's argument.
func railsOf(routes, controllers string) Side {
	app := `
require "action_controller/railtie"
require "puma"

class Shop < Rails::Application
  config.eager_load = false
  config.secret_key_base = "of-the-lab" * 8
  config.logger = Logger.new(nil)
  config.hosts.clear
  routes.append do
` + routes + `  end
end

` + controllers + `
Shop.initialize!
server = Puma::Server.new(Shop)
server.add_tcp_listener("127.0.0.1", ARGV[0].to_i)
server.run.join
`
	return program(func(ctx context.Context, lab *Lab, port int) (*exec.Cmd, string, error) {
		path, err := lab.Need("ruby", "ruby")
		if err != nil {
			return nil, "", err
		}
		said, err := lab.Output(ctx, path, "-e", `require "rails"; require "puma"; puts Rails.version`)
		if err != nil {
			return nil, "", &MissingError{Program: "Rails", Package: "apt-get install rails puma"}
		}
		cmd := exec.Command(path, "-W0", "-e", app, strconv.Itoa(port)) //nolint:gosec // the interpreter that PATH has
		if cmd.Dir, err = lab.TempDir(); err != nil {
			return nil, "", err
		}
		return cmd, "rails/" + lastLine(said), nil
	})
}
