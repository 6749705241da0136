//go:build !windows

package overlay

import (
	"io/fs"
	"syscall"
)

// allocated returns the space that a file uses on disk.
func allocated(st fs.FileInfo) int64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Blocks * 512
	}
	return st.Size()
}
