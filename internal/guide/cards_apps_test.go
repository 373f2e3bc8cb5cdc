package guide

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestACardOfAnAppIsComplete(t *testing.T) {
	if len(appCards) < 22 {
		t.Errorf("%d cards, want 22", len(appCards))
	}
	for _, c := range appCards {
		for name, text := range map[string]string{
			"Title": c.Title, "Symptom": c.Symptom, "Mechanism": c.Mechanism, "Prevent": c.Prevent, "Setting": c.Setting,
			"Docs": c.Docs, "Affected": c.Affected, "Checked": c.Checked, "Confidence": string(c.Confidence),
		} {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: no %s", c.ID, name)
			}
		}
		if len(c.Signature) == 0 || len(c.Fixes) == 0 || len(c.Sources) == 0 || c.Repro.Run == nil {
			t.Errorf("%s: a signature, a fix, a source and a reproduction are needed", c.ID)
		}
		if c.Confidence == High && c.Repro.Real == "" {
			t.Errorf("%s: high confidence is for what the real thing was seen doing", c.ID)
		}
		for _, f := range c.Fixes {
			if f.Text == "" || f.NotWhen == "" {
				t.Errorf("%s: a fix without its limits: %+v", c.ID, f)
			}
		}
		if _, err := os.Stat("../../" + c.Docs); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
}

func TestWhatPeopleSeeFindsTheCardOfTheirApp(t *testing.T) {
	for query, want := range map[string]string{
		"change default redirect code to 303":                     "flask-default-302",
		"flask redirect 303 instead of 302 tests fail":            "flask-default-302",
		"E       assert 303 == 302":                               "flask-default-302",
		"Error: Form responses must redirect to another location": "turbo-form-must-redirect",
		"Cannot DELETE /users":                                    "express-redirect-302",
		"htmx hx-redirect ignored after 302":                      "htmx-cannot-see-redirect",
		"fetch opaqueredirect":                                    "fetch-opaqueredirect",
		"Response to preflight request doesn't pass access control check: Redirect is not allowed for a preflight request.":                                "cors-preflight-redirected",
		"Refused to send form data to 'https://pay.example/' because it violates the following Content Security Policy directive: \"form-action 'self'\".": "csp-form-action-redirect",
		"curl -X POST -L http://localhost:5000/orders": "curl-x-post-l",
		"python requests put loses body after 301":     "requests-put-301-loses-body",
		"proxy_next_upstream non_idempotent":           "nginx-retries-post",
		"[CRITICAL] WORKER TIMEOUT (pid:1234)":         "gunicorn-worker-timeout",
		"redis failover lost acknowledged writes":      "redis-failover-loses-keys",
		"crewai runs the tool again":                   "agent-runs-tool-again",
		"Task timed out after 30.03 seconds":           "in-progress-expires",
		"idempotency key reused with other body":       "same-key-other-body",
	} {
		if hits := Search(query, 3); len(hits) == 0 || hits[0].Card.ID != want {
			var got []string
			for _, h := range hits {
				got = append(got, h.Card.ID)
			}
			t.Errorf("%q found %v, want %s", query, got, want)
		}
	}
}

func TestAServerOfTheUsersIsAskedWithoutLeavingAnythingBehind(t *testing.T) {
	for _, tc := range []struct {
		name, card string
		server     http.Handler
		want       bool
	}{
		{"a server that redirects HEAD otherwise", "head-redirects-otherwise", onlyGetIs301(), true},
		{"a server that redirects HEAD as GET", "head-redirects-otherwise", movedRight, false},
		{"a server that redirects preflights", "cors-preflight-redirected", movedRight, true},
		{"a server that answers preflights", "cors-preflight-redirected", http.NotFoundHandler(), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lab := &Lab{}
			defer lab.Close()
			base, err := lab.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
					t.Errorf("it was asked with %s", r.Method)
				}
				tc.server.ServeHTTP(w, r)
			}))
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(appCards, func(c Card) bool { return c.ID == tc.card })
			out, err := appCards[i].Repro.Ask(t.Context(), lab, base+"/old")
			if err != nil {
				t.Fatal(err)
			}
			if out.Shown != tc.want || len(out.Faulty) == 0 {
				t.Errorf("shown %v, want %v: %v", out.Shown, tc.want, out.Faulty)
			}
		})
	}
}
