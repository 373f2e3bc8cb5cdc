// Package durable is the one way in which seeother writes a file that must
// survive a crash or a power cut: a temporary file beside it, fsync(2),
// rename(2), and fsync(2) of the folder. A reader sees the old content or the
// new, never half of either, and once WriteFile returned nil the new content
// stays. Folders are made for their owner alone, and are as durable.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// dirPerm lets only the owner in: what seeother keeps is nobody else's.
const dirPerm = 0o700

// WriteFile replaces the content of the file path, or makes the file, with
// exactly perm. On an error the old file is untouched, except when the last
// step failed, syncing the folder: then the new content may be seen, but may
// not outlive a power cut. Concurrent calls are safe; one of them wins.
func WriteFile(path string, data []byte, perm fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("file %q: %w", path, err)
	}
	temp := f.Name()
	defer func() {
		if err != nil {
			err = fmt.Errorf("file %q: %w", path, errors.Join(err, ignoreGone(os.Remove(temp))))
		}
	}()
	if err := fill(f, data, perm); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return SyncDir(dir)
}

func fill(f *os.File, data []byte, perm fs.FileMode) error {
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// ignoreGone forgives that the temporary file already became the real one.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// MkdirAll makes the folder path, and those above it that are missing, with
// mode 0700. A folder that exists keeps its mode. When it returns nil, a power
// cut does not take away what it made.
func MkdirAll(path string) error {
	path = filepath.Clean(path)
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("folder %q: there is a file of that name", path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("folder %q: %w", path, err)
	}
	parent := filepath.Dir(path)
	if err := MkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("folder %q: %w", path, err)
	}
	return SyncDir(parent)
}

// SyncDir makes the names in a folder durable: files made, renamed or removed
// there. Call it after another library made a file.
func SyncDir(path string) error {
	d, err := os.Open(path) //nolint:gosec // the caller names it
	if err != nil {
		return fmt.Errorf("folder %q: %w", path, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("folder %q: %w", path, err)
	}
	return nil
}
