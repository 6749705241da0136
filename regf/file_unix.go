//go:build unix

package regf

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// takeOver gives a file the permissions and the owner of another. What the process may
// not give away stays its own, as with every editor.
func takeOver(f *os.File, old fs.FileInfo) error {
	if st, ok := old.Sys().(*syscall.Stat_t); ok {
		err := f.Chown(int(st.Uid), int(st.Gid))
		if errors.Is(err, fs.ErrPermission) {
			err = f.Chown(-1, int(st.Gid))
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return f.Chmod(old.Mode().Perm())
}

// syncDir makes a rename durable.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) { // file systems that cannot sync a folder
		err = nil
	}
	return errors.Join(err, d.Close())
}
