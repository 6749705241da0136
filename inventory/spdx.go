package inventory

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strings"

	"github.com/mullion/mullion/internal/jsonstream"
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
	out := jsonstream.NewObject(w, true)
	out.Members(doc)
	licenses := spdxLicenses{ids: map[string]string{}}
	out.List("packages", d.spdxPackages(&licenses))
	if len(licenses.defined) > 0 {
		out.Member("hasExtractedLicensingInfos", licenses.defined)
	}
	out.List("relationships", d.spdxRelationships())
	return out.Close()
}

// spdxPackages yields the packages of a document and adds their licenses to those known.
func (d *document) spdxPackages(licenses *spdxLicenses) iter.Seq[any] {
	return func(yield func(any) bool) {
		image := newPackage("image", d.Name, d.Digest, "", "CONTAINER")
		image.PackageChecksums = spdxChecksums(d.Digest)
		for _, x := range d.skipped {
			image.Annotations = append(image.Annotations, spdx.Annotation{
				Annotator: common.Annotator{AnnotatorType: "Tool", Annotator: tool}, AnnotationDate: d.created(), AnnotationType: "OTHER",
				AnnotationComment: "skipped: " + x.String(),
			})
		}
		if !yield(image) {
			return
		}
		for i, l := range d.Layers {
			p := newPackage(layerRef(i), l.Digest, "", "", "ARCHIVE")
			p.PackageChecksums = spdxChecksums(l.Digest)
			if l.DiffID != "" {
				p.PackageComment = "mullion:diffID: " + l.DiffID
			}
			if !yield(p) {
				return
			}
		}
		for _, x := range d.items() {
			if !yield(d.spdxPackage(x, licenses)) {
				return
			}
		}
	}
}

func (d *document) spdxRelationships() iter.Seq[any] {
	return func(yield func(any) bool) {
		relate := func(a, kind, b string) bool {
			return yield(&spdx.Relationship{RefA: common.MakeDocElementID("", a), RefB: common.MakeDocElementID("", b), Relationship: kind})
		}
		if !relate("DOCUMENT", "DESCRIBES", "image") {
			return
		}
		for i := range d.Layers {
			if !relate("image", "CONTAINS", layerRef(i)) {
				return
			}
		}
		for i := range d.components {
			parent := "image"
			if n := d.components[i].Layer(); d.layer(n) != nil {
				parent = layerRef(n)
			}
			if !relate(parent, "CONTAINS", d.refs[i]) {
				return
			}
		}
	}
}

func (d *document) spdxPackage(x *item, licenses *spdxLicenses) *spdx.Package {
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
		p.PackageLicenseDeclared = licenses.expression(x.Licenses)
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

// spdxLicenses are the licenses of a document that are not on the SPDX License List.
type spdxLicenses struct {
	ids     map[string]string // identifiers by name
	defined []*spdx.OtherLicense
}

// expression joins licenses by AND, and defines those that are not on the list.
func (l *spdxLicenses) expression(list []string) string {
	var parts []string
	for _, s := range list {
		if !licenseExpression(s) {
			id, ok := l.ids[s]
			if !ok {
				id = fmt.Sprintf("LicenseRef-%d", len(l.ids)+1)
				l.ids[s] = id
				l.defined = append(l.defined, &spdx.OtherLicense{LicenseIdentifier: id, LicenseName: s, ExtractedText: s})
			}
			s = id
		} else if !licenseID(s) && len(list) > 1 {
			s = "(" + s + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " AND ")
}
