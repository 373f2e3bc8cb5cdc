package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/dependencies.md says of each direct dependency why it is there. A
// dependency without a reason, and a reason without a dependency, both fail.
func TestEveryDirectDependencyHasAReason(t *testing.T) {
	t.Parallel()
	required := directRequirements(read(t, "go.mod"))
	documented := documentedModules(read(t, "docs/dependencies.md"))
	if len(required) == 0 {
		t.Fatal("go.mod has no direct requirement: is it tidy?")
	}
	for _, m := range required {
		if !slices.Contains(documented, m) {
			t.Errorf("go.mod requires %s: add a line to docs/dependencies.md that says why, and what the alternative was", m)
		}
	}
	for _, m := range documented {
		if !slices.Contains(required, m) {
			t.Errorf("docs/dependencies.md lists %s, which go.mod does not require directly: remove the line", m)
		}
	}
}

func TestDirectRequirements(t *testing.T) {
	t.Parallel()
	got := directRequirements("module m\n\ngo 1.26.0\n\nrequire one.example/a v1.0.0\n\nrequire (\n" +
		"\ttwo.example/b v1.0.0\n\tthree.example/c/v2 v2.0.0 // indirect\n)\n\nexclude (\n\tfour.example/d v1.0.0\n)\n")
	if want := []string{"one.example/a", "two.example/b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// directRequirements lists the modules that a go.mod requires without the
// comment "// indirect".
func directRequirements(mod string) []string {
	var found []string
	block := ""
	for line := range strings.Lines(mod) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			continue
		case words[0] == ")":
			block = ""
			continue
		case len(words) == 2 && words[1] == "(":
			block = words[0]
			continue
		case block != "":
			words = append([]string{block}, words...)
		}
		if words[0] == "require" && len(words) >= 3 && !strings.Contains(line, "// indirect") {
			found = append(found, words[1])
		}
	}
	return found
}

// documentedModules lists the first cell of each row of the tables:
// "| `module` | ...".
func documentedModules(doc string) []string {
	var found []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(doc, -1) {
		found = append(found, row[1])
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
