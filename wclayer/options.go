package wclayer

import (
	"os"

	"github.com/mullion/mullion/layer"
)

// MetadataMode says where a host other than Windows keeps what its file system
// cannot hold.
type MetadataMode uint8

// The places. What they contain is the same; see the package documentation.
const (
	// MetadataAuto takes extended attributes where the file system has them and
	// the index file elsewhere.
	MetadataAuto MetadataMode = iota
	// MetadataXattr keeps a record in the extended attribute user.mullion.meta of
	// every file and directory, and fails where the file system has none.
	MetadataXattr
	// MetadataIndex keeps all records in the file .mullion/index. Such a directory
	// survives any tool that copies files.
	MetadataIndex
)

// SyncMode says how a finished layer is made durable before it gets its name.
type SyncMode uint8

// The ways to make durable.
const (
	// SyncLayer writes everything back once, after the last entry: syncfs where
	// the host has it, otherwise each file and directory in turn.
	SyncLayer SyncMode = iota
	// SyncFiles flushes each file when it is complete, and the directories at the
	// end. It is slower, but does not wait for the writes of other programs.
	SyncFiles
	// SyncNone leaves it to the host. After a power failure, but not after a crash
	// of the program, the layer may have its name and lack content.
	SyncNone
)

type options struct {
	metadata MetadataMode
	sync     SyncMode
	limits   layer.Limits
	bare     bool
	// for Check: the layer is known to have no parents, or to have some
	base, parents bool
	finish        func(root *os.Root) error
	wrap          func(directory) directory   // fault injection in tests
	step          func(op, name string) error // the same, for what package publish does
	tolerate      func(error) bool            // for Check: told of an error, says whether to go on
}

// AsBase tells [Check] that the layer has no parents.
func AsBase() Option { return func(o *options) { o.base = true } }

// HasParents tells [Check] that the layer has parents.
func HasParents() Option { return func(o *options) { o.parents = true } }

// Option changes how a reader or writer works. The zero set is right for most.
type Option func(*options)

// WithMetadata chooses where metadata is kept. Readers see it for themselves and
// ignore the option, and so do writers on Windows, which keep it natively.
func WithMetadata(m MetadataMode) Option { return func(o *options) { o.metadata = m } }

// WithSync chooses how the layer is made durable. The default is SyncLayer.
func WithSync(m SyncMode) Option { return func(o *options) { o.sync = m } }

// WithLimits bounds what a reader takes from a hostile directory: Streams and
// MetadataLen of one entry, Entries. The other fields are for layer.Copy.
func WithLimits(l layer.Limits) Option { return func(o *options) { o.limits = l } }

// WithBareFiles makes the reader of a final directory return files without a
// metadata record, with default metadata, instead of failing with
// [ErrNoMetadata].
func WithBareFiles() Option { return func(o *options) { o.bare = true } }

// WithFinish has f called on the complete layer directory when everything else is
// in place, before it is made durable and published: the place to merge registry
// hives. An error from f fails the commit. f may add, replace and remove files
// that are not entries of the layer.
func WithFinish(f func(root *os.Root) error) Option { return func(o *options) { o.finish = f } }

func newOptions(opts []Option) options {
	var o options
	for _, f := range opts {
		f(&o)
	}
	o.limits.Entries = limit(o.limits.Entries, 10_000_000)
	o.limits.Streams = limit(o.limits.Streams, 4096)
	o.limits.MetadataLen = limit(o.limits.MetadataLen, 1<<20)
	return o
}

// limit resolves the convention of layer.Limits: 0 is the default, negative is
// none.
func limit(v, def int64) int64 {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 1<<63 - 1
	}
	return v
}
