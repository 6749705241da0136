package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// hiveFile writes a hive that change has edited.
func hiveFile(t *testing.T, name string, layered bool, change func(h *regf.Hive) error) {
	t.Helper()
	h := regf.New(&regf.Options{Clock: func() winfs.Filetime { return 5 }})
	if err := h.SetLayered(layered); err != nil {
		t.Fatal(err)
	}
	if err := change(h); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteImageFile(name, nil); err != nil {
		t.Fatal(err)
	}
}

// A merged key has the descriptor of the lowest layer, or with --top-security that of the
// topmost. A difference leads to either.
func TestHiveMergeSecurity(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	hiveFile(t, in("base"), false, func(h *regf.Hive) error {
		_, err := h.CreatePath(`A`)
		return err
	})
	d, err := winsec.ParseSDDL("O:SYG:SYD:(A;;KA;;;SY)")
	if err != nil {
		t.Fatal(err)
	}
	sd, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	hiveFile(t, in("delta"), true, func(h *regf.Hive) error {
		k, err := h.CreatePath(`A`)
		if err != nil {
			return err
		}
		return k.SetSecurity(sd)
	})
	for _, args := range [][]string{
		{"merge", in("base"), in("delta"), "-o", in("lowest")},
		{"merge", in("base"), in("delta"), "--top-security", "-o", in("top")},
		{"diff", in("base"), in("top"), "-o", in("difference")},
		{"merge", in("base"), in("difference"), "-o", in("again")},
	} {
		if status, _, errs := run1(append([]string{"hive"}, args...)...); status != 0 {
			t.Fatalf("%v: %s", args, errs)
		}
	}
	for name, same := range map[string]bool{"lowest": false, "top": true, "again": true} {
		h, err := regf.Open(in(name), nil)
		if err != nil {
			t.Fatal(err)
		}
		k, err := h.Key("A")
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Security()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, sd) != same {
			t.Errorf("%s: descriptor of the topmost layer: %v, want %v", name, !same, same)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Step by step, a subkey that only the top has does not unite with one that a layer in
// the middle has hidden.
func TestHiveMergeStepwise(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	hiveFile(t, in("base"), false, func(h *regf.Hive) error {
		k, err := h.CreatePath(`A\B`)
		if err != nil {
			return err
		}
		return k.SetValue("low", regf.RegSZ, nil)
	})
	hiveFile(t, in("middle"), true, func(h *regf.Hive) error {
		k, err := h.CreatePath(`A`)
		if err != nil {
			return err
		}
		return k.SetLayer(regf.LayerSupersedeLocal, false)
	})
	hiveFile(t, in("top"), true, func(h *regf.Hive) error {
		_, err := h.CreatePath(`A\B`)
		return err
	})
	for _, args := range [][]string{
		{"merge", in("base"), in("middle"), in("top"), "-o", in("once")},
		{"merge", in("base"), in("middle"), in("top"), "--stepwise", "-o", in("steps")},
		{"merge", in("base"), in("middle"), "-o", in("first")},
		{"merge", in("first"), in("top"), "-o", in("second")},
		{"query", in("once"), `A\B`, "-v", "low"},
	} {
		if status, _, errs := run1(append([]string{"hive"}, args...)...); status != 0 {
			t.Fatalf("%v: %s", args, errs)
		}
	}
	steps, err := os.ReadFile(in("steps"))
	if err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(in("second")); err != nil || !bytes.Equal(steps, second) {
		t.Errorf("--stepwise is not what two merges give, %v", err)
	}
	if status, _, _ := run1("hive", "query", in("steps"), `A\B`, "-v", "low"); status != 2 {
		t.Error("the value that the middle layer hides has come back")
	}
}
