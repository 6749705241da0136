package snapshotter

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"

	"github.com/mullion/mullion/internal/publish"
)

// removedPrefix begins the name of a snapshot's directory that is being removed.
const removedPrefix = "rm-"

// The files of a snapshot that is being unpacked without its parent.
const (
	spoolPrefix = "spool."     // followed by the digest of the tar in it, with a dot for its colon
	spoolPart   = "spool-part" // in a private folder: not complete, or not verified yet
)

// recover makes disk and metadata agree, whenever the process before died, and counts
// who needs which layer. What cannot be mended is logged, and is an error of the
// snapshot that needs it, not of the service.
func (s *Service) recover() error {
	ctx := context.Background()
	kinds := map[string]snapshots.Kind{} // by number
	err := s.tx(ctx, true, func(ctx context.Context) error {
		ids, err := storage.IDMap(ctx)
		if errors.Is(err, errdefs.ErrNotFound) { // a new database
			return nil
		}
		if err != nil {
			return err
		}
		for id, key := range ids {
			_, info, _, err := storage.GetInfo(ctx, key)
			if err != nil {
				return err
			}
			kinds[id] = info.Kind
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.recoverDirs(kinds); err != nil {
		return err
	}
	for id, kind := range kinds {
		if err := s.recoverSnapshot(ctx, id, kind); err != nil {
			s.log.Error("snapshot is damaged", "snapshot", id, "err", err)
			s.damaged = true
		}
	}
	temp, err := filepath.Glob(filepath.Join(s.root, tempPrefix+"*"))
	if err != nil {
		return err
	}
	for _, f := range temp {
		if err := os.Remove(f); err != nil {
			s.log.Error("clear away what an interrupted run left", "path", f, "err", err)
		}
	}
	if err := s.store.Sweep(); err != nil {
		s.log.Error("clear the store", "err", err)
	}
	layers, err := s.store.Layers()
	if err != nil {
		return err
	}
	if s.damaged {
		s.log.Warn("layers that no snapshot needs stay, because which these are is uncertain")
		return nil
	}
	for _, l := range layers {
		if !s.layers.held(l) {
			s.removeLayer(l)
		}
	}
	return nil
}

// recoverDirs removes the directories that belong to no snapshot.
func (s *Service) recoverDirs(kinds map[string]snapshots.Kind) error {
	dir := filepath.Join(s.root, snapshotsName)
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		if s.viewer != nil {
			if err := s.viewer.detach(filepath.Join(path, viewName)); err != nil {
				s.log.Error("detach the view of a process that ended", "dir", path, "err", err)
			}
		}
		id, removed := removedID(e.Name())
		_, there := kinds[id]
		switch {
		case removed && there:
			// The process died before the removal was in the metadata.
			err = os.Rename(path, s.dir(id))
		case removed || isID(e.Name()) && kinds[e.Name()] == snapshots.KindUnknown:
			err = s.removeDir(path)
		case !isID(e.Name()):
			s.log.Warn("a stranger among the snapshots", "path", path)
		}
		if err != nil {
			s.log.Error("clear away what an interrupted run left", "path", path, "err", err)
		}
		err = nil
	}
	return nil
}

// recoverSnapshot makes the directory of a snapshot fit its kind and counts its
// layers.
func (s *Service) recoverSnapshot(ctx context.Context, id string, kind snapshots.Kind) error {
	if _, err := os.Lstat(s.dir(id)); errors.Is(err, fs.ErrNotExist) {
		if kind == snapshots.KindCommitted {
			return as(errdefs.ErrDataLoss, err)
		}
		return os.Mkdir(s.dir(id), 0o700)
	} else if err != nil {
		return err
	}
	if err := sweepDir(s.dir(id)); err != nil {
		return err
	}
	rec, err := s.readRecord(id)
	switch {
	case kind == snapshots.KindCommitted && err != nil:
		return err
	case kind == snapshots.KindCommitted && rec == nil:
		return errors.New("no record of its layer")
	case kind == snapshots.KindCommitted:
		// Its Commit may have died before it tidied up.
		if err := s.tidy(id); err != nil {
			return err
		}
	case err != nil, rec != nil && (rec.Written || kind == snapshots.KindView):
		return errors.Join(err, s.dropRecord(id))
	case rec == nil:
		return nil
	}
	if err := s.layers.hold(ctx, rec.Layers...); err != nil {
		return err
	}
	s.layers.learn(rec)
	for _, l := range rec.Layers {
		if there, err := s.store.Has(l); err != nil || !there {
			return errors.Join(errors.New("layer "+l+" is not in the store"), err)
		}
	}
	return nil
}

// sweepDir removes the unfinished files of dead processes from a directory.
func sweepDir(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	return errors.Join(publish.Sweep(root, publish.Options{}), root.Close())
}

// tidy removes files that a committed snapshot does not need.
func (s *Service) tidy(id string) error {
	dir := s.dir(id)
	return errors.Join(
		s.removeView(dir),
		os.RemoveAll(filepath.Join(dir, upperName)),
		s.dropSpool(id),
	)
}

// removeView removes the mount point in a snapshot's directory. It fails if something
// is mounted there still: nothing may be deleted through a view.
func (s *Service) removeView(dir string) error {
	err := os.Remove(filepath.Join(dir, viewName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// removeDir removes the directory of a snapshot.
func (s *Service) removeDir(dir string) error {
	if s.viewer != nil {
		if err := s.viewer.detach(filepath.Join(dir, viewName)); err != nil {
			return err
		}
	}
	if err := s.removeView(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
