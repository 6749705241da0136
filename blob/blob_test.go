package blob

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mullion/mullion/layer"
)

// text returns n bytes that compress about as well as a layer does.
func text(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "Files/Windows/System32/%x.dll\n", rng.Uint32()%5000)
	}
	return b.Bytes()[:n]
}

func compress(t testing.TB, f Format, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := w.Digest(), digestOf(b.Bytes()); got != want {
		t.Fatalf("digest %s, want %s", got, want)
	}
	if got, want := w.DiffID(), digestOf(data); got != want {
		t.Fatalf("diff ID %s, want %s", got, want)
	}
	if w.StoredSize() != int64(b.Len()) || w.Size() != int64(len(data)) {
		t.Fatalf("sizes %d and %d, want %d and %d", w.StoredSize(), w.Size(), b.Len(), len(data))
	}
	return b.Bytes()
}

var formats = []Format{Plain, Gzip, Zstd}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		prefix string
		want   Format
		err    error
	}{
		{"", Plain, nil},
		{"Files/\x00", Plain, nil},
		{"\x1f\x8b\x08\x00\x00\x00", Gzip, nil},
		{"\x1f\x8b", Plain, nil},
		{"\x28\xb5\x2f\xfd\x04\x00", Zstd, nil},
		{"\x50\x2a\x4d\x18\x00\x00", Zstd, nil},
		{"\x5f\x2a\x4d\x18\x00\x00", Zstd, nil},
		{"\x60\x2a\x4d\x18\x00\x00", Plain, nil},
		{"BZh91A", Plain, ErrCompression},
		{"\xfd7zXZ\x00", Plain, ErrCompression},
	} {
		got, err := Detect([]byte(c.prefix))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Detect(%q) = %v, %v; want %v, %v", c.prefix, got, err, c.want, c.err)
		}
	}
}

func digestOf(b []byte) string {
	h := sha256.New()
	h.Write(b)
	return sumOf(h)
}

func TestCheckDigest(t *testing.T) {
	for _, good := range []string{
		"sha256:" + strings.Repeat("0a", 32),
		"sha512:" + strings.Repeat("ff", 64),
	} {
		if err := CheckDigest(good); err != nil {
			t.Errorf("CheckDigest(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{"", "sha256", "sha256:", "sha256:" + strings.Repeat("0A", 32),
		"sha256:" + strings.Repeat("0g", 32), "sha256:" + strings.Repeat("0a", 31), "md5:" + strings.Repeat("0a", 16),
		"sha256:../../../../../etc/passwd" + strings.Repeat("0", 36)} {
		if err := CheckDigest(bad); !errors.Is(err, ErrDigestSyntax) {
			t.Errorf("CheckDigest(%q) = %v", bad, err)
		}
	}
}

// Sizes around the chunk, and several chunks more than there are slots.
var sizes = []int{0, 1, 5, 6, 7, chunkSize - 1, chunkSize, chunkSize + 1, 11*chunkSize + 17}

func TestRoundTrip(t *testing.T) {
	for _, f := range formats {
		for _, n := range sizes {
			t.Run(fmt.Sprintf("%v/%d", f, n), func(t *testing.T) {
				data := text(n)
				blob := compress(t, f, data)
				r, err := NewReader(t.Context(), bytes.NewReader(blob), WithDigest(digestOf(blob), int64(len(blob))), WithDiffID(digestOf(data)))
				if n == 0 && f == Plain {
					if err != io.EOF && err != nil {
						t.Fatal(err)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				got, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(r, 100)))
				if err != nil {
					t.Fatal(err)
				}
				rest, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				if got = append(got, rest...); !bytes.Equal(got, data) {
					t.Fatalf("%d bytes differ from the %d that went in", len(got), len(data))
				}
				if r.Format() != f && n > 0 {
					t.Errorf("format %v, want %v", r.Format(), f)
				}
				if err := r.Finish(); err != nil {
					t.Errorf("Finish: %v", err)
				}
				if r.Digest() != digestOf(blob) || r.DiffID() != digestOf(data) || r.StoredSize() != int64(len(blob)) || r.Size() != int64(n) {
					t.Errorf("sums %v %v, sizes %d %d", r.Digest(), r.DiffID(), r.StoredSize(), r.Size())
				}
			})
		}
	}
}

// The same input produces the same bytes, however it is divided into writes.
func TestWriterIsDeterministic(t *testing.T) {
	data := text(3*chunkSize + 99)
	for _, f := range formats {
		want := compress(t, f, data)
		for _, cut := range []int{1, 511, 32768, chunkSize + 1} {
			var b bytes.Buffer
			w, err := NewWriter(&b, f)
			if err != nil {
				t.Fatal(err)
			}
			for rest := data; len(rest) > 0; {
				n := min(cut, len(rest))
				if _, err := w.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%v: writes of %d bytes give another blob", f, cut)
			}
		}
	}
}

func TestMismatch(t *testing.T) {
	data := text(5 * chunkSize)
	other := digestOf([]byte("other"))
	for _, f := range formats {
		blob := compress(t, f, data)
		size := int64(len(blob))
		damaged := bytes.Clone(blob)
		damaged[len(damaged)/2] ^= 4
		for _, c := range []struct {
			name    string
			blob    []byte
			options []ReaderOption
			want    error
		}{
			{"digest", blob, []ReaderOption{WithDigest(other, size)}, ErrDigest},
			{"diff ID", blob, []ReaderOption{WithDigest(digestOf(blob), size), WithDiffID(other)}, ErrDigest},
			{"diff ID alone", blob, []ReaderOption{WithDiffID(other)}, ErrDigest},
			{"longer", append(bytes.Clone(blob), 0), []ReaderOption{WithDigest(digestOf(blob), size)}, ErrSize},
			{"much longer", append(bytes.Clone(blob), make([]byte, 9*chunkSize)...), []ReaderOption{WithDigest(digestOf(blob), size)}, ErrSize},
			{"shorter", blob[:len(blob)-1], []ReaderOption{WithDigest(digestOf(blob), size)}, ErrSize},
			{"empty", nil, []ReaderOption{WithDigest(digestOf(blob), size)}, ErrSize},
			{"flipped bit", damaged, []ReaderOption{WithDigest(digestOf(blob), size)}, ErrDigest},
		} {
			t.Run(f.String()+"/"+c.name, func(t *testing.T) {
				r, err := NewReader(t.Context(), bytes.NewReader(c.blob), c.options...)
				if err == nil {
					defer r.Close()
					_, err = io.Copy(io.Discard, r)
				}
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
				var m *MismatchError
				if !errors.As(err, &m) || m.Want == m.Got {
					t.Errorf("got %#v", err)
				}
				if r != nil && r.Finish() == nil {
					t.Error("Finish is content")
				}
			})
		}
	}
}

func TestCorrupt(t *testing.T) {
	data := text(3 * chunkSize)
	for _, f := range []Format{Gzip, Zstd} {
		blob := compress(t, f, data)
		damaged := bytes.Clone(blob)
		for i := range 64 {
			damaged[len(damaged)/2+i] ^= 0xa5
		}
		for name, b := range map[string][]byte{
			"truncated": blob[:len(blob)-3],
			"one byte":  append([]byte{}, blob[:7]...),
			"damaged":   damaged,
			"trailing":  append(bytes.Clone(blob), "not a header"...),
		} {
			r, err := NewReader(t.Context(), bytes.NewReader(b))
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				r.Close()
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v %s: %v", f, name, err)
			}
		}
	}
}

// Members that follow each other are one blob (RFC 1952, 2.2; RFC 8878, 3.1).
func TestConcatenated(t *testing.T) {
	for _, f := range []Format{Gzip, Zstd} {
		blob := append(compress(t, f, []byte("Files")), compress(t, f, []byte("Hives"))...)
		if f == Zstd {
			blob = append([]byte("\x53\x2a\x4d\x18\x03\x00\x00\x00abc"), blob...)
		}
		r, err := NewReader(t.Context(), bytes.NewReader(blob))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != "FilesHives" || err != nil {
			t.Errorf("%v: %q, %v", f, got, err)
		}
		r.Close()
	}
}

// TestGzipPadding: zeros after the last member mean nothing, and nothing else may follow
// them.
func TestGzipPadding(t *testing.T) {
	member := compress(t, Gzip, []byte("Files"))
	for _, c := range []struct {
		blob []byte
		ok   bool
	}{
		{append(bytes.Clone(member), make([]byte, 512)...), true},
		{append(bytes.Clone(member), 0), true},
		{append(bytes.Clone(member), make([]byte, 1<<20)...), true},
		{append(append(bytes.Clone(member), make([]byte, 100_000)...), member...), false},
		{append(append(bytes.Clone(member), 0, 0), 'x'), false},
	} {
		r, err := NewReader(t.Context(), bytes.NewReader(c.blob), WithSums())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		switch {
		case c.ok && (string(got) != "Files" || err != nil || r.Digest() != digestOf(c.blob)):
			t.Errorf("%d bytes: %q, %v", len(c.blob), got, err)
		case !c.ok && !errors.Is(err, ErrCorrupt):
			t.Errorf("%d bytes: %v", len(c.blob), err)
		}
		r.Close()
	}
}

// A plain blob whose digest and diff ID are of different algorithms is compared
// with both.
func TestTwoAlgorithms(t *testing.T) {
	data := text(chunkSize + 5)
	sum := sha512.Sum512(data)
	digest := "sha512:" + hex.EncodeToString(sum[:])
	for _, diffID := range []string{digestOf(data), digestOf(nil)} {
		r, err := NewReader(t.Context(), bytes.NewReader(data), WithDigest(digest, int64(len(data))), WithDiffID(diffID))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, r)
		if want := diffID == digestOf(data); (err == nil) != want || !want && !errors.Is(err, ErrDigest) {
			t.Errorf("diff ID %s: %v", diffID, err)
		}
		r.Close()
	}
}

func TestRatio(t *testing.T) {
	zeros := make([]byte, 64<<20)
	for _, c := range []struct {
		format Format
		ratio  int64
		ok     bool
	}{
		{Gzip, 0, true}, // deflate cannot reach the default
		{Gzip, 100, false},
		{Zstd, 0, false},
		{Zstd, -1, true},
	} {
		blob := compress(t, c.format, zeros)
		r, err := NewReader(t.Context(), bytes.NewReader(blob), WithLimits(layer.Limits{Ratio: c.ratio}))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		r.Close()
		if (err == nil) != c.ok || !c.ok && !errors.Is(err, layer.ErrLimit) {
			t.Errorf("%v with %d: %v after %d bytes", c.format, c.ratio, err, n)
		}
		if !c.ok && n > layer.RatioFloor+(chunksAhead+1)*chunkSize {
			t.Errorf("%v with %d: %d bytes came out", c.format, c.ratio, n)
		}
	}
}

// A source that hangs does not keep a reader that was cancelled or closed.
func TestCancel(t *testing.T) {
	for _, closeIt := range []bool{false, true} {
		source, feed := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		go feed.Write(text(chunkSize))
		r, err := NewReader(ctx, source)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(10*time.Millisecond, func() {
			if closeIt {
				r.cancel()
			} else {
				cancel()
			}
		})
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		r.Close()
		if _, err := r.Read(make([]byte, 1)); err == nil {
			t.Error("Read after Close works")
		}
		cancel()
		feed.Close()
	}
}

func TestSourceError(t *testing.T) {
	broken := errors.New("broken wire")
	for _, f := range formats {
		blob := compress(t, f, text(4*chunkSize))
		r, err := NewReader(t.Context(), io.MultiReader(bytes.NewReader(blob[:len(blob)/2]), iotest.ErrReader(broken)),
			WithDigest(digestOf(blob), int64(len(blob))))
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if !errors.Is(err, broken) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

type failingWriter struct{ after int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.after -= len(p); w.after < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestWriterError(t *testing.T) {
	for _, f := range formats {
		for _, after := range []int{0, chunkSize, 2 * chunkSize} {
			w, err := NewWriter(&failingWriter{after}, f)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.NewChaCha8([32]byte{})
			_, err = io.CopyN(w, rng, 30*chunkSize)
			if cerr := w.Close(); cerr == nil || cerr.Error() != "disk full" {
				t.Errorf("%v after %d: Write %v, Close %v", f, after, err, cerr)
			}
			if _, err := w.Write([]byte("x")); !errors.Is(err, layer.ErrClosed) {
				t.Errorf("Write after Close: %v", err)
			}
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, format := range formats {
		blob := compress(f, format, text(3000))
		f.Add(blob)
		f.Add(blob[:len(blob)/2])
		f.Add(append(blob, blob...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limit := layer.Limits{Ratio: 200}
		r, err := NewReader(t.Context(), bytes.NewReader(data), WithLimits(limit), WithSums())
		if err != nil {
			return
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil {
			return
		}
		if r.Digest() != digestOf(data) || r.DiffID() != digestOf(got) {
			t.Error("wrong sums")
		}
		switch r.Format() { // other programs read every accepted blob
		case Plain:
			if !bytes.Equal(got, data) {
				t.Error("plain data changed")
			}
		case Gzip:
			z, err := stdgzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			want, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("the standard library reads %d bytes, %v; we %d", len(want), err, len(got))
			}
		}
	})
}

// BenchmarkGzip measures a verified reader beside the bare decompressor.
func BenchmarkGzip(b *testing.B) {
	data := text(64 << 20)
	blob := compress(b, Gzip, data)
	b.Run("bare", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			d, err := newDecompressor(Gzip, bytes.NewReader(blob), nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, d); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verified", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		id, digest := digestOf(data), digestOf(blob)
		for b.Loop() {
			r, err := NewReader(b.Context(), bytes.NewReader(blob), WithDigest(digest, int64(len(blob))), WithDiffID(id))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
}
