// Package snapshotter keeps the layers of Windows images for containerd, on any
// system.
//
// # What containerd wants of a plugin
//
// containerd unpacks an image layer by layer. A snapshotter keeps trees: it
// prepares a new one over a parent, hands out how to mount it, and commits it under
// a name, which for an image is the chain ID of its layers. A differ fills a
// prepared tree from the tar of a layer, and makes a tar of what has changed in one.
// On Windows both ask the host to do the work. Here a layer becomes a CimFS image
// (package cimlayer) wherever the plugin runs, and a POSIX program that mounts a
// snapshot gets a view of it through FUSE (package fusefs), a writable one if the
// snapshot is active (package overlay).
//
// # The nouns
//
// A [Service] owns a directory and what is in it: the metadata of containerd's
// snapshots, and a cimlayer.Store, where equal layers over equal parents exist once,
// whatever namespace or pull brought them. Its [Snapshotter] and its [Differ] are what
// containerd calls, mostly through the services of a proxy plugin:
//
//	s, err := snapshotter.New(snapshotter.Config{Root: dir, Content: store})
//	defer s.Close()
//	snapshotsapi.RegisterSnapshotsServer(rpc, snapshotservice.FromSnapshotter(s.Snapshotter()))
//	diffapi.RegisterDiffServer(rpc, diffservice.FromApplierAndComparer(s.Differ(), s.Differ()))
//
// # What a snapshot hands out
//
// A snapshot that an unpacker made for a layer gives the mount that the snapshotter
// gives on Windows, of type CimFS. The labels tell, containerd.io/snapshot.ref, and never
// the key. Only this differ takes such a mount; another one fails loudly instead of
// unpacking the layer without its metadata. Any other snapshot is shown at a directory
// of the service and handed out as a bind mount, so containerd must see the mounts of
// the plugin's process. Where there is no FUSE every snapshot gives the form of Windows;
// the scratch disk that a container needs there is not made.
//
// # When a layer counts
//
// A layer stands in the store under its chain ID when the digest and size of the blob,
// the diff ID and every entry have been verified, and not before. A snapshot's record
// lists the layers that it needs, with all those below, and is durable before the
// metadata know of a commit. Layers that no record lists are removed. What a process
// that died has left is cleared away by [New].
//
// An unpacker of containerd 2 may prepare all layers at once and name each one's
// parent at Commit. A layer whose parent is there is applied at once; of another one the
// tar is verified and kept until its Commit, so that layers are fetched and decompressed
// beside each other.
//
// # What was written
//
// [Differ.Compare] and [Snapshotter.Commit] make the same layer of what was written to a
// view: the entries of overlay.Tree.Changes, with delta hives where the registry was
// changed. Permissions and owners that programs set stand in it as the extended
// attributes of WSL. Metadata of the root are no part of a layer.
//
// # On disk
//
//	DIR/lock                          held while a service has the directory
//	DIR/metadata.db                   containerd's metadata of snapshots
//	DIR/cim-layers, layers, locks     the cimlayer.Store
//	DIR/snapshots/ID/layer            the record
//	DIR/snapshots/ID/upper/           what was written to the view
//	DIR/snapshots/ID/spool.*          the tar of a layer that waits for its parent
//	DIR/snapshots/ID/fs/              where the view is mounted
//	DIR/snapshots/rm-ID/              being removed
package snapshotter
