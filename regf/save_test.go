package regf

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// mask blanks the two times that a saved hive holds and its checksum.
func mask(b []byte) []byte {
	b = append([]byte(nil), b...)
	clear(b[hdrSerialised : hdrSerialised+8])
	return b
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}

// What offreg wrote comes out byte for byte when it is saved again.
func TestSaveKeepsOffregLayout(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Corpus(t, "hives", "offreg-written"), "*"))
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	files = append(files, testenv.Corpus(t, "hives", "mkorman90_regipy", "SYSTEM"))
	for _, name := range files {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h, err := OpenBytes(want, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.Compact(&SaveOptions{Tag: true})
		if err != nil {
			t.Fatal(err)
		}
		if at := firstDifference(mask(got), mask(want)); at >= 0 {
			t.Errorf("%s: first difference at %#x", name, at)
			os.WriteFile("/tmp/regf/got_"+filepath.Base(name), got, 0o600)
		}
	}
}
