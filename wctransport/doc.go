// Package wctransport reads and writes transport directories, the form in which Windows
// imports and exports a container layer that has parents.
//
// # The format
//
// A transport directory has the directories Files and Hives:
//
//   - Each file below Files is encoded: four bytes of Win32 attributes, little-endian, then
//     the backup stream of the file (package backup) with its security descriptor, extended
//     attributes, reparse buffer, data and alternate streams.
//   - A directory D is a directory of the host, and the file D.$wcidirs$ next to it has the
//     attributes and the backup stream of D.
//   - Files in Hives, the registry hives of the layer, are stored as they are.
//   - tombstones.txt lists the deleted names, one path a line.
//
// The final directory, which a host uses to run containers, is another format; package
// wclayer reads and writes it. Windows turns one into the other with ImportLayer and
// ExportLayer, and a program with [layer.Copy]:
//
//	w, err := wctransport.Create("import")
//	defer w.Close()
//	_, err = layer.Copy(ctx, w, wintar.NewReader(f))
//	err = w.Commit()
//
// # Times
//
// Backup streams have no times. On Windows they are those of the files. On other hosts they
// are in the extended attribute user.mullion.meta of each file, or, without extended
// attributes, in the folder .mullion at the root (see package wclayer for both). A directory
// of another program has neither, and its modification times are used. With extended
// attributes and without names that the host cannot have, a directory of this package has
// exactly the files that Windows tools make.
package wctransport
