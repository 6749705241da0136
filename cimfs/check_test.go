package cimfs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/testenv"
)

func wantClean(t testing.TB, dir, name string) {
	t.Helper()
	found, err := finding.Collect(Check(context.Background(), dir, name, CheckOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestCheckSamples(t *testing.T) {
	wantClean(t, testenv.Corpus(t, "cim", "hello-v3"), "hello.cim")
	wantClean(t, testenv.Corpus(t, "cim", "synthetic-v1"), "synthetic.cim")
}

// What many files share is looked at once, or a small image could keep a check busy
// for hours.
func TestCheckOfSharedObjects(t *testing.T) {
	const files, parts = 3000, 2000
	dir := t.TempDir()
	w, err := Create(dir, "a.cim", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// The first file has large objects; all others are made to share them.
	plan := &pePlan{flags: peValidImage, stored: 3 * parts * pageSize / 2}
	for i := range uint32(parts) { // half a page each, on a page of its own
		plan.mappings = append(plan.mappings, peMapping{(i + 1) * pageSize / 2, (i + 1) * pageSize / 2})
	}
	id, nd := w.tree.newNode(false)
	w.tree.insert(w.tree.root, "first", id)
	attribute := append([]byte{0, 0, 0, 0, 0, 1, 0xF0, 0xFF, 'E', 0}, make([]byte, 0xFFF0)...)
	w.beginFile(nd, "first", recordMeta{ea: attribute}, false, parts*pageSize, &form{plan, DataRegion})
	for range parts {
		if _, err := w.Write(zeroPage[:pageSize]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range parts {
		w.streams[id] = append(w.streams[id], &altStream{name: fmt.Sprintf("%08d", i)})
		if err := w.Link(fmt.Sprintf("link %08d", i), "first"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range files {
		if err := w.AddFile(fmt.Sprintf("file %08d", i), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	set := memOpener(readSet(t, dir))
	im, err := OpenFiles(set, "a.cim", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	first, err := im.Lookup("first")
	if err != nil {
		t.Fatal(err)
	}
	check := func(set memOpener) (bytes uint64) {
		im, err := OpenFiles(set, "a.cim", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		before := allocated()
		if _, err := finding.Collect(im.Check(context.Background(), CheckOptions{SkipContent: true, MaxFindings: 10 * files})); err != nil {
			t.Fatal(err)
		}
		return allocated() - before
	}
	rewrite := func(set memOpener) uint64 {
		im, err := OpenFiles(set, "a.cim", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		before := allocated()
		if err := Rewrite(t.Context(), t.TempDir(), "b.cim", im, nil); err != nil {
			t.Fatal(err)
		}
		return allocated() - before
	}
	once, copied := check(set), rewrite(set)
	for what, share := range map[string]func(r *record){
		"extended attributes": func(r *record) { r.ea, r.eaLength = first.rec.ea, first.rec.eaLength },
		"alternate streams":   func(r *record) { r.streams = first.rec.streams },
		"PE mappings":         func(r *record) { r.data = first.rec.data },
		"parent links":        func(r *record) { r.links = first.rec.links },
	} {
		set := maps.Clone(set)
		meta := slices.Clone(set[regionName(im.guid, 0)])
		set[regionName(im.guid, 0)] = meta
		for n := range im.tableCount {
			table, err := im.fileTable(n)
			if err != nil {
				t.Fatal(err)
			}
			at := table.offset.Offset()
			for i := range int64(table.count) {
				r := decodeRecord(meta[at+i*0x68:], V3)
				if r.data.kind() != TableStream {
					share(&r)
				}
				copy(meta[at+i*0x68:], r.append(nil, V3))
			}
			reseal(set, int(at))
		}
		if n := check(set); n > once+40<<20 {
			t.Errorf("%s: %d MiB are allocated, %d MiB before", what, n>>20, once>>20)
		}
		if what == "alternate streams" { // nor is it copied more than once
			if n := rewrite(set); n > copied+40<<20 {
				t.Errorf("%s: Rewrite allocates %d MiB, %d MiB before", what, n>>20, copied>>20)
			}
		}
	}
}
