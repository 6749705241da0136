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
// snapshot gets a view of it through FUSE (package fusefs).
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
package snapshotter
