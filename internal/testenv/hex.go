package testenv

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Hex returns the bytes of a vector that is written down in hexadecimal digits. White
// space, commas and bars separate fields and mean nothing.
func Hex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "", ",", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
