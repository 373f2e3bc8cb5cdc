//go:build unix && !linux

package guide

import "syscall"

// dieWithParent is for Linux alone; elsewhere Close is what ends the program.
func dieWithParent(*syscall.SysProcAttr) {}
