//go:build !unix

package journalstore

import (
	"errors"
	"fmt"
	"os"
)

// lockFolder makes the file that says that the folder is in use. Where the
// system has no locks that end with a process, it must be removed by hand after
// a crash.
func lockFolder(dir folder) (*os.File, error) {
	f, err := os.OpenFile(dir.path("lock"), os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("folder %q: %w: remove the file lock if no seeother runs", string(dir), ErrLocked)
	}
	return f, err
}
