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

func NativeTimes(KeptRecord) (winfs.Times, error) { return winfs.Times{}, nil }

func NativeAttributes(KeptRecord) (winfs.Attributes, error) { return 0, nil }

func CopyNative(from Directory, oldname string, to Directory, newname string, dir bool) error {
	return ErrHostFile
}
