// Package serve puts the snapshotter and the differ behind a socket, as containerd
// wants its plugins.
//
// # Proxy plugins
//
// containerd is a program of plugins, most of them linked in. A snapshotter keeps
// the file systems of layers and containers; a differ turns layer blobs into
// snapshots (apply) and snapshots into layer blobs (compare). Both may live in a
// process of their own: containerd's configuration then names a socket for each
// (proxy_plugins), and containerd speaks gRPC there, in the words of its own
// snapshots and diff services.
//
// A request to the differ names the blob to apply but does not carry it. The differ
// fetches it over containerd's own socket, in the namespace of the request, so each
// of the two is a client of the other. The connection back is made when it is needed,
// and again after containerd restarts.
//
// # Contents
//
// [Run] serves until its context ends: the two services, the health service of
// gRPC, metrics for Prometheus, and the log. [ContainerdConfig] prints the part of
// containerd's configuration that connects the plugin.
package serve
