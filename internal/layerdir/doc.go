// Package layerdir has what the two kinds of layer directories share, the final one of
// package wclayer and the transport one of package wctransport: the tree of names, the
// metadata that a host other than Windows cannot hold, the walk of the readers, and the
// order, hard links and publishing of the writers.
package layerdir
