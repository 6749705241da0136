package snapshotter

import (
	"log/slog"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
)

// Config configures a Service. Only Root must be set.
type Config struct {
	// Root is the directory that the service owns while it lives. It is made if it
	// does not exist.
	Root string
	// Content is containerd's content store: blobs of layers are read from it and
	// those of Compare written to it. Calls carry the namespace and the lease of the
	// request that they serve. Without it Apply and Compare fail.
	Content content.Store
	// Leases protects the blobs that Compare writes from containerd's garbage collector
	// for CompareLease if the request itself has no lease; containerd does not pass the
	// lease of its client on to a plugin. Without Leases a blob can be collected before
	// the client reads it.
	Leases leases.Manager
	// Log receives messages for the operator. nil discards them.
	Log *slog.Logger
	// SameProcess must be set if this process opens files in the views that it serves;
	// see fusefs.Options.
	SameProcess bool
	// Observe, if set, is called after every operation, for metrics. It is called from
	// many goroutines at once and must not block.
	Observe func(Event)
	// MissingHives decides about a base layer that lacks registry hives. The zero value
	// refuses it, as Windows does.
	MissingHives cimlayer.MissingHives
	// Processors are the programs that layers of certain media types go through before
	// they are read, those of containerd's configuration.
	Processors []Processor
	// Limits bound the resources that a hostile layer can use; zero fields are the defaults.
	Limits layer.Limits
}

// Event is a finished operation.
type Event struct {
	// Op is the operation: prepare, view, mounts, commit, remove, stat, update, usage,
	// walk, cleanup, apply or compare.
	Op       string
	Duration time.Duration
	// Err is nil if the operation succeeded.
	Err error

	// Of apply and compare: bytes of the blob as it is stored and of the tar in it.
	// Both are 0 for a layer that was there already.
	StoredBytes, TarBytes int64
	// Reused reports that apply found the layer in the store and read no blob.
	Reused bool
}

// Stats counts the snapshots, layers and views of a Service.
type Stats struct {
	// Snapshots counts those of each kind.
	Active, Views, Committed int
	// Layers counts the layers in the store.
	Layers int
	// Mounted counts the FUSE views that are being served.
	Mounted int
}
