// Package snapshotter keeps the layers of Windows images for containerd, on any
// system.
//
// # The plugins of containerd
//
// containerd unpacks an image layer by layer. A snapshotter keeps trees: it
// prepares a new one over a parent, hands out how to mount it, and commits it under
// a name, which for an image is the chain ID of its layers. A differ fills a
// prepared tree from the tar of a layer, and makes a tar of the changes in a tree.
// On Windows both ask the host to do the work. Here a layer becomes a CimFS image
// (package cimlayer) wherever the plugin runs, and a POSIX program that mounts a
// snapshot gets a view of it through FUSE (package fusefs), a writable one if the
// snapshot is active (package overlay).
//
// # The nouns
//
// A [Service] owns a directory with the metadata of containerd's snapshots and a
// cimlayer.Store, in which equal layers over equal parents exist once, regardless of the
// namespace or pull they came from. containerd calls its [Snapshotter] and its [Differ],
// mostly through the services of a proxy plugin:
//
//	s, err := snapshotter.New(snapshotter.Config{Root: dir, Content: store})
//	defer s.Close()
//	snapshotsapi.RegisterSnapshotsServer(rpc, snapshotservice.FromSnapshotter(s.Snapshotter()))
//	diffapi.RegisterDiffServer(rpc, diffservice.FromApplierAndComparer(s.Differ(), s.Differ()))
//
// # Mounts
//
// A snapshot that an unpacker made for a layer has the mount that the snapshotter on
// Windows returns, of type CimFS. The label containerd.io/snapshot.ref identifies such a
// snapshot; its key does not. Only this differ accepts the mount; another one fails
// loudly instead of unpacking the layer without its metadata. Any other snapshot is
// mounted at a directory of the service and returned as a bind mount, so containerd must
// see the mounts of the plugin's process. On a system without FUSE every snapshot has the
// mount of Windows; the scratch disk that a container needs there is not created.
//
// # Layers in the store
//
// A layer is in the store under its chain ID once the digest and size of the blob, the
// diff ID and every entry are verified, and not before. A snapshot's record lists its own
// layer and all those below it, and is durable before the metadata contain a commit.
// Layers that no record lists are removed. [New] removes the unfinished files of a
// process that died.
//
// An unpacker of containerd 2 may prepare all layers at once and name each one's
// parent at Commit. A layer whose parent is there is applied at once; of another one the
// tar is verified and kept until its Commit, so that layers are fetched and decompressed
// beside each other.
//
// # Writes
//
// [Differ.Compare] and [Snapshotter.Commit] make the same layer of the writes to a view:
// the entries of overlay.Tree.Changes, with delta hives for changes of the registry.
// Permissions and owners that programs set are stored as the extended attributes of WSL.
// A layer has no metadata of the root.
//
// # On disk
//
//	DIR/lock                          held while a service has the directory
//	DIR/metadata.db                   containerd's metadata of snapshots
//	DIR/cim-layers, layers, locks     the cimlayer.Store
//	DIR/snapshots/ID/layer            the record
//	DIR/snapshots/ID/upper/           writes to the view
//	DIR/snapshots/ID/spool.*          the tar of a layer that waits for its parent
//	DIR/snapshots/ID/fs/              where the view is mounted
//	DIR/snapshots/rm-ID/              being removed
package snapshotter
