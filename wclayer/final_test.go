package wclayer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wctransport"
)

func startLayer(t testing.TB, path string, parents ...string) *Writer {
	t.Helper()
	w, err := Create(path, parents, WithSync(SyncNone))
	must(t, err)
	t.Cleanup(func() { w.Close() })
	return w
}

func link(path, target string) *layer.Entry {
	return &layer.Entry{Path: path, Kind: layer.Link, Target: target}
}

// TestUtilityVM holds docs/spec/layers.md, "Utility VM": the utility VM is cloned from
// the nearest parent that has one, files are shared, the boot files are not, and what
// the layer changes does not reach the parent.
func TestUtilityVM(t *testing.T) {
	dir := t.TempDir()
	base, middle, top := filepath.Join(dir, "base"), filepath.Join(dir, "middle"), filepath.Join(dir, "top")
	const boot = `UtilityVM\Files\EFI\Microsoft\Boot\`
	w := startLayer(t, base)
	addFiles(t, w, `Files\x`, "x", boot+"BCD", "pristine", boot+"BCD.LOG", "log", boot+"bootmgfw.efi", "efi",
		`UtilityVM\Files\kernel`, "kernel", `UtilityVM\Files\gone`, "gone", `UtilityVM\Files\type`, "file",
		`UtilityVM\Files\d\1`, "1", `UtilityVM\Files\d\2`, "2")
	must(t, w.Commit())
	for name, want := range map[string]string{"bcd.bak": "pristine", "bcd.log.bak": "log"} {
		if b, err := os.ReadFile(filepath.Join(base, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	w = startLayer(t, middle, base)
	addFiles(t, w, `Files\m`, "m")
	must(t, w.Commit())

	w = startLayer(t, top, base, middle)
	must(t, w.Add(&layer.Entry{Path: "UtilityVM", Kind: layer.Dir, Security: []byte{1}})) // data for this entry was refused upstream
	must(t, w.Add(&layer.Entry{Path: `UtilityVM\Files`, Kind: layer.Dir}))
	addFiles(t, w, `UtilityVM\Files\kernel`, "patched")
	must(t, w.Add(&layer.Entry{Path: `UtilityVM\Files\type`, Kind: layer.Dir}))
	addFiles(t, w, `UtilityVM\Files\type\now`, "dir", `UtilityVM\Files\d\3`, "3")
	must(t, w.Add(&layer.Entry{Path: `UtilityVM\Files\gone`, Kind: layer.Whiteout}))
	must(t, w.Add(&layer.Entry{Path: `UtilityVM\Files\d`, Kind: layer.Opaque}))
	must(t, w.Add(link(`Files\fromvm`, boot+`bootmgfw.efi`)))
	must(t, w.Add(link(`UtilityVM\Files\fromfiles`, `Files\x`)))
	must(t, w.Commit())

	at := func(l, p string) string { return filepath.Join(l, filepath.FromSlash(strings.ReplaceAll(p, `\`, "/"))) }
	same(t, at(base, boot+"bootmgfw.efi"), at(top, boot+"bootmgfw.efi"), true)
	same(t, at(base, boot+"BCD"), at(top, boot+"BCD"), false)
	same(t, at(base, boot+"BCD.LOG"), at(top, boot+"BCD.LOG"), false)
	if b, err := os.ReadFile(at(base, `UtilityVM\Files\kernel`)); err != nil || string(b) != "kernel" {
		t.Errorf("the parent's kernel is now %q, %v", b, err)
	}
	if b, err := os.ReadFile(at(top, `UtilityVM\Files\kernel`)); err != nil || string(b) != "patched" {
		t.Errorf("kernel is %q, %v", b, err)
	}
	for _, p := range []string{`UtilityVM\Files\gone`, `UtilityVM\Files\d\1`} {
		if _, err := os.Stat(at(top, p)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", p, err)
		}
	}
	if _, err := os.Stat(at(base, `UtilityVM\Files\gone`)); err != nil {
		t.Error(err)
	}
	expect(t, top, `h Files\fromvm -> `+boot+`bootmgfw.efi`, `d UtilityVM`, `d UtilityVM\Files`, `w UtilityVM\Files\gone`,
		`o UtilityVM\Files\d`, `f UtilityVM\Files\d\3`, `h UtilityVM\Files\fromfiles -> Files\x`, `f UtilityVM\Files\kernel`,
		`d UtilityVM\Files\type`, `f UtilityVM\Files\type\now`)
}

// TestLinks: chains, forward references, links across layers and what whiteouts
// hide of them.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	base, middle, top := filepath.Join(dir, "base"), filepath.Join(dir, "middle"), filepath.Join(dir, "top")
	w := startLayer(t, base)
	addFiles(t, w, `Files\p`, "parent", `Files\hidden`, "hidden", `Files\both`, "old")
	must(t, w.Commit())
	w = startLayer(t, middle, base)
	must(t, w.Add(&layer.Entry{Path: `Files\hidden`, Kind: layer.Whiteout}))
	must(t, w.Add(link(`Files\renamed`, `Files\p`)))
	must(t, w.Commit())

	w = startLayer(t, top, base, middle)
	must(t, w.Add(link(`Files\a`, `Files\b`))) // forward, to a link
	must(t, w.Add(link(`Files\b`, `Files\c`)))
	addFiles(t, w, `Files\c`, "own", `Files\both`, "new")
	must(t, w.Add(link(`Files\d`, `FILES\P`)))
	must(t, w.Add(link(`Files\e`, `Files\renamed`))) // a link of the parent to its parent
	must(t, w.Add(link(`Files\f`, `Files\d`)))
	must(t, w.Add(link(`Files\g`, `Files\both`)))
	must(t, w.Commit())
	expect(t, top, `f Files\both`, `f Files\c`, `h Files\b -> Files\c`, `h Files\a -> Files\b`, `h Files\d -> FILES\P`,
		`h Files\e -> Files\renamed`, `h Files\f -> Files\d`, `h Files\g -> Files\both`)
	at := func(l, p string) string { return filepath.Join(l, "Files", p) }
	same(t, at(top, "a"), at(top, "c"), true)
	same(t, at(top, "e"), at(base, "p"), true)
	same(t, at(top, "f"), at(base, "p"), true)
	same(t, at(top, "g"), at(top, "both"), true)

	for _, c := range []struct {
		name  string
		links []*layer.Entry
		err   error
	}{
		{"hidden by the parent", []*layer.Entry{link(`Files\x`, `Files\hidden`)}, layer.ErrLinkTarget},
		{"nowhere", []*layer.Entry{link(`Files\x`, `Files\nowhere`)}, layer.ErrLinkTarget},
		{"directory", []*layer.Entry{{Path: `Files\dir`, Kind: layer.Dir}, link(`Files\x`, `Files\dir`)}, layer.ErrLinkTarget},
		{"cycle", []*layer.Entry{link(`Files\x`, `Files\y`), link(`Files\y`, `Files\z`), link(`Files\z`, `Files\x`)}, ErrLinkCycle},
		{"itself", []*layer.Entry{link(`Files\x`, `Files\X`)}, ErrLinkCycle},
		{"hive", []*layer.Entry{link(`Files\x`, `Hives\System_Delta`)}, layer.ErrLinkTarget},
		{"from hives", []*layer.Entry{link(`Hives\x`, `Files\p`)}, layer.ErrLinkTarget},
		{"through a file", []*layer.Entry{link(`Files\x`, `Files\p\x`)}, layer.ErrLinkTarget},
	} {
		w := startLayer(t, filepath.Join(dir, "bad"), base, middle)
		var err error
		for _, e := range c.links {
			err = errors.Join(err, w.Add(e))
		}
		if err == nil {
			err = w.Commit()
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		w.Close()
	}
}

// TestManyLinks: a file of NTFS has at most 1,024 names; the next is a copy, which
// takes those after it.
func TestManyLinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layer")
	w := startLayer(t, path)
	addFiles(t, w, `Files\0`, "content")
	const n = 2100
	for i := 1; i < n; i++ {
		must(t, w.Add(link(fmt.Sprintf(`Files\%d`, i), `Files\0`)))
	}
	must(t, w.Commit())
	for i, p := range []string{"0", "1023", "1024", "2047", "2048"} {
		fi, err := os.Stat(filepath.Join(path, "Files", p))
		must(t, err)
		want := []uint64{1024, 1024, 1024, 1024, n - 2048}[i]
		if _, _, links := hostfs.FileIdentity(fi); links != want {
			t.Errorf("%s has %d names, want %d", p, links, want)
		}
	}
	if l := collect(t, path); len(l.Items) != n {
		t.Errorf("%d entries", len(l.Items))
	}
}

// TestWhiteoutsOfTheSameLayer: they hide what is below, never what the layer has.
func TestWhiteoutsOfTheSameLayer(t *testing.T) {
	dir := t.TempDir()
	base := emptyBase(t, filepath.Join(dir, "base"))
	path := filepath.Join(dir, "layer")
	w := startLayer(t, path, base)
	addFiles(t, w, `Files\d\before`, "1")
	must(t, w.Add(&layer.Entry{Path: `Files\d`, Kind: layer.Whiteout}))
	must(t, w.Add(&layer.Entry{Path: `Files\d`, Kind: layer.Opaque}))
	must(t, w.Add(&layer.Entry{Path: `Files\d`, Kind: layer.Dir}))
	addFiles(t, w, `Files\d\after`, "2")
	must(t, w.Add(&layer.Entry{Path: `Files\no\where\x`, Kind: layer.Whiteout}))
	must(t, w.Commit())
	expect(t, path, `w Files\d`, `d Files\d`, `o Files\d`, `f Files\d\after`, `f Files\d\before`, `w Files\no\where\x`)
}

// TestHostNames: names that the host cannot have, or that belong to the form.
func TestHostNames(t *testing.T) {
	long := strings.Repeat("\u20ac", 255) // 255 units, 765 bytes
	names := []string{long, ".mullion", ".MULLION-name-00", "a.$wcidirs$", "\xed\xa0\x80", "trailing.", "NUL", "-", "\u0130\u00df"}
	for _, transport := range []bool{false, true} {
		for _, mode := range []MetadataMode{MetadataAuto, MetadataIndex} {
			path := filepath.Join(t.TempDir(), "layer")
			var w layer.Writer
			var err error
			if transport {
				w, err = wctransport.Create(path, WithSync(SyncNone), WithMetadata(mode))
			} else {
				w, err = Create(path, nil, WithSync(SyncNone), WithMetadata(mode))
			}
			must(t, err)
			defer w.Close()
			must(t, w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir}))
			want := map[string]bool{"d Files": true}
			for _, n := range names {
				must(t, w.Add(&layer.Entry{Path: `Files\` + n, Kind: layer.Dir}))
				want[`d Files\`+n] = true
				for _, m := range names {
					addFiles(t, w, `Files\`+n+`\`+m, m)
					want[`f Files\`+n+`\`+m] = true
				}
			}
			if !transport {
				addFiles(t, w, "layout", "mine", ".mullion", "mine", "x.vhdx", "mine")
				for _, n := range []string{"layout", ".mullion", "x.vhdx"} {
					want["f "+n] = true
				}
			}
			must(t, w.Commit())
			got := paths(collect(t, path))
			for _, p := range got {
				if !want[p] {
					t.Errorf("unexpected %q", p)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d entries, want %d", len(got), len(want))
			}
		}
	}
}

// TestLostRecords: a copy without its extended attributes is not taken for a layer.
func TestLostRecords(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "layer")
	w := startLayer(t, path)
	addFiles(t, w, `Files\a`, "a")
	must(t, w.Commit())
	must(t, os.WriteFile(filepath.Join(path, "Files", "stranger"), nil, 0o666))
	r, err := Open(path)
	must(t, err)
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, ErrNoMetadata) {
		t.Errorf("a file without a record: %v", err)
	}
	if l := collect(t, path, WithBareFiles()); len(l.Items) != 2 {
		t.Errorf("%q", paths(l))
	}
	must(t, os.Remove(filepath.Join(path, "Files", "stranger")))
	must(t, os.Remove(filepath.Join(path, "Files", "a")))
	r, err = Open(path)
	must(t, err)
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, layer.ErrCorrupt) {
		t.Errorf("a file is missing: %v", err)
	}
}

// TestHandMade reads directories that this package has not made.
func TestHandMade(t *testing.T) {
	dir := put(t, t.TempDir(), map[string]string{
		"Files/Windows/System32/config/SYSTEM": "regf",
		"Files/$RECYCLE.BIN/x":                 "",
		"Files/b":                              "b",
		"Hives/SYSTEM_BASE":                    "regf",
		"UtilityVM/Files/EFI/":                 "",
		"UtilityVM/SystemTemplate.vhdx":        "vhdx",
		"UtilityVM/other/x":                    "",
		"blank.vhdx":                           "vhdx",
		"layout":                               layoutText,
	})
	must(t, os.Link(filepath.Join(dir, "Files", "b"), filepath.Join(dir, "Files", "z")))
	expect(t, dir, `d Files`, `d Files\Windows`, `d Files\Windows\System32`, `d Files\Windows\System32\config`,
		`f Files\Windows\System32\config\SYSTEM`, `f Files\b`, `h Files\z -> Files\b`, `d UtilityVM`, `d UtilityVM\Files`, `d UtilityVM\Files\EFI`)
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNotLayer) {
		t.Errorf("empty directory: %v", err)
	}
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "Files", "evil")))
	r, err := Open(dir)
	must(t, err)
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, ErrHostFile) {
		t.Errorf("symbolic link of the host: %v", err)
	}
}

// TestBaseProcessing holds what is made of ProcessBaseImage.
func TestBaseProcessing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layer")
	w := startLayer(t, path)
	for _, h := range baseHives {
		addFiles(t, w, strings.ToLower(hiveDirectory)+`\`+h.source, "regf"+h.source)
	}
	addFiles(t, w, `Hives\system_base`, "stale")
	must(t, w.Commit())
	for _, h := range baseHives {
		b, err := os.ReadFile(filepath.Join(path, "Hives", h.base))
		if err != nil || string(b) != "regf"+h.source {
			t.Errorf("%s: %q, %v", h.base, b, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(path, "layout")); err != nil || string(b) != "vhd-with-hives\n" {
		t.Errorf("layout: %q, %v", b, err)
	}
	if l := collect(t, path); len(l.Items) != 5 {
		t.Errorf("%q", paths(l))
	}
	w = startLayer(t, filepath.Join(t.TempDir(), "layer"))
	if err := w.Add(&layer.Entry{Path: `Files\a`, Kind: layer.Whiteout}); !errors.Is(err, layer.ErrWhiteout) {
		t.Errorf("whiteout in a base layer: %v", err)
	}
}

// TestCaseConflicts holds that names are those of NTFS on every host.
func TestCaseConflicts(t *testing.T) {
	for _, c := range []struct {
		a, b string
		err  error
	}{
		{`Files\a`, `Files\A`, layer.ErrCaseConflict},
		{`Files\a`, `FILES\a`, layer.ErrDuplicate},
		{"Files\\\u00e4", "Files\\\u00c4", layer.ErrCaseConflict},
		{"Files\\\u00df", `Files\SS`, nil},
		{`Files\a`, `Files\a\b`, layer.ErrNotDirectory},
		{`Files\a\b`, `Files\a`, layer.ErrNotDirectory},
	} {
		w := startLayer(t, filepath.Join(t.TempDir(), "layer"))
		file := func(p string) *layer.Entry { return &layer.Entry{Path: p, Kind: layer.File} }
		must(t, w.Add(file(c.a)))
		if err := w.Add(file(c.b)); !errors.Is(err, c.err) {
			t.Errorf("%q after %q: %v, want %v", c.b, c.a, err, c.err)
		}
		w.Close()
	}
	// An entry for a directory decides how it is spelled.
	path := filepath.Join(t.TempDir(), "layer")
	w := startLayer(t, path)
	addFiles(t, w, `Files\windows\x`, "x")
	must(t, w.Add(&layer.Entry{Path: `Files\Windows`, Kind: layer.Dir}))
	addFiles(t, w, `files\WINDOWS\y`, "y")
	must(t, w.Commit())
	expect(t, path, `d Files\Windows`, `f Files\Windows\x`, `f Files\Windows\y`)
}

// TestFinish: what the hook adds is no entry, and its error is the commit's.
func TestFinish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layer")
	w, err := Create(path, nil, WithSync(SyncNone), WithFinish(func(root *os.Root) error {
		return root.WriteFile(`Hives/SYSTEM_BASE`, []byte("merged"), 0o666)
	}))
	must(t, err)
	defer w.Close()
	addFiles(t, w, `Files\a`, "a")
	must(t, w.Commit())
	expect(t, path, `f Files\a`)
	stop := errors.New("stop")
	path = filepath.Join(t.TempDir(), "layer")
	w, err = Create(path, nil, WithFinish(func(*os.Root) error { return stop }))
	must(t, err)
	defer w.Close()
	if err := w.Commit(); !errors.Is(err, stop) {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("published")
	}
}
