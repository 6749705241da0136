package wclayer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/internal/layerdir"
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
	ours := []string{layer.RuleHiveMissing.ID, RuleHiveSignature.ID, RuleHiveLink.ID, RuleLayout.ID, RuleLostEntry.ID, RuleNoRecord.ID, RuleDamagedRecord.ID, RuleHostFile.ID, layer.RuleUnreadable.ID}
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
		{layer.RuleHiveMissing.ID, func(dir string) error { return os.Remove(filepath.Join(dir, config, "SAM")) }},
		{RuleHiveSignature.ID, func(dir string) error { return os.WriteFile(filepath.Join(dir, config, "SAM"), []byte("no"), 0o666) }},
		{RuleHiveLink.ID, func(dir string) error { return os.Remove(filepath.Join(dir, "Hives", "SAM_BASE")) }},
		{RuleLayout.ID, func(dir string) error { return os.Remove(filepath.Join(dir, "layout")) }},
		{RuleLostEntry.ID, func(dir string) error { return os.Remove(filepath.Join(dir, "Files", "x")) }},
		{RuleNoRecord.ID, func(dir string) error { return os.WriteFile(filepath.Join(dir, "Files", "y"), nil, 0o666) }},
		{RuleHostFile.ID, func(dir string) error { return os.Symlink("x", filepath.Join(dir, "Files", "y")) }},
		{RuleDamagedRecord.ID, func(dir string) error { return flip(filepath.Join(dir, layerdir.StoreName, layerdir.IndexName), 40) }},
		{RuleDamagedRecord.ID, func(dir string) error { return flip(filepath.Join(dir, layerdir.StoreName, layerdir.DataName), 3) }},
		{RuleDamagedRecord.ID, func(dir string) error {
			return os.Truncate(filepath.Join(dir, layerdir.StoreName, layerdir.DataName), 1)
		}},
		{RuleDamagedRecord.ID, func(dir string) error {
			return os.Truncate(filepath.Join(dir, layerdir.StoreName, layerdir.IndexName), 60)
		}},
		{RuleNotLayer.ID, func(dir string) error { return os.RemoveAll(dir + "/Files") }},
	} {
		dir := make(t)
		must(t, c.change(dir))
		if c.rule == RuleNotLayer.ID {
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

// TestCheckErrors: a directory that does not exist and a cancelled check are no findings.
func TestCheckErrors(t *testing.T) {
	if found, err := finding.Collect(Check(t.Context(), filepath.Join(t.TempDir(), "absent"))); !errors.Is(err, fs.ErrNotExist) || len(found) > 0 {
		t.Errorf("absent: %v, %v", found, err)
	}
	dir := put(t, t.TempDir(), map[string]string{"Files/a": "a", "Files/b": "b"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := finding.Collect(Check(ctx, dir)); !errors.Is(err, context.Canceled) || len(found) > 0 {
		t.Errorf("cancelled: %v, %v", found, err)
	}
	n := 0
	for range Check(t.Context(), dir) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d findings", n)
	}
}
