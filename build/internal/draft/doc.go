// Package draft is a layer that is being written by path over the merged tree of the layers
// below it: the working copy of an instruction that changes files.
//
// A [Draft] shows the whole tree with its changes, so that drafts stack, one for each layer
// of a build, and [Draft.Layer] yields the changes as a layer: the directories above them
// once, with the metadata of the tree below, whiteouts, files and hard links. Memory grows
// with the changes, not with their content: content is opened when the layer is read.
package draft
