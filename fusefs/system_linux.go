package fusefs

import (
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"
)

const mntDetach = 2 // MNT_DETACH of umount2(2)

// Supported reports whether Mount can work on this system.
const Supported = true

// Detach removes the mount from the directory tree immediately, even while it is in use.
// Open files stay open until the server or the program ends.
func (s *Server) Detach() error {
	err := syscall.Unmount(s.dir, mntDetach)
	if err != syscall.EPERM {
		return s.detached(err)
	}
	// Users other than root ask the program that mounted.
	out, err := exec.Command("fusermount3", "-u", "-z", "--", s.dir).CombinedOutput()
	if text := strings.TrimSpace(string(out)); err != nil && text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return s.detached(err)
}

func (s *Server) detached(err error) error {
	if err != nil {
		return &fs.PathError{Op: "detach", Path: s.dir, Err: err}
	}
	return nil
}
