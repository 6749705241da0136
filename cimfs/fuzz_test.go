package cimfs

import (
	"bytes"
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
)

// splice puts fuzzed bytes over a file of a good image: the first byte picks the
// file, the next three the place, the rest is written there.
func splice(set memOpener, names []string, in []byte) memOpener {
	out := maps.Clone(set)
	for len(in) >= 5 {
		name := names[int(in[0])%len(names)]
		at := int(in[1]) | int(in[2])<<8 | int(in[3])<<16
		n := min(len(in)-5, int(in[4])%16+1)
		b := bytes.Clone(out[name])
		if len(b) > 0 {
			copy(b[at%len(b):], in[5:5+n])
		}
		out[name] = b
		in = in[5+n:]
	}
	return out
}

func fuzzSeeds(f *testing.F) (sets []memOpener, names [][]string) {
	for _, v := range []Version{V1, V3} {
		set, _ := smallImage(f, v)
		var list []string
		for _, n := range []string{"a.cim", "region", "objectid"} {
			for name := range set {
				if strings.HasPrefix(name, n) {
					list = append(list, name)
				}
			}
		}
		sets, names = append(sets, set), append(names, list)
	}
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte{0, 0x38, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8})
	for i := range 64 {
		f.Add(byte(i), []byte{1, byte(i * 8), byte(3 * i), 2, 3, 0xFF, 0xFF, 0xFF, 0xFF})
	}
	return sets, names
}

// FuzzOpenWalk reads everything of damaged images.
func FuzzOpenWalk(f *testing.F) {
	sets, names := fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, which byte, in []byte) {
		k := int(which) % len(sets)
		im, err := OpenFiles(splice(sets[k], names[k], in), "a.cim", Limits{Files: 1 << 16, Entries: 1 << 16})
		if err != nil {
			return
		}
		defer im.Close()
		dump(im)
		im.Lookup(`d\a`)
	})
}

// FuzzCheck checks damaged images, with digests made right again for every other
// input, and holds that an image without findings can be read.
func FuzzCheck(f *testing.F) {
	sets, names := fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, which byte, in []byte) {
		k := int(which) % len(sets)
		set := splice(sets[k], names[k], in)
		if which&0x40 != 0 && len(in) > 3 {
			if im, err := OpenFiles(set, "a.cim", Limits{}); err == nil {
				im.Close()
				reseal(set, int(in[1])|int(in[2])<<8|int(in[3])<<16)
			}
		}
		im, err := OpenFiles(set, "a.cim", Limits{Files: 1 << 16, Entries: 1 << 16, Objects: 1 << 16})
		if err != nil {
			return
		}
		defer im.Close()
		found, err := finding.Collect(im.Check(context.Background(), CheckOptions{MaxFindings: 20}))
		if len(found) == 0 && err == nil {
			if _, err := dump(im); err != nil {
				t.Errorf("nothing found, but: %v", err)
			}
		}
	})
}

// checkPlan holds the invariants of a plan and that moving bytes apart and reading them
// back gives the file, by the rules of docs/spec/cimfs.md, "Executables", taken one
// byte at a time.
func checkPlan(t *testing.T, file []byte) {
	head := file[:min(len(file), peHeadLimit)]
	p := planPE(head, int64(len(file)))
	if p == nil {
		return
	}
	if len(p.mappings) == 0 || p.stored < int64(len(file)) {
		t.Fatalf("plan %+v for %d bytes", p, len(file))
	}
	var last peMapping
	for i, m := range p.mappings {
		if (int64(m.offset)+int64(m.delta))%pageSize != 0 || m.delta <= last.delta || i > 0 && m.offset <= last.offset || int64(m.offset) >= int64(len(file)) {
			t.Fatalf("mapping %d of %+v", i, p)
		}
		if int64(m.delta)-int64(last.delta) >= pageSize {
			t.Fatalf("mapping %d of %+v leaves more than a page", i, p)
		}
		last = m
	}
	if p.stored > 64<<20 {
		return
	}
	stored := make([]byte, p.stored)
	used := 0
	for off := range file {
		var delta int64
		for _, m := range p.mappings {
			if int64(m.offset) <= int64(off) {
				delta = int64(m.delta)
			}
		}
		stored[int64(off)+delta] = file[off]
		used++
	}
	pe := &peImage{length: p.stored, mappings: p.mappings}
	for off := range file {
		if _, delta, _ := pe.locate(int64(off)); stored[int64(off)+delta] != file[off] {
			t.Fatalf("byte %#x is lost", off)
		}
	}
}

// FuzzPELayout plans arbitrary bytes as a PE image.
func FuzzPELayout(f *testing.F) {
	f.Add(samplePE(1, 5), uint16(0), uint32(0))
	f.Add(samplePE(2, 0), uint16(0x98+0xF0+20), uint32(0x200))
	f.Add(samplePE(2, 0), uint16(0x98+0xF0+16), uint32(0xFFFFFFFF))
	f.Add(samplePE(2, 0), uint16(0x3C), uint32(0xFFFFFFF0))
	f.Add(samplePE(2, 0), uint16(0x86), uint32(0x00F0FFFF))
	f.Fuzz(func(t *testing.T, file []byte, at uint16, v uint32) {
		file = bytes.Clone(file)
		if int(at)+4 <= len(file) {
			le.PutUint32(file[at:], v)
		}
		checkPlan(t, file)
	})
}
