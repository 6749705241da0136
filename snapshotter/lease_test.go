package snapshotter

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// collected is a service whose content store is containerd's own, with its collector
// of garbage.
func collected(t *testing.T) (*fixture, *metadata.DB) {
	t.Helper()
	f := newFixture(t)
	b, err := bolt.Open(filepath.Join(t.TempDir(), "meta.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := metadata.NewDB(b, f.store.Store, nil)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Init(f.ctx); err != nil {
		t.Fatal(err)
	}
	f.kill()
	f.store.Store = db.ContentStore()
	f.config.Leases = metadata.NewLeaseManager(db)
	f.start()
	return f, db
}

// changed prepares a snapshot that has been written to, and compares it.
func (f *fixture) changed() (compare func(context.Context, ...diff.Opt) (ocispec.Descriptor, error)) {
	f.Helper()
	desc, diffID := f.blob(f.tar(dir(`Files`), file(`Files\a`, "a")))
	lower := f.unpack("", desc, diffID)
	upper, err := f.sn.Prepare(f.ctx, f.key("work"), lower)
	if err != nil {
		f.Fatal(err)
	}
	f.write(upper, dir(`Files`), file(`Files\b`, "b"))
	below, err := f.sn.View(f.ctx, f.key("below"), lower)
	if err != nil {
		f.Fatal(err)
	}
	return func(ctx context.Context, opts ...diff.Opt) (ocispec.Descriptor, error) {
		return f.diff.Compare(ctx, below, upper, opts...)
	}
}

// containerd does not tell a plugin of the lease of its client, and collects what
// nobody has a lease of.
func TestCompareOutlivesCollection(t *testing.T) {
	f, db := collected(t)
	compare := f.changed()
	desc, err := compare(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.GarbageCollect(f.ctx); err != nil {
		t.Fatal(err)
	}
	if b, err := content.ReadBlob(f.ctx, f.store, desc); err != nil || int64(len(b)) != desc.Size {
		t.Errorf("after a collection the difference is %d bytes, %v, want %d", len(b), err, desc.Size)
	}
	list, err := f.config.Leases.List(f.ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("leases: %v, %v", list, err)
	}
	end, err := time.Parse(time.RFC3339, list[0].Labels["containerd.io/gc.expire"])
	if left := time.Until(end); err != nil || left <= CompareLease/2 || left > CompareLease {
		t.Errorf("the lease ends in %v, %v", left, err)
	}
	// It is all that keeps the difference.
	if err := f.config.Leases.Delete(f.ctx, list[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := db.GarbageCollect(f.ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Info(f.ctx, desc.Digest); !errdefs.IsNotFound(err) {
		t.Errorf("without a lease the difference is there: %v", err)
	}
}

// A request with a lease of its own needs no other, and one that fails leaves none.
func TestCompareLeases(t *testing.T) {
	f, db := collected(t)
	compare := f.changed()
	own, err := f.config.Leases.Create(f.ctx, leases.WithID("own"))
	if err != nil {
		t.Fatal(err)
	}
	desc, err := compare(leases.WithLease(f.ctx, own.ID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.GarbageCollect(f.ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Info(f.ctx, desc.Digest); err != nil {
		t.Error(err)
	}
	want := func(n int) {
		t.Helper()
		if list, err := f.config.Leases.List(f.ctx); err != nil || len(list) != n {
			t.Errorf("leases: %v, %v; want %d", list, err, n)
		}
	}
	want(1)
	after := time.Date(31000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := compare(f.ctx, diff.WithSourceDateEpoch(&after)); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a date after the last one of Windows: %v", err)
	}
	want(1)
}
