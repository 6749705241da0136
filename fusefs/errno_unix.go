//go:build linux || darwin

package fusefs

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/mullion/mullion/overlay"
	"github.com/mullion/mullion/winfs"
)

// errnos are the error numbers that programs receive.
var errnos = []struct {
	err   error
	errno syscall.Errno
}{
	{overlay.ErrNameTooLong, syscall.ENAMETOOLONG},
	{overlay.ErrName, syscall.EINVAL},
	{overlay.ErrNotDirectory, syscall.ENOTDIR},
	{overlay.ErrIsDirectory, syscall.EISDIR},
	{overlay.ErrNotEmpty, syscall.ENOTEMPTY},
	{overlay.ErrInvalid, syscall.EINVAL},
	{overlay.ErrMoved, syscall.EINVAL},
	{overlay.ErrTooLarge, syscall.EFBIG},
	{overlay.ErrTooManyLinks, syscall.EMLINK},
	{winfs.ErrLinkTarget, syscall.EINVAL},
	{winfs.ErrReparseTooLarge, syscall.ENAMETOOLONG},
	{winfs.ErrNotWTF8, syscall.EINVAL},
	{winfs.ErrTimeRange, syscall.EINVAL},
	{fs.ErrNotExist, syscall.ENOENT},
	{fs.ErrExist, syscall.EEXIST},
}

// errno returns the error number of an error for a program. An error without an entry in
// errnos is logged with the path, because the number alone does not identify the file.
func (o *Options) errno(op, path string, err error) syscall.Errno {
	if err == nil {
		return 0
	}
	for _, e := range errnos {
		if errors.Is(err, e.err) {
			return e.errno
		}
	}
	o.Log.Error("file system", "op", op, "path", path, "err", err)
	// Disk full, quota exceeded and the like.
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return syscall.EIO
}
