package snapshotter

import (
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

// Where snapshots cannot be shown, as on Windows and macOS, all give the form of
// Windows. Layers are unpacked and compared as anywhere; what a container wrote is not
// seen, and does not pass for nothing.
func TestNative(t *testing.T) {
	f := newFixture(t)
	f.kill()
	s, err := open(f.config, f.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Service, f.sn, f.diff = s, s.Snapshotter(), s.Differ()
	names := f.image(f.tar(dir(`Files`), file(`Files\a`, "one")), f.tar(dir(`Files`), file(`Files\b`, "two")))
	upper, err := f.sn.Prepare(f.ctx, "container", names[1])
	if err != nil {
		t.Fatal(err)
	}
	lower, err := f.sn.View(f.ctx, "view", names[1])
	if err != nil {
		t.Fatal(err)
	}
	if upper[0].Type != "CimFS" || upper[0].Options[0] != "rw" || lower[0].Type != "CimFS" || lower[0].Options[0] != "ro" {
		t.Errorf("%+v, %+v", upper, lower)
	}
	// Both layers, the topmost first, in both lists.
	for _, o := range upper[0].Options[2:] {
		_, list, _ := strings.Cut(o, "=")
		top, base := strings.Index(list, names[1][7:]), strings.Index(list, names[0][7:])
		if top < 0 || base < top {
			t.Errorf("%s", o)
		}
	}
	if err := f.sn.Commit(f.ctx, "committed", "container"); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("%v", err)
	}
	if _, err := f.diff.Compare(f.ctx, lower, upper); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("%v", err)
	}
	below, err := f.sn.View(f.ctx, "below", names[0])
	if err != nil {
		t.Fatal(err)
	}
	if desc, err := f.diff.Compare(f.ctx, below, lower); err != nil || desc.Size == 0 {
		t.Errorf("%+v, %v", desc, err)
	}
	for _, k := range []string{"container", "view", "below", names[1], names[0]} {
		if err := f.sn.Remove(f.ctx, k); err != nil {
			t.Error(err)
		}
	}
	f.agree()
	// A layer over nothing may wait for its parent here too.
	desc, diffID := f.blob(f.tar(dir(`Files`)))
	m, err := f.sn.Prepare(f.ctx, "spooled", "", unpackLabels("sha256:x", diffID.String(), diffID.String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.diff.Apply(f.ctx, desc, m); err != nil {
		t.Fatal(err)
	}
	if err := f.sn.Commit(f.ctx, "unknown parent", "spooled", snapshots.WithParent("gone")); !errdefs.IsNotFound(err) {
		t.Errorf("%v", err)
	}
	if err := f.sn.Commit(f.ctx, "from spool", "spooled"); err != nil {
		t.Error(err)
	}
	f.agree()
}
