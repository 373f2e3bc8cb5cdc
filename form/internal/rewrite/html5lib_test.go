package rewrite

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The pages of the html5lib tests, which come with golang.org/x/net, as they are
// and with a form behind them, and within.
func TestTheTreesOfHTML5LibStayTheSame(t *testing.T) {
	t.Parallel()
	pages := html5lib(t)
	if len(pages) < 1500 {
		t.Errorf("only %d pages were found", len(pages))
	}
	for _, page := range pages {
		checkPage(t, page, 3)
		checkPage(t, page+`<form method=post action=/x><button formaction=/y>`, 1)
		for i := range len(page) {
			if page[i] == '<' {
				checkPage(t, page[:i]+`<form method=post action=/x>`+page[i:], 7)
			}
		}
	}
}

func html5lib(t testing.TB) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/net").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "html/testdata/*/*/*.dat"))
	if err != nil {
		t.Fatal(err)
	}
	var pages []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range strings.Split("\n"+string(data), "\n#data\n")[1:] {
			page, _, _ := strings.Cut(test, "\n#errors")
			pages = append(pages, page)
		}
	}
	return pages
}
