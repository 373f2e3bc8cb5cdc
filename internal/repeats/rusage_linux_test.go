package repeats

import (
	"syscall"
	"time"
)

// used is the time on cores, and the most resident memory in MiB, of this process
// (getrusage).
func used() (cpu time.Duration, rss float64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), float64(u.Maxrss) / 1024
}
