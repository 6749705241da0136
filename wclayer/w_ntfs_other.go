//go:build !windows

package wclayer

func newObjects(k *keeper) objects { return plainObjects{k} }

// What follows is never called where nativeObjects is false.

func (r *reader) nativeEntry(directory, item) error { return ErrHostFile }
