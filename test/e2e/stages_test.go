package e2e

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

func TestReportOnlyChangesNothing(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	g := harness.RunGateway(t, app.url, "--report-only")
	for _, r := range []request{{method: "POST", url: "/form"}, {method: "DELETE", url: "/users/123"}, {method: "GET", url: "/users"}} {
		there, here := r, r
		there.url, here.url = app.url+r.url, g.URL+r.url
		direct, through := send(t, there), send(t, here)
		direct.header.Del("Date")
		through.header.Del("Date")
		if !reflect.DeepEqual(direct, through) {
			t.Errorf("%s %s: the app answers %+v, and through the gateway %+v", r.method, r.url, direct, through)
		}
	}
	twice := order(g.URL, "twice", 0)
	for range 2 {
		if a := send(t, twice); a.status != http.StatusCreated || a.replayed() {
			t.Errorf("an order = %d %s, want 201 from the app", a.status, a.body)
		}
	}
	malformed := order(g.URL, "malformed", 0)
	malformed.key = `"open`
	if a := send(t, malformed); a.status != http.StatusCreated {
		t.Errorf("an order with a malformed key = %d, want 201", a.status)
	}
	app.want(t, "twice", 2)
	for _, line := range []string{
		"POST /form  302 -> 303  (report: not changed)",
		"DELETE /users/123  302 -> 303  (report: not changed)  browsers send DELETE /users",
		"once: repeated  (report: not changed)",
		"once: malformed  (report: not changed)",
	} {
		g.AwaitLog(t, line)
	}
	if code, out := seeother(t, nil, "stage", "set", "see-other", "enforce", "--admin", g.AdminAddr); code != 1 || !strings.Contains(out, "report_only") {
		t.Errorf("stage set = exit code %d, want 1 and the reason:\n%s", code, out)
	}
}

const smokeConfig = `
see_other: {stage: report}
smoke:
  - {name: list, path: /users, expect: {contains: users}}
  - {name: well, path: /health}
`

// wantDeletes fails unless the gateway answers status to a DELETE.
func wantDeletes(t *testing.T, g *harness.Gateway, status int) {
	t.Helper()
	if a := send(t, request{method: "DELETE", url: g.URL + "/users/123"}); a.status != status {
		t.Errorf("DELETE /users/123 = %d, want %d", a.status, status)
	}
}

func TestStageRisesOnlyBehindSmokeRequests(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	g := harness.RunGateway(t, app.url, "--config", writeFile(t, "seeother.yaml", smokeConfig))
	wantDeletes(t, g, http.StatusFound)

	app.sick.Store(true)
	code, out := seeother(t, nil, "stage", "set", "see-other", "enforce", "--admin", g.AdminAddr)
	wantRefusal(t, code, out, 1, "well: GET /health: want status 200, got status 500")
	if strings.Contains(out, "list:") {
		t.Errorf("a request that passed is named:\n%s", out)
	}
	wantDeletes(t, g, http.StatusFound)

	app.sick.Store(false)
	code, out = seeother(t, nil, "stage", "set", "see-other", "enforce", "--admin", g.AdminAddr)
	if code != 0 {
		t.Fatalf("stage set = exit code %d:\n%s", code, out)
	}
	wantDeletes(t, g, http.StatusSeeOther)

	// Going back needs no smoke requests, and what was set outlives a restart.
	app.sick.Store(true)
	harness.Run(t, harness.Binary, "stage", "set", "see-other", "off", "--admin", g.AdminAddr)
	wantDeletes(t, g, http.StatusFound)
	g.Kill()
	g.Again(t, "--config", writeFile(t, "seeother.yaml", smokeConfig))
	if list := harness.Run(t, harness.Binary, "stage", "list", "--admin", g.AdminAddr); !strings.Contains(list, "see-other  off\n") {
		t.Errorf("after a restart the stages are\n%s", list)
	}

	code, out = seeother(t, nil, "stage", "set", "nothing", "off", "--admin", g.AdminAddr)
	wantRefusal(t, code, out, 1, `"nothing"`, "stage list")
}

func TestReload(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	file := writeFile(t, "seeother.yaml", "see_other: {stage: report}\n")
	rewrite := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := harness.RunGateway(t, app.url, "--config", file)
	wantDeletes(t, g, http.StatusFound)

	rewrite("see_other: {stage: enforced}\n")
	g.Signal(t, syscall.SIGHUP)
	g.AwaitLog(t, file+":1:20:")
	wantDeletes(t, g, http.StatusFound)

	rewrite("see_other: {stage: enforce}\n")
	g.Signal(t, syscall.SIGHUP)
	g.AwaitLog(t, "the configuration is read again")
	wantDeletes(t, g, http.StatusSeeOther)

	// One that waits for smoke requests rises by itself once they pass.
	rewrite("see_other: {stage: off}\n")
	g.Signal(t, syscall.SIGHUP)
	harness.Eventually(t, "the stage to fall", func() bool {
		return strings.Contains(harness.Run(t, harness.Binary, "stage", "list", "--admin", g.AdminAddr), "see-other  off\n")
	})
	app.sick.Store(true)
	rewrite("smoke: [{name: well, path: /health}]\n")
	g.Signal(t, syscall.SIGHUP)
	g.AwaitLog(t, "smoke request failed")
	wantDeletes(t, g, http.StatusFound)
	app.sick.Store(false)
	g.Signal(t, syscall.SIGHUP)
	g.AwaitLog(t, "smoke requests passed")
	wantDeletes(t, g, http.StatusSeeOther)
}

func TestCanaryIsTheSameForOneClient(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	config := "trust: {proxies: [127.0.0.1]}\nsee_other: {stage: canary 50%}\n"
	g := harness.RunGateway(t, app.url, "--config", writeFile(t, "seeother.yaml", config))
	const clients = 60
	first := make([]int, clients)
	count := map[int]int{}
	for round := range 2 {
		for i := range clients {
			client := map[string]string{"X-Forwarded-For": fmt.Sprintf("203.0.113.%d", i)}
			a := send(t, request{method: "DELETE", url: g.URL + "/users/123", header: client})
			count[a.status]++
			if round == 0 {
				first[i] = a.status
				continue
			}
			if a.status != first[i] {
				t.Errorf("client %d got %d, and then %d", i, first[i], a.status)
			}
		}
	}
	// 60 fair coins are below 12 or above 48 once in a million times.
	if count[302]+count[303] != 2*clients || count[303] < 24 || count[303] > 96 {
		t.Errorf("canary 50%% answered %v, want 302 and 303 for about a half each", count)
	}
	g.AwaitLog(t, "(canary 50%: not changed)")
}
