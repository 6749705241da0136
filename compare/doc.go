// Package compare finds the differences between two images, layers or registry hives: files
// and directories with all their metadata, registry keys and values, and the fields of the
// configuration.
//
// A [Scanner] reads each layer once and keeps a [Table] of it: the metadata of its entries,
// the SHA-256 of each stream, and its registry hives in temporary files. A table takes at
// most 200 bytes an entry; descriptors, reparse points and other records that many entries
// share are kept once, and in a temporary file when there are many. Layers with the same
// key, such as those that two images have in common, are read and kept once.
//
// A [Tree] is one side of a comparison of files: the merged view of a chain of tables
// ([Merge]), or the entries of one table, whiteouts included ([Single]). [Files] compares
// two trees and finds files that were renamed. [Registry] is one side of a comparison of
// registries, [Hives] compares two, [Configs] two configurations.
//
// Differences are made when they are asked for, so that memory does not grow with their
// number.
package compare
