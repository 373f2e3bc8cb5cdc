package forms

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

var updateAudits = flag.Bool("update-audits", false, "write docs/audits anew")

// auditStart is where an audit begins, with arguments of its own.
type auditStart struct {
	url  string
	args []string
}

// TestAudits walks the apps as they are. Somebody has read each report that is
// committed, finding by finding: a new one is looked at before it is written there.
func TestAudits(t *testing.T) {
	for name, start := range map[string]func(*testing.T) auditStart{
		"wordpress":    wordPressAtHome,
		"django":       func(t *testing.T) auditStart { return auditStart{url: startDjango(t, newDjango(t)).url + "/admin/"} },
		"django-admin": djangoWithin,
		"rails":        railsWithPost,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := audited(t, start(t), "../../examples/audit/"+name+".yaml")
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
func railsWithPost(t *testing.T) auditStart {
	t.Helper()
	s := startRails(t, newRails(t))
	s.sql(t, "INSERT INTO posts (title, body, created_at, updated_at) VALUES ('First', 'Text', '2026-01-01', '2026-01-01')")
	return auditStart{url: s.url + "/posts"}
}

// wordPressAtHome knows its own address, as a blog does that is installed by the
// book. That of the other tests takes it from the request.
func wordPressAtHome(t *testing.T) auditStart {
	t.Helper()
	b := newWordPress(t)
	edit(t, filepath.Join(b.www, "wp-config.php"), "define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);\ndefine('WP_SITEURL', WP_HOME);\n", "")
	s := b.start(t, "audited")
	s.reset(t)
	s.sql(t, "UPDATE wp_options SET option_value = '"+s.url+"' WHERE option_name IN ('home', 'siteurl')")
	return auditStart{url: s.url + "/"}
}

// djangoWithin is the admin for somebody who is in, and would be out again by the
// link to log out.
func djangoWithin(t *testing.T) auditStart {
	t.Helper()
	s := startDjango(t, newDjango(t))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	first, err := url.Parse(s.url + "/admin/login/")
	if err != nil {
		t.Fatal(err)
	}
	do := func(res *http.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	do(c.Get(first.String()))
	cookie := func(name string) string {
		for _, c := range jar.Cookies(first) {
			if c.Name == name {
				return c.Value
			}
		}
		t.Fatalf("there is no cookie %s", name)
		return ""
	}
	do(c.PostForm(first.String(), url.Values{"username": {adminName}, "password": {adminPassword}, "csrfmiddlewaretoken": {cookie("csrftoken")}}))
	return auditStart{s.url + "/admin/", []string{"-H", "Cookie: sessionid=" + cookie("sessionid"), "--exclude", "/admin/logout", "--per-query", "1"}}
}

// auditReport is what is committed of a report: what was found, not how long it took.
type auditReport struct {
	Findings []json.RawMessage `json:"findings"`
	Summary  json.RawMessage   `json:"summary"`
}

// audited is the report as it would be at app.test.
func audited(t *testing.T, start auditStart, submit string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	args := []string{"audit", "--rate", "-1", "--concurrency", "1", "--max", "150", "--timeout", "60s", "--submit", submit, "--output", "json=" + file}
	p := harness.Start(t, harness.Command{Path: harness.Binary, Args: append(append(args, start.args...), start.url)})
	if code := p.Exit(t); code > 1 {
		t.Fatalf("exit code %d\n%s", code, p.Out.Tail())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(start.url)
	if err != nil {
		t.Fatal(err)
	}
	var r auditReport
	// WordPress puts a hash of its address into the names of its cookies.
	text = hash.ReplaceAll(text, []byte("HASH"))
	// It redirects from another host to that host at its own port.
	masked := strings.NewReplacer(at.Host, "app.test", ".invalid:"+at.Port(), ".invalid:PORT").Replace(string(text))
	if err := json.Unmarshal([]byte(masked), &r); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

var hash = regexp.MustCompile(`[0-9a-f]{32}`)
