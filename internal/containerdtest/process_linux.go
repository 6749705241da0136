package containerdtest

import "syscall"

// dieWithParent has the kernel kill a process whose test has died.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
