// Package backup reads and writes Win32 backup streams, the form in which the
// Windows functions BackupRead and BackupWrite carry a whole file: data, alternate
// streams, security descriptor, extended attributes, reparse data and the ranges
// of sparse files, one after another in a single sequence of bytes. The transport
// directory of container layers keeps every file in this form.
//
// # The format
//
// A backup stream is a plain concatenation of streams, each a header of 20 bytes,
// a name, and data. There is no padding, no outer header and no end mark: the end
// of the bytes is the end. [Header] describes a stream; [ID] says which of the
// eleven kinds it is.
//
// A sparse file of L bytes has a main stream of size 0 that is marked sparse,
// then one [SparseBlock] for each allocated range in ascending order, then a
// block without payload whose offset is L, the terminator. The eight bytes of the
// offset stand at the front of the block's data; this package turns them into
// [Header.Offset], so that [Header.Size] counts payload alone. Other streams may
// stand between a data stream and its blocks.
//
// # The nouns
//
// [Reader] walks the streams in order. [Writer] is its counterpart and refuses
// what the reader would refuse. [Probe] walks a seekable source once and returns
// an [Info]: the metadata of the file, and where the bytes of its data streams
// are, which [DataStream.Reader] then yields with holes filled in.
//
// # Proven, inferred, unknown
//
//   - Proven by documents (MS-BKUP) and by docs/spec/layers.md, "Vectors": header,
//     names, sparse blocks, all stream IDs.
//   - Inferred from other readers: a terminator may follow a main stream that was
//     written in full, and one of size 0.
//   - Unknown: which builds of Windows write a terminator when. Both are accepted.
package backup
