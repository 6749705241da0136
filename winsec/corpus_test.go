package winsec

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// hiveDescriptors calls f with the descriptor of every security cell in use in a
// registry hive. It knows just enough of the format to find them.
func hiveDescriptors(hive []byte, f func(sd []byte)) {
	const cellsAt, binHeader = 4096, 32
	for bin := cellsAt; bin+binHeader <= len(hive) && string(hive[bin:bin+4]) == "hbin"; {
		size := int(binary.LittleEndian.Uint32(hive[bin+8:]))
		if size < binHeader || size > len(hive)-bin {
			return
		}
		for cell := bin + binHeader; cell+4 <= bin+size; {
			n := int(int32(binary.LittleEndian.Uint32(hive[cell:])))
			used := n < 0
			n = max(n, -n)
			if n < 8 || n > bin+size-cell {
				break
			}
			body := hive[cell+4 : cell+n]
			if used && len(body) >= 20 && string(body[:2]) == "sk" {
				if sd := int(binary.LittleEndian.Uint32(body[16:])); sd > 0 && sd <= len(body)-20 {
					f(body[20 : 20+sd])
				}
			}
			cell += n
		}
		bin += size
	}
}

// Every descriptor in genuine hives parses, comes back byte for byte both as it
// was and composed anew from its parts, keeps its meaning through SDDL, and has
// nothing in it that Check calls fatal.
func TestGenuineHives(t *testing.T) {
	root := testenv.Corpus(t, "hives")
	seen := map[string]bool{}
	total, kept := 0, 0
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(b, []byte("regf")) {
			return err
		}
		hiveDescriptors(b, func(raw []byte) {
			if seen[string(raw)] {
				return
			}
			seen[string(raw)] = true
			total++
			d, err := Parse(raw)
			if err != nil {
				t.Errorf("%s: %v\n% x", e.Name(), err, raw)
				return
			}
			if got, err := d.Bytes(); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%s: written again % x, %v", e.Name(), got, err)
			}
			text := d.SDDL()
			d.raw = nil
			got, err := d.Bytes()
			if err != nil {
				t.Errorf("%s: %s: %v", e.Name(), text, err)
			}
			if bytes.Equal(got, raw) {
				kept++ // all but one with the offset of a list that is not there
			}
			back, err := ParseSDDL(text)
			if err != nil || back.SDDL() != text {
				t.Errorf("%s: %s: %v", e.Name(), text, err)
				return
			}
			// All that text does not carry in these: the layout, and unused bytes.
			back.SetLayout(d.layout)
			back.Control |= d.Control &^ (DACLPresent | SACLPresent)
			if back.DACL != nil && d.DACL != nil {
				back.DACL.Revision, back.DACL.Slack = d.DACL.Revision, d.DACL.Slack
			}
			if back.SACL != nil && d.SACL != nil {
				back.SACL.Revision, back.SACL.Slack = d.SACL.Revision, d.SACL.Slack
			}
			if again, err := back.Bytes(); err != nil || !bytes.Equal(again, got) {
				t.Errorf("%s: %s\nfrom text % x\nwas       % x, %v", e.Name(), text, again, got, err)
			}
			for _, p := range check(raw) {
				if fatal(p) {
					t.Errorf("%s: %s: %v", e.Name(), text, p)
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if total < 100 || total-kept > 1 {
		t.Errorf("%d descriptors were found, %d came out the same", total, kept)
	}
	t.Logf("%d distinct descriptors, %d of them composed anew to the same bytes", total, kept)
}

// Version 6.2 of the offline registry library lays the default descriptor out
// owner first, later ones list first, as RegistryDefault does.
func TestGenuineRegistryDefault(t *testing.T) {
	d, err := Parse(RegistryDefault())
	if err != nil {
		t.Fatal(err)
	}
	d.SetLayout(OwnerFirst)
	ownerFirst, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{
		"AndrewRathbun_DFIRArtifactMuseum/ELAM": RegistryDefault(),
		"offreg-written/version_6.1":            ownerFirst,
	} {
		b, err := os.ReadFile(testenv.Corpus(t, "hives", filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		hiveDescriptors(b, func(raw []byte) { found = found || bytes.Equal(raw, want) })
		if !found {
			t.Errorf("%s has no such descriptor", path)
		}
	}
}
