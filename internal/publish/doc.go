// Package publish is the one way in which a file, a directory or a set of files gets
// its name: complete or not at all, and safe in a folder where other users may write.
//
// Everything is made in a private folder next to its destination, which belongs to
// one writer:
//
//	.NAME.mullion-tmp-RANDOM/   mode 0700, the name is random and created exclusively
//	    .mullion-lock           locked while the writer lives
//	    ...                     what is being written
//
// and moved out of it, by rename, when it is complete and durable. [Create] writes one
// file, [CreateDir] one directory, and [OpenSet] is for writers that publish several
// files one after the other.
//
// # Leftovers
//
// A process that is killed leaves its private folder. The next writer in the same
// directory removes it. The lock, which the system drops when a process dies, shows
// whether a folder is in use. Only folders of the own user that nobody else can write
// to, with a plain lock file of the own user in them, are ever opened or removed.
// Nobody else can make such a folder, and a directory that somebody moves to a name of
// this pattern has no lock file.
//
// # Other users and other processes
//
// Nothing is opened by a name alone: an entry is looked at without following links,
// opened, and what was opened is compared with what was seen. From then on the open
// directory is used and not its path. So a link under a name that this package uses is
// never followed, and who renames or replaces directories meanwhile gains nothing: the
// data goes where the open directory went. Nobody else can read or lock what is being
// written, because the folder around it is private, so a file needs no stricter mode
// than the one it is published with.
//
// Whoever may rename entries of the destination's directory can of course take away or
// replace what has been published there.
package publish
