package guide

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"

	"github.com/seeother/seeother"
)

// ofTheClient is the setting of cards whose fault is in a client that answers cannot
// mend.
const ofTheClient = "None: it is the client that is wrong. "

var clientCards = []Card{
	{
		ID:        "curl-x-post-l",
		Title:     "curl -X POST -L sends POST on every hop, and hides what clients see",
		Signature: []string{"curl -X POST -L", "curl: (22) The requested URL returned error: 405", "Setting custom HTTP method to POST with -X/--request may not work with redirects", "Switch from POST to GET"},
		Symptom:   "A check with curl gets 405 at the page of the result, or seems to show that a 301 keeps the POST. Browsers do otherwise.",
		Mechanism: "-X replaces the word that curl would send, on each request, redirects included. With -d alone, curl turns POST into GET after 301, 302 and 303, as browsers do.",
		Fixes: []Fix{
			{Text: "Leave -X POST out: -d 'item=book' (or -d '' without a body) makes it a POST, and -L then follows as a browser does.", NotWhen: "The method is not POST."},
			{Text: "curl --follow in place of -L, from curl 8.16: the method is right after each status.", NotWhen: "curl is older. With -X, look at what goes out: curl/curl#20715 tells of 8.18 sending the method on after a 303."},
			{Text: "seeother trace -X POST -d 'item=book' URL: what each hop does with method and body.", NotWhen: "curl itself is the client in production."},
		},
		Prevent: "No -X POST beside -L in scripts.",
		Setting: ofTheClient + "seeother trace shows what other clients do", Docs: "docs/command.md",
		Affected: "curl, all versions, with -L (--location)",
		Sources:  []string{"https://curl.se/docs/manpage.html#-X", "https://curl.se/docs/manpage.html#--follow", "https://curl.se/libcurl/c/CURLOPT_FOLLOWLOCATION.html"},
		Issues:   []string{"curl/curl#20715", "curl/curl#5248"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "curl", Run: acts(
			curls("-X", "POST", "-d", "item=book"),
			curls("-d", "item=book"))},
	},
	{
		ID:        "requests-put-301-loses-body",
		Title:     "python-requests follows a 301 after PUT or PATCH with PUT or PATCH, and without the body",
		Signature: []string{"301 on PUT drops body", "PATCH get response 301(moved permanently) is redirected with empty body"},
		Symptom:   "requests.put(url, data=…) returns 200, and the document on the server is empty. It began when the site moved to https, or the path got a slash.",
		Mechanism: "requests drops the body on every redirect but 307 and 308, and turns only POST into GET after a 301. So a PUT goes on as a PUT of nothing. No standard says so: a browser sends the body again.",
		Fixes: []Fix{
			{Text: "Redirect with 308, or 307: body and method are kept.", NotWhen: "The redirect shows a result: 303."},
			{Text: "In the client: the final URL; or allow_redirects=False, and an error for 3xx.", NotWhen: "The client is not yours."},
		},
		Prevent: "In clients that write: allow_redirects=False, or session.max_redirects = 0. In tests: PUT to the old address, and read the document.",
		Setting: "rules with intent: moved (308); canonical and slash answer 308 by themselves", Docs: "docs/rules.md",
		Affected: "requests 2, all versions",
		Sources:  []string{"https://requests.readthedocs.io/en/latest/user/quickstart/#redirection-and-history", "https://github.com/psf/requests/blob/main/src/requests/sessions.py", fetchRedirect},
		Issues:   []string{"psf/requests#5686", "psf/requests#2590", "psf/requests#4773", "libcpr/cpr#608"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "requests", Run: acts(
			putsWith(requestsPut, moves(http.StatusMovedPermanently)),
			putsWith(requestsPut, movedRight))},
	},
	{
		ID:        "go-client-put-becomes-get",
		Title:     "Go's http.Client turns PUT, PATCH and DELETE into GET after 301, 302 and 303",
		Signature: []string{"net/http: on 301 redirects, DELETE method is transformed into GET", "302 redirect of DELETE to GET isn't RFC compliant", "http method from put switch to get when redirection"},
		Symptom:   "client.Do(PUT) returns 200, and nothing was written. Browsers keep the PUT after 301 and 302; the same server works for them.",
		Mechanism: "After 301, 302 and 303, Client sends GET (or HEAD) without a body, whatever the method was; after 307 and 308 it repeats the request if GetBody gives the body anew.",
		Fixes: []Fix{
			{Text: "Redirect with 308 or 307.", NotWhen: "The redirect shows a result: 303, and GET is right."},
			{Text: "CheckRedirect that returns http.ErrUseLastResponse where via[0].Method is not GET or HEAD, and an error for 3xx.", NotWhen: "The API answers writes with 303 to a result."},
			{Text: "seeother.Client, which follows as the Fetch standard says.", NotWhen: "A 301 is known to mean 303 there."},
		},
		Prevent: "Clients that write check resp.Request.Method, or follow nothing.",
		Setting: "rules with intent: moved (308) or temporary (307); canonical and slash answer 308 by themselves", Docs: "docs/rules.md",
		Affected: "Go 1.8 and later: 301, 302, 303 as said; before, 307 and 308 were not followed",
		Sources:  []string{"https://pkg.go.dev/net/http#Client.Do", "https://cs.opensource.google/go/go/+/master:src/net/http/client.go", fetchRedirect},
		Issues:   []string{"golang/go#21469", "golang/go#41377", "golang/go#18570", "golang/go#65105"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "Go", Run: acts(
			putsWith(goPut, moves(http.StatusFound)),
			putsWith(goPut, movedRight))},
	},
	{
		ID:        "go-repeats-idempotency-key",
		Title:     "Go's transport sends a POST with Idempotency-Key again by itself when the connection dies",
		Signature: []string{"http: server closed idle connection", "http2: Transport: cannot retry err", "X-Idempotency-Key"},
		Symptom:   "One call of client.Do, and the server sees two POSTs with the same key. The server, which keeps no keys, makes two orders.",
		Mechanism: "http.Transport takes a request with an Idempotency-Key or X-Idempotency-Key header for one that may be repeated, if it has no body or GetBody gives it anew. When a connection that was used before is closed before the answer begins, it sends it again.",
		Fixes: []Fix{
			{Text: "Send the header only to servers that keep keys.", NotWhen: "The server is known to: then the repetition is what one wants."},
			{Text: "On the server: keep keys.", NotWhen: "The server is somebody else's."},
			{Text: "req.GetBody = nil with a body, or Transport.DisableKeepAlives: a new connection is not tried twice.", NotWhen: "Speed counts: each request then opens a connection."},
		},
		Prevent: "A test whose server reads the request and closes the connection, once it was used before.",
		Setting: "once: {stage: enforce} in front of the server, which is the default: the second POST waits, or gets the first answer", Docs: onceDocs,
		Affected: "Go 1.12 and later (net/http); proxies and SDKs written in Go",
		Sources:  []string{"https://pkg.go.dev/net/http#Transport", "https://cs.opensource.google/go/go/+/master:src/net/http/request.go"},
		Issues:   []string{"golang/go#19943", "VictoriaMetrics/VictoriaMetrics#4452"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{Real: "Go", Run: acts(
			goRepeats(func(h http.Handler) http.Handler { return h }),
			goRepeats(func(h http.Handler) http.Handler { return &keeper{app: h} }))},
	},
}

// orderShop makes an order and redirects to it; the order has only GET.
func orderShop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) { seeother.Result(w, r, "/orders/1") })
	mux.HandleFunc("GET /orders/1", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "order 1") })
	return mux
}

// curl is where curl is, and "curl/8.14.1".
func curl(ctx context.Context, lab *Lab) (path, version string, err error) {
	if path, err = lab.Need("curl", "curl"); err != nil {
		return "", "", err
	}
	said, err := lab.Output(ctx, path, "--version")
	name, rest, _ := strings.Cut(said, " ")
	number, _, _ := strings.Cut(rest, " ")
	return path, name + "/" + number, err
}

// curls is an act that runs curl -L with these arguments. It failed where the end is
// not the order.
func curls(args ...string) act {
	return func(ctx context.Context, lab *Lab) (bool, []Step, string, error) {
		path, version, err := curl(ctx, lab)
		if err != nil {
			return false, nil, "", err
		}
		w := &witness{}
		base, err := lab.Serve(w.handler(orderShop()))
		if err != nil {
			return false, nil, "", err
		}
		w.note("curl -L %s URL", strings.Join(args, " "))
		body, err := lab.Output(ctx, path, append(append([]string{"-q", "-sS", "--noproxy", "*", "-L"}, args...), base+"/orders")...)
		if err != nil {
			return false, nil, "", fmt.Errorf("curl: %w: %s", err, body)
		}
		return body != "order 1", w.all(), version, nil
	}
}

// archive holds a document that moved from /v1/doc to /v2/doc.
type archive struct {
	mu  sync.Mutex
	doc string
}

// handler redirects what comes for the old address with old.
func (a *archive) handler(old http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/doc", old)
	mux.HandleFunc("GET /v2/doc", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, a.read()) })
	mux.HandleFunc("PUT /v2/doc", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, mostRead)) // a body that breaks off is what it is here
		a.mu.Lock()
		defer a.mu.Unlock()
		a.doc = string(body)
	})
	return mux
}

func (a *archive) read() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.doc
}

// moves redirects to the new address with a code.
func moves(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/v2/doc")
		w.WriteHeader(code)
	})
}

// movedRight redirects to the new address so that the request is kept.
var movedRight = seeother.Redirect{Intent: seeother.IntentMoved, Target: "/v2/doc"}

// putsWith is an act that writes "new" over a document that says "old", through the
// redirect old. It failed where that was not written.
func putsWith(put func(ctx context.Context, lab *Lab, url string) (version string, err error), old http.Handler) act {
	return func(ctx context.Context, lab *Lab) (bool, []Step, string, error) {
		w, docs := &witness{}, &archive{doc: "old"}
		base, err := lab.Serve(w.handler(docs.handler(old)))
		if err != nil {
			return false, nil, "", err
		}
		version, err := put(ctx, lab, base+"/v1/doc")
		if err != nil {
			return false, nil, "", err
		}
		w.note("the document was %q, and is now %q", "old", docs.read())
		return docs.read() != "new", w.all(), version, nil
	}
}

const requestsApp = `
import sys, requests
session = requests.Session()
session.trust_env = False
session.put(sys.argv[1], data="new").raise_for_status()
`

func requestsPut(ctx context.Context, lab *Lab, url string) (string, error) {
	path, version, err := python(ctx, lab, "requests", "python3-requests")
	if err != nil {
		return "", err
	}
	said, err := lab.Output(ctx, path, "-c", requestsApp, url)
	if err != nil {
		return "", fmt.Errorf("requests: %w: %s", err, lastLine(said))
	}
	return version, nil
}

// goClient is a client of Go's own that uses no proxy.
func goClient(lab *Lab) *http.Client {
	transport := &http.Transport{}
	lab.onClose(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: answerWait}
}

func goPut(ctx context.Context, lab *Lab, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader("new"))
	if err != nil {
		return "", err
	}
	return goVersion(), fetched(goClient(lab), req)
}

func goVersion() string { return "go/" + strings.TrimPrefix(runtime.Version(), "go") }

// fetched sends a request and reads its answer to the end, so that the connection can
// be used again.
func fetched(client *http.Client, req *http.Request) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, mostRead))
	return err
}

// fragile is a till whose connection dies once, when the first order was made and
// before it is answered.
type fragile struct {
	till
	once sync.Once
}

func (f *fragile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dies := false
	if r.Method == http.MethodPost {
		f.once.Do(func() { dies = true })
	}
	if !dies {
		f.till.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.runs++
	f.mu.Unlock()
	w.WriteHeader(http.StatusBadGateway) // what a guard in front of it sees
}

// goRepeats is an act in which Go's client sends one order, over a connection that was
// used before and dies.
func goRepeats(guard func(http.Handler) http.Handler) act {
	return func(ctx context.Context, lab *Lab) (bool, []Step, string, error) {
		w, app := &witness{}, &fragile{}
		base, err := lab.Serve(w.handler(cuts(guard(app))))
		if err != nil {
			return false, nil, "", err
		}
		client := goClient(lab)
		if err := fetched(client, request(ctx, http.MethodGet, base+"/runs")); err != nil {
			return false, nil, "", err
		}
		order := request(ctx, http.MethodPost, base+"/orders")
		order.Header.Set("Idempotency-Key", "8e03978e-40d5")
		w.note("one client.Do(POST /orders), without a body")
		if err := fetched(client, order); err != nil {
			return false, nil, "", err
		}
		app.mu.Lock()
		defer app.mu.Unlock()
		w.note("orders made: %d", app.runs)
		return app.runs == 2, w.all(), goVersion(), nil
	}
}

func request(ctx context.Context, method, url string) *http.Request {
	req, _ := http.NewRequestWithContext(ctx, method, url, nil) // the URL is one of ours
	return req
}

// cuts closes the connection without an answer where next answers 502.
func cuts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &keptAnswer{status: http.StatusOK, header: w.Header()}
		next.ServeHTTP(answer, r)
		if answer.status == http.StatusBadGateway {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
			return
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body.Bytes())
	})
}
