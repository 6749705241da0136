package fusefs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// StatFs describes the file system to which the changes are written.
func (v *writable) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	var st syscall.Statfs_t
	if err := syscall.Statfs(v.t.Dir(), &st); err != nil {
		return v.status("statfs", v.t.Root(), err)
	}
	out.FromStatfsT(&st)
	out.NameLen = 255
	return fuse.OK
}
