// Package cimfs reads, writes, forks, rewrites and checks CimFS images, the
// composite images in which Windows keeps container layers. It needs no Windows,
// and it writes, byte for byte, the same as Microsoft's writer wherever genuine images
// show the result.
//
// # Composite images
//
// A CIM (composite image) is a read-only file system kept in ordinary files. The
// driver cimfs.sys mounts it as a volume; Windows 11 and Server 2025 can run
// containers from such volumes instead of unpacking layers file by file.
//
// An image is several files in one directory. The small one, by convention
// NAME.cim, holds a GUID and the place of the topmost object. All bytes are in
// region files, region_GUID_0, _1 and so on; next to each is an object table,
// objectid_GUID_N, which lists the objects of the region with their digests. One
// region holds metadata; file content goes to a region of small objects, for files below
// 1,024 bytes, and to one of page-aligned objects for all others, so that the
// memory manager can map them. Two files of equal content are one object. A
// reference is a [RegionOffset], region and byte offset in 64 bits.
//
// The topmost object names the image's own upcase table, by which names are
// compared without regard to case, and the directory of the file tables. A record
// in a file table, found by its [FileID], is a file in the sense of NTFS: attributes,
// four times, the main stream, and where security descriptor, extended attributes,
// reparse data and alternate streams are stored. A directory is a file whose main stream
// is a link table: names in sorted order, each with a FileID. One FileID under
// several names is a hard link.
//
// An executable (a PE image) is stored with every section moved to a page of its
// own, with a descriptor that says by how far; readers put the pieces together
// again.
//
// # Forks
//
// A fork is an image over a parent in the same directory. It is copied on write: it has
// records of its own, with FileIDs after those of the parent, for changed files and
// the directories above them, and region files for new content. It refers to the parent
// for everything else, so its size is that of its changes. Forks can be forked
// again. A parent must stay where it is for as long as it has forks.
//
// # Nouns
//
// [Open] returns an [Image], which reads lazily and may be used from many goroutines.
// From it come [File] values, by path ([Image.Lookup]), by number ([Image.File]) or
// in tree order ([Image.Walk]), and from them [Stream] values. [Image.FS] is the
// same as an io/fs.FS. [Create] returns a [Writer], which takes files in any order
// that names directories before their children, and publishes a complete image or
// none at all; with [Options].Parent it makes a fork. [Rewrite] decodes and encodes
// again. [Image.Check] reports whether an image follows every known rule; a wrong one
// can stop the Windows kernel, so a Writer publishes nothing that does not pass.
//
// # Proven, inferred and unknown
//
// The format is not documented by Microsoft. This knowledge of it comes from genuine
// images and public sources. Nothing here has been mounted by Windows.
//
// Proven: re-encoding genuine images results in their bytes, or repeating recorded calls
// to Microsoft's own library results in the bytes that it wrote (the golden corpus, version
// 1).
//
//   - versions 1.0 and 3.0: all headers, alignment, padding, file records
//   - object tables: digests, order, one object for equal content
//   - link tables and their order by the upcase table, the upcase table itself
//   - security descriptors, extended attributes
//   - small and page-aligned data; which PE images are expanded, and how; the hashes
//     that they get as extended attributes, see [IsImageHash]
//   - the order of objects in the metadata region, the numbering of regions by first
//     use, the limit of small data, more than one file table
//   - version 3 parent links of a root and a file
//   - version 1: forks, hard links, alternate streams, reparse points, sparse files;
//     files that are replaced, deleted, made again
//
// Inferred and always used, because every image of some size needs it:
//
//   - parent links (version 3) of files in subdirectories: in the order of FileIDs
//     after all link tables
//
// Inferred, and refused with [ErrUnproven] when [Options].ProvenOnly is set:
//
//   - version 3: all that is listed above for version 1. Parent links of a file with
//     several names are sorted by upper-cased name, then by directory; the parent field
//     of the record names the directory of the first name; in a fork, records that are
//     shared name the directories of the parent
//   - extended attributes of directories and empty files
//   - holes in files without the attribute SPARSE
//
// Unknown, and therefore not written, or stored in the plain form that is always
// legal:
//
//   - block, verified and merged images, tombstones and merge links: no encoding is
//     public. Images recognized as such return [ErrNotImage] or
//     [ErrUnsupportedImage]
//   - version 2 on disk: read as public structures have it, not written, because a
//     driver of version 3 reads past the end of such records
//   - PE images of which nothing has to be moved: stored plain, as genuine images have
//     all that are not laid out as linkers do by default
//   - a further data region after 2^48 bytes: refused
package cimfs
