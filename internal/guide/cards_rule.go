package guide

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seeother/seeother"
)

// ruleCards are about tables of redirects, and servers that are configured with them.
var ruleCards = []Card{
	{
		ID:        "redirect-loop",
		Title:     "Two redirects lead to each other",
		Signature: []string{"ERR_TOO_MANY_REDIRECTS", "The page isn't redirecting properly", "redirected you too many times", "curl: (47) Maximum (50) redirects followed", "stopped after 10 redirects", "Exceeded 30 redirects."},
		Symptom:   "The browser shows an error instead of a page, after a second or two.",
		Mechanism: "A rule's target is another rule's source, and so on round. The Fetch standard ends at 20 hops. After an import, often /a/ to /a in one place and /a to /a/ in another; a check that follows only 10 hops misses longer rings.",
		Fixes: []Fix{
			{"Take out the rule of the ring that is wrong.", "you do not know which: then see which address really answers"},
			{"Decide once about https, host and slash, in one place.", "two teams own the two places: then agree on who does it"},
		},
		Prevent:    "seeother check before rules go live: it sends requests through the whole table, without a cap on hops.",
		Setting:    "rules: seeother check finds it (loop), and the gateway takes no table with such a rule",
		Docs:       "docs/checks.md",
		Affected:   "every server with redirect rules; often after an import",
		Sources:    []string{fetchStandard, rfcRedirection},
		Issues:     []string{"johngodley/redirection#3254", "johngodley/redirection#82", "johngodley/redirection#3495"},
		Findings:   []string{"loop", "too-many-hops", "self-redirect"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx",
			Run: Compare(
				nginx("location = /shop { return 301 /store; } location = /store { return 301 /shop; }"),
				nginx(`location = /shop { return 301 /store; } location = /store { return 200 "ok"; }`),
				endless("/shop"),
			),
			Ask: Asked(endless("")),
		},
	},
	{
		ID:        "redirect-chain",
		Title:     "A redirect leads to a redirect",
		Signature: []string{"Redirect chain", "Avoid multiple page redirects", "Page has a redirect chain"},
		Symptom:   "The first visit is slow, most on mobile networks, and a search engine reports chains. Each hop can lose the method or the query.",
		Mechanism: "Rules pile up over the years: http to https, then to www, then the slash, then the new name. Each hop is one more round trip; on another host also a connection.",
		Fixes: []Fix{
			{"Send the first rule straight to the last target.", "https must come first on the same host, where HSTS is to be preloaded"},
		},
		Prevent:    "seeother check lists chains, and --fix writes the last target.",
		Setting:    "rules: seeother check --fix FILE flattens them; canonical does https, host and slash in one hop",
		Docs:       "docs/checks.md",
		Affected:   "every server with redirect rules",
		Sources:    []string{fetchStandard, "https://developer.chrome.com/docs/lighthouse/performance/redirects"},
		Issues:     []string{"johngodley/redirection#3254"},
		Findings:   []string{"chain"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx",
			Run: Compare(
				nginx(`location = /2019/tour { return 301 /tour; } location = /tour { return 301 /events; } location = /events { return 200 "ok"; }`),
				nginx(`location = /2019/tour { return 301 /events; } location = /tour { return 301 /events; } location = /events { return 200 "ok"; }`),
				chained("/2019/tour"),
			),
			Ask: Asked(chained("")),
		},
	},
	{
		ID:        "redirect-to-nothing",
		Title:     "A redirect leads to an error, nowhere, or everybody to the same page",
		Signature: []string{"Soft 404", "Page with redirect: 404 at the target", "ERR_INVALID_REDIRECT", "ERR_INVALID_RESPONSE", "ERR_UNSAFE_REDIRECT", "empty Location header"},
		Symptom:   "An old link ends at 404, one hop later than without the redirect; or at the home page, whatever was asked for; or at an empty page with status 301. Chromium stops at a Location such as file: or data: with ERR_UNSAFE_REDIRECT.",
		Mechanism: "The target moved or went away, and nobody asked for it. A rule that is to catch all old addresses sends them to one page, which search engines take for an error (a soft 404). Without a Location, a status of 3xx is just a page without a text.",
		Fixes: []Fix{
			{"Point the redirect at the page that took over.", "there is none"},
			{"Answer 410 where nothing took over: return 410 in nginx, Redirect gone in Apache.", "it may come back: 404"},
		},
		Prevent:    "Ask for the target of each redirect now and then; seeother audit does (broken-target).",
		Setting:    "a rule with intent: gone answers 410; with {name} or {*} in its target, each address has its own; a rule without a target is refused",
		Docs:       "docs/rules.md",
		Affected:   "every server with redirect rules",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc9110#section-15.5.11", rfcRedirection, "https://developers.google.com/search/docs/crawling-indexing/http-network-errors"},
		Findings:   []string{"broken-target", "no-location", "unused-capture"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx",
			Run: Compare(
				nginx("location = /old { return 301 /moved-again; } location / { return 404; }"),
				nginx(`location = /old { return 301 /new; } location = /new { return 200 "ok"; } location / { return 404; }`),
				leadsToError("/old"),
			),
			Ask: Asked(leadsToError("")),
		},
	},
	{
		ID:        "nginx-query-doubled",
		Title:     "nginx: rewrite with $request_uri sends the query twice",
		Signature: []string{"?a=1&a=1", "?a=1?a=1", "rewrite ^ https://$host$request_uri permanent;"},
		Symptom:   "After the redirect, parameters are there twice. Apps take the first, the last or a list, and signed links fail.",
		Mechanism: "$request_uri is the path with its query. rewrite appends the arguments of the request to its replacement, unless that ends in a question mark. So the query comes along twice.",
		Fixes: []Fix{
			{"return 301 https://$host$request_uri; which appends nothing.", "the path must be changed by a regular expression"},
			{"End the replacement with a question mark: rewrite ^ https://$host$request_uri? permanent;", "you use $uri and want the arguments appended"},
		},
		Prevent:    "Ask for each kind of redirect with ?a=1, and see that Location has it once.",
		Setting:    "a rule's target_query: keep, which is the default and sends it once; seeother import nginx reads these rewrites, and seeother check finds query-twice",
		Docs:       "docs/migrate-nginx.md",
		Affected:   "nginx, every version; the like of it in Envoy (path_redirect with a query)",
		Sources:    []string{"https://nginx.org/en/docs/http/ngx_http_rewrite_module.html#rewrite", "https://nginx.org/en/docs/http/ngx_http_core_module.html#var_request_uri"},
		Issues:     []string{"envoyproxy/envoy#11443"},
		Findings:   []string{"query-twice", "query-doubled"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx",
			Run: Compare(
				nginx("rewrite ^ https://www.shop.example$request_uri permanent;"),
				nginx("return 301 https://www.shop.example$request_uri;"),
				queryDoubled("/find"),
			),
			Ask: Asked(queryDoubled("")),
		},
	},
	{
		ID:        "apache-query-lost",
		Title:     "Apache: a target with a query of its own loses that of the request",
		Signature: []string{"utm_source is lost after redirect", "Redirect 301 /sale /offers?from=sale", "RewriteRule without QSA"},
		Symptom:   "Parameters of campaigns, searches and links are gone after the redirect.",
		Mechanism: "Redirect takes the request's query along only where the target has none. RewriteRule replaces the query as soon as the substitution has a question mark, unless the flag QSA appends it.",
		Fixes: []Fix{
			{"RewriteRule ^/sale$ /offers?from=sale [R=301,QSA,L]", "the request's parameters mean something else at the target"},
			{"Leave the query out of the target.", "the target needs it"},
		},
		Prevent:    "Ask for each redirect with ?a=1, and see that Location has it.",
		Setting:    "a rule's target_query: merge (names of the target win) or append; only: [..] takes some",
		Docs:       "docs/migrate-apache.md",
		Affected:   "Apache, every version; Cloudflare Pages, whose target's query replaces the request's",
		Sources:    []string{"https://httpd.apache.org/docs/2.4/mod/mod_alias.html#redirect", "https://httpd.apache.org/docs/2.4/rewrite/flags.html#flag_qsa"},
		Issues:     []string{"envoyproxy/envoy#11443"},
		Findings:   []string{"query-lost", "query-ignored", "no-parameter"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Apache",
			Run: Compare(
				apache("Redirect 301 /sale /offers?from=sale", ""),
				apache("RewriteEngine On\nRewriteRule ^/sale$ /offers?from=sale [R=301,QSA,L]", ""),
				queryLost("/sale"),
			),
			Ask: Asked(queryLost("")),
		},
	},
	{
		ID:        "x-forwarded-proto-loop",
		Title:     "An app behind TLS redirects to https for ever",
		Signature: []string{"ERR_TOO_MANY_REDIRECTS", "301 to the same https URL", "force_ssl", "SECURE_SSL_REDIRECT", "X-Forwarded-Proto: http"},
		Symptom:   "https://shop.example/ redirects to https://shop.example/, again and again.",
		Mechanism: "TLS ends at a proxy that talks http to the app and does not send X-Forwarded-Proto (or another proxy behind it writes http over it). The app takes each request for plain http, and sends it to where it is already.",
		Fixes: []Fix{
			{"proxy_set_header X-Forwarded-Proto $scheme; in the proxy that ends TLS.", "another proxy in front ends TLS: then pass on what it sent"},
			{"Switch the redirect in the app off, and redirect at the proxy.", "clients reach the app without the proxy"},
		},
		Prevent:    "After each change of a proxy, ask for one page over https and expect no redirect.",
		Setting:    "trust: {proxies: [...]}, so that X-Forwarded-Proto of what ends TLS counts and is passed on; canonical: {https: true} instead of the app's redirect",
		Docs:       "docs/configuration.md",
		Affected:   "Rails force_ssl, Django SECURE_SSL_REDIRECT, Laravel, WordPress, Echo and others behind nginx, Traefik, a load balancer or a CDN in \"flexible\" mode",
		Sources:    []string{"https://docs.djangoproject.com/en/5.2/ref/settings/#secure-proxy-ssl-header", "https://www.rfc-editor.org/rfc/rfc7239#section-5.4"},
		Issues:     []string{"traefik/traefik#9112", "labstack/echo#1058"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx",
			Run:  Compare(tlsProxy("").start, tlsProxy("proxy_set_header X-Forwarded-Proto $scheme;").start, endless("/cart")),
			Ask:  Asked(endless("")),
		},
	},
	{
		ID:        "htaccess-leading-slash",
		Title:     "Apache: a rule in .htaccess with a slash in front never matches",
		Signature: []string{"RewriteRule ^/old$ does nothing in .htaccess", "404 Not Found", "RewriteRule not working"},
		Symptom:   "The rule is there, Apache starts without a word, and the old address is a 404.",
		Mechanism: "In .htaccess and <Directory>, Apache takes the folder's path off before it compares. What is left has no slash in front, so ^/old$ never matches. The same line works in the main configuration.",
		Fixes: []Fix{
			{"RewriteRule ^old$ /new [R=301,L] in .htaccess.", "the rule moves to the main configuration: there the slash is needed"},
			{"RewriteRule ^/?old$ works in both.", ""},
		},
		Prevent:    "Ask once for every rule's own address: seeother check finds rules that no request can match.",
		Setting:    "rules: seeother import apache reads .htaccess as Apache does, and seeother check says never-matches",
		Docs:       "docs/migrate-apache.md",
		Affected:   "Apache 2.x, mod_rewrite in per-directory context",
		Sources:    []string{"https://httpd.apache.org/docs/2.4/mod/mod_rewrite.html#rewriterule"},
		Findings:   []string{"never-matches"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Apache", Run: Compare(
				apache("", "RewriteEngine On\nRewriteRule ^/old$ /new [R=301,L]\n"),
				apache("", "RewriteEngine On\nRewriteRule ^old$ /new [R=301,L]\n"),
				notRedirected("/old"),
			),
			Ask: Asked(notRedirected("")),
		},
	},
	{
		ID:        "redirect-shadowed",
		Title:     "An earlier rule takes all requests of a later one",
		Signature: []string{"redirects to the wrong page", "Redirect 301 /docs /help", "rule has no effect"},
		Symptom:   "/docs/api leads to /help/api, though a rule sends it to /reference.",
		Mechanism: "Where the first match wins, a prefix that stands first takes what is below it. Apache's Redirect matches whole segments of a path, and appends the rest. A rule that stands twice, or in other letters, is the same trap.",
		Fixes: []Fix{
			{"Put the special rule before the general one.", "the file is made by a program: sort it there"},
		},
		Prevent:    "seeother check lists rules that never get a request (shadowed), and those that stand twice.",
		Setting:    "rules_mode: specific, which is the default: the most specific rule wins, wherever it stands",
		Docs:       "docs/rules.md",
		Affected:   "Apache (Redirect, RewriteRule), Netlify _redirects, and every table where the first match wins",
		Sources:    []string{"https://httpd.apache.org/docs/2.4/mod/mod_alias.html#order", "https://docs.netlify.com/manage/routing/redirects/overview/"},
		Findings:   []string{"shadowed", "duplicate", "differs-in-case"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{Real: "Apache", Run: Compare(
			apache("Redirect 301 /docs /help\nRedirect 301 /docs/api /reference", ""),
			apache("Redirect 301 /docs/api /reference\nRedirect 301 /docs /help", ""),
			leadsAway("/docs/api", "/reference"),
		)},
	},
	{
		ID:        "import-drops-rules",
		Title:     "An import leaves rules out without saying so",
		Signature: []string{"404 after migration", "some redirects were not imported", "imported 998 of 1000"},
		Symptom:   "After a move to another server, some old addresses are 404. The count of rules is a little smaller than before.",
		Mechanism: "Formats differ: conditions, statuses, placeholders and options of one have no word in the other. A reader that skips what it does not know leaves a hole where a redirect was, and its users see it first.",
		Fixes: []Fix{
			{"Count: each line in must be a rule out, or a line in a report with a reason.", ""},
			{"Ask the new server for every old address, and compare with what the old one said.", "the old server is gone: then with its access log"},
		},
		Prevent:  "seeother import lists every line that it drops or changes, and seeother check what is wrong with a file.",
		Setting:  "seeother import FORMAT FILE: every dropped line with its reason, and nothing is written without --allow-dropped; a table with an error does not go live",
		Docs:     "docs/import.md",
		Affected: "plugins and gateways that import redirects: WordPress Redirection, kgateway, Netlify and Cloudflare files in one another's format",
		Sources:  []string{"https://docs.netlify.com/manage/routing/redirects/redirect-options/", "https://developers.cloudflare.com/pages/configuration/redirects/"},
		Issues:   []string{"kgateway-dev/kgateway.dev#1003", "johngodley/redirection#3495"},
		Findings: []string{
			"invalid", "no-files", "not-a-file", "unreadable", "unknown-format", "too-many-files", "too-many-rules", "too-large", "empty-file",
			"line-too-long", "bad-bytes", "utf-16", "bad-line", "bad-status", "unknown-placeholder", "condition", "not-a-redirect", "page-not-sent",
			"port-ignored", "no-slash", "no-header", "bad-csv", "unknown-column", "bad-header", "too-many-findings",
		},
		Checked:    checkedOn,
		Confidence: Medium,
		Repro:      Reproduction{Run: Compare(Handler(func() http.Handler { return imported(false) }), Handler(func() http.Handler { return imported(true) }), importHole), Ask: Asked(isMissing)},
	},
	{
		ID:        "regex-scan",
		Title:     "Thousands of regular expressions are tried one by one",
		Signature: []string{"high CPU with many redirects", "preg_match", "2000 regex redirects slow", "map line limit"},
		Symptom:   "Each page gets slower as rules are added, also pages that no rule is for.",
		Mechanism: "A table that tries each pattern in its order works for every request as many times as there are patterns. Only an index finds the few that can match: a hash for exact paths, a tree for prefixes, and for expressions the text that they require.",
		Fixes: []Fix{
			{"Write plain paths as paths, not as expressions.", "they are patterns indeed"},
			{"Begin each expression with ^ and plain text.", "it must match anywhere in a path"},
			{"Use an index: in Apache one RewriteMap in the place of the rules, or a server that keeps one by itself.", "there are few rules"},
		},
		Prevent:    "seeother check names the expressions that no index helps with (slow-regexp).",
		Setting:    "rules and rule_files: the index is always on; bench/rules measures it for a million rules",
		Docs:       "docs/performance.md",
		Affected:   "Caddy's map, Traefik's redirectRegex, Apache's RewriteRule, WordPress Redirection: each scans",
		Sources:    []string{"https://httpd.apache.org/docs/2.4/rewrite/rewritemap.html", "https://nginx.org/en/docs/http/ngx_http_map_module.html"},
		Issues:     []string{"johngodley/redirection#2715", "haproxy/haproxy#2949", "10up/safe-redirect-manager#199"},
		Findings:   []string{"slow-regexp", "not-tried"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Apache", Run: acts(apacheTries(rewriteRules), apacheTries(rewriteMap)),
			Mechanism: Compare(Handler(scanned), Handler(indexed), manyTried),
		},
	},
	{
		ID:        "nginx-prefix-twice",
		Title:     "nginx: $request_uri carries the old prefix into the new address",
		Signature: []string{"/api/v2//api/v1/users", "404 Not Found after API version redirect"},
		Symptom:   "/api/v1/users leads to /api/v2//api/v1/users, which is a 404.",
		Mechanism: "$request_uri is the whole path as it came, with its slash in front and its prefix. Behind a target with a path of its own, both stand twice.",
		Fixes: []Fix{
			{"location ~ ^/api/v1/(.*)$ { return 308 /api/v2/$1$is_args$args; }", "paths with %2F or %0A come: $1 is decoded"},
			{"rewrite ^/api/v1/(.*)$ /api/v2/$1 redirect;", "a POST must stay one: rewrite knows only 301 and 302"},
		},
		Prevent:    "Ask for one address below the prefix, and read Location.",
		Setting:    "a rule with path: /api/v1/* and target: /api/v2/{*}; seeother check finds prefix-twice and doubled-slash",
		Docs:       "docs/checks.md",
		Affected:   "nginx, every version; the like of it with {uri} in Caddy and REQUEST_URI in Apache",
		Sources:    []string{"https://nginx.org/en/docs/http/ngx_http_core_module.html#var_request_uri"},
		Findings:   []string{"prefix-twice", "doubled-slash"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx", Run: Compare(
				nginx("location /api/v1/ { return 308 /api/v2/$request_uri; }"),
				nginx("location ~ ^/api/v1/(.*)$ { return 308 /api/v2/$1$is_args$args; }"),
				leadsAway("/api/v1/users?page=2", "/api/v2/users?page=2"),
			),
			Ask: Asked(prefixTwice),
		},
	},
	{
		ID:        "acme-challenge-redirected",
		Title:     "The redirect to https catches the ACME challenge",
		Signature: []string{"urn:ietf:params:acme:error:unauthorized", "Invalid response from http://", "Fetching https://... /.well-known/acme-challenge/", "Timeout during connect (likely firewall problem)"},
		Symptom:   "The certificate is not renewed, and one day browsers refuse the site. New hosts never get one.",
		Mechanism: "HTTP-01 asks for /.well-known/acme-challenge/TOKEN on port 80. A redirect of every path sends the authority elsewhere: to a port that does not listen yet, or to a host that does not have the token.",
		Fixes: []Fix{
			{"Let the path pass before the redirect: location /.well-known/acme-challenge/ in nginx.", "validation is by DNS-01 or TLS-ALPN-01, which ask for no path"},
		},
		Prevent:    "certbot renew --dry-run after each change of redirects.",
		Setting:    "canonical: {https: true} leaves the path alone; in rules, intent: pass for /.well-known/acme-challenge/* before the others",
		Docs:       "docs/checks.md",
		Affected:   "every server that redirects all of http, with certbot's webroot or another HTTP-01 client",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc8555#section-8.3", "https://letsencrypt.org/docs/challenge-types/#http-01-challenge"},
		Findings:   []string{"acme-path"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "nginx", Run: Compare(
				nginx("return 301 https://www.shop.example$request_uri;"),
				nginx(`location /.well-known/acme-challenge/ { return 200 "token.key"; } location / { return 301 https://www.shop.example$request_uri; }`),
				challengeLost,
			),
			Ask: Asked(challengeRedirected),
		},
	},
}

// endless is a Trial: failed is that the redirects never end.
func endless(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		_, err := b.Open(ctx, base+path)
		if errors.Is(err, ErrTooManyRedirects) {
			b.shorten()
			return true, nil
		}
		return false, err
	}
}

// shorten keeps of a loop its beginning and its end.
func (b *Browser) shorten() {
	const shown = 4
	if n := len(b.Steps); n > shown+2 {
		left := Step{fmt.Sprintf("... %d more", n-shown-1)}
		b.Steps = append(append(b.Steps[:shown:shown], left), b.Steps[n-1])
	}
}

// chained is a Trial: failed is that there is more than one hop.
func chained(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		_, err := b.Open(ctx, base+path)
		return err == nil && len(b.Steps) > 2, err
	}
}

// leadsToError is a Trial: failed is that a redirect ends at an error, or has no
// Location.
func leadsToError(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		answer, err := b.Open(ctx, base+path)
		if err != nil {
			return false, err
		}
		_, redirect := seeother.Follow(answer.Status, http.MethodGet)
		return redirect || len(b.Steps) > 1 && answer.Status >= http.StatusBadRequest, nil
	}
}

// queryDoubled is a Trial: failed is that a parameter comes twice.
func queryDoubled(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		n, err := probed(ctx, b, base+path)
		return n > 1, err
	}
}

// queryLost is a Trial: failed is that a parameter does not come.
func queryLost(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		n, err := probed(ctx, b, base+path)
		return err == nil && n == 0, err
	}
}

// errNoRedirect is a server that does not redirect what it was asked for.
var errNoRedirect = errors.New("it does not redirect this address")

// probed is how many times a parameter of the request stands in the Location.
func probed(ctx context.Context, b *Browser, rawURL string) (int, error) {
	b.Manual = true
	sep := "?"
	if strings.Contains(rawURL, "?") {
		sep = "&"
	}
	answer, err := b.Open(ctx, rawURL+sep+"seeother=1")
	if err != nil {
		return 0, err
	}
	location := answer.Header.Get("Location")
	if location == "" {
		return 0, errNoRedirect
	}
	return strings.Count(location, "seeother=1"), nil
}

// tlsProxy is nginx that ends TLS before an app that redirects to https.
func tlsProxy(header string) nginxServer {
	return nginxServer{
		secure: true,
		app: func() http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Forwarded-Proto") != "https" {
					sendTo(w, http.StatusMovedPermanently, "https://"+r.Host+r.URL.Path)
				}
			})
		},
		server: "return 404;",
		more: "server { listen 127.0.0.1:{{secure}} ssl; ssl_certificate {{cert}}; ssl_certificate_key {{key}}; " +
			"location / { proxy_pass {{app}}; proxy_set_header Host $http_host; " + header + " } }",
	}
}

// notRedirected is a Trial: failed is that the address is not redirected.
func notRedirected(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		b.Manual = true
		answer, err := b.Open(ctx, base+path)
		return err == nil && answer.Header.Get("Location") == "", err
	}
}

// leadsAway is a Trial: failed is that the address does not lead to target.
func leadsAway(path, target string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		b.Manual = true
		answer, err := b.Open(ctx, base+path)
		if err != nil {
			return false, err
		}
		to, err := url.Parse(answer.Header.Get("Location"))
		if err != nil || to.Path == "" {
			return false, errNoRedirect
		}
		return to.RequestURI() != target, nil
	}
}

// imported is a server with rules from a file, whose reader skips lines with a
// condition, or says that it cannot have them.
func imported(whole bool) http.Handler {
	const file = "/old /new 301\n/kontakt /contact 301 Language=de\n"
	rules := make(map[string]string)
	var dropped []string
	for line := range strings.Lines(file) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 3:
			rules[fields[0]] = fields[1]
		case whole:
			dropped = append(dropped, fields[0]+": conditions cannot be read")
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/report", text(strings.Join(dropped, "\n")))
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if to, ok := rules[r.URL.Path]; ok {
			sendTo(w, http.StatusMovedPermanently, to)
			return
		}
		http.NotFound(w, r)
	})
	return mux
}

// importHole asks for each old address, and for the report of what is missing.
func importHole(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	report, err := b.quiet().Open(ctx, base+"/-/report")
	if err != nil {
		return false, err
	}
	b.Note("the import reports: %q", report.Body)
	hole := false
	for _, path := range []string{"/old", "/kontakt"} {
		answer, err := b.Open(ctx, base+path)
		if err != nil {
			return false, err
		}
		hole = hole || answer.Status == http.StatusNotFound && !strings.Contains(report.Body, path)
	}
	return hole, nil
}

// manyRules is how many expressions the two tables have.
const manyRules = 2000

// scanned tries each expression in its order, and tells how many it tried.
func scanned() http.Handler {
	var all []*regexp.Regexp
	for i := range manyRules {
		all = append(all, regexp.MustCompile(fmt.Sprintf("^/old-%d/(.*)$", i)))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i, re := range all {
			if re.MatchString(r.URL.Path) || i == len(all)-1 {
				_, _ = fmt.Fprint(w, i+1) // the client is gone, if anything
				return
			}
		}
	})
}

// indexed tries the expressions that require the path's first segment.
func indexed() http.Handler {
	byText := make(map[string][]*regexp.Regexp)
	for i := range manyRules {
		segment := fmt.Sprintf("old-%d", i)
		byText[segment] = append(byText[segment], regexp.MustCompile("^/"+segment+"/(.*)$"))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		segment, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		_, _ = fmt.Fprint(w, len(byText[segment])) // as above
	})
}

func manyTried(ctx context.Context, b *Browser, base string) (bool, error) {
	most := 0
	for _, path := range []string{"/old-1999/x", "/a/page/without/a/rule"} {
		answer, err := b.quiet().Open(ctx, base+path)
		if err != nil {
			return false, err
		}
		n := 0
		if _, err := fmt.Sscan(answer.Body, &n); err != nil {
			return false, err
		}
		b.Note("GET %s: %d of %d expressions tried", path, n, manyRules)
		most = max(most, n)
	}
	return most > 1, nil
}

// rewriteRules are as many rules as there are old addresses; rewriteMap is one rule
// that looks into a file.
func rewriteRules(string) (lines string, err error) {
	var out strings.Builder
	for i := range manyRules {
		fmt.Fprintf(&out, "RewriteRule ^/old-%d/(.*)$ /new-%d/$1 [R=301,L]\n", i, i)
	}
	return out.String(), nil
}

func rewriteMap(dir string) (lines string, err error) {
	var out strings.Builder
	for i := range manyRules {
		fmt.Fprintf(&out, "old-%d new-%d\n", i, i)
	}
	file := filepath.Join(dir, "map.txt")
	rule := fmt.Sprintf("RewriteMap moved txt:%s\nRewriteRule ^/(old-[0-9]+)/(.*)$ /${moved:$1}/$2 [R=301,L]\n", file)
	return rule, os.WriteFile(file, []byte(out.String()), 0o644) //nolint:gosec // Apache's workers read it
}

// apacheTries is Apache with these rules, which tells in its log what it tries. It
// failed where it tries more than one expression.
func apacheTries(rules func(dir string) (string, error)) act {
	return func(ctx context.Context, lab *Lab) (bool, []Step, string, error) {
		dir, err := lab.TempDir()
		if err != nil {
			return false, nil, "", err
		}
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as above
			return false, nil, "", err
		}
		lines, err := rules(dir)
		if err != nil {
			return false, nil, "", err
		}
		file := filepath.Join(dir, "tries.log")
		base, version, err := apache("ErrorLog "+file+"\nLogLevel crit rewrite:trace3\nRewriteEngine On\n"+lines, "")(ctx, lab)
		if err != nil {
			return false, nil, "", err
		}
		b, before, most := lab.Browser().noFollow(), 0, 0
		for _, path := range []string{"/old-1999/x", "/a/page/without/a/rule"} {
			if _, err := b.Open(ctx, base+path); err != nil {
				return false, nil, "", err
			}
			text, err := os.ReadFile(file) //nolint:gosec // just made
			if err != nil {
				return false, nil, "", err
			}
			tried := strings.Count(string(text), "applying pattern") - before
			b.Note("%d expressions tried", tried)
			before, most = before+tried, max(most, tried)
		}
		return most > 1, b.Steps, version, nil
	}
}

func challengeLost(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	answer, err := b.Open(ctx, base+"/.well-known/acme-challenge/token")
	return err == nil && answer.Body != "token.key", err
}
