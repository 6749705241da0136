package layerindex_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/wintar"
)

// pack makes a blob of a tar.
func pack(t testing.TB, f blob.Format, tar []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := blob.NewWriter(&b, f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(tar); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// record reads a blob in some way and returns its index, nil if it leaves none.
func record(t testing.TB, stored []byte, read func(layer.Reader) error) (x *layerindex.Index, err error) {
	t.Helper()
	b, err := blob.NewReader(t.Context(), bytes.NewReader(stored), blob.WithMap(64<<10))
	if err != nil {
		return nil, err
	}
	r := layerindex.Record(wintar.NewBlobReader(b), func(made *layerindex.Index) { x = made })
	defer r.Close()
	err = read(r)
	return x, err
}

// The ways to read a layer to its end.
var ways = map[string]func(layer.Reader) error{
	"names":   func(r layer.Reader) error { return walk(r, nil) },
	"streams": func(r layer.Reader) error { return walk(r, func(layer.Reader) error { return nil }) },
	"parts": func(r layer.Reader) error {
		return walk(r, func(r layer.Reader) error { _, err := io.CopyN(io.Discard, r, 10); return notEOF(err) })
	},
	"bytes": func(r layer.Reader) error {
		return walk(r, func(r layer.Reader) error { _, err := io.Copy(io.Discard, io.LimitReader(r, 1<<22)); return err })
	},
	"extents": func(r layer.Reader) error {
		return walk(r, func(r layer.Reader) error {
			for {
				if _, err := r.(layer.ExtentReader).NextExtent(); err != nil {
					return notEOF(err)
				}
				if _, err := io.CopyN(io.Discard, r, 100); notEOF(err) != nil {
					return err
				}
			}
		})
	},
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// walk reads all entries, and with each stream if that is not nil.
func walk(r layer.Reader, each func(layer.Reader) error) error {
	for {
		if _, err := r.Next(); err != nil {
			return notEOF(err)
		}
		for each != nil {
			if _, err := r.NextStream(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			if err := each(r); err != nil {
				return err
			}
		}
	}
}

// reopen writes an index to a file and opens it again.
func reopen(t testing.TB, x *layerindex.Index) *layerindex.Index {
	t.Helper()
	file := encode(t, x)
	y, err := layerindex.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encode(t, y), file) {
		t.Error("the index is not written again as it was read")
	}
	return y
}

func encode(t testing.TB, x *layerindex.Index) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := x.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tell is everything of the rest of the current entry. Streams of which more than 4 MiB
// are holes are told by their extents.
func tell(e *layer.Entry, r layer.Reader) (text string, sums []string) {
	text = fmt.Sprintf("%+v", *e)
	for {
		s, err := r.NextStream()
		if err == io.EOF {
			return text, sums
		}
		if err != nil {
			return text + err.Error(), sums
		}
		text += fmt.Sprintf(" %+v", *s)
		if s.Sparse && s.Size > 4<<20 {
			for {
				x, err := r.(layer.ExtentReader).NextExtent()
				if err != nil {
					text += err.Error()
					break
				}
				b, err := io.ReadAll(r)
				text += fmt.Sprintf(" %+v %x %v", x, sha256.Sum256(b), err)
			}
			sums = append(sums, "")
			continue
		}
		b, err := io.ReadAll(r)
		sum := sha256.Sum256(b)
		text += fmt.Sprintf(" %x %v", sum, err)
		sums = append(sums, fmt.Sprintf("%x", sum))
	}
}

// checkIndex compares a layer that is read through its index with the one in the tar.
func checkIndex(t *testing.T, x *layerindex.Index, stored, tar []byte) {
	t.Helper()
	src := x.Source(t.Context(), blob.RangesOf(bytes.NewReader(stored)), "")
	all, err := src.Open()
	if err != nil {
		t.Fatal(err)
	}
	hashed, err := src.Open()
	if err != nil {
		t.Fatal(err)
	}
	plain := wintar.NewReader(bytes.NewReader(tar))
	for n := int32(0); ; n++ {
		e, err := plain.Next()
		got, gotErr := all.Next()
		only, onlyErr := hashed.Next()
		if err == io.EOF {
			if gotErr != io.EOF || onlyErr != io.EOF {
				t.Fatalf("after %d entries: %v, %v", n, gotErr, onlyErr)
			}
			break
		}
		if err := errors.Join(err, gotErr, onlyErr); err != nil {
			t.Fatal(err)
		}
		want, sums := tell(e, plain)
		if text, _ := tell(got, all); text != want {
			t.Errorf("entry %d:\ngot  %.1000s\nwant %.1000s", n, text, want)
		}
		at, err := src.EntryAt(n)
		if err != nil || fmt.Sprintf("%+v", *at) != fmt.Sprintf("%+v", *e) {
			t.Errorf("EntryAt(%d): %+v, %v", n, at, err)
		}
		r, err := src.OpenAt(n)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := r.Next(); err != nil {
			t.Errorf("OpenAt(%d): %v", n, err)
		} else if text, _ := tell(e, r); text != want {
			t.Errorf("OpenAt(%d):\ngot  %.1000s\nwant %.1000s", n, text, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		_ = only
		for i, want := range sums {
			if _, err := hashed.NextStream(); err != nil {
				t.Fatal(err)
			}
			sum, ok := hashed.(layer.StreamHasher).StreamSum()
			if ok && want != "" && fmt.Sprintf("%x", sum) != want {
				t.Errorf("entry %d, stream %d: sum %x, want %s", n, i, sum, want)
			}
		}
	}
	if err := errors.Join(all.Close(), hashed.Close()); err != nil {
		t.Error(err)
	}
}

// TestSame holds a layer that is read through its index against the one that is read from
// the tar.
func TestSame(t *testing.T) {
	for seed := range uint64(12) {
		r, err := layertest.Random(seed, layertest.Shape{}).Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := wintar.NewWriter(&b)
		if _, err := layer.Copy(t.Context(), w, r); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		var first []byte
		for way, read := range ways {
			stored := pack(t, blob.Format(seed%3), b.Bytes())
			x, err := record(t, stored, read)
			if x == nil {
				t.Fatalf("seed %d, %s: no index: %v", seed, way, err)
			}
			file := encode(t, x)
			if way != "parts" { // leaves sparse streams without a sum
				if first == nil {
					first = file
				}
				if !bytes.Equal(file, first) {
					t.Errorf("seed %d, %s: another index", seed, way)
				}
			}
			checkIndex(t, x, stored, b.Bytes())
			checkIndex(t, reopen(t, x), stored, b.Bytes())
		}
	}
}

func TestSameHostile(t *testing.T) {
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			tar, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			for way, read := range ways {
				x, err := record(t, tar, read)
				if err != nil && x != nil {
					t.Fatalf("%s: an index in spite of %v", way, err)
				}
				if x != nil {
					checkIndex(t, reopen(t, x), tar, tar)
				}
			}
		})
	}
}

// TestOtherBlob: nothing is read from a blob that is not the one of the index.
func TestOtherBlob(t *testing.T) {
	tar := sample(t, 40)
	x, err := record(t, tar, ways["names"])
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(tar)
	other[len(other)/2] ^= 1
	r, err := x.Source(t.Context(), blob.RangesOf(bytes.NewReader(other)), "layer 7").Open()
	if err != nil {
		t.Fatal(err)
	}
	err = walk(r, func(r layer.Reader) error { _, err := io.Copy(io.Discard, r); return err })
	var mismatch *blob.MismatchError
	if !errors.As(err, &mismatch) || !errors.Is(err, blob.ErrDigest) {
		t.Errorf("got %v", err)
	}
}

// sample is the tar of a layer with files of some KiB.
func sample(t testing.TB, files int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	add := func(e layer.Entry, data string) {
		err := w.Add(&e)
		if err == nil && e.Kind == layer.File {
			if err = w.AddStream(&layer.Stream{Size: e.Size}); err == nil {
				_, err = io.WriteString(w, data)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add(layer.Entry{Path: "Files", Kind: layer.Dir, Attributes: 16}, "")
	for i := range files {
		data := string(bytes.Repeat([]byte{byte(i)}, 3000+i))
		add(layer.Entry{Path: fmt.Sprintf(`Files\file%d`, i), Kind: layer.File, Attributes: 32, Size: int64(len(data))}, data)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDamage: a file that is damaged anywhere is found so, or yields errors and no other
// layer.
func TestDamage(t *testing.T) {
	tar := sample(t, 20)
	x, err := record(t, tar, ways["names"])
	if err != nil {
		t.Fatal(err)
	}
	file := encode(t, x)
	for at := 0; at < len(file); at += 7 {
		bad := bytes.Clone(file)
		bad[at] ^= 0x10
		y, err := layerindex.Open(bytes.NewReader(bad), int64(len(bad)))
		if err == nil {
			src := y.Source(t.Context(), blob.RangesOf(bytes.NewReader(tar)), "")
			if err := compareOrFail(t.Context(), src, tar); err != nil {
				t.Errorf("damage at %#x: %v", at, err)
			}
			continue
		}
		if !errors.Is(err, layerindex.ErrDamaged) && !errors.Is(err, layerindex.ErrVersion) {
			t.Errorf("damage at %#x: %v", at, err)
		}
	}
	for _, n := range []int{0, 10, 500, len(file) - 1} {
		if _, err := layerindex.Open(bytes.NewReader(file[:n]), int64(n)); !errors.Is(err, layerindex.ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// compareOrFail returns an error if a source yields another layer than the tar without
// saying so.
func compareOrFail(ctx context.Context, src layer.Source, tar []byte) error {
	r, err := src.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	plain := wintar.NewReader(bytes.NewReader(tar))
	for {
		want, err := plain.Next()
		got, gotErr := r.Next()
		if gotErr != nil && gotErr != io.EOF {
			return nil
		}
		if err != gotErr {
			return fmt.Errorf("%v instead of %v", gotErr, err)
		}
		if err == io.EOF {
			return nil
		}
		if got.Path != want.Path {
			return fmt.Errorf("%q instead of %q", got.Path, want.Path)
		}
		if got.Kind != layer.File {
			continue
		}
		plain.NextStream()
		if _, err := r.NextStream(); err != nil {
			return fmt.Errorf("%q: %v", want.Path, err)
		}
		a, _ := io.ReadAll(plain)
		if b, err := io.ReadAll(r); err == nil && !bytes.Equal(a, b) {
			return fmt.Errorf("%q has other bytes", want.Path)
		}
	}
}

func FuzzOpen(f *testing.F) {
	tar := sample(f, 20)
	x, err := record(f, tar, ways["names"])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encode(f, x))
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy {
			continue
		}
		if b, err := c.Bytes(); err == nil && len(b) < 64<<10 {
			if x, _ := record(f, b, ways["names"]); x != nil {
				f.Add(encode(f, x))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := layerindex.Open(bytes.NewReader(layerindex.Seal(b)), int64(len(b)))
		if err != nil {
			return
		}
		src := x.Source(t.Context(), blob.RangesOf(bytes.NewReader(tar)), "")
		if r, err := src.Open(); err == nil {
			walk(r, func(r layer.Reader) error {
				r.(layer.StreamHasher).StreamSum()
				_, err := io.CopyN(io.Discard, r, 1000)
				return notEOF(err)
			})
			r.Close()
		}
		for n := range int32(40) {
			src.EntryAt(n * 7)
		}
	})
}
