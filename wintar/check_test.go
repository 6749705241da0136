package wintar_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
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

// checkCase is an archive that breaks a rule.
type checkCase struct {
	rule string
	opts []wintar.Option
	list []tar.Header
}

// records makes a map of keys and values.
func records(more ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

// modified is a time with a fraction that begins with a zero, .0123400 s.
var modified = winfs.Filetime(132356160000123400).Time()

// checkCases returns one archive for each rule that the hostile corpus does not need.
func checkCases(t *testing.T) []checkCase {
	t.Helper()
	wci, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagWCI, Data: []byte{1, 2, 3, 4}}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return []checkCase{
		{wintar.RuleVMName.ID, nil, []tar.Header{{Name: "UtilityVM/", Typeflag: tar.TypeDir}}},
		{wintar.RuleVMName.ID, nil, []tar.Header{{Name: "./UtilityVM/Files", Typeflag: tar.TypeDir}}},
		{wintar.RuleVMName.ID, []wintar.Option{wintar.HasParents()}, []tar.Header{{Name: "./UtilityVM", Typeflag: tar.TypeDir}}},
		{wintar.RuleVMName.ID, []wintar.Option{wintar.HasParents()}, []tar.Header{{Name: "UtilityVM/files", Typeflag: tar.TypeDir}}},
		{wintar.RuleVMName.ID, []wintar.Option{wintar.Base()}, []tar.Header{{Name: "UtilityVM/Files/", Typeflag: tar.TypeDir}}},
		{wintar.RuleStreamOfSlash.ID, nil, []tar.Header{{Name: "Files/d/", Typeflag: tar.TypeDir}, {Name: "Files/d:s"}}},
		{layer.RuleNoDescriptor.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir}}},
		{wintar.RuleNoAttributes.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir}}},
		{layer.RuleGoZeroTime.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, AccessTime: layer.GoZeroTime.Time()}}},
		{wintar.RuleWrappedTime.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("LIBARCHIVE.creationtime", "6802270473.709551616")}}},
		{wintar.RuleCreationTime.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, ModTime: modified, PAXRecords: records("LIBARCHIVE.creationtime", "1591142400.12340000")}}},
		{wintar.RuleCreationTime.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("LIBARCHIVE.creationtime", "1591142400.0")}}},
		{wintar.RuleLooseReparse.ID, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("MSWINDOWS.fileattr", "1040")}}},
		{layer.RuleReparseTag.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir, PAXRecords: records("MSWINDOWS.fileattr", "1040", "MULLION.reparse", base64.StdEncoding.EncodeToString(wci))}}},
		{wintar.RuleStaleRecord.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir, PAXRecords: records("MULLION.reparse", base64.StdEncoding.EncodeToString(wci))}}},
		{layer.RuleWhiteoutInBase.ID, []wintar.Option{wintar.Base()}, []tar.Header{{Name: "Files/.wh.x"}}},
		{layer.RuleLinkMissing.ID, []wintar.Option{wintar.Base()}, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeLink, Linkname: "Files/y"}}},
		{layer.RuleMissingRoot.ID, []wintar.Option{wintar.HasParents()}, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir}, {Name: "Files/Windows/System32/config/SAM"}}},
		{layer.RuleSymlinkPrefix.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeSymlink, Linkname: "Files/y"}}},
		{layer.RuleSymlinkPrefix.ID, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeSymlink, Linkname: `\files\y`}}},
	}
}

// TestCheckFindings: each of those archives breaks its rule, and a clean one none.
func TestCheckFindings(t *testing.T) {
	for _, c := range checkCases(t) {
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
		tar.Header{Name: "Files", Typeflag: tar.TypeDir, ModTime: modified, PAXRecords: records("MSWINDOWS.fileattr", "16", "LIBARCHIVE.creationtime", "1591142400.01234", "MSWINDOWS.rawsd", base64.StdEncoding.EncodeToString(descriptor(t)))},
		tar.Header{Name: "Hives", Typeflag: tar.TypeDir, ModTime: modified, PAXRecords: records("MSWINDOWS.fileattr", "16", "LIBARCHIVE.creationtime", "1591142400.01234")})
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

// TestEveryRuleIsFound: each rule of layers and of tars is broken by an archive of the hostile
// corpus, or by a case here, which has a neighbour that keeps it.
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
	for _, c := range checkCases(t) {
		for _, r := range rulesOf(headers(t, c.list...), c.opts...) {
			found[r] = true
		}
	}

	// What a tar cannot bring to the check, or what needs layers below.
	type list = []layer.Entry
	dir := func(path string) layer.Entry {
		return layer.Entry{Kind: layer.Dir, Path: path, Security: descriptor(t)}
	}
	bare := func(path string) layer.Entry { return layer.Entry{Kind: layer.Dir, Path: path} }
	file := func(path string, change func(e *layer.Entry)) layer.Entry {
		e := layer.Entry{Kind: layer.File, Path: path, Security: descriptor(t)}
		if change != nil {
			change(&e)
		}
		return e
	}
	link := func(path, target string) layer.Entry {
		return layer.Entry{Kind: layer.Link, Path: path, Target: target}
	}
	hides := func(path string) layer.Entry { return layer.Entry{Kind: layer.Whiteout, Path: path} }
	vm := list{bare("UtilityVM"), dir(`UtilityVM\Files`)}
	over := func(entries ...layer.Entry) list {
		return append(list{dir("Files"), dir("Hives")}, entries...)
	}
	names := func(n int) list {
		l := over(file(`Files\a`, nil))
		for i := range n {
			l = append(l, link(fmt.Sprintf(`Files\l%d`, i), `Files\a`))
		}
		return l
	}
	odd, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagSymlink, Substitute: `x\y`, Print: "label", Relative: true}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := winfs.EncodeSymlink(`x\y`)
	if err != nil {
		t.Fatal(err)
	}
	base := list{dir("Files"), file(`Files\old`, nil)}
	wrote := func(tm winfs.Filetime) func(e *layer.Entry) { return func(e *layer.Entry) { e.Times.LastWrite = tm } }
	reparse := func(b []byte) func(e *layer.Entry) { return func(e *layer.Entry) { e.Reparse = b } }
	for _, c := range []struct {
		rule      *finding.Rule
		below     list // nil: the layer is a base
		bad, good list
		opts      layer.CheckOptions
		err       error // of the reader of bad
	}{
		{rule: layer.RuleLinkReplaced, below: base, bad: over(link(`Files\l`, `Files\old`), file(`Files\old`, nil)), good: over(file(`Files\old`, nil), link(`Files\l`, `Files\old`))},
		{rule: layer.RuleLinkCase, below: base, bad: over(file(`Files\a`, nil), link(`Files\l`, `Files\A`)), good: over(file(`Files\a`, nil), link(`Files\l`, `Files\a`))},
		{rule: layer.RuleLinkCount, below: base, bad: names(1023), good: names(1022)},
		{rule: layer.RuleLinkMissing, below: base, bad: over(link(`Files\l`, `Files\none`)), good: over(link(`Files\l`, `Files\old`))},
		{rule: layer.RuleWhiteoutNothing, below: base, bad: over(hides(`Files\none`)), good: over(hides(`Files\old`))},
		{rule: layer.RuleVMDescriptor, below: append(base, vm...), bad: over(dir("UtilityVM"), vm[1]), good: over(vm...)},
		{rule: layer.RuleVMBelow, below: base, bad: over(vm...), good: over(bare("UtilityVM"))},
		{rule: layer.RuleVMBoot, bad: append(list{dir("Files")}, vm...), good: list{dir("Files"), bare("UtilityVM")}},
		{rule: layer.RuleVMWhiteout, below: append(append(base, vm...), file(`UtilityVM\Files\x`, nil)), bad: over(append(vm, hides(`UtilityVM\Files\y`))...), good: over(append(vm, hides(`UtilityVM\Files\x`))...)},
		{rule: layer.RuleTimeRange, bad: over(file(`Files\a`, wrote(-1))), good: over(file(`Files\a`, wrote(132356160000000000)))},
		{rule: layer.RuleTimeOverflow, bad: over(file(`Files\a`, wrote(208678456368547759))), good: over(file(`Files\a`, wrote(208678456368547758)))},
		{rule: layer.RuleVolumeFolder, bad: over(dir(`Files\$Recycle.Bin`)), good: over(dir(`Files\$Recycle.Bins`))},
		{rule: layer.RuleReparseOwn, bad: over(file(`Files\a`, reparse(odd))), good: over(file(`Files\a`, reparse(plain)))},
		{rule: layer.RuleOwnMetadata, bad: over(file(`Files\a`, func(e *layer.Entry) { e.ObjectID = make([]byte, 64) })), good: over(file(`Files\a`, nil))},
		{rule: layer.RuleBadReparse, bad: over(file(`Files\a`, reparse([]byte{1, 2, 3}))), good: over(file(`Files\a`, reparse(plain)))},
		{rule: layer.RuleBadEAs, bad: over(file(`Files\a`, func(e *layer.Entry) { e.EAs = []winfs.EA{{Name: "A"}, {Name: "a"}} })), good: over(file(`Files\a`, func(e *layer.Entry) { e.EAs = []winfs.EA{{Name: "A"}} }))},
		{rule: layer.RuleUnreadable, bad: over(), good: over(), err: layer.ErrCorrupt},
		{rule: layer.RuleLimitExceeded, bad: over(file(`Files\a`, nil)), good: over(), opts: layer.CheckOptions{Limits: layer.Limits{Entries: 2}}},
	} {
		check := func(l list, fault error) []string {
			opts := c.opts
			opts.Base, opts.HasParents = c.below == nil, c.below != nil
			if c.below != nil {
				opts.Below = &layer.Below{}
				if _, err := finding.Collect(layer.Check(t.Context(), &entries{list: c.below}, layer.CheckOptions{Base: true, Below: opts.Below})); err != nil {
					t.Fatal(err)
				}
			}
			var rules []string
			for f, err := range layer.Check(t.Context(), &entries{list: l, err: fault}, opts) {
				if err != nil {
					t.Fatal(err)
				}
				rules = append(rules, f.Rule)
			}
			return rules
		}
		if got := check(c.bad, c.err); !slices.Contains(got, c.rule.ID) {
			t.Errorf("%v is not found, but %q", c.rule, got)
		}
		if got := check(c.good, nil); slices.Contains(got, c.rule.ID) {
			t.Errorf("%v is found where it does not hold", c.rule)
		}
		found[c.rule.ID] = true
	}
	for _, r := range append(wintar.Rules(), layer.Rules()...) {
		if !found[r.ID] && r.ID != layer.RuleHiveMissing.ID { // TestImageFaults in package image has that one
			t.Errorf("%s: nothing brings about %s", r.Where, r.ID)
		}
	}
}

// entries is a reader of entries without streams, which ends with an error.
type entries struct {
	list []layer.Entry
	err  error // nil: io.EOF
}

func (r *entries) Next() (*layer.Entry, error) {
	if len(r.list) == 0 {
		if r.err != nil {
			return nil, r.err
		}
		return nil, io.EOF
	}
	e := &r.list[0]
	r.list = r.list[1:]
	return e, nil
}

func (r *entries) NextStream() (*layer.Stream, error) { return nil, io.EOF }
func (r *entries) Read([]byte) (int, error)           { return 0, io.EOF }
func (r *entries) Close() error                       { return nil }

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
