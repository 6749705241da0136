//go:build unix

package plaindir

import (
	"io/fs"
	"syscall"
)

// inode identifies a file of the host.
type inode struct{ dev, ino uint64 }

// inodeOf returns the identity of a file, and whether the file has several names.
func inodeOf(info fs.FileInfo) (inode, bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || s.Nlink < 2 {
		return inode{}, false
	}
	return inode{uint64(s.Dev), uint64(s.Ino)}, true
}
