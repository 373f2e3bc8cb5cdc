package harness

import "syscall"

// endWithParent asks the process to end when this one ends, however that does.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
