package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A lock is of one open file, and ends when that is closed.
func TestTry(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, folder} {
		first, second := open(t, path), open(t, path)
		if err := Try(first); errors.Is(err, ErrNone) {
			t.Skip(err)
		} else if err != nil {
			t.Fatal(err)
		}
		if err := Try(first); err != nil {
			t.Errorf("%s: its own lock is in its way: %v", path, err)
		}
		if err := Try(second); !errors.Is(err, ErrHeld) {
			t.Errorf("%s: the second got %v", path, err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if err := Try(second); err != nil {
			t.Errorf("%s: after the first was closed: %v", path, err)
		}
	}
}

func TestTryOfAClosedFile(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if Try(f) == nil {
		t.Error("a closed file is locked")
	}
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
