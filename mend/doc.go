// Package mend corrects faults of layers where the correction is no guess: a filter
// between the reader of a layer and a writer.
//
//	p, err := mend.Learn(ctx, first, mend.Options{Base: true})
//	stats, err := layer.Convert(ctx, dst, p.Reader(second))
//
// The layer is read twice: once to learn its tree, without content, and once to write it.
// The correction of a fault is certain if every importer that accepts the layer at all
// makes the same of it before and after, or if the fault leaves one meaning only. [Rules]
// lists the rules whose breaches are corrected; some are, in a tar, by writing its headers
// anew. All other faults stay as they are.
package mend
