// Package blob reads and writes the blobs of container images: byte strings that
// are named by their digest and mostly compressed.
//
// # What a blob is
//
// A manifest lists an image's layers by digest and size. The digest is that of the
// blob as it is stored, mostly compressed; the configuration lists, in the same
// order, the diff IDs, which are the digests of what comes out of decompression.
// Both must hold before anything made of a layer may be used. Media types claim how
// a blob is compressed, and are wrong often enough that every puller looks at the
// first bytes instead: so does this package.
//
// # Reading
//
// A [Reader] takes the stored bytes and yields the decompressed ones. It reports
// io.EOF only when digest, size and diff ID were those that it was told to expect,
// so that a consumer which reads to the end and publishes afterwards never
// publishes anything unverified. Reading the source, decompression, both digests
// and the consumer run beside each other: verification costs no time where there
// is a second core.
//
//	r, err := blob.NewReader(ctx, file, blob.WithDigest(d, size), blob.WithDiffID(id))
//	defer r.Close()
//	... read r to io.EOF ...
//
// A small blob can expand without end. [layer.Limits].Ratio bounds what comes out by
// what went in.
//
// # Writing
//
// A [Writer] is the mirror: it compresses and tells digest, size and diff ID. The
// same input gives the same bytes, however it is cut into writes.
package blob
