//go:build !unix

package regf

import (
	"io/fs"
	"os"
)

// takeOver does nothing: a new file has the access list that its folder gives.
func takeOver(*os.File, fs.FileInfo) error { return nil }

// syncDir does nothing: NTFS journals a rename.
func syncDir(*os.Root) error { return nil }
