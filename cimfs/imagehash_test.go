package cimfs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/winfs"
)

// hashed writes one executable, in pieces, and returns what the image has of it.
func hashed(t *testing.T, data []byte, given []winfs.EA, piece int, opts cimfs.Options) (*cimfs.File, []winfs.EA) {
	t.Helper()
	w, dir := create(t, &opts)
	eas, err := winfs.EncodeEAs(given)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddFile("a.exe", &cimfs.Meta{EAs: eas}, int64(len(data))); err != nil {
		t.Fatal(err)
	}
	for b := data; len(b) > 0; {
		n := min(len(b), piece)
		if _, err := w.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	clean(t, dir, "a.cim")
	im, err := cimfs.Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	f, err := im.Lookup("a.exe")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := f.EAs()
	if err != nil {
		t.Fatal(err)
	}
	list, err := winfs.DecodeEAs(stored)
	if err != nil {
		t.Fatal(err)
	}
	return f, list
}

func sameEAs(a, b []winfs.EA) bool {
	return bytes.Equal(encodeGoldenEAs(a), encodeGoldenEAs(b))
}

// certificate gives an executable of buildPE a certificate table.
func certificate(b []byte, at, size uint32) []byte {
	entry := 0x80 + 24 + 112 + 4*8
	if binary.LittleEndian.Uint16(b[0x80+24:]) == 0x10B {
		entry -= 16
	}
	binary.LittleEndian.PutUint32(b[entry:], at)
	binary.LittleEndian.PutUint32(b[entry+4:], size)
	return b
}

// The hashes of an executable are those of the whole file, however it comes, in the rule
// written down a second time.
func TestImageHashes(t *testing.T) {
	sections := []peSection{{0x400, 0x800}, {0xC00, 0x400}}
	large := []peSection{{0x400, 0x180000}, {0x180400, 0x200}}
	arm := func(b []byte) []byte { binary.LittleEndian.PutUint16(b[0x84:], 0xAA64); return b }
	for _, c := range []struct {
		name string
		data []byte
		n    int // of hashes
	}{
		{"64 bits", buildPE(pePlan{sections: sections, length: 0x1000}), 2},
		{"32 bits", buildPE(pePlan{sections: sections, length: 0x1000, pe32: true}), 2},
		{"another machine", arm(buildPE(pePlan{sections: sections, length: 0x1000})), 1},
		{"overlay", buildPE(pePlan{sections: sections, length: 0x1000 + 333}), 2},
		{"certificates", certificate(buildPE(pePlan{sections: sections, length: 0x1100}), 0x1000, 0x100), 1},
		{"certificates in the overlay", certificate(buildPE(pePlan{sections: sections, length: 0x1100}), 0x1010, 0x98), 1},
		{"streamed", buildPE(pePlan{sections: large, length: 0x180600 + 5}), 2},
	} {
		for _, piece := range []int{1 << 30, 777} {
			for _, given := range [][]winfs.EA{nil, {{Name: "KEEP", Value: []byte("value")}}} {
				f, list := hashed(t, c.data, given, piece, cimfs.Options{})
				want := append(given[:len(given):len(given)], goldenHashes(c.data, [8]byte{})...)
				if f.StreamType() != cimfs.ImageStream || len(want) != len(given)+c.n || !sameEAs(list, want) {
					t.Errorf("%s in pieces of %d: type %d, %v, want %v", c.name, piece, f.StreamType(), list, want)
				}
			}
		}
	}
}

// Hashes that are given are not believed, in whatever case and whether the file is
// expanded or not; what stands around them stays.
func TestGivenImageHashes(t *testing.T) {
	exe := buildPE(pePlan{sections: []peSection{{0x400, 0x800}, {0xC00, 0x400}}, length: 0x1000})
	keep := []winfs.EA{{Name: "FIRST", Value: []byte("1")}, {Name: "$KERNEL.PURGE.ESBCACHE", Flags: 0x80, Value: []byte("22")}}
	forged := []winfs.EA{
		{Name: "$KERNEL.PURGE.IMAGEHASH.SHA256", Value: make([]byte, 32)}, keep[0],
		{Name: "$Kernel.Purge.ImageHash.Sha1", Value: make([]byte, 20)}, keep[1],
		{Name: "$KERNEL.PURGE.IMAGEHASH.SHA1", Value: make([]byte, 20)},
	}
	for _, c := range []struct {
		name string
		data []byte
		opts cimfs.Options
		want []winfs.EA
	}{
		{"expanded", exe, cimfs.Options{}, append(keep[:2:2], goldenHashes(exe, [8]byte{})...)},
		{"not expanded", exe, cimfs.Options{PlainExecutables: true}, keep},
		{"no executable", []byte("text"), cimfs.Options{}, keep},
	} {
		f, list := hashed(t, c.data, forged, 1<<30, c.opts)
		if !sameEAs(list, c.want) {
			t.Errorf("%s: %v, want %v", c.name, list, c.want)
		}
		given, err := f.GivenEAs()
		if err != nil || !bytes.Equal(given, encodeGoldenEAs(keep)) {
			t.Errorf("%s: %x, %v", c.name, given, err)
		}
	}
	if _, list := hashed(t, []byte("text"), forged[:1], 1<<30, cimfs.Options{}); len(list) != 0 {
		t.Errorf("only hashes were given: %v", list)
	}
	// Where the list is full there is no room for hashes.
	full := []winfs.EA{{Name: "FULL", Value: make([]byte, 65_500)}}
	if _, list := hashed(t, exe, full, 1<<30, cimfs.Options{}); !sameEAs(list, full) {
		t.Errorf("%d attributes", len(list))
	}
}

// A rewritten image has the hashes of the first one; one that is no longer expanded
// has none.
func TestRewriteOfImageHashes(t *testing.T) {
	exe := buildPE(pePlan{sections: []peSection{{0x400, 0x800}, {0xC00, 0x400}}, length: 0x1003})
	keep := []winfs.EA{{Name: "KEEP", Value: []byte("value")}}
	w, dir := create(t, nil)
	eas, err := winfs.EncodeEAs(keep)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddFile("a.exe", &cimfs.Meta{EAs: eas}, int64(len(exe))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(exe); err != nil {
		t.Fatal(err)
	}
	finish(t, w, dir)
	im, err := cimfs.Open(dir, "a.cim")
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	for plain, want := range map[bool][]winfs.EA{false: append(keep[:1:1], goldenHashes(exe, [8]byte{})...), true: keep} {
		out := t.TempDir()
		if err := cimfs.Rewrite(t.Context(), out, "b.cim", im, &cimfs.Options{PlainExecutables: plain}); err != nil {
			t.Fatal(err)
		}
		b, err := cimfs.Open(out, "b.cim")
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		f, err := b.Lookup("a.exe")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.EAs(); err != nil || !bytes.Equal(got, encodeGoldenEAs(want)) {
			t.Errorf("plain %v: %x, %v", plain, got, err)
		}
	}
}

// Headers that lie about directories and certificates give some hash, and no more memory
// or time than others.
func TestHostileImageHashes(t *testing.T) {
	good := buildPE(pePlan{sections: []peSection{{0x400, 0x800}, {0xC00, 0x400}}, length: 0x1100})
	for _, c := range [][2]uint32{{0, 0x100}, {0, 0xFFFFFFFF}, {0xFFFFFFFF, 0xFFFFFFFF}, {0x10FF, 0x80}, {0xD0, 8}, {0x40, 0x1000}, {0x2000, 8}} {
		b := certificate(bytes.Clone(good), c[0], c[1])
		f, list := hashed(t, b, nil, 1<<30, cimfs.Options{})
		if f.StreamType() != cimfs.ImageStream || len(list) != 1 || len(list[0].Value) != 32 {
			t.Errorf("certificates %#x: %s", c, fmt.Sprint(list))
		}
	}
}
