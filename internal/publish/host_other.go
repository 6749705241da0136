//go:build !unix

package publish

import (
	"errors"
	"io/fs"
	"os"
)

const openFlags = 0

// releaseBeforeRename closes the file: os.Root opens without the right to rename
// an open file.
func releaseBeforeRename(f *os.File) error { return f.Close() }

// removeLocked closes the file first: Windows removes none that is open.
func removeLocked(root *os.Root, f *os.File, name string) error {
	f.Close()
	err := root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Owners and permissions are access lists there, which a folder hands down.

func owner(fs.FileInfo) uint32 { return 0 }

func writable(fs.FileInfo) bool { return false }

func links(fs.FileInfo) uint64 { return 1 }

// syncDir does nothing: NTFS journals the rename.
func syncDir(*os.Root) error { return nil }

// takeOver does nothing: the new file inherits the access list of the folder.
func takeOver(*os.File, fs.FileInfo) error { return nil }

func makePrivate(*os.File) error { return nil }
