package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wintar"
	"github.com/opencontainers/go-digest"
)

// lockedID takes the lock of a snapshot by its number.
func (s *Service) lockedID(ctx context.Context, id string) (sn snapshot, unlock func(), err error) {
	if unlock, err = s.snapshots.lock(ctx, id); err != nil {
		return sn, nil, err
	}
	if sn, err = s.lookupID(ctx, id); err != nil {
		unlock()
	}
	return sn, unlock, err
}

// lookupID reads the metadata of a snapshot by its number.
func (s *Service) lookupID(ctx context.Context, id string) (sn snapshot, err error) {
	err = s.tx(ctx, false, func(ctx context.Context) error {
		ids, err := storage.IDMap(ctx)
		if err != nil {
			return err
		}
		key, ok := ids[id]
		if !ok {
			return fmt.Errorf("snapshot %s does not exist: %w", id, errdefs.ErrNotFound)
		}
		sn, err = lookup(ctx, key)
		return err
	})
	return sn, err
}

// apply makes a snapshot of the layer in a blob, or spools the layer if the layers
// below it aren't in the store yet.
func (s *Service) apply(ctx context.Context, id string, desc layerBlob, e *Event) (*record, error) {
	sn, unlock, err := s.lockedID(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if sn.info.Kind != snapshots.KindActive {
		return nil, fmt.Errorf("snapshot %s is not active: %w", sn.info.Name, errdefs.ErrFailedPrecondition)
	}
	var want digest.Digest
	if unpacks(sn.info) {
		if want = digest.Digest(sn.info.Labels[snapshots.LabelSnapshotDiffID]); want != "" && want.Validate() != nil {
			return nil, fmt.Errorf("label %s is %.100q and no digest: %w", snapshots.LabelSnapshotDiffID, want, errdefs.ErrInvalidArgument)
		}
	}
	old, err := s.readRecord(id)
	if err != nil {
		return nil, err
	}
	if old != nil && !old.Written {
		if old.Blob == desc.Digest || want != "" && old.DiffID == want {
			e.Reused = true
			return old, nil // asked for again, by a client that did not get the answer
		}
		return nil, fmt.Errorf("snapshot %s has a layer already: %w", sn.info.Name, errdefs.ErrFailedPrecondition)
	}
	parents, known, err := s.below(sn)
	if err != nil {
		return nil, err
	}
	written, done, err := s.writtenTo(id, parents, false)
	if err != nil {
		return nil, err
	}
	if err := done(); err != nil {
		return nil, err
	}
	if written != nil {
		return nil, fmt.Errorf("snapshot %s has been written to: %w", sn.info.Name, errdefs.ErrFailedPrecondition)
	}
	if err := s.hide(id); err != nil {
		return nil, err
	}
	if !known {
		return s.spool(ctx, id, desc, want, e)
	}
	// Others may be at work on the same layer for another snapshot.
	top := ""
	if len(parents) > 0 {
		top = parents[0]
	}
	release, err := s.applying.lock(ctx, top+" "+desc.Digest.String())
	if err != nil {
		return nil, err
	}
	defer release()
	rec, err := s.present(ctx, parents, desc.Digest, want)
	if err != nil {
		return nil, err
	}
	if rec != nil {
		e.Reused = true
	} else if rec, err = s.make(ctx, parents, desc, want, e); err != nil {
		return nil, err
	}
	if err := s.writeRecord(id, rec); err != nil {
		s.layers.release(rec.Layers...)
		return nil, err
	}
	s.layers.learn(rec)
	return rec, nil
}

// below returns the layers under that of an active snapshot. They are not known yet
// if an unpacker prepared the snapshot without its parent, to name it at Commit, and
// the store does not have the parent that the label names.
func (s *Service) below(sn snapshot) (parents []string, known bool, err error) {
	label := sn.info.Labels[labelParentChain]
	if sn.parent != "" || label == "" || !unpacks(sn.info) {
		parents, err = s.treeOf(sn.parent)
		return parents, true, err
	}
	if rec, ok := s.layers.lookup(label); ok {
		return rec.Layers, true, nil
	}
	return nil, false, nil
}

// present returns the record of a layer that the store has already, nil if it does
// not. The layers of the record are held.
func (s *Service) present(ctx context.Context, parents []string, blob, diffID digest.Digest) (*record, error) {
	if diffID == "" {
		if diffID = s.layers.diffID(blob); diffID == "" {
			return nil, nil
		}
	}
	rec := layerOver(parents, diffID, 0)
	if err := s.layers.hold(ctx, rec.Layers...); err != nil {
		return nil, err
	}
	known, ok := s.layers.lookup(rec.Layers[0])
	there, err := s.store.Has(rec.Layers[0])
	if err != nil || !ok || !there || known.DiffID != diffID {
		s.layers.release(rec.Layers...)
		return nil, err
	}
	rec.Size = known.Size
	if known.Blob == blob {
		rec.Blob = blob
	}
	return rec, nil
}

// make makes a layer of a blob. The layers of the record are held.
func (s *Service) make(ctx context.Context, parents []string, desc layerBlob, want digest.Digest, e *Event) (*record, error) {
	cctx, err := s.contentContext(ctx)
	if err != nil {
		return nil, err
	}
	return s.build(ctx, parents, want, desc.Digest, func(w layer.Writer) (*blob.Reader, error) {
		src, err := s.openStream(ctx, cctx, desc)
		if err != nil {
			return nil, err
		}
		defer src.Close()
		options := append(src.options, blob.WithSums(), blob.WithLimits(s.config.Limits))
		if want != "" {
			options = append(options, blob.WithDiffID(want))
		}
		r, err := s.copyTar(ctx, w, desc.Digest.String(), src, options...)
		if err == nil {
			err = src.verify(ctx)
		}
		if err == nil {
			e.StoredBytes, e.TarBytes = src.storedSize(r), r.Size()
		}
		return r, err
	})
}

// copyTar reads a tar to its end, verifies it and writes its entries.
func (s *Service) copyTar(ctx context.Context, w layer.Writer, name string, src io.Reader, options ...blob.ReaderOption) (*blob.Reader, error) {
	tar, err := wintar.NewCompressedReader(ctx, src, wintar.WithLimits(s.config.Limits), wintar.Verify(options...), wintar.Label(name))
	if err != nil {
		return nil, err
	}
	defer tar.Close()
	if _, err := layer.Copy(ctx, w, tar, layer.WithLimits(s.config.Limits)); err != nil {
		return nil, err
	}
	return tar.Blob(), nil
}

// build puts a layer over a tree into the store. fill writes it, and returns a reader
// that has verified the data. want is the diff ID, or "" if it isn't known before.
// The layers of the record are held.
func (s *Service) build(ctx context.Context, parents []string, want, blobDigest digest.Digest, fill func(layer.Writer) (*blob.Reader, error)) (rec *record, err error) {
	if err := s.layers.hold(ctx, parents...); err != nil {
		return nil, err
	}
	held := parents
	defer func() {
		if err != nil {
			s.layers.release(held...)
			rec = nil
		}
	}()
	options := []cimlayer.Option{cimlayer.WithMissingHives(s.config.MissingHives),
		cimlayer.WithHiveWarnings(func(f finding.Finding) {
			s.log.Warn("a fault in a hive that changes nothing", "hive", f.Layer, "fault", f)
		})}
	fillOnce := func(w layer.Writer) (string, error) {
		if s.hook != nil {
			w = &stepping{w, s.step}
		}
		r, err := fill(w)
		if err != nil {
			return "", err
		}
		if err := s.step("verified", ""); err != nil {
			return "", err
		}
		rec = layerOver(parents, digest.Digest(r.DiffID()), r.Size())
		rec.Blob = blobDigest
		return rec.Layers[0], nil
	}
	if want == "" {
		_, _, err = s.store.AddComputed(ctx, baseFirst(parents), func(w layer.Writer) (string, error) {
			chain, err := fillOnce(w)
			if err != nil {
				return "", err
			}
			// Hold it before it exists, so that no sweep finds it unneeded.
			if err := s.layers.hold(ctx, chain); err != nil {
				return "", err
			}
			held = rec.Layers
			return chain, nil
		}, options...)
		return rec, err
	}
	chain := chainOver(parents, want)
	if err := s.layers.hold(ctx, chain); err != nil {
		return nil, err
	}
	held = append([]string{chain}, parents...)
	made, err := s.store.Add(ctx, chain, baseFirst(parents), func(w layer.Writer) error {
		_, err := fillOnce(w)
		return err
	}, options...)
	if err != nil {
		return nil, err
	}
	if made {
		return rec, nil
	}
	// It came with another blob of the same content meanwhile, or Remove has failed to
	// remove it.
	if known, ok := s.layers.lookup(chain); ok {
		return layerOver(parents, want, known.Size), nil
	}
	_, err = fillOnce(nowhere{})
	return rec, err
}

// spool verifies a layer whose parent is not known yet and keeps its tar for Commit.
func (s *Service) spool(ctx context.Context, id string, desc layerBlob, want digest.Digest, e *Event) (rec *record, err error) {
	cctx, err := s.contentContext(ctx)
	if err != nil {
		return nil, err
	}
	src, err := s.openStream(ctx, cctx, desc)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	options := append(src.options, blob.WithSums(), blob.WithLimits(s.config.Limits))
	if want != "" {
		options = append(options, blob.WithDiffID(want))
	}
	r, err := blob.NewReader(ctx, src, options...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := s.step("spool", id); err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(s.dir(id))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	// What has its name is verified when it is read, so that it need not be durable.
	set, err := publish.OpenSet(dir, spoolPart, publish.Options{})
	if err != nil {
		return nil, err
	}
	defer set.Close()
	f, err := set.Create(spoolPart, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{r}, make([]byte, 1<<20))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := errors.Join(r.Finish(), src.verify(ctx)); err != nil {
		return nil, err
	}
	if err := s.dropSpool(id); err != nil {
		return nil, err
	}
	diffID := digest.Digest(r.DiffID())
	if err := set.Publish(spoolPart, spoolPrefix+diffID.Algorithm().String()+"."+diffID.Encoded()); err != nil {
		return nil, err
	}
	e.StoredBytes, e.TarBytes = src.storedSize(r), r.Size()
	return &record{DiffID: digest.Digest(r.DiffID()), Size: r.Size()}, nil
}

// spooled finds the tar that was spooled for a snapshot and the diff ID that it must
// have. Its name says it, so that it can be verified when it is read; "" if there is
// none.
func (s *Service) spooled(id string) (file string, diffID digest.Digest, err error) {
	list, err := os.ReadDir(s.dir(id))
	if err != nil {
		return "", "", err
	}
	for _, e := range list {
		if rest, ok := strings.CutPrefix(e.Name(), spoolPrefix); ok {
			d := digest.Digest(strings.Replace(rest, ".", ":", 1))
			if d.Validate() == nil {
				return filepath.Join(s.dir(id), e.Name()), d, nil
			}
		}
	}
	return "", "", nil
}

// dropSpool removes the spooled layer of a snapshot.
func (s *Service) dropSpool(id string) error {
	file, _, err := s.spooled(id)
	if err != nil || file == "" {
		return err
	}
	return removeFile(s.dir(id), filepath.Base(file))
}

// stepping lets tests fail the writing of a layer.
type stepping struct {
	layer.Writer
	step func(op, name string) error
}

func (w *stepping) Add(e *layer.Entry) error {
	if err := w.step("add", e.Path); err != nil {
		return err
	}
	return w.Writer.Add(e)
}

// nowhere takes a layer that is only read to be verified.
type nowhere struct{}

func (nowhere) Add(*layer.Entry) error        { return nil }
func (nowhere) AddStream(*layer.Stream) error { return nil }
func (nowhere) Write(p []byte) (int, error)   { return len(p), nil }
func (nowhere) Commit() error                 { return nil }
func (nowhere) Close() error                  { return nil }
