package winfs

import (
	"crypto/sha256"
	"encoding/hex"
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
