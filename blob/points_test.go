package blob

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Members and frames are points, unless they are closer than a sixteenth of the spacing.
func TestPointsOfMembers(t *testing.T) {
	data := text(3 << 20)
	for _, f := range []Format{Gzip, Zstd} {
		var blob bytes.Buffer
		var starts []Point
		for off := 0; off < len(data); off += 50_000 {
			starts = append(starts, Point{Plain: int64(off), Stored: int64(blob.Len())})
			blob.Write(member(t, f, data[off:min(off+50_000, len(data))]))
		}
		m := mapOf(t, blob.Bytes(), 1<<20)
		for i, p := range m.Points {
			if p != starts[2*i] { // every other one is 100,000 bytes from the last point
				t.Errorf("%v: point %d is %+v, want %+v", f, i, p, starts[2*i])
			}
		}
		if len(m.Points) != (len(starts)+1)/2 {
			t.Errorf("%v: %d points of %d members", f, len(m.Points), len(starts))
		}
		r, err := m.NewReader(t.Context(), RangesOf(bytes.NewReader(blob.Bytes())), 1_234_567, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data[1_234_567:2_234_567]) {
			t.Errorf("%v: %d bytes, %v", f, len(got), err)
		}
		r.Close()
	}
}

// member is a gzip member with all parts of a header, or a zstd frame after a skippable one.
func member(t *testing.T, f Format, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	if f == Gzip {
		z := gzip.NewWriter(&b)
		z.Name, z.Comment, z.Extra = "layer.tar", "a comment", bytes.Repeat([]byte("extra"), 1000)
		w = z
	} else {
		z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(len(data)%2 == 0))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A map that would grow too large loses points; those that remain are good.
func TestSurveyIsBounded(t *testing.T) {
	s := &survey{spacing: 100}
	window := make([]byte, 50)
	s.start(0, 0)
	for off := int64(1); off < 1_000_000; off += 7 {
		s.block(off*3, off, window)
	}
	s.packing.Wait()
	if s.number > maxWindows || s.spacing < 200 || len(s.windows) != len(s.points) {
		t.Errorf("%d windows at a spacing of %d", s.number, s.spacing)
	}
	for i, p := range s.points {
		if (s.windows[i] == nil) != (p.Window == 0) {
			t.Fatalf("point %d has another's window", i)
		}
		if i > 0 && (p.Plain <= s.points[i-1].Plain || p.Stored != p.Plain*3/8 || p.Bit != uint8(p.Plain*3%8)) {
			t.Fatalf("point %d: %+v", i, p)
		}
	}
	s = &survey{spacing: 16}
	for off := range int64(200_000) {
		s.start(off, off)
	}
	if len(s.points) > maxPoints || s.points[0].Plain != 0 {
		t.Errorf("%d points", len(s.points))
	}
}
