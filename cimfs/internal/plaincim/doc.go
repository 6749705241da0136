// Package plaincim is a second reader of CimFS images, for tests alone. It was written
// from the description of the format (now docs/spec/cimfs.md, "Layout" and the sections
// after it) by an author who had not seen package cimfs, and it goes about the work in
// another way on purpose: it loads every file of the image whole, follows the tree by
// plain recursion, undoes the expansion of executables one byte at a time and stops
// at the first inconsistency. It is slow and hungry, and it shares no line
// with the package whose answers it checks.
//
// [Read] returns the tree. [Tree.Verify] compares the object tables with the
// references of the tree: order, digests, completeness, alignment, zero padding.
package plaincim
