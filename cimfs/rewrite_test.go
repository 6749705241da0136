package cimfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
)

// scatter makes an image as one run of any writer could: directories whenever they
// are needed, files in an order that has nothing to do with their names, descriptors
// and content shared with any other file or with none.
func scatter(b *builder, v Version, seed uint64, files int) {
	r := rand.New(rand.NewPCG(seed, 4))
	meta := func() (m Meta) {
		m.Times = sampleTimes(int64(r.IntN(1000)))
		m.Attributes = []winfs.Attributes{0, winfs.AttrArchive, winfs.AttrReadOnly, winfs.AttrHidden | winfs.AttrSystem}[r.IntN(4)]
		switch r.IntN(4) {
		case 0:
			m.Security = sampleSD(r.IntN(5))
		case 1:
			m.Security = sampleSD(100 + r.IntN(1000))
		}
		switch r.IntN(8) {
		case 0:
			m.EAs = sampleEA()
		case 1:
			m.EAs = sampleEA()
		}
		return m
	}
	content := func() []byte {
		sizes := []int{0, 1, 24, 25, 1000, 1024, 1025, 4095, 4096, 4097, 9000}
		if r.IntN(50) == 0 {
			sizes = []int{bufferedMax, bufferedMax + 1}
		}
		if r.IntN(9) == 0 {
			return samplePE(1+r.IntN(3), []int{0, 1, 700, 4096}[r.IntN(4)])
		}
		return bytesOf(r.Int64N(4), sizes[r.IntN(len(sizes))])
	}
	if r.IntN(2) == 0 {
		b.dir("", meta())
	}
	dirs, names := []string{""}, []string(nil)
	for i := range files {
		dir := dirs[r.IntN(len(dirs))]
		p := winfs.JoinPath(dir, fmt.Sprintf("%c%x-%d", 'a'+rune(r.IntN(26)), r.IntN(1<<12), i))
		m := meta()
		switch k := r.IntN(20); {
		case k < 4:
			b.dir(p, m)
			dirs = append(dirs, p)
			continue
		case k == 4 && len(names) > 0:
			b.link(p, names[r.IntN(len(names))])
			continue
		case k == 5:
			m.Reparse = sampleReparse()
			b.file(p, m, nil)
		case k == 6 && v == V3:
			m.Attributes |= winfs.AttrSparse
			m.Hole = true
			b.file(p, m, make([]byte, r.IntN(100_000)))
		default:
			b.file(p, m, content())
		}
		if r.IntN(10) == 0 {
			b.stream(p, "one", content())
			b.stream(p, "two", content())
		}
		names = append(names, p)
	}
}

// What a writer has made in one go is the same after Rewrite, to the byte.
func TestRewriteIsIdentity(t *testing.T) {
	for seed := range uint64(12) {
		v, files := []Version{V1, V3}[seed%2], 60
		if seed >= 10 {
			files = 2600 // three file tables
		}
		dir, out := t.TempDir(), t.TempDir()
		b := newBuilder(t, dir, "a.cim", &Options{Version: v})
		scatter(b, v, seed, files)
		b.commit(dir, "a.cim")
		im, err := Open(dir, "a.cim")
		if err != nil {
			t.Fatal(err)
		}
		if err := Rewrite(t.Context(), out, "a.cim", im, nil); err != nil {
			t.Fatal(err)
		}
		im.Close()
		sameSets(t, readSet(t, dir), readSet(t, out))
	}
}

// A writer that draws the line between small and other content elsewhere is followed.
func TestRewriteKeepsRegions(t *testing.T) {
	for _, v := range []Version{V1, V3} {
		dir, out := t.TempDir(), t.TempDir()
		w, err := Create(dir, "a.cim", &Options{Version: v})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		want := map[string]RegionType{}
		for i, f := range []form{{nil, SmallRegion}, {nil, DataRegion}} {
			for _, size := range []int{1, 900, 1024, 1025, 4096, bufferedMax + 1} {
				name := fmt.Sprintf("%d-%d", i, size)
				want[name] = f.region
				id, nd := w.tree.newNode(false)
				w.tree.insert(w.tree.root, name, id)
				w.beginFile(nd, name, recordMeta{}, false, int64(size), &f)
				if _, err := w.Write(bytesOf(int64(size), size)); err != nil {
					t.Fatal(err)
				}
				if err := w.CloseStream(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		im, err := Open(dir, "a.cim")
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		for name, typ := range want {
			f, err := im.Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := im.region(RegionOffset(f.rec.data.offset).Region()); err != nil || r.typ != typ {
				t.Errorf("%s is in the %v region (%v), want %v", name, r.typ, err, typ)
			}
		}
		if err := Rewrite(t.Context(), out, "a.cim", im, nil); err != nil {
			t.Fatal(err)
		}
		wantClean(t, out, "a.cim")
		sameSets(t, readSet(t, dir), readSet(t, out))
	}
}

// Holes stay holes in both versions, and cost nothing however long they are.
func TestRewriteOfHoles(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.file("f", Meta{Hole: true}, make([]byte, 1000))
	f, _ := b.w.tree.lookup("f")
	b.w.streams[f.id] = []*altStream{{"s", stream{0, 500 | streamSparse}}}
	b.m["f"].streams = map[string]string{"s": shorten(make([]byte, 500))}
	b.commit(dir, "a.cim")
	im, err := OpenLimits(dir, "a.cim", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	for _, v := range []Version{V1, V3} {
		out := t.TempDir()
		if err := Rewrite(t.Context(), out, "b.cim", im, &Options{Version: v}); err != nil {
			t.Fatal(err)
		}
		wantClean(t, out, "b.cim")
		b.m.diff(t, dumpFile(t, out, "b.cim"))
	}
}

func TestContextEndsRewriteAndCheck(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	b.file("f", Meta{}, bytesOf(1, 2*hashWindow))
	b.commit(dir, "a.cim")
	im, err := Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Rewrite(ctx, out, "b.cim", im, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("rewrite: %v", err)
	}
	onlyFiles(t, out, 0)
	if _, err := finding.Collect(im.Check(ctx, CheckOptions{})); !errors.Is(err, context.Canceled) {
		t.Errorf("check: %v", err)
	}
	if _, err := finding.Collect(CheckFiles(ctx, memOpener(readSet(t, dir)), "a.cim", Limits{}, CheckOptions{})); !errors.Is(err, context.Canceled) {
		t.Errorf("check: %v", err)
	}
}

// Millions of records that nothing names cost nothing: their tables may be one table.
func TestRewriteOfManyDeadRecords(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", &Options{Version: V1})
	for i := range tableFiles - 1 {
		b.file(fmt.Sprintf("f%04d", i), Meta{}, nil)
	}
	b.commit(dir, "a.cim")
	set := memOpener(readSet(t, dir))
	im, err := OpenFiles(set, "a.cim", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	im.Close()
	// A directory of file tables at the end of the region: every entry is the first one.
	const tables = 4096
	meta := regionName(im.guid, 0)
	r, at := set[meta], len(set[meta])
	for range tables {
		r = append(r, r[im.tablesAt.Offset():][:tableEntrySize]...)
	}
	le.PutUint64(r[im.fileSystem.Offset()+8:], uint64(at))
	le.PutUint32(r[im.fileSystem.Offset()+16:], tables)
	set[meta] = r
	if im, err = OpenFiles(set, "a.cim", Limits{}); err != nil || im.NumFiles() != tables*tableFiles {
		t.Fatal(im, err)
	}
	defer im.Close()
	before := allocated()
	out := t.TempDir()
	if err := Rewrite(t.Context(), out, "a.cim", im, nil); err != nil {
		t.Fatal(err)
	}
	if n := allocated() - before; n > 128<<20 {
		t.Errorf("%d MiB are allocated for %d records", n>>20, im.NumFiles())
	}
	sameSets(t, readSet(t, dir), readSet(t, out))
}

// Genuine images have in the reserved fields of their header what was in memory. The
// samples have it no more.
func TestGarbageInReservedFields(t *testing.T) {
	for _, v := range []Version{V1, V3} {
		set, want := smallImage(t, v)
		b := set["a.cim"]
		clean := bytes.Clone(b)
		b[0x0D] = byte(v)%2 + 1
		le.PutUint64(b[0x18:], 0x1e08c6c0000)
		le.PutUint32(b[0x40:], 0x8c6c0000)
		le.PutUint16(b[0x44:], 0x01e0)
		got, err := outcome(set)
		if err != nil {
			t.Fatal(err)
		}
		want.diff(t, got)
		im, err := OpenFiles(set, "a.cim", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		out := t.TempDir()
		if err := Rewrite(t.Context(), out, "a.cim", im, nil); err != nil {
			t.Fatal(err)
		}
		set["a.cim"] = clean
		sameSets(t, set, readSet(t, out))
	}
}
