// Package wintar reads and writes Windows container layers as OCI tar archives,
// the form in which registries keep them.
//
// # Format
//
// Such an archive is an ordinary POSIX tar with PAX headers whose names start with Files/,
// Hives/ or UtilityVM/, and whose Windows metadata is in PAX records:
//
//	MSWINDOWS.fileattr       the attribute word, in decimal
//	MSWINDOWS.rawsd          the security descriptor, self-relative, in base64
//	MSWINDOWS.xattr.NAME     one extended attribute, in base64
//	MSWINDOWS.mountpoint     1 where a link is a junction
//	LIBARCHIVE.creationtime  the creation time; mtime, atime and ctime are the
//	                         last write, last access and change times
//
// A directory is a header without data, its name without a trailing slash. A symbolic link
// or junction has typeflag 2 and its target, with backslashes, as the link name. A further
// name of a file is a hard link, typeflag 1. An alternate stream is an entry of its own
// directly after its file, named file:stream. A deletion is an empty file named .wh.NAME in
// the directory of NAME, an opaque whiteout one named .wh..wh..opq in the directory that it
// empties.
//
// # Limits of the standard records
//
// A Writer always produces the standard fields, as the Windows exporter does, byte for
// byte. Where they would lose something it adds a record of its own, which importers that
// do not know it ignore:
//
//	MULLION.eas       all extended attributes with their flags, in base64
//	MULLION.reparse   a reparse buffer that is not made from its target alone
//	MULLION.objectid  the object identifier
//	MULLION.sparse    1 if a stream is sparse and the attributes do not have the bit
//	MULLION.mtime, MULLION.atime, MULLION.ctime
//	                  a time that archive/tar cannot represent: the first of year 1
//
// When another tool has changed a standard field, our record no longer agrees with it, and
// the standard field is used.
//
// # The nouns
//
// [Reader] is a layer.Reader and [Writer] a layer.Writer over an uncompressed archive. The
// Reader refuses names that could leave the layer, metadata that does not decode, and
// archives that end early; it streams and keeps no state of the layer. [Check] reports
// faults that only the whole layer reveals, duplicates for example.
package wintar
