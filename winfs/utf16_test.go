package winfs

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func TestUTF16Vectors(t *testing.T) {
	for _, c := range []struct {
		units []uint16
		s     string
	}{
		{nil, ""},
		{[]uint16{'a', 0, 0x7f}, "a\x00\x7f"},
		{[]uint16{0x80, 0x7ff, 0x800, 0xffff}, "\u0080\u07ff\u0800\uffff"},
		{[]uint16{0xd7ff, 0xe000}, "\ud7ff\ue000"},
		{[]uint16{0xd800, 0xdc00, 0xdbff, 0xdfff}, "\U00010000\U0010ffff"},
		{[]uint16{0xd800}, "\xed\xa0\x80"},
		{[]uint16{0xdfff}, "\xed\xbf\xbf"},
		{[]uint16{0xdc00, 0xd800}, "\xed\xb0\x80\xed\xa0\x80"},       // the wrong way round
		{[]uint16{0xd800, 0xd800, 0xdc00}, "\xed\xa0\x80\U00010000"}, // high, pair
		{[]uint16{0xd800, 0xdc00, 0xdc00}, "\U00010000\xed\xb0\x80"}, // pair, low
		{[]uint16{0xd800, 'x', 0xdc00}, "\xed\xa0\x80x\xed\xb0\x80"}, // apart
		{[]uint16{'x', 0xdbff, 0xfffd}, "x\xed\xaf\xbf\ufffd"},       // replacement character is its own
	} {
		if got := DecodeUTF16(c.units); got != c.s {
			t.Errorf("DecodeUTF16(%x) = %q, want %q", c.units, got, c.s)
		}
		if got := AppendUTF16(nil, c.s); !reflect.DeepEqual(got, c.units) {
			t.Errorf("AppendUTF16(%q) = %x, want %x", c.s, got, c.units)
		}
		if !ValidWTF8(c.s) || UTF16Len(c.s) != len(c.units) {
			t.Errorf("%q: valid %v, %d units", c.s, ValidWTF8(c.s), UTF16Len(c.s))
		}
	}
	for _, bad := range []string{"\xff", "\x80", "\xc0\x80", "\xe0\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xc3", "\xed\xa0",
		"\xed\xa0\x80\xed\xb0\x80", "a\xed\xaf\xbf\xed\xbf\xbfb", "\xed\xa0\xc0"} {
		if ValidWTF8(bad) {
			t.Errorf("%q is taken for WTF-8", bad)
		}
	}
	if s := DecodeUTF16LE([]byte{'a', 0, 'b'}); s != "a" {
		t.Errorf("odd byte: %q", s)
	}
}

// randomUnits has many surrogates, whole and broken.
func randomUnits(rng *rand.Rand) []uint16 {
	u := make([]uint16, rng.IntN(12))
	for i := range u {
		switch rng.IntN(4) {
		case 0:
			u[i] = uint16(surrogateMin + rng.IntN(0x800))
		case 1:
			u[i] = uint16(rng.IntN(0x80))
		default:
			u[i] = uint16(rng.Uint32())
		}
	}
	return u
}

// Each sequence of units has exactly one WTF-8 form, and each valid string one
// sequence.
func TestWTF8Unique(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		u := randomUnits(rng)
		s := DecodeUTF16(u)
		if back := AppendUTF16(nil, s); len(u)+len(back) > 0 && !reflect.DeepEqual(back, u) {
			t.Fatalf("%x -> %q -> %x", u, s, back)
		}
		if !ValidWTF8(s) || UTF16Len(s) != len(u) {
			t.Fatalf("%x -> %q: valid %v, %d units", u, s, ValidWTF8(s), UTF16Len(s))
		}
		if le := AppendUTF16LE(nil, s); len(le) != 2*len(u) || DecodeUTF16LE(le) != s {
			t.Fatalf("%q as bytes", s)
		}
		// The standard library must agree on well-formed text.
		if r := utf16.Decode(u); !strings.ContainsRune(string(r), utf8.RuneError) && string(r) != s {
			t.Fatalf("%x: %q, library %q", u, s, string(r))
		}
		if n := rng.IntN(len(s) + 1); ValidWTF8(s[:n]) { // a valid string from elsewhere
			if back := DecodeUTF16(AppendUTF16(nil, s[:n])); back != s[:n] {
				t.Fatalf("%q -> %q", s[:n], back)
			}
		}
	}
}

// foldTwin is Fold without any fast path.
func foldTwin(s string) string {
	u := AppendUTF16(nil, s)
	for i := range u {
		u[i] = Upcase(u[i])
	}
	return DecodeUTF16(u)
}

func compareTwin(a, b string) int {
	x, y := AppendUTF16(nil, a), AppendUTF16(nil, b)
	for i := range min(len(x), len(y)) {
		if p, q := Upcase(x[i]), Upcase(y[i]); p != q {
			if p < q {
				return -1
			}
			return 1
		}
	}
	switch {
	case len(x) < len(y):
		return -1
	case len(x) > len(y):
		return 1
	}
	return 0
}

func checkFold(t *testing.T, a, b string) {
	t.Helper()
	want := compareTwin(a, b)
	if got := CompareFold(a, b); got != want || CompareFold(b, a) != -want {
		t.Fatalf("CompareFold(%q, %q) = %d, want %d", a, b, got, want)
	}
	if got := compareUnits(a, b); got != want {
		t.Fatalf("compareUnits(%q, %q) = %d, want %d", a, b, got, want)
	}
	fa, fb := Fold(a), Fold(b)
	if fa != foldTwin(a) || fb != foldTwin(b) || Fold(fa) != fa {
		t.Fatalf("Fold(%q) = %q, want %q", a, fa, foldTwin(a))
	}
	if (fa == fb) != (want == 0) || EqualFold(a, b) != (want == 0) {
		t.Fatalf("%q and %q: equal folded %v, compared %d", a, b, fa == fb, want)
	}
	if ValidWTF8(a) && (!ValidWTF8(fa) || UTF16Len(fa) != UTF16Len(a)) {
		t.Fatalf("Fold(%q) = %q has other units", a, fa)
	}
	// Under is the prefix rule in folded form.
	if want := b != "" && strings.HasPrefix(fa, fb+`\`) && len(fa) > len(fb)+1; b != "" && Under(a, b) != want {
		t.Fatalf("Under(%q, %q) = %v", a, b, !want)
	}
}

func TestFoldProperty(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 50_000 {
		u := randomUnits(rng)
		a := DecodeUTF16(u)
		v := append([]uint16(nil), u...)
		for i := range v { // often the same name in other case
			if x := Upcase(v[i]); rng.IntN(2) == 0 {
				v[i] = x
			} else if rng.IntN(8) == 0 {
				v[i] ^= 0x20
			}
		}
		checkFold(t, a, DecodeUTF16(v))
		checkFold(t, a+`\x`, DecodeUTF16(v))
	}
	for u := range 0x10000 {
		if x := Upcase(uint16(u)); Upcase(x) != x {
			t.Errorf("%#x -> %#x -> %#x", u, x, Upcase(x))
		}
	}
}

func TestGUID(t *testing.T) {
	const text = "00112233-4455-6677-8899-aabbccddeeff"
	for _, s := range []string{text, "{" + text + "}", strings.ToUpper(text)} {
		g, err := ParseGUID(s)
		if err != nil || g.String() != text {
			t.Errorf("%s: %v, %v", s, g, err)
		}
		w := [16]byte{0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
		if g.Windows() != w || GUIDFromWindows(w) != g {
			t.Errorf("%s: on disk % x", s, g.Windows())
		}
	}
	for _, bad := range []string{"", text[1:], text + "0", "{" + text, "{" + text[1:] + "}", strings.ReplaceAll(text, "-", "_"),
		strings.Replace(text, "f", "g", 1), "0011223-34455-6677-8899-aabbccddeeff"} {
		if g, err := ParseGUID(bad); !errors.Is(err, ErrBadGUID) || g != (GUID{}) {
			t.Errorf("%q: %v, %v", bad, g, err)
		}
	}
}

func TestAttributesString(t *testing.T) {
	for a, want := range map[Attributes]string{
		0: "------------", AttrDirectory | AttrHidden | AttrSystem: "D---HS------", AttrArchive: "--A---------",
		AttrReparsePoint | AttrDirectory: "DL----------", 0xFFFFFFFF: "DLARHSPCIOTE", AttrNormal: "------------",
	} {
		if got := a.String(); got != want {
			t.Errorf("%#x: %s, want %s", uint32(a), got, want)
		}
	}
}

const (
	benchA = `Files\Windows\System32\DriverStore\FileRepository\prnms003.inf_amd64_0123456789abcdef\Amd64\unidrvui.dll`
	benchB = `Files\Windows\System32\DriverStore\FileRepository\prnms003.inf_AMD64_0123456789abcdef\AMD64\unidrvui.dlx`
)

func BenchmarkCompareFold(b *testing.B) {
	b.Run("fast", func(b *testing.B) {
		for b.Loop() {
			if CompareFold(benchA, benchB) != -1 {
				b.Fatal("order")
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			if compareUnits(benchA, benchB) != -1 {
				b.Fatal("order")
			}
		}
	})
}

func BenchmarkFold(b *testing.B) {
	upper := Fold(benchA)
	for name, s := range map[string]string{"mixed": benchA, "folded": upper, "umlauts": benchA + `\ÄÖÜäöü`} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if Fold(s) == "" {
					b.Fatal("empty")
				}
			}
		})
	}
}

func BenchmarkValidatePath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := ValidatePath(benchA); err != nil {
			b.Fatal(err)
		}
	}
}
