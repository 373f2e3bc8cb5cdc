package rule

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const checksPage = "../docs/checks.md"

// section is what the page says of one id.
type section struct {
	id, text     string
	found, mends string // blocks of JSON Lines
}

func sectionsOf(t *testing.T) (out []section) {
	t.Helper()
	page, err := os.ReadFile(checksPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(page), "\n## ")[1:] {
		part, _, _ = strings.Cut(part, "\n# ")
		id, text, _ := strings.Cut(part, "\n")
		s := section{id: id, text: text}
		blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(text, -1)
		if len(blocks) == 2 {
			s.found, s.mends = blocks[0][1], blocks[1][1]
		} else if len(blocks) != 0 {
			t.Errorf("%s: want two blocks, got %d", id, len(blocks))
		}
		out = append(out, s)
	}
	return out
}

// The page has a section for each id, in their order, and says of it what the
// program says.
func TestChecksPageSaysWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	sections := sectionsOf(t)
	checks := Checks()
	if len(sections) != len(checks) {
		t.Errorf("%d sections for %d ids", len(sections), len(checks))
	}
	for i := range min(len(sections), len(checks)) {
		c, s := checks[i], sections[i]
		want := fmt.Sprintf("\n%s.\n\n- Severity: %s\n- Client: %s\n- Mend: %s\n", strings.ToUpper(c.Title[:1])+c.Title[1:], c.Severity, c.Client, c.Mend)
		if s.id != c.ID || !strings.HasPrefix(s.text, want) {
			t.Errorf("section %q: want %q and%s", s.id, c.ID, want)
		}
	}
}

// Each example has its finding, and the same rules mended do not.
func TestExamplesOfTheChecksPage(t *testing.T) {
	t.Parallel()
	for _, s := range sectionsOf(t) {
		if s.found == "" {
			if checkOf(s.id) != nil {
				t.Errorf("%s: no example", s.id)
			}
			continue
		}
		if ids := idsOf(t, s.found); !slices.Contains(ids, s.id) {
			t.Errorf("%s: the example has only %q", s.id, ids)
		}
		for _, id := range idsOf(t, s.mends) {
			if id == s.id || id == CheckInvalid {
				t.Errorf("%s: the mended example has %s", s.id, id)
			}
		}
	}
}

func idsOf(t *testing.T, lines string) (ids []string) {
	t.Helper()
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(lines)), nil }
	table, found, err := Load([]Source{{File: "example.jsonl", Format: FormatJSONL, Open: open}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	table.Check(CheckOptions{}, func(f Finding) { found = append(found, f) })
	for _, f := range found {
		ids = append(ids, f.ID)
	}
	return ids
}

// Every id that the code uses is on the list, and every id of the list is used.
func TestEveryIDIsListed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{"too-many-findings": true}
	literal := regexp.MustCompile(`(?:find|fail|warn|failed)\((?:\w+, )?"([a-z0-9-]+)"|ID: "([a-z0-9-]+)"`)
	constant := regexp.MustCompile(`Check[A-Z]\w+`)
	ids := map[string]string{}
	for _, dir := range []string{".", "../internal/rulefiles"} {
		for _, file := range goFiles(t, dir) {
			text, err := os.ReadFile(dir + "/" + file)
			if err != nil {
				t.Fatal(err)
			}
			if file == "checklist.go" {
				for _, m := range regexp.MustCompile(`(Check\w+)\s+= "([a-z0-9-]+)"`).FindAllStringSubmatch(string(text), -1) {
					ids[m[1]] = m[2]
				}
				continue
			}
			for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
				used[m[1]+m[2]] = true
			}
			for _, name := range constant.FindAllString(string(text), -1) {
				used[name] = true
			}
		}
	}
	listed := map[string]bool{}
	for _, c := range Checks() {
		if listed[c.ID] {
			t.Errorf("%s is listed twice", c.ID)
		}
		listed[c.ID] = true
	}
	for name, id := range ids {
		used[id] = used[id] || used[name]
	}
	for id := range used {
		if !listed[id] && !strings.HasPrefix(id, "Check") {
			t.Errorf("id %q is not on the list", id)
		}
	}
	for id := range listed {
		if !used[id] {
			t.Errorf("id %q is used nowhere", id)
		}
	}
}

func goFiles(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			out = append(out, e.Name())
		}
	}
	return out
}
