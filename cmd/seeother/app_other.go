//go:build !linux

package main

import "syscall"

// appAttributes: a process group of its own.
func appAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
