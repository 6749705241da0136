package wintar

import (
	"io"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
)

// Option is an option of a Reader, a Writer or a Check.
type Option func(*options)

type options struct {
	goZeroTime    bool
	noTrailer     bool
	overwrite     bool
	base, parents bool
	label         string
	limits        layer.Limits
	offset, index int64 // where the source begins
	below         *layer.Below
	each          func(e *layer.Entry, data io.Reader, report func(finding.Finding))
	serial        bool // Check uses one goroutine, in tests
	observer      Observer
	blob          []blob.ReaderOption
}

func gather(opts []Option) options {
	var o options
	for _, f := range opts {
		f(&o)
	}
	return o
}

// GoZeroTime makes a Reader return, for entries without atime or ctime, the time that the
// upstream importer sets by mistake, 1754-08-30T22:43:41.1286549Z, so that the result of an
// import is identical. By default they get the mtime.
func GoZeroTime() Option { return func(o *options) { o.goZeroTime = true } }

// AllowMissingTrailer accepts an archive that ends after an entry, without the blocks of
// zeros. Such an archive looks the same as one that was truncated there, so the option is
// for sources whose digest was verified.
func AllowMissingTrailer() Option { return func(o *options) { o.noTrailer = true } }

// Overwrite makes Create replace an existing file.
func Overwrite() Option { return func(o *options) { o.overwrite = true } }

// Base declares to Check that the layer has no parents.
func Base() Option { return func(o *options) { o.base = true } }

// HasParents declares to Check that the layer has parents.
func HasParents() Option { return func(o *options) { o.parents = true } }

// Below lets Check know the layers below, and adds the layer to them at its end.
func Below(b *layer.Below) Option { return func(o *options) { o.below = b } }

// Each makes Check call f for every entry that it can decode. f may read from data, the
// main stream of a file; the rest is skipped. Findings that f passes to report are yielded
// among those of Check in the order of the archive. The entry and the functions are valid
// until f returns. After the caller of Check has stopped it, f may still be called for some
// entries more.
func Each(f func(e *layer.Entry, data io.Reader, report func(finding.Finding))) Option {
	return func(o *options) { o.each = f }
}

// WithLimits sets limits; a Reader uses Ratio: the number of zeros for holes of sparse
// files that it returns for each byte that its source has stored. Holes that a writer keeps
// as such are skipped with NextExtent and do not count.
func WithLimits(l layer.Limits) Option { return func(o *options) { o.limits = l } }

// From declares that the source of a Reader begins at an offset of the archive, a multiple
// of 512 bytes that Offset of another Reader has returned, and behind a number of entries.
// Errors name the places in the archive.
func From(offset, entries int64) Option {
	return func(o *options) { o.offset, o.index = offset, entries }
}

// Verify has Open and NewCompressedReader pass options to the reader of the blob, such as
// the digest and the diff ID that it must have.
func Verify(opts ...blob.ReaderOption) Option {
	return func(o *options) { o.blob = append(o.blob, opts...) }
}

// Label names the layer in errors and findings.
func Label(name string) Option { return func(o *options) { o.label = name } }
