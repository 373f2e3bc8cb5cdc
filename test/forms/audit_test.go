package forms

import (
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

var updateAudits = flag.Bool("update-audits", false, "write docs/audits anew")

// TestAudits walks the apps as they are. Somebody has read each report that is
// committed, finding by finding: a new one is looked at before it is written there.
func TestAudits(t *testing.T) {
	for name, start := range map[string]func(*testing.T) string{
		"wordpress": func(t *testing.T) string {
			s := newWordPress(t).start(t, "audited")
			s.reset(t)
			return s.url + "/"
		},
		"django": func(t *testing.T) string { return startDjango(t, newDjango(t)).url + "/admin/" },
		"rails":  railsWithPost,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := start(t)
			got := audited(t, first, "../../examples/audit/"+name+".yaml")
			file := "../../docs/audits/" + name + ".json"
			if *updateAudits {
				write(t, file, got)
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the report is\n%s\nand %s has\n%s", got, file, want)
			}
		})
	}
}

// railsWithPost is a scaffold that has a post.
func railsWithPost(t *testing.T) string {
	t.Helper()
	s := startRails(t, newRails(t))
	s.sql(t, "INSERT INTO posts (title, body, created_at, updated_at) VALUES ('First', 'Text', '2026-01-01', '2026-01-01')")
	return s.url + "/posts"
}

// auditReport is what is committed of a report: what was found, not how long it took.
type auditReport struct {
	Findings []json.RawMessage `json:"findings"`
	Summary  json.RawMessage   `json:"summary"`
}

// audited is the report as it would be on port 80 of shop.test.
func audited(t *testing.T, first, submit string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	p := harness.Start(t, harness.Command{Path: harness.Binary, Args: []string{
		"audit", "--rate", "-1", "--concurrency", "1", "--max", "150", "--timeout", "60s", "--submit", submit, "--output", "json=" + file, first,
	}})
	if code := p.Exit(t); code > 1 {
		t.Fatalf("exit code %d\n%s", code, p.Out.Tail())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	var r auditReport
	// WordPress puts a hash of its address into the names of its cookies.
	text = hash.ReplaceAll(text, []byte("HASH"))
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), at.Host, "app.test")), &r); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

var hash = regexp.MustCompile(`[0-9a-f]{32}`)
