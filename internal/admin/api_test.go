package admin

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
)

const asForm = "Content-Type: application/x-www-form-urlencoded"

func TestAPI(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want                     string // the type of the problem, or a part of the body
	}{
		{name: "status", method: "GET", path: "/api/v1/status", status: 200, want: `"version":"1.2.3"`},
		{name: "status counts decisions", method: "GET", path: "/api/v1/status", status: 200, want: `"decisions":2`},
		{name: "status holds the guard's numbers", method: "GET", path: "/api/v1/status", status: 200, want: `"uncertain":2,"memory":4096`},
		{name: "HEAD is GET without a body", method: "HEAD", path: "/api/v1/status", status: 200},

		{name: "decisions", method: "GET", path: "/api/v1/decisions", status: 200, want: `"path":"/b"`},
		{name: "the newest of the decisions", method: "GET", path: "/api/v1/decisions?limit=1", status: 200, want: `"path":"/b"`},
		{name: "a limit that is none", method: "GET", path: "/api/v1/decisions?limit=ten", status: 400, want: "invalid-request"},
		{name: "a limit below one", method: "GET", path: "/api/v1/decisions?limit=0", status: 400, want: "invalid-request"},
		{name: "a limit above all", method: "GET", path: "/api/v1/decisions?limit=100001", status: 400, want: "invalid-request"},

		{name: "records", method: "GET", path: "/api/v1/once", status: 200, want: `"id":"third"`},
		{name: "records of one state", method: "GET", path: "/api/v1/once?state=completed", status: 200, want: `{"records":[{"id":"second"`},
		{name: "records of one key", method: "GET", path: "/api/v1/once?key=k1", status: 200, want: `{"records":[{"id":"first"`},
		{name: "no records are a list, too", method: "GET", path: "/api/v1/once?key=k9", status: 200, want: `{"records":[],"cursor":""}`},
		{name: "a page of records says how to go on", method: "GET", path: "/api/v1/once?limit=1", status: 200, want: `"cursor":"next"`},
		{name: "the last page", method: "GET", path: "/api/v1/once?cursor=next", status: 200, want: `"cursor":""`},
		{name: "a cursor that is none", method: "GET", path: "/api/v1/once?cursor=x", status: 400, want: "invalid-request"},
		{name: "a state that is none", method: "GET", path: "/api/v1/once?state=lost", status: 400, want: "invalid-request"},
		{name: "more records than one page holds", method: "GET", path: "/api/v1/once?limit=1001", status: 400, want: "invalid-request"},

		{name: "one record", method: "GET", path: "/api/v1/once/second", status: 200, want: `"status":201,"bodyKept":true`},
		{name: "no such record", method: "GET", path: "/api/v1/once/none", status: 404, want: "record-not-found"},
		{name: "a record whose id must be escaped", method: "GET", path: "/api/v1/once/a%2Fb", status: 404, want: "record-not-found"},

		{name: "resolve as completed", method: "POST", path: "/api/v1/once/first/resolve", body: `{"as":"completed","note":"in the ledger"}`, status: 200, want: `"resolvedBy":"in the ledger"`},
		{name: "resolve as released", method: "POST", path: "/api/v1/once/first/resolve", body: `{"as":"released"}`, status: 200, want: `"state":"released"`},
		{name: "resolve as something else", method: "POST", path: "/api/v1/once/first/resolve", body: `{"as":"uncertain"}`, status: 400, want: "invalid-request"},
		{name: "resolve without saying how", method: "POST", path: "/api/v1/once/first/resolve", body: `{}`, status: 400, want: "invalid-request"},
		{name: "a note that is too long", method: "POST", path: "/api/v1/once/first/resolve", body: `{"as":"released","note":"` + strings.Repeat("x", maxNote+1) + `"}`, status: 400, want: "invalid-request"},
		{name: "resolve what is known", method: "POST", path: "/api/v1/once/second/resolve", body: `{"as":"released"}`, status: 409, want: "not-resolvable"},
		{name: "resolve what is not there", method: "POST", path: "/api/v1/once/none/resolve", body: `{"as":"released"}`, status: 404, want: "record-not-found"},
		{name: "a body that is too large", method: "POST", path: "/api/v1/once/first/resolve", body: `{"as":"released","note":"` + strings.Repeat("x", maxBody) + `"}`, status: 413, want: "body-too-large"},
		{name: "a form for the API", method: "POST", path: "/api/v1/once/first/resolve", body: "as=released", header: []string{asForm}, status: 415, want: "unsupported-media-type"},

		{name: "stages, in the order of their names", method: "GET", path: "/api/v1/stages", status: 200, want: `{"stages":[{"name":"once","stage":"canary 10%"},{"name":"see-other","stage":"enforce"},{"name":"see-other uploads","stage":"report"}]}`},
		{name: "set a stage", method: "POST", path: "/api/v1/stages", body: `{"name":"see-other uploads","stage":"canary 5%"}`, status: 200, want: `{"name":"see-other uploads","stage":"canary 5%"}`},
		{name: "set the stage of no policy", method: "POST", path: "/api/v1/stages", body: `{"name":"twice","stage":"off"}`, status: 404, want: "policy-not-found"},
		{name: "set a stage that is none", method: "POST", path: "/api/v1/stages", body: `{"name":"once","stage":"canary 100%"}`, status: 400, want: "invalid-request"},
		{name: "leave the stage out", method: "POST", path: "/api/v1/stages", body: `{"name":"once"}`, status: 400, want: "invalid-request"},
		{name: "leave the name out", method: "POST", path: "/api/v1/stages", body: `{"stage":"off"}`, status: 400, want: "invalid-request"},
		{name: "a stage whose smoke requests fail", method: "POST", path: "/api/v1/stages", body: `{"name":"once","stage":"enforce"}`, status: 409, want: "smoke-failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, Config{})
			w.events.Observe(t.Context(), decision("/a"))
			w.events.Observe(t.Context(), decision("/b"))
			if tt.header == nil {
				tt.header = []string{asJSON}
			}
			got := w.do(t, tt.method, tt.path, tt.body, tt.header...)
			if got.status != tt.status {
				t.Fatalf("status %d, want %d: %s", got.status, tt.status, got.body)
			}
			if tt.status >= 400 {
				if name := problemType(t, got); name != tt.want {
					t.Errorf("problem %q, want %q", name, tt.want)
				}
			} else if !strings.Contains(got.body, tt.want) {
				t.Errorf("body %s, want %s in it", got.body, tt.want)
			}
		})
	}
}

func TestDecisionsAreTheNewestFirst(t *testing.T) {
	w := start(t, Config{})
	for _, path := range []string{"/a", "/b", "/c"} {
		w.events.Observe(t.Context(), decision(path))
	}
	var got struct{ Decisions []Event }
	if err := json.Unmarshal([]byte(w.get(t, "/api/v1/decisions?limit=2").body), &got); err != nil {
		t.Fatal(err)
	}
	if d := got.Decisions; len(d) != 2 || d[0].Decision != decision("/c") || d[1].Decision != decision("/b") || d[0].ID != d[1].ID+1 {
		t.Errorf("got %+v, want /c and /b as they were made", d)
	}
}

func TestWhatAClientChangesIsChanged(t *testing.T) {
	w := start(t, Config{})
	w.do(t, "POST", "/api/v1/once/first/resolve", `{"as":"released","note":"by Ann"}`, asJSON)
	if s, err := w.once.Show(t.Context(), "first"); err != nil || s.State != once.StateReleased || s.ResolvedBy != "by Ann" {
		t.Errorf("record %+v, %v", s, err)
	}
	w.do(t, "POST", "/api/v1/stages", `{"name":"see-other","stage":"off"}`, asJSON)
	w.do(t, "POST", "/api/v1/stages", `{"name":"once","stage":"enforce"}`, asJSON)
	if got := w.rollout.Stages(); got["see-other"] != seeother.Off || got["once"] != seeother.Canary(10) {
		t.Errorf("stages %v, want see-other off, and once as it was", got)
	}
}

// They come from a map, whose order changes.
func TestStagesAreInTheOrderOfTheirNames(t *testing.T) {
	h := New(Config{}, Sources{Rollout: newRollout()})
	byName := func(a, b policyStage) int { return strings.Compare(a.Name, b.Name) }
	for range 100 {
		if rows := h.stageRows(); len(rows) != 3 || !slices.IsSortedFunc(rows, byName) {
			t.Fatalf("got %v", rows)
		}
	}
}

func TestAFailedSmokeRequestIsNamed(t *testing.T) {
	w := start(t, Config{})
	got := w.do(t, "POST", "/api/v1/stages", `{"name":"once","stage":"enforce"}`, asJSON)
	for _, want := range []string{`"failed":[{"name":"health","method":"GET","path":"/health","want":"status 200","got":"status 503"}]`, "GET /health: want status 200, got status 503"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("body %s, want %s in it", got.body, want)
		}
	}
}

func TestWhatIsLeftOutIsNotConfigured(t *testing.T) {
	var w world
	w.serve(t, Config{}, Sources{})
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/api/v1/decisions", ""},
		{"GET", "/api/v1/decisions/stream", ""},
		{"GET", "/api/v1/once", ""},
		{"GET", "/api/v1/once/first", ""},
		{"POST", "/api/v1/once/first/resolve", `{"as":"released"}`},
		{"GET", "/api/v1/stages", ""},
		{"POST", "/api/v1/stages", `{"name":"once","stage":"off"}`},
	} {
		got := w.do(t, tt.method, tt.path, tt.body, asJSON)
		if got.status != http.StatusNotFound || problemType(t, got) != "not-configured" {
			t.Errorf("%s %s: status %d", tt.method, tt.path, got.status)
		}
	}
	got := w.get(t, "/api/v1/status")
	if got.status != http.StatusOK || !strings.Contains(got.body, `"ready":true`) || strings.Contains(got.body, `"once"`) {
		t.Errorf("status %d, body %s, want it ready and without once", got.status, got.body)
	}
	for _, path := range []string{"/", "/metrics", "/readyz", "/healthz"} {
		if got := w.get(t, path); got.status != http.StatusOK {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
}

// What went wrong inside is for the log, not for the client.
func TestInternalErrorsAreLoggedAndNotSent(t *testing.T) {
	var log strings.Builder
	w := start(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	w.once.down = errors.New("disk /var/lib/secret is full")
	got := w.get(t, "/api/v1/once")
	if got.status != http.StatusInternalServerError || problemType(t, got) != "internal" || strings.Contains(got.body, "secret") {
		t.Errorf("status %d, body %s", got.status, got.body)
	}
	_ = w.server.Close() // the log is still now
	if !strings.Contains(log.String(), "disk /var/lib/secret is full") || !strings.Contains(log.String(), "path=/api/v1/once") {
		t.Errorf("log %q", log.String())
	}
}

func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		want   string
	}{
		{ErrChanged, 409, "record-changed"},
		{once.ErrResolution, 400, "invalid-request"},
		{seeother.ErrStage, 400, "invalid-request"},
		{errStopped, 503, "stopping"},
		{errStreams, 503, "too-many-streams"},
		{errors.New("boom"), 500, "internal"},
	} {
		p, known := problemOf(&wrapped{tt.err})
		if p.Type != tt.want || p.Status != tt.status || known != (tt.want != "internal") {
			t.Errorf("%v: problem %q with %d, known %t", tt.err, p.Type, p.Status, known)
		}
		if (p.Status == http.StatusServiceUnavailable) != (p.RetryAfter > 0) {
			t.Errorf("%v: Retry-After %v", tt.err, p.RetryAfter)
		}
	}
}

type wrapped struct{ err error }

func (w *wrapped) Error() string { return "wrapped: " + w.err.Error() }
func (w *wrapped) Unwrap() error { return w.err }
