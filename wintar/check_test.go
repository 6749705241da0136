package wintar_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// headers makes an archive of headers without data.
func headers(t testing.TB, list ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range list {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Format = tar.FormatPAX
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func rulesOf(b []byte, opts ...wintar.Option) []string {
	var out []string
	for f, err := range wintar.Check(context.Background(), bytes.NewReader(b), opts...) {
		if err != nil {
			panic(err) // memory does not fail
		}
		out = append(out, f.Rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestCheckFindings makes one archive for each rule that the hostile corpus does
// not need.
func TestCheckFindings(t *testing.T) {
	records := func(more ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	wci, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagWCI, Data: []byte{1, 2, 3, 4}}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	mtime := winfs.Filetime(132356160000123400).Time() // .0123400 s
	for _, c := range []struct {
		rule string
		opts []wintar.Option
		list []tar.Header
	}{
		{wintar.RuleVMName.ID, nil, []tar.Header{{Name: "UtilityVM/", Typeflag: tar.TypeDir}}},
		{wintar.RuleVMName.ID, nil, []tar.Header{{Name: "./UtilityVM/Files", Typeflag: tar.TypeDir}}},
		{wintar.RuleVMName.ID, nil, []tar.Header{{Name: "UtilityVM/files", Typeflag: tar.TypeDir}}},
		{wintar.RuleStreamOfSlash.ID, nil, []tar.Header{{Name: "Files/d/", Typeflag: tar.TypeDir}, {Name: "Files/d:s"}}},
		{layer.RuleNoDescriptor.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir}}},
		{wintar.RuleNoAttributes.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir}}},
		{layer.RuleGoZeroTime.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, AccessTime: layer.GoZeroTime.Time()}}},
		{wintar.RuleWrappedTime.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("LIBARCHIVE.creationtime", "6802270473.709551616")}}},
		{wintar.RuleCreationTime.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, ModTime: mtime, PAXRecords: records("LIBARCHIVE.creationtime", "1591142400.12340000")}}},
		{wintar.RuleCreationTime.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("LIBARCHIVE.creationtime", "1591142400.0")}}},
		{wintar.RuleLooseReparse.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("MSWINDOWS.fileattr", "1040")}}},
		{layer.RuleReparseTag.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir, PAXRecords: records("MSWINDOWS.fileattr", "1040", "MULLION.reparse", base64.StdEncoding.EncodeToString(wci))}}},
		{wintar.RuleStaleRecord.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir, PAXRecords: records("MULLION.reparse", base64.StdEncoding.EncodeToString(wci))}}},
		{layer.RuleWhiteoutInBase.ID, []wintar.Option{wintar.Base()}, []tar.Header{{Name: "Files/.wh.x"}}},
		{layer.RuleLinkMissing.ID, []wintar.Option{wintar.Base()}, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeLink, Linkname: "Files/y"}}},
		{layer.RuleMissingRoot.ID, []wintar.Option{wintar.HasParents()}, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir}, {Name: "Files/Windows/System32/config/SAM"}}},
		{layer.RuleSymlinkPrefix.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeSymlink, Linkname: "Files/y"}}},
		{layer.RuleSymlinkPrefix.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeSymlink, Linkname: `\files\y`}}},
	} {
		if got := rulesOf(headers(t, c.list...), c.opts...); !slices.Contains(got, c.rule) {
			t.Errorf("%s is not found, but %q", c.rule, got)
		}
	}
	for _, list := range [][]tar.Header{
		{{Name: "UtilityVM", Typeflag: tar.TypeDir}, {Name: "UtilityVM/Files", Typeflag: tar.TypeDir}, {Name: "UtilityVM/Files/x/", Typeflag: tar.TypeDir}},
		{{Name: "Files/d", Typeflag: tar.TypeDir}, {Name: "Files/d:s"}},
	} {
		if got := rulesOf(headers(t, list...)); slices.Contains(got, wintar.RuleVMName.ID) || slices.Contains(got, wintar.RuleStreamOfSlash.ID) {
			t.Errorf("%q", got)
		}
	}
	// And their absence.
	clean := headers(t,
		tar.Header{Name: "Files", Typeflag: tar.TypeDir, ModTime: mtime, PAXRecords: records("MSWINDOWS.fileattr", "16", "LIBARCHIVE.creationtime", "1591142400.01234", "MSWINDOWS.rawsd", base64.StdEncoding.EncodeToString(descriptor(t)))},
		tar.Header{Name: "Hives", Typeflag: tar.TypeDir, ModTime: mtime, PAXRecords: records("MSWINDOWS.fileattr", "16", "LIBARCHIVE.creationtime", "1591142400.01234")})
	if got := rulesOf(clean); len(got) > 0 {
		t.Errorf("a clean archive has %q", got)
	}
}

func descriptor(t *testing.T) []byte {
	for seed := range uint64(10) {
		for _, it := range layertest.Random(seed, layertest.Shape{}).Items {
			if len(it.Security) > 80 {
				return it.Security
			}
		}
	}
	t.Fatal("no descriptor")
	return nil
}

// TestEveryRuleIsFound: no rule is documented that no archive brings about.
func TestEveryRuleIsFound(t *testing.T) {
	found := map[string]bool{}
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy {
			continue
		}
		b, err := c.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rulesOf(b) {
			found[r] = true
		}
	}
	elsewhere := []string{
		// TestCheckFindings
		layer.RuleNoDescriptor.ID, wintar.RuleNoAttributes.ID, layer.RuleGoZeroTime.ID, wintar.RuleWrappedTime.ID, wintar.RuleCreationTime.ID,
		wintar.RuleVMName.ID, wintar.RuleStreamOfSlash.ID, wintar.RuleLooseReparse.ID, layer.RuleReparseTag.ID, layer.RuleWhiteoutInBase.ID, layer.RuleLinkMissing.ID,
		// TestImportRules in package layer
		layer.RuleLinkReplaced.ID, layer.RuleLinkCase.ID, layer.RuleLinkCount.ID, layer.RuleWhiteoutNothing.ID, layer.RuleVMDescriptor.ID,
		layer.RuleVMBelow.ID, layer.RuleVMBoot.ID, layer.RuleVMWhiteout.ID, layer.RuleTimeRange.ID, layer.RuleTimeOverflow.ID,
		layer.RuleVolumeFolder.ID, layer.RuleReparseOwn.ID, layer.RuleOwnMetadata.ID,
		// A tar cannot bring these to the audit, because its records do not decode;
		// TestAudit in package layer does.
		layer.RuleBadReparse.ID, layer.RuleBadEAs.ID,
		// TestCheck in package layer, TestCheckLimits, TestCheckFinal in package wclayer
		layer.RuleUnreadable.ID, layer.RuleLimitExceeded.ID, layer.RuleHiveMissing.ID,
	}
	for _, r := range elsewhere {
		found[r] = true
	}
	for _, r := range append(wintar.Rules(), layer.Rules()...) {
		if !found[r.ID] {
			t.Errorf("%s: nothing brings about %s", r.Where, r.ID)
		}
	}
}

// TestCheckGoesOn: one fault does not hide the next.
func TestCheckGoesOn(t *testing.T) {
	b := headers(t,
		tar.Header{Name: "../evil"}, tar.Header{Name: "Files/x", PAXRecords: map[string]string{"MSWINDOWS.fileattr": "no"}},
		tar.Header{Name: "Files/pipe", Typeflag: tar.TypeFifo}, tar.Header{Name: "Files/y"}, tar.Header{Name: "Files/Y"})
	got := rulesOf(b[:len(b)-1024])
	for _, want := range []string{wintar.RuleNameEscapes.ID, wintar.RuleBadRecord.ID, wintar.RuleUnsupported.ID, layer.RuleCaseConflict.ID, wintar.RuleMissingTrailer.ID} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not found, but %q", want, got)
		}
	}
	// The findings carry path and offset, and stop when the caller does.
	n := 0
	for f, err := range wintar.Check(t.Context(), bytes.NewReader(b), wintar.Label("layer.tar")) {
		if n++; err != nil || f.Path != `..\evil` || f.Offset != 0 || f.Layer != "layer.tar" {
			t.Errorf("%+v", f)
		}
		break
	}
	if n != 1 {
		t.Errorf("%d findings", n)
	}
	if found, err := finding.Collect(wintar.Check(t.Context(), brokenReader{})); !errors.Is(err, errBroken) || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	if err := drain(wintar.NewReader(brokenReader{})); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

// TestCheckPaths: all rules name an entry in one way, that of paths.
func TestCheckPaths(t *testing.T) {
	for want, h := range map[string]tar.Header{
		`Files\d\x`: {Name: "./Files/d/x", PAXRecords: map[string]string{"VENDOR.x": "1"}},
		`Files\d`:   {Name: "Files/d/", Typeflag: tar.TypeDir, PAXRecords: map[string]string{"VENDOR.x": "1"}},
		`Files\w`:   {Name: "Files/.wh.w", Typeflag: tar.TypeDir},
		`Files\o`:   {Name: "Files/o/.wh..wh..opq", Typeflag: tar.TypeDir},
	} {
		rules := map[string]bool{}
		for f, err := range wintar.Check(t.Context(), bytes.NewReader(headers(t, h)), wintar.Base()) {
			if err != nil {
				t.Fatal(err)
			}
			if f.Path != want && f.Path != "" {
				t.Errorf("%s is %q in %v", want, f.Path, f)
			}
			rules[f.Rule] = true
		}
		if !(rules[wintar.RuleUnknownRecord.ID] && rules[layer.RuleMissingParent.ID] || rules[wintar.RuleOddWhiteout.ID] && rules[layer.RuleWhiteoutInBase.ID]) {
			t.Errorf("%s: %v", want, rules)
		}
	}
	for _, c := range hostile.Cases() {
		if c.Packed != "" || c.Heavy {
			continue
		}
		b, err := c.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for f, err := range wintar.Check(t.Context(), bytes.NewReader(b)) {
			if err != nil || strings.Contains(f.Path, "/") {
				t.Errorf("%s: %v, %v", c.Name, f, err)
			}
		}
	}
}

// TestCheckLimits: a layer that exceeds a limit has one finding, and no entry behind it
// enters the tree.
func TestCheckLimits(t *testing.T) {
	b := headers(t,
		tar.Header{Name: "Files", Typeflag: tar.TypeDir}, tar.Header{Name: "Files/a/b/c"}, tar.Header{Name: "unknown"})
	for limit, l := range map[string]layer.Limits{"Depth": {Depth: 3}, "Entries": {Entries: 1}, "MetadataLen": {MetadataLen: 10}} {
		var found []finding.Finding
		for f, err := range wintar.Check(t.Context(), bytes.NewReader(b), wintar.WithLimits(l)) {
			if err != nil {
				t.Fatal(err)
			}
			if f.Rule == layer.RuleLimitExceeded.ID {
				found = append(found, f)
			} else if f.Rule == layer.RuleUnknownRoot.ID {
				t.Errorf("%s: %v behind the limit", limit, f)
			}
		}
		if len(found) != 1 || found[0].Path != `Files\a\b\c` || !strings.Contains(found[0].Message, limit) {
			t.Errorf("%s: %v", limit, found)
		}
	}
}

// TestCheckCancelled: a check that is cancelled ends with the error of its context.
func TestCheckCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := finding.Collect(wintar.Check(ctx, bytes.NewReader(headers(t)))); !errors.Is(err, context.Canceled) || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}
