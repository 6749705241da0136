package wclayer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// TestWalkThrough is appendix B: a layer with a new file, a deletion, a hard link
// to the parent's file, and a delta hive.
func TestWalkThrough(t *testing.T) {
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	w, err := Create(base, nil, WithSync(SyncNone))
	must(t, err)
	defer w.Close()
	addFiles(t, w, `Files\a\Keep.txt`, "kept", `Files\a\old.txt`, "old")
	must(t, w.Commit())

	d := filepath.Join(dir, "layer")
	w, err = Create(d, []string{base}, WithSync(SyncNone))
	must(t, err)
	defer w.Close()
	old := winfs.Times{Creation: 1, LastAccess: 2, LastWrite: 132356160001234567, Change: 3}
	must(t, w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir, Times: old}))
	must(t, w.Add(&layer.Entry{Path: `Files\a`, Kind: layer.Dir, Times: old}))
	addFiles(t, w, `Files\a\new.txt`, "new")
	must(t, w.Add(&layer.Entry{Path: `Files\a\old.txt`, Kind: layer.Whiteout}))
	must(t, w.Add(&layer.Entry{Path: `Files\a\link.txt`, Kind: layer.Link, Target: `Files\a\keep.txt`}))
	must(t, w.Add(&layer.Entry{Path: `Hives`, Kind: layer.Dir, Times: old}))
	addFiles(t, w, `Hives\System_Delta`, "regf")
	must(t, w.Commit())
	expect(t, d, `d Files`, `d Files\a`, `w Files\a\old.txt`, `h Files\a\link.txt -> Files\a\keep.txt`, `f Files\a\new.txt`, `d Hives`, `f Hives\System_Delta`)
	same(t, filepath.Join(base, "Files", "a", "Keep.txt"), filepath.Join(d, "Files", "a", "link.txt"), true)
	for _, p := range []string{"Files", "Files/a", "Hives"} {
		fi, err := os.Stat(filepath.Join(d, filepath.FromSlash(p)))
		must(t, err)
		if !fi.ModTime().Equal(old.LastWrite.Time()) {
			t.Errorf("%s was modified %v: making what is in it changed its time", p, fi.ModTime())
		}
	}
}
