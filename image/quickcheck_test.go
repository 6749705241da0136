package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
)

// A quick check finds the faults of entries: the same ones with an index as without one, and
// with one it reads no layer.
func TestCheckQuick(t *testing.T) {
	base := hiveEntries(t)
	noHive := slices.DeleteFunc(slices.Clone(base), func(e entry) bool { return strings.HasSuffix(e.path, `\SOFTWARE`) })
	empty := slices.Clone(base)
	for i, e := range empty {
		if strings.HasSuffix(e.path, `\SOFTWARE`) {
			empty[i].data = ""
		}
	}
	files, dir := entry{kind: layer.Dir, path: `Files`}, entry{kind: layer.Dir, path: `Hives`}
	for name, c := range map[string]struct {
		layers [][]entry
		rule   string // "" if there is no fault
	}{
		"whole":   {[][]entry{base}, ""},
		"missing": {[][]entry{noHive}, layer.RuleHiveMissing.ID},
		"empty":   {[][]entry{empty}, image.RuleHiveEmpty.ID},
		"place":   {[][]entry{base, {files, dir, {kind: layer.File, path: `Hives\SOFTWARE_BASE`, data: "x"}}}, image.RuleHivePlace.ID},
		"link":    {[][]entry{base, {files, dir, {kind: layer.Link, path: `Files\a`, target: `Files\b`}}}, layer.RuleLinkMissing.ID},
	} {
		t.Run(name, func(t *testing.T) {
			a := &asker{ref: "oci:" + layout(t, gzipped(c.layers...)(t)), dir: filepath.Join(t.TempDir(), "cache")}
			check := func() []finding.Finding {
				img, done := a.open(t)
				defer done()
				found, err := finding.Collect(img.Check(t.Context(), image.CheckQuick()))
				if err != nil {
					t.Fatal(err)
				}
				return found
			}
			first := check()
			if a.read.Load() == 0 {
				t.Error("the first check read nothing")
			}
			second := check()
			if n := a.read.Load(); n != 0 {
				t.Errorf("the second check read %d bytes", n)
			}
			if !slices.Equal(first, second) {
				t.Errorf("first %v\nsecond %v", first, second)
			}
			is := func(f finding.Finding) bool { return f.Rule == c.rule }
			fails := func(f finding.Finding) bool { return f.Severity == finding.Error }
			if c.rule != "" && !slices.ContainsFunc(first, is) || c.rule == "" && slices.ContainsFunc(first, fails) {
				t.Errorf("found %v", first)
			}
			if err := errors.Join(a.notes...); err != nil {
				t.Error(err)
			}
		})
	}
}

// A blob that is not what its digest says is found while it has no index.
func TestCheckQuickBlob(t *testing.T) {
	dir := layout(t, gzipped(hiveEntries(t))(t))
	img := openLayout(t, dir)
	name := filepath.Join(dir, "blobs", "sha256", img.Layers()[0].Descriptor.Digest.Encoded())
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-6] ^= 1 // in the checksum of gzip
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := finding.Collect(img.Check(t.Context(), image.CheckQuick()))
	blobFault := func(f finding.Finding) bool {
		return f.Rule == image.RuleBlob.ID || f.Rule == image.RuleBlobUnreadable.ID
	}
	if err != nil || !slices.ContainsFunc(found, blobFault) {
		t.Errorf("found %v, %v", found, err)
	}
}
