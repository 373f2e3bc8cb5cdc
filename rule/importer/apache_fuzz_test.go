package importer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule"
)

func FuzzApache(f *testing.F) {
	files, err := filepath.Glob("testdata/apache/*.*")
	if err != nil || len(files) == 0 {
		f.Fatal("no original files", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.HasSuffix(file, ".htaccess"), string(text))
	}
	for _, c := range [][]apacheCase{aliasCases, rewriteCases, htaccessCases} {
		for i := range c {
			f.Add(i%2 == 0, c[i].text)
		}
	}
	f.Fuzz(func(t *testing.T, folder bool, text string) {
		if len(text) > 16<<10 {
			return
		}
		format := Apache
		if folder {
			format = Htaccess
		}
		res, err := Import(format, "f", strings.NewReader(text), Options{Host: "example.com"})
		if err != nil {
			if !errors.Is(err, ErrTooLarge) {
				t.Error(err)
			}
			return
		}
		b := rule.NewBuilder(rule.Options{})
		b.Begin("f", res.Mode)
		for i := range res.Rules {
			if err := b.Add(&res.Rules[i]); err != nil {
				t.Errorf("rule %d, %+v: %v", i+1, res.Rules[i], err)
			}
		}
		for _, n := range res.Notes {
			if n.Reason == "" || n.Line < 1 || n.Line > res.Lines || n.Nearest > res.Count {
				t.Errorf("note %+v of %d lines and %d rules", n, res.Lines, res.Count)
			}
		}
	})
}
