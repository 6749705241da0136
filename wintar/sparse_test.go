package wintar

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
)

// sparseForm makes an archive of one sparse file: of size bytes, in which each of the
// ranges is there.
type sparseForm struct {
	name string
	make func(size int64, ranges [][2]int64) []byte
}

func sparseBlock(typeflag byte, name string, size int64, mark string) []byte {
	b := make([]byte, blockSize)
	copy(b[atName:], name)
	copy(b[atMode:], "0000644\x000000000\x000000000\x00")
	copy(b[atSize:], fmt.Sprintf("%011o\x00%011o\x00", size, 77))
	copy(b[atMagic:], mark)
	b[atType] = typeflag
	return b
}

func padded(b []byte) []byte { return append(b, make([]byte, padding(int64(len(b))))...) }

func paxRecord(key, value string) string {
	n := len(key) + len(value) + 3
	for {
		text := fmt.Sprintf("%d %s=%s\n", n, key, value)
		if len(text) == n {
			return text
		}
		n = len(text)
	}
}

func withRecords(records string, header, data []byte) []byte {
	b := append(sparseBlock(tar.TypeXHeader, "x", int64(len(records)), "ustar\x0000"), padded([]byte(records))...)
	b = append(append(b, header...), padded(data)...)
	b = append(b, sparseBlock(tar.TypeReg, "Files/after", 0, "ustar\x0000")...)
	return append(b, make([]byte, 1024)...)
}

// stored returns the bytes of the ranges, all of them 'x'.
func stored(ranges [][2]int64) []byte {
	n := int64(0)
	for _, r := range ranges {
		n += r[1]
	}
	return bytes.Repeat([]byte{'x'}, int(n))
}

var sparseForms = []sparseForm{
	{"old GNU", func(size int64, ranges [][2]int64) []byte {
		data := stored(ranges)
		b := sparseBlock(tar.TypeGNUSparse, "Files/s", int64(len(data)), "ustar  \x00")
		copy(b[483:], fmt.Sprintf("%011o\x00", size))
		at, most, more, cur := atSparse, sparseInHeader, atMoreInHeader, b
		var blocks []byte
		for i, r := range ranges {
			if i > 0 && most == 0 {
				cur[more] = 1
				blocks = append(blocks, make([]byte, blockSize)...)
				cur = blocks[len(blocks)-blockSize:]
				at, most, more = 0, sparseInBlock, atMoreInBlock
			}
			copy(cur[at:], fmt.Sprintf("%011o\x00%011o\x00", r[0], r[1]))
			at += 2 * sparseNumber
			most--
		}
		mend(b)
		copy(b[atSum:], fmt.Sprintf("%06o\x00 ", checksum(b)))
		b = append(append(b, blocks...), padded(data)...)
		b = append(b, sparseBlock(tar.TypeReg, "Files/after", 0, "ustar\x0000")...)
		mend(b)
		return append(b, make([]byte, 1024)...)
	}},
	{"PAX 0.0", func(size int64, ranges [][2]int64) []byte {
		text := paxRecord("GNU.sparse.size", fmt.Sprint(size)) + paxRecord("GNU.sparse.numblocks", fmt.Sprint(len(ranges)))
		for _, r := range ranges {
			text += paxRecord("GNU.sparse.offset", fmt.Sprint(r[0])) + paxRecord("GNU.sparse.numbytes", fmt.Sprint(r[1]))
		}
		data := stored(ranges)
		b := withRecords(text, sparseBlock(tar.TypeReg, "Files/s", int64(len(data)), "ustar\x0000"), data)
		mend(b)
		return b
	}},
	{"PAX 0.1", func(size int64, ranges [][2]int64) []byte {
		var list []string
		for _, r := range ranges {
			list = append(list, fmt.Sprint(r[0]), fmt.Sprint(r[1]))
		}
		text := paxRecord("GNU.sparse.size", fmt.Sprint(size)) + paxRecord("GNU.sparse.numblocks", fmt.Sprint(len(ranges))) +
			paxRecord("GNU.sparse.map", strings.Join(list, ",")) + paxRecord("GNU.sparse.name", "Files/s")
		data := stored(ranges)
		b := withRecords(text, sparseBlock(tar.TypeReg, "Files/GNUSparseFile.0/s", int64(len(data)), "ustar\x0000"), data)
		mend(b)
		return b
	}},
	{"PAX 1.0", func(size int64, ranges [][2]int64) []byte {
		m := fmt.Sprintln(len(ranges))
		for _, r := range ranges {
			m += fmt.Sprintf("%d\n%d\n", r[0], r[1])
		}
		data := append(padded([]byte(m)), stored(ranges)...)
		text := paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0") + paxRecord("GNU.sparse.name", "Files/s") + paxRecord("GNU.sparse.realsize", fmt.Sprint(size))
		b := withRecords(text, sparseBlock(tar.TypeReg, "Files/GNUSparseFile.0/s", int64(len(data)), "ustar\x0000"), data)
		mend(b)
		return b
	}},
}

// TestSparseForms: the ranges are known in each form, reading with their help returns the
// same bytes as archive/tar, and the next entry is found.
func TestSparseForms(t *testing.T) {
	many := [][2]int64{}
	for i := range int64(60) {
		many = append(many, [2]int64{i * 3000, 1000 + i})
	}
	for _, form := range sparseForms {
		for _, c := range []struct {
			size   int64
			ranges [][2]int64
		}{
			{1000, [][2]int64{{512, 4}}}, {5, [][2]int64{{0, 5}}}, {200_000, many}, {1 << 20, [][2]int64{{1 << 19, 100}, {1 << 20, 0}}}, {70_000, [][2]int64{{70_000, 0}}},
			{9000, [][2]int64{{0, 1}, {1, 1}, {8999, 1}}},
		} {
			b := form.make(c.size, c.ranges)
			want, err := io.ReadAll(plainSparse(t, b))
			if err != nil || int64(len(want)) != c.size {
				t.Fatalf("%s: archive/tar: %d bytes, %v", form.name, len(want), err)
			}
			for _, seek := range []bool{true, false} {
				for part := range 4 {
					var src io.Reader = bytes.NewReader(b)
					if !seek {
						src = io.MultiReader(src)
					}
					r := NewReader(src)
					e, err := r.Next()
					if err != nil || e.Path != `Files\s` || e.Size != c.size {
						t.Fatalf("%s: %+v, %v", form.name, e, err)
					}
					if r.tr.sparse == nil {
						t.Fatalf("%s: the ranges are not known", form.name)
					}
					s, err := r.NextStream()
					if err != nil || !s.Sparse || s.Size != c.size {
						t.Fatalf("%s: %+v, %v", form.name, s, err)
					}
					got := readPart(t, r, part, c.size)
					if got != nil && !bytes.Equal(got, want) {
						t.Errorf("%s, way %d: other bytes than archive/tar", form.name, part)
					}
					if e, err = r.Next(); err != nil || e.Path != `Files\after` {
						t.Errorf("%s, way %d: then %+v, %v", form.name, part, e, err)
					}
					if _, err = r.Next(); err != io.EOF {
						t.Errorf("%s, way %d: %v", form.name, part, err)
					}
				}
			}
			sameWalk(t, b)
			for cut := 0; cut < len(b); cut += 97 {
				sameWay(t, b[:cut], cut%6)
			}
		}
	}
}

func plainSparse(t *testing.T, b []byte) io.Reader {
	tr := tar.NewReader(bytes.NewReader(b))
	if _, err := tr.Next(); err != nil {
		t.Fatal(err)
	}
	return tr
}

// readPart reads the stream in one of four ways: not at all, whole, by ranges, or only the
// start of each range.
func readPart(t *testing.T, r *Reader, way int, size int64) []byte {
	switch way {
	case 0:
		return nil
	case 1:
		b, err := io.ReadAll(struct{ io.Reader }{r})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	out := make([]byte, size)
	for {
		x, err := r.NextExtent()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if way == 3 {
			if _, err := r.Read(out[:1]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if n, err := io.ReadFull(struct{ io.Reader }{r}, out[x.Offset:][:x.Length]); err != nil {
			t.Fatalf("%d of %d bytes: %v", n, x.Length, err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatalf("behind a range: %d, %v", n, err)
		}
	}
	if way == 3 {
		return nil
	}
	return out
}

// holesWriter keeps holes, or says that it does not.
type holesWriter struct {
	layer.Writer
	fills        bool
	bytes, holes int64
	calls        int
}

func (w *holesWriter) Add(*layer.Entry) error        { return nil }
func (w *holesWriter) AddStream(*layer.Stream) error { return nil }
func (w *holesWriter) Write(p []byte) (int, error)   { w.bytes += int64(len(p)); return len(p), nil }
func (w *holesWriter) WriteHole(n int64) error       { w.holes += n; w.calls++; return nil }
func (w *holesWriter) FillsHole(int64) bool          { return w.fills }

// TestSparseBomb: holes cost nothing where they stay holes. Where they become zeros they
// count against the ratio, whether or not the ranges are known.
func TestSparseBomb(t *testing.T) {
	const size = 1 << 40
	for _, form := range sparseForms {
		size := int64(size)
		if form.name == "old GNU" {
			size = 1<<33 - 1 // the maximum of its field
		}
		b := form.make(size, [][2]int64{{size - 5, 5}})
		global := append(sparseBlock(tar.TypeXGlobalHeader, "g", 0, "ustar\x0000"), b...)
		copy(global[atSum:], fmt.Sprintf("%06o\x00 ", checksum(global[:blockSize])))
		for name, b := range map[string][]byte{"": b, " after a global header": global} {
			kept := &holesWriter{}
			stats, err := layer.Copy(context.Background(), kept, NewReader(bytes.NewReader(b)), layer.WithLimits(layer.Limits{FileSize: -1}))
			if name == "" && (err != nil || kept.holes != size-5 || kept.bytes != 5 || stats.HoleBytes != size-5) {
				t.Errorf("%s: %v, %+v", form.name, err, stats)
			}
			filled := &holesWriter{fills: true}
			_, err = layer.Copy(context.Background(), filled, NewReader(bytes.NewReader(b)), layer.WithLimits(layer.Limits{FileSize: -1}))
			if !isRatio(err) || filled.holes > 64<<20 {
				t.Errorf("%s%s: filled %d bytes: %v", form.name, name, filled.holes, err)
			}
			r := NewReader(bytes.NewReader(b))
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.NextStream(); err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, struct{ io.Reader }{r})
			if !isRatio(err) || n > 64<<20 {
				t.Errorf("%s%s: read %d bytes: %v", form.name, name, n, err)
			}
			// The bytes that the source has stored count, not the tar.
			r = NewReader(&metered{Reader: bytes.NewReader(b), stored: 1 << 20})
			r.Next()
			r.NextStream()
			if n, err := io.CopyN(io.Discard, struct{ io.Reader }{r}, 100<<20); err != nil {
				t.Errorf("%s%s: with more stored, %d bytes: %v", form.name, name, n, err)
			}
		}
	}
}

type metered struct {
	io.Reader
	stored int64
}

func (m *metered) StoredSize() int64 { return m.stored }

func isRatio(err error) bool {
	var limit *layer.LimitError
	return errors.As(err, &limit) && limit.Limit == "Ratio"
}
