package regf

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// onDisk writes a hive to a file and opens it by one of the ways in which a base can be
// shared.
func onDisk(t testing.TB, h *Hive, way int) *Hive {
	t.Helper()
	name := filepath.Join(t.TempDir(), "hive")
	if err := os.WriteFile(name, h.data, 0o600); err != nil {
		t.Fatal(err)
	}
	if way == 0 {
		d, err := Open(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var d *Hive
	if way == 1 {
		d, err = OpenFile(f, nil)
	} else {
		d, err = OpenReaderAt(f, int64(len(h.data)), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// everything describes all that is read of a hive below a key.
func everything(t testing.TB, k Key) string {
	t.Helper()
	var b bytes.Buffer
	for k, err := range k.Walk() {
		if err != nil {
			t.Fatal(err)
		}
		class, err := k.ClassBytes()
		if err != nil {
			t.Fatal(err)
		}
		sd, err := k.Security()
		if err != nil {
			t.Fatal(err)
		}
		info, err := k.Info()
		if err != nil {
			t.Fatal(err)
		}
		info.MaxSubkeyName, info.MaxValueName, info.MaxValueData, info.MaxSubClass = 0, 0, 0, 0
		fmt.Fprintf(&b, "%d %q %v %d class=%x sd=%x flags=%x virtual=%x user=%x access=%x layer=%x %v\n", k.Level(), k.Path(), k.IsRoot(),
			k.LastWrite(), class, sd, k.Flags()&^KeyCompressed, k.VirtualFlags(), k.UserFlags(), k.AccessBits(), k.LayerByte(), info)
		n := 0
		for v, err := range k.Values() {
			if err != nil {
				t.Fatal(err)
			}
			data, err := v.Data()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "  %q %v %x tombstone=%v\n", v.Name(), v.Type(), data, v.Tombstone())
			n++
		}
		if n != k.ValueCount() {
			t.Fatalf("%q counts %d values and has %d", k.Path(), k.ValueCount(), n)
		}
		found, err := k.h.Key(k.Path())
		if err != nil || found.off != k.off {
			t.Fatalf("looking %q up: %v", k.Path(), err)
		}
		for i := range n {
			v, err := k.ValueAt(i)
			if err != nil {
				t.Fatal(err)
			}
			if w, err := k.Value(v.Name()); err != nil || w.CompareName(v) != 0 {
				t.Fatalf("looking up value %q: %v", v.Name(), err)
			}
		}
	}
	return b.String()
}

// firstLine returns the first line that differs, of the view and of the merged hive.
func firstLine(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("%s\nmerged %s", x[i], y[i])
		}
	}
	return fmt.Sprintf("has %d lines, merged %d", len(x), len(y))
}

// viewed requires that a view of the layers is like the hive that they were merged to.
func viewed(t *testing.T, want *Hive, layers []*Hive, opt *MergeOptions) {
	t.Helper()
	layers = append([]*Hive{onDisk(t, layers[0], 1)}, layers[1:]...)
	for i, h := range layers[1:] {
		again, err := OpenBytes(h.data, nil)
		if err != nil {
			t.Fatal(err)
		}
		layers[i+1] = again
	}
	for _, f := range checked(layers[0]) {
		if f.Rule == ruleVkDuplicate.ID {
			return // the view shows both
		}
	}
	shared := layers[0].sharable()
	got, err := MergeView(t.Context(), layers, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if (got.view != nil) != shared {
		t.Fatal("the base is not shared")
	}
	if a, b := everything(t, got.Root()), everything(t, want.Root()); a != b {
		t.Fatalf("view %s", firstLine(a, b))
	}
	var b bytes.Buffer
	if err := got.WriteImage(&b); err != nil || !bytes.Equal(b.Bytes(), want.data) {
		t.Fatalf("the view is not written as the merged hive: %v", err)
	}
	if shared {
		spilled(t, want, layers, opt)
		comparedWithBase(t, onDisk(t, layers[0], 1), got)
	}
}

// comparedWithBase requires that a comparison with the base of a view, known to be the base,
// finds what one finds that reads all keys, but for what merging sets right in keys of the
// base.
func comparedWithBase(t *testing.T, base, view *Hive) {
	t.Helper()
	defer base.Close()
	list := func(a, b *Hive, all bool) (out []string) {
		for d, err := range Compare(a, b, CompareOptions{Times: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if all && d.A.Valid() && d.B.Valid() && d.A.off == d.B.off && d.A.fromFile() && d.B.fromFile() {
				continue
			}
			out = append(out, fmt.Sprintf("%v %q %v %q", d.Kind, d.Path, d.Field, d.Name))
		}
		return out
	}
	for _, pair := range [][2]*Hive{{base, view}, {view, base}} {
		base.content, view.content = "", ""
		want := list(pair[0], pair[1], true)
		base.content, view.content = "base", "base"
		if got := list(pair[0], pair[1], false); !slices.Equal(got, want) {
			t.Fatalf("compared with the base:\n%q\nwant\n%q", got, want)
		}
	}
}

// A comparison of views of one base reads only what the layers above it change.
func TestCompareContent(t *testing.T) {
	h := New(nil)
	for i := range 300 {
		k, err := h.CreatePath(fmt.Sprintf(`a\%d`, i))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue("v", RegDword, []byte{byte(i), 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.CreatePath(`b\c`); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := h.WriteImage(&b); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "hive")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(content string) *Hive {
		t.Helper()
		h, err := Open(name, &Options{Content: content})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	delta := func(value string) *Hive {
		t.Helper()
		d := New(nil)
		if err := d.SetLayered(true); err != nil {
			t.Fatal(err)
		}
		k, err := d.CreatePath(`b\c`)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue("x", RegBinary, []byte(value)); err != nil {
			t.Fatal(err)
		}
		return d
	}
	var cells [2]int
	for i, content := range []string{"", "one"} {
		var views [2]*Hive
		for i := range views {
			v, err := MergeView(t.Context(), []*Hive{open(content), delta(fmt.Sprint(i))}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			views[i] = v
		}
		var got []string
		for d, err := range Compare(views[0], views[1], CompareOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d.Path+" "+d.Name)
		}
		if len(got) != 1 || got[0] != `b\c x` {
			t.Errorf("%q", got)
		}
		for _, word := range views[0].seen {
			cells[i] += bits.OnesCount32(word)
		}
	}
	if cells[1] > cells[0]/10 {
		t.Errorf("%d cells are read, %d without Options.Content", cells[1], cells[0])
	}
}

// mergedBoth merges, and requires that a view is like the result.
func mergedBoth(t *testing.T, opt *MergeOptions, layers ...*Hive) *Hive {
	t.Helper()
	h := merged(t, opt, layers...)
	if opt == nil || !opt.Fold {
		viewed(t, h, layers, opt)
	}
	return h
}

// The view of merged layers is the merged hive, whichever keys the layers share.
func TestMergeView(t *testing.T) {
	shared := 0
	for seed := range rounds() {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		model := randomModel(r, 4, false)
		if r.IntN(2) == 0 {
			model.loosen(r)
		}
		base := onDisk(t, model.open(t, 4+r.IntN(3), false), seed%3)
		layers := []*Hive{base}
		for range 1 + r.IntN(3) {
			d := randomModel(r, 3, true)
			if r.IntN(2) == 0 {
				d.loosen(r)
			}
			layers = append(layers, d.open(t, 3+r.IntN(4), true))
		}
		opt := &MergeOptions{Stepwise: r.IntN(2) == 0, Time: TimeRule(r.IntN(2)), Security: SecurityRule(r.IntN(2))}
		want := merged(t, opt, layers...)
		got, err := MergeView(t.Context(), layers, opt)
		if err != nil {
			t.Fatal(err)
		}
		if got.view == nil {
			t.Fatal("the base is not shared")
		}
		if a, b := everything(t, got.Root()), everything(t, want.Root()); a != b {
			t.Fatalf("seed %d: view %s", seed, firstLine(a, b))
		}
		for k := range got.Root().Walk() {
			if k.off < uint32(len(base.bins)) {
				shared++
			}
		}
		for d, err := range Compare(got, want, CompareOptions{Times: true}) {
			t.Fatalf("seed %d: %v %v %v", seed, d.Path, d.Field, err)
		}
		if b, err := got.Image(); err != nil || !bytes.Equal(b, want.data) {
			t.Fatalf("seed %d: writing the view out: %v", seed, err)
		}
		if b, err := got.Compact(nil); err != nil || !bytes.Equal(b, want.data) {
			t.Fatalf("seed %d: compacting the view: %v", seed, err)
		}
		if err := got.Root().SetValue("x", RegSZ, nil); !errors.Is(err, ErrUnsupported) {
			t.Fatalf("an edit of a view: %v", err)
		}
		for _, err := range got.Check(t.Context()) {
			if !errors.Is(err, ErrUnsupported) {
				t.Fatalf("a check of a view: %v", err)
			}
		}
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
		if base.bins != nil {
			t.Fatal("the view did not close its base")
		}
	}
	if shared < rounds() {
		t.Fatalf("%d keys of the base were shared in all", shared)
	}
}

// A base block that was made anew in memory survives the release of the pages of the file.
func TestReleaseKeepsBaseBlock(t *testing.T) {
	b := New(nil).data
	clear(b[4:baseSize])
	name := filepath.Join(t.TempDir(), "hive")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := Open(name, &Options{Mode: Salvage, AllowDirty: true, EditDirty: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.releaseMapped()
	r, err := h.Repair(t.Context(), &RepairOptions{AllowLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	if hdr := r.Hive.Header(); !hdr.ChecksumOK || hdr.Major != 1 {
		t.Fatalf("the repaired hive has the header %+v", hdr)
	}
}
