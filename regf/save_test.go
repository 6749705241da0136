package regf

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// mask blanks the time of serialisation.
func mask(b []byte) []byte {
	b = append([]byte(nil), b...)
	clear(b[hdrSerialised : hdrSerialised+8])
	return b
}

// maskKeys blanks the time of every key too.
func maskKeys(t *testing.T, b []byte) []byte {
	t.Helper()
	b = mask(b)
	h, err := OpenBytes(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		node, err := k.node()
		if err != nil {
			t.Fatal(err)
		}
		clear(node[nkTime : nkTime+8])
	}
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

// Saving a hive that offreg wrote reproduces it byte for byte.
func TestSaveKeepsOffregLayout(t *testing.T) {
	for _, name := range []string{testenv.Corpus(t, "hives", "mkorman90_regipy", "SYSTEM")} {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h, err := OpenBytes(want, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.Compact(&CompactOptions{Tag: true})
		if err != nil {
			t.Fatal(err)
		}
		if at := firstDifference(mask(got), mask(want)); at >= 0 {
			t.Errorf("%s: first difference at %#x", name, at)
		}
	}
}

// The same edits as were made through offreg produce the same bytes.
func TestSaveAsOffregDid(t *testing.T) {
	compare := func(t *testing.T, h *Hive, opt *CompactOptions, file ...string) {
		t.Helper()
		want, err := os.ReadFile(testenv.Corpus(t, append([]string{"hives"}, file...)...))
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.Compact(opt)
		if err != nil {
			t.Fatal(err)
		}
		if at := firstDifference(maskKeys(t, got), maskKeys(t, want)); at >= 0 {
			t.Errorf("%v: first difference at %#x", file, at)
		}
	}
	t.Run("SYSTEM", func(t *testing.T) {
		h, err := Open(testenv.Corpus(t, "hives", "mkorman90_regipy", "SYSTEM_before_offreg"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		k, err := h.Key(`ControlSet001\Control\SecurityProviders\WDigest`)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetValue("UseLogonCredential", RegDword, useLogon(t)); err != nil {
			t.Fatal(err)
		}
		compare(t, h, &CompactOptions{Minor: 5, Tag: true}, "mkorman90_regipy", "SYSTEM")
	})
}

// lists describes the subkey lists of a hive: for every key with subkeys the entries of
// each leaf.
func lists(t *testing.T, h *Hive) string {
	t.Helper()
	var b strings.Builder
	for k, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		if k.SubkeyCount() == 0 {
			continue
		}
		list := k.field32(nkList)
		c, sig, n, _, err := h.leafOf(list)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%q %#x %d", k.Path(), sig, n)
		for i := 0; sig == sigRI && i < n; i++ {
			_, lsig, ln, _, err := h.leafOf(u32(c[4+4*i:]))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, " %#x:%d", lsig, ln)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// The hives that offreg 6.2 created: the same edits produce the same fields and the same
// lists. Cells are in the places of 10.0, see TestGoldenEdits for those.
func TestEditsGiveTheListsOfOffreg(t *testing.T) {
	same := func(t *testing.T, h *Hive, minor int, file string) {
		t.Helper()
		want, err := Open(testenv.Corpus(t, "hives", "offreg-written", file), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		for d, err := range Compare(h, want, CompareOptions{}) {
			t.Fatalf("%v, %v", d, err)
		}
		b, err := h.Compact(&CompactOptions{Minor: minor, Tag: true})
		if err != nil {
			t.Fatal(err)
		}
		if h, err = OpenBytes(b, nil); err != nil {
			t.Fatal(err)
		}
		requireClean(t, h)
		if got, wanted := lists(t, h), lists(t, want); got != wanted || h.minor != want.minor {
			t.Errorf("version %d, lists\n%s\nwant %d\n%s", h.minor, got, want.minor, wanted)
		}
	}
	// The root and the keys below it have the descriptors of 6.2.
	create := func(t *testing.T) (*Hive, CreateOptions) {
		t.Helper()
		src, err := Open(testenv.Corpus(t, "hives", "offreg-written", "ascending_1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		h := New(nil)
		root, err := src.Root().Security()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Root().SetSecurity(root); err != nil {
			t.Fatal(err)
		}
		k, err := src.Key("k00000")
		if err != nil {
			t.Fatal(err)
		}
		sd, err := k.Security()
		if err != nil {
			t.Fatal(err)
		}
		return h, CreateOptions{Security: append([]byte(nil), sd...)}
	}
	key := func(t *testing.T, h *Hive, name string, opt CreateOptions) Key {
		t.Helper()
		k, _, err := h.Root().CreateWith(name, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetSecurity(opt.Security); err != nil { // Create writes the lists first
			t.Fatal(err)
		}
		return k
	}
	for _, n := range []int{1, 506, 507, 508, 1012, 1013, 1014, 1015, 1016} {
		for _, order := range []string{"ascending", "descending"} {
			t.Run(fmt.Sprint(order, n), func(t *testing.T) {
				h, opt := create(t)
				for i := range n {
					if order == "descending" {
						i = n - 1 - i
					}
					key(t, h, fmt.Sprintf("k%05d", i), opt)
				}
				requireClean(t, h)
				same(t, h, 5, fmt.Sprint("ascending_", n))
			})
		}
	}
	for version, minor := range map[string]int{"version_5.0": 3, "version_6.1": 5} {
		t.Run(version, func(t *testing.T) {
			h, opt := create(t)
			alpha := key(t, h, "Alpha", opt)
			key(t, h, "beta", opt)
			source, err := Open(testenv.Corpus(t, "hives", "offreg-written", version), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			from, err := source.Key("alpha")
			if err != nil {
				t.Fatal(err)
			}
			for v, err := range from.Values() {
				if err != nil {
					t.Fatal(err)
				}
				data, err := v.Data()
				if err != nil {
					t.Fatal(err)
				}
				if err := alpha.SetValue(v.Name(), v.Type(), data); err != nil {
					t.Fatal(err)
				}
			}
			requireClean(t, h)
			same(t, h, minor, version)
		})
	}
}

// useLogon is the data that was set in the genuine hive.
func useLogon(t *testing.T) []byte {
	h, err := Open(testenv.Corpus(t, "hives", "mkorman90_regipy", "SYSTEM"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	k, err := h.Key(`ControlSet001\Control\SecurityProviders\WDigest`)
	if err != nil {
		t.Fatal(err)
	}
	v, err := k.Value("UseLogonCredential")
	if err != nil {
		t.Fatal(err)
	}
	data, err := v.AppendData(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
