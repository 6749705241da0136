package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/mullion/mullion/layer"
)

// mapOf reads a blob with WithMap and returns its map, after one trip through its file.
func mapOf(t testing.TB, blob []byte, spacing int64) *Map {
	t.Helper()
	r, err := NewReader(t.Context(), bytes.NewReader(blob), WithMap(spacing))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Map(); !errors.Is(err, ErrMap) {
		t.Errorf("a map before the end: %v", err)
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	made, err := r.Map()
	if err != nil {
		t.Fatal(err)
	}
	file := encode(t, made)
	if n := made.EncodedSize(); n != int64(len(file)) {
		t.Errorf("EncodedSize %d, not %d", n, len(file))
	}
	m, err := OpenMap(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if again := encode(t, m); !bytes.Equal(file, again) {
		t.Error("a map changes when it is stored twice")
	}
	made.windows, m.windows = windowSource{}, windowSource{bytes.NewReader(file)}
	for i := range made.Points {
		made.Points[i].window = m.Points[i].window
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	made.closer = nil
	if made.windows = m.windows; !reflect.DeepEqual(made, m) {
		t.Error("a map changes when it is stored")
	}
	return m
}

func encode(t testing.TB, m *Map) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ranges counts what is read.
type ranges struct {
	b               []byte
	mu              sync.Mutex
	requests, bytes int64
}

func (r *ranges) OpenRange(_ context.Context, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n <= 0 || off+n > int64(len(r.b)) {
		return nil, errors.New("a range beyond the end")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	return io.NopCloser(&counted{r, bytes.NewReader(r.b[off : off+n])}), nil
}

type counted struct {
	r  *ranges
	rd io.Reader
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.rd.Read(p)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.bytes += int64(n)
	return n, err
}

func TestMapReads(t *testing.T) {
	data := text(9<<20 + 12345)
	for _, f := range formats {
		t.Run(f.String(), func(t *testing.T) {
			blob := compress(t, f, data)
			m := mapOf(t, blob, 256<<10)
			if m.Digest != digestOf(blob) || m.DiffID != digestOf(data) || m.Format != f ||
				m.Stored != int64(len(blob)) || m.Plain != int64(len(data)) {
				t.Errorf("map of %s %s, %v, %d, %d", m.Digest, m.DiffID, m.Format, m.Stored, m.Plain)
			}
			if n := len(m.Points); f == Gzip && n < 20 {
				t.Errorf("%d points", n)
			}
			src := &ranges{b: blob}
			ra := m.NewReaderAt(t.Context(), src)
			defer ra.Close()
			rng := rand.New(rand.NewPCG(3, 4))
			for range 60 {
				off := rng.Int64N(m.Plain + 10)
				n := rng.Int64N(1 << (1 + rng.IntN(21)))
				want := data[min(off, m.Plain):min(off+n, m.Plain)]
				r, err := m.NewReader(t.Context(), src, off, n)
				if err != nil {
					t.Fatal(err)
				}
				if err := iotest.TestReader(io.LimitReader(r, 1<<40), want); len(want) < 1000 && err != nil {
					t.Fatalf("%d bytes at %d: %v", n, off, err)
				} else if len(want) >= 1000 {
					r.Close()
					r, _ = m.NewReader(t.Context(), src, off, n)
					got, err := io.ReadAll(r)
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%d bytes at %d: %d, %v", n, off, len(got), err)
					}
				}
				r.Close()
				got := make([]byte, n)
				k, err := ra.ReadAt(got, off)
				if !bytes.Equal(got[:k], want) || (err != nil) != (int64(k) < n) || err != nil && err != io.EOF {
					t.Fatalf("ReadAt of %d bytes at %d: %d, %v", n, off, k, err)
				}
			}
			r, err := m.NewReader(t.Context(), src, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Errorf("the whole: %d bytes, %v", len(got), err)
			}
			r.Close()
			if _, err := r.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("Read after the end and Close: %v", err)
			}
		})
	}
}

// Every chunk that is read is verified before a byte of it is used.
func TestMapVerifies(t *testing.T) {
	data := make([]byte, 6*chunkSize)
	rand.NewChaCha8([32]byte{5}).Read(data)
	for _, f := range formats {
		blob := compress(t, f, data)
		m := mapOf(t, blob, chunkSize)
		damaged := bytes.Clone(blob)
		damaged[3*chunkSize+77] ^= 1
		for _, c := range []struct {
			blob []byte
			off  int64
			want error
		}{
			{damaged, 0, ErrDigest}, {damaged, 5 * chunkSize / 2, ErrDigest},
			{blob[:len(blob)-1], 0, ErrSize}, {nil, 0, ErrSize},
		} {
			r, err := m.NewReader(t.Context(), RangesOf(bytes.NewReader(c.blob)), c.off, -1)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(r)
				r.Close()
			}
			var mismatch *MismatchError
			if !errors.Is(err, c.want) || !errors.As(err, &mismatch) {
				t.Errorf("%v from %d: %v", f, c.off, err)
			}
			if !bytes.Equal(got, data[c.off:c.off+int64(len(got))]) {
				t.Errorf("%v from %d: wrong bytes", f, c.off)
			}
			ra := m.NewReaderAt(t.Context(), RangesOf(bytes.NewReader(c.blob)))
			if _, err := ra.ReadAt(make([]byte, m.Plain-c.off), c.off); !errors.Is(err, c.want) {
				t.Errorf("%v ReadAt %d: %v", f, c.off, err)
			}
			ra.Close()
			if _, err := ra.ReadAt(make([]byte, 1), 0); !errors.Is(err, layer.ErrClosed) {
				t.Errorf("ReadAt after Close: %v", err)
			}
		}
	}
}

// A part moves little more than itself, in few requests; the whole needs few as well.
func TestMapMovesLittle(t *testing.T) {
	data := make([]byte, 40<<20)
	rand.NewChaCha8([32]byte{6}).Read(data)
	src := &ranges{b: data}
	m := mapOf(t, data, 1<<20)
	for _, c := range []struct{ off, n, requests, bytes int64 }{
		{17<<20 + 5, 1 << 20, 1, 1<<20 + 2*chunkSize},
		{39 << 20, -1, 1, 1 << 20},
		{0, -1, 6, 40 << 20},
	} {
		src.requests, src.bytes = 0, 0
		r, err := m.NewReader(t.Context(), src, c.off, c.n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if src.requests > c.requests || src.bytes > c.bytes {
			t.Errorf("%d bytes at %d: %d requests for %d bytes, want at most %d and %d",
				c.n, c.off, src.requests, src.bytes, c.requests, c.bytes)
		}
	}
}

func TestMapEnds(t *testing.T) {
	data := text(3 * chunkSize)
	m := mapOf(t, data, 0)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := m.NewReader(ctx, RangesOf(bytes.NewReader(data)), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	r, err = m.NewReader(t.Context(), RangesOf(bytes.NewReader(data)), 5, 10)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, layer.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
	if _, err := m.NewReader(t.Context(), nil, -1, 1); err == nil {
		t.Error("a negative offset is accepted")
	}
	plain, err := NewReader(t.Context(), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Map(); !errors.Is(err, ErrMap) {
		t.Errorf("a map that was not asked for: %v", err)
	}
}

// The windows of a large map are in a temporary file until the map is closed, or the reader
// if it made none.
func TestManyWindows(t *testing.T) {
	data := make([]byte, 6<<20)
	rand.NewChaCha8([32]byte{}).Read(data) // not to be compressed, so neither are the windows
	stored := compress(t, Gzip, data)
	for _, wanted := range []bool{true, false} {
		r, err := NewReader(t.Context(), bytes.NewReader(stored), WithMap(64<<10))
		if err == nil {
			err = r.Finish()
		}
		if err != nil {
			t.Fatal(err)
		}
		r.survey.packing.Wait()
		store := &r.survey.store
		if store.file == nil || store.size < windowsInMemory/2 || len(store.buf) > windowsInMemory {
			t.Fatalf("%d bytes in the file, %d in memory", store.size, len(store.buf))
		}
		if !wanted {
			r.Close()
			if _, err := store.file.Stat(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("the file is left open: %v", err)
			}
			if _, err := r.Map(); !errors.Is(err, ErrMap) {
				t.Errorf("a map of a closed reader: %v", err)
			}
			continue
		}
		m, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		for _, off := range []int64{0, 1 << 20, 3<<20 + 5, 6<<20 - 9} {
			got := make([]byte, 9)
			part, err := m.NewReader(t.Context(), RangesOf(bytes.NewReader(stored)), off, 9)
			if err == nil {
				_, err = io.ReadFull(part, got)
				part.Close()
			}
			if err != nil || !bytes.Equal(got, data[off:off+9]) {
				t.Errorf("offset %d: %x, %v", off, got, err)
			}
		}
		if err := errors.Join(m.Close(), m.Close()); err != nil {
			t.Error(err)
		}
		if _, err := store.file.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file is left open: %v", err)
		}
		if _, err := m.window(&m.Points[len(m.Points)-1]); !errors.Is(err, ErrMap) {
			t.Errorf("a window of a closed map: %v", err)
		}
	}
}

func FuzzOpenMap(f *testing.F) {
	for _, format := range formats {
		f.Add(encode(f, mapOf(f, compress(f, format, text(3*chunkSize)), 64<<10)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) >= mapHead { // let the fuzzer past the sum
			file = bytes.Clone(file)
			seal(file)
		}
		m, err := OpenMap(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			if !errors.Is(err, ErrMap) {
				t.Errorf("untyped error: %v", err)
			}
			return
		}
		if again := encode(t, m); !bytes.Equal(again, file[:min(len(again), len(file))]) {
			t.Error("the map is written in another way")
		}
		for i := range m.Points {
			if _, err := m.window(&m.Points[i]); err != nil && !errors.Is(err, ErrMap) {
				t.Errorf("untyped error: %v", err)
			}
		}
		r, err := m.NewReader(t.Context(), RangesOf(bytes.NewReader(file)), m.Plain/2, 10)
		if err == nil {
			if _, err = io.Copy(io.Discard, r); err == nil && m.Plain > 1 && m.Stored != int64(len(file)) {
				t.Error("bytes of another blob were accepted")
			}
			r.Close()
		}
	})
}
