package guide

import (
	"os"
	"path/filepath"
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
	release, _ := hold(dir) // without a hold, it is swept only where this process was killed a minute ago
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

// sweep removes the folders of labs that nobody holds any more: their process was
// killed before it could close them.
func sweep(parent string, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(parent, folderName+"*")) // the pattern is right
	for _, dir := range dirs {
		about, err := os.Lstat(dir)
		if err != nil || !about.IsDir() || now.Sub(about.ModTime()) < freshFor {
			continue
		}
		if release, ok := hold(dir); ok {
			remove(dir)
			release()
		}
	}
}
