package guide

import (
	"fmt"
	"go/build"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryStatusSaysAllOfIt(t *testing.T) {
	t.Parallel()
	want := []int{201, 202, 300, 301, 302, 303, 304, 305, 306, 307, 308, 405, 409, 410, 422, 425, 428, 429, 503}
	if !slices.Equal(Codes(), want) {
		t.Errorf("codes %v, want %v", Codes(), want)
	}
	for _, code := range Codes() {
		s, _ := StatusOf(code)
		for _, text := range []string{s.Name, s.Method, s.Body, s.Caching, s.Use, s.NotWhen} {
			if text == "" {
				t.Errorf("%d: something is not said", code)
			}
		}
		if len(s.Sources) == 0 {
			t.Errorf("%d: no source", code)
		}
		if name := http.StatusText(code); name != s.Name && code != 306 && code != 422 {
			t.Errorf("%d: %q, want %q", code, s.Name, name)
		}
	}
	if _, ok := StatusOf(200); ok {
		t.Error("there is a reference for 200")
	}
}

func TestARecipeIsWholeAndNamesItsStatus(t *testing.T) {
	t.Parallel()
	for _, code := range Codes() {
		s, _ := StatusOf(code)
		if n := len(s.Recipes); n != 15 && n != 0 {
			t.Errorf("%d: %d recipes", code, n)
		}
		for _, r := range s.Recipes {
			if strings.Contains(r.Line, "%!") || strings.HasSuffix(r.Line, " ") || strings.Contains(r.Line, "()") && r.Framework == "Go" {
				t.Errorf("%d %s: %q is not whole", code, r.Framework, r.Line)
			}
		}
	}
}

// The constants of Go's recipes exist.
func TestGoRecipesNameConstants(t *testing.T) {
	t.Parallel()
	file := filepath.Join(build.Default.GOROOT, "src", "net", "http", "status.go")
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range Codes() {
		name := strings.TrimPrefix(goWords()[code], "http.")
		if recipes(code) != nil && !strings.Contains(string(source), fmt.Sprintf("\t%s ", name)) {
			t.Errorf("%d: there is no net/http.%s", code, name)
		}
	}
}
