// Package filelock keeps two processes from one file. A lock ends with the file
// that holds it, so also with the process, however it ends.
package filelock

import "errors"

// Errors of Try.
var (
	// ErrHeld is a file that is locked already, by another process or by this one
	// through another open file.
	ErrHeld = errors.New("it is locked already")
	// ErrNone is a system without such locks.
	ErrNone = errors.New("this system has no locks that end with a process")
)
