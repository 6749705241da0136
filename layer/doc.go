// Package layer holds the nouns of mullion: the entry of a Windows container
// layer, the Reader that yields entries, the Writer that takes them, and what can
// be done with any pair of them.
//
// # What a layer is
//
// A container image is a stack of layers. Each layer is a set of changes to a
// Windows file tree: files and directories that are new or replaced, further
// names for files (hard links), and whiteouts, which hide what the layers below
// have at a path. Under the root of every layer stand up to three trees with
// fixed names: Files (the C: drive of the container), Hives (registry hives, or
// delta hives in a layer that has parents) and UtilityVM (the machine for
// Hyper-V isolation, in some base layers).
//
// Several formats keep a layer: the OCI tar (package wintar), the final and transport
// directories (packages wclayer and wctransport), CimFS images (package cimlayer). Each is
// a pair, a [Reader] and a [Writer], and everything else is a use of that pipe:
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
// What needs more than one pass takes a [Source], a layer that can be opened
// again. [Union] merges a chain of layers into a [View], the tree that a container
// sees, to be listed, searched, or read as one layer. [Diff] tells what differs
// between two layers or views. [Audit] is the part of every format's check that
// is about the tree and the metadata rather than the bytes of the format.
//
// Package layertest has a layer in memory, a generator of random layers and the
// suite that every format runs; package hostile has the archives that nothing may
// fall for.
package layer
