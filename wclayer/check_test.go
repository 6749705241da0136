package wclayer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
)

func findings(path string) map[string]layer.Finding {
	found := map[string]layer.Finding{}
	for f := range Check(path) {
		found[f.Rule] = f
	}
	return found
}

// TestCheckFinal breaks a base layer in one way each.
func TestCheckFinal(t *testing.T) {
	make := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "layer")
		w, err := Create(path, nil, WithSync(SyncNone), WithMetadata(MetadataIndex))
		must(t, err)
		defer w.Close()
		must(t, w.Add(&layer.Entry{Path: "Files", Kind: layer.Dir}))
		for _, h := range baseHives {
			addFiles(t, w, hiveDirectory+`\`+h.source, "regf")
		}
		addFiles(t, w, `Files\x`, "x")
		must(t, w.AddStream(&layer.Stream{Name: "s", Size: 6}))
		_, err = w.Write([]byte("stream"))
		must(t, err)
		must(t, w.Commit())
		return path
	}
	ours := []string{RuleHive, RuleHiveSignature, RuleHiveLink, RuleLayout, RuleLostEntry, RuleNoRecord, RuleDamagedRecord, RuleHostFile, RuleUnreadable}
	for rule := range findings(make(t)) {
		if slices.Contains(ours, rule) {
			t.Errorf("nothing is wrong, but %s", rule)
		}
	}
	config := filepath.FromSlash("Files/Windows/System32/config/")
	for _, c := range []struct {
		rule   string
		change func(dir string) error
	}{
		{RuleHive, func(dir string) error { return os.Remove(filepath.Join(dir, config, "SAM")) }},
		{RuleHiveSignature, func(dir string) error { return os.WriteFile(filepath.Join(dir, config, "SAM"), []byte("no"), 0o666) }},
		{RuleHiveLink, func(dir string) error { return os.Remove(filepath.Join(dir, "Hives", "SAM_BASE")) }},
		{RuleLayout, func(dir string) error { return os.Remove(filepath.Join(dir, "layout")) }},
		{RuleLostEntry, func(dir string) error { return os.Remove(filepath.Join(dir, "Files", "x")) }},
		{RuleNoRecord, func(dir string) error { return os.WriteFile(filepath.Join(dir, "Files", "y"), nil, 0o666) }},
		{RuleHostFile, func(dir string) error { return os.Symlink("x", filepath.Join(dir, "Files", "y")) }},
		{RuleDamagedRecord, func(dir string) error { return flip(filepath.Join(dir, layerdir.StoreName, layerdir.IndexName), 40) }},
		{RuleDamagedRecord, func(dir string) error { return flip(filepath.Join(dir, layerdir.StoreName, layerdir.DataName), 3) }},
		{RuleDamagedRecord, func(dir string) error {
			return os.Truncate(filepath.Join(dir, layerdir.StoreName, layerdir.DataName), 1)
		}},
		{RuleUnreadable, func(dir string) error {
			return os.Truncate(filepath.Join(dir, layerdir.StoreName, layerdir.IndexName), 60)
		}},
		{RuleNotLayer, func(dir string) error { return os.RemoveAll(dir + "/Files") }},
	} {
		dir := make(t)
		must(t, c.change(dir))
		if c.rule == RuleNotLayer {
			must(t, os.RemoveAll(filepath.Join(dir, layerdir.StoreName)))
		}
		if _, ok := findings(dir)[c.rule]; !ok {
			t.Errorf("%s is not found, but %v", c.rule, findings(dir))
		}
	}
}

func flip(path string, at int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[at] ^= 1
	return os.WriteFile(path, b, 0o666)
}
