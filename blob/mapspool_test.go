package blob

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/mullion/mullion/layer"
)

// A spool reads what a map does, in any order, decompresses each part once as long as its
// budget suffices, and needs neither budget nor a place for its file.
func TestSpool(t *testing.T) {
	plain := make([]byte, 9<<20)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range plain {
		plain[i] = byte(r.IntN(7))
	}
	for _, format := range formats {
		stored := compress(t, format, plain)
		m := mapOf(t, stored, 256<<10)
		for what, c := range map[string]struct {
			budget int64
			dir    string
		}{"enough": {1 << 30, t.TempDir()}, "some": {1 << 20, t.TempDir()}, "none": {0, t.TempDir()}, "no place": {1 << 30, t.TempDir() + "/none"}} {
			src := &ranges{b: stored}
			s := m.NewSpool(t.Context(), src, c.dir, NewSpoolBudget(c.budget))
			if n, err := s.ReadAt(make([]byte, len(plain)), 0); n != len(plain) || err != nil {
				t.Fatal(n, err)
			}
			first := src.bytes
			for range 15 {
				off := r.Int64N(int64(len(plain)))
				p := make([]byte, min(r.IntN(600<<10)+1, len(plain)-int(off)))
				if n, err := s.ReadAt(p, off); n != len(p) || err != nil || !bytes.Equal(p, plain[off:][:n]) {
					t.Fatalf("%v, %s: %d of %d bytes at %d, %v", format, what, n, len(p), off, err)
				}
			}
			if n, err := s.ReadAt(make([]byte, 10), int64(len(plain))-4); n != 4 || err != io.EOF {
				t.Errorf("%v, %s: the end: %d, %v", format, what, n, err)
			}
			if again := src.bytes - first; format != Plain && (again > 0) == (what == "enough") {
				t.Errorf("%v, %s: %d bytes are read again", format, what, again)
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Error(err)
			}
			if _, err := s.ReadAt(make([]byte, 1), 0); !errors.Is(err, layer.ErrClosed) {
				t.Errorf("%v, %s: after Close: %v", format, what, err)
			}
		}
		stored[len(stored)/2] ^= 1
		s := m.NewSpool(t.Context(), RangesOf(bytes.NewReader(stored)), "", NewSpoolBudget(1<<30))
		var mismatch *MismatchError
		if _, err := s.ReadAt(make([]byte, len(plain)), 0); !errors.As(err, &mismatch) {
			t.Errorf("%v: a changed blob: %v", format, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
