package differential

import (
	"os"
	"strings"
	"testing"
)

// The list is closed, short, and explained.
func TestClassesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/import-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(Classes) > 10 {
		t.Errorf("%d classes, want at most 10", len(Classes))
	}
	seen := map[string]bool{}
	for _, c := range Classes {
		if seen[c.Name] || c.Why == "" {
			t.Errorf("class %q: twice, or without a reason", c.Name)
		}
		seen[c.Name] = true
		if !strings.Contains(string(text), "\n| `"+c.Name+"` | ") {
			t.Errorf("class %q is not in docs/import-differences.md", c.Name)
		}
	}
}
