package wintar_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/hostile"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
)

// ruleConstants returns the values of the constants Rule... of a source file.
func ruleConstants(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if ok && len(v.Values) == 1 && strings.HasPrefix(v.Names[0].Name, "Rule") {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				s, _ := strconv.Unquote(lit.Value)
				out = append(out, s)
			}
		}
		return true
	})
	if len(out) == 0 {
		t.Fatalf("no rules in %s", file)
	}
	return out
}

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
	for f := range wintar.Check(bytes.NewReader(b), opts...) {
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
		{layer.RuleNoDescriptor, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir}}},
		{wintar.RuleNoAttributes, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir}}},
		{layer.RuleGoZeroTime, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, AccessTime: layer.GoZeroTime.Time()}}},
		{wintar.RuleWrappedTime, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("LIBARCHIVE.creationtime", "6802270473.709551616")}}},
		{wintar.RuleCreationTime, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, ModTime: mtime, PAXRecords: records("LIBARCHIVE.creationtime", "1591142400.12340000")}}},
		{wintar.RuleCreationTime, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("LIBARCHIVE.creationtime", "1591142400.0")}}},
		{wintar.RuleLooseReparse, nil, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir, PAXRecords: records("MSWINDOWS.fileattr", "1040")}}},
		{layer.RuleReparseTag, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir, PAXRecords: records("MSWINDOWS.fileattr", "1040", "MULLION.reparse", base64.StdEncoding.EncodeToString(wci))}}},
		{wintar.RuleStaleRecord, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeDir, PAXRecords: records("MULLION.reparse", base64.StdEncoding.EncodeToString(wci))}}},
		{layer.RuleWhiteoutInBase, []wintar.Option{wintar.Base()}, []tar.Header{{Name: "Files/.wh.x"}}},
		{layer.RuleLinkMissing, []wintar.Option{wintar.Base()}, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeLink, Linkname: "Files/y"}}},
		{layer.RuleMissingRoot, []wintar.Option{wintar.HasParents()}, []tar.Header{{Name: "Files", Typeflag: tar.TypeDir}, {Name: "Files/Windows/System32/config/SAM"}}},
		{layer.RuleSymlinkPrefix, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeSymlink, Linkname: "Files/y"}}},
		{layer.RuleSymlinkPrefix, nil, []tar.Header{{Name: "Files/x", Typeflag: tar.TypeSymlink, Linkname: `\files\y`}}},
	} {
		if got := rulesOf(headers(t, c.list...), c.opts...); !slices.Contains(got, c.rule) {
			t.Errorf("%s is not found, but %q", c.rule, got)
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
		layer.RuleNoDescriptor, wintar.RuleNoAttributes, layer.RuleGoZeroTime, wintar.RuleWrappedTime, wintar.RuleCreationTime,
		wintar.RuleLooseReparse, layer.RuleReparseTag, layer.RuleWhiteoutInBase, layer.RuleLinkMissing,
		// A tar cannot bring these to the audit, because its records do not decode;
		// TestAudit in package layer does.
		layer.RuleBadReparse, layer.RuleBadEAs,
	}
	for _, r := range elsewhere {
		found[r] = true
	}
	for _, file := range []string{"decode.go", "../layer/audit.go"} {
		for _, r := range ruleConstants(t, file) {
			if !found[r] {
				t.Errorf("%s: nothing brings about %s", file, r)
			}
		}
	}
}

// TestCheckGoesOn: one fault does not hide the next.
func TestCheckGoesOn(t *testing.T) {
	b := headers(t,
		tar.Header{Name: "../evil"}, tar.Header{Name: "Files/x", PAXRecords: map[string]string{"MSWINDOWS.fileattr": "no"}},
		tar.Header{Name: "Files/pipe", Typeflag: tar.TypeFifo}, tar.Header{Name: "Files/y"}, tar.Header{Name: "Files/Y"})
	got := rulesOf(b[:len(b)-1024])
	for _, want := range []string{wintar.RuleNameEscapes, wintar.RuleBadRecord, wintar.RuleUnsupported, layer.RuleCaseConflict, wintar.RuleMissingTrailer} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not found, but %q", want, got)
		}
	}
	// The findings carry path and offset, and stop when the caller does.
	n := 0
	for f := range wintar.Check(bytes.NewReader(b), wintar.Label("layer.tar")) {
		if n++; f.Path != "../evil" || f.Offset != 0 || f.Layer != "layer.tar" {
			t.Errorf("%+v", f)
		}
		break
	}
	if n != 1 {
		t.Errorf("%d findings", n)
	}
	for f := range wintar.Check(brokenReader{}) {
		if !strings.Contains(f.Message, errBroken.Error()) && f.Rule != layer.RuleMissingRoot {
			t.Errorf("%v", f)
		}
	}
	if err := drain(wintar.NewReader(brokenReader{})); !errors.Is(err, errBroken) {
		t.Error(err)
	}
}
