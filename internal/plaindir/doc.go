// Package plaindir reads any directory of the host as a layer and writes a layer
// as an ordinary directory, for people who want to make an image of some files or
// look at what is in one.
//
// A host that is not Windows knows little of what an entry holds. [Open] makes up
// the rest in one way: the modification time stands for all four times, so that
// reading does not change what is read; files have the attribute ARCHIVE; every
// entry has a default security descriptor; symbolic links become Windows symbolic
// links; files with one inode are hard links. [Create] keeps names, content,
// modification times, hard links and those symbolic links that stay inside, and
// tells its caller what it had to leave out.
package plaindir
