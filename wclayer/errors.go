package wclayer

import (
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
)

// Errors of this package, besides those of package layer. Test with errors.Is; a
// layer.Error around them names the entry.
var (
	// ErrNotLayer means that a directory is not a layer directory of the expected kind.
	ErrNotLayer = layerdir.ErrNotLayer
	// ErrNoMetadata means that a file in a directory made by this package has no metadata
	// record: the directory was copied without its extended attributes, or the file was
	// added by hand. [WithBareFiles] reads it with defaults.
	ErrNoMetadata = layerdir.ErrNoMetadata
	// ErrMetadata means that stored metadata contradicts itself or the files.
	ErrMetadata = hostfs.ErrMetadata
	// ErrHostFile means that the directory holds something that cannot be part of a layer:
	// a symbolic link, device, socket or pipe of the host.
	ErrHostFile = hostfs.ErrHostFile
	// ErrLinkCycle means that hard links name each other and no file. An error that wraps
	// it wraps layer.ErrLinkTarget, too.
	ErrLinkCycle = layerdir.ErrLinkCycle
)
