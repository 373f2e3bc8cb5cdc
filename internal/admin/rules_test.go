package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rulesFake is a Rules of two rules.
type rulesFake struct {
	summary RulesSummary
	asked   []RuleQuery
	down    error
}

func newRulesFake() *rulesFake {
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	return &rulesFake{summary: RulesSummary{
		Rules: 2, Files: []RulesFile{{"_redirects", 2}}, Loaded: at, Warnings: 1, Refused: "_redirects:1: error: <b>loop</b>", RefusedAt: at,
	}}
}

func (f *rulesFake) Summary() RulesSummary { return f.summary }

func (f *rulesFake) List(_ context.Context, q RuleQuery) (RulePage, error) {
	f.asked = append(f.asked, q)
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	switch {
	case f.down != nil:
		return RulePage{}, f.down
	case q.Cursor == "old":
		return RulePage{}, fmt.Errorf("%w: the rules were read again", ErrInvalid)
	case q.Which == RulesYoung:
		return RulePage{Now: at, Total: 2, Used: 1, Unused: 1}, nil
	}
	return RulePage{Now: at, Since: q.Since, Total: 2, Used: 1, Unused: 1, Rules: []RuleUse{
		{File: "_redirects", Line: 1, Matches: "/old", Answer: "301", Target: "/new", Stage: "enforce", Hits: 7, Last: at, First: at},
		{Name: "second", File: "_redirects", Line: 2, Matches: "~ ^/x", Answer: "gone", Stage: "canary 5%", First: at},
	}, Cursor: "next"}, nil
}

func startWithRules(t *testing.T, rules Rules) *world {
	t.Helper()
	w := &world{metrics: NewMetrics()}
	w.serve(t, Config{}, Sources{Rules: rules, Metrics: w.metrics})
	return w
}

func TestRulesAPI(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		status     int
		want       string
	}{
		{"what is in force", "/api/v1/rules", 200, `{"rules":2,"files":[{"file":"_redirects","rules":2}],"loaded":"2026-11-24T00:00:00Z","warnings":1,"refused":"_redirects:1: error: `},
		{"the list", "/api/v1/rules/list", 200, `{"now":"2026-11-24T00:00:00Z","total":2,"used":1,"unused":1,"young":0,"rules":[{"file":"_redirects","line":1,"matches":"/old","answer":"301","target":"/new","stage":"enforce","hits":7,"last":"2026-11-24T00:00:00Z","first":"2026-11-24T00:00:00Z"},`},
		{"the unused", "/api/v1/rules/list?which=unused&since=2026-01-01&limit=5", 200, `"since":"2026-01-01T00:00:00Z"`},
		{"none are a list, too", "/api/v1/rules/list?which=young", 200, `"rules":[],"cursor":""`},
		{"a cursor of other rules", "/api/v1/rules/list?cursor=old", 400, "invalid-request"},
		{"a kind that is none", "/api/v1/rules/list?which=old", 400, "invalid-request"},
		{"a day that is none", "/api/v1/rules/list?since=90d", 400, "invalid-request"},
		{"a limit above all", "/api/v1/rules/list?limit=1001", 400, "invalid-request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := startWithRules(t, newRulesFake())
			got := w.get(t, tt.path)
			if got.status != tt.status || !strings.Contains(got.body, tt.want) {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, tt.status, tt.want)
			}
		})
	}
}

func TestRulesListIsAskedForWhatTheQuerySays(t *testing.T) {
	rules := newRulesFake()
	w := startWithRules(t, rules)
	w.get(t, "/api/v1/rules/list")
	w.get(t, "/api/v1/rules/list?which=unused&since=2026-01-02&limit=5&cursor=c")
	want := []RuleQuery{{Which: RulesAll, Limit: 100}, {Which: RulesUnused, Since: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Cursor: "c", Limit: 5}}
	if len(rules.asked) != 2 || rules.asked[0] != want[0] || rules.asked[1] != want[1] {
		t.Errorf("got %+v, want %+v", rules.asked, want)
	}
	rules.down = errors.New("the disk is full")
	if got := w.get(t, "/api/v1/rules/list"); got.status != 500 || strings.Contains(got.body, "disk") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestNoRulesSource(t *testing.T) {
	w := start(t, Config{})
	for _, path := range []string{"/api/v1/rules", "/api/v1/rules/list"} {
		if got := w.get(t, path); got.status != http.StatusNotFound || !strings.Contains(got.body, "not-configured") {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
}

func TestPageCountsRules(t *testing.T) {
	got := startWithRules(t, newRulesFake()).get(t, "/")
	if !strings.Contains(got.body, "<dt>Redirect rules</dt><dd>2</dd>") {
		t.Errorf("got %s", got.body)
	}
}

func TestRulesMetrics(t *testing.T) {
	w := startWithRules(t, newRulesFake())
	values := func() string {
		var out []string
		for line := range strings.Lines(w.get(t, "/metrics").body) {
			if strings.HasPrefix(line, "seeother_rules") {
				out = append(out, strings.TrimSpace(line))
			}
		}
		return strings.Join(out, "\n")
	}
	w.metrics.RulesLoaded(3, time.Unix(1e9, 5e8))
	w.metrics.RulesRefused()
	want := `seeother_rules 3
seeother_rules_loaded_timestamp_seconds 1.0000000005e+09
seeother_rules_reload_total{result="ok"} 1
seeother_rules_reload_total{result="refused"} 1
seeother_rules_stale 1`
	if got := values(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	w.metrics.RulesLoaded(0, time.Time{})
	want = `seeother_rules 0
seeother_rules_loaded_timestamp_seconds 0
seeother_rules_reload_total{result="ok"} 2
seeother_rules_reload_total{result="refused"} 1
seeother_rules_stale 0`
	if got := values(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A detail names files, so it is told only to those with access.
func TestReadyTellsDetails(t *testing.T) {
	w := &world{}
	w.serve(t, Config{Token: token}, Sources{Ready: Checks(Probe{
		Name: "rules", Run: func(context.Context) error { return nil }, Detail: func() string { return "older rules are in force" },
	})})
	for header, want := range map[string]string{"": "", "Authorization: Bearer " + token: "older rules are in force"} {
		var lines []string
		if header != "" {
			lines = []string{header}
		}
		got := w.get(t, "/readyz", lines...)
		var out readiness
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status != 200 || len(out.Checks) != 1 || out.Checks[0].Detail != want {
			t.Errorf("%q: got %d %s", header, got.status, got.body)
		}
	}
}
