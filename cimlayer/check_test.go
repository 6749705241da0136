package cimlayer_test

import (
	"os"
	"slices"
	"testing"

	"github.com/mullion/mullion/cimfs"
	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
)

// TestCheckMergedHive: a merged hive that Windows cannot load is found, and one that it can
// load is not.
func TestCheckMergedHive(t *testing.T) {
	for data, want := range map[string]bool{minimal(t, hives.Software): false, minimal(t, hives.Software)[:4000]: true, "junk": true} {
		folder := t.TempDir()
		if err := build(t, folder, "a.cim", "", cimfs.Options{}, dir("Files"), dir("Hives"), file(hives.Software.Path(hives.Base), data)); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			t.Fatal(err)
		}
		var rules []string
		for f, err := range cimlayer.Check(t.Context(), cimfs.RootOpener(root), "a.cim", cimlayer.CheckOptions{Label: "a"}) {
			if err != nil {
				t.Fatal(err)
			}
			rules = append(rules, f.Rule)
		}
		if err := root.Close(); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(rules, cimlayer.RuleMergedHive.ID) != want {
			t.Errorf("a hive of %d bytes: %q, want %v", len(data), rules, want)
		}
	}
}
