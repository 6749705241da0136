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
		r, err := h.Recovered()
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
		sound := len(serious(h.Check())) == 0
		r := rand.New(rand.NewPCG(seed, seed))
		for range 40 {
			if err := blindStep(r, h); err != nil && sound && !expected(err) {
				t.Fatalf("edit of a sound hive: %v", err)
			}
		}
		if sound {
			requireClean(t, h)
		} else {
			h.Check()
		}
		if _, err := h.Image(); err != nil {
			t.Fatal(err)
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

// blindStep makes a random change without knowing what is there.
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
