//go:build unix

package audit

import "golang.org/x/sys/unix"

// noFollow keeps an open from a symbolic link.
const noFollow = unix.O_NOFOLLOW
