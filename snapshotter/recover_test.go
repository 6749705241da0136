package snapshotter

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/mullion/mullion/cimfs"
)

// spoolTemp is what a process that dies while it spools a layer leaves.
const spoolTemp = "." + spoolPart + ".mullion-tmp-0123456789abcdef"

// A process may die at any point. Whatever it leaves, the next one makes disk and
// metadata agree, keeps what was committed, and loses nothing of it.
func TestRecover(t *testing.T) {
	type state struct {
		*fixture
		base, top string
		id        func(key string) string
	}
	at := func(s state, elem ...string) string { return filepath.Join(append([]string{s.dir}, elem...)...) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		leave func(s state) // what the process leaves
		check func(s state) // what must be after the next start
		stays bool          // the active snapshot has its layer still
	}{
		{"a directory without metadata", func(s state) { must(os.MkdirAll(at(s, "snapshots", "99", "upper", "data"), 0o700)) }, nil, true},
		{"a removal whose metadata are gone", func(s state) {
			must(os.MkdirAll(at(s, "snapshots", "rm-98", "fs"), 0o700))
			must(os.WriteFile(at(s, "snapshots", "rm-98", "layer"), nil, 0o600))
		}, nil, true},
		{"a removal whose metadata are there", func(s state) {
			id := s.id(s.top)
			must(os.Rename(at(s, "snapshots", id), at(s, "snapshots", "rm-"+id)))
		}, nil, true},
		{"a snapshot without its directory", func(s state) { must(os.RemoveAll(at(s, "snapshots", s.id("active")))) }, nil, false},
		{"a view of the dead process", func(s state) {
			d := at(s, "snapshots", s.id("active"), viewName)
			must(os.MkdirAll(d, 0o700))
			s.viewer.stale = append(s.viewer.stale, d)
		}, func(s state) {
			if len(s.viewer.stale) > 0 {
				t.Errorf("still mounted: %q", s.viewer.stale)
			}
		}, true},
		{"a spool that is not complete", func(s state) {
			must(os.Mkdir(at(s, "snapshots", s.id("active"), spoolTemp), 0o700))
			must(os.WriteFile(at(s, "snapshots", s.id("active"), spoolTemp, ".mullion-lock"), nil, 0o600))
			must(os.WriteFile(at(s, "snapshots", s.id("active"), spoolTemp, spoolPart), []byte("x"), 0o600))
		}, func(s state) {
			if _, err := os.Stat(at(s, "snapshots", s.id("active"), spoolTemp)); err == nil {
				t.Error("it is there still")
			}
		}, true},
		{"a record that was being written", func(s state) {
			must(os.WriteFile(at(s, "snapshots", s.id(s.top), ".layer.mullion-writing"), []byte("{"), 0o600))
		}, nil, true},
		{"a commit that did not end", func(s state) {
			rec, err := s.readRecord(s.id("active"))
			must(err)
			rec.Written = true
			must(s.writeRecord(s.id("active"), rec))
		}, nil, false},
		{"a commit that did not tidy up", func(s state) {
			must(os.MkdirAll(at(s, "snapshots", s.id(s.top), upperName, "data"), 0o700))
			must(os.MkdirAll(at(s, "snapshots", s.id(s.top), viewName), 0o700))
			d := digest.FromString("x")
			must(os.WriteFile(at(s, "snapshots", s.id(s.top), spoolPrefix+"sha256."+d.Encoded()), nil, 0o600))
		}, func(s state) {
			list, err := os.ReadDir(at(s, "snapshots", s.id(s.top)))
			if err != nil || len(list) != 1 {
				t.Errorf("%v, %v", list, err)
			}
		}, true},
		{"a layer that nobody needs", func(s state) {
			_, err := s.build(s.ctx, nil, "", "", fillOf(s.fixture, s.tar(dir(`Files`), file(`Files\nobody`, "x"))))
			must(err)
		}, nil, true},
		{"half a layer", func(s state) {
			must(os.MkdirAll(at(s, "layers", strings.Repeat("a", 64), "Hives"), 0o755))
			must(os.WriteFile(at(s, "cim-layers", "region_01234567-89ab-cdef-0123-456789abcdef_0"), []byte("x"), 0o600))
			must(os.MkdirAll(at(s, "cim-layers", ".new-3.cim.writing-0123456789abcdef"), 0o755))
		}, nil, true},
		{"a hive that was being compared", func(s state) { must(os.WriteFile(at(s, tempPrefix+"123"), nil, 0o600)) }, func(s state) {
			if list, _ := filepath.Glob(at(s, tempPrefix+"*")); len(list) > 0 {
				t.Errorf("%q", list)
			}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			names := f.image(f.tar(dir(`Files`), file(`Files\a`, "one")), f.tar(dir(`Files`), file(`Files\b`, "two")))
			desc, diffID := f.blob(f.tar(dir(`Files`), file(`Files\c`, "three")))
			m, err := f.sn.Prepare(f.ctx, "active", names[1], unpackLabels("sha256:x", diffID.String(), names[1]))
			must(err)
			_, err = f.diff.Apply(f.ctx, desc, m)
			must(err)
			s := state{f, names[0], names[1], func(key string) string {
				sn, err := f.lookup(f.ctx, key)
				must(err)
				return sn.id
			}}
			c.leave(s)
			f.restart()
			f.agree()
			if c.check != nil {
				c.check(s)
			}
			for _, n := range names {
				if got := f.content(n); got[`Files\a`] != "one" {
					t.Errorf("%s holds %q", n, got)
				}
			}
			rec, err := f.readRecord(s.id("active"))
			if err != nil || (rec != nil) != c.stays {
				t.Errorf("the active snapshot has %+v, %v", rec, err)
			}
			// It can be applied to, in any case, and committed.
			if m, err = f.sn.Mounts(f.ctx, "active"); err != nil {
				t.Fatal(err)
			}
			if out, err := f.diff.Apply(f.ctx, desc, m); err != nil || out.Digest != diffID || out.Size == 0 {
				t.Errorf("%+v, %v", out, err)
			}
			must(f.sn.Commit(f.ctx, "committed", "active"))
			f.agree()
			if got := f.content(s.must("committed").Layers[0]); got[`Files\c`] != "three" || got[`Files\b`] != "two" {
				t.Errorf("%q", got)
			}
			for _, n := range []string{"committed", names[1], names[0]} {
				must(f.sn.Remove(f.ctx, n))
			}
			f.agree()
		})
	}
}

// must returns the record of a snapshot.
func (f *fixture) must(key string) *record {
	f.Helper()
	sn, err := f.lookup(f.ctx, key)
	if err != nil {
		f.Fatal(err)
	}
	rec, err := f.readRecord(sn.id)
	if err != nil || rec == nil {
		f.Fatal(rec, err)
	}
	return rec
}

// Damage is told, stays with the snapshot that it is of, and removes no layer that some
// snapshot may need.
func TestDamagedRecord(t *testing.T) {
	f := newFixture(t)
	names := f.image(f.tar(dir(`Files`), file(`Files\a`, "one")))
	other := f.image(f.tar(dir(`Files`), file(`Files\other`, "two")))
	sn, err := f.lookup(f.ctx, names[0])
	if err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(f.dir, "snapshots", sn.id, recordName)
	if err := os.WriteFile(record, []byte(`{"layers":["../../etc"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	f.restart()
	if _, err := f.sn.Stat(f.ctx, names[0]); err != nil {
		t.Error(err)
	}
	if _, err := f.sn.View(f.ctx, "view", names[0]); !errors.Is(err, errdefs.ErrDataLoss) {
		t.Errorf("%v", err)
	}
	if err := f.sn.Cleanup(f.ctx); err != nil {
		t.Error(err)
	}
	if layers, err := f.Service.store.Layers(); err != nil || len(layers) != 2 {
		t.Errorf("%q, %v", layers, err)
	}
	if _, err := f.sn.View(f.ctx, "other view", other[0]); err != nil {
		t.Error(err)
	}
	// It can be removed, and then all is well again.
	if err := f.sn.Remove(f.ctx, names[0]); err != nil {
		t.Error(err)
	}
	f.restart()
	f.agree()
}

// A layer that is gone is told at the start, and the error of who needs it is clear.
func TestMissingLayer(t *testing.T) {
	f := newFixture(t)
	name := f.image(f.tar(dir(`Files`), file(`Files\a`, "one")))[0]
	if err := f.Service.store.Remove(f.ctx, name); err != nil {
		t.Fatal(err)
	}
	f.restart()
	if _, err := f.sn.Stat(f.ctx, name); err != nil {
		t.Error(err)
	}
	if _, err := f.sn.View(f.ctx, "view", name); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), name) {
		t.Errorf("%v", err)
	}
	if _, err := f.sn.Stat(f.ctx, "view"); !errdefs.IsNotFound(err) {
		t.Errorf("the view that cannot be shown is there: %v", err)
	}
	if err := f.sn.Remove(f.ctx, name); err != nil {
		t.Error(err)
	}
	f.agree()
}

// The directory belongs to one process.
func TestInUse(t *testing.T) {
	f := newFixture(t)
	begin := time.Now()
	if s, err := open(f.config, f.dir, f.viewer); !errors.Is(err, ErrInUse) {
		t.Errorf("%v, %v", s, err)
	}
	if d := time.Since(begin); d < lockWait {
		t.Errorf("it did not wait for a process that is about to end: %v", d)
	}
	f.restart() // the first one was not disturbed
}

// What cannot be deleted now is deleted by Cleanup, or by the next start.
func TestCleanup(t *testing.T) {
	f := newFixture(t)
	name := f.image(f.tar(dir(`Files`), file(`Files\a`, "one")))[0]
	f.Service.hook = func(op, _ string) error {
		if op == "remove layer" {
			return syscall.EIO
		}
		return nil
	}
	if err := f.sn.Remove(f.ctx, name); err != nil {
		t.Fatal(err)
	}
	f.Service.hook = nil
	if layers, err := f.Service.store.Layers(); err != nil || len(layers) != 1 {
		t.Errorf("%q, %v", layers, err)
	}
	// It is used again if it is wanted again, with all that is to be said of it.
	tar := f.tar(dir(`Files`), file(`Files\a`, "one"))
	m, err := f.sn.Prepare(f.ctx, "again", "", unpackLabels(name, name, ""))
	if err != nil {
		t.Fatal(err)
	}
	desc, _ := f.blob(tar)
	if out, err := f.diff.Apply(f.ctx, desc, m); err != nil || out.Size != int64(len(tar)) {
		t.Errorf("%+v, %v", out, err)
	}
	f.agree()
	f.Service.hook = func(string, string) error { return syscall.EIO }
	if err := f.sn.Remove(f.ctx, "again"); !errors.Is(err, syscall.EIO) || !errdefs.IsFailedPrecondition(err) {
		t.Errorf("%v", err) // its directory cannot be renamed
	}
	f.Service.hook = func(op, _ string) error {
		if op == "remove layer" {
			return syscall.EIO
		}
		return nil
	}
	if err := f.sn.Remove(f.ctx, "again"); err != nil {
		t.Error(err)
	}
	f.Service.hook = nil
	if err := os.MkdirAll(filepath.Join(f.dir, "snapshots", "rm-77", "fs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.sn.Cleanup(f.ctx); err != nil {
		t.Error(err)
	}
	f.agree()
	if layers, err := f.Service.store.Layers(); err != nil || len(layers) != 0 {
		t.Errorf("%q, %v", layers, err)
	}
}

// A removal that could neither change the metadata nor give the directory its name back
// has removed nothing: Cleanup deletes only what the metadata do not know.
func TestCleanupKeeps(t *testing.T) {
	f := newFixture(t)
	name := f.image(f.tar(dir(`Files`), file(`Files\a`, "one")))[0]
	sn, err := f.Service.lookup(f.ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	before := f.disk()
	if err := os.Rename(f.Service.dir(sn.id), filepath.Join(f.dir, snapshotsName, removedPrefix+sn.id)); err != nil {
		t.Fatal(err)
	}
	if err := f.sn.Cleanup(f.ctx); err != nil {
		t.Error(err)
	}
	if after := f.disk(); !slices.Equal(before, after) {
		t.Errorf("on disk:\n%q\nbefore:\n%q", after, before)
	}
	f.agree()
}

// A request that ends in a panic, which the service of serve survives, lets go of the
// snapshot and of the metadata.
func TestPanicUnlocks(t *testing.T) {
	f := newFixture(t)
	f.Service.viewer = panicking{f.viewer}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("there was no panic")
			}
		}()
		f.sn.Prepare(f.ctx, "key", "")
	}()
	f.Service.viewer = f.viewer
	func() {
		defer func() { recover() }()
		f.Service.tx(f.ctx, true, func(context.Context) error { panic("another bug") })
	}()
	ctx, cancel := context.WithTimeout(f.ctx, 5*time.Second)
	defer cancel()
	removed := make(chan error, 1)
	go func() { removed <- f.sn.Remove(ctx, "key") }()
	select {
	case err := <-removed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second): // bolt does not look at contexts
		t.Fatal("the metadata are locked")
	}
	f.agree()
}

type panicking struct{ viewer }

func (panicking) open(string, *cimfs.Image) (upper, error) { panic("a bug") }

// Layers are counted by whoever needs them, and the last one to go takes them along.
func TestReferences(t *testing.T) {
	var mu sync.Mutex
	var gone []string
	slow := make(chan struct{})
	r := newReferences(func(l string) {
		<-slow
		mu.Lock()
		defer mu.Unlock()
		gone = append(gone, l)
	})
	ctx := context.Background()
	hold := func(l ...string) {
		if err := r.hold(ctx, l...); err != nil {
			t.Fatal(err)
		}
	}
	hold("top", "base")
	hold("other", "base")
	r.learn(&record{DiffID: "sha256:d", Size: 7, Blob: "sha256:b", Layers: []string{"base"}})
	if got, ok := r.lookup("base"); !ok || got.Size != 7 || r.diffID("sha256:b") != "sha256:d" {
		t.Errorf("%+v, %v", got, ok)
	}
	done := make(chan struct{})
	go func() { r.release("top", "base"); close(done) }()
	// Who needs a layer that is just being removed waits for that.
	for r.held("top") {
		time.Sleep(time.Millisecond)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := r.hold(short, "base", "top"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	close(slow)
	hold("top")
	<-done
	if !slices.Equal(gone, []string{"top"}) || !r.held("base") || !r.held("top") {
		t.Errorf("%q", gone)
	}
	r.release("other", "base")
	r.release("top")
	if !slices.Equal(gone, []string{"top", "other", "base", "top"}) || len(r.count) != 0 || len(r.known) != 0 || len(r.blobs) != 0 {
		t.Errorf("%q, %+v", gone, r)
	}
}

// Labels, kinds and names follow the rules of containerd.
func TestMetadata(t *testing.T) {
	f := newFixture(t)
	if err := f.sn.Walk(f.ctx, func(context.Context, snapshots.Info) error { return errors.New("a snapshot") }); err != nil {
		t.Errorf("a new service: %v", err)
	}
	if n, err := f.Stats(f.ctx); err != nil || n != (Stats{}) {
		t.Errorf("%+v, %v", n, err)
	}
	name := f.image(f.tar(dir(`Files`)))[0]
	if _, err := f.sn.View(f.ctx, "view", name, snapshots.WithLabels(map[string]string{"a": "b"})); err != nil {
		t.Fatal(err)
	}
	if _, err := f.sn.Prepare(f.ctx, "active", name); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"commit of a view":    f.sn.Commit(f.ctx, "x", "view"),
		"mounts of a commit":  second(f.sn.Mounts(f.ctx, name)),
		"removal of a parent": f.sn.Remove(f.ctx, name),
		"commit of a commit":  f.sn.Commit(f.ctx, "x", name),
	} {
		if !errdefs.IsFailedPrecondition(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"key twice":     second(f.sn.Prepare(f.ctx, "active", name)),
		"name twice":    f.sn.Commit(f.ctx, name, "active"),
		"view of a key": second(f.sn.View(f.ctx, "view", "")),
	} {
		if !errdefs.IsAlreadyExists(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"unknown parent": second(f.sn.Prepare(f.ctx, "new", "unknown")),
		"unknown key":    f.sn.Commit(f.ctx, "x", "unknown"),
		"removal":        f.sn.Remove(f.ctx, "unknown"),
		"usage":          second(f.sn.Usage(f.ctx, "unknown")),
		"mounts":         second(f.sn.Mounts(f.ctx, "unknown")),
	} {
		if !errdefs.IsNotFound(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := second(f.sn.Prepare(f.ctx, "new", "active")); !errdefs.IsInvalidArgument(err) {
		t.Errorf("parent that is not committed: %v", err)
	}
	if u, err := f.sn.Usage(f.ctx, "view"); err != nil || u != (snapshots.Usage{}) {
		t.Errorf("%+v, %v", u, err)
	}
	n, err := f.Stats(f.ctx)
	if err != nil || n != (Stats{Active: 1, Views: 1, Committed: 1, Layers: 1, Mounted: 2}) {
		t.Errorf("%+v, %v", n, err)
	}
	// A snapshot that cannot be shown is not made.
	f.viewer.fail = errors.New("no FUSE here")
	if err := second(f.sn.View(f.ctx, "unseen", name)); err == nil || !strings.Contains(err.Error(), "no FUSE here") {
		t.Errorf("%v", err)
	}
	f.viewer.fail = nil
	if err := second(f.sn.Stat(f.ctx, "unseen")); !errdefs.IsNotFound(err) {
		t.Errorf("%v", err)
	}
	// One that was not touched is committed as what is below it.
	if err := f.sn.Commit(f.ctx, "untouched", "active"); err != nil {
		t.Fatal(err)
	}
	if rec := f.must("untouched"); !slices.Equal(rec.Layers, []string{name}) {
		t.Errorf("%+v", rec)
	}
	f.agree()
}

func second[T any](_ T, err error) error { return err }
