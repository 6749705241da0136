// Package layerindex keeps what questions about a layer need, so that its blob is read to
// its end once and never again: the table of entries, where each begins in the tar, what
// its streams hold as SHA-256, and the access points by which package blob reads from the
// middle of a compressed blob.
//
//	r := layerindex.Record(wintar.NewBlobReader(b), func(x *layerindex.Index) { … })
//	… read r to io.EOF …
//	src := x.Source(ctx, ranges) // a layer.EntrySource
//
// # Trust
//
// An index is made from a blob whose digest, size and diff ID were verified, and is only as
// trustworthy as the place where it is kept. What is read by its means from a blob is
// verified with the hashes in the index, as strictly as a whole read. A file of an index
// has a SHA-256 for each of its parts, which finds damage, not forgery.
//
// # The file
//
// All numbers are little-endian. A header of 16 bytes is followed by a directory of
// sections, 64 bytes each, and the SHA-256 of both:
//
//	0x00  8   "MLNINDEX"
//	0x08  4   version, 2
//	0x0C  4   number of sections, 6
//
//	0x00  8   offset in the file
//	0x08  8   length
//	0x10  16  zeros
//	0x20  32  SHA-256 of the section; zeros for the map, which has hashes of its own
//
// The sections are, in this order and without gaps: the head, JSON with the totals; the
// marks, 16 bytes for each group of 16 entries; the descriptors, each with its length
// before it; the entries; the sums, 32 bytes each; and the map of package blob. Paths are
// front-coded within a group, so that any entry is found by decoding at most 16.
//
// # The file of a tree
//
// A Tree keeps the names of the union of a chain, so that one name is found without merging
// the layers. Its file begins with the SHA-256 of all that follows:
//
//	0x20  8   "MLNNAMES"
//	0x28  4   version, 1
//	0x2C  4   length of the head, JSON with the layers and the numbers of names and bytes
//
// Behind the head are five columns of 32-bit numbers, a row for each name in the order of
// layer.View.Levels: where its text begins; the number of the first name in it; the number of
// its entry from 1, 0 for none; the number of names of the file; the number of its layer from
// 1, 0 for none, with the highest bit set for a file. The first two have one row more, which
// ends the last. The text of all names follows. The names in a directory are sorted, so that
// one is found by halving.
package layerindex
