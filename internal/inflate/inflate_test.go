package inflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// samples are texts of different kinds: their streams have literals, short and long
// matches, near and far ones, and stored blocks.
func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	words := make([]byte, 0, 900_000)
	for len(words) < cap(words)-100 {
		n := rng.IntN(len(noise) / 8)
		words = append(words, noise[n:n+1+rng.IntN(40)]...)
	}
	few := make([]byte, 400_000)
	for i := range few {
		few[i] = "abcdefgh"[min(rng.IntN(8), rng.IntN(8))]
	}
	periods := []byte{}
	for n := 1; n < 40; n++ {
		periods = append(periods, bytes.Repeat(noise[n*100:n*100+n], 1+4000/n)...)
	}
	skewed := make([]byte, 0, 200_000) // codes of all lengths up to 15
	for len(skewed) < cap(skewed) {
		n := 0
		for n < 250 && rng.IntN(5) > 0 {
			n++
		}
		skewed = append(skewed, byte(n))
	}
	return map[string][]byte{
		"empty": nil, "one": {'x'}, "noise": noise, "words": words, "few": few, "periods": periods, "skewed": skewed,
		"zeros": make([]byte, 1<<20), "mixed": append(append(bytes.Clone(words[:100_000]), noise...), words...),
	}
}

func deflate(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAgainstStandardLibrary(t *testing.T) {
	for name, data := range samples() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 6, 9} {
			got, err := io.ReadAll(NewReader(bytes.NewReader(deflate(t, data, level))))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s, level %d: %d of %d bytes, %v", name, level, len(got), len(data), err)
			}
		}
	}
}

// reused is the reader of compare: what it has read before makes no difference.
var reused = NewReader(nil)

// compare decompresses a stream with this package and the standard library.
func compare(t *testing.T, stream []byte) {
	t.Helper()
	src := bytes.NewReader(stream)
	want, wantErr := io.ReadAll(flate.NewReader(src))
	end := len(stream) - src.Len()
	type point struct{ bits, out int64 }
	var points []point
	var windows [][]byte
	for _, source := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream)),
		iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(stream)))} {
		r := reused
		r.Reset(source)
		points, windows = nil, nil
		r.OnBlock = func(bits, out int64) {
			points = append(points, point{bits, out})
			windows = append(windows, bytes.Clone(r.Window()))
		}
		got, err := io.ReadAll(r)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, the standard library's is %v", err, wantErr)
		}
		if n := min(len(got), len(want)); err == nil && !bytes.Equal(got, want) || !bytes.Equal(got[:n], want[:n]) {
			t.Fatalf("%d bytes differ from %d of the standard library", len(got), len(want))
		}
		var corrupt *CorruptError
		if err != nil && err != io.ErrUnexpectedEOF && !errors.As(err, &corrupt) {
			t.Fatalf("untyped error %v", err)
		}
		if err == nil {
			rest, _ := r.Fill(min(4096, len(stream)-end+1))
			if !bytes.HasPrefix(stream[end:], rest) || len(rest) < min(4096, len(stream)-end) {
				t.Fatalf("%d unread bytes; the stream has %d of %d", len(rest), end, len(stream))
			}
		}
	}
	if wantErr != nil {
		return
	}
	for i, p := range points {
		if i > 20 && i < len(points)-3 {
			continue
		}
		if start := max(0, p.out-WindowSize); !bytes.Equal(windows[i], want[start:p.out]) {
			t.Fatalf("the window at %d is not the output before it", p.out)
		}
		r := reused
		if err := r.Resume(bytes.NewReader(stream[p.bits/8:]), uint(p.bits%8), windows[i]); err != nil {
			t.Fatal(err)
		}
		next := i
		r.OnBlock = func(bits, out int64) {
			if (point{p.bits&^7 + bits, p.out + out}) != points[next] || !bytes.Equal(r.Window(), windows[next]) {
				t.Errorf("resumed at point %d: point %d is another", i, next)
			}
			next++
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want[p.out:]) {
			t.Fatalf("resumed at %d: %d bytes, %v; want %d", p.out, len(got), err, len(want[p.out:]))
		}
		if next != len(points) {
			t.Errorf("resumed at point %d of %d: %d points", i, len(points), next-i)
		}
	}
}

func TestPositions(t *testing.T) {
	for name, data := range samples() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 9} {
			t.Run(fmt.Sprintf("%s/%d", name, level), func(t *testing.T) {
				compare(t, append(deflate(t, data, level), "what follows it"...))
			})
		}
	}
}

// Each end of a stream and each damaged bit of its start gives what the standard library
// gives.
func TestDamage(t *testing.T) {
	data := samples()["skewed"][:3000]
	for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
		stream := deflate(t, data, level)
		for n := range min(len(stream), 400) {
			compare(t, stream[:n])
		}
		for bit := range 8 * min(len(stream), 100) {
			damaged := bytes.Clone(stream)
			damaged[bit/8] ^= 1 << (bit % 8)
			compare(t, damaged)
		}
	}
}

// Streams by hand (RFC 1951, 3.2).
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name, stream, want string
		err                string
	}{
		{"stored", "\x01\x03\x00\xfc\xffabc", "abc", ""},
		{"two blocks", "\x00\x01\x00\xfe\xffa\x01\x01\x00\xfe\xffb", "ab", ""},
		// 1 01, then the codes of 'a' (0x30+97 = 10010001), of length 3 (0000001) and
		// distance 1 (00000), and the end (0000000).
		{"fixed", "\x4b\x04\x02\x00", "aaaa", ""},
		{"empty", "\x03\x00", "", ""},
		{"wrong length", "\x01\x03\x00\xfc\xfeabc", "", "corrupt deflate data at 0x5: lengths of a stored block"},
		{"wrong type", "\x07", "", "corrupt deflate data at 0x0: type of a block"},
		// Length 3 at distance 1 without output before.
		{"too far", "\x03\x02\x00", "", "corrupt deflate data at 0x1: distance beyond the start"},
		{"no input", "", "", "unexpected EOF"},
		{"short", "\x01\x03\x00\xfc\xffab", "ab", "unexpected EOF"},
	} {
		got, err := io.ReadAll(NewReader(strings.NewReader(c.stream)))
		if string(got) != c.want || fmt.Sprint(err) != c.err && (err != nil || c.err != "") {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, got, err, c.want, c.err)
		}
	}
}

// An error of the source is returned as it is, after the output before it.
func TestSourceError(t *testing.T) {
	broken := errors.New("broken wire")
	data := samples()["words"]
	stream := deflate(t, data, 6)
	r := NewReader(io.MultiReader(bytes.NewReader(stream[:len(stream)/2]), iotest.ErrReader(broken)))
	got, err := io.ReadAll(r)
	if err != broken || len(got) < len(data)/4 || !bytes.HasPrefix(data, got) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r.Reset(iotest.ErrReader(broken))
	if _, err := r.Read(make([]byte, 1)); err != broken {
		t.Errorf("after Reset: %v", err)
	}
	r.Reset(zeroReader{})
	if _, err := r.Read(make([]byte, 1)); err != io.ErrNoProgress {
		t.Errorf("a source without bytes: %v", err)
	}
}

type zeroReader struct{}

func (zeroReader) Read([]byte) (int, error) { return 0, nil }

// Streams that follow each other are read with one reader.
func TestNext(t *testing.T) {
	var all []byte
	texts := [][]byte{samples()["mixed"], nil, []byte("x"), samples()["few"]}
	for _, s := range texts {
		all = append(append(all, deflate(t, s, 6)...), "--"...)
	}
	r := NewReader(iotest.HalfReader(bytes.NewReader(all)))
	for i, want := range texts {
		var got bytes.Buffer
		if _, err := r.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("stream %d: %d bytes, %v", i, got.Len(), err)
		}
		if b, err := r.Fill(2); err != nil || string(b[:2]) != "--" {
			t.Fatalf("after stream %d: %q, %v", i, b, err)
		}
		r.Skip(2)
		r.Next()
	}
	if _, err := r.Read(make([]byte, 1)); err != io.ErrUnexpectedEOF {
		t.Errorf("at the end: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	for _, data := range samples() {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
			f.Add(deflate(f, data[:min(len(data), 4000)], level))
		}
	}
	f.Add(append(deflate(f, make([]byte, 600_000), 9), "tail"...))
	f.Fuzz(compare)
}
