package inventory

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strings"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const noAssertion = "NOASSERTION"

// WriteSPDX writes an SPDX 2.3 document in JSON. It describes the image, which contains
// its layers, and each layer contains the components that it brings. A component whose layer
// is not known is contained in the image.
func WriteSPDX(w io.Writer, inv *Inventory, s Subject) error {
	d := newDocument(inv, s)
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: cmp.Or(d.Name, tool),
		DocumentNamespace: "https://github.com/mullion/mullion/spdx/" + url.PathEscape(s.uuid("spdx")),
		CreationInfo:      &spdx.CreationInfo{Creators: []common.Creator{{CreatorType: "Tool", Creator: tool}}, Created: s.created()},
	}
	relate := func(a, kind, b string) {
		doc.Relationships = append(doc.Relationships, &spdx.Relationship{
			RefA: common.MakeDocElementID("", a), RefB: common.MakeDocElementID("", b), Relationship: kind,
		})
	}
	image := newPackage("image", d.Name, s.Digest, "", "CONTAINER")
	image.PackageChecksums = spdxChecksums(s.Digest)
	doc.Packages = []*spdx.Package{image}
	relate("DOCUMENT", "DESCRIBES", "image")
	for _, x := range d.skipped {
		image.Annotations = append(image.Annotations, spdx.Annotation{
			Annotator: common.Annotator{AnnotatorType: "Tool", Annotator: tool}, AnnotationDate: s.created(), AnnotationType: "OTHER",
			AnnotationComment: "skipped: " + x.String(),
		})
	}
	for i, l := range s.Layers {
		p := newPackage(layerRef(i), l.Digest, "", "", "ARCHIVE")
		p.PackageChecksums = spdxChecksums(l.Digest)
		if l.DiffID != "" {
			p.PackageComment = "mullion:diffID: " + l.DiffID
		}
		doc.Packages = append(doc.Packages, p)
		relate("image", "CONTAINS", layerRef(i))
	}
	licenses := spdxLicenses{}
	for i := range d.items {
		x := &d.items[i]
		doc.Packages = append(doc.Packages, d.spdxPackage(x, licenses, doc))
		parent := "image"
		if n := x.Layer(); d.layer(n) != nil {
			parent = layerRef(n)
		}
		relate(parent, "CONTAINS", x.ref)
	}
	return spdxjson.Write(doc, w, spdxjson.Indent("  "))
}

func (d *document) spdxPackage(x *item, licenses spdxLicenses, doc *spdx.Document) *spdx.Package {
	purpose := "INSTALL"
	switch x.Kind {
	case OS:
		// As in the schema; the text of the specification has a hyphen, and readers of
		// JSON refuse it.
		purpose = "OPERATING_SYSTEM"
	case Program, Service, Executable:
		purpose = "APPLICATION"
	case Runtime:
		purpose = "FRAMEWORK"
	case Library:
		purpose = "LIBRARY"
	case Driver:
		purpose = "DEVICE"
	}
	p := newPackage(x.ref, x.Name, x.Version, x.Publisher, purpose)
	p.PackageChecksums = spdxChecksums("sha256:" + x.SHA256)
	refer := func(category, kind, locator string) {
		if locator != "" {
			p.PackageExternalReferences = append(p.PackageExternalReferences, &spdx.PackageExternalReference{Category: category, RefType: kind, Locator: locator})
		}
	}
	for _, cpe := range x.CPEs {
		refer("SECURITY", "cpe23Type", cpe)
	}
	refer("PACKAGE-MANAGER", "purl", x.PURL)
	refer("SECURITY", "advisory", x.advisory())
	var places, facts []string
	for _, e := range x.Evidence {
		place := e.String()
		if l := d.layer(e.Layer); l != nil {
			place += " in layer " + l.Digest
		}
		places = append(places, place)
	}
	for _, f := range x.properties() {
		facts = append(facts, fmt.Sprintf("%s: %s", f.name, f.value))
	}
	p.PackageSourceInfo, p.PackageComment = strings.Join(places, "\n"), strings.Join(facts, "\n")
	if len(x.Licenses) > 0 {
		p.PackageLicenseDeclared = licenses.expression(x.Licenses, doc)
	}
	return p
}

func newPackage(id, name, version, supplier, purpose string) *spdx.Package {
	p := &spdx.Package{
		PackageSPDXIdentifier: common.ElementID(id), PackageName: cmp.Or(name, noAssertion), PackageVersion: version,
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion,
		PackageCopyrightText: noAssertion, PrimaryPackagePurpose: purpose,
		PackageSupplier: &common.Supplier{Supplier: noAssertion, SupplierType: ""},
	}
	if supplier != "" {
		p.PackageSupplier = &common.Supplier{Supplier: supplier, SupplierType: "Organization"}
	}
	return p
}

func spdxChecksums(digest string) []common.Checksum {
	if hex, ok := sha256Hex(digest); ok {
		return []common.Checksum{{Algorithm: common.SHA256, Value: hex}}
	}
	return nil
}

// spdxLicenses maps the names of licenses that are not on the SPDX License List to their
// identifiers in a document.
type spdxLicenses map[string]string

// expression joins licenses by AND, and defines in a document those that are not on the list.
func (known spdxLicenses) expression(list []string, doc *spdx.Document) string {
	var parts []string
	for _, s := range list {
		if !licenseExpression(s) {
			id, ok := known[s]
			if !ok {
				id = fmt.Sprintf("LicenseRef-%d", len(known)+1)
				known[s] = id
				doc.OtherLicenses = append(doc.OtherLicenses, &spdx.OtherLicense{LicenseIdentifier: id, LicenseName: s, ExtractedText: s})
			}
			s = id
		} else if !licenseID(s) && len(list) > 1 {
			s = "(" + s + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " AND ")
}
