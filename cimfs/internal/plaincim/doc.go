// Package plaincim is a second reader of CimFS images, for tests alone. It was written
// from the description of the format (now docs/spec/cimfs.md, "Layout" and the sections
// after it) by somebody who had not seen package cimfs, and it goes about the work in
// another way on purpose: it loads every file of the image whole, follows the tree by
// plain recursion, undoes the expansion of executables one byte at a time and gives up
// at the first thing that does not fit. It is slow and hungry, and it shares no line
// with the package whose answers it checks.
//
// [Read] returns the tree. [Tree.Verify] compares the object tables with what
// the tree refers to: order, digests, completeness, alignment, zero padding.
package plaincim
