package rig

import (
	"syscall"
	"time"
)

// sleep is exact to about 50 microseconds. A signal may end it early.
func sleep(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil)
}
