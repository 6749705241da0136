//go:build unix

package publish

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openFlags prevent that opening a name follows a planted link or waits for a planted
// pipe.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func releaseBeforeRename(*os.File) error { return nil }

func removeLocked(root *os.Root, _ *os.File, name string) error {
	err := root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// owner is the user of a file.
func owner(fi fs.FileInfo) uint32 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return 0
}

// writable reports whether users other than the owner may change a directory.
func writable(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o022 != 0 }

// links is the number of names of a file.
func links(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

// syncDir makes a rename durable.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) { // file systems that cannot sync a directory
		err = nil
	}
	return errors.Join(err, d.Close())
}

// takeOver copies the owner and the permissions of a file to another. If the process may not
// change the owner, the file keeps its own, as with every editor; if it may not change the
// group, the group gets only the permissions of everyone. Properties that are right
// already are not set, because some file systems can change neither.
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
	if mine.Mode().Perm() == mode {
		return nil
	}
	return f.Chmod(mode)
}

func makePrivate(f *os.File) error { return f.Chmod(0o600) }
