package snapshotter

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Three layers as an unpacker brings them, and what is left when they go.
func TestUnpack(t *testing.T) {
	f := newFixture(t)
	empty := f.disk()
	layers := [][]byte{
		f.tar(dir(`Files`), dir(`Hives`), file(`Files\a`, "one"), file(`Files\b`, "two")),
		f.tar(dir(`Files`), file(`Files\c`, "three"), whiteout(`Files\a`)),
		f.tar(dir(`Files`), file(`Files\b`, "TWO")),
	}
	var ids []digest.Digest
	for _, l := range layers {
		ids = append(ids, digest.FromBytes(l))
	}
	names := f.image(layers...)
	// containerd names snapshots so, and so are the layers.
	for i, want := range identity.ChainIDs(slices.Clone(ids)) {
		if names[i] != want.String() {
			t.Errorf("layer %d is %s, want %s", i, names[i], want)
		}
	}
	for i, want := range []map[string]string{
		{`Files\a`: "one", `Files\b`: "two", "layout": "vhd-with-hives\n"},
		{`Files\c`: "three", `Files\b`: "two", "layout": "vhd-with-hives\n"},
		{`Files\c`: "three", `Files\b`: "TWO", "layout": "vhd-with-hives\n"},
	} {
		if got := f.content(names[i]); !maps.Equal(got, want) {
			t.Errorf("layer %d holds %q, want %q", i, got, want)
		}
		u, err := f.sn.Usage(f.ctx, names[i])
		least := int64(4096)
		if i > 0 {
			least = 512 // a fork has its changes and nothing else
		}
		if err != nil || u.Size < least || u.Inodes < 3 {
			t.Errorf("usage of layer %d: %+v, %v", i, u, err)
		}
		info, err := f.sn.Stat(f.ctx, names[i])
		if err != nil || info.Kind != snapshots.KindCommitted || i > 0 && info.Parent != names[i-1] {
			t.Errorf("%+v, %v", info, err)
		}
	}
	f.agree()
	if err := f.sn.Remove(f.ctx, names[0]); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a parent was removed: %v", err)
	}
	for _, n := range slices.Backward(names) {
		if err := f.sn.Remove(f.ctx, n); err != nil {
			t.Error(err)
		}
		f.agree()
	}
	if left := f.disk(); !slices.Equal(left, empty) {
		t.Errorf("left on disk: %q", left)
	}
}

// What a snapshot hands out depends on its labels, never on its key.
func TestMounts(t *testing.T) {
	f := newFixture(t)
	base := f.image(f.tar(dir(`Files`), file(`Files\a`, "one")))[0]
	loc, err := f.Service.store.Location(base)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.sn.Prepare(f.ctx, "plain", base, unpackLabels("sha256:x", "", base))
	if err != nil || len(m) != 1 || m[0].Type != "CimFS" || m[0].Options[0] != "rw" {
		t.Fatalf("%+v, %v", m, err)
	}
	all := strings.Join(m[0].Options, "\n")
	for _, want := range []string{"cimpath=", `parentLayerPaths=["` + loc.Files + `"]`, `parentCimPaths=["` + loc.String() + `"]`} {
		if !strings.Contains(all, want) {
			t.Errorf("options %q lack %q", m[0].Options, want)
		}
	}
	// With the diff ID the image of the layer is known.
	d := digest.FromString("tar")
	m, err = f.sn.Prepare(f.ctx, "with-diff-id", "", unpackLabels("sha256:x", d.String(), ""))
	own, _ := f.Service.store.Location(d.String())
	if err != nil || !slices.Contains(m[0].Options, "cimpath="+own.String()) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, c := range []struct {
		key, parent string
		view        bool
		mode        string
	}{
		{"extract-1 sha256:abc", base, false, "rw"}, // named as an unpacker names its keys
		{"view", base, true, "ro"},
		{"empty", "", false, "rw"},
		{"empty view", "", true, "ro"},
	} {
		make := f.sn.Prepare
		if c.view {
			make = f.sn.View
		}
		m, err := make(f.ctx, c.key, c.parent)
		if err != nil || len(m) != 1 || m[0].Type != "bind" || !slices.Equal(m[0].Options, []string{"rbind", c.mode}) {
			t.Fatalf("%s: %+v, %v", c.key, m, err)
		}
		f.viewer.mu.Lock()
		s := f.viewer.shown[m[0].Source]
		f.viewer.mu.Unlock()
		if s == nil || (s.upper == nil) != c.view {
			t.Errorf("%s: shown as %+v", c.key, s)
		}
		again, err := f.sn.Mounts(f.ctx, c.key)
		if err != nil || again[0].Source != m[0].Source {
			t.Errorf("%s: %+v, %v", c.key, again, err)
		}
		if id := f.snapshotOf(m); id == "" {
			t.Errorf("%s: the differ does not know %+v", c.key, m)
		}
	}
	// A view that a process before this one served is served again.
	f.viewer.stale = append(f.viewer.stale, m[0].Source)
	f.kill()
	for d := range f.viewer.shown {
		f.viewer.stale = append(f.viewer.stale, d)
		delete(f.viewer.shown, d)
	}
	f.start()
	if len(f.viewer.stale) > 1 {
		t.Errorf("views of the dead process are still there: %q", f.viewer.stale)
	}
	if m, err = f.sn.Mounts(f.ctx, "view"); err != nil || f.viewer.shown[m[0].Source] == nil {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := f.sn.Mounts(f.ctx, base); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("mounts of a committed snapshot: %v", err)
	}
}

// Clients other than the unpacker set no labels and hand in a bind mount.
func TestApplyToView(t *testing.T) {
	f := newFixture(t)
	tar := f.tar(dir(`Files`), file(`Files\a`, "one"))
	desc, diffID := f.blob(tar)
	m, err := f.sn.Prepare(f.ctx, "key", "")
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.diff.Apply(f.ctx, desc, m)
	if err != nil || out.Digest != diffID || out.Size != int64(len(tar)) {
		t.Fatalf("%+v, %v", out, err)
	}
	// The layer is shown now, and cannot be written to.
	if m, err = f.sn.Mounts(f.ctx, "key"); err != nil || m[0].Options[1] != "ro" {
		t.Errorf("%+v, %v", m, err)
	}
	// The answer may have been lost.
	if out, err = f.diff.Apply(f.ctx, desc, m); err != nil || out.Digest != diffID || out.Size != int64(len(tar)) {
		t.Errorf("%+v, %v", out, err)
	}
	other, _ := f.blob(f.tar(dir(`Files`)))
	if _, err := f.diff.Apply(f.ctx, other, m); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a second layer: %v", err)
	}
	if u, err := f.sn.Usage(f.ctx, "key"); err != nil || u.Size < 4096 {
		t.Errorf("%+v, %v", u, err)
	}
	if err := f.sn.Commit(f.ctx, "name", "key"); err != nil {
		t.Fatal(err)
	}
	f.agree()
	if m, err = f.sn.Prepare(f.ctx, "written", "name"); err != nil {
		t.Fatal(err)
	}
	f.write(m, file(`Files\b`, "two"))
	if _, err := f.diff.Apply(f.ctx, other, m); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a layer over what was written: %v", err)
	}
}

// Equal layers are read once, however many pulls bring them at once.
func TestAppliedOnce(t *testing.T) {
	for _, labelled := range []bool{true, false} {
		f := newFixture(t)
		f.store.gate = make(chan struct{})
		desc, diffID := f.blob(f.tar(dir(`Files`), file(`Files\a`, strings.Repeat("one", 1000))))
		var reused int
		var mu sync.Mutex
		f.Service.config.Observe = func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Op == "apply" && e.Reused {
				reused++
			}
		}
		const n = 5
		keys := make([]string, n)
		var wg sync.WaitGroup
		for i := range n {
			label := ""
			if labelled {
				label = diffID.String()
			}
			keys[i] = f.key("pull")
			m, err := f.sn.Prepare(f.ctx, keys[i], "", unpackLabels(diffID.String(), label, ""))
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if out, err := f.diff.Apply(f.ctx, desc, m); err != nil || out.Digest != diffID || out.Size == 0 {
					t.Errorf("%+v, %v", out, err)
				}
			})
		}
		close(f.store.gate)
		wg.Wait()
		if got := f.store.opened.Load(); got != 1 || reused != n-1 {
			t.Errorf("labelled %v: the blob was opened %d times, the layer reused %d times", labelled, got, reused)
		}
		for _, k := range keys {
			if err := f.sn.Commit(f.ctx, f.key("name"), k); err != nil {
				t.Error(err)
			}
		}
		f.agree()
		// After a restart it is known still.
		f.restart()
		name := f.key("later")
		m, err := f.sn.Prepare(f.ctx, name, "", unpackLabels(diffID.String(), "", ""))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := f.diff.Apply(f.ctx, desc, m); err != nil || out.Digest != diffID || out.Size == 0 {
			t.Errorf("%+v, %v", out, err)
		}
		if got := f.store.opened.Load(); got != 1 {
			t.Errorf("labelled %v: the blob was opened %d times", labelled, got)
		}
		var all []string
		err = f.sn.Walk(f.ctx, collect(&all))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			if layers, err := f.Service.store.Layers(); err != nil || len(layers) != 1 {
				t.Fatalf("%q, %v", layers, err)
			}
			if err := f.sn.Remove(f.ctx, k); err != nil {
				t.Error(err)
			}
		}
		f.agree()
		if layers, err := f.Service.store.Layers(); err != nil || len(layers) != 0 {
			t.Errorf("%q, %v", layers, err)
		}
	}
}

// An unpacker that names parents at Commit gets the layers decompressed beside each
// other.
func TestRebase(t *testing.T) {
	f := newFixture(t)
	empty := f.disk()
	tars := [][]byte{
		f.tar(dir(`Files`), file(`Files\a`, "one"), file(`Files\b`, "two")),
		f.tar(dir(`Files`), file(`Files\c`, "three"), whiteout(`Files\a`)),
		f.tar(dir(`Files`), file(`Files\b`, "TWO")),
	}
	var ids []digest.Digest
	var descs []ocispec.Descriptor
	for _, l := range tars {
		desc, id := f.blob(l)
		ids, descs = append(ids, id), append(descs, desc)
	}
	chain := identity.ChainIDs(slices.Clone(ids))
	for round := range 2 {
		var keys []string
		for i := range tars {
			parent := ""
			if i > 0 {
				parent = chain[i-1].String()
			}
			keys = append(keys, f.key("unpack"))
			if _, err := f.sn.Prepare(f.ctx, keys[i], "", unpackLabels(chain[i].String(), ids[i].String(), parent)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range slices.Backward(tars) { // the topmost first
			m, err := f.sn.Mounts(f.ctx, keys[i])
			if err != nil {
				t.Fatal(err)
			}
			out, err := f.diff.Apply(f.ctx, descs[i], m)
			if err != nil || out.Digest != ids[i] || out.Size != int64(len(tars[i])) {
				t.Fatalf("round %d, layer %d: %+v, %v", round, i, out, err)
			}
		}
		for i, k := range keys {
			var opts []snapshots.Opt
			if i > 0 {
				opts = append(opts, snapshots.WithParent(chain[i-1].String()+strings.Repeat("'", round)))
			}
			name := chain[i].String() + strings.Repeat("'", round)
			if err := f.sn.Commit(f.ctx, name, k, opts...); err != nil {
				t.Fatal(err)
			}
			f.agree()
		}
	}
	// The second round found the layers above the base in the store.
	if got := f.store.opened.Load(); got != 3 {
		t.Errorf("blobs were opened %d times", got)
	}
	if got := f.content(chain[2].String()); got[`Files\b`] != "TWO" || got[`Files\c`] != "three" || got[`Files\a`] != "" {
		t.Errorf("%q", got)
	}
	// A layer that was applied over one parent is not committed over another.
	m, err := f.sn.Prepare(f.ctx, "wrong", "", unpackLabels(chain[1].String(), ids[1].String(), chain[0].String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.diff.Apply(f.ctx, descs[1], m); err != nil {
		t.Fatal(err)
	}
	if err := f.sn.Commit(f.ctx, "wrong parent", "wrong", snapshots.WithParent(chain[1].String())); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("%v", err)
	}
	// Its layers stay while it is there, whatever becomes of the snapshots below.
	f.agree()
	var all []string
	if err := f.sn.Walk(f.ctx, collect(&all)); err != nil {
		t.Fatal(err)
	}
	for len(all) > 0 {
		n := len(all)
		all = slices.DeleteFunc(all, func(k string) bool { return k != "wrong" && f.sn.Remove(f.ctx, k) == nil })
		f.agree()
		if n == len(all) {
			break
		}
	}
	if !slices.Equal(all, []string{"wrong"}) {
		t.Fatalf("%q", all)
	}
	if err := f.sn.Remove(f.ctx, "wrong"); err != nil {
		t.Error(err)
	}
	if left := f.disk(); !slices.Equal(left, empty) {
		t.Errorf("left on disk: %q", left)
	}
}
