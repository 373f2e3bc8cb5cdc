package rulefiles

import (
	"io/fs"
	"syscall"
)

// changed is when the file was last written to in any way: a copy that keeps
// the time of its original (cp -p, rsync) changes this one.
func changed(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ctim.Nano()
	}
	return 0
}
