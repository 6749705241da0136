package regf

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
)

// seedHives adds small hives as seeds: made ones, and genuine ones where they are.
func seedHives(f *testing.F, add func(b []byte)) {
	for _, minor := range []int{3, 5, 6} {
		add(small(f, minor))
	}
	if _, err := os.Stat(testenv.Root(f) + "/../shared/corpus/hives/manifest.tsv"); err != nil {
		return
	}
	for _, g := range corpus(f) {
		b, err := os.ReadFile(g.path)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) <= 16<<10 {
			add(b)
		}
	}
}

// FuzzOpenWalk reads, checks, saves and repairs anything.
func FuzzOpenWalk(f *testing.F) {
	seedHives(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		b = fixHeader(b)
		exercise(t, b, "fuzzed hive")
	})
}

// fixHeader lets mutated bytes get past the base block.
func fixHeader(b []byte) []byte {
	b = append([]byte(nil), b...)
	if len(b) < baseSize+pageSize {
		return b
	}
	copy(b, "regf")
	put32(b[hdrMajor:], 1)
	put32(b[hdrMinor:], u32(b[hdrMinor:])%7)
	put32(b[hdrType:], 0)
	put32(b[hdrBins:], min(u32(b[hdrBins:])&^(pageSize-1), uint32(len(b)-baseSize)&^(pageSize-1)))
	put32(b[hdrChecksum:], HeaderChecksum(b))
	return b
}

// FuzzSalvage brings back deleted records from anything.
func FuzzSalvage(f *testing.F) {
	seedHives(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		b = fixHeader(b)
		h, err := OpenBytes(b, &Options{Mode: Salvage, AllowDirty: true})
		if err != nil {
			return
		}
		r, err := h.Deleted()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.Keys) + len(r.Values); n > len(b)/20 {
			t.Fatalf("%d records in %d bytes", n, len(b))
		}
	})
}

// FuzzEditCheck edits anything that opens. Whatever the bytes, nothing panics; a
// hive that was sound is sound afterwards.
func FuzzEditCheck(f *testing.F) {
	seedHives(f, func(b []byte) { f.Add(b, uint64(1)) })
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		if len(b) > 1<<18 {
			return
		}
		b = fixHeader(b)
		h, err := OpenBytes(b, &Options{AllowDirty: true, EditDirty: true, Clock: func() winfs.Filetime { return 1 }})
		if err != nil {
			return
		}
		sound := len(serious(checked(h))) == 0
		r := rand.New(rand.NewPCG(seed, seed))
		for range 40 {
			if err := blindStep(r, h); err != nil && sound && !expected(err) {
				t.Fatalf("edit of a sound hive: %v", err)
			}
		}
		if sound {
			requireClean(t, h)
		} else {
			checked(h)
		}
		// A dirty hive that no edit changed is still refused.
		if _, err := h.Image(); err != nil && (h.edit != nil || !errors.Is(err, ErrDirty)) {
			t.Fatal(err)
		}
	})
}

// scripted is a source of random numbers that an input decides: two bytes make one, and
// the end is noted.
type scripted struct {
	script []byte
	x      uint64
	over   bool
}

func (s *scripted) Uint64() uint64 {
	if len(s.script) < 2 {
		s.over = true
		s.script = []byte{0, 0}
	}
	s.x += uint64(u16(s.script)) + 0x9E3779B97F4A7C15
	s.script = s.script[2:]
	z := s.x
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// FuzzEditModel edits a hive and its shadow in memory by a script. Afterwards, and when
// read again from the stored and the saved file, both have the same contents, and Check
// finds nothing.
func FuzzEditModel(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		script := make([]byte, 600)
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		f.Add(script, uint8(seed))
	}
	f.Fuzz(func(t *testing.T, script []byte, kind uint8) {
		if len(script) > 4096 {
			return
		}
		opt := &Options{Clock: func() winfs.Filetime { return 1 }, IgnoreLayers: kind&4 != 0}
		h := New(opt)
		if minor := 3 + int(kind%4); minor != 5 {
			b, err := h.Compact(&CompactOptions{Minor: minor})
			if err != nil {
				t.Fatal(err)
			}
			if h, err = OpenBytes(b, opt); err != nil {
				t.Fatal(err)
			}
		}
		root := newShadow("ROOT", testDescriptors[0])
		src := &scripted{script: script}
		r := rand.New(src)
		for i := 0; !src.over && len(h.bins) < 1<<20; i++ { // copies of copies grow without end
			if err := step(r, h, root); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
			if i%40 == 39 { // continue with the stored file
				b, err := h.Image()
				if err != nil {
					t.Fatal(err)
				}
				if h, err = OpenBytes(b, opt); err != nil {
					t.Fatal(err)
				}
			}
		}
		image, err := h.Image()
		if err != nil {
			t.Fatal(err)
		}
		compacted, err := h.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{image, compacted} {
			again, err := OpenBytes(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			requireClean(t, again)
			if err := root.same(again.Root()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func expected(err error) bool {
	for _, e := range []error{ErrNotFound, ErrExists, ErrInvalid, ErrHasSubkeys, ErrUnsupported, ErrSymlink} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// blindStep makes a random change without knowing the contents.
func blindStep(r *rand.Rand, h *Hive) error {
	k := h.Root()
	for r.IntN(3) > 0 {
		n := k.SubkeyCount()
		if n <= 0 {
			break
		}
		next, err := k.SubkeyAt(r.IntN(min(n, 1000)))
		if err != nil || next.Level() > 20 {
			break
		}
		k = next
	}
	name := randomName(r, 200)
	if v, err := k.ValueAt(r.IntN(4)); err == nil && r.IntN(2) == 0 {
		name = v.Name()
	}
	switch r.IntN(9) {
	case 0, 1:
		_, _, err := k.Create(name)
		return err
	case 2, 3:
		return k.SetValue(name, Type(r.Uint32()), randomData(r))
	case 4:
		return k.DeleteValue(name)
	case 5:
		if r.IntN(2) == 0 {
			return k.Delete()
		}
		return k.DeleteTree()
	case 6:
		return k.SetClass(randomData(r)[:0])
	case 7:
		return k.SetSecurity([]byte(testDescriptors[r.IntN(len(testDescriptors))]))
	default:
		_, err := k.Rename(name)
		return err
	}
}
