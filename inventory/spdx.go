package inventory

import (
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
// the Windows and everything installed.
func WriteSPDX(w io.Writer, inv *Inventory, s Subject) error {
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: s.Name,
		DocumentNamespace: "https://github.com/mullion/mullion/spdx/" + url.PathEscape(s.uuid("spdx")),
		CreationInfo:      &spdx.CreationInfo{Creators: []common.Creator{{CreatorType: "Tool", Creator: tool}}, Created: s.created()},
	}
	image := newPackage("image", s.Name, s.Digest, "")
	image.PrimaryPackagePurpose = "CONTAINER"
	if hex, ok := strings.CutPrefix(s.Digest, "sha256:"); ok {
		image.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: hex}}
	}
	doc.Packages = []*spdx.Package{image}
	relate := func(a, kind, b string) {
		doc.Relationships = append(doc.Relationships, &spdx.Relationship{
			RefA: common.MakeDocElementID("", a), RefB: common.MakeDocElementID("", b), Relationship: kind,
		})
	}
	relate("DOCUMENT", "DESCRIBES", "image")
	for i := range inv.Components {
		c := &inv.Components[i]
		p := newPackage(c.ref(), c.Name, c.Version, c.Publisher)
		p.PrimaryPackagePurpose = "INSTALL"
		switch c.Kind {
		case OS:
			p.PrimaryPackagePurpose = "OPERATING_SYSTEM"
		case Program:
			p.PrimaryPackagePurpose = "APPLICATION"
		}
		for _, cpe := range c.CPEs {
			p.PackageExternalReferences = append(p.PackageExternalReferences, &spdx.PackageExternalReference{Category: "SECURITY", RefType: "cpe23Type", Locator: cpe})
		}
		var facts []string
		for _, f := range c.properties() {
			facts = append(facts, fmt.Sprintf("%s: %s", f.name, f.value))
		}
		p.PackageComment = strings.Join(facts, "\n")
		doc.Packages = append(doc.Packages, p)
		relate("image", "CONTAINS", c.ref())
	}
	return spdxjson.Write(doc, w, spdxjson.Indent("  "))
}

func newPackage(id, name, version, supplier string) *spdx.Package {
	p := &spdx.Package{
		PackageSPDXIdentifier: common.ElementID(id), PackageName: name, PackageVersion: version,
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion,
		PackageCopyrightText: noAssertion,
		PackageSupplier:      &common.Supplier{Supplier: noAssertion, SupplierType: ""},
	}
	if supplier != "" {
		p.PackageSupplier = &common.Supplier{Supplier: supplier, SupplierType: "Organization"}
	}
	return p
}
