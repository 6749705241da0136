package snapshotter

import "errors"

// ErrInUse says that another process has the directory open.
var ErrInUse = errors.New("another process uses the directory")
