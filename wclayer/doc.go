// Package wclayer reads and writes Windows container layers that are kept as
// directories.
//
// # Three shapes of a layer
//
// A container layer travels as a tar, and on a Windows host it rests as a
// directory. Between the two stands a third shape, so that there are two kinds of
// directory, and mixing them up is the usual mistake:
//
//   - The final directory is what the host uses. Files holds real files, Hives the
//     registry hives, UtilityVM\Files the machine of Hyper-V isolation. [Create]
//     writes it, [Reader] reads it.
//   - The transport directory is what Windows takes and gives when a layer that has
//     parents is imported or exported. Each file below Files is an encoded one: four
//     bytes of Win32 attributes, then the file's backup stream with descriptor,
//     extended attributes, reparse data, data and alternate streams. A directory D
//     has the same in a file D.$wcidirs$ beside it. Files in Hives are as they are.
//     Deletions stand in tombstones.txt. [CreateTransport] writes it,
//     [TransportReader] reads it.
//
// [Open] opens either. Entries, whiteouts, links and streams are those of package
// layer; a directory of either kind is a pair of layer.Reader and layer.Writer:
//
//	w, err := wclayer.Create("layers/2", []string{"layers/1", "layers/0"})
//	defer w.Close()
//	_, err = layer.Copy(ctx, w, wintar.NewReader(f))
//	err = w.Commit()
//
// # What a host other than Windows cannot hold
//
// On Windows a final directory keeps everything where NTFS has it. Elsewhere the
// main stream of each file is a file, and the rest is kept beside it, without
// loss, in the folder .mullion at the root of the layer:
//
//   - A small record for each entry: attributes, four times, and references. It is
//     the extended attribute user.mullion.meta of the file, or stands in
//     .mullion/index, see [MetadataMode]. Times are kept even where the host has
//     them, because reading changes one of them and copying others. The host's own
//     modification and access times are set as well, for people.
//   - .mullion/data, descriptors, EA lists, reparse buffers and alternate streams,
//     equal ones once, each with a checksum.
//   - .mullion/index, what no file stands for: whiteouts, hard links by their
//     names, and names that the host cannot have (longer than 255 bytes, not valid
//     there, or taken by the form), which are spelled .mullion-name- and a hash.
//
// record.go, index.go and blobs.go have the bytes. A symbolic link or junction of
// the layer is a plain file or an empty directory with a record; no link of the
// host is ever made, so that none can be followed. A transport directory has all
// but the times in its files, and with extended attributes no .mullion at all: it
// is what Windows tools would have made.
//
// A directory that this package has not made needs none of this. What is there is
// read, attributes are unknown, all times are the modification time, files with
// several names are links. A symbolic link of the host in it is an error.
//
// # Final directories of layers with parents
//
// Windows marks what a layer deletes, and what it leaves to the layers below, by
// placeholders that only its own filter driver can make. This package's directory
// says it with items in .mullion/index; deleted names are simply not there. Such
// a directory holds the layer's own entries, delta hives as they came (package
// hives merges them; see [WithFinish]), and, once the layer touches the utility
// VM, a clone of the nearest parent's: files hard-linked, except the four boot
// configuration files, which are copied because base processing changes them.
//
// Hard links are made at Commit, to a file of the layer or of the nearest parent
// that has it and does not hide it. Where the host refuses (another volume), or a
// file has the 1,024 names that NTFS allows, the link is a copy; it still reads
// as a link.
//
// # Base layers
//
// Commit does the part of base layer processing that needs no Windows: the five
// hives in Files\Windows\System32\config get their names in Hives (SYSTEM_BASE,
// SOFTWARE_BASE, SAM_BASE, SECURITY_BASE, DEFAULTUSER_BASE) as hard links, the
// file layout is written, and the boot configuration of the utility VM is copied to
// bcd.bak, bcd.log.bak, bcd.log1.bak and bcd.log2.bak, in upper layers too. Not
// made are the disks: blank-base.vhdx, blank.vhdx, SystemTemplateBase.vhdx and
// SystemTemplate.vhdx are formatted NTFS volumes that the machine which runs the
// containers makes for itself, and the boot configuration is not edited.
//
// # Complete or absent
//
// A layer is written in a hidden sibling of its destination, through handles of
// one directory each, and renamed when it is complete and durable. The sibling is
// locked while its process lives; what a killed one has left is removed by the
// next writer for the same destination.
package wclayer
