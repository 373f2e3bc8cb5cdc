//go:build unix

package guide

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestASweepLeavesWhatIsAnotherUsers(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, folderName+"1")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	about, err := os.Stat(dir)
	if err != nil || !ownedBy(about, os.Geteuid()) || ownedBy(about, os.Geteuid()+1) {
		t.Errorf("its owner is not told, %v", err)
	}
	if os.Chown(dir, os.Geteuid()+1, -1) != nil {
		t.Skip("left out: only root gives a folder away")
	}
	sweep(parent, time.Now().Add(2*freshFor))
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

// What is found in node_modules will run: so nobody else may have put it there.
func TestPackagesAreLookedForWhereNobodyElseCanPutThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		modes map[string]os.FileMode
		want  []string
	}{
		{"folders of one's own", nil, []string{"shared/me/app/node_modules", "shared/me/node_modules", "shared/node_modules"}},
		{"a folder that all may write to, such as /tmp", map[string]os.FileMode{"shared": 0o777 | os.ModeSticky}, []string{"shared/me/app/node_modules", "shared/me/node_modules"}},
		{"a node_modules that all may write to", map[string]os.FileMode{"shared/me/node_modules": 0o777}, []string{"shared/me/app/node_modules", "shared/node_modules"}},
		{"one's own group may write", map[string]os.FileMode{"shared/me": 0o775}, []string{"shared/me/app/node_modules", "shared/me/node_modules", "shared/node_modules"}},
		{"all may write to this folder", map[string]os.FileMode{"shared/me/app": 0o777}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, dir := range []string{"shared/me/app/node_modules", "shared/me/node_modules", "shared/node_modules"} {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for dir, mode := range c.modes {
				if err := os.Chmod(filepath.Join(root, dir), mode); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, dir := range nodeFolders(filepath.Join(root, "shared/me/app")) {
				if below, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(below) {
					got = append(got, below)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestAFolderOfAStrangersIsNotTrusted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if !trusted(dir) || trusted(filepath.Join(dir, "nothing")) {
		t.Error("one's own folder is not trusted, or what is not there is")
	}
	if os.Chown(dir, os.Geteuid()+1, -1) != nil {
		t.Skip("left out: only root gives a folder away")
	}
	if trusted(dir) {
		t.Error("a stranger's folder is trusted")
	}
	if err := os.Chown(dir, os.Geteuid(), os.Getegid()+1); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	if trusted(dir) {
		t.Error("a folder that a group of strangers writes to is trusted")
	}
}
