package inventory

import (
	"io"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// WriteCycloneDX writes a CycloneDX 1.6 document in JSON. The image is the subject of the
// document; Windows and everything installed are its components.
func WriteCycloneDX(w io.Writer, inv *Inventory, s Subject) error {
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + s.uuid("cyclonedx")
	root := cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: s.Name, Version: s.Digest}
	bom.Metadata = &cdx.Metadata{
		Timestamp: s.created(),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: tool}}},
		Component: &root,
	}
	list, refs := []cdx.Component{}, []string{}
	for i := range inv.Components {
		c := &inv.Components[i]
		out := cdx.Component{BOMRef: c.ref(), Type: cdx.ComponentTypeApplication, Publisher: c.Publisher, Name: c.Name, Version: c.Version}
		switch c.Kind {
		case OS:
			out.Type = cdx.ComponentTypeOS
		case Update, Package, Feature, Library:
			out.Type = cdx.ComponentTypeLibrary
		}
		if len(c.CPEs) > 0 {
			out.CPE = c.CPEs[0]
		}
		var props []cdx.Property
		for _, p := range c.properties() {
			props = append(props, cdx.Property{Name: p.name, Value: p.value})
		}
		out.Properties = &props
		list, refs = append(list, out), append(refs, out.BOMRef)
	}
	bom.Components = &list
	bom.Dependencies = &[]cdx.Dependency{{Ref: "image", Dependencies: &refs}}
	e := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON)
	e.SetPretty(true)
	e.SetEscapeHTML(false)
	return e.EncodeVersion(bom, cdx.SpecVersion1_6)
}
