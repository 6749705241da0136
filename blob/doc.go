// Package blob reads and writes the blobs of container images: byte strings that are
// identified by their digest and mostly compressed.
//
// # Blobs and digests
//
// A manifest lists an image's layers by digest and size. The digest is that of the blob as
// it is stored, mostly compressed; the configuration lists, in the same order, the diff
// IDs, which are the digests of the decompressed content. Both must be verified before
// anything made from a layer may be used. Media types name the compression of a blob, and
// are wrong often enough that clients look at the first bytes instead; this package does so
// too.
//
// # Reading
//
// A [Reader] reads the stored bytes and returns the decompressed ones. It returns io.EOF
// only if digest, size and diff ID are the expected ones, so that a consumer that reads to
// the end and publishes afterwards never publishes unverified data. Reading the source,
// decompression, both digests and the consumer run concurrently: with a second core,
// verification takes no extra time.
//
//	r, err := blob.NewReader(ctx, file, blob.WithDigest(d, size), blob.WithDiffID(id))
//	defer r.Close()
//	... read r to io.EOF ...
//
// A small blob can expand without end. [layer.Limits].Ratio bounds the output in proportion
// to the input.
//
// # Reading parts
//
// A reader with [WithMap] draws a [Map] of the blob while it verifies it: the sums of the
// chunks of the stored bytes, and points at which decompression can start. With the map any
// part of the plain bytes is read from a few ranges of the stored ones, each verified before
// it is used.
//
//	m, err := r.Map() // after io.EOF; or OpenMap, of what m.Encode wrote
//	part, err := m.NewReader(ctx, blob.RangesOf(file), offset, length)
//
// # Writing
//
// A [Writer] compresses its input and returns digest, size and diff ID. The same input
// produces the same bytes, however it is divided into writes.
package blob
