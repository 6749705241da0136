package layer_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/layer/layertest"
	"github.com/mullion/mullion/winfs"
)

func audit(l *layertest.Layer, a layer.Audit) []string {
	var out []string
	a.Report = func(f finding.Finding) { out = append(out, f.Rule+" "+f.Path) }
	for i := range l.Items {
		a.Entry(&l.Items[i].Entry, int64(i+1), -1)
	}
	a.Finish()
	return out
}

// TestAudit has the cases that a tar cannot produce; TestHostileCheck in package wintar has
// the rest.
func TestAudit(t *testing.T) {
	roots := []string{"d Files", "d Hives"}
	one := func(e layer.Entry) *layertest.Layer {
		l := parse(t, roots...)
		if e.Security == nil {
			e.Security = layertest.Random(1, layertest.Shape{}).Items[0].Security
		}
		l.Items = append(l.Items, layertest.Item{Entry: e})
		return l
	}
	for _, c := range []struct {
		name string
		l    *layertest.Layer
		want []string
	}{
		{"nothing", parse(t, roots...), nil},
		{"reparse data", one(layer.Entry{Path: `Files\a`, Kind: layer.File, Reparse: []byte{1, 2, 3}}), []string{`bad-reparse Files\a`}},
		{"long attributes", one(layer.Entry{Path: `Files\a`, Kind: layer.File, EAs: []winfs.EA{{Name: "A", Value: make([]byte, 40000)}, {Name: "B", Value: make([]byte, 40000)}}}), []string{`bad-eas Files\a`}},
		{"attribute twice", one(layer.Entry{Path: `Files\a`, Kind: layer.File, EAs: []winfs.EA{{Name: "A"}, {Name: "a"}}}), []string{`bad-eas Files\a`}},
		{"attribute without a name", one(layer.Entry{Path: `Files\a`, Kind: layer.File, EAs: []winfs.EA{{}}}), []string{`bad-eas Files\a`}},
		{"whiteouts need no parents", parse(t, "d Files", "d Hives", `w Files\x\y`, `w Files\x\z`), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := audit(c.l, layer.Audit{}); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	flood := parse(t, "d Files", "d Hives")
	for i := range 100 {
		flood.Items = append(flood.Items, parse(t, fmt.Sprintf(`w Files\d\%d`, i), fmt.Sprintf(`l Files\d\l%d>Files\x`, i)).Items...)
	}
	if got := audit(flood, layer.Audit{}); len(got) != 1 || got[0] != `missing-parent Files\d\l0` {
		t.Errorf("%q", got)
	}
}

// TestAuditAcceptsRandom: layers that are valid by construction have no findings
// about their tree.
func TestAuditAcceptsRandom(t *testing.T) {
	for seed := range uint64(20) {
		l := layertest.Random(seed, layertest.Shape{Entries: 200, Without: layertest.LoneSurrogates | layertest.RawReparse | layertest.Opaques})
		for _, f := range audit(l, layer.Audit{HasParents: true}) {
			// Random metadata has more than importers keep.
			if !slices.ContainsFunc([]string{layer.RuleNoDescriptor.ID, layer.RuleNoDACL.ID, layer.RuleLinkToLink.ID, layer.RuleVMDescriptor.ID, layer.RuleTimeRange.ID, layer.RuleTimeOverflow.ID,
				layer.RuleOwnMetadata.ID, layer.RuleSparseFile.ID, layer.RuleReparseOwn.ID, layer.RuleLongPath.ID}, func(r string) bool { return len(f) > len(r) && f[:len(r)] == r }) {
				t.Errorf("seed %d: %s", seed, f)
			}
		}
	}
}
