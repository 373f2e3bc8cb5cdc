package guide

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/seeother/seeother"
)

// cacheCards are about what is remembered of a redirect, and by whom.
var cacheCards = []Card{
	{
		ID:        "cacheable-redirect-cookie",
		Title:     "A redirect that caches may keep sets a cookie",
		Signature: []string{"Set-Cookie on 301", "X-Cache: HIT with Set-Cookie", "logged in as somebody else"},
		Symptom:   "People are somebody else after they follow a link. Or a cookie that the redirect sets is missing the second time.",
		Mechanism: "301 and 308 may be cached without a header that says so (RFC 9111 section 4.2.2), and Set-Cookie does not forbid it (section 7.3). A shared cache then gives one visitor's cookie to the next; a browser's own cache leaves the cookie out when it expires.",
		Fixes: []Fix{
			{"Cache-Control: no-store, or private, with each redirect that sets a cookie.", ""},
			{"Set the cookie on the target, and redirect without one.", "the target is another site's"},
		},
		Prevent:    "Look for Set-Cookie on 301 and 308; seeother audit does (cacheable-cookie).",
		Setting:    "rules set no cookies and say in Cache-Control how long they may be kept; for the app's own redirects, seeother audit finds them",
		Docs:       "docs/rules.md",
		Affected:   "every app that starts its session on a 301, behind a CDN or a cache that keeps Set-Cookie",
		Sources:    []string{rfcCaching, "https://www.rfc-editor.org/rfc/rfc9111#section-7.3"},
		Findings:   []string{"cacheable-cookie"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Apache", Run: Compare(apacheCache(""), apacheCache("private, no-store"), cookieShared),
			Mechanism: Compare(sharedCache(""), sharedCache("private, no-store"), cookieShared),
			Ask:       Asked(cookieKept),
		},
	},
	{
		ID:        "permanent-cached-forever",
		Title:     "A 301 or 308 cannot be called back",
		Signature: []string{"301 Moved Permanently (from disk cache)", "browser keeps redirecting after the rule was removed", "works in a private window"},
		Symptom:   "The redirect was taken out, but people who have seen it are still redirected. In a private window all is well.",
		Mechanism: "A permanent redirect without Cache-Control may be kept as long as the client likes. Nobody asks your server again, so that nothing you change there helps.",
		Fixes: []Fix{
			{"Say how long: Cache-Control: max-age=86400 with each 301 and 308.", ""},
			{"302 or 307 until the move is certain.", "search engines are to take the new address now"},
			{"Where it has happened: redirect back from the target, for those who come.", "the old address has something else now"},
		},
		Prevent:    "No 301 or 308 without max-age; try moves out as temporary ones.",
		Setting:    "a rule's max_age (24h where it says nothing); until its stage is enforce, a permanent rule answers 307",
		Docs:       "docs/rules.md",
		Affected:   "Chromium and Firefox keep 301 and 308 in their disk cache; nginx, Apache and frameworks send no Cache-Control with them",
		Sources:    []string{rfcCaching, "https://www.rfc-editor.org/rfc/rfc9110#section-15.4.2"},
		Findings:   []string{"permanent-with-end", "permanent-not"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "Chromium", Run: acts(inChromium(visitsTwice("")), inChromium(visitsTwice("max-age=0, must-revalidate"))),
			Mechanism: Compare(movedTwice(""), movedTwice("max-age=0, must-revalidate"), stuckAtOld),
			Ask:       Asked(keptForEver),
		},
	},
	{
		ID:        "hsts-missing",
		Title:     "Without HSTS each visit may begin in the clear",
		Signature: []string{"Strict-Transport-Security missing", "SSL stripping", "Error: No HSTS header", "hstspreload.org: Redirects to HTTPS first"},
		Symptom:   "A report says that HSTS is missing. On a network of somebody else's, the redirect to https never comes.",
		Mechanism: "Who types shop.example asks over http first, and the redirect to https goes in the clear: whoever is on the way can answer in its place. With Strict-Transport-Security the browser turns http into https by itself. It counts only in answers over https.",
		Fixes: []Fix{
			{"Strict-Transport-Security: max-age=31536000 on all https answers; begin with a small max-age.", "some host below, with includeSubDomains, has no https yet"},
		},
		Prevent:    "Look for the header on each host's https answers, redirects included.",
		Setting:    "canonical: {https: true, hsts: {max_age: 365d}}",
		Docs:       "docs/configuration.md",
		Affected:   "every site with https",
		Sources:    []string{"https://www.rfc-editor.org/rfc/rfc6797#section-7", "https://hstspreload.org/"},
		Findings:   []string{"hsts-missing", "host-before-https"},
		Checked:    checkedOn,
		Confidence: High,
		Repro: Reproduction{
			Real: "curl", Run: acts(curlsTwice(""), curlsTwice("max-age=31536000")),
			Mechanism: Compare(tlsSite(""), tlsSite("max-age=31536000"), clearAgain),
			Ask:       Asked(noHSTS),
		},
	},
}

// apacheCache is Apache's mod_cache before an app whose redirect gives each visitor a
// session.
func apacheCache(control string) Side {
	return func(ctx context.Context, lab *Lab) (string, string, error) {
		var visitors atomic.Int64
		app, err := lab.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", fmt.Sprintf("session=visitor%d; HttpOnly", visitors.Add(1)))
			if control != "" {
				w.Header().Set("Cache-Control", control)
			}
			sendTo(w, http.StatusMovedPermanently, "/home")
		}))
		if err != nil {
			return "", "", err
		}
		var lines strings.Builder
		for _, m := range []string{"proxy", "proxy_http", "cache", "cache_socache", "socache_shmcb"} {
			lines.WriteString(apacheModule(m))
		}
		lines.WriteString("CacheSocache shmcb\nCacheEnable socache /\nCacheIgnoreNoLastMod On\nProxyPass / " + app + "/\n")
		return apache(lines.String(), "")(ctx, lab)
	}
}

// curlsTwice is curl, which keeps HSTS, asking twice for a site whose https says this
// of it.
func curlsTwice(hsts string) act {
	return func(ctx context.Context, lab *Lab) (bool, []Step, string, error) {
		path, version, err := curl(ctx, lab)
		if err != nil {
			return false, nil, "", err
		}
		w := &witness{}
		args, err := namedSite(lab, w, hsts)
		if err != nil {
			return false, nil, "", err
		}
		for range 2 {
			w.note("curl is told: shop.example")
			if said, err := lab.Output(ctx, path, args...); err != nil {
				return false, nil, "", fmt.Errorf("curl: %w: %s", err, said)
			}
		}
		inClear := 0
		for _, s := range w.all() {
			if strings.Contains(s.Text, "in the clear") {
				inClear++
			}
		}
		return inClear > 1, w.all(), version, nil
	}
}

// namedSite is shop.example on http and https, and curl's arguments that lead there.
func namedSite(lab *Lab, w *witness, hsts string) ([]string, error) {
	dir, err := lab.TempDir()
	if err != nil {
		return nil, err
	}
	secure, err := lab.ServeTLS(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note("GET https://%s/ -> 200", r.Host)
		if hsts != "" {
			rw.Header().Set("Strict-Transport-Security", hsts)
		}
	}))
	if err != nil {
		return nil, err
	}
	plainHTTP, err := lab.Serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note("GET http://%s/ in the clear -> 308 https://shop.example/", r.Host)
		sendTo(rw, http.StatusPermanentRedirect, "https://shop.example/")
	}))
	if err != nil {
		return nil, err
	}
	cert, _, err := lab.Certificate()
	if err != nil {
		return nil, err
	}
	return []string{
		"-q", "-sS", "--noproxy", "*", "-L", "--hsts", filepath.Join(dir, "hsts"), "--cacert", cert,
		"--connect-to", "shop.example:80:" + strings.TrimPrefix(plainHTTP, "http://"),
		"--connect-to", "shop.example:443:" + strings.TrimPrefix(secure, "https://"), "http://shop.example/",
	}, nil
}

// sharedCache is a CDN before an app whose redirect gives each visitor a session.
func sharedCache(control string) Side {
	return Handler(func() http.Handler {
		visitors := 0
		var kept http.Header // requests come one at a time
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if kept == nil {
				visitors++
				h := http.Header{"Location": {"/home"}, "Set-Cookie": {fmt.Sprintf("session=visitor%d; HttpOnly", visitors)}}
				if control != "" {
					h.Set("Cache-Control", control)
				}
				if mayKeep(http.StatusMovedPermanently, h) {
					kept = h
				}
				answer(w, http.StatusMovedPermanently, h)
				return
			}
			answer(w, http.StatusMovedPermanently, kept)
		})
	})
}

func answer(w http.ResponseWriter, status int, h http.Header) {
	for name, values := range h {
		w.Header()[name] = slices.Clone(values)
	}
	w.WriteHeader(status)
}

// mayKeep is whether a shared cache may keep a redirect that says no more than this
// (RFC 9111 section 3 and 4.2.2).
func mayKeep(status int, h http.Header) bool {
	control := strings.ToLower(h.Get("Cache-Control"))
	for _, no := range []string{"no-store", "private", "no-cache"} {
		if strings.Contains(control, no) {
			return false
		}
	}
	heuristic := status == http.StatusMovedPermanently || status == http.StatusPermanentRedirect
	return heuristic || strings.Contains(control, "max-age") || h.Get("Expires") != ""
}

// cookieShared has two people ask one after the other.
func cookieShared(ctx context.Context, b *Browser, base string) (bool, error) {
	var cookies []string
	for _, person := range []string{"Ada", "Ben"} {
		own := b.lab.Browser().noFollow()
		answer, err := own.Open(ctx, base+"/start")
		if err != nil {
			return false, err
		}
		cookies = append(cookies, answer.Header.Get("Set-Cookie"))
		b.Note("%s: GET /start -> %d, Set-Cookie: %s", person, answer.Status, cookies[len(cookies)-1])
	}
	return cookies[0] == cookies[1], nil
}

// cookieKept asks one server whether its redirect has both.
func cookieKept(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	answer, err := b.Open(ctx, base)
	if err != nil {
		return false, err
	}
	b.Note("Cache-Control: %q, Set-Cookie: %t", answer.Header.Get("Cache-Control"), answer.Header.Get("Set-Cookie") != "")
	_, redirect := seeother.Follow(answer.Status, http.MethodGet)
	return redirect && answer.Header.Get("Set-Cookie") != "" && mayKeep(answer.Status, answer.Header), nil
}

// movedTwice is a site whose rule is wrong at first, and mended after the first
// request.
func movedTwice(control string) Side {
	return Handler(func() http.Handler { return mendedRule(control) })
}

func mendedRule(control string) http.Handler {
	target := "/wrong" // requests come one at a time
	mux := http.NewServeMux()
	mux.HandleFunc("GET /old", func(w http.ResponseWriter, _ *http.Request) {
		if control != "" {
			w.Header().Set("Cache-Control", control)
		}
		sendTo(w, http.StatusMovedPermanently, target)
		target = "/right"
	})
	mux.HandleFunc("GET /", text("a page"))
	return mux
}

// visitsTwice is a page whose script goes to the old address, and once more when the
// rule is mended.
func visitsTwice(control string) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, _ *Lab, w *witness) (*page, error) {
		return &page{
			html: `<script>` + tellScript + `
const visit = async () => new URL((await fetch("/old")).url).pathname
visit().then(visit).then(path => tell("the rule is mended, and the second visit ends at " + path))
</script>`,
			app:    w.handler(mendedRule(control)),
			failed: func(told string) bool { return strings.HasSuffix(told, "/wrong") },
		}, nil
	}
}

// stuckAtOld visits twice with a browser that keeps permanent redirects.
func stuckAtOld(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	first, err := b.Open(ctx, base+"/old")
	if err != nil {
		return false, err
	}
	b.Note("the rule is mended: /old leads to /right now")
	if forEver(first) {
		b.Note("GET /old -> 301 %s (from disk cache): the server is not asked", first.Header.Get("Location"))
		return true, nil
	}
	second, err := b.Open(ctx, base+"/old")
	return err == nil && second.Header.Get("Location") != "/right", err
}

// forEver is whether a client may keep the answer without an end.
func forEver(a *Answer) bool {
	permanent := a.Status == http.StatusMovedPermanently || a.Status == http.StatusPermanentRedirect
	return permanent && a.Header.Get("Cache-Control") == "" && a.Header.Get("Expires") == ""
}

func keptForEver(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	answer, err := b.Open(ctx, base)
	if err != nil {
		return false, err
	}
	b.Note("Cache-Control: %q", answer.Header.Get("Cache-Control"))
	return forEver(answer), nil
}

// tlsSite has https, and http that leads there.
func tlsSite(hsts string) Side {
	return func(_ context.Context, lab *Lab) (string, string, error) {
		secure, err := lab.ServeTLS(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if hsts != "" {
				w.Header().Set("Strict-Transport-Security", hsts)
			}
		}))
		if err != nil {
			return "", "", err
		}
		plain, err := lab.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			sendTo(w, http.StatusPermanentRedirect, secure+"/")
		}))
		lab.Name(plain, "http://shop.example")
		lab.Name(secure, "https://shop.example")
		return plain, "", err
	}
}

// clearAgain types the name twice, with a browser that keeps HSTS.
func clearAgain(ctx context.Context, b *Browser, base string) (bool, error) {
	first, err := b.Open(ctx, base+"/")
	if err != nil {
		return false, err
	}
	b.Note("the next day, shop.example is typed again:")
	if first.Header.Get("Strict-Transport-Security") != "" {
		b.Note("the browser turns http into https by itself")
		_, err := b.Open(ctx, first.URL)
		return false, err
	}
	_, err = b.Open(ctx, base+"/")
	return true, err
}

func noHSTS(ctx context.Context, b *Browser, base string) (bool, error) {
	if !strings.HasPrefix(base, "https:") {
		return false, errNotHTTPS
	}
	b.Manual = true
	answer, err := b.Open(ctx, base)
	if err != nil {
		return false, err
	}
	b.Note("Strict-Transport-Security: %q", answer.Header.Get("Strict-Transport-Security"))
	return answer.Header.Get("Strict-Transport-Security") == "", nil
}
