package guide

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seeother/seeother"
)

// targetCards are about where redirects lead, and who decides it.
var targetCards = []Card{
	{
		ID:        "go-redirect-relative",
		Title:     "Go: http.Redirect(\"?q=1\") leaves out the last part of the path",
		Signature: []string{`http.Redirect(w, r, "?q=1", 303)`, "Location: /dir/?q=1", "404 page not found"},
		Symptom:   "A handler at /dir/page redirects to \"?q=1\" and the client ends at /dir/?q=1. An empty target leads to /dir/ instead of the same page.",
		Mechanism: "http.Redirect makes relative targets absolute by itself: it puts the target behind the path's folder. RFC 3986 section 5 says that a target with a query alone keeps the whole path, and an empty one the query, too.",
		Fixes: []Fix{
			{"Give the whole path: http.Redirect(w, r, r.URL.Path+\"?q=1\", http.StatusSeeOther).", "the path was changed by http.StripPrefix: then it is not what the client asked for"},
			{"seeother.Result(w, r, \"?q=1\"), which resolves as RFC 3986 says.", ""},
			{"Set Location and WriteHeader by hand: clients resolve it.", "the target comes from a request: then it must be checked first"},
		},
		Prevent:    "A test with a handler below a folder.",
		Setting:    "the library: seeother.Result, seeother.Temporary and seeother.Moved; a rule with target: \"?q=1\"",
		Docs:       "docs/library.md",
		Affected:   "Go's net/http, http.Redirect, up to 1.26",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc3986#section-5.2.2", "https://pkg.go.dev/net/http#Redirect"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{Real: "Go", Run: Compare(
			goRedirect(http.Redirect, "?q=1"), goRedirect(library, "?q=1"), leadsAway("/dir/page", "/dir/page?q=1"),
		)},
	},
	{
		ID:        "go-redirect-backslash",
		Title:     `Go: http.Redirect makes /\evil.com out of /a/../\evil.com`,
		Signature: []string{`Location: /\evil.com`, "open redirect after path.Clean", "next=/a/../"},
		Symptom:   "A target that was checked to be a path on this site leads to another one.",
		Mechanism: `http.Redirect cleans the path after you have checked it: /a/../\evil.com becomes /\evil.com. Browsers take a backslash for a slash, and so it is //evil.com, another host.`,
		Fixes: []Fix{
			{"Refuse backslashes, and check what comes out of path.Clean once more.", ""},
			{"seeother.Result(w, r, target), which refuses it with 400 and writes Location itself.", ""},
		},
		Prevent:    "Feed the handler the classes of open redirects; seeother audit --probe does on hosts of yours.",
		Setting:    "the library: seeother.ParseTarget or seeother.Result; rules refuse such targets",
		Docs:       "docs/library.md",
		Affected:   "Go's net/http, http.Redirect, up to 1.26",
		Sources:    []string{"https://url.spec.whatwg.org/#relative-slash-state", "https://pkg.go.dev/net/http#Redirect"},
		Issues:     []string{"golang/go#71161"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{Real: "Go", Run: Compare(
			goRedirect(http.Redirect, `/a/../\evil.example/`), goRedirect(library, `/a/../\evil.example/`), leavesSite("/login"),
		)},
	},
	{
		ID:        "nginx-uri-crlf",
		Title:     "nginx: $uri in a redirect lets a link add headers",
		Signature: []string{"%0d%0aSet-Cookie:", "HTTP response splitting", "CRLF injection", "return 301 https://$host$uri;"},
		Symptom:   "A scanner reports CRLF injection: a link with %0d%0a sets a cookie of the attacker's on your site.",
		Mechanism: "$uri and $document_uri are decoded. %0d%0a in the path becomes a line break in Location, and what follows becomes a header of the answer.",
		Fixes: []Fix{
			{"Use $request_uri, which is as it came.", "the path was rewritten before, and the new one is meant"},
		},
		Prevent:    "Search configurations for $uri and $document_uri in return, rewrite and add_header.",
		Setting:    "rules keep the path's encoding as the client sent it; a target with a control character is refused with 400",
		Docs:       "docs/migrate-nginx.md",
		Affected:   "nginx, every version, where return or a header has $uri, $document_uri, or a group of a location's expression",
		Sources:    []string{"https://nginx.org/en/docs/http/ngx_http_core_module.html#var_uri", "https://owasp.org/www-community/vulnerabilities/CRLF_Injection"},
		Findings:   []string{"bad-location"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx",
			Run:  Compare(nginx("return 302 https://www.shop.example$uri;"), nginx("return 302 https://www.shop.example$request_uri;"), headerAdded),
			Ask:  Asked(headerAdded),
		},
	},
	{
		ID:        "open-redirect",
		Title:     "A parameter such as next= sends people to any site",
		Signature: []string{"?next=//evil.example", "?return_to=https:evil.example", "CWE-601", "URL redirection to untrusted site", "UnsafeRedirectError: Unsafe redirect to"},
		Symptom:   "A link to your site opens somebody else's. Phishing mails use it, and a login hands its code to a stranger. Rails 7 refuses such a target with UnsafeRedirectError.",
		Mechanism: `The check asks whether the target begins with // or has ://. Browsers read more than that as another host: //evil, /\evil, a slash, a tab and a slash, https:evil, and names in front of an @.`,
		Fixes: []Fix{
			{"Parse the target as a browser does, refuse backslashes, control characters, userinfo and //, and compare the origin with a list.", ""},
			{"Keep the target in the session, or sign it, instead of taking it from the address.", "other sites link to it with a target of theirs: then a list is needed"},
		},
		Prevent:    "Test the classes above; seeother audit --probe does, on hosts that you own and name.",
		Setting:    "a rule's origins: [..] lists where a target may lead; the library: seeother.ParseTarget",
		Docs:       "docs/library.md",
		Affected:   "every app with a next, return_to, redirect_uri or RelayState parameter",
		Sources:    []string{"https://cwe.mitre.org/data/definitions/601.html", "https://url.spec.whatwg.org/#url-parsing", "https://www.rfc-editor.org/rfc/rfc9700#section-4.11"},
		Findings:   []string{"open-redirect", "target-refused", "capture-in-authority"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Chromium", Run: acts(inChromium(followsNext(looksLocal)), inChromium(followsNext(parsed))),
			Mechanism: Compare(Handler(loginPage(looksLocal)), Handler(loginPage(parsed)), payloads),
		},
	},
	{
		ID:        "host-header-redirect",
		Title:     "The redirect leads to whatever the Host header says",
		Signature: []string{"Host header injection", "Location: https://evil.example/", "return 301 https://$host$request_uri", "X-Forwarded-Host", "Invalid HTTP_HOST header", "DisallowedHost"},
		Symptom:   "A scanner, or a poisoned cache, shows redirects from your site to another host.",
		Mechanism: "The absolute Location is made of the request's Host or X-Forwarded-Host. Anybody can send these. A cache that does not have them in its key gives the answer to all.",
		Fixes: []Fix{
			{"Take the host from the configuration.", "one server has many hosts: then from a list of them, as Django's ALLOWED_HOSTS, whose refusal is DisallowedHost"},
			{"Answer unknown hosts with a default server that refuses: return 444 in nginx.", ""},
			{"Write relative Locations.", "the redirect must change the host"},
		},
		Prevent:    "Ask with Host and X-Forwarded-Host of another name, and see that Location does not have it; seeother audit does.",
		Setting:    "canonical: {origin: https://www.example.com}; X-Forwarded-Host counts only from trust.proxies; seeother check finds host-from-request",
		Docs:       "docs/configuration.md",
		Affected:   "nginx with $host or $http_host and no default server, and frameworks that make absolute URLs of the request",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc9110#section-7.2", "https://portswigger.net/web-security/host-header"},
		Findings:   []string{"host-from-request"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx",
			Run:  Compare(nginx("return 301 https://$host$request_uri;"), nginx("return 301 https://www.shop.example$request_uri;"), hostTaken),
			Ask:  Asked(hostTaken),
		},
	},
	{
		ID:        "credentials-307",
		Title:     "307 or 308 after a login sends the password on to another origin",
		Signature: []string{"307 Temporary Redirect after POST /login", "RFC 9700 section 4.12", "password posted to redirect_uri"},
		Symptom:   "The log of another site, or of a client of your login, has your users' passwords in a POST.",
		Mechanism: "307 and 308 have the browser repeat the request as it is, its body included, at whatever origin Location names.",
		Fixes: []Fix{
			{"Answer the login with 303.", "the other origin is yours and is to get the body"},
		},
		Prevent:    "Send the login form in a test, and see that what follows is a GET.",
		Setting:    "see_other: {credentials: true} on the login's route: a 307 or 308 in answer to a POST goes out as 303",
		Docs:       "docs/configuration.md",
		Affected:   "identity providers and logins that redirect with 307 or 308; frameworks whose default it is",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc9700#section-4.12", fetchStandard},
		Findings:   []string{"credential-carried", "body-to-other-origin"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Chromium", Run: acts(inChromium(logsIn(seeother.Policy{Stage: seeother.Off})), inChromium(logsIn(seeother.Policy{Credentials: true}))),
			Mechanism: Compare(login(seeother.Policy{Stage: seeother.Off}), login(seeother.Policy{Credentials: true}), passwordCarried),
		},
	},
}

// goRedirect is a server that answers each request by one call of a function with
// this target.
func goRedirect(redirect func(http.ResponseWriter, *http.Request, string, int), target string) Side {
	return Handler(func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { redirect(w, r, target, http.StatusSeeOther) })
	}).real(goVersion())
}

// library is this project's own.
func library(w http.ResponseWriter, r *http.Request, target string, _ int) {
	seeother.Result(w, r, target)
}

// leavesSite is a Trial: failed is that a browser ends on another host.
func leavesSite(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		b.Manual = true
		answer, err := b.Open(ctx, base+path)
		return err == nil && elsewhere(answer), err
	}
}

// elsewhere is whether a browser takes the answer for a redirect to another host.
func elsewhere(a *Answer) bool {
	location := a.Header.Get("Location")
	if location == "" || a.Status >= http.StatusBadRequest {
		return false
	}
	// As browsers do (URL standard): tabs and line ends go, backslashes are slashes, and
	// "https:host" is "https://host".
	location = strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/").Replace(location)
	if rest, ok := strings.CutPrefix(location, "https:"); ok {
		location = "https://" + strings.TrimLeft(rest, "/")
	}
	base, err := url.Parse(a.URL)
	if err != nil {
		return false
	}
	to, err := base.Parse(location)
	return err == nil && to.Host != base.Host
}

// headerAdded asks for a path with a line break in it.
func headerAdded(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	answer, err := b.Open(ctx, strings.TrimSuffix(base, "/")+"/%0d%0aX-Added:%20by-the-link")
	if err != nil {
		return false, err
	}
	added := answer.Header.Get("X-Added")
	if added != "" {
		b.Note("the answer has a header of the link's: X-Added: %s", added)
	}
	return added != "", nil
}

// loginPage redirects to the parameter next, if it is good.
func loginPage(good func(string) bool) func() http.Handler {
	return func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next := r.URL.Query().Get("next")
			if !good(next) {
				next = "/"
			}
			seeOther(w, next)
		})
	}
}

// looksLocal is the check that many apps have.
func looksLocal(next string) bool {
	return !strings.Contains(next, "://") && !strings.HasPrefix(next, "//")
}

func parsed(next string) bool {
	_, err := seeother.ParseTarget(next, nil)
	return err == nil
}

// nextPayloads are ways to write another host so that a simple check takes it for a
// path, and a path.
var nextPayloads = []string{"//evil.example/", `/\evil.example/`, "/\t/evil.example/", "https:evil.example/", "/account"}

// payloads asks with each of them.
func payloads(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	left := false
	for _, next := range nextPayloads {
		answer, err := b.quiet().noFollow().Open(ctx, base+"/login?next="+url.QueryEscape(next))
		if err != nil {
			return false, err
		}
		end := "stays"
		if elsewhere(answer) {
			end, left = "leaves the site", true
		}
		b.Note("next=%-20q %d %q: %s", next, answer.Status, answer.Header.Get("Location"), end)
	}
	return left, nil
}

func (b *Browser) noFollow() *Browser {
	b.Manual = true
	return b
}

// hostTaken asks with another site's name.
func hostTaken(ctx context.Context, b *Browser, base string) (bool, error) {
	const foreign = "evil.example"
	b.Manual = true
	taken := false
	// A parameter of its own keeps the answer from being what a cache gives to others.
	address := strings.TrimSuffix(base, "/") + "/?seeother=" + strings.ToLower(rand.Text()[:8])
	for _, header := range []string{"Host", "X-Forwarded-Host"} {
		b.Note("with %s: %s", header, foreign)
		answer, err := b.Send(ctx, http.MethodGet, address, "", header+": "+foreign)
		if err != nil {
			return false, err
		}
		to, err := url.Parse(answer.Header.Get("Location"))
		taken = taken || err == nil && to.Hostname() == foreign
	}
	return taken, nil
}

// login answers a login with 307 to a partner's site, through a policy.
func login(p seeother.Policy) Side {
	return func(_ context.Context, lab *Lab) (string, string, error) {
		partner, err := lab.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, r.PostFormValue("password")) //nolint:gosec // to the reproduction's own client
		}))
		if err != nil {
			return "", "", err
		}
		lab.Name(partner, "https://partner.example")
		base, err := lab.Serve(p.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			sendTo(w, http.StatusTemporaryRedirect, partner+"/welcome")
		})))
		return base, "", err
	}
}

func passwordCarried(ctx context.Context, b *Browser, base string) (bool, error) {
	answer, err := b.Submit(ctx, base+"/login", "name=ada&password=secret")
	if err != nil {
		return false, err
	}
	b.Note("the partner got the password: %t", answer.Body == "secret")
	return answer.Body == "secret", nil
}
