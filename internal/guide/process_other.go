//go:build !unix

package guide

import "os/exec"

func ownGroup(*exec.Cmd) {}

// killGroup ends the program.
func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // it may have ended
