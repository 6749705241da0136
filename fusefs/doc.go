// Package fusefs mounts the tree of a Windows layer as a file system on Linux and macOS,
// through FUSE: read-only, or writable with the changes stored in a separate directory
// (package overlay).
//
// # A Windows tree for POSIX programs
//
// Names are found without regard to case and listed in their spelling, as on NTFS. A name
// that is not valid UTF-16 appears as the bytes of its WTF-8 form. A file has the inode
// number of its format, the same under each of its names, and counts its links. The
// security descriptor, which controls access on Windows, has no effect here and can be read
// as an attribute. Owner and mode are root's and 0755, or those in the extended attributes
// of WSL ($LXUID, $LXGID, $LXMOD).
//
// A symbolic link or junction appears as a symbolic link whose text leads to the same place
// inside the view: C:\x and \x are resolved from the directory configured as the drive's
// root, Files by default, and made relative to the link. A target on another drive, share
// or volume does not exist here, and the link dangles with the target of Windows as its
// text. A relative text that stays inside the view is shown unchanged. Reparse points of
// other kinds appear as the file or directory that carries them.
//
// Metadata without a POSIX equivalent is available as extended attributes, under the names
// of ntfs-3g:
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
// A [Tree] is a tree to mount. [CimTree] makes one of a CimFS image, [FSTree] of any io/fs
// file system. A layer that cannot be read at random, such as a compressed tar, is copied
// into a [Spool], which is a layer.Writer and a tree. [Mount] serves a tree until it is
// unmounted:
//
//	s, err := fusefs.Mount(dir, fusefs.CimTree(im), nil)
//	defer s.Unmount()
//	s.Wait()
//
// [MountOverlay] serves a writable tree. In it the attributes above can be set and removed,
// chmod and chown set those of WSL, and a new symbolic link becomes one of Windows: a
// directory link if its target is a directory at that time.
//
// # Decisions
//
// The numbers of FUSE's nodes are those of files, so that a read-only view keeps no state
// for a file that the kernel knows. Its files are not opened, and the kernel never requests
// the same data twice. When a program reads the small files of a directory in order, the
// next ones are stored in the page cache in advance, and then those of the directories that
// it lists next: archiving a hundred thousand files takes a message for some hundreds of
// them and two for each directory, instead of one for each file.
//
// In a writable view the kernel caches attributes and content, because it makes every
// change to them, but no names, neither existing nor missing ones: when a name is removed,
// its spellings in other cases, which are other names to the kernel, must disappear at the
// same moment.
package fusefs
