package wctransport

import (
	"os"

	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
)

// MetadataMode selects where a host other than Windows keeps the metadata that its file
// system cannot hold.
type MetadataMode = layerdir.MetadataMode

// The places for metadata. All of them hold the same.
const (
	// MetadataAuto uses extended attributes where the file system has them and the index
	// file elsewhere.
	MetadataAuto = layerdir.MetadataAuto
	// MetadataXattr keeps a record in the extended attribute user.mullion.meta of every
	// file and directory, and fails where the file system has none.
	MetadataXattr = layerdir.MetadataXattr
	// MetadataIndex keeps all records in the file .mullion/index. Such a directory survives
	// any tool that copies files.
	MetadataIndex = layerdir.MetadataIndex
)

// SyncMode selects how a finished layer is made durable before it gets its name.
type SyncMode = layerdir.SyncMode

// The ways to make a layer durable.
const (
	// SyncLayer writes everything back once, after the last entry: with syncfs where the
	// host has it, otherwise each file and directory in turn.
	SyncLayer = layerdir.SyncLayer
	// SyncFiles flushes each file when it is complete, and the directories at the end. It
	// is slower, but does not wait for the writes of other programs.
	SyncFiles = layerdir.SyncFiles
	// SyncNone leaves it to the host. After a power failure, but not after a crash of the
	// program, the layer may have its name and lack content.
	SyncNone = layerdir.SyncNone
)

// Option changes how a reader or writer works. No options is the right choice for most.
type Option = layerdir.Option

// WithMetadata selects where a writer keeps metadata. Readers find it by themselves and
// ignore the option; so do writers on Windows, where NTFS keeps it.
func WithMetadata(m MetadataMode) Option { return layerdir.WithMetadata(m) }

// WithSync selects how a writer makes the layer durable. The default is SyncLayer.
func WithSync(m SyncMode) Option { return layerdir.WithSync(m) }

// WithLimits bounds what a reader accepts from a hostile directory: Streams and
// MetadataLen of one entry, and Entries. The other fields are for layer.Copy.
func WithLimits(l layer.Limits) Option { return layerdir.WithLimits(l) }

// WithFinish makes Commit call f with the complete layer directory, before the directory is
// made durable and published: the place to merge registry hives. An error from f fails the
// commit. f may add, replace and remove files that are not entries of the layer.
func WithFinish(f func(root *os.Root) error) Option { return layerdir.WithFinish(f) }
