package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Several clients, each in a namespace of its own, pull images that share layers, look
// at them, compare and remove them, all at once. Nobody ever misses a layer, and when
// all is removed nothing is left.
func TestConcurrent(t *testing.T) {
	f := newFixture(t)
	empty := f.disk()
	type blob struct {
		ocispec.Descriptor
		diffID digest.Digest
	}
	var lower, upper []blob
	for i := range 2 {
		d, id := f.blob(f.tar(dir(`Files`), dir(`Hives`), file(`Files\base`, fmt.Sprint("base", i))))
		lower = append(lower, blob{d, id})
		d, id = f.blob(f.tar(dir(`Files`), file(`Files\top`, fmt.Sprint("top", i))))
		upper = append(upper, blob{d, id})
	}
	client := func(ns string, seed uint64) error {
		r := rand.New(rand.NewPCG(seed, 0))
		for round := range 6 {
			name := func(what string) string { return fmt.Sprintf("%s/%d/%s", ns, round, what) }
			l, u, label, late := lower[r.IntN(2)], upper[r.IntN(2)], r.IntN(3) > 0, r.IntN(2) > 0
			chain := chainOver([]string{l.diffID.String()}, u.diffID)
			for i, b := range []blob{l, u} {
				parent, known, want := "", "", ""
				if i == 1 {
					known = l.diffID.String()
					if !late {
						parent = name("base")
					}
				}
				if label {
					want = b.diffID.String()
				}
				key := name(fmt.Sprint("unpack", i))
				m, err := f.sn.Prepare(f.ctx, key, parent, unpackLabels(chain, want, known))
				if err != nil {
					return err
				}
				out, err := f.diff.Apply(f.ctx, b.Descriptor, m)
				if err != nil {
					return err
				}
				if out.Digest != b.diffID || out.Size == 0 {
					return fmt.Errorf("applied %+v", out)
				}
				var opts []snapshots.Opt
				if i == 1 {
					opts = append(opts, snapshots.WithParent(name("base")))
				}
				if err := f.sn.Commit(f.ctx, name([]string{"base", "top"}[i]), key, opts...); err != nil {
					return err
				}
			}
			above, err := f.sn.View(f.ctx, name("view"), name("top"))
			if err != nil {
				return err
			}
			below, err := f.sn.View(f.ctx, name("below"), name("base"))
			if err != nil {
				return err
			}
			if _, err := f.diff.Compare(f.ctx, below, above); err != nil {
				return err
			}
			left := []string{name("view"), name("below"), name("top"), name("base")}
			if r.IntN(2) > 0 {
				if err := f.sn.Cleanup(f.ctx); err != nil {
					return err
				}
			}
			for len(left) > 0 {
				r.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
				left = slices.DeleteFunc(left, func(k string) bool {
					e := f.sn.Remove(f.ctx, k)
					if e != nil && !errdefs.IsFailedPrecondition(e) {
						err = errors.Join(err, e)
					}
					return e == nil
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := client(fmt.Sprint("ns", i), uint64(i)); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	f.agree()
	if left := f.disk(); !slices.Equal(left, empty) {
		t.Errorf("left on disk: %q", left)
	}
	if n := len(f.Service.layers.count) + len(f.Service.layers.known) + len(f.Service.layers.blobs) + len(f.Service.snapshots.locks) + len(f.Service.applying.locks); n != 0 {
		t.Errorf("left in memory: %+v", f.Service.layers)
	}
}

// Whoever compares waits for the lower snapshot without holding the upper one, or two who
// compare the same pair, one of them the wrong way round, would wait for each other for ever.
func TestCompareHoldsOneLock(t *testing.T) {
	f := newFixture(t)
	name := f.image(f.tar(dir(`Files`), file(`Files\a`, "one")))[0]
	lower, err := f.sn.View(f.ctx, "lower", name)
	if err != nil {
		t.Fatal(err)
	}
	upper, err := f.sn.View(f.ctx, "upper", name)
	if err != nil {
		t.Fatal(err)
	}
	low, up := f.Service.snapshotOf(lower), f.Service.snapshotOf(upper)
	unlock, err := f.Service.snapshots.lock(f.ctx, low)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := f.diff.Compare(f.ctx, lower, upper)
		done <- err
	}()
	waiting := func() int {
		f.Service.snapshots.mu.Lock()
		defer f.Service.snapshots.mu.Unlock()
		return f.Service.snapshots.locks[low].waiting
	}
	for waiting() < 2 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(f.ctx, time.Second)
	defer cancel()
	if u, err := f.Service.snapshots.lock(ctx, up); err != nil {
		t.Error("the upper snapshot is locked meanwhile")
	} else {
		u()
	}
	unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
