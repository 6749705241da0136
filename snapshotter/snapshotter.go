package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// Snapshotter is the containerd snapshotter of a Service. Its methods may be called
// from many goroutines at once. Errors have a kind of package errdefs where one fits.
type Snapshotter struct{ s *Service }

var (
	_ snapshots.Snapshotter = (*Snapshotter)(nil)
	_ snapshots.Cleaner     = (*Snapshotter)(nil)
)

// snapshot is the metadata of one snapshot.
type snapshot struct {
	id     string
	info   snapshots.Info
	usage  snapshots.Usage
	parent string // number of the parent, "" for none
}

// lookup reads the metadata of a snapshot. It runs in a transaction.
func lookup(ctx context.Context, key string) (sn snapshot, err error) {
	if sn.id, sn.info, sn.usage, err = storage.GetInfo(ctx, key); err != nil {
		return sn, err
	}
	if sn.info.Parent != "" {
		sn.parent, _, _, err = storage.GetInfo(ctx, sn.info.Parent)
	}
	return sn, err
}

func (s *Service) lookup(ctx context.Context, key string) (sn snapshot, err error) {
	err = s.tx(ctx, false, func(ctx context.Context) error {
		sn, err = lookup(ctx, key)
		return err
	})
	return sn, err
}

// locked looks a snapshot up and takes its lock. The metadata are those of the time
// when the lock was had.
func (s *Service) locked(ctx context.Context, key string) (snapshot, func(), error) {
	sn, err := s.lookup(ctx, key)
	if err != nil {
		return sn, nil, err
	}
	unlock, err := s.snapshots.lock(ctx, sn.id)
	if err != nil {
		return sn, nil, err
	}
	again, err := s.lookup(ctx, key)
	if err == nil && again.id != sn.id {
		err = fmt.Errorf("snapshot %s was replaced meanwhile: %w", key, errdefs.ErrUnavailable)
	}
	if err != nil {
		unlock()
		return sn, nil, err
	}
	return again, unlock, nil
}

// treeOf returns the layers that a committed snapshot shows; none for the number "".
func (s *Service) treeOf(id string) ([]string, error) {
	if id == "" {
		return nil, nil
	}
	rec, err := s.readRecord(id)
	if err != nil {
		return nil, as(errdefs.ErrDataLoss, err)
	}
	if rec == nil {
		return nil, fmt.Errorf("snapshot %s has no record of its layer: %w", id, errdefs.ErrDataLoss)
	}
	return rec.Layers, nil
}

// unpacks reports whether an unpacker made the snapshot for a layer, by its label.
func unpacks(info snapshots.Info) bool {
	return info.Kind == snapshots.KindActive && info.Labels[snapshots.LabelSnapshotRef] != ""
}

// mounts returns the mounts of a snapshot that is not committed. The caller has its
// lock.
func (s *Service) mounts(sn snapshot) ([]mount.Mount, error) {
	if sn.info.Kind == snapshots.KindCommitted {
		return nil, fmt.Errorf("snapshot %s is committed and has no mounts: %w", sn.info.Name, errdefs.ErrFailedPrecondition)
	}
	parents, err := s.treeOf(sn.parent)
	if err != nil {
		return nil, err
	}
	if s.viewer == nil || unpacks(sn.info) {
		own := ""
		if d := digest.Digest(sn.info.Labels[snapshots.LabelSnapshotDiffID]); d.Validate() == nil && unpacks(sn.info) {
			own = chainOver(parents, d)
		}
		return s.nativeMount(sn.id, sn.info.Kind, own, parents)
	}
	rec, err := s.readRecord(sn.id)
	if err != nil {
		return nil, err
	}
	if rec != nil && !rec.Written {
		return s.show(sn.id, rec.Layers, false)
	}
	return s.show(sn.id, parents, sn.info.Kind == snapshots.KindActive)
}

// create makes a snapshot.
func (s *Service) create(ctx context.Context, kind snapshots.Kind, key, parent string, opts []snapshots.Opt) (m []mount.Mount, err error) {
	// The snapshot's lock is taken after the transaction: the number isn't known
	// before it, and no other request knows the number until it ends.
	var id string
	err = s.tx(ctx, true, func(ctx context.Context) error {
		made, err := storage.CreateSnapshot(ctx, kind, key, parent, opts...)
		if err != nil {
			return err
		}
		dir := s.dir(made.ID)
		// The number of a transaction that failed is given again.
		if err := s.removeDir(dir); err != nil {
			return err
		}
		if err := s.step("mkdir", made.ID); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		id = made.ID
		return nil
	})
	if failed(err) {
		if id != "" {
			err = errors.Join(err, s.removeDir(s.dir(id)))
		}
		return nil, err
	}
	if err == nil {
		m, err = s.mountsOf(ctx, key)
	}
	if err != nil {
		return nil, errors.Join(err, s.remove(context.WithoutCancel(ctx), key))
	}
	return m, nil
}

// Prepare makes an active snapshot. With the label containerd.io/snapshot.ref, which
// an unpacker sets, it waits for a layer, and its mount is one that only the Differ of
// the service understands; otherwise it is a writable view.
func (n *Snapshotter) Prepare(ctx context.Context, key, parent string, opts ...snapshots.Opt) (m []mount.Mount, err error) {
	defer n.s.observed("prepare", time.Now(), &err)
	if err := checkOptions(opts); err != nil {
		return nil, err
	}
	return n.s.create(ctx, snapshots.KindActive, key, parent, opts)
}

// View makes a read-only snapshot of a committed one, or of nothing.
func (n *Snapshotter) View(ctx context.Context, key, parent string, opts ...snapshots.Opt) (m []mount.Mount, err error) {
	defer n.s.observed("view", time.Now(), &err)
	return n.s.create(ctx, snapshots.KindView, key, parent, opts)
}

// Mounts returns how to mount a snapshot that is not committed. It starts the view
// that a process before this one served.
func (n *Snapshotter) Mounts(ctx context.Context, key string) (m []mount.Mount, err error) {
	defer n.s.observed("mounts", time.Now(), &err)
	return n.s.mountsOf(ctx, key)
}

func (s *Service) mountsOf(ctx context.Context, key string) ([]mount.Mount, error) {
	sn, unlock, err := s.locked(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.mounts(sn)
}

// Stat returns the metadata of a snapshot.
func (n *Snapshotter) Stat(ctx context.Context, key string) (info snapshots.Info, err error) {
	defer n.s.observed("stat", time.Now(), &err)
	err = n.s.tx(ctx, false, func(ctx context.Context) error {
		_, info, _, err = storage.GetInfo(ctx, key)
		return err
	})
	return info, err
}

// Update changes the labels of a snapshot.
func (n *Snapshotter) Update(ctx context.Context, info snapshots.Info, fieldpaths ...string) (out snapshots.Info, err error) {
	defer n.s.observed("update", time.Now(), &err)
	err = n.s.tx(ctx, true, func(ctx context.Context) error {
		out, err = storage.UpdateInfo(ctx, info, fieldpaths...)
		return err
	})
	return out, err
}

// Walk calls fn for every snapshot that a filter matches.
func (n *Snapshotter) Walk(ctx context.Context, fn snapshots.WalkFunc, filters ...string) (err error) {
	defer n.s.observed("walk", time.Now(), &err)
	err = n.s.walk(ctx, fn, filters...)
	return err
}

func (s *Service) walk(ctx context.Context, fn snapshots.WalkFunc, filters ...string) error {
	walked := false
	err := s.tx(ctx, false, func(ctx context.Context) error {
		return storage.WalkInfo(ctx, func(ctx context.Context, info snapshots.Info) error {
			walked = true
			return fn(ctx, info)
		}, filters...)
	})
	// A store in which nothing has been made yet has no bucket to walk.
	if errdefs.IsNotFound(err) && !walked {
		return nil
	}
	return err
}

// Usage returns the disk usage of a snapshot without its parents. A committed snapshot
// counts its layer, even if others share it; an active one counts its writes and the
// layer that was applied; a view counts nothing.
func (n *Snapshotter) Usage(ctx context.Context, key string) (u snapshots.Usage, err error) {
	defer n.s.observed("usage", time.Now(), &err)
	sn, err := n.s.lookup(ctx, key)
	if err != nil || sn.info.Kind != snapshots.KindActive {
		return sn.usage, err
	}
	rec, err := n.s.readRecord(sn.id)
	if err != nil {
		return u, err
	}
	if u, err = n.s.layerUsage(rec); err != nil {
		return u, err
	}
	dir := n.s.dir(sn.id)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // gone meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		if path == filepath.Join(dir, viewName) {
			return fs.SkipDir
		}
		st, err := d.Info()
		if err != nil || path == dir {
			return nil
		}
		u.Inodes++
		if !d.IsDir() {
			u.Size += st.Size()
		}
		return ctx.Err()
	})
	return u, err
}

// layerUsage returns the disk usage of a record's own layer.
func (s *Service) layerUsage(rec *record) (u snapshots.Usage, err error) {
	if rec == nil || rec.DiffID == "" {
		return u, nil
	}
	loc, err := s.store.Location(rec.Layers[0])
	if err != nil {
		return u, err
	}
	u.Size, u.Inodes, err = loc.Usage()
	return u, err
}

// Remove removes a snapshot. A layer that no snapshot is made of any more goes too.
func (n *Snapshotter) Remove(ctx context.Context, key string) (err error) {
	defer n.s.observed("remove", time.Now(), &err)
	return n.s.remove(ctx, key)
}

func (s *Service) remove(ctx context.Context, key string) error {
	sn, unlock, err := s.locked(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	// A record that cannot be read holds nothing, at the latest after the next start.
	rec, damaged := s.readRecord(sn.id)
	if damaged != nil {
		s.log.Warn("remove a damaged snapshot", "key", key, "snapshot", sn.id, "err", damaged)
	}
	from, to := s.dir(sn.id), filepath.Join(s.root, snapshotsName, removedPrefix+sn.id)
	moved := false
	err = s.tx(ctx, true, func(ctx context.Context) error {
		if _, _, err := storage.Remove(ctx, key); err != nil {
			return err
		}
		if err := s.hide(sn.id); err != nil {
			return as(errdefs.ErrFailedPrecondition, fmt.Errorf("end the view of snapshot %s: %w", key, err))
		}
		err := s.step("rename", sn.id)
		if err == nil {
			err = os.Rename(from, to)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return as(errdefs.ErrFailedPrecondition, fmt.Errorf("remove snapshot %s: %w", key, err))
		}
		moved = true
		return nil
	})
	if failed(err) {
		if moved {
			err = as(errdefs.ErrFailedPrecondition, errors.Join(err, os.Rename(to, from)))
		}
		return err
	}
	if moved {
		if err := s.removeDir(to); err != nil {
			s.log.Warn("remove the directory of a snapshot", "dir", to, "err", err)
		}
	}
	if rec != nil && !(rec.Written && sn.info.Kind == snapshots.KindActive) {
		s.layers.release(rec.Layers...)
	}
	if err != nil {
		err = as(errdefs.ErrFailedPrecondition, err)
	}
	return err
}

// Cleanup removes the files that Remove could not.
func (n *Snapshotter) Cleanup(ctx context.Context) (err error) {
	defer n.s.observed("cleanup", time.Now(), &err)
	dir := filepath.Join(n.s.root, snapshotsName)
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range list {
		if id, ok := removedID(e.Name()); ok {
			errs = append(errs, n.s.cleanup(ctx, id))
		}
	}
	if n.s.damaged {
		return errors.Join(errs...)
	}
	layers, err := n.s.store.Layers()
	errs = append(errs, err)
	for _, l := range layers {
		// A request that starts to need the layer holds it first, so it isn't removed.
		if !n.s.layers.held(l) && n.s.layers.hold(ctx, l) == nil {
			n.s.layers.release(l)
		}
	}
	return errors.Join(errs...)
}

// cleanup removes the directory of a snapshot that is being removed. If the snapshot is
// in the metadata still, then they could not be changed, and its name not given back
// either.
func (s *Service) cleanup(ctx context.Context, id string) error {
	unlock, err := s.snapshots.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	dir := filepath.Join(s.root, snapshotsName, removedPrefix+id)
	_, err = s.lookupID(ctx, id)
	switch {
	case err == nil:
		return os.Rename(dir, s.dir(id))
	case errdefs.IsNotFound(err):
		return s.removeDir(dir)
	}
	return err
}

// Close does nothing: the Service is closed as a whole.
func (n *Snapshotter) Close() error { return nil }

// observed reports a finished operation; it is deferred.
func (s *Service) observed(op string, begin time.Time, err *error) {
	*err = classify(*err)
	s.observe(Event{Op: op, Err: *err}, begin)
}
