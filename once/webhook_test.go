package once

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/store/memstore"
)

func sign(key, text string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// sender is one whose webhooks are guarded: how it signs a delivery, and how an
// app verifies that.
type sender struct {
	body    func(delivery int) string
	headers func(body string, at int64) map[string]string
	verify  func(r *http.Request, body string) bool
}

const secret = "whsec_bm90LWEtcmVhbC1zZWNyZXQ"

var senders = map[string]sender{
	// https://docs.stripe.com/webhooks#verify-manually
	"stripe": {
		body: func(n int) string {
			return fmt.Sprintf(`{"id":"evt_1NG8Du2eZvKYlo2CUI79vXWy","object":"event","api_version":"2026-10-01","created":1686089970,"data":{"object":{"id":"seti_1","object":"setup_intent"}},"livemode":false,"pending_webhooks":%d,"request":{"id":null,"idempotency_key":null},"type":"setup_intent.created"}`, 2-n)
		},
		headers: func(body string, at int64) map[string]string {
			t := strconv.FormatInt(at, 10)
			return map[string]string{"Stripe-Signature": "t=" + t + ",v1=" + hex.EncodeToString(sign(secret, t+"."+body))}
		},
		verify: func(r *http.Request, body string) bool {
			t, v1, _ := strings.Cut(r.Header.Get("Stripe-Signature"), ",v1=")
			return v1 == hex.EncodeToString(sign(secret, strings.TrimPrefix(t, "t=")+"."+body))
		},
	},
	// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
	"github": {
		body: func(int) string { return `{"action":"opened","issue":{"number":1347},"sender":{"login":"octocat"}}` },
		headers: func(body string, _ int64) map[string]string {
			return map[string]string{
				"X-GitHub-Event": "issues", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
				"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(sign(secret, body)),
			}
		},
		verify: func(r *http.Request, body string) bool {
			return r.Header.Get("X-Hub-Signature-256") == "sha256="+hex.EncodeToString(sign(secret, body))
		},
	},
	// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
	"standard-webhooks": {
		body: func(int) string {
			return `{"type":"user.created","timestamp":"2026-11-03T20:26:10.344522Z","data":{"id":"1"}}`
		},
		headers: func(body string, at int64) map[string]string {
			t := strconv.FormatInt(at, 10)
			return map[string]string{
				"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": t,
				"webhook-signature": "v1," + base64.StdEncoding.EncodeToString(sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek."+t+"."+body)),
			}
		},
		verify: func(r *http.Request, body string) bool {
			text := r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + body
			return r.Header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(sign(secret, text))
		},
	},
}

func TestAWebhookThatIsDeliveredAgainRunsOnce(t *testing.T) {
	t.Parallel()
	for name, s := range senders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runs := 0
			app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if !s.verify(r, string(body)) {
					t.Errorf("the signature of %q does not fit", body)
				}
				runs++
				w.WriteHeader(http.StatusNoContent)
			})
			h := newGuard(t, memstore.New(), Config{}).Handler(Policy{Key: Webhooks[name]}, app)
			deliver := func(delivery int, change func(*http.Request)) int {
				body := s.body(delivery)
				r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				for k, v := range s.headers(body, 1686089970+int64(delivery)*3600) {
					r.Header.Set(k, v)
				}
				if change != nil {
					change(r)
				}
				return do(h, r).Code
			}
			for delivery := range 3 {
				if code := deliver(delivery, nil); code != http.StatusNoContent {
					t.Errorf("delivery %d: %d", delivery, code)
				}
			}
			if runs != 1 {
				t.Errorf("ran %d times", runs)
			}
			tampered := func(r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				text := strings.NewReplacer("octocat", "mallory", "setup_intent", "refund", "user.created", "user.deleted").Replace(string(body))
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			}
			if code := deliver(0, tampered); code != http.StatusUnprocessableEntity || runs != 1 {
				t.Errorf("another body under the same key: %d, and ran %d times", code, runs)
			}
		})
	}
}

func TestAKeyIsReadFromTheBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, pointer, body, key, fail string }{
		{"a member", "/id", `{"id":"evt_1"}`, "evt_1", ""},
		{"a deeper one", "/data/object/id", `{"data":{"object":{"id":"x"}}}`, "x", ""},
		{"of a list", "/events/1/id", `{"events":[{"id":"a"},{"id":"b"}]}`, "b", ""},
		{"a number", "/id", `{"id": 12345678901234567890 }`, "12345678901234567890", ""},
		{"an escaped name", "/a~1b~0c", `{"a/b~c":"k"}`, "k", ""},
		{"an empty name", "/", `{"":"k"}`, "k", ""},
		{"an escaped text", "/id", `{"id":"\u0065vt"}`, "evt", ""},
		{"no member", "/id", `{"name":"x"}`, "", "no key"},
		{"an empty text", "/id", `{"id":""}`, "", "empty"},
		{"null", "/id", `{"id":null}`, "", "neither a string nor a number"},
		{"an object", "/id", `{"id":{}}`, "", "neither"},
		{"beyond a list", "/1", `["a"]`, "", "no key"},
		{"a list by a name", "/x", `["a"]`, "", "no key"},
		{"a list by 01", "/01", `["a","b"]`, "", "no key"},
		{"no JSON", "/id", `id=5`, "", "no JSON object"},
		{"nothing", "/id", ``, "", "no JSON object"},
		{"a text", "/id", `"id"`, "", "no JSON object"},
		{"a long one", "/id", `{"id":"` + strings.Repeat("x", 256) + `"}`, "", "longer than 255"},
	} {
		key, err := keyAt([]byte(c.body), c.pointer)
		if key != c.key && c.fail == "" || (err == nil) != (c.fail == "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%s: %q, %v; want %q, %s", c.name, key, err, c.key, c.fail)
		}
	}
	for _, bad := range []string{"/~", "/~2", "/" + strings.Repeat("a", 600), "X Y"} {
		if _, err := ParseKeySource(bad); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

func TestABodyWithoutItsKeyIsRefused(t *testing.T) {
	t.Parallel()
	a := &app{}
	h := newGuard(t, memstore.New(), Config{Buffer: 1000}).Handler(Policy{Key: KeySource{Pointer: "/id"}}, a)
	mustBe(t, post(h, "", `{"id":"k"}`), 201, "run 1")
	mustBe(t, post(h, "", `{"id":"k"}`), 201, "run 1")
	mustBe(t, post(h, "", `{"id":"l"}`), 201, "run 2")
	mustBe(t, post(h, "", `{"id":"k","more":1}`), 422, "key-reused")
	mustBe(t, post(h, "", `{"name":"k"}`), 400, "key-missing")
	mustBe(t, post(h, "", `id=k`), 400, "key-malformed")
	mustBe(t, post(h, "", `{"id":"m","text":"`+strings.Repeat("x", 1000)+`"}`), 400, "larger than 1000 bytes")
	a.mustHaveRun(t, 2)
}

func TestAProbeEndsTheDoubt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer ProbeAnswer
		fails  error
		status int
		inBody string
		runs   int64
		state  string
	}{
		{"it happened", ProbeApplied, nil, 409, "answer-not-kept", 1, StateCompleted},
		{"it did not", ProbeNotApplied, nil, 201, "run 2", 2, StateCompleted},
		{"nobody knows", ProbeUnknown, nil, 409, "outcome-uncertain", 1, StateUncertain},
		{"the probe fails", ProbeUnknown, errors.New("no route"), 409, "outcome-uncertain", 1, StateUncertain},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := &app{}
			first := true
			a.answer = func(w http.ResponseWriter, _ *http.Request) {
				if first {
					first = false
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(201)
				_, _ = io.WriteString(w, "run 2")
			}
			var asked []Summary
			e := &events{}
			g := newGuard(t, memstore.New(), Config{Observe: e.observe})
			h := g.Handler(Policy{OnUncertain: AskProbe, Probe: func(_ context.Context, s Summary) (ProbeAnswer, error) {
				asked = append(asked, s)
				return c.answer, c.fails
			}}, a)
			func() {
				defer func() { _ = recover() }()
				post(h, "k", "body")
			}()
			mustBeState(t, g, StateUncertain)
			mustBe(t, post(h, "k", "other"), 422, "key-reused") // somebody else's body asks nobody
			if len(asked) != 0 {
				t.Errorf("asked %d times for another body", len(asked))
			}
			mustBe(t, post(h, "k", "body"), c.status, c.inBody)
			a.mustHaveRun(t, c.runs)
			mustBeState(t, g, c.state)
			if len(asked) != 1 || asked[0].KeyHash != HashKey("k") || e.count("probed") != 1 {
				t.Errorf("asked %+v, %d told", asked, e.count("probed"))
			}
		})
	}
}

func TestAProbeOverHTTP(t *testing.T) {
	t.Parallel()
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"applied":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"outcome":"applied","id":7}`) },
		"not-applied": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"outcome":"not-applied"}`) },
		"unknown":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"outcome":"unknown"}`) },
		"nonsense":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"outcome":"maybe"}`) },
		"html":        func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `<html>`) },
		"404":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"redirect":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/applied", http.StatusFound) },
	}
	var last *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = r
		answers[strings.Trim(r.URL.Path, "/")](w, r)
	}))
	defer server.Close()
	for path, want := range map[string]ProbeAnswer{
		"applied": ProbeApplied, "not-applied": ProbeNotApplied, "unknown": ProbeUnknown,
		"nonsense": ProbeUnknown, "html": ProbeUnknown, "404": ProbeUnknown, "redirect": ProbeUnknown,
	} {
		p, err := HTTPProbe(server.URL + "/" + path + "?tenant=7")
		if err != nil {
			t.Fatal(err)
		}
		got, err := p(t.Context(), Summary{ID: "id", KeyHash: "hash", Method: "POST", Path: "/orders", Started: time.Unix(5, 0)})
		if got != want || (err != nil) != (path == "nonsense" || path == "html" || path == "404" || path == "redirect") {
			t.Errorf("%s: %v, %v", path, got, err)
		}
		q := last.URL.Query()
		if q.Get("tenant") != "7" || q.Get("record") != "id" || q.Get("key_hash") != "hash" || q.Get("path") != "/orders" || q.Get("started") == "" {
			t.Errorf("%s: asked %s", path, last.URL)
		}
	}
	for _, bad := range []string{"", "/x", "ftp://x/", "http://u:p@x/", "http://", "http://x/#y"} {
		if _, err := HTTPProbe(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	p, _ := HTTPProbe("http://127.0.0.1:1/x?token=hunter2")
	if _, err := p(t.Context(), Summary{}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("nobody answers: %v", err)
	}
}

func FuzzKeyAt(f *testing.F) {
	f.Add(`{"id":"evt_1","data":[{"x":5}]}`, "/id")
	f.Add(`{"a~b/c":{"d":[1]}}`, "/a~0b~1c/d/0")
	f.Fuzz(func(t *testing.T, body, pointer string) {
		key, err := keyAt([]byte(body), pointer)
		if err == nil && (key == "" || len(key) > MaxKey) {
			t.Errorf("%q at %q of %q", key, pointer, body)
		}
		steady([]byte(body), []string{"id"})
	})
}

// TestAForgeryDoesNotUseUpAnID sends a delivery with a signature that is none
// before the real one.
func TestAForgeryDoesNotUseUpAnID(t *testing.T) {
	t.Parallel()
	s := senders["stripe"]
	a := &app{answer: func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !s.verify(r, string(body)) {
			w.WriteHeader(http.StatusBadRequest)
		}
	}}
	h := newGuard(t, memstore.New(), Config{}).Handler(Policy{Key: Webhooks["stripe"], NotApplied: []int{400}}, a)
	forged := strings.Replace(s.body(0), "setup_intent.created", "charge.refunded", 1)
	mustBe(t, do(h, request("", forged, header("Stripe-Signature", "t=1,v1=00"))), 400, "")
	signed := header("Stripe-Signature", s.headers(s.body(0), 1686089970)["Stripe-Signature"])
	mustBe(t, do(h, request("", s.body(0), signed)), 200, "")
	mustBe(t, do(h, request("", s.body(0), signed)), 200, "")
	a.mustHaveRun(t, 2)
}
