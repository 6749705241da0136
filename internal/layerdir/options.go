package layerdir

import (
	"os"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
)

// MetadataMode selects where a host other than Windows keeps the metadata that its file
// system cannot hold.
type MetadataMode uint8

// The places for metadata. All of them hold the same; see the package documentation of
// wclayer.
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

// SyncMode selects how a finished layer is made durable before it gets its name.
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

// Options are the options of readers and writers, and the hooks of tests and checks.
type Options struct {
	Metadata MetadataMode
	Sync     SyncMode
	Limits   layer.Limits
	Bare     bool
	Finish   func(root *os.Root) error
	// For Check: the layer is known to have no parents, or to have parents.
	AsBase, HasParents bool
	// Below is that of layer.Audit.
	Below    *layer.Below
	Wrap     func(hostfs.Directory) hostfs.Directory // fault injection in tests
	Tolerate func(error) bool                        // for Check: receives an error, reports whether to go on
}

// Option changes how a reader or writer works. The zero set is right for most.
type Option func(*Options)

// WithMetadata chooses where metadata is kept. Readers see it for themselves and
// ignore the option, and so do writers on Windows, which keep it natively.
func WithMetadata(m MetadataMode) Option { return func(o *Options) { o.Metadata = m } }

// WithSync chooses how the layer is made durable. The default is SyncLayer.
func WithSync(m SyncMode) Option { return func(o *Options) { o.Sync = m } }

// WithLimits bounds the input of a reader: Streams and MetadataLen of one entry, and
// Entries. The other fields are for layer.Copy.
func WithLimits(l layer.Limits) Option { return func(o *Options) { o.Limits = l } }

// WithBareFiles makes the reader of a final directory return files without a
// metadata record, with default metadata, instead of failing with
// [ErrNoMetadata].
func WithBareFiles() Option { return func(o *Options) { o.Bare = true } }

// WithFinish has f called on the complete layer directory when everything else is
// in place, before it is made durable and published: the place to merge registry
// hives. An error from f fails the commit. f may add, replace and remove files
// that are not entries of the layer.
func WithFinish(f func(root *os.Root) error) Option { return func(o *Options) { o.Finish = f } }

// NewOptions applies the options to the defaults.
func NewOptions(opts []Option) Options {
	var o Options
	for _, f := range opts {
		f(&o)
	}
	o.Limits.Entries = limit(o.Limits.Entries, 10_000_000)
	o.Limits.Streams = limit(o.Limits.Streams, 4096)
	o.Limits.MetadataLen = limit(o.Limits.MetadataLen, 1<<20)
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
