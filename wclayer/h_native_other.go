//go:build !windows

package wclayer

import (
	"io/fs"

	"github.com/mullion/mullion/winfs"
)

// nativeObjects tells that the file system keeps Windows metadata itself.
const nativeObjects = false

// entryKind tells what a directory entry is.
func entryKind(e fs.DirEntry) (dir, regular, reparse bool, err error) {
	return e.IsDir(), e.Type().IsRegular(), false, nil
}

func nativeTimes(keptRecord) (winfs.Times, error) { return winfs.Times{}, nil }

func nativeAttributes(keptRecord) (winfs.Attributes, error) { return 0, nil }

func copyNative(from directory, oldname string, to directory, newname string, dir bool) error {
	return ErrHostFile
}
