package atomicfile

import "os"

const openFlags = 0

// releaseBeforeRename closes the file: os.Root opens without the right to rename
// what is open.
func releaseBeforeRename(f *os.File) error { return f.Close() }

// syncDir does nothing: NTFS journals the rename.
func syncDir(*os.Root) error { return nil }
