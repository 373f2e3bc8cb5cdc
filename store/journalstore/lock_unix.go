//go:build unix

package journalstore

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/seeother/seeother/internal/filelock"
)

// lockPatience is how long Open waits for the lock of a folder, so that a
// restart may overlap a little with the process before.
const lockPatience = time.Second

// lockFolder keeps every other process away until the file is closed, or this
// process ends, however it ends.
func lockFolder(dir folder) (*os.File, error) {
	f, err := os.OpenFile(dir.path("lock"), os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockPatience); ; time.Sleep(20 * time.Millisecond) {
		err := filelock.Try(f)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, filelock.ErrHeld) {
			return nil, errors.Join(fmt.Errorf("folder %q: lock: %w", string(dir), err), f.Close())
		}
		if time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("folder %q: %w: another seeother uses it", string(dir), ErrLocked), f.Close())
		}
	}
}
