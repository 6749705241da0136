package inventory

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/mullion/mullion/internal/jsonstream"
)

// WriteCycloneDX writes a CycloneDX 1.6 document in JSON. The image is the subject of the
// document. Its layers are components of the type container, and each depends on those that
// it brings. Facts without a field are properties whose names begin with mullion:. Those that
// begin with syft: are for readers of Syft's documents, and so are two components inside
// others: Windows as a package with a CPE, and an update by its number.
func WriteCycloneDX(w io.Writer, inv *Inventory, s Subject) error {
	d := newDocument(inv, s)
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + s.uuid("cyclonedx")
	root := cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: d.Name, Version: s.Digest}
	bom.Metadata = &cdx.Metadata{
		Timestamp: s.created(),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: tool}}},
		Component: &root,
	}
	var skipped []cdx.Property
	for _, x := range d.skipped {
		skipped = append(skipped, cdx.Property{Name: "mullion:skipped", Value: x.String()})
	}
	bom.Metadata.Properties = pointer(skipped)
	var shell bytes.Buffer
	if err := cdx.NewBOMEncoder(&shell, cdx.BOMFileFormatJSON).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return err
	}
	out := jsonstream.NewObject(w, false)
	out.Members(json.RawMessage(shell.Bytes()))
	out.List("components", d.cdxComponents())
	out.List("dependencies", d.cdxDependencies())
	return out.Close()
}

func (d *document) cdxComponents() iter.Seq[any] {
	return func(yield func(any) bool) {
		for i, l := range d.Layers {
			if !yield(cdx.Component{BOMRef: layerRef(i), Type: cdx.ComponentTypeContainer, Name: l.Digest, MIMEType: l.MediaType,
				Hashes: cdxHashes(l.Digest), Properties: pointer(cdxProperties([]property{{"mullion:diffID", l.DiffID}}))}) {
				return
			}
		}
		for _, x := range d.items() {
			if !yield(d.cdxComponent(x)) {
				return
			}
		}
	}
}

// cdxDependencies yields what the image and its layers consist of.
func (d *document) cdxDependencies() iter.Seq[any] {
	brought := make([][]string, len(d.Layers))
	var elsewhere []string
	for i := range d.Layers {
		elsewhere = append(elsewhere, layerRef(i))
	}
	for i := range d.components {
		if n := d.components[i].Layer(); d.layer(n) != nil {
			brought[n] = append(brought[n], d.refs[i])
		} else {
			elsewhere = append(elsewhere, d.refs[i])
		}
	}
	return func(yield func(any) bool) {
		if !yield(cdx.Dependency{Ref: "image", Dependencies: pointer(elsewhere)}) {
			return
		}
		for i, refs := range brought {
			if !yield(cdx.Dependency{Ref: layerRef(i), Dependencies: pointer(refs)}) {
				return
			}
		}
	}
}

// pointer returns nil for an empty list, which the documents leave out.
func pointer[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}

func cdxProperties(list []property) (out []cdx.Property) {
	for _, p := range list {
		if p.value != "" {
			out = append(out, cdx.Property{Name: p.name, Value: p.value})
		}
	}
	return out
}

// cdxHashes is a digest of OCI as hashes, nil if it is not SHA-256.
func cdxHashes(digest string) *[]cdx.Hash {
	if hex, ok := sha256Hex(digest); ok {
		return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex}}
	}
	return nil
}

func (d *document) cdxComponent(x *item) cdx.Component {
	typ, language, name := x.syftType()
	out := cdx.Component{BOMRef: x.ref, Type: cdx.ComponentTypeApplication, Publisher: x.Publisher, Name: name,
		Version: x.Version, PackageURL: x.PURL, Hashes: cdxHashes("sha256:" + x.SHA256), Licenses: cdxLicenses(x.Licenses)}
	switch x.Kind {
	case OS:
		out.Type = cdx.ComponentTypeOS
	case Driver:
		out.Type = cdx.ComponentTypeDeviceDriver
	case Runtime:
		out.Type = cdx.ComponentTypeFramework
	case Update, Package, Feature, Library:
		out.Type = cdx.ComponentTypeLibrary
	}
	facts := x.properties()
	for i, cpe := range x.CPEs {
		if i == 0 {
			out.CPE = cpe
		} else {
			facts = append(facts, property{"syft:cpe23", cpe})
		}
	}
	if out.Type != cdx.ComponentTypeOS {
		facts = append(facts, property{"syft:package:foundBy", x.FoundBy}, property{"syft:package:language", language}, property{"syft:package:type", typ})
	}
	out.Properties = pointer(cdxProperties(facts))
	var at []cdx.EvidenceOccurrence
	for _, e := range x.Evidence {
		o := cdx.EvidenceOccurrence{Location: e.String()}
		if l := d.layer(e.Layer); l != nil {
			o.AdditionalContext = "layer " + l.Digest
		}
		at = append(at, o)
	}
	if len(at) > 0 {
		out.Evidence = &cdx.Evidence{Occurrences: &at}
	}
	if url := x.advisory(); url != "" {
		out.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeAdvisories, URL: url}}
	}
	out.Components = pointer(x.cdxInside())
	return out
}

// cdxInside returns the components that are inside of another for readers of Syft's
// documents, which pass over operating systems and know updates by other names.
func (x *item) cdxInside() (list []cdx.Component) {
	if x.Kind == OS && len(x.CPEs) > 0 {
		list = append(list, cdx.Component{BOMRef: x.ref + "-package", Type: cdx.ComponentTypeApplication, Publisher: x.Publisher,
			Name: x.Name, Version: x.Version, CPE: x.CPEs[0], PackageURL: x.PURL,
			Properties: &[]cdx.Property{{Name: "syft:package:type", Value: syftUnknown}}})
	}
	for _, p := range x.patches {
		list = append(list, cdx.Component{BOMRef: p.ref(), Type: cdx.ComponentTypeLibrary, Publisher: microsoft, Name: p.product, Version: p.kb,
			Properties: &[]cdx.Property{{Name: "syft:package:type", Value: syftPatch}}})
	}
	return list
}

// cdxLicenses lists licenses. The format has either one expression or a list.
func cdxLicenses(list []string) *cdx.Licenses {
	if len(list) == 0 {
		return nil
	}
	if len(list) == 1 && !licenseID(list[0]) && licenseExpression(list[0]) {
		return &cdx.Licenses{{Expression: list[0]}}
	}
	var out cdx.Licenses
	for _, s := range list {
		if licenseID(s) {
			out = append(out, cdx.LicenseChoice{License: &cdx.License{ID: s}})
		} else {
			out = append(out, cdx.LicenseChoice{License: &cdx.License{Name: s}})
		}
	}
	return &out
}
