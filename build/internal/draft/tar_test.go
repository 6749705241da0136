package draft_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

// asTar writes a layer as a tar.
func asTar(t testing.TB, l layer.Source) []byte {
	t.Helper()
	r, err := l.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	if _, err := layer.Convert(context.Background(), w, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asSource(d *draft.Draft) layer.Source { return layer.SourceFunc(d.Layer) }

// tidy is a base layer without alternate streams, of which checks have nothing to say.
func tidy(t testing.TB) *layertest.Layer {
	t.Helper()
	l := base(t)
	for i := range l.Items {
		it := &l.Items[i]
		if it.Kind == layer.Dir {
			it.Streams = nil
		} else if len(it.Streams) > 1 {
			it.Streams = it.Streams[:1]
		}
	}
	return l
}

// everything makes a change of every kind. Its steps are independent of each other.
func everything(t testing.TB, d *draft.Draft, order []int) {
	t.Helper()
	symlink, err := winfs.EncodeSymlink(`..\f`)
	if err != nil {
		t.Fatal(err)
	}
	steps := []func() error{
		func() error { return d.MkdirAll(`Files\New\deep\er`, draft.Meta{}) },
		func() error { return d.Write(`Files\n1`, text("new"), draft.Meta{}) },
		func() error { return d.Write(`Files\a\f`, text("replaced"), draft.Meta{}) },
		func() error { return d.Write(`Files\n0`, text(""), draft.Meta{Attributes: winfs.AttrHidden}) },
		func() error { return d.RemoveAll(`Files\c\d`) },
		func() error { return d.Link(`Files\linked`, `Files\f`) },
		func() error { return d.Rename(`Files\c\f`, `Files\c\moved`) },
		func() error { return d.Reparse(`Files\a\link`, false, symlink, draft.Meta{}) },
		func() error {
			return d.Set(`Files\a\h`, func(e *layer.Entry) error { e.Attributes |= winfs.AttrReadOnly; return nil })
		},
	}
	for _, i := range order {
		if err := steps[i](); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

var inOrder, backwards = []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, []int{8, 7, 6, 5, 4, 3, 2, 1, 0}

// The tar of a draft has no finding, neither does that of the base below it.
func TestTarHasNoFinding(t *testing.T) {
	bottom := tidy(t)
	d := draft.New(union(t, bottom), options())
	everything(t, d, inOrder)
	var below layer.Below
	for _, l := range []struct {
		name string
		from layer.Source
		opts []wintar.Option
	}{
		{"base", bottom, nil}, {"draft", asSource(d), []wintar.Option{wintar.HasParents()}},
	} {
		for f, err := range wintar.Check(context.Background(), bytes.NewReader(asTar(t, l.from)), append(l.opts, wintar.Below(&below))...) {
			if err != nil {
				t.Fatal(err)
			}
			t.Errorf("%s: %s %s: %s", l.name, f.Rule, f.Path, f.Message)
		}
	}
}

// The bytes of a layer depend on the changes, not on their order or on the tables in memory.
func TestTarIsReproducible(t *testing.T) {
	var want [32]byte
	for round := range 8 {
		d := draft.New(union(t, tidy(t)), options())
		order := inOrder
		if round%2 == 1 {
			order = backwards
		}
		everything(t, d, order)
		for range 2 {
			sum := sha256.Sum256(asTar(t, asSource(d)))
			if want == ([32]byte{}) {
				want = sum
			}
			if sum != want {
				t.Fatalf("round %d: %x, want %x", round, sum, want)
			}
		}
	}
}

// What is taken back leaves nothing in the layer.
func TestTakenBack(t *testing.T) {
	d := draft.New(union(t, tidy(t)), options())
	for _, err := range []error{
		d.MkdirAll(`Files\x\y`, draft.Meta{}), d.Write(`Files\x\y\z`, text("z"), draft.Meta{}),
		d.Link(`Files\x\l`, `Files\x\y\z`), d.RemoveAll(`Files\X`),
		d.Rename(`Files\f`, `Files\g`), d.Rename(`Files\g`, `Files\f`),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !d.Empty() {
		t.Errorf("the layer has\n%s", entries(recorded(t, d)))
	}
}

// broken is a content that is not what it says.
type broken struct {
	size int64
	data string
	open error
}

func (b broken) Size() int64 { return b.size }

func (b broken) Open() (io.ReadCloser, error) {
	if b.open != nil {
		return nil, b.open
	}
	return io.NopCloser(strings.NewReader(b.data)), nil
}

// A content that has changed is an error with the path, never a layer with other bytes.
func TestBrokenContent(t *testing.T) {
	gone := fmt.Errorf("opening: %w", fs.ErrNotExist)
	for name, c := range map[string]struct {
		data broken
		want error
	}{
		"shorter": {broken{size: 5, data: "four"}, io.ErrUnexpectedEOF},
		"longer":  {broken{size: 3, data: "four"}, draft.ErrContent},
		"gone":    {broken{size: 3, open: gone}, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			d := draft.New(union(t, tidy(t)), options())
			if err := d.Write(`Files\a\new`, c.data, draft.Meta{}); err != nil {
				t.Fatal(err)
			}
			r, err := d.Layer()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			_, err = layer.Copy(context.Background(), wintar.NewWriter(io.Discard), r)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), `Files\\a\\new`) && !strings.Contains(err.Error(), `Files\a\new`) {
				t.Errorf("error %v, want %v with the path", err, c.want)
			}
		})
	}
	d := draft.New(union(t, tidy(t)), options())
	if err := d.Write(`Files\new`, broken{size: -1}, draft.Meta{}); !errors.Is(err, draft.ErrContent) || !d.Empty() {
		t.Errorf("a negative size: %v", err)
	}
}

// A descriptor that cannot be decoded gets into no layer, and one that can is copied.
func TestBadSecurity(t *testing.T) {
	d := draft.New(union(t, tidy(t)), options())
	bad := []byte{1, 2, 3}
	for what, err := range map[string]error{
		"new file":      d.Write(`Files\new`, text("x"), draft.Meta{Security: bad}),
		"old file":      d.Write(`Files\f`, text("x"), draft.Meta{Security: bad}),
		"new directory": d.Mkdir(`Files\new`, draft.Meta{Security: bad}),
		"set":           d.Set(`Files\a\f`, func(e *layer.Entry) error { e.Security = bad; return nil }),
		"copy":          d.Copy(`Files\f`, `Files\new`, draft.Meta{Security: bad}),
	} {
		if !errors.Is(err, winsec.ErrTruncated) || !strings.Contains(err.Error(), "Files") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !d.Empty() {
		t.Errorf("the layer has\n%s", entries(recorded(t, d)))
	}
	good := sddl(t, "O:BAG:SYD:(A;;FA;;;BA)")
	given := bytes.Clone(good)
	for _, err := range []error{
		d.Write(`Files\f`, text("x"), draft.Meta{Security: given}), d.Write(`Files\new`, text("x"), draft.Meta{Security: given}),
		d.Set(`Files\a\f`, func(e *layer.Entry) error { e.Security = given; return nil }),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	clear(given)
	for _, p := range []string{`Files\f`, `Files\new`, `Files\a\f`} {
		if it, err := d.Lookup(p); err != nil || !bytes.Equal(it.Security, good) {
			t.Errorf("%s: %x, %v", p, it.Security, err)
		}
	}
}
