package fusefs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// StatFs tells about the file system that the changes are written to.
func (v *writable) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	var st syscall.Statfs_t
	if err := syscall.Statfs(v.t.Dir(), &st); err != nil {
		return v.status("statfs", v.t.Root(), err)
	}
	out.FromStatfsT(&st)
	out.NameLen = 255
	return fuse.OK
}
