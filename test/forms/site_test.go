package forms

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// site is a running app.
type site struct {
	url   string
	sql   func(t *testing.T, query string) []string // rows of its database, with a separator between columns
	reset func(t *testing.T)                        // makes it as it was at first
	enter func(p *person)                           // logs in; nil: nobody has to
}

// sqlite asks the database in a file. The app's folder is {dir} in a query.
func sqlite(dir, file string) func(*testing.T, string) []string {
	file = filepath.Join(dir, file)
	return func(t *testing.T, query string) []string {
		t.Helper()
		query = strings.ReplaceAll(query, "{dir}", dir)
		out := harness.Run(t, harness.NeedCommand(t, "sqlite3"), "-cmd", ".timeout 10000", file, query)
		return lines(out)
	}
}

func lines(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// prepare runs a command that makes an app ready.
func prepare(t *testing.T, c harness.Command) {
	t.Helper()
	p := harness.Start(t, c)
	if code := p.Exit(t); code != 0 {
		t.Fatalf("%s %s: exit code %d:\n%s", c.Path, strings.Join(c.Args, " "), code, p.Out.Tail())
	}
}

// copyTree copies a folder, with what its links lead to.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-rL", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
}
