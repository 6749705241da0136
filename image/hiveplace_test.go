package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wclayer"
)

// A layer that brings a file under the name that unpacking gives to a merged hive would
// replace the registry of the layers below. Whoever reads the registry, unpacks the image
// in any form or checks it says so.
func TestLayerMayNotReplaceRegistry(t *testing.T) {
	base := hiveEntries(t)
	var software string
	for _, e := range base {
		if n, _, ok := hives.Match(e.path); ok && n == hives.Software {
			software = e.data
		}
	}
	dir := entry{kind: layer.Dir, path: `Hives`}
	files := entry{kind: layer.Dir, path: `Files`}
	for name, c := range map[string]struct {
		layers [][]entry
		want   error
		rule   string
	}{
		"file":            {[][]entry{base, {files, dir, {kind: layer.File, path: `Hives\SOFTWARE_BASE`, data: software}}}, layer.ErrDuplicate, image.RuleHivePlace.ID},
		"other case":      {[][]entry{base, {files, dir, {kind: layer.File, path: `hives\Software_Base`, data: software}}}, layer.ErrDuplicate, image.RuleHivePlace.ID},
		"in the base":     {[][]entry{slices.Concat([]entry{dir, {kind: layer.File, path: `Hives\SOFTWARE_BASE`, data: software}}, base)}, layer.ErrDuplicate, image.RuleHivePlace.ID},
		"delta in a base": {[][]entry{slices.Concat([]entry{dir, {kind: layer.File, path: `Hives\Software_Delta`, data: software}}, base)}, hives.ErrBaseDelta, image.RuleHivePlace.ID},
	} {
		t.Run(name, func(t *testing.T) {
			img := openLayout(t, layout(t, gzipped(c.layers...)(t)))
			var sources []layer.Source
			for _, l := range img.Layers() {
				sources = append(sources, l.Source(t.Context()))
			}
			found, err := image.FindHives(t.Context(), sources)
			if err != nil {
				t.Fatal(err)
			}
			defer found.Close()
			if _, err := found.Open(t.Context(), hives.Software); !errors.Is(err, c.want) {
				t.Errorf("open: %v", err)
			}
			if _, err := found.OSVersion(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("version: %v", err)
			}
			if _, err := found.Environment(t.Context(), nil); !errors.Is(err, c.want) {
				t.Errorf("environment: %v", err)
			}
			if h, err := found.Open(t.Context(), hives.System); err != nil {
				t.Errorf("a hive that is not concerned: %v", err)
			} else if err := h.Close(); err != nil {
				t.Error(err)
			}
			// The layers can be looked at all the same.
			all, surveyed, err := img.Survey(t.Context())
			if err != nil || len(all) != len(c.layers) {
				t.Fatalf("survey: %v", err)
			}
			if _, err := surveyed.Open(t.Context(), hives.Software); !errors.Is(err, c.want) {
				t.Errorf("open after the survey: %v", err)
			}
			if err := surveyed.Close(); err != nil {
				t.Error(err)
			}
			if _, err := img.UnpackStore(t.Context(), openStore(t, t.TempDir())); !errors.Is(err, c.want) {
				t.Errorf("unpack to images: %v", err)
			}
			create := func(root *os.Root, name string, parents []string) (layer.Writer, error) {
				return wclayer.CreateIn(root, name, parents)
			}
			if _, err := img.Unpack(t.Context(), filepath.Join(t.TempDir(), "out"), create); !errors.Is(err, c.want) {
				t.Errorf("unpack to folders: %v", err)
			}
			reported, err := finding.Collect(img.Check(t.Context()))
			if err != nil || !slices.ContainsFunc(reported, func(f finding.Finding) bool { return f.Rule == c.rule }) {
				t.Errorf("check: %q, %v", reported, err)
			}
		})
	}
}
