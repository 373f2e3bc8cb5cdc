package importer_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/rule/importer"
)

// platformCase is a file, the rules that come of it as JSON, and the notes, each
// as its line, kind and a part of the reason.
type platformCase struct {
	name  string
	in    string
	rules []string
	notes []string
}

func runPlatform(t *testing.T, f importer.Format, mode rule.Mode, cases []platformCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res, err := importer.Import(f, "file", strings.NewReader(c.in), importer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if res.Mode != mode {
				t.Errorf("mode %s, want %s", res.Mode, mode)
			}
			c.compare(t, res)
		})
	}
}

func (c *platformCase) compare(t *testing.T, res *importer.Result) {
	t.Helper()
	for i := range max(len(res.Rules), len(c.rules)) {
		got, want := "none", "none"
		if i < len(res.Rules) {
			got = ruleJSON(t, &res.Rules[i])
		}
		if i < len(c.rules) {
			want = c.rules[i]
		}
		if got != want {
			t.Errorf("rule %d\n got %s\nwant %s", i+1, got, want)
		}
	}
	for i := range max(len(res.Notes), len(c.notes)) {
		switch {
		case i >= len(res.Notes):
			t.Errorf("no note for %q", c.notes[i])
		case i >= len(c.notes):
			t.Errorf("note %q, want none", res.Notes[i])
		default:
			n := res.Notes[i]
			head, reason, _ := strings.Cut(c.notes[i], ": ")
			if got := fmt.Sprintf("%d %s", n.Line, n.Kind); got != head || !strings.Contains(n.Reason, reason) || n.Text == "" {
				t.Errorf("note %q, want %q", n, c.notes[i])
			}
		}
	}
}

func ruleJSON(t *testing.T, r *rule.Rule) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

// fuzzImport reads whatever comes: no panic, valid rules, and a note for what is
// none.
func fuzzImport(f *testing.F, format importer.Format, seeds ...string) {
	f.Helper()
	for _, s := range seeds {
		f.Add(s)
	}
	for _, s := range []string{"", "\ufeff", "\x00", "\xff\xfe", "{}", "[]", "/a /b\r\n", strings.Repeat("[", 2000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		res, err := importer.Import(format, "file", strings.NewReader(text), importer.Options{})
		if err != nil {
			return
		}
		if res.Count != len(res.Rules) {
			t.Errorf("count %d of %d rules", res.Count, len(res.Rules))
		}
		for i := range res.Rules {
			if err := res.Rules[i].Validate(); err != nil {
				t.Errorf("rule %d of %q: %v", i+1, text, err)
			}
		}
		for _, n := range res.Notes {
			if n.Reason == "" || n.Nearest > res.Count || strings.ContainsAny(n.Text, "\n\x00") {
				t.Errorf("note %+v", n)
			}
		}
	})
}
