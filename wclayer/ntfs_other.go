//go:build !windows

package wclayer

import (
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
)

// keepNatively has nothing to do where NTFS is not the file system.
func keepNatively(*layerdir.Writer) {}

// Nothing calls nativeEntry on a host other than Windows.

func (r *reader) nativeEntry(hostfs.Directory, layerdir.Item) error { return ErrHostFile }
