//go:build !windows

package wclayer

import (
	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
)

// keepNatively has nothing to do where NTFS is not the file system.
func keepNatively(*layerdir.Writer) {}

// What follows is never called where nativeObjects is false.

func (r *reader) nativeEntry(hostfs.Directory, layerdir.Item) error { return ErrHostFile }
