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
	"github.com/mullion/mullion/winsec"
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

// checkCase is an archive that breaks a rule, and its neighbour that keeps it.
type checkCase struct {
	rule      string
	opts      []wintar.Option
	bad, good []byte
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

// reheaded changes the last header of an archive, which has no data.
func reheaded(b []byte, change func(block []byte)) []byte {
	b = bytes.Clone(b)
	block := b[len(b)-3*512:][:512]
	change(block)
	copy(block[148:156], "        ")
	sum := 0
	for _, x := range block {
		sum += int(x)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// checkCases returns archives for each rule of tars, and for rules of layers that an archive
// breaks and keeps most plainly.
func checkCases(t *testing.T) []checkCase {
	t.Helper()
	wci, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagWCI, Data: []byte{1, 2, 3, 4}}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	link, err := winfs.EncodeSymlink("x")
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	dir := func(name string, pairs ...string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeDir, PAXRecords: records(pairs...)}
	}
	file := func(name string, pairs ...string) tar.Header {
		return tar.Header{Name: name, PAXRecords: records(pairs...)}
	}
	typed := func(name string, typeflag byte, target string) tar.Header {
		return tar.Header{Name: name, Typeflag: typeflag, Linkname: target}
	}
	list := func(l ...tar.Header) []byte { return headers(t, l...) }
	base, parents := []wintar.Option{wintar.Base()}, []wintar.Option{wintar.HasParents()}
	whole := list(file("Files/x"))
	const creation = "LIBARCHIVE.creationtime"
	accessed := func(tm winfs.Filetime) []byte {
		return list(tar.Header{Name: "Files", Typeflag: tar.TypeDir, AccessTime: tm.Time()})
	}
	created := func(text string) []byte {
		return list(tar.Header{Name: "Files", Typeflag: tar.TypeDir, ModTime: modified, PAXRecords: records(creation, text)})
	}
	return []checkCase{
		{wintar.RuleNameEscapes.ID, nil, list(file("Files/../x")), list(file("Files/..x"))},
		{wintar.RuleAbsoluteName.ID, nil, list(file("/Files/x")), list(file("./Files/x"))},
		{wintar.RuleColon.ID, nil, list(dir("Files/a:b")), list(dir("Files/ab"))},
		{wintar.RuleInvalidName.ID, nil, list(file("Files/a?")), list(file("Files/a!"))},
		{wintar.RuleBadRecord.ID, nil, list(file("Files/x", "MSWINDOWS.fileattr", "0x20")), list(file("Files/x", "MSWINDOWS.fileattr", "32"))},
		{wintar.RuleBadLinkTarget.ID, nil, list(typed("Files/x", tar.TypeSymlink, strings.Repeat("a/", 9000)+"a")), list(typed("Files/x", tar.TypeSymlink, strings.Repeat("a/", 900)+"a"))},
		{wintar.RuleUnsupported.ID, nil, list(typed("Files/x", tar.TypeFifo, "")), list(typed("Files/x", tar.TypeReg, ""))},
		{wintar.RuleTypeMismatch.ID, nil, list(file("Files/x", "MSWINDOWS.fileattr", "16")), list(dir("Files/x", "MSWINDOWS.fileattr", "16"))},
		{wintar.RuleTypeMismatch.ID, nil, list(dir("Files/x", "MSWINDOWS.fileattr", "32")), list(file("Files/x", "MSWINDOWS.fileattr", "32"))},
		{wintar.RuleBadWhiteout.ID, nil, list(file("Files/.wh...")), list(file("Files/.wh...x"))},
		{wintar.RuleOddWhiteout.ID, nil, list(dir("Files/.wh.x")), list(file("Files/.wh.x"))},
		{wintar.RuleStreamPlace.ID, nil, list(file("Files/a"), file("Files/b"), file("Files/a:s")), list(file("Files/b"), file("Files/a"), file("Files/a:s"))},
		{wintar.RuleStreamTwice.ID, nil, list(file("Files/a"), file("Files/a:s"), file("Files/a:S")), list(file("Files/a"), file("Files/a:s"), file("Files/a:t"))},
		{wintar.RuleRootEntry.ID, nil, list(dir("./")), list(dir("./Files"))},
		{wintar.RuleBadHeader.ID, nil, append(bytes.Repeat([]byte("text"), 128), whole...), whole},
		{wintar.RuleTruncated.ID, nil, whole[:len(whole)-100], whole},
		{wintar.RuleMissingTrailer.ID, nil, whole[:len(whole)-1024], whole},
		{wintar.RuleAfterEnd.ID, nil, append(bytes.Clone(whole), "more"...), append(bytes.Clone(whole), 0, 0, 0, 0)},
		{wintar.RuleUnknownRecord.ID, nil, list(file("Files/x", "VENDOR.x", "1")), list(file("Files/x", "MSWINDOWS.fileattr", "32"))},
		{wintar.RuleNoAttributes.ID, nil, list(dir("Files")), list(dir("Files", "MSWINDOWS.fileattr", "16"))},
		{wintar.RuleSparse.ID, nil, hostileCase(t, "type/gnu-sparse-1.0"), list(file("Files/x"))},
		{wintar.RuleMachineAlias.ID, nil, list(file("Files/x", "MSWINDOWS.sd", "O:LAG:SYD:(A;;FA;;;SY)")), list(file("Files/x", "MSWINDOWS.sd", "O:BAG:SYD:(A;;FA;;;SY)"))},
		{wintar.RuleGlobalHeader.ID, nil, list(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: records("uname", "x")}, file("Files/x")), list(tar.Header{Name: "Files/x", Uname: "x"})},
		{wintar.RuleTrailingSlash.ID, nil, reheaded(whole, func(b []byte) { copy(b, "Files/x/\x00") }), whole},
		{wintar.RuleSizeOnLink.ID, nil, reheaded(list(dir("Files/x")), func(b []byte) { copy(b[124:], "00000001000\x00") }), list(dir("Files/x"))},
		{wintar.RuleVMName.ID, nil, list(dir("UtilityVM/")), list(dir("UtilityVM"))},
		{wintar.RuleVMName.ID, nil, list(dir("./UtilityVM/Files")), list(dir("UtilityVM/Files"))},
		{wintar.RuleVMName.ID, parents, list(dir("./UtilityVM")), list(dir("UtilityVM"), dir("UtilityVM/Files/"))},
		{wintar.RuleVMName.ID, parents, list(dir("UtilityVM/files")), list(dir("./UtilityVM/Files"))},
		{wintar.RuleVMName.ID, base, list(dir("UtilityVM/Files/")), list(dir("UtilityVM/"), dir("UtilityVM/Files"), dir("UtilityVM/Files/x/"))},
		{wintar.RuleVMName.ID, base, list(dir("UtilityVM/FILES")), list(dir("./UtilityVM"), dir("UtilityVM/Files"))},
		{wintar.RuleStreamOfSlash.ID, nil, list(dir("Files/d/"), file("Files/d:s")), list(dir("Files/d"), file("Files/d:s"))},
		{wintar.RuleWrappedTime.ID, nil, created("6802270473.709551616"), created("6802270473.709551500")},
		{wintar.RuleCreationTime.ID, nil, created("1591142400.12340000"), created("1591142400.01234")},
		{wintar.RuleCreationTime.ID, nil, created("1591142400.0"), created("1591142400")},
		{wintar.RuleLooseReparse.ID, nil, list(dir("Files", "MSWINDOWS.fileattr", "1040")), list(dir("Files", "MSWINDOWS.fileattr", "16"))},
		{wintar.RuleStaleRecord.ID, nil, list(dir("Files/x", "MULLION.reparse", b64(wci))), list(dir("Files/x", "MSWINDOWS.fileattr", "1040", "MULLION.reparse", b64(wci)))},
		{layer.RuleReparseTag.ID, nil, list(dir("Files/x", "MSWINDOWS.fileattr", "1040", "MULLION.reparse", b64(wci))), list(dir("Files/x", "MSWINDOWS.fileattr", "1040", "MULLION.reparse", b64(link)))},
		{layer.RuleNoDescriptor.ID, nil, list(dir("Files/x")), list(dir("Files/x", "MSWINDOWS.rawsd", b64(descriptor(t))))},
		{layer.RuleGoZeroTime.ID, nil, accessed(layer.GoZeroTime), accessed(layer.GoZeroTime + 10)},
		{layer.RuleWhiteoutInBase.ID, base, list(file("Files/.wh.x")), list(file("Files/x"))},
		{layer.RuleLinkMissing.ID, base, list(typed("Files/x", tar.TypeLink, "Files/y")), list(file("Files/y"), typed("Files/x", tar.TypeLink, "Files/y"))},
		{layer.RuleMissingRoot.ID, parents, list(dir("Files"), file("Files/Windows/System32/config/SAM")), list(dir("Files"), dir("Hives"), file("Files/Windows/System32/config/SAM"))},
		{layer.RuleSymlinkPrefix.ID, nil, list(typed("Files/x", tar.TypeSymlink, "Files/y")), list(typed("Files/x", tar.TypeSymlink, "File/y"))},
		{layer.RuleSymlinkPrefix.ID, nil, list(typed("Files/x", tar.TypeSymlink, `\files\y`)), list(typed("Files/x", tar.TypeSymlink, `\y`))},
		{layer.RuleStream.ID, nil, list(file("Files/a"), file("Files/a:s")), list(file("Files/a"), file("Files/s"))},
		{layer.RuleStreamOnDir.ID, nil, list(dir("Files/a"), file("Files/a:s")), list(file("Files/a"), file("Files/a:s"))},
	}
}

// hostileCase returns an archive of the hostile corpus.
func hostileCase(t *testing.T, name string) []byte {
	t.Helper()
	for _, c := range hostile.Cases() {
		if c.Name == name {
			b, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("there is no case %s", name)
	return nil
}

// TestCheckFindings: each of those archives breaks its rule, its neighbour does not, and a
// clean one breaks none.
func TestCheckFindings(t *testing.T) {
	for i, c := range checkCases(t) {
		if got := rulesOf(c.bad, c.opts...); !slices.Contains(got, c.rule) {
			t.Errorf("%d: %s is not found, but %q", i, c.rule, got)
		}
		if got := rulesOf(c.good, c.opts...); slices.Contains(got, c.rule) {
			t.Errorf("%d: %s is found in the neighbour, with %q", i, c.rule, got)
		}
	}
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

// TestEveryRuleIsFound: each rule of layers and of tars is broken by a layer here or in
// checkCases, next to a neighbour that keeps it.
func TestEveryRuleIsFound(t *testing.T) {
	found := map[string]bool{}
	for _, c := range checkCases(t) {
		found[c.rule] = true // TestCheckFindings
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
	nowhere, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagSymlink}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	sd := func(text string) []byte {
		d, err := winsec.ParseSDDL(text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	secured := func(b []byte) func(e *layer.Entry) { return func(e *layer.Entry) { e.Security = b } }
	linked := func(path string, target []byte) layer.Entry {
		return layer.Entry{Kind: layer.Dir, Path: path, Security: descriptor(t), Reparse: target}
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
		{rule: layer.RuleDuplicate, bad: over(file(`Files\a`, nil), file(`Files\a`, nil)), good: over(file(`Files\a`, nil), file(`Files\b`, nil))},
		{rule: layer.RuleCaseConflict, bad: over(file(`Files\a`, nil), file(`Files\A`, nil)), good: over(file(`Files\a`, nil), file(`Files\b`, nil))},
		{rule: layer.RuleMissingParent, bad: over(file(`Files\d\a`, nil)), good: over(dir(`Files\d`), file(`Files\d\a`, nil))},
		{rule: layer.RuleTypeChange, bad: over(file(`Files\a`, nil), file(`Files\a\b`, nil)), good: over(dir(`Files\a`), file(`Files\a\b`, nil))},
		{rule: layer.RuleThroughReparse, bad: over(linked(`Files\d`, plain), file(`Files\d\a`, nil)), good: over(dir(`Files\d`), file(`Files\d\a`, nil))},
		{rule: layer.RuleRootNotDirectory, bad: list{file("Files", nil), dir("Hives")}, good: over()},
		{rule: layer.RuleRootCase, bad: list{dir("files"), dir("Hives")}, good: over()},
		{rule: layer.RuleUnknownRoot, bad: over(dir("Other")), good: over(bare("UtilityVM"))},
		{rule: layer.RuleLinkOutside, bad: over(file(`Hives\a`, nil), link(`Files\l`, `Hives\a`)), good: over(file(`Files\a`, nil), link(`Files\l`, `Files\a`))},
		{rule: layer.RuleLinkForward, bad: over(link(`Files\l`, `Files\a`), file(`Files\a`, nil)), good: over(file(`Files\a`, nil), link(`Files\l`, `Files\a`))},
		{rule: layer.RuleLinkToLink, bad: over(file(`Files\a`, nil), link(`Files\l`, `Files\a`), link(`Files\m`, `Files\l`)), good: over(file(`Files\a`, nil), link(`Files\l`, `Files\a`), link(`Files\m`, `Files\a`))},
		{rule: layer.RuleLinkToDirectory, bad: over(dir(`Files\a`), link(`Files\l`, `Files\a`)), good: over(file(`Files\a`, nil), link(`Files\l`, `Files\a`))},
		{rule: layer.RuleLinkToItself, below: base, bad: over(link(`Files\old`, `Files\old`)), good: over(link(`Files\new`, `Files\old`))},
		{rule: layer.RuleWhiteoutSame, below: base, bad: over(hides(`Files\old`), file(`Files\old`, nil)), good: over(hides(`Files\old`), file(`Files\new`, nil))},
		{rule: layer.RuleWhiteoutOutside, below: base, bad: over(hides(`Hives\old`)), good: over(hides(`Files\old`))},
		{rule: layer.RuleOpaque, below: base, bad: over(dir(`Files\d`), layer.Entry{Kind: layer.Opaque, Path: `Files\d`}), good: over(dir(`Files\d`))},
		{rule: layer.RuleReserved, bad: over(file(`Files\nul`, nil)), good: over(file(`Files\null`, nil))},
		{rule: layer.RuleTrailing, bad: over(file(`Files\a.`, nil)), good: over(file(`Files\.a`, nil))},
		{rule: layer.RuleLoneSurrogate, bad: over(file("Files\\\xed\xa0\x80", nil)), good: over(file("Files\\\U00010000", nil))},
		{rule: layer.RuleLongPath, bad: over(dir(`Files\`+strings.Repeat("d", 200)), file(`Files\`+strings.Repeat("d", 200)+`\`+strings.Repeat("f", 56), nil)), good: over(dir(`Files\`+strings.Repeat("d", 200)), file(`Files\`+strings.Repeat("d", 200)+`\`+strings.Repeat("f", 55), nil))},
		{rule: layer.RuleLinkNowhere, bad: over(file(`Files\a`, reparse(nowhere))), good: over(file(`Files\a`, reparse(plain)))},
		{rule: layer.RuleNoDACL, bad: over(file(`Files\a`, secured(sd("O:BAG:SY")))), good: over(file(`Files\a`, secured(sd("O:BAG:SYD:"))))},
		{rule: layer.RuleBadDescriptor, bad: over(file(`Files\a`, secured(sd("O:BAG:SYD:")[1:]))), good: over(file(`Files\a`, secured(sd("O:BAG:SYD:"))))},
		{rule: layer.RuleVMOutside, below: append(base, vm...), bad: over(vm[0], dir(`UtilityVM\Other`)), good: over(vm...)},
		{rule: layer.RuleSparseFile, bad: over(file(`Files\a`, func(e *layer.Entry) { e.Attributes = winfs.AttrSparse })), good: over(file(`Files\a`, nil))},
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
