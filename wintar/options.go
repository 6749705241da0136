package wintar

import (
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
)

// Option changes how a Reader, a Writer or a Check works.
type Option func(*options)

type options struct {
	goZeroTime    bool
	noTrailer     bool
	overwrite     bool
	base, parents bool
	label         string
	limits        layer.Limits
	hook          func(op, name string) error // fails operations on the file in tests
	each          func(e *layer.Entry, data io.Reader)
	blob          []blob.ReaderOption
}

func gather(opts []Option) options {
	var o options
	for _, f := range opts {
		f(&o)
	}
	return o
}

// GoZeroTime has a Reader give entries without atime or ctime the time that the
// upstream importer gives them by mistake, 1754-08-30T22:43:41.1286549Z, so that
// what is imported is the same to the bit. By default they get the mtime.
func GoZeroTime() Option { return func(o *options) { o.goZeroTime = true } }

// AllowMissingTrailer accepts an archive that ends after an entry, without the
// blocks of zeros. It cannot be told from one that was cut there, so that is for
// sources whose digest was verified.
func AllowMissingTrailer() Option { return func(o *options) { o.noTrailer = true } }

// Overwrite has Create replace an existing file.
func Overwrite() Option { return func(o *options) { o.overwrite = true } }

// Base tells Check that the layer has no parents.
func Base() Option { return func(o *options) { o.base = true } }

// HasParents tells Check that the layer has parents.
func HasParents() Option { return func(o *options) { o.parents = true } }

// Each has Check call f for every entry that it understands. f may read from data, the
// main stream of a file; what it leaves is skipped. The entry is good until f returns.
func Each(f func(e *layer.Entry, data io.Reader)) Option { return func(o *options) { o.each = f } }

// WithLimits sets limits; a Reader uses Ratio: how many zeros for holes of sparse files
// it yields for each byte that its source has stored. Holes that a writer keeps as such
// are passed over with NextExtent and do not count.
func WithLimits(l layer.Limits) Option { return func(o *options) { o.limits = l } }

// Verify has Open and NewCompressedReader pass options to the reader of the blob, such as
// the digest and the diff ID that it must have.
func Verify(opts ...blob.ReaderOption) Option {
	return func(o *options) { o.blob = append(o.blob, opts...) }
}

// Label names the layer in errors and findings.
func Label(name string) Option { return func(o *options) { o.label = name } }
