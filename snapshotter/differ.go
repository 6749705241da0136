package snapshotter

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Differ is the containerd differ of a Service. It takes mounts of the service's own
// snapshots alone and answers others with errdefs.ErrNotImplemented, whereupon
// containerd asks the next differ.
type Differ struct{ s *Service }

var (
	_ diff.Applier  = (*Differ)(nil)
	_ diff.Comparer = (*Differ)(nil)
)

// layerTypes are the media types of layers that Apply takes, at once or from a
// Processor. The compression is detected from the blob, not from its type.
var layerTypes = map[string]bool{
	ocispec.MediaTypeImageLayer:                                    true,
	ocispec.MediaTypeImageLayerGzip:                                true,
	ocispec.MediaTypeImageLayerZstd:                                true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar":      true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": true,
	"application/vnd.docker.image.rootfs.diff.tar":                 true,
	"application/vnd.docker.image.rootfs.diff.tar.gzip":            true,
	"application/vnd.docker.image.rootfs.diff.tar.zstd":            true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":         true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd":    true,
}

// Apply makes the layer of an active snapshot from a blob in containerd's content
// store. The layer is in the store of the service when, and only when, blob and tar
// have the digests and sizes that they should have. A layer that is there already is
// not read again. A snapshot that has been written to, or that another layer was
// applied to, is FailedPrecondition.
//
// The result describes the uncompressed tar.
func (d *Differ) Apply(ctx context.Context, desc ocispec.Descriptor, mounts []mount.Mount, opts ...diff.ApplyOpt) (out ocispec.Descriptor, err error) {
	e, begin := Event{Op: "apply"}, time.Now()
	defer func() {
		if err != nil {
			err = classify(fmt.Errorf("apply layer %s: %w", desc.Digest, err))
		}
		e.Err = err
		d.s.observe(e, begin)
	}()
	var config diff.ApplyConfig
	for _, o := range opts {
		if err := o(ctx, desc, &config); err != nil {
			return out, err
		}
	}
	id := d.s.snapshotOf(mounts)
	if id == "" {
		return out, fmt.Errorf("the mounts are not of a snapshot of this service: %w", errdefs.ErrNotImplemented)
	}
	source, ok := d.s.processed(desc, config.ProcessorPayloads)
	if !ok {
		return out, fmt.Errorf("media type %q is none of a Windows layer: %w", desc.MediaType, errdefs.ErrNotImplemented)
	}
	if config.Progress != nil {
		config.Progress(0)
	}
	rec, err := d.s.apply(ctx, id, source, &e)
	if err != nil {
		return out, err
	}
	if config.Progress != nil {
		config.Progress(desc.Size)
	}
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.Digest(rec.DiffID), Size: rec.Size}, nil
}
