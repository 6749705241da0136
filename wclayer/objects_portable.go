//go:build !windows

package wclayer

import "github.com/mullion/mullion/winfs"

// nativeObjects tells that the file system keeps Windows metadata itself.
const nativeObjects = false

func newObjects(k *keeper) objects { return plainObjects{k} }

func (r *Reader) fillNative(directory, item, file) error { panic("wclayer: no native metadata here") }

func nativeTimes(keptRecord) (winfs.Times, error) { panic("wclayer: no native metadata here") }

func nativeAttributes(keptRecord) (winfs.Attributes, error) {
	panic("wclayer: no native metadata here")
}
