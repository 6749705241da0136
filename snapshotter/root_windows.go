package snapshotter

import "os"

// ownDirectory makes a directory. Who may look into it is what the access list of the
// folder above hands down.
func ownDirectory(dir string) error { return os.MkdirAll(dir, 0o700) }
