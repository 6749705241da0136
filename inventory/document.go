package inventory

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mullion/mullion/internal/wtf8"
)

// document is what the formats of a bill of materials have in common. It holds no texts of
// components: an image can have a million, so that they are made when they are written.
type document struct {
	Subject
	components []Component
	refs       []string // names of the components, unique in the document, and the same in every run
	patched    []componentPatch
	os         int // index of Windows, -1 if there is none
	skipped    []Skipped
}

// item is a component as documents have it: its texts are valid UTF-8.
type item struct {
	Component
	ref     string
	patches []patch // that Microsoft's security guide knows
}

// patch says that a product has an update. Readers of Syft's documents take it for a package:
// its name is the number of the product in Microsoft's security guide, its version the bare
// number of the update's article, or "base" for a product without a known update.
type patch struct{ product, kb string }

func (p patch) ref() string { return "msrc-kb-" + p.product + "-" + p.kb }

// componentPatch is a patch of a component, by the index of that.
type componentPatch struct {
	component int
	patch
}

func newDocument(inv *Inventory, s Subject) *document {
	d := &document{Subject: s, components: inv.Components, refs: make([]string, len(inv.Components)), os: -1}
	d.Name = documentText(s.Name)
	used := make(map[string]int32, len(inv.Components))
	for i := range inv.Components {
		ref := inv.Components[i].ref()
		if used[ref]++; used[ref] > 1 {
			ref = fmt.Sprintf("%s-%d", ref, used[ref])
		}
		d.refs[i] = ref
		if inv.Components[i].Kind == OS && d.os < 0 {
			d.os = i
		}
	}
	for _, s := range inv.Skipped {
		s.Evidence, s.Reason = s.Evidence.text(), documentText(s.Reason)
		d.skipped = append(d.skipped, s)
	}
	d.addPatches()
	return d
}

// items yields the components in their order. An item is valid until the next one.
func (d *document) items() iter.Seq2[int, *item] {
	return func(yield func(int, *item) bool) {
		patches := d.patched
		for i := range d.components {
			x := &item{Component: d.components[i].text(), ref: d.refs[i]}
			for len(patches) > 0 && patches[0].component == i {
				x.patches = append(x.patches, patches[0].patch)
				patches = patches[1:]
			}
			if !yield(i, x) {
				return
			}
		}
	}
}

// addPatches finds the updates that Microsoft's security guide has numbers for. One that
// several servicing packages belong to is listed with the first.
func (d *document) addPatches() {
	known := map[patch]bool{}
	add := func(i int, p patch) {
		if !known[p] {
			known[p] = true
			d.patched = append(d.patched, componentPatch{i, p})
		}
	}
	product := ""
	if d.os >= 0 {
		product = d.components[d.os].ProductID
	}
	updated := false
	for i := range d.components {
		c := &d.components[i]
		kb := strings.TrimPrefix(c.KB, "KB")
		if c.Kind != Update || !digits(c.ProductID) || !digits(kb) {
			continue
		}
		add(i, patch{c.ProductID, kb})
		updated = updated || product == c.ProductID
	}
	if d.os >= 0 && !updated && digits(product) {
		add(d.os, patch{product, "base"})
		slices.SortStableFunc(d.patched, func(a, b componentPatch) int { return a.component - b.component })
	}
}

// digits reports whether a text is a decimal number.
func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// documentText is a text in a form that every document can hold: lone surrogates and bytes
// that are no UTF-8 become escapes such as \ud800.
func documentText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return wtf8.Visible(s)
}

func (e Evidence) text() Evidence {
	e.Path, e.Key = documentText(e.Path), documentText(e.Key)
	return e
}

// text returns a component whose texts are documentTexts.
func (c *Component) text() Component {
	t := *c
	for _, s := range []*string{&t.Name, &t.Version, &t.Publisher, &t.Architecture, &t.Language, &t.KB, &t.ProductID, &t.ProductCode, &t.PURL, &t.SHA256} {
		*s = documentText(*s)
	}
	t.CPEs, t.Licenses = texts(c.CPEs), texts(c.Licenses)
	t.Evidence = slices.Clone(c.Evidence)
	for i := range t.Evidence {
		t.Evidence[i] = t.Evidence[i].text()
	}
	t.Properties = slices.Clone(c.Properties)
	for i := range t.Properties {
		p := &t.Properties[i]
		p.Name, p.Value = documentText(p.Name), documentText(p.Value)
	}
	return t
}

func texts(list []string) []string {
	list = slices.Clone(list)
	for i, s := range list {
		list[i] = documentText(s)
	}
	return list
}

// windows is the component of the operating system, nil if there is none.
func (d *document) windows() *Component {
	if d.os < 0 {
		return nil
	}
	c := d.components[d.os].text()
	return &c
}

// layer returns a layer of the subject, nil if it is not one.
func (d *document) layer(i int) *Layer {
	if i < 0 || i >= len(d.Layers) {
		return nil
	}
	return &d.Layers[i]
}

// layerRef names a layer in a document.
func layerRef(i int) string { return fmt.Sprintf("layer-%d", i) }

// advisory is the address of Microsoft's article about an update, "" for none.
func (c *Component) advisory() string {
	if kb := strings.TrimPrefix(c.KB, "KB"); digits(kb) {
		return "https://support.microsoft.com/help/" + kb
	}
	return ""
}

// licenseIDs are identifiers of the SPDX License List that packages use most.
// Other names of licenses are written as names.
var licenseIDs = []string{
	"0BSD", "AFL-2.1", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-1.1", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause",
	"BSD-3-Clause", "BSL-1.0", "BlueOak-1.0.0", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0", "CDDL-1.0", "EPL-1.0", "EPL-2.0",
	"GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "ISC", "LGPL-2.1-only",
	"LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MIT-0", "MPL-1.1", "MPL-2.0", "MS-PL", "MS-RL",
	"OFL-1.1", "PSF-2.0", "Python-2.0", "Unicode-3.0", "Unlicense", "WTFPL", "Zlib", "curl",
}

// licenseID reports whether a license is an identifier of the SPDX License List.
func licenseID(s string) bool { return slices.Contains(licenseIDs, s) }

// licenseExpression reports whether a license is an SPDX expression: identifiers, joined by
// AND and OR.
func licenseExpression(s string) bool {
	words := strings.Fields(s)
	for i, w := range words {
		if i%2 == 1 && w != "AND" && w != "OR" || i%2 == 0 && !licenseID(w) {
			return false
		}
	}
	return len(words)%2 == 1
}
