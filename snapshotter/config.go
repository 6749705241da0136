package snapshotter

import (
	"log/slog"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
)

// Config says how a Service works. Only Root must be set.
type Config struct {
	// Root is the directory that the service owns while it lives. It is made if it
	// does not exist.
	Root string
	// Content is containerd's content store: blobs of layers are read from it and
	// those of Compare written to it. Calls carry the namespace and the lease of the
	// request that they serve. Without it Apply and Compare fail.
	Content content.Store
	// Leases keeps containerd's garbage collector from what Compare writes, for
	// CompareLease, when the request itself has no lease; containerd does not hand the
	// lease of its client on to a plugin. Without it what Compare wrote can be gone
	// before the client reads it.
	Leases leases.Manager
	// Log gets what an operator should know. nil is none.
	Log *slog.Logger
	// SameProcess tells that this process opens files in the views that it serves; see
	// fusefs.Options.
	SameProcess bool
	// Observe, if set, is told of every finished operation, for metrics. It is called
	// from many goroutines at once and must not block.
	Observe func(Event)
	// MissingHives says what becomes of a base layer that lacks registry hives. The
	// zero value refuses it, as Windows does.
	MissingHives cimlayer.MissingHives
	// Processors are the programs that layers of certain media types go through before
	// they are read, those of containerd's configuration.
	Processors []Processor
	// Limits bound what a hostile layer can do; zero fields are the defaults.
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
	// Reused tells of apply that the layer was there already and no blob was read.
	Reused bool
}

// Stats is a count of what a Service holds.
type Stats struct {
	// Snapshots counts those of each kind.
	Active, Views, Committed int
	// Layers counts the layers in the store.
	Layers int
	// Mounted counts the FUSE views that are being served.
	Mounted int
}
