package wctransport

import (
	"errors"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
)

// Errors of this package, besides those of package layer. Test with errors.Is; a
// layer.Error around them names the entry.
var (
	// ErrNotLayer means that a directory is not a layer directory of the expected kind.
	ErrNotLayer = layerdir.ErrNotLayer
	// ErrMetadata means that stored metadata contradicts itself or the files.
	ErrMetadata = hostfs.ErrMetadata
	// ErrHostFile means that the directory holds something that cannot be part of a layer:
	// a symbolic link, device, socket or pipe of the host.
	ErrHostFile = hostfs.ErrHostFile
	// ErrLinkCycle means that hard links name each other and no file. An error that wraps
	// it wraps layer.ErrLinkTarget, too.
	ErrLinkCycle = layerdir.ErrLinkCycle
	// ErrTombstones means that tombstones.txt does not begin with its header line, or has a
	// line that is too long. The text is the one that Windows tools print.
	ErrTombstones = errors.New("invalid tombstones file")
)
