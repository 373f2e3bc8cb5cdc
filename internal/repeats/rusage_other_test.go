//go:build !linux

package repeats

import "time"

// used is not known here.
func used() (cpu time.Duration, rss float64) { return 0, 0 }
