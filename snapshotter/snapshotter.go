package snapshotter

import (
	"context"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

// Snapshotter is the containerd snapshotter of a Service.
type Snapshotter struct{ s *Service }

var (
	_ snapshots.Snapshotter = (*Snapshotter)(nil)
	_ snapshots.Cleaner     = (*Snapshotter)(nil)
)

// Stat returns what the metadata say of a snapshot.
func (sn *Snapshotter) Stat(ctx context.Context, key string) (info snapshots.Info, err error) {
	defer func(t time.Time) { sn.s.observe(Event{Op: "stat", Err: err}, t) }(time.Now())
	err = sn.s.tx(ctx, false, func(ctx context.Context) error {
		_, info, _, err = storage.GetInfo(ctx, key)
		return err
	})
	return info, err
}

// Update changes the labels of a snapshot.
func (sn *Snapshotter) Update(ctx context.Context, info snapshots.Info, fieldpaths ...string) (out snapshots.Info, err error) {
	defer func(t time.Time) { sn.s.observe(Event{Op: "update", Err: err}, t) }(time.Now())
	err = sn.s.tx(ctx, true, func(ctx context.Context) error {
		out, err = storage.UpdateInfo(ctx, info, fieldpaths...)
		return err
	})
	return out, err
}

// Walk calls fn for every snapshot that a filter matches.
func (sn *Snapshotter) Walk(ctx context.Context, fn snapshots.WalkFunc, filters ...string) (err error) {
	defer func(t time.Time) { sn.s.observe(Event{Op: "walk", Err: err}, t) }(time.Now())
	walked := false
	err = sn.s.tx(ctx, false, func(ctx context.Context) error {
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

func (sn *Snapshotter) Usage(ctx context.Context, key string) (snapshots.Usage, error) {
	return snapshots.Usage{}, errdefs.ErrNotImplemented
}

func (sn *Snapshotter) Mounts(ctx context.Context, key string) ([]mount.Mount, error) {
	return nil, errdefs.ErrNotImplemented
}

func (sn *Snapshotter) Prepare(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return nil, errdefs.ErrNotImplemented
}

func (sn *Snapshotter) View(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	return nil, errdefs.ErrNotImplemented
}

func (sn *Snapshotter) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) error {
	return errdefs.ErrNotImplemented
}

func (sn *Snapshotter) Remove(ctx context.Context, key string) error {
	return errdefs.ErrNotImplemented
}

func (sn *Snapshotter) Cleanup(ctx context.Context) error { return nil }

// Close does nothing: the service is closed as a whole.
func (sn *Snapshotter) Close() error { return nil }
