package regf

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// The vectors were computed by an independent program from the published
// description and confirmed on the entries of real logs.
func TestMarvin32Vectors(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "086e9603a4fc9eb3",
		"a":                "f492f226c713a021",
		"abc":              "f71419a4fc3dcfb9",
		"abcd":             "86d06c1ab14f0920",
		"Windows Registry": "5aefea64408cead7",
	} {
		got := hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, marvin32([]byte(in))))
		if got != want {
			t.Errorf("marvin32(%q) = %s, want %s", in, got, want)
		}
	}
}
