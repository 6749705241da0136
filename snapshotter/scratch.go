package snapshotter

import (
	"fmt"
	"strconv"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

// The labels with which a client of the snapshotters on Windows asks for the size of a
// container's disk (docs/spec/layers.md, "Scratch disks"): in bytes, and in GiB, which
// is deprecated and does not count beside the other.
const (
	LabelScratchBytes = "containerd.io/snapshot/windows/rootfs.sizebytes"
	LabelScratchGiB   = "containerd.io/snapshot/io.microsoft.container.storage.rootfs.size-gb"
)

// ScratchSize returns the size in bytes of the disk that labels ask for, or 0 if they
// leave it to the snapshotter. A label that isn't a number is
// errdefs.ErrInvalidArgument, as on Windows. A view has no disk, so the size has no other
// effect here: writes are bounded by the file system below the service's root.
func ScratchSize(labels map[string]string) (uint64, error) {
	if s, ok := labels[LabelScratchBytes]; ok {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("label %s is %.40q and no number of bytes: %w", LabelScratchBytes, s, errdefs.ErrInvalidArgument)
		}
		return n, nil
	}
	s, ok := labels[LabelScratchGiB]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("label %s is %.40q and no number of GiB: %w", LabelScratchGiB, s, errdefs.ErrInvalidArgument)
	}
	return n << 30, nil
}

// checkOptions refuses options of a new snapshot that contradict each other.
func checkOptions(opts []snapshots.Opt) error {
	var info snapshots.Info
	for _, o := range opts {
		if err := o(&info); err != nil {
			return err
		}
	}
	_, err := ScratchSize(info.Labels)
	return err
}
