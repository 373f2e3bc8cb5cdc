package guide

import "syscall"

// dieWithParent ends the program with this process, however that ends.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
