package winfs

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

var filetimeVectors = []struct {
	f   Filetime
	pax string
	utc string
}{
	// docs/spec/layers.md, "Vectors".
	{132356160001234567, "1591142400.1234567", "2020-06-03T00:00:00.1234567Z"},
	// Where int64 nanoseconds since 1970 end (docs/spec/layers.md, "Times"); true
	// values here.
	{24211015631452242, "-9223372036.8547758", "1677-09-21T00:12:43.1452242Z"},
	{24211015631452241, "-9223372036.8547759", "1677-09-21T00:12:43.1452241Z"},
	{208678456368547758, "9223372036.8547758", "2262-04-11T23:47:16.8547758Z"},
	{208678456368547759, "9223372036.8547759", "2262-04-11T23:47:16.8547759Z"},
	// Go's zero time in archives of other tools.
	{48491090211286549, "-6795364578.8713451", "1754-08-30T22:43:41.1286549Z"},
	{0, "-11644473600", "1601-01-01T00:00:00.0000000Z"},
	{1, "-11644473599.9999999", "1601-01-01T00:00:00.0000001Z"},
	{-1, "-11644473600.0000001", "1600-12-31T23:59:59.9999999Z"},
	{116444736000000000, "0", "1970-01-01T00:00:00.0000000Z"},
	{116444736000000001, "0.0000001", "1970-01-01T00:00:00.0000001Z"},
	{116444735999999999, "-0.0000001", "1969-12-31T23:59:59.9999999Z"},
	{116444735985000000, "-1.5", "1969-12-31T23:59:58.5000000Z"},
	{math.MaxInt64, "910692730085.4775807", "30828-09-14T02:48:05.4775807Z"},
	{math.MinInt64, "-933981677285.4775808", ""},
}

func TestFiletimeVectors(t *testing.T) {
	for _, c := range filetimeVectors {
		if got := c.f.PAX(); got != c.pax {
			t.Errorf("%d.PAX() = %s, want %s", c.f, got, c.pax)
		}
		if got, err := ParsePAXTime(c.pax); got != c.f || err != nil {
			t.Errorf("ParsePAXTime(%s) = %d, %v, want %d", c.pax, got, err, c.f)
		}
		if got := c.f.String(); c.utc != "" && got != c.utc {
			t.Errorf("%d.String() = %s, want %s", c.f, got, c.utc)
		}
		if got, err := FiletimeFromTime(c.f.Time()); got != c.f || err != nil {
			t.Errorf("%d through time.Time = %d, %v", c.f, got, err)
		}
	}
}

func TestFiletimeRange(t *testing.T) {
	for _, s := range []string{
		"910692730085.4775808", "910692730085.9999999", "910692730086", "99999999999999999999",
		"-933981677285.4775809", "-933981677285.9999999", "-933981677286", "-99999999999999999999",
		"9223372036854775807", "-9223372036854775807", "-9223372036854775808",
	} {
		if f, err := ParsePAXTime(s); !errors.Is(err, ErrTimeRange) {
			t.Errorf("ParsePAXTime(%s) = %d, %v", s, f, err)
		}
	}
	for _, u := range []time.Time{
		time.Unix(910692730085, 477580800), time.Unix(910692730086, 0), time.Unix(math.MaxInt64, 0),
		time.Unix(-933981677286, 522419100), time.Unix(-933981677287, 999999999), time.Unix(math.MinInt64, 0),
	} {
		if f, err := FiletimeFromTime(u); !errors.Is(err, ErrTimeRange) {
			t.Errorf("FiletimeFromTime(%v) = %d, %v", u, f, err)
		}
	}
	// One nanosecond below the first tick that is out of range, and the last below.
	if f, err := FiletimeFromTime(time.Unix(910692730085, 477580799)); f != math.MaxInt64 || err != nil {
		t.Errorf("last nanosecond: %d, %v", f, err)
	}
	if f, err := FiletimeFromTime(time.Unix(-933981677286, 522419200)); f != math.MinInt64 || err != nil {
		t.Errorf("first nanosecond: %d, %v", f, err)
	}
}

func TestPAXTimeSyntax(t *testing.T) {
	for _, s := range []string{"", "-", ".5", "-.5", "+1", "1e3", "0x1", " 1", "1 ", "1.-5", "1.5.5", "1,5", "--1", "1.5x",
		"1\x00", "1.00000000000000000000000000000000000000000000000000000000000000000"} {
		if f, err := ParsePAXTime(s); !errors.Is(err, ErrTimeSyntax) {
			t.Errorf("ParsePAXTime(%q) = %d, %v", s, f, err)
		}
	}
	for s, want := range map[string]string{"1.": "1", "-0": "0", "007.5000": "7.5", "1.123456789": "1.1234567",
		"-1.12345679": "-1.1234567", "-0.00000001": "0"} {
		f, err := ParsePAXTime(s)
		if err != nil || f.PAX() != want {
			t.Errorf("ParsePAXTime(%q) = %s, %v, want %s", s, f.PAX(), err, want)
		}
	}
}

// Over the whole range, with the density at every magnitude, PAX text is the exact decimal
// of the time and parses to the same time.
func TestFiletimePAXProperty(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		f := Filetime(int64(rng.Uint64()) >> rng.IntN(64))
		s := f.PAX()
		got, err := ParsePAXTime(s)
		if err != nil || got != f {
			t.Fatalf("%d -> %s -> %d, %v", f, s, got, err)
		}
		if back, err := FiletimeFromTime(f.Time()); err != nil || back != f {
			t.Fatalf("%d -> %v -> %d, %v", f, f.Time(), back, err)
		}
	}
	for range 2_000 {
		f := Filetime(int64(rng.Uint64()) >> rng.IntN(64))
		ticks := new(big.Int).Sub(big.NewInt(int64(f)), new(big.Int).Mul(big.NewInt(epochSeconds), big.NewInt(ticksPerSecond)))
		want := new(big.Rat).SetFrac(ticks, big.NewInt(ticksPerSecond))
		if got, ok := new(big.Rat).SetString(f.PAX()); !ok || got.Cmp(want) != 0 {
			t.Fatalf("%d.PAX() = %s, want %s", f, f.PAX(), want.FloatString(7))
		}
	}
}

func BenchmarkFiletimePAX(b *testing.B) {
	for b.Loop() {
		if Filetime(132356160001234567).PAX() == "" {
			b.Fatal("empty")
		}
	}
}
