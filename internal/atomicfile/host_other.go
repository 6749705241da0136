//go:build !unix

package atomicfile

import (
	"io/fs"
	"os"
)

const openFlags = 0

// releaseBeforeRename closes the file: os.Root opens without the right to rename
// what is open.
func releaseBeforeRename(f *os.File) error { return f.Close() }

// syncDir does nothing: NTFS journals the rename.
func syncDir(*os.Root) error { return nil }

// takeOver does nothing: the new file has the access list that the folder gives.
func takeOver(*os.File, fs.FileInfo) error { return nil }

func takeOverRest(*os.File, fs.FileInfo) error { return nil }
