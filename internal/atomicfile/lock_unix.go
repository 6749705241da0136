//go:build unix

package atomicfile

import (
	"errors"
	"os"

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
