//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openFlags keep a symbolic link or a pipe under the temporary name from being
// followed or waited for.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func releaseBeforeRename(*os.File) error { return nil }

// syncDir makes a rename durable.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // file systems that cannot sync a folder
		err = nil
	}
	return errors.Join(err, d.Close())
}

// takeOver gives a file the owner and the permissions of another, except that its owner
// can write it: a leftover is opened again by the next run. What the process may not give
// away stays its own, as with every editor, and then what was for one group is for
// another only as far as it is for everyone. What is right is not asked for, because some
// file systems can change neither.
func takeOver(f *os.File, old fs.FileInfo) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	mode := old.Mode().Perm()
	was, ok := old.Sys().(*syscall.Stat_t)
	if is, ok2 := mine.Sys().(*syscall.Stat_t); ok && ok2 && (was.Uid != is.Uid || was.Gid != is.Gid) {
		err := f.Chown(int(was.Uid), int(was.Gid))
		if errors.Is(err, fs.ErrPermission) {
			err = f.Chown(-1, int(was.Gid))
		}
		if errors.Is(err, fs.ErrPermission) && was.Gid != is.Gid {
			mode &= 0o707 | mode&0o007<<3
		} else if err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return chmod(f, mine.Mode().Perm(), mode|0o600)
}

// takeOverRest does what takeOver has left, when the file has its final name.
func takeOverRest(f *os.File, old fs.FileInfo) error {
	mode := old.Mode().Perm()
	if mode&0o600 == 0o600 {
		return nil
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	return chmod(f, mine.Mode().Perm(), mine.Mode().Perm()&^0o600|mode&0o600)
}

func chmod(f *os.File, is, mode fs.FileMode) error {
	if is == mode {
		return nil
	}
	return f.Chmod(mode)
}
