package servertest

import "syscall"

// dieWithParent ends the server with this process, however that ends.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
