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
	if inv.HasOS {
		list = append(list, cdx.Component{
			BOMRef: "os", Type: cdx.ComponentTypeOS, Publisher: "Microsoft Corporation",
			Name: osName(inv.OS), Version: inv.osVersion(), CPE: osCPE(inv.OS),
		})
		refs = append(refs, "os")
	}
	for i := range inv.Components {
		c := &inv.Components[i]
		out := cdx.Component{BOMRef: c.ref(), Type: cdx.ComponentTypeApplication, Publisher: c.Publisher, Name: c.Name, Version: c.Version}
		if c.Kind != Program {
			out.Type = cdx.ComponentTypeLibrary
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
