package rulefiles

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/rule"
)

func write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// yaml takes files of one line, "PATH TARGET", for YAML.
func yaml(file string, data []byte) (rule.Source, []rule.Finding) {
	from, to, ok := strings.Cut(strings.TrimSpace(string(data)), " ")
	if !ok {
		return rule.Source{}, []rule.Finding{{ID: rule.CheckInvalid, Severity: rule.Error, File: file, Line: 1, Message: "it is not YAML"}}
	}
	return rule.Source{File: file, Rules: []rule.Rule{{Path: from, Target: to, Intent: rule.Moved, Pos: rule.Position{File: file, Line: 1}}}}, nil
}

// location is where a set sends a path to; "" for nowhere.
func location(t testing.TB, s *Set, path string) string {
	t.Helper()
	req, m := rule.Request{Method: http.MethodGet, Scheme: "http", Host: "x", Path: path}, rule.Match{}
	if !s.Table.Match(&req, &m) {
		return ""
	}
	to, err := m.AppendLocation(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(to)
}

func TestReadTakesAllKindsOfFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/_redirects", "/netlify /1\n")
	write(t, dir+"/more/a.csv", "from,to,status\n/csv,/2,308\n")
	write(t, dir+"/more/b.jsonl", `{"path":"/jsonl","intent":"moved","target":"/3"}`+"\n")
	write(t, dir+"/more/c.yaml", "/yaml /4")
	write(t, dir+"/more/.hidden.csv", "from,to,status\n/hidden,/5,308\n")
	set, err := Read(Config{
		Inline: []rule.Source{{File: "seeother.yaml", Rules: []rule.Rule{{Path: "/inline", Target: "/0", Intent: rule.Moved}}}},
		Names:  []string{dir + "/_redirects", dir + "/more/*", dir + "/more/a.csv"},
		YAML:   yaml,
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/inline": "/0", "/netlify": "/1", "/csv": "/2", "/jsonl": "/3", "/yaml": "/4", "/hidden": ""} {
		if got := location(t, set, path); got != want {
			t.Errorf("%s leads to %q, want %q", path, got, want)
		}
	}
	want := []rule.File{{Name: "seeother.yaml", Rules: 1}, {Name: dir + "/_redirects", Rules: 1, Mode: rule.FileOrder}, {Name: dir + "/more/a.csv", Rules: 1}, {Name: dir + "/more/b.jsonl", Rules: 1}, {Name: dir + "/more/c.yaml", Rules: 1}}
	if !slices.Equal(set.Files, want) {
		t.Errorf("files: got %v, want %v", set.Files, want)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/folder.csv", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/folder.yaml", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		names []string
		text  string // of the file f.*
		want  string // in the error
	}{
		"a file that is not there":      {[]string{dir + "/none.csv"}, "", "none.csv: error: the file cannot be read: no such file or directory [unreadable]"},
		"a YAML file that is not there": {[]string{dir + "/none.yaml"}, "", "none.yaml: error: the file cannot be read: no such file or directory [unreadable]"},
		"a pattern that matches none":   {[]string{dir + "/*.jsonl"}, "", "*.jsonl: error: the pattern matches no file [no-files]"},
		"a pattern that is malformed":   {[]string{dir + "/[a"}, "", "[no-files]"},
		"a folder":                      {[]string{dir + "/folder.csv"}, "", "[not-a-file]"},
		"a folder that a pattern finds": {[]string{dir + "/fold*.csv"}, "", "[not-a-file]"},
		"a folder as YAML":              {[]string{dir + "/folder.yaml"}, "", "[not-a-file]"},
		"a device":                      {[]string{"/dev/null"}, "", "/dev/null: error: "},
		"a name that says nothing":      {[]string{dir + "/f.txt"}, "x", "[unknown-format]"},
		"YAML that is none":             {[]string{dir + "/f.yaml"}, "nonsense", "f.yaml:1: error: it is not YAML [invalid]"},
		"YAML that is too large":        {[]string{dir + "/f.yaml"}, strings.Repeat("# x\n", MaxYAML/4+1), "[too-large]"},
		"a rule that is wrong":          {[]string{dir + "/f.csv"}, "from,to,status\n/a,/b,308\nb,/c,308\n", "f.csv:3"},
		"a line with NUL":               {[]string{dir + "/f.csv"}, "from,to,status\n/a\x00,/b,308\n", "f.csv:2"},
		"a file that is empty":          {[]string{dir + "/f.csv"}, "path,target\n", "f.csv: error: there is no rule in this file [empty-file]"},
		"YAML of comments":              {[]string{dir + "/f.yaml"}, "\ufeff# nothing\n---\n\r\n", "f.yaml: error: there is no rule in this file [empty-file]"},
		"YAML that was cut off":         {[]string{dir + "/f.yaml"}, "rules_mode: file-order\nrules: # mine\n", "[empty-file]"},
		"a loop":                        {[]string{dir + "/f.csv"}, "from,to,status\n/a,/b,308\n/b,/a,308\n", "[loop]"},
		"many mistakes":                 {[]string{dir + "/none.yaml", dir + "/no.yaml", dir + "/nothing.yaml"}, "", "(and 2 more)"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.text != "" {
				write(t, tt.names[0], tt.text)
				defer os.Remove(tt.names[0])
			}
			set, err := Read(Config{Names: tt.names, YAML: yaml})
			refused, ok := errors.AsType[*RefusedError](err)
			if !ok || set != nil {
				t.Fatalf("got %v, %v", set, err)
			}
			if !strings.Contains(err.Error(), tt.want) || len(refused.Worst()) == 0 {
				t.Errorf("got %q, want %q", err, tt.want)
			}
		})
	}
}

func TestReadRefusesCanonical(t *testing.T) {
	_, err := Read(Config{Options: rule.Options{Canonical: rule.Canonical{HTTPS: true}}})
	if err == nil || !strings.Contains(err.Error(), "origin: missing") {
		t.Errorf("got %v", err)
	}
}

// A warning does not keep rules from going live.
func TestReadKeepsWarnings(t *testing.T) {
	file := write(t, t.TempDir()+"/_redirects", "/a /b 301 Country=de\n")
	set, err := Read(Config{Names: []string{file}, YAML: yaml})
	if err != nil || len(set.Findings) == 0 || set.Table.Len() != 0 {
		t.Errorf("got %+v, %v", set, err)
	}
}

// watched runs a Watcher on names until the test ends, and counts what it sees.
func watched(t *testing.T, names ...string) (changes *atomic.Int32) {
	t.Helper()
	var w Watcher
	w.Reading(names)
	changes = new(atomic.Int32)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx, func() {
			changes.Add(1)
			w.Again()
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return changes
}

func TestWatcherNotices(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"an edit in place": func(t *testing.T, dir string) { write(t, dir+"/a.csv", "longer than before") },
		"an edit of the same length": func(t *testing.T, dir string) {
			write(t, dir+"/a.csv", "other")
			later := time.Now().Add(time.Second)
			if err := os.Chtimes(dir+"/a.csv", later, later); err != nil {
				t.Fatal(err)
			}
		},
		"another file in its place": func(t *testing.T, dir string) {
			write(t, dir+"/new", "first")
			info, err := os.Stat(dir + "/a.csv")
			if err == nil {
				err = errors.Join(os.Chtimes(dir+"/new", info.ModTime(), info.ModTime()), os.Rename(dir+"/new", dir+"/a.csv"))
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"a file that goes": func(t *testing.T, dir string) {
			if err := os.Remove(dir + "/a.csv"); err != nil {
				t.Fatal(err)
			}
		},
		"a file that becomes a folder": func(t *testing.T, dir string) {
			if err := errors.Join(os.Remove(dir+"/a.csv"), os.Mkdir(dir+"/a.csv", 0o755)); err != nil {
				t.Fatal(err)
			}
		},
		"a file that a pattern finds now": func(t *testing.T, dir string) { write(t, dir+"/more/new.csv", "x") },
		"a symbolic link that is pointed elsewhere": func(t *testing.T, dir string) {
			// As Kubernetes does: the link to the folder is replaced.
			write(t, dir+"/v2/l.csv", "first")
			if err := errors.Join(os.Symlink("v2", dir+"/..tmp"), os.Rename(dir+"/..tmp", dir+"/..data")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir+"/a.csv", "first")
			write(t, dir+"/more/x.csv", "first")
			write(t, dir+"/v1/l.csv", "first")
			if err := errors.Join(os.Symlink("v1", dir+"/..data"), os.Symlink("..data/l.csv", dir+"/l.csv")); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				changes := watched(t, dir+"/a.csv", dir+"/l.csv", dir+"/more/*.csv")
				time.Sleep(10 * Every)
				synctest.Wait()
				if changes.Load() != 0 {
					t.Fatalf("%d changes, and nothing was changed", changes.Load())
				}
				change(t, dir)
				time.Sleep(10 * Every)
				synctest.Wait()
				if changes.Load() != 1 {
					t.Errorf("%d changes, want 1", changes.Load())
				}
			})
		})
	}
}

// Who writes several files, or one in pieces, is waited for, though not for
// ever.
func TestWatcherWaits(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir+"/a.csv", "")
	synctest.Test(t, func(t *testing.T) {
		changes := watched(t, file)
		time.Sleep(Every / 2) // between two looks
		for i := range 5 {
			time.Sleep(Every)
			write(t, file, strings.Repeat("x", i+1))
		}
		synctest.Wait()
		if changes.Load() != 0 {
			t.Errorf("%d changes while the file was written", changes.Load())
		}
		time.Sleep(3 * Every)
		synctest.Wait()
		if changes.Load() != 1 {
			t.Errorf("%d changes, want 1", changes.Load())
		}
		for i := range 4 * impatient {
			time.Sleep(Every)
			write(t, file, fmt.Sprint(i))
		}
		synctest.Wait()
		if changes.Load() < 3 {
			t.Errorf("%d changes: a file that never rests is never read", changes.Load())
		}
	})
}

// A file that changes after it was read, and before Reading is called, has
// changed.
func TestWatcherMissesNothing(t *testing.T) {
	file := write(t, t.TempDir()+"/seeother.yaml", "")
	synctest.Test(t, func(t *testing.T) {
		var w Watcher
		w.Reading([]string{file})
		ctx, cancel := context.WithTimeout(t.Context(), 20*Every)
		defer cancel()
		read := ""
		write(t, file, "second")
		w.Run(ctx, func() {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Error(err)
			}
			if read = string(text); read == "second" {
				write(t, file, "the third")
			}
			w.Reading([]string{file})
		})
		if read != "the third" {
			t.Errorf("%q was read last", read)
		}
	})
}

func TestWatcherLooksAtNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watcher
		ctx, cancel := context.WithTimeout(t.Context(), 10*Every)
		defer cancel()
		w.Run(ctx, func() { t.Error("nothing has changed") })
	})
}
