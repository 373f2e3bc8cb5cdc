package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/store"
)

func mustOpen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// written is the content of the file of a store with some records: as Close
// left it, or as a process that was killed left it.
func written(t testing.TB, clean bool) []byte {
	t.Helper()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	fill(t, s, 400, store.Put{State: "s", Group: "g", Value: []byte("the value that is kept")})
	for i := range 5 { // now the list of free pages is in one that was freed, and not at the end
		apply(t, s, store.PutIfAbsent("c", fmt.Sprint("later ", i), store.Put{}))
	}
	if clean {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func place(t testing.TB, content []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpenMakesAFolderAndAFileForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	mustOpen(t, dir)
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Dir(dir): 0o700, filepath.Join(dir, FileName): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %o, want %o", path, got, want)
		}
	}
}

func TestAFolderThatIsInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	apply(t, s, store.PutIfAbsent("c", "a", store.Put{}))
	_, err := Open(dir, Options{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "another seeother uses it") {
		t.Errorf("open a second time: %v, want ErrLocked with the folder and a reason", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir)
}

func TestAFileThatIsNoStoreIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	if err == nil {
		err = errors.Join(db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("else")); return err }), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"text":                  []byte("not a store\n"),
		"a longer text":         bytes.Repeat([]byte("not a store\n"), 10_000),
		"zeros":                 make([]byte, 1<<16),
		"a bolt file of others": foreign,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := place(t, content)
			_, err := Open(dir, Options{})
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), filepath.Join(dir, FileName)) {
				t.Errorf("open: %v, want ErrDamaged with the file's name", err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, FileName)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

func TestAFileThatWasCutIsRefused(t *testing.T) {
	t.Parallel()
	content, page := written(t, true), os.Getpagesize()
	used := len(bytes.TrimRight(content, "\x00")) / page
	for pages := 2; pages <= used; pages++ { // of less bolt says that it is too small
		if _, err := Open(place(t, content[:pages*page]), Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("open of %d pages, and more were used: %v, want ErrDamaged", pages, err)
		}
	}
}

func TestAnEmptyFileBecomesAStore(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, place(t, nil))
	apply(t, s, store.PutIfAbsent("c", "a", store.Put{}))
}

func TestWhatCannotBeAFolderIsAnErrorWithItsName(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := t.TempDir()
	if err := os.Mkdir(filepath.Join(taken, FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), taken} {
		if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), dir) && !strings.Contains(err.Error(), file) {
			t.Errorf("open %q: %v, want an error that names it", dir, err)
		}
	}
}

func TestAFormatThatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		format []byte
		want   error
	}{
		{"newer", binary.BigEndian.AppendUint64(nil, format+1), ErrNewer},
		{"none", nil, ErrDamaged},
		{"zero", make([]byte, 8), ErrDamaged},
		{"strange", []byte("one"), ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := mustOpen(t, dir)
			err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyFormat, c.format) })
			if err = errors.Join(err, s.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, Options{}); !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
			}
		})
	}
}

func TestADamagedValueIsAnErrorThatNamesItsKey(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	fill(t, s, 3, store.Put{State: "s"})
	err := s.db.Update(func(tx *bbolt.Tx) error {
		records, k := tx.Bucket(bucketRecords), recordKey("p", "c", "000001")
		b := bytes.Clone(records.Get(k))
		b[len(b)-1] ^= 1
		return records.Put(k, b)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, _, got := s.Get(ctx, "p", "c", "000001")
	_, listed := s.List(ctx, store.Query{Partition: "p", Class: "c", State: "s"})
	_, applied := s.Apply(ctx, "p", store.PutIfAbsent("c", "new", store.Put{}), store.PutIfAbsent("c", "000001", store.Put{}))
	for name, err := range map[string]error{"get": got, "list": listed, "apply": applied} {
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), `"000001"`) {
			t.Errorf("%s: %v, want ErrDamaged with the key", name, err)
		}
	}
	if _, _, err := s.Get(ctx, "p", "c", "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an apply that met damage wrote: %v", err)
	}
	apply(t, s, store.PutIfVersion("c", "000002", 3, store.Put{}))
}
