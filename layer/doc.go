// Package layer defines the central types of mullion: the entry of a Windows container
// layer, the Reader that yields entries, the Writer that accepts them, and the operations
// on any pair of them.
//
// # Layers
//
// A container image is a stack of layers. Each layer is a set of changes to a Windows file
// tree: files and directories that are new or replaced, further names for files (hard
// links), and whiteouts, which hide the entries of the layers below at a path. The root of
// a layer contains up to three trees with fixed names: Files (the C: drive of the
// container), Hives (registry hives, or delta hives in a layer that has parents) and
// UtilityVM (the machine for Hyper-V isolation, in some base layers).
//
// Layers are stored in several formats: the OCI tar (package wintar), the transport and
// final directories (package wclayer), CimFS images (package cimlayer). Each is a [Reader]
// and a [Writer], and every other operation connects two of them:
//
//	stats, err := layer.Copy(ctx, dst, src)
//
// # Entries and streams
//
// An [Entry] is one change with all Windows metadata: attributes, four times,
// security descriptor, extended attributes, reparse buffer. The bytes of a file
// are its streams: the unnamed main stream and any number of named, alternate
// ones. A reader yields an entry, then on request its streams in order, and the
// bytes of each; nothing is held in memory. Directories and reparse points may
// have alternate streams too.
//
// # Several layers
//
// Operations that need more than one pass take a [Source], a layer that can be opened
// again. [Union] merges a chain of layers into a [View], the tree that a container sees, to
// be listed, searched, or read as one layer. [Diff] returns the differences between two
// layers or views. [Audit] is the part of every format's check that concerns the tree and
// the metadata rather than the bytes of the format.
//
// Package layertest has a layer in memory, a generator of random layers and the conformance
// suite for all formats; package hostile has malicious and malformed archives.
package layer
