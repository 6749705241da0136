package build

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// The errors of this package; those of layers and images are in packages layer and image.
var (
	// ErrNotBase reports that an image was not made on the base that is to be replaced.
	ErrNotBase = errors.New("the image was not made on that base")
	// ErrPlatform reports a base for another system or architecture.
	ErrPlatform = errors.New("the new base is for another platform")
	// ErrThroughLink reports a file in a directory that is a link in the layers below.
	ErrThroughLink = errors.New("a directory of the path is a link in the image")
	// ErrOutside reports a name or a symbolic link that leads out of a directory or an archive.
	ErrOutside = errors.New("leads out of the source")
	// ErrName reports a name that Windows cannot hold, or that Win32 programs cannot open.
	ErrName = errors.New("not a name for Windows")
	// ErrLayer reports a layer with faults for which Windows would refuse it.
	ErrLayer = errors.New("not a sound layer for Windows")
	// ErrConfig reports a change that makes no sense.
	ErrConfig = errors.New("invalid configuration")
)

// BaseError says where an image and its supposed base part.
type BaseError struct {
	Layer     int           // from 0, the lowest
	Want, Got digest.Digest // diff IDs of the base and of the image; Got is "" if it has no such layer
}

// Error names the first layer that differs.
func (e *BaseError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("%v: it has %d layers, and layer %d of the base has diff ID %s", ErrNotBase, e.Layer, e.Layer, e.Want)
	}
	return fmt.Sprintf("%v: layer %d has diff ID %s, that of the base %s", ErrNotBase, e.Layer, e.Got, e.Want)
}

// Unwrap returns ErrNotBase.
func (e *BaseError) Unwrap() error { return ErrNotBase }
