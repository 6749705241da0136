package cimfs

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/winfs"
)

// TestRules breaks one rule at a time, with digests that are right, and wants the
// finding that names it.
func TestRules(t *testing.T) {
	good, _ := smallImage(t, V3)
	im, err := OpenFiles(good, "a.cim", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	look := func(p string) *File {
		f, err := im.Lookup(p)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	region := func(n int) string { return regionName(im.guid, n) }
	objects := func(n int) string { return objectIDName(im.guid, n) }
	tables, err := im.fileTable(0)
	if err != nil {
		t.Fatal(err)
	}
	recordAt := func(p string) int64 { return tables.offset.Offset() + int64(look(p).id-1)*0x68 }
	root := RegionOffset(look("").rec.data.offset).Offset()
	dir := RegionOffset(look("d").rec.data.offset).Offset()
	links := RegionOffset(look("e").rec.links).Offset()
	pe := RegionOffset(look("x.exe").rec.data.offset).Offset()
	streams := RegionOffset(look("c").rec.streams).Offset()
	u32 := func(off int64, v uint32) func(b []byte) { return func(b []byte) { le.PutUint32(b[off:], v) } }
	u16 := func(off int64, v uint16) func(b []byte) { return func(b []byte) { le.PutUint16(b[off:], v) } }
	u64 := func(off int64, v uint64) func(b []byte) { return func(b []byte) { le.PutUint64(b[off:], v) } }
	broken := map[string]bool{}
	for _, c := range []struct {
		rule string
		file string
		at   int64 // of the change, for the digest
		edit func(b []byte)
	}{
		{"name-order", region(0), root, func(b []byte) { // swap two names of one length
			o := root + 8 + 4*4
			x, y := le.Uint32(b[o:]), le.Uint32(b[o+4:])
			le.PutUint32(b[o:], y)
			le.PutUint32(b[o+4:], x)
		}},
		{"name-offset", region(0), root, func(b []byte) { b[root+8+4*4] += 4 }},
		{"link-table", region(0), dir, u32(dir+4, 1000)},
		{"link-table", region(0), dir, u32(dir, 7)},
		{"link-table", region(0), dir, u32(dir+16, 4)},
		{"link-table", region(0), recordAt("d"), u64(recordAt("d")+0x28, uint64(dir+4))},
		{"link-table", region(0), recordAt("d"), u64(recordAt("d")+0x28, 5<<48|uint64(dir))},
		{"record", region(0), dir, u32(dir+8, 1000)},
		{"directory-twice", region(0), dir, u32(dir+8, 1)},
		{"parent-links", region(0), links, u32(links+8, 7)},
		{"parent-links", region(0), recordAt("c"), u64(recordAt("c")+0x60, 0)},
		{"parent", region(0), recordAt("c"), u32(recordAt("c")+0x58, 2)},
		{"root-parent", region(0), recordAt(""), u32(recordAt("")+0x58, 2)},
		{"attributes", region(0), recordAt("c"), u16(recordAt("c"), 0x40)},
		{"reserved", region(0), recordAt("c"), u16(recordAt("c")+0x5E, 1)},
		{"reparse", region(0), recordAt("c"), u32(recordAt("c")+4, 0xA000000C)},
		{"extended-attributes", region(0), recordAt("c"), u16(recordAt("c")+2, 8)},
		{"security", region(0), recordAt("c"), u64(recordAt("c")+0x38, uint64(root))},
		{"stream", region(0), recordAt("c"), u64(recordAt("c")+0x28, look("c").rec.data.offset+0x1000)},
		{"stream", region(0), recordAt("c"), u64(recordAt("c")+0x30, 1029)},
		{"stream", region(0), recordAt("c"), u64(recordAt("c")+0x30, 1<<40)},
		{"empty-stream", region(0), recordAt(`d\b`), u64(recordAt(`d\b`)+0x28, look("c").rec.data.offset)},
		{"sparse", region(0), recordAt("c"), u64(recordAt("c")+0x30, 1030|streamSparse)},
		{"stream-name", region(0), streams, func(b []byte) { b[streams+8+16+4+2] = ':' }},
		{"pe-flags", region(0), pe, u16(pe+0x16, 3)},
		{"pe-mapping", region(0), pe, u32(pe+0x18+4, 0xC04)},
		{"pe-image", region(0), pe, u32(pe+0x18+8, 1)},
		{"pe-image", region(0), pe, u16(pe+0x14, 0xFFFF)},
		{"pe-data", region(0), pe, u64(pe, look("x.exe").rec.data.offset+0x1000)},
		{"upcase", region(0), im.upcaseAt.Offset(), func(b []byte) { b[im.upcaseAt.Offset()+2*0xF8FF] ^= 1 }},
		{"padding", region(2), -1, func(b []byte) { b[0x100] = 1 }},
		{"digest", region(2), -1, func(b []byte) { b[pageSize] ^= 1 }},
		{"object-header", region(1), -1, func(b []byte) { b[regionTypeAt] = 0 }},
		{"region-version", region(1), -1, func(b []byte) { b[headerMajorAt] = 1 }},
		{"object-header", objects(1), -1, u16(objectIndexAt, 0)},
		{"object-order", objects(0), -1, func(b []byte) {
			x := bytes.Clone(b[0x30:0x58])
			copy(b[0x30:], b[0x58:0x80])
			copy(b[0x58:], x)
		}},
		{"object-duplicate", objects(0), -1, func(b []byte) { copy(b[0x58:0x80], b[0x30:0x58]) }},
		{"object-overlap", objects(0), -1, func(b []byte) { copy(b[0x30+32:0x58], b[0x58+32:0x80]) }},
		{"object-bounds", objects(0), -1, func(b []byte) { le.PutUint64(b[len(b)-40:], 1<<40) }},
		{"object-offset", objects(0), -1, func(b []byte) { b[0x30+32]++ }},
		{"object-digest", objects(1), -1, func(b []byte) { b[0x30+31] = 1 }},
	} {
		set := maps.Clone(good)
		set[c.file] = slices.Clone(good[c.file])
		c.edit(set[c.file])
		if c.at >= 0 {
			reseal(set, int(c.at))
		}
		wantRule(t, set, c.rule)
		broken[c.rule] = true
	}

	// entry changes the entry of an object table that is about the object at off.
	entry := func(off int64, change func(entry []byte)) func(set memOpener) {
		return func(set memOpener) {
			b := set[objects(0)]
			for e := objectHeaderSize; e < len(b); e += objectEntrySize {
				if int64(le.Uint64(b[e+32:])&maxOffset) == off {
					change(b[e:][:objectEntrySize])
					return
				}
			}
			t.Errorf("no object is at %#x", off)
		}
	}
	longer := func(e []byte) { le.PutUint64(e, le.Uint64(e)+8) }
	shorter := func(e []byte) { le.PutUint64(e, le.Uint64(e)-8) }
	sealed := func(off int64, change func(b []byte)) func(set memOpener) {
		return func(set memOpener) {
			change(set[region(0)])
			reseal(set, int(off))
		}
	}
	names := root + 8 + 4*4 + 4*4 // of the four in the root: c, d, e, x.exe
	for _, c := range []struct {
		rule string
		edit func(set memOpener)
	}{
		{"open", func(set memOpener) { set["a.cim"][0]++ }},
		{"region-open", func(set memOpener) { delete(set, region(1)) }},
		{"region-size", func(set memOpener) { set[region(1)] = append(set[region(1)], 0) }},
		{"header-length", func(set memOpener) { set[region(1)][headerLengthAt]++ }},
		{"object-table-missing", func(set memOpener) { delete(set, objects(1)) }},
		{"object-table", func(set memOpener) { set[objects(1)] = set[objects(1)][:objectHeaderSize-1] }},
		{"file-system", entry(im.fileSystem.Offset(), longer)},
		{"file-tables", entry(im.tablesAt.Offset(), longer)},
		{"file-table", entry(tables.offset.Offset(), longer)},
		{"pe-descriptor", entry(pe, longer)},
		{"stream-table", entry(streams, longer)},
		{"gap", entry(im.upcaseAt.Offset(), shorter)},
		{"empty-directory", sealed(recordAt("d"), func(b []byte) {
			le.PutUint64(b[recordAt("d")+0x28:], 0)
			le.PutUint64(b[recordAt("d")+0x30:], uint64(TableStream)<<streamTypeShift|streamSparse)
		})},
		{"name", sealed(root, func(b []byte) { b[names+2] = '/' })},
		{"odd-name", sealed(root, func(b []byte) { b[names+2] = '.' })},
		{"link-table-length", sealed(root, func(b []byte) { b[names+3*4] -= 2 })},
		{"parent-link-order", sealed(links, func(b []byte) {
			first := links + 8 + 2*4 + 2*4
			b[first+2], b[first+4+2] = b[first+4+2], b[first+2]
		})},
		{"root", sealed(im.fileSystem.Offset(), func(b []byte) { le.PutUint32(b[im.fileSystem.Offset()+20:], uint32(look("c").id)) })},
	} {
		set := memOpener{}
		for name, b := range good {
			set[name] = slices.Clone(b)
		}
		c.edit(set)
		wantRule(t, set, c.rule)
		broken[c.rule] = true
	}
	wantRule(t, longPathImage(t), "path-length")
	broken["path-length"] = true

	// The neighbour of all: the image as it was.
	if found, err := finding.Collect(CheckFiles(t.Context(), good, "a.cim", Limits{}, CheckOptions{})); len(found) > 0 || err != nil {
		t.Errorf("the image has %v, %v", found, err)
	}
	for _, r := range Rules() {
		if !broken[r.ID] {
			t.Errorf("nothing breaks %s", r.ID)
		}
	}
}

// longPathImage makes an image with a path that is one unit too long: the numbers of two
// directories in the root are exchanged, so that the longer name leads to the deeper tree.
func longPathImage(t *testing.T) memOpener {
	t.Helper()
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", &Options{Version: V3})
	b.dir("ab", Meta{})
	b.file(`ab\x`, Meta{}, nil)
	b.dir("c", Meta{})
	path := "c"
	for len(path)+1+250 < maxPath {
		path += `\` + strings.Repeat("n", 250)
		b.dir(path, Meta{})
	}
	b.file(path+`\`+strings.Repeat("f", maxPath-len(path)-1), Meta{}, nil)
	b.commit(dir, "a.cim")
	set := memOpener(readSet(t, dir))
	if found, err := finding.Collect(CheckFiles(t.Context(), set, "a.cim", Limits{}, CheckOptions{})); len(found) > 0 || err != nil {
		t.Fatalf("a path of %d units: %v, %v", maxPath, found, err)
	}
	im, err := OpenFiles(set, "a.cim", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	root, err := im.Root()
	if err != nil {
		t.Fatal(err)
	}
	ids := set[regionName(im.guid, 0)][RegionOffset(root.rec.data.offset).Offset()+8:]
	first, second := le.Uint32(ids), le.Uint32(ids[4:])
	le.PutUint32(ids, second)
	le.PutUint32(ids[4:], first)
	return set
}

// wantRule checks an image and wants a finding of the rule, with its place.
func wantRule(t *testing.T, set memOpener, rule string) {
	t.Helper()
	found, err := finding.Collect(CheckFiles(t.Context(), set, "a.cim", Limits{}, CheckOptions{}))
	if err != nil {
		t.Errorf("%s: %v", rule, err)
	}
	if !slices.ContainsFunc(found, func(f finding.Finding) bool {
		return f.Rule == rule && f.Layer != "" && (f.Offset >= 0 || rule == ruleRegionOpen.ID || rule == ruleObjectTableMissing.ID)
	}) {
		t.Errorf("%s: found %v", rule, found)
	}
}

// The fast ways and their plain twins.

func TestDecodeNameTwin(t *testing.T) {
	for _, s := range []string{"", "a", "ASCII only.txt", "ä", "x\U0001F600y", "\xed\xa0\x80", string(bytes.Repeat([]byte("n"), 255)), string(bytes.Repeat([]byte("n"), 300))} {
		raw := winfs.AppendUTF16LE(nil, s)
		if got := decodeName(raw); got != winfs.DecodeUTF16LE(raw) || got != s {
			t.Errorf("%q is decoded as %q", s, got)
		}
	}
}

func TestTreeHashTwin(t *testing.T) {
	tr := newTree()
	names := []string{"a", "A", "ä", "Ä", "aä", "AÄ", "ß", "ﬀ", "ǆ", "ǅ", "Ǆ", "\xed\xa0\x80", "k", "K", "İ", "i"}
	for _, a := range names {
		for _, b := range names {
			if same := tr.hash(1, a) == tr.hash(1, b); same != winfs.EqualFold(a, b) {
				t.Errorf("hashes of %q and %q equal: %v", a, b, same)
			}
		}
	}
}

func TestCachesTwin(t *testing.T) {
	content := bytesOf(1, 5*cachedBlockSize+77)
	set := memOpener{"f": content}
	src, _ := set.OpenFile("f")
	cached := &cachedSource{Source: src}
	for i := range 3000 {
		off := int64(i*7919) % int64(len(content))
		a, b := make([]byte, i%300), make([]byte, i%300)
		n, errA := cached.ReadAt(a, off)
		m, errB := src.ReadAt(b, off)
		if n != m || !bytes.Equal(a[:n], b[:m]) || (errA == nil) != (errB == nil) && len(a) > 0 {
			t.Fatalf("%d bytes at %d: %d %v, want %d %v", len(a), off, n, errA, m, errB)
		}
	}
}

// Every window size reads the same names, in whatever order they are asked for.
func TestWindowsTwin(t *testing.T) {
	dir := t.TempDir()
	b := newBuilder(t, dir, "a.cim", nil)
	for i := range 250 {
		b.file(string(rune('a'+i%26))+string(bytes.Repeat([]byte{'x'}, i)), Meta{}, nil)
	}
	b.commit(dir, "a.cim")
	im, err := Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	root, _ := im.Root()
	table, err := root.table()
	if err != nil {
		t.Fatal(err)
	}
	plain := table.cursor(1 << 30)
	for _, window := range []int{0, 1, 64, 1000, 64 << 10} {
		c := table.cursor(window)
		for k := range 2 * table.count {
			i := k
			if k >= table.count {
				i = (k * 101) % table.count
			}
			want, err1 := plain.entry(i)
			got, err2 := c.entry(i)
			if got != want || err1 != nil || err2 != nil {
				t.Fatalf("window %d, entry %d: %v, %v, want %v, %v", window, i, got, err2, want, err1)
			}
		}
	}
	cache := &blockCache{im: im}
	for id := FileID(1); int64(id) <= im.files; id++ {
		var a, b record
		if err := im.readRecord(id, &a, cache); err != nil {
			t.Fatal(err)
		}
		if err := im.readRecord(id, &b, nil); err != nil || a != b {
			t.Fatal(id, err)
		}
	}
}
