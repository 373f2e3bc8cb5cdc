package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/seeother/seeother/internal/durable"
)

// filePerm lets only the owner in: answers that the store keeps are private.
const filePerm = 0o600

// lockPatience is how long Open waits for the lock of a file, so that a
// restart may overlap a little with the process before.
const lockPatience = time.Second

// openFile opens the file, checks its format and makes its name durable.
func openFile(path string) (*bbolt.DB, error) {
	db, err := openBolt(path)
	if err != nil {
		return nil, explain(path, err)
	}
	err = safely(path, func() error { return prepare(db, path) })
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openBolt lets bolt write its list of free pages with each commit. Without
// that, commits cost less when much has expired; but then bolt reads the whole
// tree when it opens and whenever a commit fails, and ends the process when it
// meets damage there.
func openBolt(path string) (db *bbolt.DB, err error) {
	err = safely(path, func() error {
		db, err = bbolt.Open(path, filePerm, &bbolt.Options{
			Timeout:      lockPatience,
			FreelistType: bbolt.FreelistMapType,
			NoStatistics: true,
		})
		return err
	})
	return db, err
}

// checkSize tells a file that was cut, before a page is missed.
func checkSize(tx *bbolt.Tx, path string) error {
	info, err := os.Stat(path) //nolint:gosec // whoever starts the program names the folder
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("file %q: %w: it has %d bytes of %d", path, ErrDamaged, info.Size(), tx.Size())
	}
	return nil
}

// explain says what an error of bolt's Open means for the one who reads it.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, ErrDamaged):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("folder %q: %w: another seeother uses it", filepath.Dir(path), ErrLocked)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum):
		return fmt.Errorf("file %q: %w: not a store of seeother: %w", path, ErrDamaged, err)
	case errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("file %q: %w: %w", path, ErrNewer, err)
	}
	return fmt.Errorf("file %q: %w", path, reason(err))
}

// prepare makes the buckets of a new file, and refuses what is not ours.
func prepare(db *bbolt.DB, path string) error {
	fresh := false
	err := db.View(func(tx *bbolt.Tx) error {
		if err := checkSize(tx, path); err != nil {
			return err
		}
		if k, _ := tx.Cursor().First(); k == nil {
			fresh = true
			return nil
		}
		return checkFormat(tx, path)
	})
	if err != nil || !fresh {
		return err
	}
	if err := db.Update(makeBuckets); err != nil {
		return fmt.Errorf("file %q: %w", path, reason(err))
	}
	return nil
}

// panicError is a panic of bolt, which is how it meets a damaged page.
type panicError struct {
	path  string
	value any
}

func (e *panicError) Error() string {
	return fmt.Sprintf("file %q: %v: %v", e.path, ErrDamaged, e.value)
}

// Is makes errors.Is(err, ErrDamaged) true.
func (e *panicError) Is(target error) bool { return target == ErrDamaged }

// safely turns a panic into a *panicError, and also a read beyond the end of a
// file that was cut while open.
func safely(path string, do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{path, p}
		}
	}()
	return do()
}
