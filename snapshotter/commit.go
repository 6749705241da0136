package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
)

// Commit makes a committed snapshot of an active one: of the layer that was applied to
// it, or of the writes to its view. A snapshot without either shows the same tree as its
// parent. For a snapshot that was prepared without a parent, the options may name it.
func (n *Snapshotter) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) (err error) {
	defer n.s.observed("commit", time.Now(), &err)
	return n.s.commit(ctx, name, key, opts)
}

func (s *Service) commit(ctx context.Context, name, key string, opts []snapshots.Opt) error {
	var base snapshots.Info
	for _, o := range opts {
		if err := o(&base); err != nil {
			return err
		}
	}
	sn, unlock, err := s.locked(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if sn.info.Kind != snapshots.KindActive {
		return fmt.Errorf("snapshot %s is not active: %w", key, errdefs.ErrFailedPrecondition)
	}
	// What the metadata would refuse at the end is refused before the work.
	parent := sn.parent
	err = s.tx(ctx, false, func(ctx context.Context) error {
		if _, _, _, err := storage.GetInfo(ctx, name); err == nil {
			return fmt.Errorf("committed snapshot %s: %w", name, errdefs.ErrAlreadyExists)
		} else if !errors.Is(err, errdefs.ErrNotFound) {
			return err
		}
		if base.Parent == "" || base.Parent == sn.info.Parent {
			return nil
		}
		if sn.info.Parent != "" {
			return fmt.Errorf("the parent of snapshot %s cannot be changed: %w", key, errdefs.ErrInvalidArgument)
		}
		id, info, _, err := storage.GetInfo(ctx, base.Parent)
		if err == nil && info.Kind != snapshots.KindCommitted {
			err = fmt.Errorf("parent %s is not committed: %w", base.Parent, errdefs.ErrFailedPrecondition)
		}
		parent = id
		return err
	})
	if err != nil {
		return err
	}
	parents, err := s.treeOf(parent)
	if err != nil {
		return err
	}
	rec, made, err := s.layerOf(ctx, sn, parents)
	if err != nil {
		return err
	}
	undo := func(err error) error {
		if made {
			err = errors.Join(err, s.dropRecord(sn.id))
			s.layers.release(rec.Layers...)
		}
		return err
	}
	if made {
		if err := s.writeRecord(sn.id, rec); err != nil {
			return undo(err)
		}
	}
	usage, err := s.layerUsage(rec)
	if err != nil {
		return undo(err)
	}
	err = s.tx(ctx, true, func(ctx context.Context) error {
		if _, err := storage.CommitActive(ctx, key, name, usage, opts...); err != nil {
			return err
		}
		return s.step("commit", sn.id)
	})
	if failed(err) {
		return undo(err)
	}
	s.layers.learn(rec)
	if err := errors.Join(s.hide(sn.id), s.tidy(sn.id)); err != nil {
		s.log.Warn("tidy up a committed snapshot", "name", name, "snapshot", sn.id, "err", err)
	}
	return err
}

// layerOf returns the record that a snapshot has after its commit. If that is a new
// record, its layers are held and made is true.
func (s *Service) layerOf(ctx context.Context, sn snapshot, parents []string) (rec *record, made bool, err error) {
	rec, err = s.readRecord(sn.id)
	if err != nil {
		return nil, false, err
	}
	if rec != nil && !rec.Written {
		if rec.DiffID != "" && !rec.over(parents) {
			return nil, false, fmt.Errorf("the layer of snapshot %s was applied over another parent: %w", sn.info.Name, errdefs.ErrFailedPrecondition)
		}
		return rec, false, nil
	}
	file, diffID, err := s.spooled(sn.id)
	if err != nil {
		return nil, false, err
	}
	if file != "" {
		rec, err = s.fromSpool(ctx, parents, file, diffID)
		return rec, true, err
	}
	written, done, err := s.writtenTo(sn.id, parents, true)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if written != nil {
		rec, err = s.fromView(ctx, parents, written)
		return rec, true, err
	}
	if err := s.seesWrites(sn); err != nil {
		return nil, false, err
	}
	if err := s.layers.hold(ctx, parents...); err != nil {
		return nil, false, err
	}
	return &record{Layers: append([]string{}, parents...), Written: true}, true, nil
}

// seesWrites refuses a snapshot whose mount another program may have served: the writes
// of a container on Windows go to its scratch disk and are not seen here, so committing
// would lose them in silence.
func (s *Service) seesWrites(sn snapshot) error {
	if s.viewer != nil {
		return nil
	}
	return fmt.Errorf("what was written to snapshot %s cannot be seen on this system: %w", sn.info.Name, errdefs.ErrFailedPrecondition)
}

// fromSpool makes the layer of a spooled tar.
func (s *Service) fromSpool(ctx context.Context, parents []string, file string, diffID digest.Digest) (*record, error) {
	release, err := s.applying.lock(ctx, chainOver(parents, diffID))
	if err != nil {
		return nil, err
	}
	defer release()
	rec, err := s.present(ctx, parents, "", diffID)
	if rec != nil || err != nil {
		return rec, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return s.build(ctx, parents, diffID, "", func(w layer.Writer) (*blob.Reader, error) {
		return s.copyTar(ctx, w, diffID.String(), f, blob.WithDiffID(diffID), blob.WithLimits(layer.Limits{Ratio: -1}))
	})
}

// fromView makes a layer of the writes to a view. Its diff ID is that of the
// tar that Compare would write, so equal changes make equal layers.
func (s *Service) fromView(ctx context.Context, parents []string, u upper) (*record, error) {
	changes, err := s.layerChanges(parents, u)
	if err != nil {
		return nil, err
	}
	defer changes.Close()
	if err := s.layers.hold(ctx, parents...); err != nil {
		return nil, err
	}
	held := parents
	var rec *record
	_, _, err = s.store.AddComputed(ctx, baseFirst(parents), func(w layer.Writer) (string, error) {
		sum := newTarSum()
		if _, err := layer.Copy(ctx, &both{w, sum.tar}, changes, layer.WithLimits(s.config.Limits)); err != nil {
			return "", err
		}
		diffID, size, err := sum.finish()
		if err != nil {
			return "", err
		}
		rec = layerOver(parents, diffID, size)
		rec.Written = true
		if err := s.layers.hold(ctx, rec.Layers[0]); err != nil {
			return "", err
		}
		held = rec.Layers
		return rec.Layers[0], nil
	}, cimlayer.WithMissingHives(cimlayer.TreeMissing))
	if err != nil {
		s.layers.release(held...)
		return nil, err
	}
	return rec, nil
}
