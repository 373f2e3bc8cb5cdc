//go:build unix

package journalstore

import "golang.org/x/sys/unix"

// allocate takes zeroed memory from the system.
func allocate(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	return b
}

// release gives it back. What is not of the system is left to Go.
func release(b []byte) { _ = unix.Munmap(b) }
