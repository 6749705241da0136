package regf

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

var benchHives = []string{"mkorman90_regipy/NTUSER.DAT", "mkorman90_regipy/SYSTEM", "mkorman90_regipy/SYSTEM_WIN_10_1709"}

// enumerate reads everything and sums bytes, so that every page is touched.
func enumerate(b *testing.B, h *Hive) (n int) {
	var buf [1024]byte
	for k, err := range h.Root().Walk() {
		if err != nil {
			b.Fatal(err)
		}
		n += len(k.AppendName(buf[:0]))
		for v, err := range k.Values() {
			if err != nil {
				b.Fatal(err)
			}
			n += len(v.AppendName(buf[:0]))
			data, err := v.Data()
			if err != nil {
				b.Fatal(err)
			}
			if len(data) > 0 {
				n += int(data[0]) + int(data[len(data)-1])
			}
		}
	}
	return n
}

func BenchmarkEnumerate(b *testing.B) {
	for _, name := range benchHives {
		path := testenv.Corpus(b, "hives", filepath.FromSlash(name))
		b.Run(filepath.Base(name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h, err := Open(path, &Options{AllowDirty: true})
				if err != nil {
					b.Fatal(err)
				}
				enumerate(b, h)
				if err := h.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	path := testenv.Corpus(b, "hives", "mkorman90_regipy", "SYSTEM_WIN_10_1709")
	for b.Loop() {
		h, err := Open(path, &Options{AllowDirty: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := h.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	h, err := Open(testenv.Corpus(b, "hives", "mkorman90_regipy", "SYSTEM_WIN_10_1709"), &Options{AllowDirty: true})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	for b.Loop() {
		checked(h)
	}
}

// large makes a hive of n copies of a genuine one, about 12 MB each.
func large(b *testing.B, n int) string {
	path := filepath.Join(b.TempDir(), "large")
	src, err := Open(testenv.Corpus(b, "hives", "mkorman90_regipy", "SYSTEM"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	h := New(nil)
	for i := range n {
		if _, err := src.Root().CopyTo(h.Root(), fmt.Sprintf("copy%d", i)); err != nil {
			b.Fatal(err)
		}
	}
	if err := h.WriteCompactFile(path, nil); err != nil {
		b.Fatal(err)
	}
	return path
}

func BenchmarkLarge(b *testing.B) {
	path := large(b, 5)
	st, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("enumerate", func(b *testing.B) {
		b.SetBytes(st.Size())
		for b.Loop() {
			h, err := Open(path, nil)
			if err != nil {
				b.Fatal(err)
			}
			enumerate(b, h)
			h.Close()
		}
	})
	b.Run("compact", func(b *testing.B) {
		b.SetBytes(st.Size())
		b.ReportAllocs()
		for b.Loop() {
			h, err := Open(path, nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := h.Compact(nil); err != nil {
				b.Fatal(err)
			}
			h.Close()
		}
	})
	b.Run("save", func(b *testing.B) {
		b.SetBytes(st.Size())
		out := filepath.Join(b.TempDir(), "out")
		for b.Loop() {
			h, err := Open(path, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := h.WriteCompactFile(out, &CompactOptions{Overwrite: true}); err != nil {
				b.Fatal(err)
			}
			h.Close()
		}
	})
	b.Run("set", func(b *testing.B) {
		out := filepath.Join(b.TempDir(), "out")
		for b.Loop() {
			h, err := Open(path, nil)
			if err != nil {
				b.Fatal(err)
			}
			k, err := h.CreatePath(`copy1\Bench`)
			if err != nil {
				b.Fatal(err)
			}
			if err := k.SetValue("v", RegDword, []byte{1, 2, 3, 4}); err != nil {
				b.Fatal(err)
			}
			if err := h.WriteImageFile(out, &WriteOptions{Overwrite: true}); err != nil {
				b.Fatal(err)
			}
			h.Close()
		}
	})
}

func BenchmarkSetOne(b *testing.B) {
	path := testenv.Corpus(b, "hives", "mkorman90_regipy", "SYSTEM_before_offreg")
	out := filepath.Join(b.TempDir(), "out")
	for b.Loop() {
		h, err := Open(path, nil)
		if err != nil {
			b.Fatal(err)
		}
		k, err := h.CreatePath(`ControlSet001\Bench`)
		if err != nil {
			b.Fatal(err)
		}
		if err := k.SetValue("v", RegDword, []byte{1, 2, 3, 4}); err != nil {
			b.Fatal(err)
		}
		if err := h.WriteImageFile(out, &WriteOptions{Overwrite: true}); err != nil {
			b.Fatal(err)
		}
		h.Close()
	}
}
