package layertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
)

// Format is a pair of Writer and Reader under test.
type Format struct {
	// New returns a writer and a function that opens a reader of the committed layer. Both
	// use resources of tb and are independent of other calls.
	New func(tb testing.TB) (layer.Writer, func() (layer.Reader, error))
	// Lacks are the features that the format cannot hold; the suite does not use them.
	Lacks Feature
	// Base limits the suite to base layers.
	Base bool
	// Unordered is set if the format does not keep the order of entries.
	Unordered bool
	// Publishes is set if nothing can be read without a Commit.
	Publishes bool
	// Normalize, if set, is applied to the items of both sides before they are compared. It
	// removes the properties that the format does not keep.
	Normalize func(*Item)
	// Layers is the number of random layers to write, 12 if 0.
	Layers int
}

// Run runs the conformance suite.
func Run(t *testing.T, f Format) {
	if f.Layers == 0 {
		f.Layers = 12
	}
	t.Run("RoundTrip", f.roundTrip)
	t.Run("Reread", f.reread)
	t.Run("Contract", f.contract)
	t.Run("Refusals", f.refusals)
	t.Run("Abandoned", f.abandoned)
}

func (f Format) shape() Shape { return Shape{Without: f.Lacks, Base: f.Base} }

// Collect reads a layer into memory, with its holes if extents is set.
func Collect(r layer.Reader, extents bool) (*Layer, error) {
	rec := &Recorder{}
	var src layer.Reader = r
	if !extents {
		src = plainReader{r}
	}
	_, err := layer.Copy(context.Background(), rec, src, layer.WithLimits(layer.Limits{Ratio: -1}))
	return &rec.Layer, err
}

// plainReader hides every method that is not in layer.Reader.
type plainReader struct{ layer.Reader }

// write writes a layer and returns a function that opens a reader of it.
func (f Format) write(t *testing.T, l *Layer) func() (layer.Reader, error) {
	t.Helper()
	w, open := f.New(t)
	defer w.Close()
	src, _ := l.Open()
	if _, err := layer.Copy(context.Background(), w, src); err != nil {
		t.Fatalf("write: %v", err)
	}
	if err := w.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return open
}

func (f Format) read(t *testing.T, open func() (layer.Reader, error), extents bool) *Layer {
	t.Helper()
	r, err := open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	l, err := Collect(r, extents)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("Next after the end: %v, want io.EOF", err)
	}
	if err := r.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return l
}

func (f Format) roundTrip(t *testing.T) {
	for seed := range uint64(f.Layers) {
		want := Random(seed, f.shape())
		open := f.write(t, want)
		for _, extents := range []bool{false, true} {
			got := f.read(t, open, extents)
			for _, d := range f.Compare(want, got, extents) {
				t.Errorf("seed %d, extents %v: %s", seed, extents, d)
			}
		}
		if t.Failed() {
			return
		}
	}
	open := f.write(t, minimal(f))
	if got := f.read(t, open, false); len(got.Items) != len(minimal(f).Items) {
		t.Errorf("minimal layer has %d entries", len(got.Items))
	}
}

// minimal has the entries that every layer must have, and no others.
func minimal(f Format) *Layer {
	l := &Layer{}
	names := []string{"Files"}
	if f.Lacks&Hives == 0 {
		names = append(names, "Hives")
	}
	for _, n := range names {
		l.Items = append(l.Items, Item{Entry: layer.Entry{Path: n, Kind: layer.Dir, Attributes: winfs.AttrDirectory,
			Times: winfs.Times{Creation: 1, LastAccess: 1, LastWrite: 1, Change: 1}}})
	}
	return l
}

// reread tests the reader's contract: streams that are not read, streams that are read in
// part, in small pieces, and twice over.
func (f Format) reread(t *testing.T) {
	want := Random(99, f.shape())
	open := f.write(t, want)
	whole := f.read(t, open, false)
	again := f.read(t, open, false)
	for _, d := range f.Compare(whole, again, false) {
		t.Errorf("second reading: %s", d)
	}
	r, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := make([]byte, 7)
	for i := 0; ; i++ {
		e, err := r.Next()
		if err == io.EOF {
			if i != len(whole.Items) {
				t.Errorf("%d entries when streams are skipped, %d otherwise", i, len(whole.Items))
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		item := &whole.Items[i]
		if e.Path != item.Path || e.Kind != item.Kind {
			t.Fatalf("entry %d is %q when streams are skipped, %q otherwise", i, e.Path, item.Path)
		}
		if i%4 == 0 {
			continue // no stream at all
		}
		for n := 0; ; n++ {
			s, err := r.NextStream()
			if err == io.EOF {
				if _, err := r.NextStream(); err != io.EOF {
					t.Fatalf("%q: NextStream after the last: %v", e.Path, err)
				}
				if n != len(item.Streams) {
					t.Errorf("%q: %d streams, want %d", e.Path, n, len(item.Streams))
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != item.Streams[n].Name || s.Size != int64(len(item.Streams[n].Data)) {
				t.Fatalf("%q: stream %d is %+v", e.Path, n, s)
			}
			switch i % 4 {
			case 1:
				continue
			case 2:
				k, _ := io.ReadFull(r, buf)
				if !bytes.Equal(buf[:k], item.Streams[n].Data[:k]) {
					t.Errorf("%q: stream %d begins otherwise", e.Path, n)
				}
			case 3:
				var got []byte
				for {
					k, err := r.Read(buf)
					got = append(got, buf[:k]...)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if !bytes.Equal(got, item.Streams[n].Data) {
					t.Errorf("%q: stream %d differs in small reads", e.Path, n)
				}
			}
		}
	}
}

// start returns a writer with the entry Files.
func (f Format) start(t *testing.T) layer.Writer {
	w, _ := f.New(t)
	t.Cleanup(func() { w.Close() })
	for _, it := range minimal(f).Items {
		if err := w.Add(&it.Entry); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func file(path string, size int64) *layer.Entry {
	return &layer.Entry{Path: path, Kind: layer.File, Attributes: winfs.AttrArchive, Size: size}
}

func (f Format) contract(t *testing.T) {
	refused := func(name string, want error, run func(w layer.Writer) error) {
		t.Run(name, func(t *testing.T) {
			w := f.start(t)
			err := run(w)
			if err == nil {
				err = w.Commit()
			}
			if err == nil {
				t.Fatal("accepted")
			}
			if want != nil && !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if w.Commit() == nil {
				t.Error("commit after an error")
			}
		})
	}
	refused("too many bytes", layer.ErrStreamSize, func(w layer.Writer) error {
		return errors.Join(w.Add(file(`Files\a`, 3)), w.AddStream(&layer.Stream{Size: 3}), write(w, "four"))
	})
	refused("too few bytes", layer.ErrStreamSize, func(w layer.Writer) error {
		return errors.Join(w.Add(file(`Files\a`, 3)), w.AddStream(&layer.Stream{Size: 3}), write(w, "2b"), w.Add(file(`Files\b`, 0)))
	})
	refused("too few bytes at the end", layer.ErrStreamSize, func(w layer.Writer) error {
		return errors.Join(w.Add(file(`Files\a`, 3)), w.AddStream(&layer.Stream{Size: 3}), write(w, "2b"))
	})
	refused("missing main stream", layer.ErrStreamSize, func(w layer.Writer) error {
		return errors.Join(w.Add(file(`Files\a`, 3)), w.Add(file(`Files\b`, 0)))
	})
	refused("main stream twice", nil, func(w layer.Writer) error {
		return errors.Join(w.Add(file(`Files\a`, 0)), w.AddStream(&layer.Stream{}), w.AddStream(&layer.Stream{}))
	})
	refused("negative size", nil, func(w layer.Writer) error {
		return errors.Join(w.Add(file(`Files\a`, -1)), w.AddStream(&layer.Stream{Size: -5}))
	})
	refused("invalid kind", nil, func(w layer.Writer) error {
		return w.Add(&layer.Entry{Path: `Files\a`})
	})
	if f.Lacks&AltStreams == 0 {
		refused("main stream late", nil, func(w layer.Writer) error {
			return errors.Join(w.Add(file(`Files\a`, 0)), w.AddStream(&layer.Stream{Name: "s"}), w.AddStream(&layer.Stream{}))
		})
		refused("stream twice", layer.ErrDuplicate, func(w layer.Writer) error {
			return errors.Join(w.Add(file(`Files\a`, 0)), w.AddStream(&layer.Stream{}), w.AddStream(&layer.Stream{Name: "s"}), w.AddStream(&layer.Stream{Name: "S"}))
		})
		for _, n := range []string{"a:b", `a\b`, "a/b", "a\x00b", string([]byte{0xff})} {
			refused(fmt.Sprintf("stream %q", n), nil, func(w layer.Writer) error {
				return errors.Join(w.Add(file(`Files\a`, 0)), w.AddStream(&layer.Stream{}), w.AddStream(&layer.Stream{Name: n}))
			})
		}
	}
	if f.Lacks&Whiteouts == 0 && !f.Base {
		refused("stream of a whiteout", nil, func(w layer.Writer) error {
			return errors.Join(w.Add(&layer.Entry{Path: `Files\a`, Kind: layer.Whiteout}), w.AddStream(&layer.Stream{Name: "s"}))
		})
	}
	t.Run("stream left out", func(t *testing.T) {
		w := f.start(t)
		if err := errors.Join(w.Add(file(`Files\a`, 0)), w.Add(file(`Files\b`, 0)), w.Commit()); err != nil {
			t.Error(err)
		}
	})
	t.Run("after close", func(t *testing.T) {
		w := f.start(t)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if w.Add(file(`Files\a`, 0)) == nil || w.Commit() == nil {
			t.Error("a closed writer goes on")
		}
		if err := w.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
	})
}

func write(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

// BadPaths are paths that every Writer must refuse.
var BadPaths = []string{
	``, `\`, `\Files`, `/Files`, `..`, `..\a`, `Files\..`, `Files\..\a`, `Files\..\..\a`, `Files\.`, `Files\.\a`,
	`Files\`, `Files\\a`, `C:`, `C:\a`, `C:a`, `c:/a`, `\\server\share`, `\\?\C:\a`, `\??\C:\a`, `\\.\NUL`,
	`Files\a:b`, `Files\:b`, `Files\a:b\c`, `Files\a/b`, "Files\\a\x00b", "Files\\a\nb", `Files\a*`, `Files\a?`, `Files\a"`,
	`Files\a<b`, `Files\a>b`, `Files\a|b`, "Files\\\xff", "Files\\\xed\xa0\x80\xed\xb0\x80", `Files\.. `, `Files\...`, `Files\ `,
}

func (f Format) refusals(t *testing.T) {
	for _, p := range BadPaths {
		for _, kind := range []layer.Kind{layer.File, layer.Dir, layer.Whiteout} {
			w := f.start(t)
			err := w.Add(&layer.Entry{Path: p, Kind: kind})
			if err == nil {
				err = w.Commit()
			}
			if err == nil {
				t.Errorf("%v %q is accepted", kind, p)
			}
			w.Close()
		}
		if f.Lacks&Links != 0 {
			continue
		}
		w := f.start(t)
		if err := errors.Join(w.Add(file(`Files\target`, 0)), w.AddStream(&layer.Stream{})); err != nil {
			t.Fatal(err)
		}
		err := w.Add(&layer.Entry{Path: `Files\link`, Kind: layer.Link, Target: p})
		if err == nil {
			err = w.Commit()
		}
		if err == nil {
			t.Errorf("hard link to %q is accepted", p)
		}
		w.Close()
	}
}

func (f Format) abandoned(t *testing.T) {
	if !f.Publishes {
		return // the caller owns the output of this writer
	}
	w, open := f.New(t)
	src, _ := Random(5, f.shape()).Open()
	if _, err := layer.Copy(context.Background(), w, src); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := open()
	if err == nil {
		if _, err = r.Next(); err == nil {
			t.Error("a writer that was closed without Commit has published its layer")
		}
		r.Close()
	}
}

// Compare returns the differences between two layers, in words, nil if there are none. It
// ignores the features that the format lacks.
func (f Format) Compare(want, got *Layer, extents bool) []string {
	a, b := f.prepare(want), f.prepare(got)
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if len(a) != len(b) {
		say("%d entries, want %d", len(b), len(a))
	}
	for i := range min(len(a), len(b)) {
		x, y := &a[i], &b[i]
		if x.Path != y.Path || x.Kind != y.Kind || x.Target != y.Target {
			say("entry %d is %v %q -> %q, want %v %q -> %q", i, y.Kind, y.Path, y.Target, x.Kind, x.Path, x.Target)
			return out
		}
		differ := func(what string, x, y any) { say("%q: %s is %v, want %v", a[i].Path, what, y, x) }
		if x.Attributes != y.Attributes {
			differ("attributes", x.Attributes, y.Attributes)
		}
		if x.Times != y.Times {
			differ("times", x.Times, y.Times)
		}
		if !bytes.Equal(x.Security, y.Security) {
			differ("security", x.Security, y.Security)
		}
		if !bytes.Equal(x.Reparse, y.Reparse) {
			differ("reparse", x.Reparse, y.Reparse)
		}
		if !bytes.Equal(x.ObjectID, y.ObjectID) {
			differ("object identifier", x.ObjectID, y.ObjectID)
		}
		if x.NoMain != y.NoMain && f.Lacks&NoMain == 0 {
			differ("NoMain", x.NoMain, y.NoMain)
		}
		if !slices.EqualFunc(x.EAs, y.EAs, func(p, q winfs.EA) bool {
			return p.Name == q.Name && p.Flags == q.Flags && bytes.Equal(p.Value, q.Value)
		}) {
			differ("extended attributes", x.EAs, y.EAs)
		}
		if len(x.Streams) != len(y.Streams) {
			differ("number of streams", len(x.Streams), len(y.Streams))
			continue
		}
		for n := range x.Streams {
			p, q := &x.Streams[n], &y.Streams[n]
			if p.Name != q.Name || p.Sparse != q.Sparse && f.Lacks&Sparse == 0 || !bytes.Equal(p.Data, q.Data) {
				say("%q: stream %d (%q, %d bytes, sparse %v) is %q, %d bytes, sparse %v, or differs in content",
					x.Path, n, p.Name, len(p.Data), p.Sparse, q.Name, len(q.Data), q.Sparse)
			}
			if extents && f.Lacks&(Extents|Sparse) == 0 && p.Sparse && !slices.Equal(p.Extents, q.Extents) {
				say("%q: stream %q has the extents %v, want %v", x.Path, q.Name, q.Extents, p.Extents)
			}
		}
	}
	return out
}

// prepare copies the items without the properties that the format does not keep.
func (f Format) prepare(l *Layer) []Item {
	list := slices.Clone(l.Items)
	for i := range list {
		it := &list[i]
		it.EAs = slices.Clone(it.EAs)
		winfs.SortEAs(it.EAs)
		it.Streams = slices.Clone(it.Streams)
		if it.Kind == layer.Whiteout || it.Kind == layer.Opaque {
			it.Entry = layer.Entry{Path: it.Path, Kind: it.Kind}
		}
		if f.Normalize != nil {
			f.Normalize(it)
		}
	}
	if f.Unordered {
		slices.SortStableFunc(list, func(a, b Item) int {
			if c := winfs.CompareFold(a.Path, b.Path); c != 0 {
				return c
			}
			return int(a.Kind) - int(b.Kind)
		})
		firstNames(list)
		for i := range list {
			streams := list[i].Streams
			slices.SortFunc(streams, func(a, b Stream) int { return winfs.CompareFold(a.Name, b.Name) })
		}
	}
	if f.Lacks&LinkMetadata != 0 {
		sharedMetadata(list)
	}
	return list
}
