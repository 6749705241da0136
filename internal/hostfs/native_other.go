//go:build !windows

package hostfs

import (
	"io/fs"

	"github.com/mullion/mullion/winfs"
)

// nativeObjects tells that the file system keeps Windows metadata itself.
const NativeObjects = false

// entryKind tells what a directory entry is.
func EntryKind(e fs.DirEntry) (dir, regular, reparse bool, err error) {
	return e.IsDir(), e.Type().IsRegular(), false, nil
}

func NativeTimes(KeptRecord) (winfs.Times, error) { return winfs.Times{}, nil }

func NativeAttributes(KeptRecord) (winfs.Attributes, error) { return 0, nil }

func CopyNative(from Directory, oldname string, to Directory, newname string, dir bool) error {
	return ErrHostFile
}
