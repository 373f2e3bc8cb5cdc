package guide

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seeother/seeother"
)

var proxyCards = []Card{
	{
		ID:        "nginx-retries-post",
		Title:     "nginx sends a POST to the next server, though the first one had already run it",
		Signature: []string{"proxy_next_upstream", "non_idempotent", "upstream prematurely closed connection while reading response header from upstream"},
		Symptom:   "One click, two orders, on two app servers, within the same second. The access log has one line, with two addresses in $upstream_addr.",
		Mechanism: "With proxy_next_upstream … non_idempotent nginx passes a POST, LOCK or PATCH on to the next server after an error or a timeout, also when the first one has the request and was lost before it answered. Without that word, since nginx 1.9.13, it does so only where the request was not sent yet.",
		Fixes: []Fix{
			{Text: "Take non_idempotent out: the client gets 502, and knows that it does not know.", NotWhen: "Every POST behind it may run twice."},
			{Text: "Keys, kept in front of the servers, in one store for all of them.", NotWhen: "Clients send none."},
		},
		Prevent: "nginx -T | grep non_idempotent finds it. A test with a first server that does its work and closes the connection.",
		Setting: guardsKeys + ": what is lost on the way is in doubt, and is not sent to another server", Docs: onceDocs,
		Affected: "nginx with non_idempotent; nginx before 1.9.13 by default. Retries of HAProxy (retry-on all-retryable-errors) and Envoy (retry_on: reset) do likewise",
		Sources:  []string{"https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream", "https://www.rfc-editor.org/rfc/rfc9110#name-idempotent-methods"},
		Issues:   nil,
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "nginx", Run: Compare(twoServers("error timeout non_idempotent"), twoServers("error timeout"), ordersOnce)},
	},
	{
		ID:        "header-too-big",
		Title:     "A redirect that sets large cookies is answered with 502, or cannot be read",
		Signature: []string{"upstream sent too big header while reading response header from upstream", "ERR_RESPONSE_HEADERS_TOO_BIG", "server response headers exceeded", "got more than 65536 bytes when reading header line"},
		Symptom:   "A login, or whatever else sets cookies with its redirect, ends with 502 for some people and not for others. Without the proxy, the client itself says that the answer cannot be read.",
		Mechanism: "An answer's header has a limit in every client and proxy: 4 or 8 KiB in nginx (proxy_buffer_size), 256 KiB in Chromium, 1 MiB in Go. Sessions that are kept in cookies, tokens in a Location and long policies outgrow it. The app has done its work by then.",
		Fixes: []Fix{
			{Text: "Keep the session on the server, and a name of it in the cookie.", NotWhen: "The cookies are another product's: then see how it splits or stores them."},
			{Text: "proxy_buffer_size 16k; and proxy_buffers to match, in nginx.", NotWhen: "The header grows with use: then the limit comes back."},
		},
		Prevent: "A test that logs in as somebody with many roles, through the proxy.",
		Setting: "None makes a header smaller. The gateway takes 1 MiB from the app; seeother trace shows each hop's", Docs: "docs/audit.md",
		Affected: "nginx in front of apps with sessions in cookies (ASP.NET Core, OAuth proxies, Rails, Django with signed cookies)",
		Sources:  []string{"https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffer_size", "https://www.rfc-editor.org/rfc/rfc6265#section-6.1"},
		Findings: []string{"no-answer"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "nginx", Run: Compare(cookiesOf(16<<10), cookiesOf(1<<10), endsIn502)},
	},
	{
		ID:        "gateway-timeout-retry",
		Title:     "504 does not mean that nothing happened: the retry does the work again",
		Signature: []string{"504 Gateway Time-out", "upstream timed out (110: Connection timed out) while reading response header from upstream", "504 Gateway Timeout"},
		Symptom:   "A slow order ends with 504 after 60 seconds. The user, or the client library, sends it again, and there are two.",
		Mechanism: "The proxy stops waiting; the app goes on, and ends its work.",
		Fixes: []Fix{
			{Text: "A key for each submission, kept in front of the app: the retry waits for the first run, and gets its answer.", NotWhen: "Clients cannot send one: forms have tokens."},
			{Text: "Answer at once with 202 or 303 to a page of the job.", NotWhen: "The work is short, and the timeout is wrong."},
			{Text: "A longer timeout.", NotWhen: "By itself: the slowest request is always slower."},
		},
		Prevent: "A test whose app takes longer than the proxy waits, with a retry.",
		Setting: guardsKeys + "; forms: {stage: enforce} for forms; operations for what takes long", Docs: "docs/operations.md",
		Affected: "nginx, Apache, HAProxy, load balancers of clouds",
		Sources:  []string{"https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_read_timeout", "https://www.rfc-editor.org/rfc/rfc9110#name-504-gateway-timeout"},
		Issues:   []string{"mastodon/mastodon#21840"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "nginx", Run: Compare(
			impatient(func() http.Handler { return newSlowTill() }),
			impatient(func() http.Handler { return &keeper{app: newSlowTill()} }),
			timesOut)},
	},
	{
		ID:        "gunicorn-worker-timeout",
		Title:     "gunicorn kills a worker that takes too long, after its work and before its answer",
		Signature: []string{"[CRITICAL] WORKER TIMEOUT (pid:", "was terminated due to signal 6", "was terminated due to signal 9", "Worker exiting (pid:"},
		Symptom:   "The proxy answers 502, the order is in the database, and the retry makes it again.",
		Mechanism: "A sync worker that has not answered within the timeout (30 s) is killed, wherever it is. What it did before stays done; its answer is lost. So 502 does not mean that nothing happened.",
		Fixes: []Fix{
			{Text: "A key for each submission, kept in front of the app: what got no answer is in doubt, and is not sent again.", NotWhen: "Clients cannot send one: forms have tokens."},
			{Text: "Hand what takes long to a queue, and answer at once.", NotWhen: "The work is short: see what it waits for."},
			{Text: "A longer --timeout, or gthread workers, which are not killed for one slow request.", NotWhen: "By itself: workers also die of memory and deploys."},
		},
		Prevent: "A test whose app does its work and then sleeps longer than the timeout.",
		Setting: guardsKeys + "; forms: {stage: enforce} for forms", Docs: onceDocs,
		Affected: "gunicorn with sync workers; uWSGI (harakiri) and PHP-FPM (request_terminate_timeout) do likewise",
		Sources:  []string{"https://docs.gunicorn.org/en/stable/settings.html#timeout", "https://docs.gunicorn.org/en/stable/faq.html"},
		Issues:   nil,
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "gunicorn", Run: Compare(
			behind(gunicorn, plain),
			behind(gunicorn, func(app http.Handler) http.Handler { return &keeper{app: app} }),
			sentAgain())},
	},
	{
		ID:        "head-redirects-otherwise",
		Title:     "HEAD is redirected with another status than GET",
		Signature: []string{"Send 301/302 for HEAD request in a redirect", "curl -I shows 308, the browser 301"},
		Symptom:   "curl -I and monitors see 308 or 307, browsers and crawlers 301 or 302. A cache that keeps one serves it for the other; a check that wants 301 fails.",
		Mechanism: "The redirect picks 301 or 302 for GET, and 308 or 307 for every other method, HEAD among them. RFC 9110 wants the same header for HEAD as for GET.",
		Fixes: []Fix{
			{Text: "Treat HEAD as GET where the status is chosen.", NotWhen: "Never: HEAD has no body to lose."},
			{Text: "One status for all: 308 or 307.", NotWhen: "Old clients or link previews do not know 308."},
			{Text: "Look at redirects with GET: curl -s -o /dev/null -D - URL.", NotWhen: "HEAD itself is what a cache or monitor sends."},
		},
		Prevent: "A test that compares the two.",
		Setting: "rules with intent: moved or temporary: the same status for all methods; with legacy: true, 301 or 302 for GET and HEAD alike", Docs: "docs/rules.md",
		Affected: "Traefik 2 and 3 (redirectRegex, redirectScheme)",
		Sources:  []string{"https://www.rfc-editor.org/rfc/rfc9110#name-head", "https://doc.traefik.io/traefik/middlewares/http/redirectregex/"},
		Issues:   []string{"traefik/traefik#11273", "traefik/traefik#7829", "traefik/traefik#4116", "traefik/traefik#10533"},
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{
			Run: Compare(
				Handler(onlyGetIs301),
				Handler(func() http.Handler {
					return seeother.Redirect{Intent: seeother.IntentMoved, Legacy: true, Target: "/new"}
				}),
				asksBoth("/old")),
			Ask: Asked(asksBoth("")),
		},
	},
	{
		ID:        "redis-failover-loses-keys",
		Title:     "A failover of Redis loses acknowledged keys, and the work runs again",
		Signature: []string{"READONLY You can't write against a read only replica.", "+switch-master", "+failover-end", "there is always a window for losing acknowledged writes"},
		Symptom:   "Redis said OK to SET key NX, the order was made, and the primary died. The replica that took over has never heard of the key, and the retry makes the order again.",
		Mechanism: "Redis answers a write before its replicas have it. What they do not have when one of them is promoted is gone. WAIT says how many have it, and makes the loss rarer; it does not undo the write, nor rule the loss out.",
		Fixes: []Fix{
			{Text: "For money: PostgreSQL with a synchronous standby, or one machine with a disk that is flushed.", NotWhen: "A rare repetition does no harm."},
			{Text: "WAIT 1 after the claim, and no start where the answer is 0.", NotWhen: "Nothing at all may be lost: see above."},
			{Text: "min-replicas-to-write 1 and min-replicas-max-lag, so that a primary that is alone soon stops.", NotWhen: "There is one replica, and it must be restarted at times: writes then stop."},
		},
		Prevent: "A test that cuts the link, promotes the replica and sends the key again.",
		Setting: "store: postgres://… with a synchronous standby (synchronous_commit as it is by default); docs/stores.md has the counts", Docs: "docs/stores.md",
		Affected: "Redis and Valkey with replicas, Sentinel and Cluster",
		Sources:  []string{"https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/", "https://redis.io/docs/latest/commands/wait/"},
		Issues:   []string{"redis/redis#4819", "redis/redis#6062"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "Redis", Run: acts(failover(false), failover(true))},
	},
}

// twoServers is nginx in front of two servers of one app, of which the first loses its
// connection after it made an order.
func twoServers(next string) Side {
	return func(ctx context.Context, lab *Lab) (string, string, error) {
		app := &fragile{}
		first, err := lab.Serve(cuts(app))
		if err != nil {
			return "", "", err
		}
		second, err := lab.Serve(&app.till)
		if err != nil {
			return "", "", err
		}
		return nginxServer{
			server: "location / { proxy_pass http://shop; proxy_next_upstream " + next + "; }",
			more:   "upstream shop { server " + hostOf(first) + "; server " + hostOf(second) + " backup; }",
		}.start(ctx, lab)
	}
}

func hostOf(base string) string { return strings.TrimPrefix(base, "http://") }

// ordersOnce sends one order. It failed where two were made.
func ordersOnce(ctx context.Context, b *Browser, base string) (bool, error) {
	if _, err := b.Submit(ctx, base+"/orders", "item=book"); err != nil {
		return false, err
	}
	made, err := ran(ctx, b, base)
	return made == "2", err
}

// slowTill is a till whose first order takes until somebody asks for /finish.
type slowTill struct {
	till
	finish chan struct{}
}

func newSlowTill() *slowTill { return &slowTill{finish: make(chan struct{})} }

func (s *slowTill) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/finish":
		close(s.finish)
	case r.Method == http.MethodPost:
		s.till.ServeHTTP(w, r)
		<-s.finish
	default:
		s.till.ServeHTTP(w, r)
	}
}

// impatient is nginx that waits for a second.
func impatient(app func() http.Handler) Side {
	return nginxServer{app: app, server: "location / { proxy_pass {{app}}; proxy_read_timeout 1s; proxy_next_upstream off; }"}.start
}

// timesOut sends an order that takes too long, and sends it again when it is done.
func timesOut(ctx context.Context, b *Browser, base string) (bool, error) {
	return sentAgain("/finish")(ctx, b, base)
}

// cookiesOf is nginx in front of an app whose login sets a cookie of so many bytes.
func cookiesOf(size int) Side {
	return nginxServer{server: "location / { proxy_pass {{app}}; }", app: func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: strings.Repeat("x", size), HttpOnly: true}) //nolint:gosec // the lab has no https
				seeother.Result(w, r, "/")
			}
		})
	}}.start
}

// endsIn502 logs in.
func endsIn502(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	answer, err := b.Send(ctx, http.MethodPost, base+"/login", "user=ann")
	return err == nil && answer.Status == http.StatusBadGateway, err
}

// gunicornApp is a till in Python, whose first order is made and then takes too long.
const gunicornApp = `
import os, time

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "orders")

def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        with open(FILE, "a") as f:
            f.write("x")
        if os.path.getsize(FILE) == 1:
            time.sleep(60)
        start_response("201 Created", [("Content-Type", "text/plain")])
        return [b"order"]
    made = os.path.getsize(FILE) if os.path.exists(FILE) else 0
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(made).encode()]
`

// gunicorn is a Side whose workers have two seconds.
func gunicorn(ctx context.Context, lab *Lab) (string, string, error) {
	return program(func(ctx context.Context, lab *Lab, port int) (*exec.Cmd, string, error) {
		path, err := lab.Need("gunicorn", "gunicorn")
		if err != nil {
			return nil, "", err
		}
		said, err := lab.Output(ctx, path, "--version")
		if err != nil {
			return nil, "", err
		}
		_, version, _ := strings.Cut(lastLine(said), "version ")
		dir, err := lab.TempDir()
		if err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(filepath.Join(dir, "till.py"), []byte(gunicornApp), 0o600); err != nil {
			return nil, "", err
		}
		args := []string{"--chdir", dir, "--bind", "127.0.0.1:" + strconv.Itoa(port), "--timeout", "2", "--graceful-timeout", "1", "till:app"}
		return exec.Command(path, args...), "gunicorn/" + strings.TrimSuffix(version, ")"), nil //nolint:gosec // the program that PATH has
	})(ctx, lab)
}

// onlyGetIs301 redirects as Traefik does.
func onlyGetIs301() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusPermanentRedirect
		if r.Method == http.MethodGet {
			status = http.StatusMovedPermanently
		}
		http.Redirect(w, r, "/new", status)
	})
}

// asksBoth asks for a path with GET and with HEAD. It failed where the statuses differ.
func asksBoth(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		b.Manual = true
		get, err := b.Open(ctx, base+path)
		if err != nil {
			return false, err
		}
		head, err := b.Send(ctx, http.MethodHead, base+path, "")
		if err != nil {
			return false, err
		}
		return get.Status != head.Status, nil
	}
}
