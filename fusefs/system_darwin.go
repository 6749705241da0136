package fusefs

import (
	"io/fs"
	"syscall"
)

const mntForce = 0x80000 // MNT_FORCE of unmount(2)

// Supported reports whether Mount can work on this system.
const Supported = true

// Detach unmounts immediately, even while the mount is in use. Operations on open files
// then fail.
func (s *Server) Detach() error {
	if err := syscall.Unmount(s.dir, mntForce); err != nil {
		return &fs.PathError{Op: "detach", Path: s.dir, Err: err}
	}
	return nil
}
