// Package cimlayer keeps Windows container layers as CimFS images.
//
// # CIM layers
//
// Newer Windows hosts do not unpack a layer into a directory. They keep it as a
// composite image (package cimfs), which the driver mounts as a read-only volume;
// its root has the trees of every layer, Files, Hives and UtilityVM. A layer with
// parents is a fork: an image of its own that refers to the data of its parent's
// region files, in the same directory, and shows the merged tree. What the layer
// deletes is simply not in the fork's tables, so an image holds no whiteouts.
//
// # The pair
//
// [ImageReader] yields the content of an image as the entries of one layer, and
// [ImageWriter] adds entries to an image or a fork. They add and omit nothing: no
// registry hive is merged and no file is generated. [Writer] and [Reader] are built on
// top of them for the layers of a containerd snapshot, with merged hives and with the
// files next to the image. [ConvertToBaseLayer] makes a base layer of a plain directory.
//
// A fork reads as its merged tree, with everything of its parents, since its tables
// refer to all of it.
package cimlayer
