//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package overlay

import (
	"os"
	"syscall"
)

// lockFile takes the exclusive lock of an open file, which the system releases
// when the process ends; false means that another process has it.
func lockFile(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch err {
		case nil:
			return true, nil
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return false, nil
		default:
			return false, err
		}
	}
}
