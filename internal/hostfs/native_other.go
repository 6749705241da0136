//go:build !windows

package hostfs

import (
	"io/fs"

	"github.com/mullion/mullion/winfs"
)

// NativeObjects reports that the file system keeps Windows metadata itself.
const NativeObjects = false

// EntryKind returns the kind of a directory entry.
func EntryKind(e fs.DirEntry) (dir, regular, reparse bool, err error) {
	return e.IsDir(), e.Type().IsRegular(), false, nil
}

// NativeTimes is not called where NativeObjects is false.
func NativeTimes(KeptRecord) (winfs.Times, error) { return winfs.Times{}, nil }

// NativeAttributes is not called where NativeObjects is false.
func NativeAttributes(KeptRecord) (winfs.Attributes, error) { return 0, nil }

// CopyNative is for hosts whose file system keeps Windows metadata.
func CopyNative(from Directory, oldname string, to Directory, newname string, dir bool) error {
	return ErrHostFile
}
