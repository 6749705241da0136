// Package plaindir reads any directory of the host as a layer and writes a layer
// as an ordinary directory, for people who want to make an image of some files or
// look at the files of one.
//
// A host other than Windows doesn't store most properties of an entry. [Open] derives
// them: all four times are the modification time, so that reading a file doesn't change
// its entry; files have the attribute ARCHIVE; every
// entry has a default security descriptor; symbolic links become Windows symbolic
// links; files with one inode are hard links. [Create] keeps names, content,
// modification times, hard links and those symbolic links that stay inside, and counts
// the properties that it omits in [Lost]. [CreateWith] can keep most of these in extended
// attributes of the host.
package plaindir
