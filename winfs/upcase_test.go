package winfs

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// The digest of the table in three genuine CimFS images (docs/spec/cimfs.md, "Upcase
// table").
func TestUpcaseTableDigest(t *testing.T) {
	b := AppendUpcaseTable(nil)
	sum := sha256.Sum256(b)
	const want = "41c26bc7a12bdaeb26025c93118697c7e3ef81ee048b00fe5cce2a472e0e0742"
	if got := hex.EncodeToString(sum[:]); got != want || len(b) != UpcaseTableSize {
		t.Fatalf("table of %d bytes has digest %s, want %s", len(b), got, want)
	}
}

func TestCompareFold(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "A", 0}, {"a", "", 1}, {"", "a", -1},
		{"dlllist.txt", "FONT.DAT", -1}, {"configuration.txt", "dlllist.txt", -1},
		{"ÿ", "Ÿ", 0}, {"ß", "SS", 1}, {"ı", "I", 1}, {"straße", "STRASSE", 1},
		{"\U00010410", "\U00010438", -1},      // surrogates are not folded
		{"\uffff", "\U00010000", 1},           // units, not code points
		{"a\xed\xa0\x80", "A\xed\xa0\x80", 0}, // lone surrogate
		{"é", "É", 0}, {"_", "a", 1}, {"Z", "_", -1},
	} {
		if got := CompareFold(c.a, c.b); got != c.want {
			t.Errorf("CompareFold(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := Fold(c.a) == Fold(c.b); got != (c.want == 0) {
			t.Errorf("Fold(%q) == Fold(%q) is %v", c.a, c.b, got)
		}
	}
}

// TestFoldWords compares the form that maps words with the one that maps units, at each
// place and length around a word, for all bytes and for others than ASCII.
func TestFoldWords(t *testing.T) {
	check := func(s string) {
		t.Helper()
		want := string(appendFoldUnits(nil, s))
		if got := string(AppendFold([]byte("x"), s)); got != "x"+want {
			t.Fatalf("AppendFold(%q) is %q, want %q", s, got[1:], want)
		}
		if got := Fold(s); got != want {
			t.Fatalf("Fold(%q) is %q, want %q", s, got, want)
		}
	}
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				for _, fill := range []string{"a", "Z"} {
					b := []byte(strings.Repeat(fill, length))
					b[at] = byte(c)
					check(string(b))
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	parts := []string{"a", "Z", `\`, ".", "9", "ÿ", "\u1e9e", "ﬀ", "\U00010438", "\xed\xa0\x80", "\xed\xb0\x80", "\xff", "abcdefgh", "{`@["}
	for range 20000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		check(b.String())
		p, prefix := b.String(), parts[rng.IntN(len(parts))]+parts[rng.IntN(len(parts))]
		if got, want := Under(p, prefix), underUnits(p, prefix); got != want {
			t.Fatalf("Under(%q, %q) is %v, want %v", p, prefix, got, want)
		}
	}
}
