package cimlayer_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/wclayer"
	"github.com/mullion/mullion/winfs"
)

// plainTree writes files, by slash paths, to a new directory; a path that ends with a
// slash is a directory.
func plainTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for p, data := range files {
		full := filepath.Join(dir, filepath.FromSlash(p))
		if p[len(p)-1] == '/' {
			if err := os.MkdirAll(full, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// treeOfHost returns what is in a directory.
func treeOfHost(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, p))
		m[p] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestConvertToBaseLayer(t *testing.T) {
	system, err := hives.Minimal(hives.System, hives.OSVersion{})
	if err != nil {
		t.Fatal(err)
	}
	v := hives.ServerCore(20348, 1)
	for name, files := range map[string]map[string]string{
		"nothing":         {},
		"no hives":        {"Files/Windows/notepad.exe": "MZ"},
		"one hive":        {"Files/Windows/System32/config/SYSTEM": string(system)},
		"other case":      {"files/WINDOWS/system32/Config/system": string(system), "hives/system_base": "old"},
		"with utility VM": {"Files/": "", "UtilityVM/Files/EFI/Microsoft/Boot/BCD": "bcd"},
		"what a kill left": {
			"Files/Windows/System32/config/.SAM.mullion-tmp-0123456789abcdef/file": "half", "Files/Windows/System32/config/.SAM.mullion-tmp-0123456789abcdef/.mullion-lock": "",
			"Hives/.SAM_BASE.mullion-tmp-0123456789abcdef/.mullion-lock": "", "Hives/": "", ".layout.mullion-tmp-0123456789abcdef/.mullion-lock": "",
		},
	} {
		dir := plainTree(t, files)
		if err := cimlayer.ConvertToBaseLayer(dir, v); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		after := treeOfHost(t, dir)
		found := 0
		for _, n := range hives.All() {
			for p, b := range after {
				if !winfs.EqualFold(filepath.Base(p), n.File(hives.Base)) {
					continue
				}
				h, err := regf.OpenReaderAt(bytes.NewReader([]byte(b)), int64(len(b)), nil)
				if err != nil {
					t.Errorf("%s: %s: %v", name, p, err)
					continue
				}
				if n == hives.Software {
					if got, err := hives.OSVersionOf(h); err != nil || got.Build != v.Build {
						t.Errorf("%s: %v, %v", name, got, err)
					}
				}
				h.Close()
				found++
			}
		}
		if found < 5 || after["layout"] != "vhd-with-hives\n" {
			t.Errorf("%s: %d hives, layout %q", name, found, after["layout"])
		}
		for p, b := range files {
			if b != "" && after[p] != b && b != "half" && b != "old" {
				t.Errorf("%s: %s has changed", name, p)
			}
		}
		for p := range after {
			if strings.Contains(p, ".mullion-tmp") {
				t.Errorf("%s: %s is left behind", name, p)
			}
		}
		if err := cimlayer.ConvertToBaseLayer(dir, v); err != nil {
			t.Errorf("%s, again: %v", name, err)
		}
		again := treeOfHost(t, dir)
		if len(again) != len(after) {
			t.Errorf("%s, again: %d files instead of %d", name, len(again), len(after))
		}
		if name == "other case" {
			continue // a layer whose trees have other names is none on a host that minds
		}
		r, err := wclayer.Open(dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r.Close()
	}
}

func TestConvertToBaseLayerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  error
	}{
		"no hive":            {map[string]string{"Files/Windows/System32/config/SAM": "not a hive"}, cimlayer.ErrHive},
		"empty hive":         {map[string]string{"Files/Windows/System32/config/SAM": ""}, cimlayer.ErrHive},
		"hive is directory":  {map[string]string{"Files/Windows/System32/config/SAM/": ""}, layer.ErrUnsupported},
		"Files is a file":    {map[string]string{"Files": "x"}, layer.ErrNotDirectory},
		"Windows is a file":  {map[string]string{"Files/Windows": "x"}, layer.ErrNotDirectory},
		"no BCD":             {map[string]string{"Files/": "", "UtilityVM/Files/": ""}, cimlayer.ErrUtilityVM},
		"BCD is a directory": {map[string]string{"UtilityVM/Files/EFI/Microsoft/Boot/BCD/": ""}, cimlayer.ErrUtilityVM},
		"VM files is a file": {map[string]string{"UtilityVM/Files": "x"}, layer.ErrNotDirectory},
	} {
		dir := plainTree(t, c.files)
		before := treeOfHost(t, dir)
		if err := cimlayer.ConvertToBaseLayer(dir, hives.OSVersion{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if after := treeOfHost(t, dir); len(after) != len(before) {
			t.Errorf("%s: files were written: %v", name, after)
		}
	}
	if err := cimlayer.ConvertToBaseLayer(filepath.Join(t.TempDir(), "none"), hives.OSVersion{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

// No link of the host leads the conversion out of the directory.
func TestConvertToBaseLayerLinks(t *testing.T) {
	for _, p := range []string{"Files", "Files/Windows", "Files/Windows/System32/config/SOFTWARE", "Hives", "Hives/SAM_BASE", "layout", "UtilityVM"} {
		dir, outside := t.TempDir(), t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(dir, p)); err != nil {
			t.Skip(err)
		}
		if err := cimlayer.ConvertToBaseLayer(dir, hives.OSVersion{}); err == nil {
			t.Errorf("%s is a symbolic link and was taken", p)
		}
		if m := treeOfHost(t, outside); len(m) > 0 {
			t.Errorf("%s: written outside: %v", p, m)
		}
	}
}
