// Package publish moves files, directories and sets of files to their final names:
// complete or not at all, and safely in a directory where other users can write. Every writer of the
// module publishes through it.
//
// A writer works in a private folder next to its destination:
//
//	.NAME.mullion-tmp-RANDOM/   mode 0700; the name is random and created exclusively
//	    .mullion-lock           locked while the writer is alive
//	    ...                     the unfinished result
//
// When the result is complete and durable, a rename moves it out of the folder. [Create]
// writes one file, [CreateDir] one directory, and [OpenSet] is for writers that publish
// several files one after the other. [CreatePart] and [WritePart] write the files of a
// directory or of a set.
//
// # Leftovers
//
// A killed process leaves its private folder behind. The next writer in the same
// directory removes it. The system drops the lock when a process dies, so the lock shows
// whether a folder is in use. A folder is opened or removed only if it belongs to the
// user of this process, no other user can write to it, and its lock is a plain file of
// the same user. Another user cannot create such a folder, and a directory moved to a
// name of this pattern has no lock file.
//
// # Other users and other processes
//
// Nothing is opened by name alone: an entry is examined without following links, opened,
// and the open file is compared with the examined one. From then on the open directory is
// used, not its path. A link under a name that this package uses is therefore never
// followed, and renaming or replacing directories redirects nothing: the data follows the
// open directory. Other users can neither read nor lock an unfinished result, because the
// folder around it is private, so a file doesn't need a stricter mode than the one it is
// published with.
//
// A process that may rename entries of the destination's directory can of course remove
// or replace a published result.
//
// # Faults
//
// Each operation on the disk passes one seam, which only the tests of this package can
// set. They run every writer of the module, fail it and stop it at each step, and attack
// it (conformance_test.go). A new writer is added to the table in writers_test.go.
package publish
