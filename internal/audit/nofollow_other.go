//go:build !unix

package audit

// noFollow is nothing here: isAt sees a symbolic link once it is open.
const noFollow = 0
