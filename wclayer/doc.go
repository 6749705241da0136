// Package wclayer reads and writes the final directories of Windows container layers.
//
// # The forms of a layer
//
// A container layer is distributed as a tar file, and a Windows host stores it as a
// directory. There are two kinds of directories, which are easily confused:
//
//   - The final directory is the one that the host uses. Files holds the files of the
//     layer, Hives its registry hives, and UtilityVM\Files the machine of Hyper-V
//     isolation. This package writes it with [Create] and reads it with [Reader].
//   - The transport directory is the one that Windows imports and exports. Each file in it
//     is encoded as attributes and a backup stream, and deletions are lines of
//     tombstones.txt. Package wctransport reads and writes it.
//
// [Open] and [Check] accept both kinds. Entries, whiteouts, links and streams are those of
// package layer, and each kind of directory has a layer.Reader and a layer.Writer:
//
//	w, err := wclayer.Create("layers/2", []string{"layers/0", "layers/1"})
//	defer w.Close()
//	_, err = layer.Copy(ctx, w, wintar.NewReader(f))
//	err = w.Commit()
//
// # Metadata on a host other than Windows
//
// On Windows, NTFS keeps all metadata of a final directory. On other hosts the main stream
// of each file is a file of the host, and the folder .mullion at the root of the layer
// keeps the rest without loss:
//
//   - A small record for each entry has the attributes, the four times and references. It
//     is the extended attribute user.mullion.meta of the file, or part of .mullion/index,
//     see [MetadataMode]. Times are kept in the record even where the host has them,
//     because reading changes one of them and copying others. The modification and access
//     times of the host are set as well, for people.
//   - .mullion/data has descriptors, lists of extended attributes, reparse buffers and
//     alternate streams, each with a checksum. Equal ones are stored once.
//   - .mullion/index has the entries without a file: whiteouts, hard links by their names,
//     and names that the host cannot have (longer than 255 bytes, invalid there, or used
//     by this format), whose files are named .mullion-name- and a hash.
//
// The files record.go, index.go and data.go of internal/layerdir define the bytes. A
// symbolic link or junction of the layer is a plain file or an empty directory with a
// record. No link of the host is made, so none can be followed.
//
// A directory that another program has made needs none of this. Its files are read,
// attributes are unknown, all times are the modification time, and files with several names
// become links. A symbolic link of the host in it is an error.
//
// # Layers with parents
//
// Windows marks the deletions of a layer, and the files it leaves to the layers below, with
// placeholders that only its own filter driver can make. This package stores them as items
// of .mullion/index; deleted names are absent. Such a directory holds the layer's own
// entries, delta hives as they came (package hives merges them; see [WithFinish]), and, if
// the layer changes the utility VM, a clone of the nearest parent's: its files are hard
// links, but the four boot configuration files are copies, because base processing changes
// them.
//
// Commit makes the hard links, to a file of the layer or of the nearest parent that has it
// and does not hide it. Where the host refuses a link (to another volume), or the file has
// the 1,024 names that NTFS allows, the link is a copy; it still reads as a link.
//
// # Base layers
//
// Commit does the part of base layer processing that needs no Windows: the five hives in
// Files\Windows\System32\config are linked to their names in Hives (SYSTEM_BASE,
// SOFTWARE_BASE, SAM_BASE, SECURITY_BASE, DEFAULTUSER_BASE), the file layout is written, and
// the boot configuration of the utility VM is copied to bcd.bak, bcd.log.bak, bcd.log1.bak
// and bcd.log2.bak, in upper layers too. Commit does not make the disks blank-base.vhdx,
// blank.vhdx, SystemTemplateBase.vhdx and SystemTemplate.vhdx, which are formatted NTFS
// volumes and come from the machine that runs the containers, and does not edit the boot
// configuration.
//
// # Complete or absent
//
// A layer is written in a hidden sibling of its destination and renamed when it is complete
// and durable. The sibling is locked while its process lives. The next writer for the same
// destination removes the siblings of killed processes.
package wclayer
