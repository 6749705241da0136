//go:build unix

package snapshotter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ownDirectory makes a directory that only this user can enter, or restricts an existing
// one. It holds the layers of private images, their hives and the locks: a user who can
// open a lock can hold it for ever.
func ownDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	return errors.Join(closeToOthers(root, dir), root.Close())
}

func closeToOthers(root *os.Root, dir string) error {
	st, err := root.Stat(".")
	if err != nil {
		return err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to user %d and not to user %d, who serves", ErrRoot, dir, sys.Uid, os.Geteuid())
	}
	if st.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if st.Mode()&fs.ModeSticky != 0 {
		// A directory like /tmp is meant for everybody: taking it away would break others.
		return fmt.Errorf("%w: %s is shared with other users", ErrRoot, dir)
	}
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	err = errors.Join(d.Chmod(0o700), d.Close())
	if err != nil {
		return fmt.Errorf("%w: %s has mode %04o: %w", ErrRoot, dir, st.Mode().Perm(), err)
	}
	return nil
}
