package wintar

// Keys of PAX records (docs/spec/layers.md, "Records of a layer tar").
const (
	recAttributes = "MSWINDOWS.fileattr"
	recRawSD      = "MSWINDOWS.rawsd"
	recSDDL       = "MSWINDOWS.sd"
	recMountPoint = "MSWINDOWS.mountpoint"
	recXattr      = "MSWINDOWS.xattr."
	recCreation   = "LIBARCHIVE.creationtime"

	recMtime = "mtime"
	recAtime = "atime"
	recCtime = "ctime"

	recGNUSparse = "GNU.sparse."
	recGNUMajor  = "GNU.sparse.major"
	recGNUMap    = "GNU.sparse.map"
)

// Keys of our own, for metadata that the standard ones cannot hold.
const (
	recVendor   = "MULLION."
	recEAs      = "MULLION.eas"
	recReparse  = "MULLION.reparse"
	recObjectID = "MULLION.objectid"
	recSparse   = "MULLION.sparse"
	recOwnMtime = "MULLION.mtime"
	recOwnAtime = "MULLION.atime"
	recOwnCtime = "MULLION.ctime"
)

// Bits of the mode field. Permission bits are never set (docs/spec/layers.md, "Headers
// of a layer tar").
const (
	modeDir     = 0o040000
	modeRegular = 0o100000
	modeSymlink = 0o120000
	modeLink    = 0o644 // of a hard link, as in the Windows exporter
	modeFormat  = 0o170000
)

// Whiteouts (OCI image specification, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

const objectIDSize = 64

// knownRecord reports whether a key is understood, or does not matter to a Windows layer.
func knownRecord(key string) bool {
	switch key {
	case recAttributes, recRawSD, recSDDL, recMountPoint, recCreation, recMtime, recAtime, recCtime,
		recEAs, recReparse, recObjectID, recSparse, recOwnMtime, recOwnAtime, recOwnCtime,
		"path", "linkpath", "size", "uid", "gid", "uname", "gname", "comment", "charset", "hdrcharset":
		return true
	}
	return len(key) > len(recXattr) && key[:len(recXattr)] == recXattr ||
		len(key) > len(recGNUSparse) && key[:len(recGNUSparse)] == recGNUSparse
}
