package guide

import (
	"fmt"
	"net/http"
	"strings"
)

// Recipe is how a framework or server answers with a status, in one line.
type Recipe struct {
	Framework string `json:"framework"`
	Line      string `json:"line"`
	Ran       string `json:"ran,omitempty"` // the version with which a test runs this line; empty: it is from the documentation
}

// ranWith are the frameworks whose lines a test runs, and the versions with which it
// has run them.
var ranWith = map[string]string{
	"Flask": "2.2 and 3.1", "Django": "3.2", "Rails": "6.1", "Express": "5.3", "Laravel": "8.83", "FastAPI": "0.92", "Next.js": "15.5", "Go": "1.26",
	"nginx": "1.22", "Apache": "2.4", "Caddy": "2.6",
}

// ranOf is the version with which the test runs a framework's line for a status.
func ranOf(framework string, code int) string {
	if framework == "Apache" && code == http.StatusTooEarly {
		return "" // there is no line
	}
	if framework == "Django" && (code == http.StatusTemporaryRedirect || code == http.StatusPermanentRedirect) {
		return "" // preserve_request is of Django 5.2
	}
	return ranWith[framework]
}

// framework is how one of them is written. %d is the status, %s its name there.
type framework struct {
	name     string
	redirect string         // with Location; empty: special has them
	special  map[int]string // where a status is written another way
	answer   string         // for a status without Location
	words    map[int]string // the names of statuses, for %s
}

var railsWords = map[int]string{
	201: ":created", 202: ":accepted", 301: ":moved_permanently", 302: ":found", 303: ":see_other", 307: ":temporary_redirect", 308: ":permanent_redirect",
	405: ":method_not_allowed", 409: ":conflict", 410: ":gone", 422: "422", 425: ":too_early", 428: ":precondition_required", 429: ":too_many_requests", 503: ":service_unavailable",
}

var envoyWords = map[int]string{301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}

var frameworks = []framework{
	{name: "Flask", redirect: `return redirect("/new", code=%d)`, answer: `return "", %d`},
	{name: "Django", answer: `return HttpResponse(status=%d)`, special: map[int]string{
		301: `return HttpResponsePermanentRedirect("/new")`,
		302: `return HttpResponseRedirect("/new")`,
		303: `return HttpResponse(status=303, headers={"Location": "/new"})`,
		307: `return HttpResponseRedirect("/new", preserve_request=True)  # Django 5.2`,
		308: `return HttpResponsePermanentRedirect("/new", preserve_request=True)  # Django 5.2`,
	}},
	{name: "Rails", redirect: `redirect_to "/new", status: %s`, answer: `head %s`, words: railsWords},
	{name: "Express", redirect: `res.redirect(%d, "/new")`, answer: `res.sendStatus(%d)`},
	{name: "Laravel", redirect: `return redirect("/new", %d);`, answer: `return response(null, %d);`},
	{name: "Spring", redirect: `return ResponseEntity.status(%d).location(URI.create("/new")).build();`, answer: `return ResponseEntity.status(%d).build();`},
	{name: "ASP.NET Core", answer: `return Results.StatusCode(%d);`, special: map[int]string{
		301: `return Results.Redirect("/new", permanent: true);`,
		302: `return Results.Redirect("/new");`,
		303: `context.Response.Headers.Location = "/new"; return Results.StatusCode(303);`,
		307: `return Results.Redirect("/new", preserveMethod: true);`,
		308: `return Results.Redirect("/new", permanent: true, preserveMethod: true);`,
	}},
	{name: "Phoenix", redirect: `conn |> put_status(%d) |> redirect(to: "/new")`, answer: `send_resp(conn, %d, "")`},
	{name: "FastAPI", redirect: `return RedirectResponse("/new", status_code=%d)`, answer: `return Response(status_code=%d)`},
	{name: "Next.js", redirect: `return NextResponse.redirect(new URL("/new", request.url), %d)`, answer: `return new Response(null, {status: %d})`},
	{name: "Go", redirect: `http.Redirect(w, r, "/new", %s)`, answer: `w.WriteHeader(%s)`, words: goWords()},
	{name: "nginx", redirect: `return %d /new;`, answer: `return %d;`},
	{name: "Apache", redirect: `Redirect %d /old /new`, answer: `Redirect %d /old`, special: map[int]string{
		425: `# Apache 2.4 does not know 425: Redirect 425 /old answers 500`,
	}},
	{name: "Caddy", redirect: `redir /old /new %d`, answer: `respond /old %d`},
	{name: "Envoy", redirect: `redirect: {path_redirect: "/new", response_code: %s}`, answer: `direct_response: {status: %d}`, words: envoyWords},
}

// goWords are the constants of net/http, whose names are the statuses' own.
func goWords() map[int]string {
	out := make(map[int]string)
	for code := 200; code < 600; code++ {
		if name := http.StatusText(code); name != "" {
			out[code] = "http.Status" + strings.NewReplacer(" ", "", "-", "").Replace(name)
		}
	}
	return out
}

// recipes are the lines for a status; none for those that are not answered by hand.
func recipes(code int) []Recipe {
	switch code {
	case http.StatusMultipleChoices, http.StatusNotModified, http.StatusUseProxy, 306:
		return nil
	}
	var out []Recipe
	for _, f := range frameworks {
		out = append(out, Recipe{f.name, f.line(code), ranOf(f.name, code)})
	}
	return out
}

// line is how the framework writes a status.
func (f framework) line(code int) string {
	if line, ok := f.special[code]; ok {
		return line
	}
	form := f.answer
	if code > 300 && code < 400 {
		form = f.redirect
	}
	if strings.Contains(form, "%s") {
		return fmt.Sprintf(form, f.words[code])
	}
	return fmt.Sprintf(form, code)
}
