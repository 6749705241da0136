package regf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// memFile is a file in memory. Operation number fail, counted from 1, returns errDisk, and
// from operation number wrong on it returns other bytes than were written.
type memFile struct {
	b           []byte
	ops         int
	reads       int
	fail, wrong int
}

var errDisk = errors.New("disk fault")

func (f *memFile) step() error {
	if f.ops++; f.ops == f.fail {
		return errDisk
	}
	return nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.step(); err != nil {
		return 0, err
	}
	if end := int(off) + len(p); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	return copy(f.b[off:], p), nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.reads++
	if err := f.step(); err != nil {
		return 0, err
	}
	if off > int64(len(f.b)) {
		return 0, io.EOF
	}
	n := copy(p, f.b[off:])
	if f.wrong > 0 && f.ops >= f.wrong {
		r := rand.New(rand.NewPCG(uint64(f.ops), 7))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// tight returns a spill that keeps nothing in memory that is not in use.
func tight(f ReadWriterAt) *spill {
	s := newSpill(f)
	s.window, s.room = 0, pageSize
	return s
}

// spilled requires that merging into a file writes the bytes of want.
func spilled(t testing.TB, want *Hive, layers []*Hive, opt *MergeOptions) {
	t.Helper()
	var f memFile
	m, err := mergeInto(t.Context(), tight(&f), layers, opt)
	if err != nil {
		t.Fatal(err)
	}
	size, err := m.spill.finish(m.out)
	if err != nil || size != int64(len(f.b)) || !bytes.Equal(f.b, want.data) {
		t.Fatalf("%v, the file has %d bytes, %d expected, and the content of the merged hive: %v", err, len(f.b), len(want.data), bytes.Equal(f.b, want.data))
	}
}

// wideHives returns a base that is much larger than a window, and a layer above it: long
// subkey lists, which are filled long after they were made, and data of all sizes.
func wideHives(t testing.TB, n int) (base, delta *Hive) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(n), 3))
	fill := func(h *Hive, n int) {
		for i := range n {
			k, err := h.CreatePath(fmt.Sprintf(`a\%d\b%d\%d`, r.IntN(n), i%3, i%1500))
			if err != nil {
				t.Fatal(err)
			}
			size := r.IntN(300)
			if i%97 == 0 {
				size = r.IntN(70000)
			}
			if err := k.SetValue(fmt.Sprint(i), RegBinary, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 1200 {
			if _, err := h.CreatePath(fmt.Sprintf(`wide\%d`, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	base, delta = New(nil), New(nil)
	fill(base, n)
	fill(delta, n/10)
	return base, delta
}

func TestMergeTo(t *testing.T) {
	base, delta := wideHives(t, 4000)
	layers := []*Hive{base, delta}
	want := merged(t, nil, layers...)
	var f memFile
	size, err := MergeTo(t.Context(), &f, layers, nil)
	if err != nil || size != int64(len(want.data)) || !bytes.Equal(f.b, want.data) {
		t.Fatalf("%v, %d bytes of %d", err, size, len(want.data))
	}
	f = memFile{}
	s := newSpill(&f)
	s.window = 512 << 10
	if s.window > len(want.data)/4 {
		t.Fatalf("the hive has only %d bytes", len(want.data))
	}
	if _, err := mergeInto(t.Context(), s, layers, nil); err != nil {
		t.Fatal(err)
	}
	// A key of this hive with one value needs fewer than four more pieces.
	if s.held > s.window+4*spillPiece || f.reads == 0 {
		t.Errorf("%d bytes are in memory, %d allowed; %d reads", s.held, s.window, f.reads)
	}
	if _, err := MergeTo(t.Context(), &f, layers[:1], nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("one layer: %v", err)
	}
	if _, err := MergeTo(t.Context(), &f, layers, &MergeOptions{Minor: 7}); !errors.Is(err, ErrInvalid) {
		t.Errorf("version 1.7: %v", err)
	}
}

// A fault of the file is the error, at whatever operation it occurs. A file that returns other
// bytes than were written does no harm but to the result.
func TestMergeToFaults(t *testing.T) {
	base, delta := wideHives(t, 300)
	layers := []*Hive{base, delta}
	try := func(f *memFile) error {
		m, err := mergeInto(t.Context(), tight(f), layers, nil)
		if err == nil {
			_, err = m.spill.finish(m.out)
		}
		return err
	}
	var sound memFile
	if err := try(&sound); err != nil {
		t.Fatal(err)
	}
	if sound.ops < 100 {
		t.Fatalf("only %d operations", sound.ops)
	}
	for _, at := range append(rand.New(rand.NewPCG(1, 1)).Perm(sound.ops)[:40], 0, sound.ops-1) {
		if err := try(&memFile{fail: at + 1}); !errors.Is(err, errDisk) {
			t.Errorf("operation %d of %d failed, and merging returned %v", at+1, sound.ops, err)
		}
		_ = try(&memFile{wrong: at + 1})
	}
}

// A view is written by every way as the hive that merging makes.
func TestWriteView(t *testing.T) {
	base, delta := wideHives(t, 1000)
	want := merged(t, nil, base, delta)
	b, err := base.Image()
	if err != nil {
		t.Fatal(err)
	}
	saved, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for way := range 3 {
		image, err := delta.Image()
		if err != nil {
			t.Fatal(err)
		}
		above, err := OpenBytes(image, nil)
		if err != nil {
			t.Fatal(err)
		}
		v, err := MergeView(t.Context(), []*Hive{onDisk(t, saved, way), above}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if v.view == nil {
			t.Fatal("no view")
		}
		var out bytes.Buffer
		if err := v.WriteImage(&out); err != nil || !bytes.Equal(out.Bytes(), want.data) {
			t.Errorf("WriteImage: %v, %d bytes", err, out.Len())
		}
		var f memFile
		if n, err := v.WriteImageAt(&f); err != nil || n != int64(len(f.b)) || !bytes.Equal(f.b, want.data) {
			t.Errorf("WriteImageAt: %v, %d bytes", err, n)
		}
		name := filepath.Join(t.TempDir(), "out")
		if err := v.WriteImageFile(name, nil); err != nil {
			t.Fatal(err)
		}
		written, err := Open(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written.data, want.data) {
			t.Error("WriteImageFile wrote other bytes")
		}
		f = memFile{}
		if n, err := written.WriteImageAt(&f); err != nil || n != int64(len(f.b)) || !bytes.Equal(f.b, want.data) {
			t.Errorf("WriteImageAt of a mapped hive: %v, %d bytes", err, n)
		}
		if err := written.Close(); err != nil {
			t.Error(err)
		}
		if err := v.WriteImageFile(name, nil); !errors.Is(err, ErrExists) {
			t.Errorf("over a file: %v", err)
		}
		if n, err := v.WriteImageAt(&memFile{fail: 1}); n != 0 || !errors.Is(err, errDisk) {
			t.Errorf("on a disk with a fault: %d, %v", n, err)
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		if err := v.WriteImage(&out); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := v.WriteImageAt(&f); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}
