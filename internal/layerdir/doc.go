// Package layerdir is the common part of the two kinds of layer directories, the final one
// of package wclayer and the transport one of package wctransport.
//
// Metadata that the host cannot hold is stored in records (record.go), in an index of the
// entries without a file (index.go) and in a file of descriptors and streams (data.go). A
// [Walker] walks a directory and returns entries with the stored metadata; a [Writer] makes
// files, directories and hard links, stores their metadata and publishes the directory. Both
// leave the differences of the two kinds to an interface that the packages implement.
package layerdir
