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

// takeOver gives a file the permissions and the owner of another. What the process may
// not give away stays its own, as with every editor; what is right is not asked for,
// because some file systems can change neither.
func takeOver(f *os.File, old fs.FileInfo) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	was, ok := old.Sys().(*syscall.Stat_t)
	if is, ok2 := mine.Sys().(*syscall.Stat_t); ok && ok2 && (was.Uid != is.Uid || was.Gid != is.Gid) {
		err := f.Chown(int(was.Uid), int(was.Gid))
		if errors.Is(err, fs.ErrPermission) {
			err = f.Chown(-1, int(was.Gid))
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	if mine.Mode().Perm() == old.Mode().Perm() {
		return nil
	}
	return f.Chmod(old.Mode().Perm())
}
