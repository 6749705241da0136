package hostfs

import "errors"

// Errors of files of the host.
var (
	// ErrHostFile says that the directory holds something that is no part of a
	// layer: a symbolic link, device, socket or pipe of the host.
	ErrHostFile = errors.New("not a file or directory")
	// ErrMetadata says that the kept metadata contradicts itself or the files.
	ErrMetadata = errors.New("damaged metadata record")
)
