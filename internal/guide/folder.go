package guide

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// folderName begins the names of labs' folders.
const folderName = "seeother-explain-"

// freshFor is how long a folder counts as somebody's though nobody holds it: its owner
// may be about to.
const freshFor = time.Minute

// TempDir is a folder of this lab's own, which Close removes. What a process left that
// was killed is removed by the next one.
func (l *Lab) TempDir() (string, error) {
	sweepOnce()
	l.mu.Lock()
	defer l.mu.Unlock()
	dir, err := os.MkdirTemp("", folderName)
	if err != nil {
		return "", err
	}
	release, _ := hold(dir) // without a hold, another process may sweep it after a minute, though this one lives
	l.closers = append(l.closers, func() {
		remove(dir)
		release()
	})
	return dir, nil
}

// remove removes a folder. A program that was killed just now may still be at a
// write: then there is something new in it, and it is tried again.
func remove(dir string) {
	const tries = 50
	for range tries {
		if os.RemoveAll(dir) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

var sweepOnce = sync.OnceFunc(func() { sweep(os.TempDir(), time.Now()) })

// sweep removes the user's own folders of labs that nobody holds any more: their process was
// killed before it could close them.
func sweep(parent string, now time.Time) {
	entries, _ := os.ReadDir(parent) // what cannot be read is not swept
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), folderName) {
			continue
		}
		about, err := entry.Info()
		if err != nil || !ownedBy(about, os.Geteuid()) || now.Sub(about.ModTime()) < freshFor {
			continue
		}
		dir := filepath.Join(parent, entry.Name())
		if release, ok := hold(dir); ok {
			remove(dir)
			release()
		}
	}
}
