package rule

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func ids(findings []Finding) (list []string) {
	for _, f := range findings {
		list = append(list, fmt.Sprintf("%d %s", f.Line, f.ID))
	}
	return list
}

func TestLoadNamesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, dir, "folder.csv/inner.csv", "/a,/b\n")
	write(t, dir, "empty.csv", "")
	write(t, dir, "notes.txt", "/a,/b\n")
	write(t, dir, "good.csv", "/a,/b\n")
	write(t, dir, "bad.jsonl", "{}\nx\n")
	write(t, dir, "yaml.yaml", "rules: []\n")
	secret := write(t, dir, "secret.csv", "/a,/b\n")
	if err := os.Chmod(secret, 0); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		source Source
		want   []string
		rules  int
	}{
		{"a good file", Source{File: at("good.csv")}, nil, 1},
		{"a file that is not there", Source{File: at("none.csv")}, []string{"0 unreadable"}, 0},
		{"a folder in the place of a file", Source{File: at("folder.csv")}, []string{"0 not-a-file"}, 0},
		{"a device", Source{File: "/dev/zero", Format: FormatCSV}, []string{"0 not-a-file"}, 0},
		{"a name with NUL", Source{File: "a\x00.csv"}, []string{"0 unreadable"}, 0},
		{"an empty file", Source{File: at("empty.csv")}, []string{"0 empty-file"}, 0},
		{"a pattern that matches nothing", Source{File: at("*.redirects")}, []string{"0 no-files"}, 0},
		{"a pattern that matches a folder only", Source{File: at("folder*")}, []string{"0 no-files"}, 0},
		{"a pattern that is malformed", Source{File: at("[a")}, []string{"0 no-files"}, 0},
		{"a pattern", Source{File: at("go?d.csv")}, nil, 1},
		{"a pattern over folders", Source{File: at("*/*.csv")}, nil, 1},
		{"a name without a format", Source{File: at("notes.txt")}, []string{"0 unknown-format"}, 0},
		{"a name without a format, and the format", Source{File: at("notes.txt"), Format: FormatCSV}, nil, 1},
		{"a format that is read elsewhere", Source{File: at("yaml.yaml")}, []string{"0 unknown-format"}, 0},
		{"bad lines", Source{File: at("bad.jsonl")}, []string{"1 invalid", "1 invalid", "2 invalid"}, 0},
		{
			"a file that breaks off",
			Source{File: "x.csv", Open: func() (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("/a,/b\n"), iotest.ErrReader(errors.New("disk on fire")))), nil
			}},
			[]string{"0 unreadable"},
			1,
		},
		{"rules that were read elsewhere", Source{File: "x.yaml", Rules: []Rule{{Path: "/a", Target: "/b", Intent: Moved}}}, nil, 1},
		{"and a wrong one", Source{File: "x.yaml", Rules: []Rule{{Path: "/a", Target: "{b}", Intent: Moved, Pos: Position{"y.yaml", 7, 3}}}}, []string{"7 invalid"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, findings, err := Load([]Source{tt.source}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := ids(findings); !slices.Equal(got, tt.want) {
				t.Errorf("findings %q, want %q", got, tt.want)
			}
			if table.Len() != tt.rules {
				t.Errorf("%d rules, want %d", table.Len(), tt.rules)
			}
			for _, f := range findings {
				if f.File == "" || strings.Contains(f.Message, "%!") {
					t.Errorf("finding %+v", f)
				}
			}
		})
	}
	if os.Getuid() != 0 { // root reads everything
		if _, findings, _ := Load([]Source{{File: secret}}, Options{}); len(findings) != 1 || findings[0].ID != "unreadable" {
			t.Errorf("a file without permission: %v", findings)
		}
	}
}

func TestLoadKeepsTheOrderOfSources(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1.redirects", "/x/* /first 302!\n")
	write(t, dir, "2.csv", "/x/y,/second\n/z,/second\n")
	write(t, dir, "3.redirects", "/z /third 302!\n/w /third 302!\n")
	table, findings, err := Load([]Source{
		{File: filepath.Join(dir, "1.redirects")},
		{File: "inline", Rules: []Rule{{Path: "/v", Target: "/inline", Status: 303}}},
		{File: filepath.Join(dir, "?.*")},
	}, Options{})
	if err != nil || len(findings) > 0 {
		t.Fatal(findings, err)
	}
	if table.Len() != 6 {
		t.Errorf("%d rules, want 6: a file that two sources name counts once", table.Len())
	}
	for url, want := range map[string]string{"/x/y": "302 /first", "/z": "308 /second", "/w": "302 /third", "/v": "303 /inline"} {
		if got := matched(t, table, url); got != want {
			t.Errorf("%s gets %q, want %q", url, got, want)
		}
	}
	if pos := table.Rule(2).Pos; pos.File != filepath.Join(dir, "2.csv") || pos.Line != 1 {
		t.Errorf("rule 2 stands at %s", pos)
	}
}

func TestLoadTakesTheModeOfTheSource(t *testing.T) {
	file := write(t, t.TempDir(), "a.csv", "path,target\n/a/*,/b\n/a/c,/d\n")
	for mode, want := range map[Mode]string{Specific: "308 /d", FileOrder: "308 /b"} {
		table, _, err := Load([]Source{{File: file, Mode: mode}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := matched(t, table, "/a/c"); got != want {
			t.Errorf("%s: %q, want %q", mode, got, want)
		}
	}
}

func TestLoadBoundsFilesAndFindings(t *testing.T) {
	dir := t.TempDir()
	for i := range MaxFiles + 3 {
		write(t, dir, fmt.Sprintf("%04d.csv", i), "/a,/b\n")
	}
	table, findings, err := Load([]Source{{File: filepath.Join(dir, "*.csv")}}, Options{})
	if err != nil || table.Len() != MaxFiles || len(findings) != 1 || findings[0].ID != "too-many-files" {
		t.Errorf("%d rules, %v, %v", table.Len(), findings, err)
	}
	file := write(t, dir, "bad.redirects", strings.Repeat("/a\n/b /{x}/:y/:\n/c https://$/\n", 2*MaxFindings))
	_, findings, err = Load([]Source{{File: file}}, Options{})
	if err != nil || len(findings) > 2*MaxFindings+1 {
		t.Errorf("%d findings, %v", len(findings), err)
	}
	last := findings[len(findings)-1]
	if last.ID != "too-many-findings" || last.Severity != Error || !strings.HasPrefix(last.Message, "4000 ") {
		t.Errorf("the last finding is %v", last)
	}
}

func TestLoadSortsFindingsByLine(t *testing.T) {
	file := write(t, t.TempDir(), "a.csv", "path,target,status\n/a,{x},\n/b,/c,no\n/d,{x},\n/e,/f,no\n")
	_, findings, err := Load([]Source{{File: file}}, Options{})
	if got := ids(findings); err != nil || !slices.Equal(got, []string{"2 invalid", "3 invalid", "4 invalid", "5 invalid"}) {
		t.Errorf("%q, %v", got, err)
	}
	if f := findings[0]; f.Column != 4 || f.Field != "target" {
		t.Errorf("%+v, want column 4 and the field", f)
	}
}

func TestLoadRefusesBadOptions(t *testing.T) {
	if _, _, err := Load(nil, Options{Canonical: Canonical{HTTPS: true}}); err == nil {
		t.Error("https without an origin was taken")
	}
}

func TestLoadOfManyBatchesLosesNothing(t *testing.T) {
	for _, n := range []int{0, 1, batchSize - 1, batchSize, batchSize + 1, batchSize*batchCount*3 + 5} {
		file := write(t, t.TempDir(), "_redirects", string(redirectsFile(n)))
		table, findings, err := Load([]Source{{File: file}}, Options{})
		if err != nil || table.Len() != n || n > 0 && len(findings) > 0 {
			t.Errorf("%d rules of %d, %v, %v", table.Len(), n, findings, err)
		}
		for i := range n {
			if got, want := table.Rule(i).Path, fmt.Sprintf("/products/item-%07d/page", i); got != want {
				t.Fatalf("rule %d is for %s", i, got)
			}
		}
	}
}

// A file that was cut off must not take the rules of the live table away.
func TestLoadRefusesFilesWithoutRules(t *testing.T) {
	for name, text := range map[string]string{
		"_redirects": "", "a.redirects": "# nothing\n\n", "a.csv": "path,target\n", "b.csv": "", "c.csv": "path,target,colour\n", "a.jsonl": "\n", "b.jsonl": `{"seeother":"rules/1"}`,
	} {
		file := write(t, t.TempDir(), name, text)
		_, findings, err := Load([]Source{{File: file}}, Options{})
		if err != nil || !slices.ContainsFunc(findings, func(f Finding) bool { return f.ID == "empty-file" && f.Severity == Error && f.Mend != "" }) {
			t.Errorf("%s of %q: %v, %v", name, text, findings, err)
		}
	}
	if _, findings, err := Load([]Source{{File: "x.yaml", Rules: []Rule{}}}, Options{}); err != nil || len(findings) > 0 {
		t.Errorf("no rules in YAML: %v, %v", findings, err)
	}
}
