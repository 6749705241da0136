package snapshotter

import "os"

// ownDirectory makes a directory. It inherits the access list of its parent.
func ownDirectory(dir string) error { return os.MkdirAll(dir, 0o700) }
