package main

import "syscall"

// appAttributes: a process group of its own; and when the gateway is killed,
// the app is asked to end.
func appAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
