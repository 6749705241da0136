package publish

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// between calls f with the descriptors of the private folder and of its parent.
func (s *staging) between(f func(from, to int) error) error {
	from, err := s.dir.Open(".")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := s.parent.Open(".")
	if err != nil {
		return err
	}
	defer to.Close()
	for {
		if err := f(int(from.Fd()), int(to.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// move renames an entry of the private folder to a name in its parent.
func move(s *staging, from, to string) error {
	err := s.between(func(a, b int) error { return syscall.Renameat(a, from, b, to) })
	if err != nil {
		return &os.LinkError{Op: "renameat", Old: from, New: to, Err: err}
	}
	return nil
}

// link adds a name in the parent to a file in the private folder. The name must be free.
func link(s *staging, from, to string) error {
	old, err := syscall.BytePtrFromString(from)
	if err != nil {
		return err
	}
	next, err := syscall.BytePtrFromString(to)
	if err != nil {
		return err
	}
	err = s.between(func(a, b int) error {
		_, _, errno := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(a), uintptr(unsafe.Pointer(old)), uintptr(b), uintptr(unsafe.Pointer(next)), 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		return &os.LinkError{Op: "linkat", Old: from, New: to, Err: err}
	}
	return nil
}
