//go:build unix

package guide

import (
	"os"
	"syscall"

	"github.com/seeother/seeother/internal/filelock"
)

// hold claims a folder until release; the end of the process is one, too. ok is false
// where another process holds it, or it cannot be read.
func hold(dir string) (release func(), ok bool) {
	file, err := os.Open(dir) //nolint:gosec // a lab's own folder
	if err != nil {
		return func() {}, false
	}
	if err := filelock.Try(file); err != nil {
		_ = file.Close()
		return func() {}, false
	}
	return func() { _ = file.Close() }, true
}

// ownedBy is whether a file is a user's, by its number.
func ownedBy(about os.FileInfo, user int) bool {
	stat, ok := about.Sys().(*syscall.Stat_t)
	return ok && int64(stat.Uid) == int64(user)
}

// trusted is whether a folder is there into which nobody but the caller and root can
// put something. The caller's own group counts as the caller: often nobody else is in it.
func trusted(dir string) bool {
	const byGroup, byOthers = 0o020, 0o002
	about, err := os.Stat(dir) //nolint:gosec // it is only looked at
	if err != nil || !ownedBy(about, os.Geteuid()) && !ownedBy(about, 0) {
		return false
	}
	group := int64(about.Sys().(*syscall.Stat_t).Gid) // ownedBy has looked
	ours := group == 0 || group == int64(os.Getegid())
	return about.Mode()&byOthers == 0 && (about.Mode()&byGroup == 0 || ours)
}
