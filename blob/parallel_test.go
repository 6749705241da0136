package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/mullion/mullion/layer"
)

func TestParallelReader(t *testing.T) {
	data := text(30<<20 + 77)
	for _, f := range formats {
		blob := compress(t, f, data)
		m := mapOf(t, blob, 1<<20)
		src := RangesOf(bytes.NewReader(blob))
		for _, c := range []struct{ off, n int64 }{
			{0, -1}, {5<<20 + 3, -1}, {1 << 20, 21 << 20}, {29 << 20, 100 << 20}, {7, 5}, {1 << 40, -1}, {12, 0},
		} {
			for _, spans := range []int{1, 2, 4} {
				r, err := m.newParallelReader(t.Context(), src, c.off, c.n, spans)
				if err != nil {
					t.Fatal(err)
				}
				want := data[min(c.off, m.Plain):]
				if c.n >= 0 {
					want = want[:min(c.n, int64(len(want)))]
				}
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v, %d at %d with %d spans: %d bytes, %v", f, c.n, c.off, spans, len(got), err)
				}
				r.Close()
			}
		}
		if _, err := m.NewParallelReader(t.Context(), src, -1, -1); err == nil {
			t.Error("a negative offset is accepted")
		}
	}
}

// Bytes before damage are returned, and none after it.
func TestParallelReaderFails(t *testing.T) {
	data := text(40 << 20)
	blob := compress(t, Gzip, data)
	m := mapOf(t, blob, 1<<20)
	damaged := bytes.Clone(blob)
	damaged[len(blob)/2] ^= 1
	r, err := m.newParallelReader(t.Context(), RangesOf(bytes.NewReader(damaged)), 0, -1, 3)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if !errors.Is(err, ErrDigest) || len(got) < len(data)/4 || len(got) > len(data)*3/4 || !bytes.HasPrefix(data, got) {
		t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
	}
	r.Close()
	if _, again := r.Read(make([]byte, 1)); again != err {
		t.Errorf("the error is first %v, then %v", err, again)
	}

	ctx, cancel := context.WithCancel(t.Context())
	r, err = m.newParallelReader(ctx, RangesOf(bytes.NewReader(blob)), 0, -1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}

	r, err = m.newParallelReader(t.Context(), RangesOf(bytes.NewReader(blob)), 0, -1, 2)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, layer.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}
