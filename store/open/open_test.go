package open_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/open"
)

func TestAURLOpensItsStore(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, c := range []struct {
		name, url, folder string
	}{
		{"an absolute folder", "bolt://" + dir + "/absolute/deep", "absolute/deep"},
		{"an absolute folder with one slash", "bolt:" + dir + "/short", "short"},
		{"a relative folder", "bolt:data", "data"},
		{"a deeper relative folder", "bolt:data/below", "data/below"},
		{"a folder with a space", "bolt:" + dir + "/a%20b", "a b"},
		{"a relative folder with a question mark", "bolt:what%3F", "what?"},
		{"a journal", "journal:" + dir + "/journal", "journal"},
		{"a scheme in capitals", "BOLT:capital", "capital"},
		{"memory", "memory:", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := open.Open(t.Context(), c.url)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", "k", store.Put{})); err != nil {
				t.Error(err)
			}
			if c.folder == "" {
				return
			}
			files, err := os.ReadDir(filepath.Join(dir, c.folder))
			if err != nil || len(files) == 0 {
				t.Errorf("no store in %q: %v", c.folder, err)
			}
		})
	}
}

func TestAURLThatNamesNoStoreIsAnErrorWithoutSecrets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, url, want string
	}{
		{"empty", "", "no scheme: want journal:///folder, bolt:///folder, redis://host:port, postgres://host/database or memory:"},
		{"a path", "/var/lib/hunter2", "no scheme"},
		{"an unknown scheme", "mysql://user:hunter2@host/0", `"mysql" is unknown: want journal:///folder`},
		{"a bad parameter of Redis", "redis://:hunter2@127.0.0.1:1?durability=no", "durability"},
		{"a bad parameter of PostgreSQL", "postgres://u:hunter2@127.0.0.1:1/d?durability=no", "durability"},
		{"a journal with a host", "journal://hunter2/folder", "has no host"},
		{"not a URL", "bolt://user:hunter2@[::1", "not a URL"},
		{"not a URL, with a control character", "bolt://hunter2\x00", "not a URL"},
		{"a host", "bolt://hunter2/folder", "has no host"},
		{"a password", "bolt://user:hunter2@/folder", "has no host"},
		{"no folder", "bolt:", "no folder"},
		{"no folder, with slashes", "bolt://", "no folder"},
		{"options", "bolt:data?key=hunter2", "no options"},
		{"an empty query", "bolt:data?", "no options"},
		{"a fragment", "bolt:data#hunter2", "no options"},
		{"a bad escape", "bolt:hunter2%zz", ""},
		{"memory with a path", "memory:hunter2", "nothing after it"},
		{"memory with a host", "memory://hunter2", "nothing after it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := open.Open(t.Context(), c.url)
			if !errors.Is(err, open.ErrURL) || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("error %v, want ErrURL with %q", err, c.want)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("error %v repeats a secret", err)
			}
			if s != nil {
				t.Errorf("store %v beside an error", s)
			}
		})
	}
}

func TestAStoreThatCannotOpenIsNil(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := open.Open(t.Context(), "bolt://"+file)
	if err == nil || s != nil {
		t.Errorf("open: %v, %v; want nil and an error", s, err)
	}
}

// TestAFolderKeepsTheStoreThatItHas opens a folder of each embedded store, and an
// empty one.
func TestAFolderKeepsTheStoreThatItHas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, scheme, want string }{
		{"an empty folder", "", ".seg"},
		{"a journal", "journal", ".seg"},
		{"a bolt file", "bolt", "seeother.db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.scheme != "" {
				s, err := open.Open(t.Context(), c.scheme+":"+dir)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", "k", store.Put{})); err != nil {
					t.Error(err)
				}
				s.Close()
			}
			s, err := open.Folder(dir)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Get(t.Context(), "p", "c", "k"); (err == nil) != (c.scheme != "") {
				t.Errorf("get: %v", err)
			}
			if _, err := open.Folder(dir); !errors.Is(err, open.ErrLocked) {
				t.Errorf("a second time: %v, want ErrLocked", err)
			}
			s.Close()
			files, err := filepath.Glob(filepath.Join(dir, "*"+c.want))
			if err != nil || len(files) == 0 {
				t.Errorf("no %s in the folder, %v", c.want, err)
			}
		})
	}
}
