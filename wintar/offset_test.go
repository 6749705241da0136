package wintar_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/wintar"
)

// describe reads the rest of the current entry and returns it as text.
func describe(e *layer.Entry, r layer.Reader) (string, error) {
	text := fmt.Sprintf("%+v", *e)
	for {
		s, err := r.NextStream()
		if err == io.EOF {
			return text, nil
		}
		if err != nil {
			return text, err
		}
		data, err := io.ReadAll(io.LimitReader(r, 1<<20))
		text += fmt.Sprintf(" %+v %x", *s, data)
		if err != nil {
			return text, err
		}
	}
}

// startAnywhere compares each entry of an archive with the one that a reader yields which
// begins at the entry's offset.
func startAnywhere(t *testing.T, tar []byte) {
	r := wintar.NewReader(bytes.NewReader(tar))
	last, same := int64(-1), 0
	for index := int64(0); ; index++ {
		e, err := r.Next()
		if err != nil {
			return
		}
		at := r.Offset()
		if at%512 != 0 || at < last {
			t.Fatalf("entry %d is at %d, the one before at %d", index, at, last)
		}
		if same++; at != last {
			last, same = at, 0
		}
		want, wantErr := describe(e, r)
		other := wintar.NewReader(bytes.NewReader(tar[at:]), wintar.From(at, index-int64(same)))
		for range same {
			if _, err := other.Next(); err != nil {
				t.Fatalf("entry %d, from %d: %v", index, at, err)
			}
		}
		e, err = other.Next()
		if err != nil {
			t.Fatalf("entry %d, from %d: %v", index, at, err)
		}
		if other.Offset() != at {
			t.Errorf("entry %d: offset %d, then %d", index, at, other.Offset())
		}
		got, gotErr := describe(e, other)
		if got != want {
			t.Errorf("entry %d, from %d:\ngot  %.500s\nwant %.500s", index, at, got, want)
		}
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Errorf("entry %d: %v, want %v", index, gotErr, wantErr)
		}
	}
}

func TestOffsetHostile(t *testing.T) {
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy && os.Getenv("MULLION_LONG") != "1" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			b, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			startAnywhere(t, b)
		})
	}
}

func TestOffsetRandom(t *testing.T) {
	for seed := range uint64(20) {
		r, err := layertest.Random(seed, layertest.Shape{}).Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := wintar.NewWriter(&b)
		if _, err := layer.Copy(t.Context(), w, r); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Commit(), r.Close()); err != nil {
			t.Fatal(err)
		}
		startAnywhere(t, b.Bytes())
	}
}
