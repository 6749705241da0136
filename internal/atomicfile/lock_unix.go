//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFlags keep a symbolic link or a pipe under the temporary name from being
// followed or waited for.
const openFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK

func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	}
	return err
}

// inherit gives f the owner and the permissions of the file that it will replace;
// the owner can write it in any case.
func inherit(f *os.File, old fs.FileInfo) error {
	mode := old.Mode().Perm()
	st, ok := old.Sys().(*syscall.Stat_t)
	if !ok || f.Chown(int(st.Uid), int(st.Gid)) != nil {
		// Another group must not get what was meant for the old one.
		mode = mode&^0o070 | mode&0o007<<3
	}
	return f.Chmod(mode | 0o600) // or the next run could not take up what a killed one left
}

func releaseBeforeRename(*os.File) error { return nil }

// syncDir makes a rename durable.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) { // file systems that cannot sync a folder
		err = nil
	}
	return errors.Join(err, d.Close())
}
