package layerdir

import "errors"

// Errors that both forms of a layer directory have.
var (
	// ErrNotLayer says that a directory is neither a transport directory nor a
	// final layer directory: it has no Files in it.
	ErrNotLayer = errors.New("not a layer directory")
	// ErrNoMetadata says that a file in a directory made by this package has no
	// metadata record: the directory was copied without its extended attributes, or
	// the file was put there by hand. [WithBareFiles] reads it with defaults.
	ErrNoMetadata = errors.New("file has no metadata record")
	// ErrLinkCycle says that hard links name each other and no file; layer.ErrLinkTarget
	// is with it.
	ErrLinkCycle = errors.New("hard links form a cycle")
)
