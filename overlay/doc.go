// Package overlay is a writable tree over a read-only one: the view of a container, or of a
// user who changes a mounted layer, while the layers below do not change.
//
// # Copy-up and tombstones
//
// A Windows container writes to a scratch volume. A filter driver shows the merged layers
// on it: a file of a layer is copied to the scratch volume when it is first written
// (copy-up), and a tombstone hides a deleted file. When the container is committed, the
// contents of the scratch volume are exported as a new layer: files and directories with
// all their metadata, whiteouts for deleted files, hard links for further names.
//
// This package does the same in a directory of any file system. A [Lower] is the merged
// tree below, usually a CimFS image ([CimLower]); [Open] adds a writable [Tree] over it.
// [Tree.Changes] returns the changes as the entries of a layer.
//
// # Names and objects
//
// As on NTFS a file is an object with a number, and names in directories refer to it. A
// file of the lower tree keeps its number there; new ones count from 1<<40. So a change to
// a file is visible under each of its names, renaming a directory moves a name and copies
// nothing, and numbers do not change when content is copied up. Names are found without
// regard to case (winfs.Fold) and keep their spelling.
//
// # Files on disk
//
//	DIR/journal    the operations, in records of length, CRC32C and operations
//	DIR/data/N     one file for each stream that was written
//
// Each operation is one record, complete or absent. Opening replays the records, removes a
// partial record at the end of the journal, removes data that nothing refers to, and
// rewrites the journal when most of it is obsolete. Killing the process loses no completed
// operation; after a power failure the operations since the last [Tree.Sync] may be lost,
// later ones before earlier ones. Content that is copied up is on disk before the journal
// refers to it. The times of a file that is being written are recorded when it is closed or
// synced; after a crash the time of its data file is used.
//
// # Limits
//
// The tree refuses names that NTFS or Win32 could not hold: names with : or < in them, with
// a dot at the end or that of a device such as NUL, paths longer than 32,767 units.
//
// POSIX owners and modes, which a Windows tree does not have, are kept as the extended
// attributes that WSL defines: $LXUID, $LXGID and $LXMOD, and only if they are not root,
// root and 0755.
package overlay
