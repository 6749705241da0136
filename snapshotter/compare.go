package snapshotter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/epoch"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// diffTypes are the media types that Compare writes.
var diffTypes = map[string]blob.Format{
	ocispec.MediaTypeImageLayer:                         blob.Plain,
	ocispec.MediaTypeImageLayerGzip:                     blob.Gzip,
	ocispec.MediaTypeImageLayerZstd:                     blob.Zstd,
	"application/vnd.docker.image.rootfs.diff.tar":      blob.Plain,
	"application/vnd.docker.image.rootfs.diff.tar.gzip": blob.Gzip,
}

// Compare writes the difference of two snapshots as a layer into containerd's content
// store. The upper snapshot is a view, or an active snapshot with the writes or the layer
// that it holds. The lower one is a snapshot of the tree directly below, or empty if the
// upper one has no parent. Any other pair is InvalidArgument. Equal changes make equal
// layers.
//
// The default media type is that of a tar with gzip. A type that isn't that of a layer is
// ErrNotImplemented, and so is a compressor of the caller's own.
func (d *Differ) Compare(ctx context.Context, lower, upper []mount.Mount, opts ...diff.Opt) (out ocispec.Descriptor, err error) {
	e, begin := Event{Op: "compare"}, time.Now()
	defer func() {
		if err != nil {
			err = classify(fmt.Errorf("compare snapshots: %w", err))
		}
		e.Err = err
		d.s.observe(e, begin)
	}()
	var config diff.Config
	for _, o := range opts {
		if err := o(&config); err != nil {
			return out, err
		}
	}
	id := d.s.snapshotOf(upper)
	if id == "" {
		return out, fmt.Errorf("the mounts are not of a snapshot of this service: %w", errdefs.ErrNotImplemented)
	}
	if config.MediaType == "" {
		config.MediaType = ocispec.MediaTypeImageLayerGzip
	}
	format, ok := diffTypes[config.MediaType]
	if !ok || config.Compressor != nil {
		return out, fmt.Errorf("layers of media type %q are not written: %w", config.MediaType, errdefs.ErrNotImplemented)
	}
	if config.SourceDateEpoch == nil {
		config.SourceDateEpoch = epoch.FromContext(ctx)
	}
	// One lock at a time: another request may compare the two in the opposite order.
	below, err := d.s.belowOf(ctx, lower, id)
	if err != nil {
		return out, err
	}
	sn, unlock, err := d.s.lockedID(ctx, id)
	if err != nil {
		return out, err
	}
	defer unlock()
	r, err := d.s.difference(below, sn)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return d.s.upload(ctx, r, format, &config, &e)
}

// belowOf returns the layers that the lower of two snapshots shows, none if there is no
// lower one. upper is the number of the other.
func (s *Service) belowOf(ctx context.Context, lower []mount.Mount, upper string) ([]string, error) {
	if len(lower) == 0 {
		return nil, nil
	}
	id := s.snapshotOf(lower)
	if id == "" {
		return nil, fmt.Errorf("the lower mounts are not of a snapshot of this service: %w", errdefs.ErrInvalidArgument)
	}
	if id == upper {
		return nil, fmt.Errorf("lower and upper are one snapshot: %w", errdefs.ErrInvalidArgument)
	}
	return s.unchangedTree(ctx, id)
}

// difference returns the difference between a locked snapshot and a tree.
func (s *Service) difference(below []string, sn snapshot) (layer.Reader, error) {
	if sn.info.Kind == snapshots.KindCommitted {
		return nil, fmt.Errorf("snapshot %s is committed meanwhile: %w", sn.info.Name, errdefs.ErrFailedPrecondition)
	}
	tree, err := s.treeOf(sn.parent)
	if err != nil {
		return nil, err
	}
	if sn.info.Kind == snapshots.KindActive {
		rec, err := s.readRecord(sn.id)
		if err != nil {
			return nil, err
		}
		switch {
		case rec != nil && !rec.Written:
			tree = rec.Layers
		case slices.Equal(tree, below):
			u, done, err := s.writtenTo(sn.id, tree, false)
			if err != nil {
				return nil, err
			}
			if u == nil {
				if err := s.seesWrites(sn); err != nil {
					return nil, errors.Join(err, done())
				}
				u = untouched{}
			}
			r, err := s.layerChanges(tree, u)
			if err != nil {
				return nil, errors.Join(err, done())
			}
			return &closing{r, done}, nil
		default:
			return nil, fmt.Errorf("the lower snapshot does not show what is below snapshot %s: %w", sn.info.Name, errdefs.ErrInvalidArgument)
		}
	}
	switch {
	case slices.Equal(tree, below):
		return s.layerChanges(tree, untouched{})
	case len(tree) > 0 && slices.Equal(tree[1:], below):
		own, err := s.store.Location(tree[0])
		if err != nil {
			return nil, err
		}
		var parents []cimlayer.Location
		for _, l := range baseFirst(below) {
			loc, err := s.store.Location(l)
			if err != nil {
				return nil, err
			}
			parents = append(parents, loc)
		}
		return cimlayer.Open(own, parents)
	}
	return nil, fmt.Errorf("snapshot %s shows %d layers, the lower one %d, and they are not these without the topmost: %w",
		sn.info.Name, len(tree), len(below), errdefs.ErrInvalidArgument)
}

// unchangedTree returns the layers that a snapshot shows, which must not have been
// written to.
func (s *Service) unchangedTree(ctx context.Context, id string) ([]string, error) {
	sn, unlock, err := s.lockedID(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if rec, err := s.readRecord(id); err != nil {
		return nil, err
	} else if rec != nil && !rec.Written {
		return rec.Layers, nil
	}
	tree, err := s.treeOf(sn.parent)
	if err != nil || sn.info.Kind != snapshots.KindActive {
		return tree, err
	}
	u, done, err := s.writtenTo(id, tree, false)
	if err != nil {
		return nil, err
	}
	if err := done(); err != nil {
		return nil, err
	}
	if u != nil {
		return nil, fmt.Errorf("the lower snapshot %s has been written to: %w", sn.info.Name, errdefs.ErrInvalidArgument)
	}
	return tree, nil
}

// untouched is the upper of a view without writes.
type untouched struct{}

func (untouched) Empty() bool                    { return true }
func (untouched) Changes() (layer.Reader, error) { return noEntries{}, nil }
func (untouched) Close() error                   { return nil }

type noEntries struct{}

func (noEntries) Next() (*layer.Entry, error)        { return nil, io.EOF }
func (noEntries) NextStream() (*layer.Stream, error) { return nil, io.EOF }
func (noEntries) Read([]byte) (int, error)           { return 0, io.EOF }
func (noEntries) Close() error                       { return nil }

// closing closes more than its reader.
type closing struct {
	layer.Reader
	done func() error
}

func (c *closing) Close() error { return errors.Join(c.Reader.Close(), c.done()) }

// upload writes a layer into the content store.
func (s *Service) upload(ctx context.Context, r layer.Reader, format blob.Format, config *diff.Config, e *Event) (out ocispec.Descriptor, err error) {
	if ctx, err = s.contentContext(ctx); err != nil {
		return out, err
	}
	ctx, drop, err := s.leased(ctx)
	if err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			drop()
		}
	}()
	store, ref := s.config.Content, config.Reference
	if ref == "" {
		var b [8]byte
		rand.Read(b[:])
		ref = "mullion-diff-" + hex.EncodeToString(b[:])
	}
	cw, err := content.OpenWriter(ctx, store, content.WithRef(ref), content.WithDescriptor(ocispec.Descriptor{MediaType: config.MediaType}))
	if err != nil {
		return out, fmt.Errorf("open content writer: %w", err)
	}
	defer func() {
		err = errors.Join(err, cw.Close())
		if err != nil && config.Reference == "" {
			// Also when the request was cancelled.
			if abort := store.Abort(context.WithoutCancel(ctx), ref); abort != nil && !errdefs.IsNotFound(abort) {
				s.log.Warn("abort upload", "ref", ref, "err", abort)
			}
		}
	}()
	if err := cw.Truncate(0); err != nil {
		return out, err
	}
	w, err := blob.NewWriter(cw, format)
	if err != nil {
		return out, err
	}
	err = s.writeTar(ctx, w, r, config.SourceDateEpoch)
	if err = errors.Join(err, w.Close()); err != nil {
		return out, err
	}
	e.StoredBytes, e.TarBytes = w.StoredSize(), w.Size()
	out = ocispec.Descriptor{MediaType: config.MediaType, Digest: digest.Digest(w.Digest()), Size: w.StoredSize()}
	set := maps.Clone(config.Labels)
	if format != blob.Plain {
		if set == nil {
			set = map[string]string{}
		}
		set[labels.LabelUncompressed] = string(w.DiffID())
	}
	err = cw.Commit(ctx, out.Size, out.Digest, content.WithLabels(set))
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return out, fmt.Errorf("commit content: %w", err)
	}
	if err == nil || format == blob.Plain {
		return out, nil
	}
	// It was there already, perhaps without the label.
	info, err := store.Info(ctx, out.Digest)
	if err != nil {
		return out, err
	}
	if info.Labels[labels.LabelUncompressed] == "" {
		if info.Labels == nil {
			info.Labels = map[string]string{}
		}
		info.Labels[labels.LabelUncompressed] = string(w.DiffID())
		if _, err := store.Update(ctx, info, "labels."+labels.LabelUncompressed); err != nil {
			return out, err
		}
	}
	return out, nil
}

// writeTar writes the tar of a layer. No time in it is later than epoch, if there is
// one.
func (s *Service) writeTar(ctx context.Context, w io.Writer, r layer.Reader, epoch *time.Time) error {
	tar := wintar.NewWriter(w)
	options := []layer.CopyOption{layer.WithLimits(s.config.Limits)}
	if epoch != nil {
		last, err := winfs.FiletimeFromTime(*epoch)
		if err != nil {
			return fmt.Errorf("source date epoch: %w: %w", err, errdefs.ErrInvalidArgument)
		}
		options = append(options, layer.WithFilter(func(e *layer.Entry) bool {
			t := &e.Times
			for _, p := range []*winfs.Filetime{&t.Creation, &t.LastAccess, &t.LastWrite, &t.Change} {
				*p = min(*p, last)
			}
			return true
		}))
	}
	if _, err := layer.Copy(ctx, tar, r, options...); err != nil {
		return errors.Join(err, tar.Close())
	}
	return errors.Join(tar.Commit(), tar.Close())
}
