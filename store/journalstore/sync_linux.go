package journalstore

import "golang.org/x/sys/unix"

// sync is fdatasync(2): the content, and of the metadata what reading it needs.
func (f osFile) sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}
