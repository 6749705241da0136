// Package backup reads and writes Win32 backup streams, the form in which the
// Windows functions BackupRead and BackupWrite carry a whole file: data, alternate
// streams, security descriptor, extended attributes, reparse data and the ranges
// of sparse files, one after another in a single sequence of bytes. The transport
// directory of container layers keeps every file in this form.
//
// # The format
//
// A backup stream is a plain concatenation of streams, each a header of 20 bytes, a name,
// and data. There is no padding, no outer header and no end mark: the stream ends where the
// bytes end. [Header] describes a stream; [ID] is its kind, one of eleven.
//
// A sparse file of L bytes has a main stream of size 0 that is marked sparse, then one
// [SparseBlock] for each allocated range in ascending order, then a block without payload
// at offset L, the terminator. The offset is stored in the first eight bytes of the block's
// data; this package moves it to [Header.Offset], so that [Header.Size] counts payload
// alone. Other streams may come between a data stream and its blocks.
//
// # The nouns
//
// [Reader] walks the streams in order. [Writer] is its counterpart and refuses every stream
// that the reader would refuse. [Probe] walks a seekable source once and returns an [Info]:
// the metadata of the file, and the positions of the bytes of its data streams, which
// [DataStream.Reader] then yields with holes filled in.
//
// # Proven, inferred, unknown
//
//   - Proven by documents (MS-BKUP) and by docs/spec/layers.md, "Vectors": header,
//     names, sparse blocks, all stream IDs.
//   - Inferred from other readers: a terminator may follow a main stream that was
//     written in full, and one of size 0.
//   - Unknown: in which cases each build of Windows writes a terminator. Both forms
//     are accepted.
package backup
