package main

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/rulefiles"
	"github.com/seeother/seeother/rule"
)

// docsExample is a YAML block of a page, and the table behind it.
type docsExample struct {
	yaml string
	rows [][]string // request, answer
}

var docsBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```\n(?:\n\\| request \\| answer \\|\n\\|---\\|---\\|\n((?:\\|[^\n]*\n)+))?")

func docsExamples(t *testing.T, page string) []docsExample {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out []docsExample
	for _, m := range docsBlock.FindAllStringSubmatch(string(text), -1) {
		e := docsExample{yaml: m[1]}
		for row := range strings.Lines(m[2]) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), " | ")
			if len(cells) != 2 {
				t.Fatalf("row %q: want two cells", row)
			}
			e.rows = append(e.rows, []string{strings.Trim(cells[0], " `"), strings.Trim(cells[1], " `")})
		}
		out = append(out, e)
	}
	return out
}

// What docs/rules.md and README.md show is good, and does what it says.
func TestRulesPage(t *testing.T) {
	t.Parallel()
	examples := append(docsExamples(t, "../../docs/rules.md"), docsExamples(t, "../../README.md")...)
	rows := 0
	for _, e := range examples {
		file, err := configfile.Parse("rules.md", []byte(e.yaml))
		if err != nil {
			t.Errorf("%v\n%s", err, e.yaml)
			continue
		}
		set, err := rulefiles.Read(ruleConfig(file, "rules.md"))
		if err != nil {
			t.Errorf("%v\n%s", err, e.yaml)
			continue
		}
		set.Table.Check(rule.CheckOptions{}, func(f rule.Finding) {
			if f.Severity > rule.Info {
				t.Errorf("%s\n%s", f, e.yaml)
			}
		})
		for _, row := range e.rows {
			rows++
			if got := askTable(t, set.Table, row[0]); got != row[1] {
				t.Errorf("%s: got %q, and the page says %q", row[0], got, row[1])
			}
		}
	}
	if len(examples) < 6 || rows < 30 {
		t.Errorf("only %d examples with %d rows are found", len(examples), rows)
	}
}

// askTable says what "METHOD URL" gets.
func askTable(t *testing.T, table *rule.Table, request string) string {
	t.Helper()
	method, address, _ := strings.Cut(request, " ")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	req, m := rule.Request{Method: method, Scheme: u.Scheme, Host: u.Host, Path: u.EscapedPath(), Query: u.RawQuery}, rule.Match{}
	if !table.Match(&req, &m) || m.Passes() {
		return "the app"
	}
	one := m.Rule()
	to, err := m.AppendLocation(nil)
	if err != nil {
		return "400"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", one.StatusFor(method), to))
}
