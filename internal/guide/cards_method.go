package guide

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/seeother/seeother"
)

// methodCards are about methods and bodies that redirects lose.
var methodCards = []Card{
	{
		ID:        "delete-302-deletes-parent",
		Title:     "A 302 after DELETE makes the browser delete the parent record, too",
		Signature: []string{"Redirected to ... 302 Found after DELETE", "Started DELETE \"/projects/7\"", "No route matches [DELETE]"},
		Symptom:   "After one record is deleted from a script (fetch, htmx, Turbo), its list, or its parent, is deleted as well; or the page says 404 or 405.",
		Mechanism: "The Fetch standard turns only POST into GET on 301 and 302. A DELETE, PUT or PATCH is repeated as it is at the Location. So 302 to /projects/7 in answer to DELETE /projects/7/tasks/3 sends DELETE /projects/7.",
		Fixes: []Fix{
			{"Answer 303 after a DELETE, PUT or PATCH: redirect_to path, status: :see_other in Rails.", "the client is a program that expects 204 and reads no page"},
			{"Answer 204 without a Location, and let the script load the page.", "the form must work without scripts"},
		},
		Prevent:    "Send DELETE to each route in a test that follows redirects as browsers do, and see that the parent is still there.",
		Setting:    "see_other: {stage: enforce}, which is the default of seeother run: a 302 after POST, PUT, PATCH and DELETE goes out as 303",
		Docs:       "docs/proof.md",
		Affected:   "Rails (redirect_to is 302 in every version), htmx, Turbo, and every app that answers a DELETE from fetch with 301 or 302",
		Sources:    []string{fetchStandard, "https://www.rfc-editor.org/rfc/rfc9110#section-15.4.4"},
		Issues:     []string{"rails/rails#45292", "hotwired/turbo-rails#259", "bigskysoftware/htmx#322"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Chromium", Run: acts(inChromium(deletesTask(plain)), inChromium(deletesTask(seeother.SeeOther))),
			Mechanism: Compare(Handler(projects), Handler(func() http.Handler { return seeother.SeeOther(projects()) }), parentDeleted),
		},
	},
	{
		ID:        "https-301-loses-post",
		Title:     "The redirect from http to https turns a POST into a GET",
		Signature: []string{"301 Moved Permanently", "return 301 https://$host$request_uri", "405 Method Not Allowed after http to https", "POST became GET"},
		Symptom:   "A form, webhook or API call that is sent to http:// arrives at https:// as GET, without its body. The client sees a page, often with 200, and nothing is stored.",
		Mechanism: "301 and 302 let clients turn POST into GET, and browsers, curl -L and most libraries do. 307 and 308 forbid it.",
		Fixes: []Fix{
			{"return 308 https://$host$request_uri; or 307 while you try it out.", "clients that do not know 308 (of before 2015) must follow: 301 for GET and HEAD, and 308 for the rest"},
			{"Give senders the https address.", "you cannot reach them"},
			{"Answer plain http POSTs with 403: the body has crossed the network in the clear already.", "old senders must go on working"},
		},
		Prevent:    "Send a POST with a body to the http address, and see at the app that it came with its body.",
		Setting:    "canonical: {origin: https://www.example.com, https: true}: 308 for all methods; or a rule with intent: moved and legacy: true",
		Docs:       "docs/rules.md",
		Affected:   "nginx, nginx-proxy and Nginx Proxy Manager with return 301, Traefik's redirectScheme before it chose 308 for POST, load balancers that know only 301 and 302",
		Sources:    []string{rfcRedirection, "https://www.rfc-editor.org/rfc/rfc9110#section-15.4.9", "https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#return"},
		Issues:     []string{"nginx-proxy/nginx-proxy#1738", "NginxProxyManager/nginx-proxy-manager#3352", "traefik/traefik#11190"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx", Run: Compare(httpToHTTPS("301").start, httpToHTTPS("308").start, orderLost("/orders")),
			Ask: Asked(httpsLoses),
		},
	},
	{
		ID:        "slash-redirect-loses-post",
		Title:     "A POST to a path without its trailing slash is redirected, and the write is lost",
		Signature: []string{"301 Moved Permanently to the same path with a slash", "POST /orders 301", "GET /orders/ 200"},
		Symptom:   "A POST is answered with 200 or a list, and nothing is stored. The log shows POST /orders 301, and then GET /orders/ 200.",
		Mechanism: "The server adds the slash with 301. The client repeats the request as GET, without its body, and /orders/ answers that with a list.",
		Fixes: []Fix{
			{"Serve both spellings: in nginx, location = /orders beside location /orders/.", "one page must have one address: then redirect, with 308"},
			{"Redirect with 308 instead of 301.", "clients of before 2015 must follow"},
			{"Write the address in forms and clients as the server has it.", "you cannot reach them all"},
		},
		Prevent:    "Send a POST to each route with and without its slash, in a test; seeother audit finds forms whose address is redirected for a slash (slash-loses-post).",
		Setting:    "canonical: {slash: add} or {slash: remove}: seeother redirects with 308 before the server's own 301 can",
		Docs:       "docs/rules.md",
		Affected:   "nginx (a location with a slash at its end, and proxy_pass), Go's ServeMux before 1.26, Django, NetBox, and most routers with strict slashes",
		Sources:    []string{"https://nginx.org/en/docs/http/ngx_http_core_module.html#location", "https://go.dev/doc/go1.26", fetchStandard},
		Issues:     []string{"fastapi/fastapi#1498", "netbox-community/netbox#1825", "golang/go#77741"},
		Findings:   []string{"slash-loses-post"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx", Run: Compare(
				nginxServer{app: slashShop, server: "location /orders/ { proxy_pass {{app}}; } location = /count { proxy_pass {{app}}; }"}.start,
				nginxServer{app: slashShop, server: "location = /orders { proxy_pass {{app}}/orders/; } location /orders/ { proxy_pass {{app}}; } location = /count { proxy_pass {{app}}; }"}.start,
				orderLost("/orders")),
			Ask: Asked(slashLoses),
		},
	},
	{
		ID:        "starlette-default-307",
		Title:     "FastAPI and Starlette redirect with 307, so Post/Redirect/Get posts again",
		Signature: []string{`{"detail":"Method Not Allowed"}`, "405 Method Not Allowed", "307 Temporary Redirect", "RedirectResponse(url="},
		Symptom:   "After a form is sent, the browser shows 405 Method Not Allowed; or the page it is sent to runs as a POST and stores something again.",
		Mechanism: "RedirectResponse answers 307 unless it is told otherwise. 307 keeps method and body, so the browser POSTs the form to the page that was meant to show the result.",
		Fixes: []Fix{
			{"RedirectResponse(url, status_code=303) after a form.", "the other address is to run the request: that is what 307 is for"},
		},
		Prevent:    "A test that sends the form with a client that follows redirects, and expects 200 from a GET.",
		Setting:    "see_other: {credentials: true} on the form's route: a 307 or 308 in answer to its POST goes out as 303",
		Docs:       "docs/proof.md",
		Affected:   "Starlette and FastAPI, RedirectResponse in every version; the redirects of redirect_slashes are 307, too",
		Sources:    []string{"https://www.starlette.dev/responses/#redirectresponse", "https://www.rfc-editor.org/rfc/rfc9110#section-15.4.8"},
		Issues:     []string{"fastapi/fastapi#1498"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Starlette", Run: Compare(starlette(""), behind(starlette(""), seeother.Policy{Credentials: true}.Handler), notShown("/signup", http.StatusMethodNotAllowed)),
			Mechanism: Compare(
				Handler(func() http.Handler { return formShop(http.StatusTemporaryRedirect) }),
				Handler(func() http.Handler {
					return seeother.Policy{Credentials: true}.Handler(formShop(http.StatusTemporaryRedirect))
				}),
				notShown("/signup", http.StatusMethodNotAllowed)),
		},
	},
	{
		ID:        "django-append-slash",
		Title:     "Django's APPEND_SLASH drops the body of a POST",
		Signature: []string{"RuntimeError: You called this URL via POST, but the URL doesn't end in a slash and you have APPEND_SLASH set.", "Django can't redirect to the slash URL while maintaining POST data."},
		Symptom:   "With DEBUG a RuntimeError. Without it, a POST to /contact is answered with 301, arrives at /contact/ as GET, and nothing is stored.",
		Mechanism: "CommonMiddleware adds the missing slash with a permanent redirect, 301. Clients repeat it as GET. The error exists only with DEBUG, so production loses the data without a word.",
		Fixes: []Fix{
			{"Write the action and the address with the slash: {% url %} does.", "senders outside your control use the other form"},
			{"Route both spellings, with re_path(r'^contact/?$').", "each page must have one address"},
			{"APPEND_SLASH = False, so that the mistake is a 404 and somebody sees it.", "links without a slash are in use"},
		},
		Prevent:    "Run tests with DEBUG = False, and POST to the addresses that forms and clients really use.",
		Setting:    "canonical: {slash: add}: seeother adds the slash with 308 before Django sees the request",
		Docs:       "docs/rules.md",
		Affected:   "Django, every version, with CommonMiddleware and APPEND_SLASH = True (the default)",
		Sources:    []string{"https://docs.djangoproject.com/en/5.2/ref/settings/#append-slash", "https://docs.djangoproject.com/en/5.2/ref/middleware/#module-django.middleware.common"},
		Issues:     []string{"netbox-community/netbox#1825"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Django", Run: Compare(djangoSlash, behind(djangoSlash, slashFirst), orderLost("/orders")),
			Mechanism: Compare(
				Handler(func() http.Handler { return appendSlash(http.StatusMovedPermanently) }),
				Handler(func() http.Handler { return appendSlash(http.StatusPermanentRedirect) }),
				orderLost("/orders")),
			Ask: Asked(slashLoses),
		},
	},
	{
		ID:        "slash-redirect-downgrades",
		Title:     "A redirect of an app behind TLS leads to http",
		Signature: []string{"Mixed Content: The page at 'https://...' was loaded over HTTPS, but requested an insecure resource", "location: http://", "This request has been blocked; the content must be served over HTTPS."},
		Symptom:   "A page on https asks for /items and is sent to http://.../items/. Scripts are blocked for mixed content; a browser goes over plain http, with its cookies unless they are Secure.",
		Mechanism: "TLS ends at a proxy. The app sees http, and writes an absolute Location of what it sees: the scheme of its own connection.",
		Fixes: []Fix{
			{"Have the app trust the proxy's X-Forwarded-Proto: uvicorn --proxy-headers --forwarded-allow-ips, SECURE_PROXY_SSL_HEADER, app.set('trust proxy').", "clients can reach the app without the proxy: then they choose the scheme"},
			{"Write relative Locations: RFC 9110 allows them.", "the redirect must change the host"},
		},
		Prevent:    "Ask for an address without its slash over https, and see that Location does not begin with http://.",
		Setting:    "trust: {proxies: [...]} with the address of what ends TLS: seeother then passes X-Forwarded-Proto on to the app; canonical: {https: true} brings those back who come over http",
		Docs:       "docs/configuration.md",
		Affected:   "Starlette and FastAPI (redirect_slashes), Django, Rails, Express and others behind a proxy that ends TLS",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc9110#section-10.2.2", "https://www.rfc-editor.org/rfc/rfc7239#section-5.4", "https://www.uvicorn.org/deployment/#proxies-and-forwarded-headers"},
		Issues:     []string{"fastapi/fastapi#4990"},
		Findings:   []string{"https-to-http", "downgrade"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Starlette", Run: Compare(starletteBehindTLS("10.0.0.1"), starletteBehindTLS("127.0.0.1"), downgraded("/items")),
			Mechanism: Compare(behindTLS(false), behindTLS(true), downgraded("/items")),
			Ask:       Asked(downgraded("")),
		},
	},
	{
		ID:        "method-lost-301",
		Title:     "301 or 302 loses the method, and each client loses another one",
		Signature: []string{"405 Method Not Allowed", "PUT became GET", "301 Moved Permanently after POST", "302 Found after PUT", "Cannot GET /api"},
		Symptom:   "After an address moves, writes to the old one fail or do nothing. It works from one client and not from another.",
		Mechanism: "For 301 and 302 clients disagree: browsers turn POST into GET and keep PUT; Go's http.Client turns PUT and DELETE into GET, too, and drops the body; curl -X keeps POST. 307 and 308 mean one thing to all of them.",
		Fixes: []Fix{
			{"Redirect with 308, or 307 while it is for now.", "the request has run, and its result is elsewhere: that is 303"},
			{"301 for GET and HEAD, and 308 for all else.", "your server can have but one status for a rule"},
		},
		Prevent:    "seeother check finds rules that lose a method; try PUT and POST in the test of a move, too.",
		Setting:    "a rule with intent: moved (308) or intent: temporary (307), and legacy: true for old clients",
		Docs:       "docs/rules.md",
		Affected:   "every server that redirects writes with 301 or 302; seen here with Go's http.Client",
		Sources:    []string{rfcRedirection, fetchStandard, "https://pkg.go.dev/net/http#Client"},
		Issues:     []string{"traefik/traefik#1819"},
		Findings:   []string{"method-lost"},
		Checked:    checkedOn,
		Confidence: High,
		Repro:      Reproduction{Real: "Go", Run: Compare(movedAPI(http.StatusFound), movedAPI(http.StatusTemporaryRedirect), putLost), Ask: Asked(movedLoses)},
	},
	{
		ID:        "status-308-old-clients",
		Title:     "308 is not followed by old clients and link previews",
		Signature: []string{"308 Permanent Redirect", "unsupported redirect code 308", "Internet Explorer 11 on Windows 7 308", "link preview is empty"},
		Symptom:   "After the proxy began to redirect with 308, some clients show an empty page, and chats and social networks show no preview. Browsers are fine.",
		Mechanism: "308 came in 2014 (RFC 7238, now RFC 9110). A client that does not know it takes it for 300, and does not follow. Many proxies give no choice of status.",
		Fixes: []Fix{
			{"301 for GET and HEAD, 308 for all other methods.", "nobody but browsers and your own programs come"},
			{"307 for writes that move for now.", "caches and search engines should learn the new address"},
		},
		Prevent:    "Look which user agents get a 308 and never come to its Location.",
		Setting:    "a rule with intent: moved and legacy: true: GET and HEAD get 301, the rest 308; or status: 301 where you must",
		Docs:       "docs/rules.md",
		Affected:   "ingress-nginx (ssl-redirect is 308), Traefik and Envoy Gateway where the status is fixed or limited; clients older than 2015",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc9110#section-15.4.9", "https://www.rfc-editor.org/rfc/rfc7238#section-4"},
		Issues:     []string{"kubernetes/ingress-nginx#1825", "kubernetes/ingress-nginx#2002", "kubernetes/ingress-nginx#3946", "traefik/traefik#10533", "envoyproxy/gateway#7380"},
		Checked:    checkedOn,
		Confidence: Medium,
		Repro:      Reproduction{Run: Compare(movedPage(false), movedPage(true), oldClientStuck), Ask: Asked(is308)},
	},
}

// projects has one project, with tasks that are deleted as Rails does it.
func projects() http.Handler {
	var deleted bool // requests come one at a time
	mux := http.NewServeMux()
	mux.HandleFunc("DELETE /projects/7/tasks/3", func(w http.ResponseWriter, _ *http.Request) { sendTo(w, http.StatusFound, "/projects/7") })
	mux.HandleFunc("DELETE /projects/7", func(w http.ResponseWriter, _ *http.Request) {
		deleted = true
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /projects/7", func(w http.ResponseWriter, r *http.Request) {
		if deleted {
			http.NotFound(w, r)
		}
	})
	return mux
}

func parentDeleted(ctx context.Context, b *Browser, base string) (bool, error) {
	if _, err := b.Send(ctx, http.MethodDelete, base+"/projects/7/tasks/3", ""); err != nil {
		return false, err
	}
	b.Note("later:")
	answer, err := b.Open(ctx, base+"/projects/7")
	return err == nil && answer.Status == http.StatusNotFound, err
}

// httpToHTTPS is nginx before the shop, with http that redirects to https.
func httpToHTTPS(status string) nginxServer {
	return nginxServer{
		app:    func() http.Handler { return newShop() },
		server: "return " + status + " https://$host:{{secure}}$request_uri;",
		more:   "server { listen 127.0.0.1:{{secure}} ssl; ssl_certificate {{cert}}; ssl_certificate_key {{key}}; location / { proxy_pass {{app}}; } }",
	}
}

// slashShop has its orders at /orders/.
func slashShop() http.Handler {
	s := &bookshop{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{$}", func(w http.ResponseWriter, _ *http.Request) { seeOther(w, s.store("")+"/") })
	mux.HandleFunc("GET /orders/", text("all orders"))
	mux.HandleFunc("GET "+count, s.tell)
	return mux
}

// appendSlash does as Django's CommonMiddleware, with a status.
func appendSlash(status int) http.Handler {
	app := slashShop()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/orders" {
			sendTo(w, status, "/orders/")
			return
		}
		app.ServeHTTP(w, r)
	})
}

// formShop answers a form with a redirect of this status to a page that takes GET
// alone.
func formShop(status int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /signup", func(w http.ResponseWriter, _ *http.Request) { sendTo(w, status, "/welcome") })
	mux.HandleFunc("GET /welcome", text("welcome"))
	return mux
}

// notShown is a Trial: a form is sent, and failed is that the end has this status.
func notShown(path string, status int) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		answer, err := b.Submit(ctx, base+path, "name=Ada")
		return err == nil && answer.Status == status, err
	}
}

// behindTLS is an app behind a proxy that ends TLS. The app makes an absolute
// Location; it does or does not believe the proxy about the scheme.
func behindTLS(believes bool) Side {
	return tlsBefore(Handler(func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/items/" {
				return
			}
			scheme := "http"
			if believes {
				scheme = r.Header.Get("X-Forwarded-Proto")
			}
			sendTo(w, http.StatusTemporaryRedirect, scheme+"://"+r.Host+"/items/")
		})
	}))
}

// tlsBefore is a side behind a proxy that ends TLS, and says so in X-Forwarded-Proto.
func tlsBefore(side Side) Side {
	return func(ctx context.Context, lab *Lab) (string, string, error) {
		app, version, err := side(ctx, lab)
		if err != nil {
			return "", "", err
		}
		to, err := url.Parse(app)
		if err != nil {
			return "", "", err
		}
		base, err := lab.ServeTLS(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host
			p.Out.Header.Set("X-Forwarded-Proto", "https")
		}})
		lab.Name(base, "https://shop.example")
		lab.Name("http"+strings.TrimPrefix(base, "https"), "http://shop.example")
		return base, version, err
	}
}

const starletteApp = `
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route

async def signup(request):
    return RedirectResponse("/welcome")

async def page(request):
    return PlainTextResponse("welcome")

app = Starlette(routes=[Route("/signup", signup, methods=["POST"]), Route("/welcome", page), Route("/items/", page)])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical", forwarded_allow_ips=sys.argv[2])
`

// starlette is a side whose uvicorn believes this proxy.
func starlette(proxy string) Side {
	return pythonApp(starletteApp, func(ctx context.Context, lab *Lab) (path, version string, err error) {
		return python(ctx, lab, "starlette", "apt-get install python3-starlette uvicorn", "uvicorn")
	}, proxy)
}

func starletteBehindTLS(proxy string) Side { return tlsBefore(starlette(proxy)) }

const djangoSlashApp = `
import sys
from wsgiref.simple_server import make_server
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", SECRET_KEY="of-the-lab", DEBUG=False,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
import django
django.setup()
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

made = []

def orders(request):
    if request.method == "POST":
        made.append(request.body)
        return HttpResponse(status=303, headers={"Location": "/orders/"})
    return HttpResponse("all orders")

urlpatterns = [path("orders/", orders), path("count", lambda request: HttpResponse(str(len(made))))]
make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
`

var djangoSlash = pythonApp(djangoSlashApp, djangoPython)

// slashFirst adds the slash with 308 before the app does with 301.
func slashFirst(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/orders" {
			sendTo(w, http.StatusPermanentRedirect, "/orders/")
			return
		}
		app.ServeHTTP(w, r)
	})
}

// downgraded is a Trial: failed is that a page on https leads to http.
func downgraded(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		if !strings.HasPrefix(base, "https:") {
			return false, errNotHTTPS
		}
		b.Manual = true
		answer, err := b.Open(ctx, base+path)
		return err == nil && strings.HasPrefix(answer.Header.Get("Location"), "http:"), err
	}
}

// errNotHTTPS is a URL with which nothing can be shown.
var errNotHTTPS = errors.New("the URL must begin with https://: only there is something to lose")

// movedAPI is an API whose address has moved.
func movedAPI(status int) Side {
	return Handler(func() http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("/v1/items/1", func(w http.ResponseWriter, _ *http.Request) { sendTo(w, status, "/v2/items/1") })
		mux.HandleFunc("PUT /v2/items/1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		mux.HandleFunc("GET /v2/items/1", text("the item as it was"))
		return mux
	}).real(goVersion())
}

// real says which real thing takes part, where our own server meets a real client or
// library.
func (s Side) real(version string) Side {
	return func(ctx context.Context, lab *Lab) (string, string, error) {
		base, _, err := s(ctx, lab)
		return base, version, err
	}
}

// putLost sends a PUT with Go's own client.
func putLost(ctx context.Context, b *Browser, base string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, base+"/v1/items/1", strings.NewReader("{}"))
	if err != nil {
		return false, err
	}
	resp, err := (&http.Client{Timeout: answerWait}).Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	b.Note("Go sends PUT /v1/items/1, is redirected, and sends %s %s -> %d", resp.Request.Method, resp.Request.URL.Path, resp.StatusCode)
	return resp.Request.Method != http.MethodPut, nil
}

func movedPage(legacy bool) Side {
	return Handler(func() http.Handler {
		mux := http.NewServeMux()
		mux.Handle("GET /old", seeother.Redirect{Intent: seeother.IntentMoved, Legacy: legacy, Target: "/new"})
		mux.HandleFunc("GET /new", text("here"))
		return mux
	})
}

// oldClientStuck is a client that takes a status of 3xx that it does not know for
// 300, as RFC 9110 section 15 says.
func oldClientStuck(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	answer, err := b.Open(ctx, base+"/old")
	if err != nil {
		return false, err
	}
	if answer.Status == http.StatusPermanentRedirect {
		b.Note("the old client knows no 308: it shows an empty page")
		return true, nil
	}
	_, err = b.Open(ctx, base+answer.Header.Get("Location"))
	return false, err
}
