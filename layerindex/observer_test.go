package layerindex_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/layerindex"
	"github.com/mullion/mullion/wintar"
)

// observe checks a blob, reading some of each file or nothing, and returns the index, nil
// if it leaves none.
func observe(t testing.TB, stored []byte, most int64) *layerindex.Index {
	t.Helper()
	b, err := blob.NewReader(t.Context(), bytes.NewReader(stored), blob.WithMap(64<<10))
	if err != nil {
		return nil
	}
	defer b.Close()
	o := layerindex.Observe()
	each := func(_ *layer.Entry, data io.Reader, _ func(finding.Finding)) {
		io.Copy(io.Discard, io.LimitReader(data, most))
	}
	for _, err := range wintar.Check(t.Context(), b, wintar.Observe(o), wintar.Each(each)) {
		if err != nil {
			return nil
		}
	}
	if b.Finish() != nil {
		return nil
	}
	return o.Index(b)
}

// sameIndex compares the index that a check leaves with that of a reader.
func sameIndex(t *testing.T, stored []byte) (made bool) {
	t.Helper()
	for _, most := range []int64{0, 100} {
		way := ways["streams"]
		if most > 0 {
			way = ways["parts"]
		}
		want, err := record(t, stored, way)
		if err != nil {
			want = nil
		}
		got := observe(t, stored, most)
		switch {
		case (got == nil) != (want == nil):
			t.Errorf("a check leaves an index: %v; a reader: %v (%v)", got != nil, want != nil, err)
		case got != nil && most == 0 && !bytes.Equal(encode(t, got), encode(t, want)):
			t.Error("a check leaves another index than a reader")
		}
		made = made || got != nil
	}
	return made
}

// A check leaves the index that a reader of the layer leaves, and none where that has none.
func TestObserve(t *testing.T) {
	for seed := range uint64(4) {
		var tar bytes.Buffer
		w := wintar.NewWriter(&tar)
		r, err := layertest.Random(seed, layertest.Shape{Entries: 200, MaxSize: 20_000}).Open()
		if err == nil {
			_, err = layer.Copy(t.Context(), w, r)
		}
		if err == nil {
			err = w.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []blob.Format{blob.Plain, blob.Gzip, blob.Zstd} {
			if !sameIndex(t, pack(t, f, tar.Bytes())) {
				t.Errorf("seed %d, %v: no index", seed, f)
			}
		}
	}
	made, none := 0, 0
	for _, c := range hostile.Cases() {
		if c.Heavy {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			b, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if sameIndex(t, b) {
				made++
			} else {
				none++
			}
		})
	}
	if made < 10 || none < 10 {
		t.Errorf("%d cases with an index, %d without", made, none)
	}
}

// FuzzObserve: the same for any archive.
func FuzzObserve(f *testing.F) {
	f.Add(sample(f, 20))
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy {
			continue
		}
		if b, err := c.Bytes(); err == nil && len(b) < 16<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, tar []byte) { sameIndex(t, tar) })
}
