//go:build unix

package guide

import (
	"os"
	"syscall"
)

// hold claims a folder until release; the end of the process is one, too. ok is false
// where another process holds it, or it is another user's.
func hold(dir string) (release func(), ok bool) {
	file, err := os.Open(dir) //nolint:gosec // a lab's own folder
	if err != nil {
		return func() {}, false
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return func() {}, false
	}
	return func() { _ = file.Close() }, true
}
