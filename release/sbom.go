package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeSBOM writes the bill of materials of the program for p as CycloneDX 1.6: the
// modules that its build information names, and the standard library.
func (r *release) writeSBOM(p platform, modules []linked) (err error) {
	program, err := os.ReadFile(r.program(p))
	if err != nil {
		return err
	}
	_, goVersion, err := linkedModules(r.program(p))
	if err != nil {
		return err
	}
	digest := sha256.Sum256(program)
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + uuid(digest)
	root := purl(modulePath, r.version) + "?type=module&goos=" + p.os + "&goarch=" + p.arch + "#cmd/mullion"
	bom.Metadata = &cdx.Metadata{
		Timestamp: r.time.Format("2006-01-02T15:04:05Z"),
		Component: &cdx.Component{
			BOMRef: root, Type: cdx.ComponentTypeApplication, Name: "mullion", Version: r.version, PackageURL: root,
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
			Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(digest[:])}},
		},
	}
	list := []linked{{path: "std", version: strings.TrimPrefix(goVersion, "go")}}
	list = append(list, modules...)
	components, refs := []cdx.Component{}, []string{}
	for _, m := range list {
		ref := purl(m.path, m.version)
		c := cdx.Component{BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: m.path, Version: m.version, PackageURL: ref}
		if m.sum != "" {
			c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.sum}}
		}
		components, refs = append(components, c), append(refs, ref)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: root, Dependencies: &refs}}

	out, err := os.Create(filepath.Join(r.dist, r.stem(p)+".cdx.json"))
	if err != nil {
		return err
	}
	e := cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON)
	e.SetPretty(true)
	e.SetEscapeHTML(false)
	if err := e.EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// purl returns the package URL of a module. A plus sign in a version must be escaped.
func purl(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// uuid makes a UUID of a digest, of version 8, which says that it is made in a way of
// one's own.
func uuid(digest [sha256.Size]byte) string {
	u := digest[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
