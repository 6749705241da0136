// Package fusefs shows the tree of a Windows layer as a file system on Linux and
// macOS, through FUSE: read-only, or writable with the changes kept beside it
// (package overlay).
//
// # What a POSIX program sees of a Windows tree
//
// Names are found without regard to case and listed as they are spelled, as on
// NTFS. A name that is not valid UTF-16 appears as the bytes of its WTF-8 form. A
// file has the inode number that its format gives it, the same under each of its
// names, and counts its links. The descriptor that says who may do what on Windows
// means nothing here and can be read as an attribute. Owner and mode are root's and
// 0755, or what the extended attributes of WSL say ($LXUID, $LXGID, $LXMOD).
//
// A symbolic link or junction appears as a symbolic link whose text leads to the
// same place inside the view: C:\x and \x are taken from the directory given as
// the drive's root, Files by default, and made relative to the link. A target on
// another drive, share or volume does not exist here, and the link dangles with
// the target of Windows as its text. A relative text that stays inside the view is
// shown as it was written. Reparse points of other kinds appear as the file or
// directory that carries them.
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
// io/fs file system, such as that of a layer.View, the merged layers of an image, which need
// not be unpacked for it. A layer that cannot be read at random, as a compressed tar, is
// copied into a [Spool], which is a layer.Writer and a tree. [Mount] serves a tree until
// it is unmounted:
//
//	s, err := fusefs.Mount(dir, fusefs.CimTree(im), nil)
//	defer s.Unmount()
//	s.Wait()
//
// [MountOverlay] serves a writable tree. In it the attributes above can be set and
// removed, chmod and chown set those of WSL, and a symbolic link becomes one of
// Windows: for directories if its target is one when it is made.
//
// # Decisions
//
// The numbers of FUSE's nodes are those of files, so that a read-only view keeps
// nothing for a file that the kernel knows. Its files are not opened and nothing is
// asked twice. When a program reads the small files of a directory in order, the next
// ones are stored in the page cache before it asks, and then those of the directories
// that it lists next: archiving a hundred thousand files takes a message for some
// hundreds of them and two for each directory, instead of one for each file.
//
// In a writable view the kernel keeps attributes and content, because it makes every
// change to them, but no names, neither those that exist nor those that do not: when a
// name is removed, its spellings in other cases, which the kernel takes for other
// names, must be gone in the same moment.
package fusefs
