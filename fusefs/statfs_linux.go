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

// Fallocate supports the operations of a plain file.
func (v *writable) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	const allowed = 1 | 2 | 16 // keep size, punch hole, zero range
	if in.Mode&^allowed != 0 {
		return fuse.Status(syscall.EOPNOTSUPP)
	}
	h := v.handle(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	err := h.Change(int64(in.Offset)+int64(in.Length), func(fd uintptr) error {
		return syscall.Fallocate(int(fd), in.Mode, int64(in.Offset), int64(in.Length))
	})
	return v.status("allocate", v.id(in.NodeId), err)
}
