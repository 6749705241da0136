package wintar_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

func seeds(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(archive(f, layertest.Random(seed, layertest.Shape{Entries: 12, MaxSize: 600, Without: layertest.Sparse})))
	}
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy {
			continue
		}
		if b, err := c.Bytes(); err == nil && len(b) < 16<<10 {
			f.Add(b)
		}
	}
}

// fuzzLimits keep holes of terabytes from taking the time of the fuzzer.
var fuzzLimits = layer.Limits{FileSize: 1 << 20, TotalSize: 4 << 20, Entries: 10_000}

// FuzzReader: no archive makes the reader panic, nothing it yields is invalid, and accepted
// archives are written again with the same content, and then to the byte.
func FuzzReader(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(b []byte) (*layertest.Layer, error) {
			rec := &layertest.Recorder{}
			_, err := layer.Copy(context.Background(), rec, wintar.NewReader(io.MultiReader(bytes.NewReader(b))), layer.WithLimits(fuzzLimits))
			return &rec.Layer, err
		}
		l, err := read(data)
		for i := range l.Items {
			e := &l.Items[i].Entry
			if err := winfs.ValidatePath(e.Path); err != nil || e.Path == "" {
				t.Fatalf("the path %q came through: %v", e.Path, err)
			}
			if err := winfs.ValidatePath(e.Target); err != nil || e.Kind == layer.Link && e.Target == "" {
				t.Fatalf("the target %q came through: %v", e.Target, err)
			}
			if (e.Kind == layer.Dir) != (e.Attributes&winfs.AttrDirectory != 0) && e.Kind != layer.Link && e.Kind < layer.Whiteout {
				t.Fatalf("%q is a %v with the attributes %v", e.Path, e.Kind, e.Attributes)
			}
			if e.IsReparsePoint() {
				if _, err := winfs.ParseReparse(e.Reparse); err != nil {
					t.Fatalf("the reparse data of %q came through: %v", e.Path, err)
				}
			}
		}
		if err != nil {
			return
		}
		write := func(l *layertest.Layer) []byte {
			var b bytes.Buffer
			w := wintar.NewWriter(&b)
			r, _ := l.Open()
			if _, err := layer.Copy(context.Background(), w, r, layer.WithLimits(fuzzLimits)); err != nil {
				t.Fatalf("what was read is not written: %v", err)
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
		first := write(l)
		again, err := read(first)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		for _, d := range (layertest.Format{}).Compare(l, again, false) {
			t.Error(d)
		}
		if !bytes.Equal(first, write(again)) {
			t.Error("what was written is not written again to the byte")
		}
	})
}

// FuzzCheck: the check never panics, ends, and finds something in every archive that the
// reader refuses.
func FuzzCheck(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		severe := false
		for f, err := range wintar.Check(t.Context(), bytes.NewReader(data)) {
			if err != nil {
				t.Fatal(err)
			}
			if f.Rule == "" || f.Message == "" || f.Severity == 0 {
				t.Fatalf("%+v", f)
			}
			severe = severe || f.Severity == finding.Error
		}
		r := wintar.NewReader(bytes.NewReader(data))
		for {
			_, err := r.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				if !severe {
					t.Errorf("the reader says %v, and the check has nothing to say", err)
				}
				return
			}
		}
	})
}
