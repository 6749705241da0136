package layer_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// auditChain audits layers, base first, and returns the findings of the topmost as "severity
// rule path".
func auditChain(t *testing.T, chain [][]layer.Entry) []string {
	t.Helper()
	var below layer.Below
	var out []string
	for i, entries := range chain {
		out = nil
		r := &scripted{entries: entries, err: io.EOF}
		for f, err := range layer.Check(t.Context(), r, layer.CheckOptions{Base: i == 0, HasParents: i > 0, Below: &below}) {
			if err != nil {
				t.Fatal(err)
			}
			if f.Rule != layer.RuleNoDescriptor.ID {
				out = append(out, fmt.Sprintf("%v %s %s", f.Severity, f.Rule, f.Path))
			}
		}
	}
	return out
}

// descriptorOf returns one that has no faults.
func descriptorOf(t *testing.T) []byte {
	t.Helper()
	sd, err := winsec.ParseSDDL("O:BAG:SYD:(A;;FA;;;SY)")
	if err != nil {
		t.Fatal(err)
	}
	b, err := sd.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// changed applies f to the last entry.
func changed(entries []layer.Entry, f func(e *layer.Entry)) []layer.Entry {
	f(&entries[len(entries)-1])
	return entries
}

// TestImportRules: each rule about a known cause of failed imports has a layer that breaks
// it and one, the nearest, that does not.
func TestImportRules(t *testing.T) {
	base := tree(t, "d Files", `f Files\a`, `f Files\b`, `d Files\d`, "d Hives", "d UtilityVM", `d UtilityVM\Files`, `f UtilityVM\Files\v`,
		`d UtilityVM\Files\EFI`, `d UtilityVM\Files\EFI\Microsoft`, `d UtilityVM\Files\EFI\Microsoft\Boot`, `f UtilityVM\Files\EFI\Microsoft\Boot\BCD`)
	over := func(words ...string) []layer.Entry {
		return tree(t, append([]string{"d Files", "d Hives"}, words...)...)
	}
	set := func(f func(e *layer.Entry), words ...string) []layer.Entry { return changed(over(words...), f) }
	plain := tree(t, "d Files", "d Hives")
	link, err := winfs.EncodeSymlink(`x\y`)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := (&winfs.ReparsePoint{Tag: winfs.ReparseTagSymlink, Substitute: `x\y`, Print: "label", Relative: true}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	many := func(n int) []layer.Entry {
		words := []string{`f Files\a`}
		for i := range n {
			words = append(words, fmt.Sprintf(`l Files\l%d>Files\a`, i))
		}
		return over(words...)
	}
	day := func(tm winfs.Filetime) func(e *layer.Entry) { return func(e *layer.Entry) { e.Times.LastWrite = tm } }
	for _, c := range []struct {
		want      string
		bad, good []layer.Entry
		below     []layer.Entry // instead of base
	}{
		{`error link-before-replacement Files\a`, over(`l Files\l>Files\a`, `f Files\a`), over(`f Files\a`, `l Files\l>Files\a`), nil},
		{`error forward-link Files\new`, over(`l Files\l>Files\new`, `f Files\new`), over(`f Files\new`, `l Files\l>Files\new`), nil},
		{`error link-target-missing Files\l`, over(`l Files\l>Files\nothing`), over(`l Files\l>Files\b`), nil},
		{`error link-to-directory Files\l`, over(`l Files\l>Files\d`), over(`l Files\l>Files\a`), nil},
		{`warning link-target-case Files\l`, over(`f Files\new`, `l Files\l>Files\NEW`), over(`f Files\new`, `l Files\l>Files\new`), nil},
		{`error too-many-links Files\l1022`, many(1023), many(1022), nil},
		{`info whiteout-of-nothing Files\n`, over(`w Files\n`), over(`w Files\a`), nil},
		{`error utility-vm-whiteout-missing UtilityVM\Files\n`, over("d UtilityVM", `d UtilityVM\Files`, `w UtilityVM\Files\n`), over("d UtilityVM", `d UtilityVM\Files`, `w UtilityVM\Files\v`), nil},
		{`error utility-vm-metadata UtilityVM`, set(func(e *layer.Entry) { e.Security = descriptorOf(t) }, "d UtilityVM"), over("d UtilityVM"), nil},
		{`error utility-vm-outside-files UtilityVM\x`, over("d UtilityVM", `f UtilityVM\x`), over("d UtilityVM", `d UtilityVM\Files`, `f UtilityVM\Files\x`), nil},
		{`error utility-vm-below-missing UtilityVM\Files`, over("d UtilityVM", `d UtilityVM\Files`), over("d UtilityVM"), plain},
		{`error time-before-1601 Files\f`, set(day(-1), `f Files\f`), set(day(116444736000000000), `f Files\f`), nil},
		{`warning time-overflow Files\f`, set(day(208678456368547759), `f Files\f`), set(day(208678456368547758), `f Files\f`), nil},
		{`warning time-overflow Files\f`, set(day(24211015631452241), `f Files\f`), set(day(24211015631452242), `f Files\f`), nil},
		{`warning volume-folder Files\$RECYCLE.BIN`, over(`d Files\$RECYCLE.BIN`), over(`d Files\$RECYCLE.BINS`), nil},
		{`warning volume-folder Files\System Volume Information`, over(`d Files\System Volume Information`), over(`d Files\d`), nil},
		{`info long-path Files\` + strings.Repeat("x", 250) + `\yyyyyy`, over(`d Files\`+strings.Repeat("x", 250), `f Files\`+strings.Repeat("x", 250)+`\yyyyyy`), over(`d Files\`+strings.Repeat("x", 250), `f Files\`+strings.Repeat("x", 250)+`\yyyyy`), nil},
		{`warning reparse-not-standard Files\f`, set(func(e *layer.Entry) { e.Reparse = odd }, `f Files\f`), set(func(e *layer.Entry) { e.Reparse = link }, `f Files\f`), nil},
		{`info metadata-not-standard Files\f`, set(func(e *layer.Entry) { e.EAs = []winfs.EA{{Name: "A", Flags: 0x80}} }, `f Files\f`), set(func(e *layer.Entry) { e.EAs = []winfs.EA{{Name: "A"}} }, `f Files\f`), nil},
		{`info metadata-not-standard Files\f`, set(func(e *layer.Entry) { e.ObjectID = make([]byte, 64) }, `f Files\f`), over(`f Files\f`), nil},
		{`info sparse-file Files\f`, set(func(e *layer.Entry) { e.Attributes |= winfs.AttrSparse }, `f Files\f`), over(`f Files\f`), nil},
		{`error reserved-device-name Files\aux`, over(`f Files\aux`), over(`f Files\auxx`), nil},
		{`warning reserved-device-name Files\aux.js`, over(`f Files\aux.js`), over(`f Files\auxx.js`), nil},
		{`warning opaque-whiteout Files\d`, over(`o Files\d`), over(`d Files\d`), nil},
	} {
		under := base
		if c.below != nil {
			under = c.below
		}
		if got := auditChain(t, [][]layer.Entry{under, c.bad}); !slices.Contains(got, c.want) {
			t.Errorf("%s is not found, but %q", c.want, got)
		}
		if got := auditChain(t, [][]layer.Entry{under, c.good}); len(got) > 0 {
			t.Errorf("where %s does not hold there is %q", c.want, got)
		}
	}
	if got, want := auditChain(t, [][]layer.Entry{base, plain, over("d UtilityVM", `d UtilityVM\Files`)}), `warning utility-vm-below-missing UtilityVM\Files`; !slices.Contains(got, want) {
		t.Errorf("%s is not found, but %q", want, got)
	}
	vm := tree(t, "d Files", "d Hives", "d UtilityVM", `d UtilityVM\Files`)
	if got, want := auditChain(t, [][]layer.Entry{vm}), `error utility-vm-boot-missing UtilityVM\Files\EFI\Microsoft\Boot\BCD`; !slices.Contains(got, want) {
		t.Errorf("%s is not found, but %q", want, got)
	}
	if got := auditChain(t, [][]layer.Entry{base}); len(got) > 0 {
		t.Errorf("the base layer has %q", got)
	}
	if got := auditChain(t, [][]layer.Entry{nil}); !slices.Equal(got, []string{`error missing-hives-or-files-root `}) {
		t.Errorf("a layer without entries has %q", got)
	}
	// In a base layer the metadata of UtilityVM is kept, and other files are ignored.
	odder := changed(tree(t, "d Files", "d Hives", `d UtilityVM`), func(e *layer.Entry) { e.Security = descriptorOf(t) })
	if got := auditChain(t, [][]layer.Entry{append(odder, tree(t, `f UtilityVM\x`)...)}); !slices.Equal(got, []string{`warning utility-vm-outside-files UtilityVM\x`}) {
		t.Errorf("%q", got)
	}
}

// TestBelow: what a layer hides or replaces is not below the next one.
func TestBelow(t *testing.T) {
	base := tree(t, "d Files", "d Hives", `d Files\d`, `f Files\d\x`, `f Files\d\y`, `f Files\f`)
	for _, c := range []struct {
		middle []string
		target string
		found  bool
	}{
		{nil, `Files\d\x`, true},
		{[]string{`d Files\d`}, `FILES\D\X`, true},
		{[]string{`w Files\d`}, `Files\d\x`, false},
		{[]string{`d Files\d`, `w Files\d\x`}, `Files\d\x`, false},
		{[]string{`d Files\d`, `w Files\d\x`}, `Files\d\y`, true},
		{[]string{`d Files\d`, `o Files\d`}, `Files\d\x`, false},
		{[]string{`d Files\d`, `o Files\d`, `f Files\d\x`}, `Files\d\x`, true},
		{[]string{`w Files\d`, `d Files\d`, `f Files\d\x`}, `Files\d\y`, false},
		{[]string{`f Files\d`}, `Files\d\x`, false},
		{[]string{`f Files\d`}, `Files\d`, true},
		{[]string{`l Files\l>Files\f`}, `Files\l`, true},
	} {
		middle := tree(t, append([]string{"d Files", "d Hives"}, c.middle...)...)
		top := tree(t, "d Files", "d Hives", `l Files\new>`+c.target)
		missing := slices.Contains(auditChain(t, [][]layer.Entry{base, middle, top}), `error link-target-missing Files\new`)
		if missing == c.found {
			t.Errorf("%q, then a link to %s: missing %v", c.middle, c.target, missing)
		}
	}
}

// TestStreamRules: alternate streams are told once for each file.
func TestStreamRules(t *testing.T) {
	var got []string
	a := layer.Audit{Report: func(f finding.Finding) { got = append(got, f.Rule+" "+f.Path) }}
	for i, e := range tree(t, "d Files", "d Hives", `f Files\f`, `d Files\d`, `f Files\none`) {
		a.Entry(&e, int64(i+1), -1)
		switch e.Path {
		case `Files\f`, `Files\d`:
			for range 3 {
				a.Stream(&e, 1)
			}
		case `Files\none`:
			a.Stream(&e, 1)
		}
	}
	a.Finish()
	got = slices.DeleteFunc(got, func(f string) bool { return strings.HasPrefix(f, layer.RuleNoDescriptor.ID) })
	if want := []string{`alternate-stream Files\f`, `stream-on-directory Files\d`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestCheckQuick: no stream is read.
func TestCheckQuick(t *testing.T) {
	r := &scripted{entries: tree(t, "d Files", "d Hives", `f Files\a`), size: 10, err: io.EOF}
	for range layer.Check(t.Context(), r, layer.CheckOptions{Quick: true}) {
	}
	if r.left != 10 {
		t.Errorf("%d of 10 bytes are left", r.left)
	}
}
