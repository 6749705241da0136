//go:build unix

package plaindir

import (
	"io/fs"
	"syscall"
)

// inode tells files apart.
type inode struct{ dev, ino uint64 }

// inodeOf returns what identifies a file, and whether it has several names.
func inodeOf(info fs.FileInfo) (inode, bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || s.Nlink < 2 {
		return inode{}, false
	}
	return inode{uint64(s.Dev), uint64(s.Ino)}, true
}
