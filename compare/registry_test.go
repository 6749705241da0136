package compare_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mullion/mullion/compare"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/regf"
)

func key(t testing.TB, h *regf.Hive, path string, values ...string) {
	t.Helper()
	k, err := h.CreatePath(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := k.SetValue(v, regf.RegSZ, regf.StringData(v)); err != nil {
			t.Fatal(err)
		}
	}
}

func hiveChanges(t *testing.T, a, b *regf.Hive, opt compare.HiveOptions) (list []string) {
	t.Helper()
	for c, err := range compare.Hives(context.Background(), a, b, opt) {
		if err != nil {
			t.Fatal(err)
		}
		s := fmt.Sprintf("%v %v %s", c.Kind(), c.Field, c.Path)
		if c.Field == regf.FieldValue {
			s += " " + c.Name
		}
		if c.Keys+c.Values > 0 {
			s += fmt.Sprintf(" %d+%d", c.Keys, c.Values)
		}
		list = append(list, s)
	}
	return list
}

func TestHives(t *testing.T) {
	a, b := regf.New(nil), regf.New(nil)
	key(t, a, `Both`, "same", "gone")
	key(t, b, `Both`, "same", "new")
	key(t, b, `Added\One`, "v", "w")
	key(t, b, `Added\Two\Three`, "x")
	key(t, a, `Old`)
	for _, c := range []struct {
		name string
		a, b *regf.Hive
		opt  compare.HiveOptions
		want []string
	}{
		{"folded", a, b, compare.HiveOptions{}, []string{"added key Added 3+3", "removed value Both gone", "added value Both new", "removed key Old"}},
		{"unfolded", a, b, compare.HiveOptions{Unfold: true}, []string{"added key Added", `added key Added\One`, `added value Added\One v`,
			`added value Added\One w`, `added key Added\Two`, `added key Added\Two\Three`, `added value Added\Two\Three x`,
			"removed value Both gone", "added value Both new", "removed key Old"}},
		{"part", a, b, compare.HiveOptions{Keep: func(p string) bool { return p == `Added\One` }}, []string{`added key Added 1+2`}},
		{"added whole", nil, a, compare.HiveOptions{}, []string{"added key  2+2"}},
		{"removed whole", a, nil, compare.HiveOptions{Unfold: true}, []string{"removed key ", "removed key Both", "removed value Both same",
			"removed value Both gone", "removed key Old"}},
		{"neither", nil, nil, compare.HiveOptions{}, nil},
		{"same", b, b, compare.HiveOptions{}, nil},
	} {
		if got := hiveChanges(t, c.a, c.b, c.opt); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	big := regf.New(nil)
	for i := range 2000 {
		key(t, big, fmt.Sprint(i))
	}
	var last error
	for _, err := range compare.Hives(ctx, nil, big, compare.HiveOptions{Unfold: true}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("a canceled comparison ends with %v", last)
	}
}

// The hives of layers are taken out while the layers are read, by the rules of hives.Place.
func TestLayerHives(t *testing.T) {
	base, err := hives.Minimal(hives.Software, hives.OSVersion{Major: 10, Build: 20348})
	if err != nil {
		t.Fatal(err)
	}
	s := newScanner(t)
	config := hives.Software.Path(hives.Config)
	lower := scan(t, s, parse(t, "f "+config+"="+string(base)))
	same := scan(t, s, parse(t, "f "+config+"="+string(base), "f other=1"))
	upper := scan(t, s, parse(t, "f "+config+"=ordinary"))
	x, y := compare.NewLayerHives(nil, lower), compare.NewLayerHives(nil, same, upper)
	if !compare.SameHive(x, y, hives.Software) || compare.SameHive(x, y, hives.System) {
		t.Error("hives of the same files differ, or those that neither has are the same")
	}
	h, err := y.Open(context.Background(), hives.Software)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := hives.OSVersionOf(h); err != nil || v.Build != 20348 {
		t.Errorf("%v, %v", v, err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := x.Open(context.Background(), hives.System); !errors.Is(err, hives.ErrNoBase) {
		t.Errorf("a hive that is not there: %v", err)
	}
	for name, bad := range map[string]*layertest.Layer{
		"unpacked": parse(t, "f "+hives.System.Path(hives.Base)+"=x"),
		"link":     parse(t, "f a=1", "l "+hives.System.Path(hives.Config)+">a"),
		"both":     parse(t, "f "+hives.System.Path(hives.Config)+"=x", "f "+hives.System.Path(hives.Delta)+"=x"),
	} {
		r := compare.NewLayerHives(nil, scan(t, s, bad))
		var where *layer.Error
		if _, err := r.Open(context.Background(), hives.System); !errors.As(err, &where) || where.Entry == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzHives(f *testing.F) {
	a, b := regf.New(nil), regf.New(nil)
	key(f, a, `A\B`, "v")
	key(f, b, `A\C`, "w")
	for _, h := range []*regf.Hive{a, b} {
		image, err := h.Image()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(image, image, uint8(0))
		f.Add(image, image[:len(image)/2], uint8(1))
	}
	f.Fuzz(func(t *testing.T, x, y []byte, mode uint8) {
		opt := regf.Options{AllowHarmless: true, Mode: regf.Mode(mode % 3)}
		a, err := regf.OpenBytes(x, &opt)
		if err != nil {
			return
		}
		b, err := regf.OpenBytes(y, &opt)
		if err != nil {
			return
		}
		// No change is yielded more often than there are cells for it.
		most := (len(x) + len(y)) / 4
		for _, unfold := range []bool{false, true} {
			n := 0
			for c, err := range compare.Hives(context.Background(), a, b, compare.HiveOptions{Unfold: unfold}) {
				if err != nil {
					break
				}
				if n++; n > most {
					t.Fatalf("%d changes of %d and %d bytes", n, len(x), len(y))
				}
				if c.Field == regf.FieldSecurity {
					was, _ := c.A.Security()
					is, _ := c.B.Security()
					compare.Security(was, is)
				}
			}
		}
	})
}
