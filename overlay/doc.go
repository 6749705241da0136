// Package overlay is a writable tree over a read-only one: what a container, or
// anybody who changes a mounted layer, sees while the layers below stay as they are.
//
// # What Windows does
//
// A Windows container writes to a scratch volume. A filter driver shows the merged
// layers on it: a file of a layer is copied to the scratch when it is first written
// (copy-up), and a tombstone hides what was deleted. When the container is
// committed, what the scratch holds is exported as a new layer: files and
// directories with all their metadata, whiteouts for what was deleted, hard links
// for further names.
//
// This package does the same in a directory of any file system. A [Lower] is the
// merged tree below, usually a CimFS image ([CimLower]); [Open] lays a [Tree] over it.
// [Tree.Changes] reads what was changed as the entries of a layer.
//
// # Names and objects
//
// As on NTFS a file is an object with a number, and names in directories refer to
// it. A file of the lower tree keeps its number there; new ones count from 1<<40.
// So a file that is changed is changed under each of its names, renaming a directory
// moves a name and copies nothing, and numbers do not change when content is copied
// up. Names are found without regard to case (winfs.Fold) and keep their spelling.
//
// # What is on disk
//
//	DIR/journal    what was done, in records of length, CRC32C and operations
//	DIR/data/N     one file for each stream that was written
//
// Each operation is one record, complete or absent. Opening replays the records, cuts
// off a record that a dying process left half written, removes data that nothing
// refers to, and writes the journal anew when most of it is history. A killed process
// loses nothing that was done before; after a power failure what was done since the
// last [Tree.Sync] may be gone, the later before the earlier. Content that is copied up is
// on disk before the journal says so. The times of a file that is being written are
// recorded when it is closed or synced; after a crash the time of its data file
// stands in.
//
// # What cannot be
//
// The tree refuses what NTFS or Win32 could not hold: names with : or < in them, with a
// dot at the end or that of a device such as NUL, paths longer than 32,767 units.
//
// POSIX owners and modes, which a Windows tree has no place for, are kept as the
// extended attributes that WSL defines: $LXUID, $LXGID and $LXMOD, and only where
// they are not root, root and 0755.
package overlay
