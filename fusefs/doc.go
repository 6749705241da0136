// Package fusefs shows the tree of a Windows layer as a read-only file system on
// Linux and macOS, through FUSE.
//
// # What a POSIX program sees of a Windows tree
//
// Names are found without regard to case and listed as they are spelled, as on
// NTFS. A name that is not valid UTF-16 appears as the bytes of its WTF-8 form. A
// file has the inode number that its format gives it, the same under each of its
// names, and counts its links. Everyone may read everything: the descriptor that
// says who may on Windows means nothing here and can be read as an attribute.
//
// A symbolic link or junction appears as a symbolic link whose text leads to the
// same place inside the view: C:\x and \x are taken from the directory given as
// the drive's root, Files by default, and made relative to the link. A target on
// another drive, share or volume does not exist here, and the link dangles with
// the target of Windows as its text. Reparse points of other kinds appear as the
// file or directory that carries them.
//
// What POSIX has no place for are extended attributes, under the names that
// ntfs-3g gave them:
//
//	system.ntfs_acl            the self-relative security descriptor
//	system.ntfs_attrib         attributes, 4 bytes little-endian
//	system.ntfs_attrib_be      the same big-endian
//	system.ntfs_times          creation, last write, last access, change: 8 bytes each, little-endian
//	system.ntfs_crtime         creation alone
//	system.ntfs_reparse_data   the reparse buffer
//	system.ntfs_ea             the extended attributes of Windows, as FILE_FULL_EA_INFORMATION
//	user.NAME                  an alternate stream, up to 64 KiB, as Linux allows
//
// # Use
//
// A [Tree] is what is shown. [CimTree] makes one of a CimFS image, [FSTree] of any
// io/fs file system. A layer that cannot be read at random, as a compressed tar, is
// copied into a [Spool], which is a layer.Writer and a tree. [Mount] serves a tree until
// it is unmounted:
//
//	s, err := fusefs.Mount(dir, fusefs.CimTree(im), nil)
//	defer s.Unmount()
//	s.Wait()
package fusefs
