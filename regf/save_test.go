package regf

import (
	"fmt"
	"os"
	"path/filepath"
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
		sk, err := h.cell(k.SecurityCell())
		if err != nil {
			t.Fatal(err)
		}
		if h.fresh() {
			clear(sk[2:4]) // memory that offreg never set, where it made the cell itself
		}
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

// What offreg wrote comes out byte for byte when it is saved again.
func TestSaveKeepsOffregLayout(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Corpus(t, "hives", "offreg-written"), "*"))
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	files = append(files, testenv.Corpus(t, "hives", "mkorman90_regipy", "SYSTEM"))
	for _, name := range files {
		if filepath.Base(name) == "version_5.0" {
			continue // lh lists in a version 3 file: only a hive made in memory gives that
		}
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
		}
	}
}

// The same edits as were made through offreg give the same bytes.
func TestSaveAsOffregDid(t *testing.T) {
	compare := func(t *testing.T, h *Hive, opt *SaveOptions, file ...string) {
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
		compare(t, h, &SaveOptions{Minor: 5, Tag: true}, "mkorman90_regipy", "SYSTEM")
	})
	sd := offregChildDescriptor(t)
	for _, n := range []int{1, 506, 507, 508, 1012, 1013, 1014, 1015, 1016} {
		for _, order := range []string{"ascending", "descending"} {
			t.Run(fmt.Sprint(order, n), func(t *testing.T) {
				h := New(nil)
				for i := range n {
					if order == "descending" {
						i = n - 1 - i
					}
					if _, _, err := h.Root().CreateWith(fmt.Sprintf("k%05d", i), CreateOptions{Security: sd}); err != nil {
						t.Fatal(err)
					}
				}
				requireClean(t, h)
				compare(t, h, &SaveOptions{Minor: 5, Tag: true}, "offreg-written", fmt.Sprint("ascending_", n))
			})
		}
	}
	for version, minor := range map[string]int{"version_5.0": 3, "version_6.1": 5} {
		t.Run(version, func(t *testing.T) {
			h := New(nil)
			alpha, _, err := h.Root().CreateWith("Alpha", CreateOptions{Security: sd})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := h.Root().CreateWith("beta", CreateOptions{Security: sd}); err != nil {
				t.Fatal(err)
			}
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
			compare(t, h, &SaveOptions{Minor: minor, Tag: true}, "offreg-written", version)
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

// offregChildDescriptor is what keys below the root of the sample hives have.
func offregChildDescriptor(t *testing.T) []byte {
	h, err := Open(testenv.Corpus(t, "hives", "offreg-written", "ascending_1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	k, err := h.Key("k00000")
	if err != nil {
		t.Fatal(err)
	}
	sd, err := k.Security()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(nil), sd...)
}
