package wclayer

import "errors"

// Errors of this package, besides the vocabulary of package layer. Test with
// errors.Is; a layer.Error around them says where.
var (
	// ErrNotLayer says that a directory is neither a transport directory nor a
	// final layer directory: it has no Files in it.
	ErrNotLayer = errors.New("not a layer directory")
	// ErrTombstones says that tombstones.txt does not begin with its header line or
	// has a line that is too long. The words are those that Windows tools print.
	ErrTombstones = errors.New("invalid tombstones file")
	// ErrNoMetadata says that a file in a directory made by this package has no
	// metadata record: the directory was copied without its extended attributes, or
	// the file was put there by hand. [WithBareFiles] reads it with defaults.
	ErrNoMetadata = errors.New("file has no metadata record")
	// ErrMetadata says that the kept metadata contradicts itself or the files.
	ErrMetadata = errors.New("damaged metadata record")
	// ErrHostFile says that the directory holds something that is no part of a
	// layer: a symbolic link, device, socket or pipe of the host.
	ErrHostFile = errors.New("not a file or directory")
	// ErrLinkCycle says that hard links name each other and no file; layer.ErrLinkTarget
	// is with it.
	ErrLinkCycle = errors.New("hard links form a cycle")
)
