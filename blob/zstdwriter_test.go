package blob

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The frames are the same for any number of encoders, and each is a point of a map.
func TestFramesOfWriter(t *testing.T) {
	data := text(3*frameSize + 4321)
	noise := rand.New(rand.NewPCG(8, 9))
	for range 20_000 { // so that no frame is like another
		data[noise.IntN(len(data))] = byte(noise.Uint32())
	}
	var want []byte
	for _, n := range []int{1, 2, 3} {
		var b bytes.Buffer
		w, err := newFrameWriter(&b, n)
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			k := min(len(rest), 1+noise.IntN(1<<20))
			if _, err := w.Write(rest[:k]); err != nil {
				t.Fatal(err)
			}
			rest = rest[k:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = b.Bytes()
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%d encoders give another blob", n)
		}
	}
	d, err := zstd.NewReader(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	m := mapOf(t, want, 0)
	if len(m.Points) != 4 || m.Points[3].Plain != 3*frameSize {
		t.Errorf("points %+v", m.Points)
	}
	src := &ranges{b: want}
	r, err := m.NewReader(t.Context(), src, 2*frameSize+5, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data[2*frameSize+5:][:100]) {
		t.Errorf("%q, %v", got, err)
	}
	if limit := int64(len(want)/4 + 3*chunkSize); src.bytes > limit {
		t.Errorf("%d bytes read of %d for a part of one frame, want at most %d", src.bytes, len(want), limit)
	}
}

// A writer that is closed before its goroutines have run writes its frame.
func TestFrameWriterClosedAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, text := range []string{"", "x"} {
		var b bytes.Buffer
		w, err := newFrameWriter(&b, 2)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
		if err := w.Close(); err != nil || (b.Len() > 0) != (text != "") {
			t.Errorf("%q: %d bytes, %v", text, b.Len(), err)
		}
	}
}

func TestFrameWriterError(t *testing.T) {
	for _, after := range []int{0, frameSize, 3 * frameSize} {
		w, err := newFrameWriter(&failingWriter{after}, 2)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.CopyN(w, rand.NewChaCha8([32]byte{}), 12*frameSize)
		if err == nil || n == 12*frameSize {
			t.Errorf("after %d: %d bytes, %v", after, n, err)
		}
		if again := w.Close(); !errors.Is(again, err) {
			t.Errorf("Close: %v", again)
		}
	}
}

// What does not compress needs no more memory than what does: the buffers don't grow.
func TestFrameWriterMemory(t *testing.T) {
	const encoders = 2
	w, err := newFrameWriter(io.Discard, encoders)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := io.CopyN(w, rand.NewChaCha8([32]byte{}), 8*frameSize); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// Each encoder has a history of one frame, and tables and blocks of less than 6 MiB.
	const limit = (encoders+1)*(frameSize+2*smallFrame) + encoders*maxFrame + encoders*(frameSize+6<<20)
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Errorf("%d bytes allocated, want at most %d", n, limit)
	}
}
