// Package cimfs reads, writes, forks, rewrites and checks CimFS images, the
// composite images in which Windows keeps container layers.
//
// # What a CIM is
//
// A CIM (composite image) is a read-only file system kept in ordinary files. The
// driver cimfs.sys mounts it as a volume. One small file, by convention NAME.cim,
// is the image proper: it names a GUID, under which region files hold all bytes
// (region_<guid>_0, _1, ...) and object tables list them with digests
// (objectid_<guid>_0, _1, ...). All files of an image, and of the images it was
// forked from, stand in one directory.
package cimfs
