// Package cimlayer keeps Windows container layers as CimFS images.
//
// # What a CIM layer is
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
// [ImageReader] yields what an image holds as the entries of one layer, and
// [ImageWriter] takes entries and adds them to an image or a fork. They add and
// leave out nothing: no registry hive is merged, no file is made up. That belongs
// to a layer as a containerd snapshot needs it, which is built on top of them:
// [Writer] and [Reader] are that: a layer with its hives merged and what stands beside
// its image. [ConvertToBaseLayer] makes a base layer of a plain directory.
//
// A fork reads as its merged tree, with everything of its parents, since that is
// what it holds.
package cimlayer
