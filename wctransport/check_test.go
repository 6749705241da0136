package wctransport

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
)

func findings(path string) map[string]finding.Finding {
	found := map[string]finding.Finding{}
	for f, err := range Check(context.Background(), path) {
		if err != nil {
			found["error"] = finding.Finding{Message: err.Error()}
			break
		}
		found[f.Rule] = f
	}
	return found
}

// TestCheckTransport breaks a transport directory in one way each.
func TestCheckTransport(t *testing.T) {
	good := map[string]string{
		"Files.$wcidirs$": dirStream, "Hives.$wcidirs$": dirStream, "Hives/System_Delta": "regf",
		"Files/d.$wcidirs$": dirStream, "Files/d/f": fileStream, "tombstones.txt": tombstoneHeader + "\n\\d\\x\n",
	}
	if f := findings(put(t, t.TempDir(), good)); len(f) > 2 { // descriptors are missing, which is not the form's matter
		t.Errorf("nothing is wrong, but %v", f)
	}
	for _, c := range []struct {
		rule, path string
		change     func(t *testing.T, dir string)
	}{
		{RuleTombstones.ID, "", func(t *testing.T, dir string) { put(t, dir, map[string]string{"tombstones.txt": "Version 1.0\n"}) }},
		{RuleNoParentDir.ID, `Files\absent\x`, func(t *testing.T, dir string) {
			put(t, dir, map[string]string{"tombstones.txt": tombstoneHeader + "\n\\absent\\x\n"})
		}},
		{RuleMetaFile.ID, `Files\d`, func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "Files", "d.$wcidirs$"))) }},
		{RuleOrphan.ID, `Files`, func(t *testing.T, dir string) { put(t, dir, map[string]string{"Files/no.$wcidirs$": dirStream}) }},
		{RuleTransportFile.ID, `Files\d\f`, func(t *testing.T, dir string) { put(t, dir, map[string]string{"Files/d/f": fileStream + "x"}) }},
		{RuleTransportFile.ID, `Files\d\f`, func(t *testing.T, dir string) { put(t, dir, map[string]string{"Files/d/f": "\x20"}) }},
		{RuleNoDelta.ID, `Hives\System_Delta`, func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "Hives", "System_Delta"))) }},
		{RuleUtilityVM.ID, `UtilityVM`, func(t *testing.T, dir string) { put(t, dir, map[string]string{"UtilityVM/Files/": ""}) }},
		{RuleHostFile.ID, `Files\d\l`, func(t *testing.T, dir string) { must(t, os.Symlink("f", filepath.Join(dir, "Files", "d", "l"))) }},
		{RuleHostName.ID, `Files\d\a:b`, func(t *testing.T, dir string) { put(t, dir, map[string]string{"Files/d/a:b": fileStream}) }},
		{layer.RuleCaseConflict.ID, `Files\d\f`, func(t *testing.T, dir string) { put(t, dir, map[string]string{"Files/d/F": fileStream}) }},
	} {
		t.Run(c.rule, func(t *testing.T) {
			dir := put(t, t.TempDir(), good)
			c.change(t, dir)
			if f, ok := findings(dir)[c.rule]; !ok {
				t.Errorf("not found, but %v", findings(dir))
			} else if f.Path != c.path && c.rule != RuleOrphan.ID && c.rule != RuleHostName.ID {
				t.Errorf("found at %q, want %q", f.Path, c.path)
			}
		})
	}
}

// A base layer has neither a delta hive nor an entry for Hives, in this form too.
func TestCheckTransportBase(t *testing.T) {
	files := map[string]string{"Files.$wcidirs$": dirStream}
	dir := "Files"
	for _, d := range []string{"Windows", "System32", "config"} {
		dir += "/" + d
		files[dir+".$wcidirs$"] = dirStream
	}
	files[dir+"/SAM"], files["tombstones.txt"] = fileStream, tombstoneHeader+"\n"
	path := put(t, t.TempDir(), files)
	for _, opts := range [][]Option{nil, {AsBase()}} {
		for f, err := range Check(t.Context(), path, opts...) {
			if err != nil || f.Rule == RuleNoDelta.ID || f.Rule == layer.RuleMissingRoot.ID {
				t.Errorf("%v, %v", f, err)
			}
		}
	}
	found := findings(path)
	for f, err := range Check(t.Context(), path, HasParents()) {
		if err != nil {
			t.Fatal(err)
		}
		found[f.Rule] = f
	}
	for _, rule := range []string{RuleNoDelta.ID, layer.RuleMissingRoot.ID} {
		if _, ok := found[rule]; !ok {
			t.Errorf("with parents, %s is not found", rule)
		}
	}
}
