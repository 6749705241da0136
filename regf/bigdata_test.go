package regf

import (
	"bytes"
	"testing"

	"github.com/mullion/mullion/finding"
)

// segmentCells returns the room of each segment of a value's data.
func segmentCells(t testing.TB, v Value) []int {
	t.Helper()
	b, err := v.node()
	if err != nil {
		t.Fatal(err)
	}
	list, n, err := v.h.segments(u32(b[vkData:]))
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.h.cell(list)
	if err != nil {
		t.Fatal(err)
	}
	var room []int
	for i := range n {
		s, err := v.h.cell(u32(c[4*i:]))
		if err != nil {
			t.Fatal(err)
		}
		room = append(room, len(s))
	}
	return room
}

// bigSizes are sizes about multiples of a segment.
var bigSizes = []int{segmentSize + 1, segmentSize + 8, 2*segmentSize - 1, 2 * segmentSize, 2*segmentSize + 1, 3*segmentSize + 5000}

// Every segment has the room of a whole one, however the value came about: Windows
// drops a value whose last segment is shorter.
func TestSegmentsAreWhole(t *testing.T) {
	fill := func(t *testing.T, h *Hive) {
		k, err := h.CreatePath("K")
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range bigSizes {
			name := string(rune('a' + i))
			for _, size := range []int{100, n, bigSizes[len(bigSizes)-1-i], n} { // grows, is replaced
				if err := k.SetValue(name, RegBinary, bytes.Repeat([]byte{byte(n)}, size)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	verify := func(t *testing.T, h *Hive) {
		t.Helper()
		requireClean(t, h)
		k, err := h.Key("K")
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range bigSizes {
			v, err := k.Value(string(rune('a' + i)))
			if err != nil {
				t.Fatal(err)
			}
			if data, err := v.Data(); err != nil || !bytes.Equal(data, bytes.Repeat([]byte{byte(n)}, n)) {
				t.Fatalf("value of %d bytes comes back as %d, %v", n, len(data), err)
			}
			for j, room := range segmentCells(t, v) {
				if room < segmentSize {
					t.Errorf("segment %d of %d bytes has room for %d", j, n, room)
				}
			}
		}
	}
	t.Run("set", func(t *testing.T) {
		h := New(nil)
		fill(t, h)
		verify(t, h)
		b, err := h.Compact(nil)
		if err != nil {
			t.Fatal(err)
		}
		if h, err = OpenBytes(b, nil); err != nil {
			t.Fatal(err)
		}
		verify(t, h)
	})
	t.Run("copied", func(t *testing.T) {
		src, dst := New(nil), New(nil)
		fill(t, src)
		k, err := src.Key("K")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.CopyTo(dst.Root(), "K"); err != nil {
			t.Fatal(err)
		}
		verify(t, dst)
	})
	t.Run("from one cell", func(t *testing.T) {
		h := New(nil)
		fill(t, h)
		b, err := h.Compact(&CompactOptions{Minor: 3})
		if err != nil {
			t.Fatal(err)
		}
		if h, err = OpenBytes(b, nil); err != nil {
			t.Fatal(err)
		}
		if err := h.SetLayered(true); err != nil {
			t.Fatal(err)
		}
		verify(t, h)
	})
}

// A short last segment is an error, can be read, edited and mended.
func TestShortSegment(t *testing.T) {
	data := bytes.Repeat([]byte("short"), 4000)
	h := New(nil)
	if err := h.Root().SetValue("big", RegBinary, data); err != nil {
		t.Fatal(err)
	}
	v, err := h.Root().Value("big")
	if err != nil {
		t.Fatal(err)
	}
	b, err := v.node()
	if err != nil {
		t.Fatal(err)
	}
	list, n, err := h.segments(u32(b[vkData:]))
	if err != nil {
		t.Fatal(err)
	}
	last := u32(h.bins[list+4+4*uint32(n-1):])
	h.shrink(last, round8(uint32(len(data)-segmentSize)+4))
	short, err := h.Image()
	if err != nil {
		t.Fatal(err)
	}
	if h, err = OpenBytes(short, nil); err != nil {
		t.Fatal(err)
	}
	if f := serious(checked(h)); len(f) != 1 || f[0].Rule != "db-short" || f[0].Severity != finding.Error || f[0].Offset != int64(last) {
		t.Fatalf("findings %v", f)
	}
	r, err := h.Repair(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	requireClean(t, r.Hive)
	if v, err = r.Hive.Root().Value("big"); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Data(); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes after the repair, %v", len(got), err)
	}
	if err := h.Root().SetValue("big", RegBinary, append(data, 'x')); err != nil {
		t.Fatal(err)
	}
	requireClean(t, h)
}
